/* auth/token_parse.h - the strict look at a token before any library reads it. Any thread, no memory, no state. */
#ifndef PIM_AUTH_TOKEN_PARSE_H
#define PIM_AUTH_TOKEN_PARSE_H
#include <stdbool.h>
#include <stddef.h>

#define AUTH_TOKEN_BYTES_MAX 4096
#define AUTH_SIGNATURE_CHARS 43 /* 32 bytes */

/* The three parts, base64url, inside the token. */
struct auth_token {
    const char *head, *body, *sig;
    size_t head_len, body_len, sig_len;
};

/**
 * Split a token and check all that can be said without a key: at most 4 KiB, three parts of canonical base64url, a
 * header that says HS256 and JWT and nothing else, a signature of 32 bytes.
 *
 * @return NULL and *out_token, or what is wrong (static text). Source: RFC 7515 3.1, RFC 8725 3.1
 */
const char *auth_token_split(const char *token, size_t token_len, struct auth_token *out_token);

/**
 * Decode base64url without padding; unused bits of the last character must be zero, so each run of bytes has one text.
 *
 * @return false if it is not that or does not fit. Source: RFC 4648 5, 3.5
 */
bool auth_base64url_decode(const char *src, size_t src_len, unsigned char *dst, size_t dst_bytes, size_t *out_len);

/** Is the JSON text exactly an object of "alg": "HS256" and "typ": "JWT", in either order? */
bool auth_token_header_valid(const char *json, size_t json_len);

#endif
