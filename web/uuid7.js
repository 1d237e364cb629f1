// UUID version 7 (RFC 9562) for client ids: the server's time in milliseconds, always rising, then random bits.
let offset = 0;
let last = 0;

/** Call on each hello: ids follow the server's clock, so that a wrong clock here does not make them too old. */
export function setServerTime(ms) {
  offset = ms - Date.now();
}

export function uuid7() {
  last = Math.max(Date.now() + offset, last + 1);
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setUint16(0, Math.floor(last / 2 ** 32));
  new DataView(bytes.buffer).setUint32(2, last % 2 ** 32);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
