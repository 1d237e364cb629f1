#!/usr/bin/env node
// Sample client: node client.mjs URL EMAIL PASSWORD PEER. Lines from stdin go to PEER (a user id, or g:ID), each thing
// that comes is one line of JSON on stdout. The loop is section 8 of docs/protocol.md. Node 18 or newer, no packages.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { createInterface } from 'node:readline';

/** WebSocket over a socket of ours, as Node before 22 has none. on.text(string), on.close(code, reason) once. */
function connect(url, protocols, on) {
  const key = randomBytes(16).toString('base64'), parts = [];
  let socket, buf = Buffer.alloc(0), over = false;
  const end = (code, reason = '') => { if (!over) { over = true; socket?.destroy(); on.close(code, reason); } };
  const send = (op, data) => {
    const mask = randomBytes(4), n = data.length;
    const head = Buffer.alloc(n < 126 ? 2 : n < 65536 ? 4 : 10);
    head.set([0x80 | op, 0x80 | (n < 126 ? n : n < 65536 ? 126 : 127)]);
    if (n >= 126) head.writeUIntBE(n, n < 65536 ? 2 : 4, n < 65536 ? 2 : 6);
    if (socket && !over) socket.write(Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i & 3])]));
  };
  const feed = (chunk) => {
    buf = Buffer.concat([buf, chunk]);
    while (buf.length >= 2 && !over) {
      const op = buf[0] & 15, short = buf[1] & 127, at = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (buf.length < at) return;
      const n = short < 126 ? short : short === 126 ? buf.readUInt16BE(2) : Number(buf.readBigUInt64BE(2));
      if (buf.length < at + n) return;
      const fin = buf[0] & 0x80, data = buf.subarray(at, at + n);
      buf = buf.subarray(at + n);
      if (op === 9) send(10, data);
      if (op === 8) end(n < 2 ? 1005 : data.readUInt16BE(0), data.subarray(2).toString());
      if (op < 3) parts.push(data);
      if (op < 3 && fin) on.text(Buffer.concat(parts.splice(0)).toString());
    }
  };
  const request = (url.startsWith('https') ? https : http).request(url, { agent: false, headers: {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Protocol': protocols } });
  request.on('upgrade', (response, sock, head) => {
    socket = sock;
    const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    if (response.headers['sec-websocket-accept'] !== accept) return end(1002, 'not a WebSocket server');
    sock.on('data', feed).on('error', () => end(1006)).on('close', () => end(1006));
    feed(head);
  }).on('response', (response) => end(response.statusCode === 401 ? 4001 : 1006)).on('error', () => end(1006)).end();
  return { send: (text) => send(1, Buffer.from(text)) };
}

async function signIn(url, email, password) {
  const body = { name: email.split('@')[0].slice(0, 10), email, password, confirm_password: password };
  let answer;
  for (const [path, fields] of [['/auth/profile', { email, password }], ['/auth/user', body]]) {
    answer = await (await fetch(url + path, { method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(fields) })).json();
    if (answer.auth_token) return answer.auth_token;
  }
  throw new Error(`cannot sign in: ${answer.error}`);
}

const [url, email, password, peer] = process.argv.slice(2);
if (!peer) { console.error('usage: client.mjs URL EMAIL PASSWORD PEER   (PEER: a user id, or g:ID)'); process.exit(2); }
const base = url.replace(/\/+$/, ''), token = await signIn(base, email, password);
const target = peer.startsWith('g:') ? [1, Number(peer.slice(2))] : [0, Number(peer)];

let ws, wait = 1000, epochs, clock = 0, lastMs = 0, eof = false, syncing, missing;
const have = new Map(), queue = []; // conversation -> { seq, id } without a hole; messages without an answer
const waiting = []; // lines read before the first hello told the server's time
const seqOf = (name) => have.get(name)?.seq ?? 0, send = (frame) => ws.send(JSON.stringify(frame));
// One unanswered frame at a time: the order holds even over a 429 or 503.
const sendFirst = () => (queue.length ? send(queue[0]) : eof && process.exit(0));

function uuid7() { // the server's time, always rising
  lastMs = Math.max(Date.now() + clock, lastMs + 1);
  const hex = lastMs.toString(16).padStart(12, '0') + '7' + randomBytes(10).toString('hex').slice(1);
  return hex.replace(/(.{8})(.{4})(.{4}).(.{3})(.{12})/, '$1-$2-$3-8$4-$5');
}

function enqueue(content) {
  queue.push({ type_id: target[0], receiver_id: target[1], client_id: uuid7(), content_type: 0, content });
  if (queue.length === 1) sendFirst();
}

function ask(after) { // sync of all conversations; of those not named the newest rows come
  const conversations = [...have].map(([name, { seq, id }]) => [name, seq, id]);
  [syncing, missing] = [true, false];
  send({ op: 'sync', limit: 100, conversations, after });
}

function take(row) { // section 5: the next number and nothing else; a later one shows that some are missing
  const { conversation, seq, id } = row;
  if (seq > seqOf(conversation) + 1) missing = true;
  if (seq !== seqOf(conversation) + 1) return;
  have.set(conversation, { seq, id });
  if (row.op !== 'result' && row.event !== 'hidden') console.log(JSON.stringify(row));
  send({ op: 'ack', conversation, seq });
}

function onRow(row) {
  take(row);
  if (missing && !syncing) ask();
}

const on = {
  hello(frame) {
    [clock, wait] = [frame.server_time - Date.now(), 1000];
    if (epochs && epochs !== JSON.stringify(frame.epochs)) have.clear(); // a restored backup
    epochs = JSON.stringify(frame.epochs);
    ask();
    if (queue.length) sendFirst();
    waiting.splice(0).forEach(enqueue);
  },
  sync(frame) {
    for (const { conversation, reset, from, messages, more } of frame.conversations) {
      if (reset || from > seqOf(conversation)) have.set(conversation, { seq: from - 1, id: '0' });
      for (const row of messages) take({ conversation, ...row });
      missing ||= more;
    }
    syncing = Boolean(frame.next);
    if (syncing || missing) ask(frame.next);
  },
  result(frame) {
    if (frame.client_id !== queue[0]?.client_id) return;
    if (frame.code === 429 || frame.code === 503) return void setTimeout(sendFirst, (frame.retry_after ?? 1) * 1000);
    console.log(JSON.stringify({ ...frame, content: queue.shift().content }));
    if (frame.code === 200) onRow(frame); // a row of ours, with a number like any other
    sendFirst();
  },
  message: onRow,
  event: onRow,
};

function open() {
  ws = connect(base + '/', `privateim.v1, privateim.token.${token}`, {
    text: (text) => { const frame = JSON.parse(text); on[frame.op]?.(frame); },
    close: (code, reason) => {
      if (code === 4001 || code === 4003) { console.error(`closed: ${code} ${reason}`); process.exit(1); }
      setTimeout(open, code === 1012 && /^\d+$/.test(reason) ? reason * 1000 : wait * (0.5 + Math.random() / 2));
      wait = Math.min(wait * 2, 30000);
    },
  });
}

createInterface({ input: process.stdin }).on('line', (line) => (epochs ? enqueue(line) : waiting.push(line)))
  .on('close', () => { eof = true; if (!queue.length && !waiting.length) process.exit(0); });
open();
