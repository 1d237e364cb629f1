#include "token_parse.h"

#include <string.h>

static int
base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool
auth_base64url_decode(const char *src, size_t src_len, unsigned char *dst, size_t dst_bytes, size_t *out_len)
{
    size_t len = src_len / 4 * 3 + (src_len % 4 == 0 ? 0 : src_len % 4 - 1), at = 0;
    unsigned bits = 0, n_bits = 0;

    if (src_len % 4 == 1 || len > dst_bytes)
        return false;
    for (size_t i = 0; i < src_len; i++) {
        int value = base64url_value(src[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            dst[at++] = (unsigned char)(bits >> n_bits);
            bits &= (1u << n_bits) - 1;
        }
    }
    if (bits != 0)
        return false;
    *out_len = at;
    return true;
}

/* --- the header: a JSON reader for one object of two known members; no escapes, as these words need none --- */

struct text {
    const char *at, *end;
};

static void
skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\r' || *t->at == '\n'))
        t->at++;
}

static bool
take(struct text *t, const char *token)
{
    size_t len = strlen(token);

    skip_space(t);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, token, len) != 0)
        return false;
    t->at += len;
    return true;
}

static bool
take_member(struct text *t, bool *seen, const char *name, const char *value)
{
    if (*seen || !take(t, name) || !take(t, ":") || !take(t, value))
        return false;
    *seen = true;
    return true;
}

bool
auth_token_header_valid(const char *json, size_t json_len)
{
    struct text t = {json, json + json_len};
    bool alg = false, typ = false;

    if (!take(&t, "{"))
        return false;
    for (int i = 0; i < 2; i++) {
        struct text before = t;

        if (!take_member(&t, &alg, "\"alg\"", "\"HS256\"")) {
            t = before;
            if (!take_member(&t, &typ, "\"typ\"", "\"JWT\""))
                return false;
        }
        if (!take(&t, i == 0 ? "," : "}"))
            return false;
    }
    skip_space(&t);
    return t.at == t.end && alg && typ;
}

const char *
auth_token_split(const char *token, size_t token_len, struct auth_token *out_token)
{
    unsigned char bytes[AUTH_TOKEN_BYTES_MAX];
    struct auth_token t;
    const char *end = token + token_len, *dot;
    size_t len;

    if (token_len == 0)
        return "the token is empty";
    if (token_len > AUTH_TOKEN_BYTES_MAX)
        return "the token is too long";
    dot = memchr(token, '.', token_len);
    if (dot == NULL)
        return "the token has not three parts";
    t.head = token;
    t.head_len = (size_t)(dot - token);
    t.body = dot + 1;
    dot = memchr(t.body, '.', (size_t)(end - t.body));
    if (dot == NULL || memchr(dot + 1, '.', (size_t)(end - dot - 1)) != NULL)
        return "the token has not three parts";
    t.body_len = (size_t)(dot - t.body);
    t.sig = dot + 1;
    t.sig_len = (size_t)(end - t.sig);
    if (t.sig_len != AUTH_SIGNATURE_CHARS)
        return "the token's signature has not 32 bytes";
    if (t.body_len == 0 || !auth_base64url_decode(t.sig, t.sig_len, bytes, sizeof bytes, &len) ||
        !auth_base64url_decode(t.body, t.body_len, bytes, sizeof bytes, &len) ||
        !auth_base64url_decode(t.head, t.head_len, bytes, sizeof bytes, &len))
        return "the token is not base64url";
    if (!auth_token_header_valid((const char *)bytes, len)) /* the head was decoded last */
        return "the token's header is not exactly alg HS256 and typ JWT";
    *out_token = t;
    return NULL;
}
