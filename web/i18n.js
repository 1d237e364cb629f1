// The page's words in English and Chinese. {x} in a text is filled from the fields given.
const words = {
  tagline: ['Private messages on your own server', '在自己的服务器上私密聊天'],
  sign_in: ['Sign in', '登录'],
  sign_up: ['Sign up', '注册'],
  to_sign_up: ['New here? Make an account', '没有账号？注册一个'],
  to_sign_in: ['I have an account', '已有账号，去登录'],
  sign_out: ['Sign out', '退出登录'],
  name: ['Name', '名字'],
  email: ['E-mail', '邮箱'],
  password: ['Password', '密码'],
  password_hint: ['at least 8 characters', '至少 8 个字符'],
  online: ['online', '在线'],
  connecting: ['connecting…', '连接中…'],
  offline: ['offline, next try in {s} s', '已断开，{s} 秒后重试'],
  retry: ['try now', '立即重试'],
  replaced: ['This account was opened in newer windows. Reload to come back here.',
    '此账号已在更新的窗口打开。刷新页面可回到这里。'],
  session_ended: ['Your session has ended. Please sign in again.', '会话已结束，请重新登录。'],
  no_server: ['The server does not answer. Try again in a moment.', '服务器没有响应，请稍后再试。'],
  add_friend: ['Add a friend', '添加好友'],
  friend_email: ["Your friend's e-mail", '好友的邮箱'],
  note: ['A word with it (10 characters)', '附言（最多 10 个字）'],
  find: ['Find', '查找'],
  not_found: ['Nobody has this address.', '没有人使用这个邮箱。'],
  send_request: ['Ask {name}', '请求添加 {name}'],
  asked: ['Asked. {name} has to accept.', '已发送，等待 {name} 同意。'],
  request_from: ['{name} wants to be your friend', '{name} 想加你为好友'],
  accept: ['Accept', '同意'],
  refuse: ['Refuse', '拒绝'],
  groups: ['Groups', '群聊'],
  new_group: ['New group', '新建群聊'],
  group_name: ['Name of the group', '群聊名称'],
  create: ['Create', '创建'],
  join_group: ['Join a group by its number', '通过群号加入'],
  group_id: ['Number of the group', '群号'],
  join: ['Join', '加入'],
  members: ['Members', '成员'],
  group_number: ['Group number: {id}', '群号：{id}'],
  quit: ['Leave the group', '退出群聊'],
  unfriend: ['Remove friend', '删除好友'],
  sure: ['Really? Press again', '确定？再按一次'],
  close: ['Close', '关闭'],
  no_chats: ['No chats yet. Add a friend by e-mail, or join a group.', '还没有聊天。用邮箱添加好友，或加入群聊。'],
  pick_chat: ['Pick a chat', '选择一个聊天'],
  write: ['Write a message', '输入消息'],
  send: ['Send', '发送'],
  sending: ['waiting', '等待发送'],
  again: ['Send again', '重新发送'],
  discard: ['Discard', '丢弃'],
  older: ['Earlier messages', '更早的消息'],
  beginning: ['This is the beginning.', '这是最初的消息。'],
  back: ['Back', '返回'],
  picture: ['[picture]', '[图片]'],
  video: ['[video]', '[视频]'],
  voice: ['[voice]', '[语音]'],
  member_joined: ['{name} joined', '{name} 加入了群聊'],
  member_left: ['{name} left', '{name} 退出了群聊'],
  unfriended: ['You are no longer friends.', '你们已不再是好友。'],
  blocked: ['You are no longer friends.', '你们已不再是好友。'],
  you: ['you', '你'],
  language: ['中文', 'English'],
};

let index = 0;

export function initLanguage() {
  setLanguage(localStorage.getItem('pim.lang') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'));
}

export function setLanguage(language) {
  index = language === 'zh' ? 1 : 0;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

export function switchLanguage() {
  const next = index ? 'en' : 'zh';
  localStorage.setItem('pim.lang', next);
  setLanguage(next);
}

export const locale = () => document.documentElement.lang;

export const t = (key, fields = {}) =>
  words[key][index].replace(/\{(\w+)\}/g, (whole, name) => fields[name] ?? whole);
