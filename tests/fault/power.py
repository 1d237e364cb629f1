"""What a disk may hold after the power went, from powerloss.so's journal.

    journal = Journal(path); image(journal, cut, random, directory)

At the cut all that a file was given before its last sync is there. Of what came later each write is there or not, or torn
at a border of 512 bytes; sizes and names follow the order of the changes. -shm files are SQLite's shared memory: left out.
"""

import os
import struct

RECORD = struct.Struct("=IIqqQ")
CREATE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK = 1, 2, 3, 4, 5, 6, 7
SECTOR = 512


class Change:
    __slots__ = ("op", "path", "time_us", "offset", "data")

    def __init__(self, op, path, time_us, offset, data):
        self.op, self.path, self.time_us, self.offset, self.data = op, path, time_us, offset, data


class Journal:
    def __init__(self, path):
        self.changes = []
        with open(path, "rb") as file:
            while len(head := file.read(RECORD.size)) == RECORD.size:
                op, path_len, time_us, offset, data_len = RECORD.unpack(head)
                name, data = file.read(path_len).decode(), file.read(data_len)
                if len(data) == data_len and not name.endswith("-shm"):
                    self.changes.append(Change(op, name, time_us, offset, data))

    def syncs(self):
        return sum(change.op == SYNC for change in self.changes)


def write(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def torn(data, random):
    """Some sectors of it, each at its place."""
    for at in range(0, len(data), SECTOR):
        if random.random() < 0.5:
            yield at, data[at:at + SECTOR]


def image(journal, cut, random, directory):
    """Write the files as they may be if the power goes right before change number `cut`."""
    last_sync = {}
    for number, change in enumerate(journal.changes[:cut]):
        if change.op == SYNC:
            last_sync[change.path] = number
        elif change.op == RENAME:
            last_sync[change.data.decode()] = last_sync.pop(change.path, -1)
        elif change.op == LINK:
            last_sync[change.data.decode()] = last_sync.get(change.path, -1)
    files = {}
    keep = random.choice((0.0, 0.3, 0.7, 1.0))  # how much of what is not synced
    for number, change in enumerate(journal.changes[:cut]):
        if change.op == CREATE:
            files[change.path] = bytearray()
        elif change.op == UNLINK:
            files.pop(change.path, None)
        elif change.op == RENAME:
            files[change.data.decode()] = files.pop(change.path, bytearray())
        elif change.op == LINK:
            files[change.data.decode()] = files.get(change.path, bytearray())
        elif change.op == TRUNCATE:
            content = files.setdefault(change.path, bytearray())
            del content[change.offset:]
            write(content, change.offset, b"")
        elif change.op == WRITE:
            content = files.setdefault(change.path, bytearray())
            if number < last_sync.get(change.path, -1) or random.random() < keep:
                write(content, change.offset, change.data)
            elif random.random() < 0.5:
                for at, sector in torn(change.data, random):
                    write(content, change.offset + at, sector)
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
