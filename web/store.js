// What the page knows: conversations and their rows, friends, groups, requests, and the messages without an answer.
// Fires 'change' (at most once per frame on screen). Unsent messages live in localStorage, one key each, so that they
// outlive the tab and two tabs do not overwrite each other: sending one twice is harmless, its client id is the same.
import { uuid7 } from './uuid7.js';

const SHOWN_EVENTS = new Set(['member_joined', 'member_left', 'unfriended', 'blocked']);
const numberOf = (id) => Number(id);

export class Store extends EventTarget {
  constructor(me) {
    super();
    this.me = me;
    this.prefix = `pim.out.${me.id}.`;
    this.conversations = new Map();
    this.friends = new Map();
    this.groups = new Map();
    this.groupNames = new Map(); // also of those left
    this.members = new Map(); // group id -> Map(user id -> name)
    this.names = new Map([[me.id, me.name]]);
    this.epochs = null;
    this.synced_once = false;
    this.outbox = this.loadOutbox();
  }

  changed() {
    if (this.pending) return;
    this.pending = true;
    queueMicrotask(() => {
      this.pending = false;
      this.dispatchEvent(new Event('change'));
    });
  }

  // --- unsent messages: { frame, error?, at } ---
  loadOutbox() {
    const items = [];
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (key.startsWith(this.prefix)) items.push(JSON.parse(localStorage.getItem(key)));
    }
    return items.sort((a, b) => (a.frame.client_id < b.frame.client_id ? -1 : 1)); // ids rise with time
  }

  save(item) {
    localStorage.setItem(this.prefix + item.frame.client_id, JSON.stringify(item));
  }

  forget(item) {
    this.outbox = this.outbox.filter((other) => other !== item);
    localStorage.removeItem(this.prefix + item.frame.client_id);
    this.changed();
  }

  queue(name, content) {
    const frame = { ...this.target(name), client_id: uuid7(), content_type: 0, content };
    const item = { frame, conversation: name, at: Math.floor(Date.now() / 1000) };
    this.outbox.push(item);
    this.save(item);
    this.changed();
  }

  /** A failed message again, as a new one. */
  requeue(item) {
    this.forget(item);
    this.queue(item.conversation, item.frame.content);
  }

  /** Takes a result; the row it stands for when the message is stored. */
  answered(result) {
    const item = this.outbox.find((other) => other.frame.client_id === result.client_id);
    if (!item) return null;
    this.changed();
    if (result.code !== 200) {
      item.error = result.error || String(result.code);
      this.save(item);
      return null;
    }
    this.forget(item);
    const { conversation, seq, ord, id, create_time } = result;
    return { op: 'message', sender_id: this.me.id, ...item.frame, conversation, seq, ord, id, create_time };
  }

  // --- conversations ---
  target(name) {
    const parts = name.split(':').slice(1).map(numberOf);
    if (name.startsWith('g:')) return { type_id: 1, receiver_id: parts[0] };
    return { type_id: 0, receiver_id: parts[0] === this.me.id ? parts[1] : parts[0] };
  }

  nameFor(peer) {
    return `u:${Math.min(this.me.id, peer)}:${Math.max(this.me.id, peer)}`;
  }

  conversation(name) {
    let found = this.conversations.get(name);
    if (!found) {
      // have: newest seq without a hole; low: oldest row that is here; rows: seq -> row
      found = { name, have: 0, haveId: '0', haveOrd: 0, head: 0, headOrd: 0, low: 1, floor: 0, read: 0, readOrd: 0,
        acked: 0, rows: new Map() };
      this.conversations.set(name, found);
    }
    return found;
  }

  hello({ epochs }) {
    const text = JSON.stringify(epochs);
    if (this.epochs && this.epochs !== text) this.conversations.clear(); // restored from a backup
    this.epochs = text;
  }

  ready() {
    this.synced_once = true;
    this.changed();
  }

  known() {
    return [...this.conversations.values()].filter((c) => c.have > 0).map((c) => [c.name, c.have, c.haveId]);
  }

  /** One conversation of a sync, before its rows are added. */
  synced(part) {
    const c = this.conversation(part.conversation);
    if (part.reset || part.from > c.have + 1 || (c.have === 0 && c.rows.size === 0)) {
      c.rows.clear();
      Object.assign(c, { have: part.from - 1, haveId: '0', low: part.from });
    }
    Object.assign(c, { head: part.head, headOrd: part.head_ord, floor: part.floor });
    if (c.have === part.head) Object.assign(c, { haveId: part.head_id, haveOrd: part.head_ord });
    if (part.read >= c.read) Object.assign(c, { read: part.read, readOrd: part.read_ord });
    this.changed();
  }

  /** Section 5 of the protocol. True: a row before this one is missing. */
  add(row) {
    const c = this.conversation(row.conversation);
    if (row.seq > c.have + 1) return true;
    if (row.seq <= c.have) return false;
    c.rows.set(row.seq, row);
    Object.assign(c, { have: row.seq, haveId: row.id, haveOrd: row.ord, head: Math.max(c.head, row.seq),
      headOrd: Math.max(c.headOrd, row.ord) });
    if (row.sender_id === this.me.id) {
      this.markRead(c.name, row.seq, row.ord); // who writes has read
      const unsent = this.outbox.find((item) => item.frame.client_id === row.client_id);
      if (unsent) this.forget(unsent); // it was stored, only its result got lost
    }
    if (row.op === 'event') this.onEvent(row);
    this.changed();
    return false;
  }

  addOlder(name, rows) {
    const c = this.conversation(name);
    for (const row of rows) c.rows.set(row.seq, row);
    c.low = rows.length ? Math.min(c.low, ...rows.map((row) => row.seq)) : 1;
    this.changed();
  }

  markRead(name, seq, ord) {
    const c = this.conversations.get(name);
    if (!c || seq < c.read) return;
    Object.assign(c, { read: seq, readOrd: ord });
    this.changed();
  }

  unread(c) {
    return Math.max(0, c.headOrd - c.readOrd);
  }

  // --- people and groups ---
  onEvent(row) {
    if (row.user_id && row.name) this.names.set(row.user_id, row.name);
    if (row.group_id && row.name) this.groupNames.set(row.group_id, row.name);
    if (/^(friend_|unfriended|blocked|group_|member_)/.test(row.event)) this.dispatchEvent(new Event('stale'));
  }

  setFriends(list) {
    this.friends = new Map(list.filter((f) => f.is_accept && !f.is_delete).map((f) => [f.id, f]));
    for (const friend of list) if (friend.name) this.names.set(friend.id, friend.name);
    this.changed();
  }

  setGroups(list) {
    this.groups = new Map(list.map((g) => [g.group_id, g.group_name]));
    for (const [id, name] of this.groups) this.groupNames.set(id, name);
    this.changed();
  }

  setMembers(groupId, users) {
    this.members.set(groupId, users);
    for (const user of users) this.names.set(user.id ?? user.user_id, user.name);
    this.changed();
  }

  /** Friend requests without an answer, newest first: the last word about each user in one's own events. */
  requests() {
    const own = this.conversations.get(`e:${this.me.id}`);
    const last = new Map();
    for (const [, row] of [...(own?.rows ?? [])].sort((a, b) => a[0] - b[0])) {
      if (row.op === 'event' && row.user_id && row.event.startsWith('friend_')) last.set(row.user_id, row);
    }
    return [...last.values()].reverse()
      .filter((row) => row.event === 'friend_request' && !this.friends.has(row.user_id));
  }

  title(name) {
    if (name.startsWith('g:')) return this.groupNames.get(numberOf(name.slice(2))) || `#${name.slice(2)}`;
    const peer = this.target(name).receiver_id;
    return this.names.get(peer) ?? `#${peer}`;
  }

  /** Chats to show, newest first: those with rows, friends and groups without. */
  chats() {
    const names = new Set([...this.conversations.keys()].filter((name) => !name.startsWith('e:')));
    for (const id of this.friends.keys()) names.add(this.nameFor(id));
    for (const id of this.groups.keys()) names.add(`g:${id}`);
    return [...names].map((name) => {
      const c = this.conversation(name);
      const unsent = this.outbox.findLast((item) => item.conversation === name);
      const row = this.lastMessage(c);
      return { name, conversation: c, title: this.title(name), unread: this.unread(c),
        text: unsent?.frame.content ?? row?.content ?? '', time: unsent?.at ?? row?.create_time ?? 0 };
    }).sort((a, b) => b.time - a.time || a.title.localeCompare(b.title));
  }

  lastMessage(c) {
    for (let seq = c.have; seq >= c.low; seq--) if (c.rows.get(seq)?.op === 'message') return c.rows.get(seq);
    return null;
  }

  rowsOf(name) {
    return [...this.conversation(name).rows.values()].sort((a, b) => a.seq - b.seq)
      .filter((row) => row.op === 'message' || SHOWN_EVENTS.has(row.event));
  }
}
