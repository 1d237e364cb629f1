// Signing in and up.
import * as api from './api.js';
import { field, form, h } from './dom.js';
import { switchLanguage, t } from './i18n.js';

/** done(token) after success; message: why the person is here again. */
export function authView(done, message = '') {
  let making = false;
  const root = h('main.auth');

  async function submit(fields) {
    const email = fields.email.value.trim();
    const password = fields.password.value;
    const answer = making ? await api.signUp(fields.name.value.trim(), email, password)
      : await api.signIn(email, password);
    done(answer.auth_token);
  }

  function draw() {
    const inner = form('auth', t(making ? 'sign_up' : 'sign_in'), submit,
      making && field(t('name'), { name: 'name', required: true, maxLength: 10, autocomplete: 'nickname' }),
      field(t('email'), { name: 'email', type: 'email', required: true, maxLength: 100, autocomplete: 'email' }),
      field(t('password'), { name: 'password', type: 'password', required: true, minLength: 8, maxLength: 128,
        placeholder: making ? t('password_hint') : '', autocomplete: making ? 'new-password' : 'current-password' }));
    root.replaceChildren(h('div.card', {},
      h('img.logo', { src: '/web/icon.svg', alt: '' }), h('h1', {}, 'PrivateIM'), h('p.muted', {}, t('tagline')),
      message && h('p.notice', {}, message), inner,
      h('button#auth-switch.plain', { type: 'button', onclick: () => { making = !making; draw(); } },
        t(making ? 'to_sign_in' : 'to_sign_up')),
      h('button.plain.small', { type: 'button', onclick: () => { switchLanguage(); draw(); } }, t('language'))));
  }

  draw();
  return root;
}
