"""Judges what hammer's clients wrote down against what the server has in the end.

    verdict = judge(read_logs(directory), stored, until_us=None)

stored: {conversation: [(seq, id, cid or "0", sender), ...]} in the order of seq, read back after all is quiet. until_us: only
what was acknowledged by then must be there (a power cut: what came later never happened).

verdict: a list of sentences, empty when all is well: lost, phantom, doubled, gap, inversion, disagreement, regress.
"""

import collections
import glob
import os


class Client:
    def __init__(self, user_id):
        self.user_id = user_id
        self.tried = {}       # cid -> (number of the try's line, conversation)
        self.acked = {}       # cid -> (time, conversation, seq, id)
        self.refused = {}     # cid -> code
        self.delayed = set()  # cids that were asked to come again: others may have overtaken them
        self.rows = collections.defaultdict(list)  # conversation -> [(seq, id, cid)]
        self.resets = []


def read_log(path):
    client = Client(int(os.path.basename(path)[:-4]))
    with open(path) as log:
        for number, line in enumerate(log):
            word = line.split()
            kind = word[0]
            if kind == "I":
                client.tried[word[2]] = (number, word[3])
            elif kind == "O":
                client.acked[word[2]] = (int(word[1]), word[3], int(word[4]), word[5])
            elif kind == "F":
                client.refused[word[2]] = word[3]
            elif kind == "B":
                client.delayed.add(word[2])
            elif kind == "R":
                client.rows[word[2]].append((int(word[3]), word[4], word[5]))
            elif kind == "X":
                client.resets.append(word[2])
    return client


def read_logs(directory):
    return [read_log(path) for path in sorted(glob.glob(os.path.join(directory, "*.log")))]


def check_stored(stored, tried, verdict):
    """Dense, each message once, nothing that nobody sent."""
    for name, rows in stored.items():
        seen = {}
        for place, (seq, _, cid, _) in enumerate(rows, 1):
            if seq != rows[0][0] + place - 1:
                verdict.append("gap: %s has %d where %d was due" % (name, seq, rows[0][0] + place - 1))
                break
        for seq, _, cid, _ in rows:
            if cid == "0":
                continue
            if cid in seen:
                verdict.append("doubled: %s in %s stands at %d and at %d" % (cid, name, seen[cid], seq))
            seen[cid] = seq
            if cid not in tried:
                verdict.append("phantom: %s in %s at %d was never sent" % (cid, name, seq))


def check_acked(client, stored_by_cid, until_us, verdict):
    for cid, (time_us, name, seq, row_id) in client.acked.items():
        if until_us is not None and time_us > until_us:
            continue
        place = stored_by_cid.get(cid)
        if place is None:
            verdict.append("lost: %s of %d in %s at %d was acknowledged" % (cid, client.user_id, name, seq))
        elif place != (name, seq, row_id):
            verdict.append("lost: %s was acknowledged as %s and stands as %s" % (cid, (name, seq, row_id), place))


def check_order(client, stored_by_cid, verdict):
    """What one client sent to one conversation stands there in the order of sending."""
    last = {}
    for cid, (_, name) in sorted(client.tried.items(), key=lambda item: item[1][0]):
        place = stored_by_cid.get(cid)
        if place is None or cid in client.delayed:
            continue
        if place[1] < last.get(name, (0, ""))[0]:
            verdict.append("inversion: %s of %d at %d stands before %s at %d" %
                           (cid, client.user_id, place[1], last[name][1], last[name][0]))
        last[name] = max(last.get(name, (0, "")), (place[1], cid))


def check_received(client, stored, verdict):
    """Each device took every row once, in order, and the same as all others."""
    for name in client.resets:
        verdict.append("regress: %d was told to forget %s" % (client.user_id, name))
    for name, rows in client.rows.items():
        known = {seq: (row_id, cid) for seq, row_id, cid, _ in stored.get(name, ())}
        for (seq, row_id, cid), before in zip(rows, [None] + rows):
            if before is not None and seq != before[0] + 1:
                verdict.append("regress: %d took %d after %d in %s" % (client.user_id, seq, before[0], name))
            if seq not in known:
                verdict.append("disagreement: %d took %d of %s, which is not there" % (client.user_id, seq, name))
            elif known[seq][0] != row_id or (cid != "0" and known[seq][1] != cid):
                verdict.append("disagreement: %d took %s as %d of %s, stored is %s" %
                               (client.user_id, (row_id, cid), seq, name, known[seq]))
        if rows and stored.get(name) and rows[-1][0] != stored[name][-1][0]:
            verdict.append("disagreement: %d has %s up to %d, the head is %d" %
                           (client.user_id, name, rows[-1][0], stored[name][-1][0]))


def judge(clients, stored, until_us=None):
    verdict, tried = [], set()
    for client in clients:
        tried.update(client.tried)
    stored_by_cid = {cid: (name, seq, row_id) for name, rows in stored.items() for seq, row_id, cid, _ in rows if cid != "0"}
    check_stored(stored, tried, verdict)
    for client in clients:
        check_acked(client, stored_by_cid, until_us, verdict)
        check_order(client, stored_by_cid, verdict)
        if until_us is None:  # after a power cut the devices know more than the server: they are told to forget
            check_received(client, stored, verdict)
    return verdict
