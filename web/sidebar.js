// The left column: who I am, how the connection is, requests, chats; and the dialogs that make friends and groups.
import * as api from './api.js';
import { dialog, face, field, form, h, reason, when } from './dom.js';
import { t } from './i18n.js';

/** app: { store, openName, open(name), refresh(), signOut(), switchLanguage(), retry() }. */
export function sidebarView(app) {
  const { store } = app;
  const state = h('p#state.state', { role: 'status' });
  const requests = h('ul#requests');
  const list = h('ul#chats');

  const root = h('aside', {},
    h('header', {}, face(store.me.name, store.me.id),
      h('div.grow', {}, h('h1', {}, store.me.name), state),
      h('button#language.plain.small', { type: 'button', onclick: app.switchLanguage }, t('language')),
      h('button#sign-out.plain.small', { type: 'button', onclick: app.signOut }, t('sign_out'))),
    h('nav', {},
      h('button#add-friend', { type: 'button', onclick: () => friendDialog(app) }, t('add_friend')),
      h('button#groups', { type: 'button', onclick: () => groupDialog(app) }, t('groups'))),
    requests, list);

  function draw() {
    requests.replaceChildren(...store.requests().map((row) => requestItem(app, row)));
    const chats = store.chats();
    list.replaceChildren(...(chats.length ? chats.map((chat) => chatItem(app, chat))
      : store.synced_once ? [h('li.empty.muted', {}, t('no_chats'))] : []));
  }

  function setState(kind, seconds) {
    root.dataset.state = kind;
    state.replaceChildren(h('span.dot'), h('span', {}, t(kind, { s: seconds })),
      kind === 'offline' ? h('button.plain.small', { type: 'button', onclick: app.retry }, t('retry')) : '');
  }

  return { root, draw, setState };
}

function chatItem(app, chat) {
  const current = chat.name === app.openName;
  return h('li', {}, h(`button.chat${current ? '.current' : ''}`, { type: 'button', 'data-name': chat.name,
    onclick: () => app.open(chat.name), ...(current && { 'aria-current': 'true' }) },
  face(chat.title, chat.name),
  h('span.grow', {}, h('span.line', {}, h('b', {}, chat.title), h('time.muted', {}, when(chat.time))),
    h('span.line', {}, h('span.last.muted', {}, chat.text),
      chat.unread > 0 && h('span.badge', {}, chat.unread > 99 ? '99+' : String(chat.unread))))));
}

function requestItem(app, row) {
  const error = h('p.error');
  const answer = async (yes) => {
    try {
      await api.answerFriend(row.user_id, yes);
      await app.refresh();
    } catch (exc) {
      error.textContent = reason(exc);
    }
  };
  return h('li.request', { 'data-user': row.user_id },
    h('p', {}, t('request_from', { name: row.name || `#${row.user_id}` })),
    row.note && h('p.muted', {}, `“${row.note}”`),
    h('div.row', {}, h('button.primary.accept', { type: 'button', onclick: () => answer(true) }, t('accept')),
      h('button.refuse', { type: 'button', onclick: () => answer(false) }, t('refuse'))), error);
}

function friendDialog(app) {
  const found = h('div#found');
  const ask = (user) => form('ask', t('send_request', { name: user.name }), async (fields) => {
    await api.askFriend(user.id, fields.note.value.trim());
    found.replaceChildren(h('p.notice', {}, t('asked', { name: user.name })));
    app.refresh();
  }, h('div.row', {}, face(user.name, user.id),
    h('p', {}, h('b', {}, user.name), h('br'), h('span.muted', {}, user.email))),
  field(t('note'), { name: 'note', maxLength: 10, autocomplete: 'off' }));
  dialog('friend-dialog', t('add_friend'), form('find', t('find'), async (fields) => {
    const user = await api.findUser(fields.email.value.trim());
    found.replaceChildren(user ? ask(user) : h('p.notice', {}, t('not_found')));
  }, field(t('friend_email'), { name: 'email', type: 'email', required: true, autocomplete: 'off' })), found);
}

function groupDialog(app) {
  const enter = async (id) => {
    await app.refresh();
    node.close();
    app.open(`g:${id}`);
  };
  const node = dialog('group-dialog', t('groups'),
    form('new-group', t('create'), async (fields) => {
      const group = await api.makeGroup(fields.name.value.trim());
      await enter(group.id ?? group.group_id);
    }, field(t('group_name'), { name: 'name', required: true, maxLength: 10, autocomplete: 'off' })),
    h('hr'),
    form('join-group', t('join'), async (fields) => {
      const id = Number(fields.group.value.trim());
      await api.joinGroup(id);
      await enter(id);
    }, field(t('join_group'), { name: 'group', required: true, pattern: '[0-9]{1,16}', inputMode: 'numeric',
      autocomplete: 'off' })));
}
