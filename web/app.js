// The page: signed out it shows the form, signed in it ties store, socket and views together.
import * as api from './api.js';
import { authView } from './auth.js';
import { chatView } from './chat.js';
import { h } from './dom.js';
import { initLanguage, switchLanguage, t } from './i18n.js';
import { sidebarView } from './sidebar.js';
import { Socket } from './socket.js';
import { Store } from './store.js';

const TOKEN = 'pim.token';

initLanguage();
start();

function signedOut(message) {
  localStorage.removeItem(TOKEN);
  api.setToken(null);
  document.body.className = '';
  document.body.replaceChildren(authView((token) => {
    localStorage.setItem(TOKEN, token);
    start();
  }, message));
}

async function start() {
  const token = localStorage.getItem(TOKEN);
  if (!token) {
    signedOut();
    return;
  }
  api.setToken(token);
  try {
    run(token, await api.profile());
  } catch (error) {
    if (error.status === 401) signedOut(t('session_ended'));
    else setTimeout(start, 2000); // the server is away: the token may still be good
    if (error.status !== 401 && !document.body.querySelector('.auth')) {
      document.body.replaceChildren(h('p.notice.center', {}, t('no_server')));
    }
  }
}

function run(token, me) {
  const store = new Store(me);
  let chat = null;
  let state = ['connecting'];
  let retryAt = 0;
  const app = {
    store,
    openName: null,
    open(name) {
      app.openName = name;
      chat = name ? chatView(app, name) : null;
      document.body.classList.toggle('chat-open', Boolean(name));
      place.replaceChildren(chat?.root ?? h('main.conversation.none', {}, h('p.muted', {}, t('pick_chat'))));
      chat?.draw(true);
      chat?.focus();
      sidebar.draw();
    },
    sendNow: () => socket.flush(),
    seen() {
      if (app.openName && document.visibilityState === 'visible') socket.read(app.openName);
    },
    async refresh() {
      const [friends, groups] = await Promise.all([api.friends(), api.groups()]);
      store.setFriends(friends);
      store.setGroups(groups);
    },
    async signOut() {
      await api.signOut().catch(() => {});
      leave();
    },
    switchLanguage() {
      switchLanguage();
      build();
    },
    retry: () => socket.retryNow(),
  };
  const place = h('div.place');
  let sidebar;

  function build() {
    sidebar = sidebarView(app);
    document.body.className = 'app';
    document.body.replaceChildren(sidebar.root, place);
    sidebar.setState(...state);
    app.open(app.openName);
  }

  function showState(kind, waitMs = 0) {
    retryAt = Date.now() + waitMs;
    state = [kind, Math.ceil(waitMs / 1000)];
    sidebar.setState(...state);
  }

  function draw() {
    sidebar.draw();
    chat?.draw();
    const unread = store.chats().reduce((sum, item) => sum + item.unread, 0);
    document.title = unread ? `(${unread}) PrivateIM` : 'PrivateIM';
  }

  function leave(message) {
    socket.close();
    clearInterval(clock);
    document.removeEventListener('visibilitychange', app.seen);
    document.title = 'PrivateIM';
    signedOut(message);
  }

  const quietRefresh = () => app.refresh().catch((error) => { if (error.status === 401) leave(t('session_ended')); });
  const socket = new Socket(store, token, {
    state(kind, waitMs) {
      if (sidebar) showState(kind, waitMs);
      if (kind === 'online') quietRefresh();
    },
    refused: quietRefresh, // finds out whether the token is still good
    ended(code) {
      if (code === 4001) leave(t('session_ended'));
      else place.replaceChildren(h('p.notice.center', {}, t('replaced')));
    },
  });
  const clock = setInterval(() => {
    if (state[0] === 'offline') showState('offline', Math.max(0, retryAt - Date.now()));
  }, 1000);
  let refreshTimer = null;

  store.addEventListener('change', draw);
  store.addEventListener('stale', () => { // an event about friends or groups: many may come at once
    clearTimeout(refreshTimer);
    refreshTimer = setTimeout(() => { quietRefresh(); chat?.reload(); }, 100);
  });
  document.addEventListener('visibilitychange', app.seen);
  build();
}
