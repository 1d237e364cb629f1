// Small helpers to build the page. Text goes in as text nodes only: nothing that came from a person is ever parsed.
import { ApiError } from './api.js';
import { t } from './i18n.js';

/** h('button#send.primary', { onclick }, 'text', node, ...): an element; false and null children are left out. */
export function h(what, props = {}, ...children) {
  const [, tag, id, classes] = /^(\w+)(?:#([\w-]+))?((?:\.[\w-]+)*)$/.exec(what);
  const node = document.createElement(tag);
  if (id) node.id = id;
  if (classes) node.className = classes.slice(1).replaceAll('.', ' ');
  for (const [key, value] of Object.entries(props)) {
    if (key in node && key !== 'role') node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

/** The sentence to show for a failed call. */
export const reason = (error) =>
  (error instanceof ApiError ? (error.status ? error.message : t('no_server')) : String(error.message ?? error));

/** A form whose button is off while the work runs and whose failure is shown under it. */
export function form(id, submit, work, ...fields) {
  const error = h('p.error', { role: 'alert' });
  const button = h('button.primary', { type: 'submit' }, submit);
  return h(`form#${id}`, {
    onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      error.textContent = '';
      try {
        await work(event.target.elements);
      } catch (exc) {
        error.textContent = reason(exc);
      }
      button.disabled = false;
    },
  }, ...fields, button, error);
}

export const field = (label, props) => h('label', {}, h('span', {}, label), h('input', props));

export function dialog(id, title, ...children) {
  const node = h(`dialog#${id}`, { onclose: () => node.remove() }, h('header', {}, h('h2', {}, title),
    h('button.plain.close', { type: 'button', title: t('close'), onclick: () => node.close() }, '✕')), ...children);
  document.body.append(node);
  node.showModal();
  return node;
}

/** A button for what cannot be undone: asks by changing its own words. */
export function careful(label, work) {
  const button = h('button.danger', { type: 'button', onclick: async () => {
    if (button.textContent !== t('sure')) {
      button.textContent = t('sure');
      return;
    }
    try {
      await work();
    } catch (error) {
      button.textContent = reason(error);
    }
  } }, label);
  return button;
}

/** The round letter that stands for a person or group; its colour comes from the key. */
export function face(title, key) {
  const colour = [...String(key)].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 6;
  return h(`span.face.face-${colour}`, { 'aria-hidden': 'true' }, [...title.replace('#', '')][0] ?? '?');
}

export function when(seconds) {
  if (!seconds) return '';
  const date = new Date(seconds * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return new Intl.DateTimeFormat(document.documentElement.lang, today ? { timeStyle: 'short' }
    : { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' }).format(date);
}
