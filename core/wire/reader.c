#include "wire/reader.h"

#include "util/id.h"

#include <limits.h>
#include <string.h>

#define NAME_BYTES_MAX 13 /* of the fields' names: "delivery_time" */

struct text { /* a JSON string's inside, as it stands in the source */
    const char *at;
    size_t len;
    bool escaped;
};

struct reader {
    const char *at, *end;
    const char *why;
    int rc; /* the first failure */
};

enum field {
    F_NONE = -1,
    F_TYPE_ID, F_SENDER_ID, F_RECEIVER_ID, F_CREATE_TIME, F_DELIVERY_TIME, F_CONTENT_TYPE, /* numbers */
    F_CONTENT, F_PREVIEW_PIC, F_RESOURCE_URL, F_DESCRIPTION, F_ADDITIONAL, F_TITLE, F_ABSTRACT, F_CLIENT_ID, /* texts */
    F_OP,
    F_COUNT
};

static const struct {
    const char *name;
    size_t len;
    const char *wrong;
} fields[F_COUNT] = {
    [F_TYPE_ID] = {"type_id", 7, "'type_id' must be an integer"},
    [F_SENDER_ID] = {"sender_id", 9, "'sender_id' must be an integer"},
    [F_RECEIVER_ID] = {"receiver_id", 11, "'receiver_id' must be an integer"},
    [F_CREATE_TIME] = {"create_time", 11, "'create_time' must be an integer"},
    [F_DELIVERY_TIME] = {"delivery_time", 13, "'delivery_time' must be an integer"},
    [F_CONTENT_TYPE] = {"content_type", 12, "'content_type' must be an integer"},
    [F_CONTENT] = {"content", 7, "'content' must be a string"},
    [F_PREVIEW_PIC] = {"preview_pic", 11, "'preview_pic' must be a string"},
    [F_RESOURCE_URL] = {"resource_url", 12, "'resource_url' must be a string"},
    [F_DESCRIPTION] = {"description", 11, "'description' must be a string"},
    [F_ADDITIONAL] = {"additional", 10, "'additional' must be a string"},
    [F_TITLE] = {"title", 5, "'title' must be a string"},
    [F_ABSTRACT] = {"abstract", 8, "'abstract' must be a string"},
    [F_CLIENT_ID] = {"client_id", 9, "'client_id' must be a UUID of version 7"},
    [F_OP] = {"op", 2, ""},
};

static const char not_json[] = "the message is not a JSON object";

static bool
fail(struct reader *r, int rc, const char *why)
{
    if (r->rc == PIM_OK) {
        r->rc = rc;
        r->why = why;
    }
    return false;
}

static void
skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static int
hex4(const char *at)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* One escape after its backslash, at r->at. */
static bool
skip_escape(struct reader *r)
{
    int unit;

    if (r->at == r->end)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    switch (*r->at++) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return true;
    case 'u':
        break;
    default:
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    }
    if (r->end - r->at < 4 || (unit = hex4(r->at)) < 0)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    r->at += 4;
    if (unit == 0)
        return fail(r, PIM_ERR_PROTOCOL, "text must not hold NUL characters");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    /* a high surrogate and its low one */
    if (unit > 0xdbff || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u' || (unit = hex4(r->at + 2)) < 0xdc00 ||
        unit > 0xdfff)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    r->at += 6;
    return true;
}

static bool
read_string(struct reader *r, struct text *out)
{
    if (r->at == r->end || *r->at != '"')
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    out->at = ++r->at;
    out->escaped = false;
    for (;;) {
        const char *at = r->at;

        while (at < r->end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
            at++;
        r->at = at;
        if (at == r->end || (unsigned char)*at < 0x20)
            return fail(r, PIM_ERR_PROTOCOL, not_json);
        if (*at == '"')
            break;
        out->escaped = true;
        r->at++;
        if (!skip_escape(r))
            return false;
    }
    out->len = (size_t)(r->at - out->at);
    r->at++;
    return true;
}

/* A number: checks the grammar; whether it is an integer, and its value if it fits. */
static bool
read_number(struct reader *r, int64_t *out_value, bool *out_integer)
{
    const char *at = r->at, *digits;
    bool negative = false, integer = true, fits = true;
    uint64_t value = 0;

    if (at < r->end && *at == '-') {
        negative = true;
        at++;
    }
    digits = at;
    for (; at < r->end && *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (value > (UINT64_MAX - digit) / 10)
            fits = false;
        value = value * 10 + digit;
    }
    if (at == digits || (*digits == '0' && at - digits > 1))
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    if (at < r->end && *at == '.') {
        integer = false;
        digits = ++at;
        while (at < r->end && *at >= '0' && *at <= '9')
            at++;
        if (at == digits)
            return fail(r, PIM_ERR_PROTOCOL, not_json);
    }
    if (at < r->end && (*at == 'e' || *at == 'E')) {
        integer = false;
        at++;
        if (at < r->end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        while (at < r->end && *at >= '0' && *at <= '9')
            at++;
        if (at == digits)
            return fail(r, PIM_ERR_PROTOCOL, not_json);
    }
    if (integer && (!fits || value > (uint64_t)INT64_MAX + (negative ? 1 : 0)))
        return fail(r, PIM_ERR_PROTOCOL, "an integer is outside of 64 bits");
    r->at = at;
    *out_integer = integer;
    *out_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool skip_value(struct reader *r, int depth);

/* The next byte of a text, or the character that an escape stands for. */
static bool
next_char(const char **at, const char *end, uint32_t *out)
{
    if (*at == end)
        return false;
    if (**at != '\\') {
        *out = (unsigned char)*(*at)++;
        return true;
    }
    (*at)++;
    switch (*(*at)++) {
    case 'b': *out = '\b'; return true;
    case 'f': *out = '\f'; return true;
    case 'n': *out = '\n'; return true;
    case 'r': *out = '\r'; return true;
    case 't': *out = '\t'; return true;
    case 'u': {
        uint32_t unit = (uint32_t)hex4(*at);

        *at += 4;
        if (unit >= 0xd800 && unit <= 0xdbff) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)hex4(*at + 2) - 0xdc00);
            *at += 6;
        }
        *out = unit;
        return true;
    }
    default: *out = (unsigned char)(*at)[-1]; return true; /* " \ / */
    }
}

/* Write a text with its escapes in one canonical form. @return bytes written; never more than the source held. */
static size_t
canonical(char *dst, const struct text *text)
{
    static const char hex[] = "0123456789abcdef";
    const char *at = text->at, *end = at + text->len;
    char *out = dst;
    uint32_t c;

    if (!text->escaped) {
        memcpy(dst, text->at, text->len);
        return text->len;
    }
    while (at < end) {
        bool was_escape = *at == '\\';

        if (!next_char(&at, end, &c))
            break;
        if (!was_escape) {
            *out++ = (char)c; /* a byte of UTF-8 as it stood */
        } else if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char)c;
        } else if (c < 0x20) {
            static const char letters[] = "\b\f\n\r\t", names[] = "bfnrt";
            const char *letter = memchr(letters, (int)c, 5);

            *out++ = '\\';
            if (letter != NULL) {
                *out++ = names[letter - letters];
            } else {
                *out++ = 'u', *out++ = '0', *out++ = '0';
                *out++ = hex[c >> 4], *out++ = hex[c & 15];
            }
        } else if (c < 0x80) {
            *out++ = (char)c;
        } else if (c < 0x800) {
            *out++ = (char)(0xc0 | c >> 6);
            *out++ = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
            *out++ = (char)(0x80 | (c >> 6 & 0x3f));
            *out++ = (char)(0x80 | (c & 0x3f));
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
            *out++ = (char)(0x80 | (c >> 6 & 0x3f));
            *out++ = (char)(0x80 | (c & 0x3f));
        }
    }
    return (size_t)(out - dst);
}

/* As next_char, but a whole character where the source has it in UTF-8. */
static bool
next_point(const char **at, const char *end, uint32_t *out)
{
    bool was_escape = *at < end && **at == '\\';

    if (!next_char(at, end, out))
        return false;
    if (!was_escape && *out >= 0xc0) {
        *out &= *out >= 0xf0 ? 0x07 : *out >= 0xe0 ? 0x0f : 0x1f;
        while (*at < end && ((unsigned char)**at & 0xc0) == 0x80)
            *out = *out << 6 | ((unsigned char)*(*at)++ & 0x3f);
    }
    return true;
}

/* Are two keys the same text? The rare escaped ones are compared character by character. */
static bool
same_key(const struct text *x, const struct text *y)
{
    const char *x_at = x->at, *x_end = x->at + x->len, *y_at = y->at, *y_end = y->at + y->len;
    uint32_t a, b;
    bool more;

    if (!x->escaped && !y->escaped)
        return x->len == y->len && memcmp(x->at, y->at, x->len) == 0;
    while ((more = next_point(&x_at, x_end, &a)) == next_point(&y_at, y_end, &b))
        if (!more)
            return true;
        else if (a != b)
            return false;
    return false;
}

static bool
is_new_key(struct reader *r, struct text *keys, size_t *n_keys, const struct text *key)
{
    for (size_t i = 0; i < *n_keys; i++)
        if (same_key(&keys[i], key))
            return fail(r, PIM_ERR_INVALID, "a key stands twice in one object");
    if (*n_keys == PIM_WIRE_KEYS_MAX)
        return fail(r, PIM_ERR_INVALID, "an object has too many keys");
    keys[(*n_keys)++] = *key;
    return true;
}

static bool
expect(struct reader *r, char c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    r->at++;
    return true;
}

static bool
skip_word(struct reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    r->at += len;
    return true;
}

static bool
skip_object(struct reader *r, int depth)
{
    struct text keys[PIM_WIRE_KEYS_MAX], key;
    size_t n_keys = 0;

    r->at++;
    skip_space(r);
    if (r->at < r->end && *r->at == '}') {
        r->at++;
        return true;
    }
    for (;;) {
        skip_space(r);
        if (!read_string(r, &key) || !is_new_key(r, keys, &n_keys, &key) || !expect(r, ':') || !skip_value(r, depth + 1))
            return false;
        skip_space(r);
        if (r->at == r->end)
            return fail(r, PIM_ERR_PROTOCOL, not_json);
        if (*r->at == '}') {
            r->at++;
            return true;
        }
        if (*r->at++ != ',')
            return fail(r, PIM_ERR_PROTOCOL, not_json);
    }
}

static bool
skip_array(struct reader *r, int depth)
{
    r->at++;
    skip_space(r);
    if (r->at < r->end && *r->at == ']') {
        r->at++;
        return true;
    }
    for (;;) {
        if (!skip_value(r, depth + 1))
            return false;
        skip_space(r);
        if (r->at == r->end)
            return fail(r, PIM_ERR_PROTOCOL, not_json);
        if (*r->at == ']') {
            r->at++;
            return true;
        }
        if (*r->at++ != ',')
            return fail(r, PIM_ERR_PROTOCOL, not_json);
    }
}

static bool
skip_value(struct reader *r, int depth)
{
    struct text text;
    int64_t number;
    bool integer;

    if (depth > PIM_WIRE_DEPTH_MAX)
        return fail(r, PIM_ERR_INVALID, "the message is nested too deep");
    skip_space(r);
    if (r->at == r->end)
        return fail(r, PIM_ERR_PROTOCOL, not_json);
    switch (*r->at) {
    case '"': return read_string(r, &text);
    case '{': return skip_object(r, depth);
    case '[': return skip_array(r, depth);
    case 't': return skip_word(r, "true", 4);
    case 'f': return skip_word(r, "false", 5);
    case 'n': return skip_word(r, "null", 4);
    default: return read_number(r, &number, &integer);
    }
}

static enum field
field_of(const struct text *key)
{
    struct text plain = *key;
    char name[6 * NAME_BYTES_MAX]; /* with every character as an escape */

    if (key->escaped) {
        if (key->len > sizeof name)
            return F_NONE;
        plain.len = canonical(name, key);
        plain.at = name;
    }
    for (int f = 0; f < F_COUNT; f++)
        if (plain.len == fields[f].len && memcmp(plain.at, fields[f].name, plain.len) == 0)
            return (enum field)f;
    return F_NONE;
}

static char *
put_text(char *out, const char *comma_name, const struct text *text)
{
    size_t name_len = strlen(comma_name);

    if (text->len == 0)
        return out;
    memcpy(out, comma_name, name_len);
    out += name_len;
    out += canonical(out, text);
    *out++ = '"';
    return out;
}

/* The stored body: content fields in one order, empty ones left out, so that equal messages have equal bodies. */
static size_t
put_body(char *body, const struct pim_message *msg, const struct text texts[F_COUNT])
{
    char *out = body;
    size_t first;

    *out++ = '{';
    if (msg->has & PIM_HAS_CONTENT_TYPE) {
        int64_t value = msg->content_type;
        char digits[20];
        size_t n = 0;
        uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

        memcpy(out, ",\"content_type\":", 16);
        out += 16;
        if (value < 0)
            *out++ = '-';
        do {
            digits[n++] = (char)('0' + u % 10);
            u /= 10;
        } while (u > 0);
        while (n > 0)
            *out++ = digits[--n];
    }
    out = put_text(out, ",\"content\":\"", &texts[F_CONTENT]);
    out = put_text(out, ",\"title\":\"", &texts[F_TITLE]);
    out = put_text(out, ",\"abstract\":\"", &texts[F_ABSTRACT]);
    out = put_text(out, ",\"preview_pic\":\"", &texts[F_PREVIEW_PIC]);
    out = put_text(out, ",\"resource_url\":\"", &texts[F_RESOURCE_URL]);
    out = put_text(out, ",\"description\":\"", &texts[F_DESCRIPTION]);
    out = put_text(out, ",\"additional\":\"", &texts[F_ADDITIONAL]);
    *out++ = '}';
    first = (size_t)(out - body);
    if (first > 2) { /* the first comma */
        memmove(body + 1, body + 2, first - 2);
        first--;
    }
    return first;
}

int
pim_wire_read(const char *src, size_t src_len, char *body, struct pim_message *out_msg, const char **out_why)
{
    struct reader r = {.at = src, .end = src + src_len};
    struct text keys[PIM_WIRE_KEYS_MAX], key, texts[F_COUNT] = {{0}};
    int64_t numbers[F_COUNT] = {0};
    size_t n_keys = 0;
    uint32_t seen = 0;
    struct pim_message msg = {0};

    skip_space(&r);
    if (r.at == r.end || *r.at != '{') {
        fail(&r, PIM_ERR_PROTOCOL, not_json);
        goto out;
    }
    r.at++;
    skip_space(&r);
    if (r.at < r.end && *r.at == '}') {
        r.at++;
        goto end;
    }
    for (;;) {
        enum field field;

        skip_space(&r);
        if (!read_string(&r, &key) || !is_new_key(&r, keys, &n_keys, &key) || !expect(&r, ':'))
            goto out;
        skip_space(&r);
        field = field_of(&key);
        if (field == F_NONE || field == F_OP) {
            if (!skip_value(&r, 2))
                goto out;
        } else if (field <= F_CONTENT_TYPE) {
            bool integer;

            if (r.at == r.end || (*r.at != '-' && (*r.at < '0' || *r.at > '9'))) {
                if (skip_value(&r, 2)) /* JSON, but no number */
                    fail(&r, PIM_ERR_INVALID, fields[field].wrong);
                goto out;
            }
            if (!read_number(&r, &numbers[field], &integer))
                goto out;
            if (!integer) {
                fail(&r, PIM_ERR_INVALID, fields[field].wrong);
                goto out;
            }
        } else {
            if (r.at == r.end || *r.at != '"') {
                if (skip_value(&r, 2))
                    fail(&r, PIM_ERR_INVALID, fields[field].wrong);
                goto out;
            }
            if (!read_string(&r, &texts[field]))
                goto out;
        }
        if (field != F_NONE)
            seen |= 1u << field;
        skip_space(&r);
        if (r.at == r.end) {
            fail(&r, PIM_ERR_PROTOCOL, not_json);
            goto out;
        }
        if (*r.at == '}') {
            r.at++;
            break;
        }
        if (*r.at++ != ',') {
            fail(&r, PIM_ERR_PROTOCOL, not_json);
            goto out;
        }
    }
end:
    skip_space(&r);
    if (r.at != r.end) {
        fail(&r, PIM_ERR_PROTOCOL, not_json);
        goto out;
    }
    if (seen & 1u << F_OP)
        return PIM_DEFER;
    if (seen & 1u << F_CLIENT_ID) {
        char text[36];

        if (texts[F_CLIENT_ID].escaped || texts[F_CLIENT_ID].len != sizeof text ||
            !pim_uuid7_parse(texts[F_CLIENT_ID].at, texts[F_CLIENT_ID].len, msg.cid)) {
            fail(&r, PIM_ERR_INVALID, fields[F_CLIENT_ID].wrong);
            goto out;
        }
        msg.has |= PIM_HAS_CLIENT_ID;
    }
    msg.has |= (seen & 1u << F_TYPE_ID ? PIM_HAS_TYPE_ID : 0) | (seen & 1u << F_SENDER_ID ? PIM_HAS_SENDER_ID : 0) |
               (seen & 1u << F_RECEIVER_ID ? PIM_HAS_RECEIVER_ID : 0) |
               (seen & 1u << F_CONTENT_TYPE ? PIM_HAS_CONTENT_TYPE : 0) |
               (seen & 1u << F_DELIVERY_TIME ? PIM_HAS_DELIVERY_TIME : 0);
    msg.type_id = numbers[F_TYPE_ID];
    msg.sender_id = numbers[F_SENDER_ID];
    msg.receiver_id = numbers[F_RECEIVER_ID];
    msg.content_type = numbers[F_CONTENT_TYPE];
    msg.delivery_time = numbers[F_DELIVERY_TIME];
    msg.content_len = texts[F_CONTENT].len;
    msg.preview_pic_len = texts[F_PREVIEW_PIC].len;
    msg.resource_url_len = texts[F_RESOURCE_URL].len;
    msg.title_len = texts[F_TITLE].len;
    msg.abstract_len = texts[F_ABSTRACT].len;
    msg.body_len = put_body(body, &msg, texts);
    msg.body = body;
    *out_msg = msg;
    return PIM_OK;
out:
    *out_why = r.why;
    return r.rc;
}
