// The loop of docs/protocol.md section 8: connect, sync, resend what has no answer, take rows without holes, come back.
//
// The store keeps what is known and what is unsent; this module decides what is said to the server and when. One
// unanswered message is under way at a time, so that the order holds even over a 429 or 503.
import { setServerTime } from './uuid7.js';

const MAX_WAIT_MS = 30000;

export class Socket {
  /** on.state('connecting' | 'online' | 'offline', ms until the next try); on.ended(code): 4001 or 4003. */
  constructor(store, token, on) {
    Object.assign(this, { store, token, on, ws: null, wait: 1000, timer: null, syncing: false, missing: false });
    this.closed = false;
    this.inFlight = null; // client id of the message that is under way
    this.wake = () => this.retryNow();
    window.addEventListener('online', this.wake);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.on.state('connecting');
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`;
    const ws = new WebSocket(url, ['privateim.v1', `privateim.token.${this.token}`]);
    this.ws = ws;
    this.greeted = false;
    ws.onmessage = (event) => { if (this.ws === ws) this.take(JSON.parse(event.data)); };
    ws.onclose = (event) => { if (this.ws === ws) this.lost(event); };
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    window.removeEventListener('online', this.wake);
    this.ws?.close(1000);
    this.ws = null;
  }

  retryNow() {
    if (this.ws === null && !this.closed) this.open();
  }

  async lost({ code, reason }) {
    this.ws = null;
    this.inFlight = null;
    if (this.closed) return;
    if (code === 4001 || code === 4003) {
      this.close();
      this.on.ended(code);
      return;
    }
    // A browser does not tell a refused upgrade (401) from a server that is away: the caller's check does.
    if (!this.greeted) this.on.refused?.();
    const seconds = code === 1012 ? Number.parseFloat(reason) : NaN;
    const wait = seconds >= 0 ? seconds * 1000 : this.wait * (0.5 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, MAX_WAIT_MS);
    this.on.state('offline', wait);
    this.timer = setTimeout(() => this.open(), wait);
  }

  say(frame) {
    if (this.ws?.readyState !== WebSocket.OPEN || !this.greeted) return false;
    this.ws.send(JSON.stringify(frame));
    return true;
  }

  // --- sending ---
  /** Sends the oldest unsent message, if none is under way. */
  flush() {
    const next = this.store.outbox.find((item) => !item.error);
    if (!next || this.inFlight) return;
    if (this.say(next.frame)) this.inFlight = next.frame.client_id;
  }

  onResult(result) {
    if (!result.client_id) return; // a complaint about another frame
    if (result.code === 429 || result.code === 503) {
      setTimeout(() => { this.inFlight = null; this.flush(); }, (result.retry_after ?? 1) * 1000);
      return;
    }
    if (this.inFlight === result.client_id) this.inFlight = null;
    const row = this.store.answered(result);
    if (row) this.onRow(row); // a row of ours has a number like any other
    this.flush();
  }

  // --- receiving ---
  take(frame) {
    switch (frame.op) {
      case 'hello': this.onHello(frame); break;
      case 'sync': this.onSync(frame); break;
      case 'result': this.onResult(frame); break;
      case 'message': case 'event': this.onRow(frame); break;
      case 'read': this.store.markRead(frame.conversation, frame.seq, frame.read_ord); break;
      default:
    }
  }

  onHello(hello) {
    this.greeted = true;
    this.wait = 1000;
    this.inFlight = null;
    setServerTime(hello.server_time);
    this.store.hello(hello);
    this.on.state('online');
    this.sync();
    this.flush();
  }

  /** Asks for all conversations at once: what is known is named, of the others the newest rows come. */
  sync(after) {
    this.syncing = true;
    this.missing = false;
    this.say({ op: 'sync', conversations: this.store.known(), limit: 50, ...(after && { after }) });
  }

  onSync(frame) {
    for (const part of frame.conversations) {
      this.store.synced(part);
      for (const row of part.messages ?? []) {
        if (this.store.add({ ...row, conversation: part.conversation })) this.missing = true;
      }
      if (part.more) this.missing = true;
      this.ack(part.conversation);
    }
    this.syncing = false;
    if (frame.next) this.sync(frame.next);
    else if (this.missing) this.sync();
    else this.store.ready();
  }

  onRow(row) {
    if (this.store.add(row)) this.missing = true;
    else this.ack(row.conversation);
    if (this.missing && !this.syncing) this.sync();
  }

  ack(name) {
    const conversation = this.store.conversations.get(name);
    if (!conversation || conversation.acked >= conversation.have) return;
    if (this.say({ op: 'ack', conversation: name, seq: conversation.have })) conversation.acked = conversation.have;
  }

  read(name) {
    const conversation = this.store.conversations.get(name);
    if (!conversation || conversation.read >= conversation.have) return;
    if (this.say({ op: 'read', conversation: name, seq: conversation.have })) {
      this.store.markRead(name, conversation.have, conversation.haveOrd);
    }
  }
}
