// The HTTP routes the page uses (docs/http.md). Every call resolves to the parsed answer or throws ApiError.
export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status; // 0: no answer at all
    this.retryAfter = retryAfter;
  }
}

let token = null;

export function setToken(value) {
  token = value;
}

async function call(method, path, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: 'omit' });
  } catch {
    throw new ApiError(0, '');
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new ApiError(response.status, answer.error ?? `HTTP ${response.status}`, response.headers.get('Retry-After'));
  }
  return answer;
}

const query = (fields) => new URLSearchParams(fields).toString();

export const signUp = (name, email, password) =>
  call('POST', '/auth/user', { name, email, password, confirm_password: password });
export const signIn = (email, password) => call('POST', '/auth/profile', { email, password });
export const signOut = () => call('DELETE', '/auth/session');
export const profile = () => call('GET', '/info/profile');

export const findUser = async (email) => (await call('GET', `/search/users?${query({ kw: email })}`)).hits.hits
  .map((hit) => ({ ...hit._source, id: Number(hit._source.id ?? hit._id) }))[0];
export const friends = async () => (await call('GET', '/relation/friends')).friends ?? [];
export const askFriend = (id, note) => call('POST', '/relation/friend', { dst_id: id, note });
export const answerFriend = (id, yes) =>
  call('PUT', '/relation/friend', { action: 2, dst_id: id, note: '', is_accept: yes, is_black: !yes });
export const deleteFriend = (id) => call('DELETE', '/relation/friend', { dst_id: id });

export const groups = async () => (await call('GET', '/relation/group_chats')).group_chat_list ?? [];
export const makeGroup = async (name) => (await call('POST', '/group_chat/instance', { name })).group_chat;
export const joinGroup = (id) => call('POST', '/group_chat/user', { group_id: id, note: '' });
export const quitGroup = (id) => call('DELETE', '/group_chat/user', { group_id: id });
export const groupMembers = async (id) =>
  (await call('GET', `/group_chat/users?${query({ group_id: id })}`)).users ?? [];

/** Rows before seq, newest first. */
export const history = async (conversation, before, limit) =>
  (await call('GET', `/messages?${query({ conversation, before, limit })}`)).messages ?? [];
