// One conversation: its rows, the messages on their way, the box to write in.
import * as api from './api.js';
import { careful, dialog, face, h, reason, when } from './dom.js';
import { t } from './i18n.js';

const PAGE = 50;
const OTHER = { 1: 'picture', 2: 'video', 3: 'voice' };

/** app: { store, open(name), refresh(), sendNow(), seen() }. */
export function chatView(app, name) {
  const { store } = app;
  const nodes = new Map(); // drawn rows, by seq: they never change
  const isGroup = name.startsWith('g:');
  let loading = false;

  const title = h('h2');
  const older = h('button#older.plain.small', { type: 'button', onclick: loadOlder });
  const list = h('ol#rows', { 'aria-live': 'polite' });
  const scroller = h('div.scroller', { onscroll: () => scroller.scrollTop < 40 && loadOlder() }, older, list);
  const input = h('textarea#text', { rows: 1, placeholder: t('write'), 'aria-label': t('write'), maxLength: 10000,
    onkeydown: (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    } });
  const root = h('main.conversation', { 'data-name': name },
    h('header', {},
      h('button#back.plain', { type: 'button', title: t('back'), onclick: () => app.open(null) }, '‹'), title,
      h('button#details.plain', { type: 'button', title: t('members'), onclick: details }, '⋯')),
    scroller,
    h('form.writer', { onsubmit: (event) => { event.preventDefault(); send(); } },
      input,
      h('button#send.primary', { type: 'submit' }, t('send'))));

  function send() {
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    store.queue(name, text);
    app.sendNow();
    draw(true);
  }

  async function loadOlder() {
    const c = store.conversation(name);
    if (loading || !store.synced_once || c.low <= c.floor + 1 || c.low <= 1) return;
    loading = true;
    try {
      const rows = await api.history(name, c.low, PAGE);
      const fromBottom = scroller.scrollHeight - scroller.scrollTop;
      store.addOlder(name, rows);
      draw();
      scroller.scrollTop = scroller.scrollHeight - fromBottom; // what was on screen stays there
    } catch (error) {
      older.textContent = reason(error);
    }
    loading = false;
  }

  function draw(toEnd = false) {
    const c = store.conversation(name);
    const atEnd = toEnd || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
    title.textContent = store.title(name);
    older.hidden = c.have === 0;
    older.textContent = t(c.low <= c.floor + 1 ? 'beginning' : 'older');
    let before = null;
    const items = store.rowsOf(name).map((row) => {
      const follows = before?.op === 'message' && before.sender_id === row.sender_id
        && row.create_time - before.create_time < 300;
      before = row;
      const key = `${row.seq} ${follows} ${store.names.get(row.sender_id)}`;
      if (!nodes.has(key)) nodes.set(key, rowItem(row, follows));
      return nodes.get(key);
    });
    items.push(...store.outbox.filter((item) => item.conversation === name).map(unsentItem));
    list.replaceChildren(...items);
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
    app.seen();
  }

  function rowItem(row, follows) {
    if (row.op === 'event') return h('li.event', {}, t(row.event, { name: row.name }));
    const mine = row.sender_id === store.me.id;
    const kind = OTHER[row.content_type] && t(OTHER[row.content_type]);
    const text = [kind, row.content, row.description].filter(Boolean).join(' ');
    return h(`li.message${mine ? '.mine' : ''}${follows ? '.follows' : ''}`, { 'data-seq': row.seq },
      isGroup && !mine && !follows && h('span.who', {}, store.names.get(row.sender_id) ?? `#${row.sender_id}`),
      h('p.bubble', {}, text), h('time', {}, when(row.create_time)));
  }

  function unsentItem(item) {
    return h(`li.message.mine.unsent${item.error ? '.failed' : ''}`, {}, h('p.bubble', {}, item.frame.content),
      item.error ? h('span.row.small', {}, h('span.error', {}, item.error),
        h('button.plain.small', { type: 'button', onclick: () => { store.requeue(item); app.sendNow(); } }, t('again')),
        h('button.plain.small', { type: 'button', onclick: () => store.forget(item) }, t('discard')))
        : h('time', {}, t('sending')));
  }

  async function loadMembers() {
    const id = Number(name.slice(2));
    store.setMembers(id, await api.groupMembers(id));
    return store.members.get(id);
  }

  async function details() {
    const { receiver_id: id } = store.target(name);
    const leave = careful(t(isGroup ? 'quit' : 'unfriend'), async () => {
      await (isGroup ? api.quitGroup(id) : api.deleteFriend(id));
      await app.refresh();
      node.close();
      app.open(null);
    });
    const people = h('ul#members');
    const node = dialog('details-dialog', store.title(name), isGroup && h('p.muted', {}, t('group_number', { id })),
      isGroup && h('h3', {}, t('members')), people, h('div.row', {}, leave));
    if (!isGroup) return;
    try {
      people.replaceChildren(...(await loadMembers()).map((user) =>
        h('li.row', {}, face(user.name, user.id), h('span', {}, user.name))));
    } catch (error) {
      people.replaceChildren(h('li.error', {}, reason(error)));
    }
  }

  if (isGroup) loadMembers().catch(() => {}); // only for names: numbers are shown until then
  return { root, draw, focus: () => input.focus(), reload: () => isGroup && loadMembers().catch(() => {}) };
}
