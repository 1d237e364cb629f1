#include "http/framing.h"

#include "util/mem.h"

#include <string.h>
#include <strings.h>

enum { /* where in the head; framing->at */
    AT_EMPTY,      /* before the request line; CRLF is skipped */
    AT_EMPTY_LF,
    AT_METHOD,
    AT_TARGET,
    AT_VERSION,
    AT_LINE_LF,    /* the LF of the request line */
    AT_NAME_FIRST, /* first byte of a header line, or the CR of the empty one */
    AT_NAME,
    AT_VALUE_LEAD,
    AT_VALUE,
    AT_VALUE_LF,
    AT_END_LF
};

#define EMPTY_LINES_MAX 2 /* RFC 9112 2.2: at least one should be ignored */

static const char *const method_names[PIM_HTTP_METHODS] = {"GET",    "HEAD",    "POST", "PUT",
                                                           "DELETE", "OPTIONS", "PATCH"};

const char *
pim_http_method_name(enum pim_http_method method)
{
    return method_names[method];
}

void
pim_http_framing_init(struct pim_http_framing *framing, const struct pim_http_limits *limits)
{
    *framing = (struct pim_http_framing){.limits = limits};
    pim_buf_init(&framing->head, limits->head_bytes);
    pim_buf_init(&framing->body, limits->body_bytes);
}

void
pim_http_framing_fini(struct pim_http_framing *framing)
{
    pim_buf_fini(&framing->head);
    pim_buf_fini(&framing->body);
    free(framing->headers);
    framing->headers = NULL;
}

void
pim_http_framing_reset(struct pim_http_framing *framing)
{
    const struct pim_http_limits *limits = framing->limits;

    pim_http_framing_fini(framing); /* an idle connection holds no buffers */
    pim_http_framing_init(framing, limits);
}

static void
broken(struct pim_http_framing *framing, int status, const char *error)
{
    framing->state = PIM_HTTP_BROKEN;
    framing->status = status;
    framing->error = error;
}

/* RFC 9110 5.6.2 */
static bool
is_token_char(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
is_white(char c)
{
    return c == ' ' || c == '\t';
}

bool
pim_http_list_has(const char *list, size_t list_len, const char *token)
{
    size_t token_len = strlen(token);

    for (size_t from = 0; from <= list_len;) {
        const char *comma = from < list_len ? memchr(list + from, ',', list_len - from) : NULL;
        size_t to = comma != NULL ? (size_t)(comma - list) : list_len;
        size_t first = from, last = to;

        while (first < last && is_white(list[first]))
            first++;
        while (last > first && is_white(list[last - 1]))
            last--;
        if (last - first == token_len && strncasecmp(list + first, token, token_len) == 0)
            return true;
        from = to + 1;
    }
    return false;
}

static void
method_end(struct pim_http_framing *framing)
{
    const char *name = framing->head.data;
    size_t name_len = framing->head.len;

    for (int i = 0; i < PIM_HTTP_METHODS; i++) {
        if (strlen(method_names[i]) == name_len && memcmp(method_names[i], name, name_len) == 0) {
            framing->method = (enum pim_http_method)i;
            return;
        }
    }
    if ((name_len == 5 && memcmp(name, "TRACE", 5) == 0) || (name_len == 7 && memcmp(name, "CONNECT", 7) == 0))
        broken(framing, 405, "the method is not allowed");
    else
        broken(framing, 501, "the method is not known");
}

/* Origin form, absolute form of http or https, or the asterisk of OPTIONS (RFC 9112 3.2). */
static void
target_end(struct pim_http_framing *framing)
{
    const char *target = framing->head.data + framing->mark;
    uint32_t target_len = (uint32_t)framing->head.len - framing->mark;

    framing->target = (struct pim_http_span){framing->mark, target_len};
    if (target_len == 0) {
        broken(framing, 400, "the request line is malformed");
    } else if (target[0] == '/' || (target_len == 1 && target[0] == '*' && framing->method == PIM_HTTP_OPTIONS)) {
        return;
    } else if ((target_len > 7 && strncasecmp(target, "http://", 7) == 0 && target[7] != '/') ||
               (target_len > 8 && strncasecmp(target, "https://", 8) == 0 && target[8] != '/')) {
        return;
    } else {
        broken(framing, 400, "the request target is malformed");
    }
}

static void
version_end(struct pim_http_framing *framing)
{
    const char *version = framing->head.data + framing->mark;
    size_t version_len = framing->head.len - framing->mark;

    if (version_len != 8 || memcmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' ||
        version[6] != '.' || version[7] < '0' || version[7] > '9')
        broken(framing, 400, "the request line is malformed");
    else if (version[5] != '1' || version[7] > '1')
        broken(framing, 505, "this version of HTTP is not spoken here");
    else
        framing->minor = version[7] - '0';
}

static bool
name_is(const struct pim_http_framing *framing, const char *name)
{
    size_t name_len = strlen(name);

    return framing->line.name.len == name_len &&
           strncasecmp(framing->head.data + framing->line.name.at, name, name_len) == 0;
}

static void
length_read(struct pim_http_framing *framing, const char *value, size_t value_len)
{
    uint64_t length = 0;

    if (value_len == 0 || value_len > 18) {
        broken(framing, 400, "the Content-Length is not a number");
        return;
    }
    for (size_t i = 0; i < value_len; i++) {
        if (value[i] < '0' || value[i] > '9') {
            broken(framing, 400, "the Content-Length is not a number");
            return;
        }
        length = length * 10 + (uint64_t)(value[i] - '0');
    }
    framing->content_length = length;
    if (++framing->lengths > 1)
        broken(framing, 400, "there is more than one Content-Length");
}

/* RFC 9112 3.2: a host that is none is a 400. */
static void
host_read(struct pim_http_framing *framing, const char *value, size_t value_len)
{
    if (++framing->hosts > 1) {
        broken(framing, 400, "there is more than one Host");
        return;
    }
    for (size_t i = 0; i < value_len; i++) {
        char c = value[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c != '\0' && strchr("-._~%!$&'()*+;=:[]", c) != NULL))) {
            broken(framing, 400, "the Host is malformed");
            return;
        }
    }
    if (value_len == 0)
        broken(framing, 400, "the Host is empty");
}

/* A header line is whole: keep it, note what frames the request. */
static void
line_end(struct pim_http_framing *framing)
{
    const char *value;
    size_t value_len;

    while (framing->line.value.len > 0 &&
           is_white(framing->head.data[framing->line.value.at + framing->line.value.len - 1]))
        framing->line.value.len--;
    value = framing->head.data + framing->line.value.at;
    value_len = framing->line.value.len;
    if (framing->n_headers == framing->limits->headers) {
        broken(framing, 431, "there are too many header fields");
        return;
    }
    if (framing->n_headers == framing->cap_headers) {
        framing->cap_headers = framing->cap_headers == 0 ? 16 : framing->cap_headers * 2;
        framing->headers = pim_renew(framing->headers, framing->cap_headers, sizeof *framing->headers);
    }
    framing->headers[framing->n_headers++] = framing->line;

    if (name_is(framing, "host")) {
        host_read(framing, value, value_len);
    } else if (name_is(framing, "content-length")) {
        length_read(framing, value, value_len);
    } else if (name_is(framing, "transfer-encoding")) {
        if (framing->chunked || value_len != 7 || strncasecmp(value, "chunked", 7) != 0)
            broken(framing, 400, "the Transfer-Encoding is not known");
        framing->chunked = true;
    } else if (name_is(framing, "connection")) {
        framing->close = framing->close || pim_http_list_has(value, value_len, "close");
    } else if (name_is(framing, "expect")) {
        if (value_len != 12 || strncasecmp(value, "100-continue", 12) != 0)
            broken(framing, 417, "the expectation cannot be met");
        framing->expects_continue = framing->minor > 0;
    }
}

static void
head_end(struct pim_http_framing *framing)
{
    if (framing->hosts == 0 && framing->minor > 0)
        broken(framing, 400, "there is no Host");
    else if (framing->chunked && (framing->lengths > 0 || framing->minor == 0))
        broken(framing, 400, "Transfer-Encoding does not belong here");
    else if (framing->chunked)
        broken(framing, 411, "a body needs a Content-Length");
    else if (framing->content_length > framing->limits->body_bytes)
        broken(framing, 413, "the body is too large");
    else
        framing->state = framing->content_length > 0 ? PIM_HTTP_IN_BODY : PIM_HTTP_COMPLETE;
}

/* One byte of the head. What is kept goes into head: the request line and header lines without CR, LF and white space
 * before values. */
static void
head_byte(struct pim_http_framing *framing, uint8_t c)
{
    bool keep = true;

    switch (framing->at) {
    case AT_EMPTY:
        keep = false;
        if (c == '\r' && framing->skipped < EMPTY_LINES_MAX) {
            framing->at = AT_EMPTY_LF;
            break;
        }
        if (!is_token_char(c)) {
            broken(framing, 400, "the request line is malformed");
            break;
        }
        framing->state = PIM_HTTP_IN_HEAD;
        framing->at = AT_METHOD;
        keep = true;
        break;
    case AT_EMPTY_LF:
        keep = false;
        framing->skipped++;
        framing->at = AT_EMPTY;
        if (c != '\n')
            broken(framing, 400, "the request line is malformed");
        break;
    case AT_METHOD:
        if (c == ' ') {
            keep = false;
            framing->mark = (uint32_t)framing->head.len;
            framing->at = AT_TARGET;
            method_end(framing);
        } else if (!is_token_char(c)) {
            broken(framing, 400, "the request line is malformed");
        } else if (framing->head.len >= 16) {
            broken(framing, 501, "the method is not known");
        }
        break;
    case AT_TARGET:
        if (c == ' ') {
            keep = false;
            target_end(framing);
            framing->mark = (uint32_t)framing->head.len;
            framing->at = AT_VERSION;
        } else if (c <= 0x20 || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\') {
            broken(framing, 400, "the request target is malformed");
        } else if (framing->head.len - framing->mark >= framing->limits->uri_bytes) {
            broken(framing, 414, "the request target is too long");
        }
        break;
    case AT_VERSION:
        if (c == '\r') {
            keep = false;
            version_end(framing);
            framing->at = AT_LINE_LF;
        } else if (framing->head.len - framing->mark >= 8) {
            broken(framing, 400, "the request line is malformed");
        }
        break;
    case AT_LINE_LF:
    case AT_VALUE_LF:
        keep = false;
        if (c != '\n')
            broken(framing, 400, "a line does not end in CR LF");
        else if (framing->at == AT_VALUE_LF)
            line_end(framing);
        framing->at = AT_NAME_FIRST;
        break;
    case AT_NAME_FIRST:
        if (c == '\r') {
            keep = false;
            framing->at = AT_END_LF;
            break;
        }
        framing->line = (struct pim_http_header){.name.at = (uint32_t)framing->head.len};
        framing->at = AT_NAME;
        if (!is_token_char(c)) /* an obsolete fold begins with white space */
            broken(framing, 400, "a header name is malformed");
        break;
    case AT_NAME:
        if (c == ':') {
            keep = false;
            framing->line.name.len = (uint32_t)framing->head.len - framing->line.name.at;
            framing->at = AT_VALUE_LEAD;
        } else if (!is_token_char(c)) {
            broken(framing, 400, "a header name is malformed");
        }
        break;
    case AT_VALUE_LEAD:
        if (is_white((char)c)) {
            /* it counts against the limit, or white space could be sent for ever */
            if (++framing->skipped > framing->limits->head_bytes)
                broken(framing, 431, "the header is too large");
            keep = false;
            break;
        }
        framing->line.value.at = (uint32_t)framing->head.len;
        framing->at = AT_VALUE;
        __attribute__((fallthrough));
    case AT_VALUE:
        if (c == '\r') {
            keep = false;
            framing->line.value.len = (uint32_t)framing->head.len - framing->line.value.at;
            framing->at = AT_VALUE_LF;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            broken(framing, 400, "a header value is malformed");
        }
        break;
    default: /* AT_END_LF */
        keep = false;
        if (c != '\n')
            broken(framing, 400, "a line does not end in CR LF");
        else
            head_end(framing);
        break;
    }
    if (keep && framing->state != PIM_HTTP_BROKEN && pim_buf_addc(&framing->head, (char)c) != PIM_OK) {
        if (framing->at == AT_TARGET)
            broken(framing, 414, "the request target is too long");
        else
            broken(framing, 431, "the header is too large");
    }
}

size_t
pim_http_framing_feed(struct pim_http_framing *framing, const char *src, size_t src_len)
{
    size_t used = 0;

    while (used < src_len && (framing->state == PIM_HTTP_AT_START || framing->state == PIM_HTTP_IN_HEAD))
        head_byte(framing, (uint8_t)src[used++]);
    if (framing->state == PIM_HTTP_IN_BODY && used < src_len) {
        uint64_t left = framing->content_length - framing->body.len;
        size_t take = src_len - used < left ? src_len - used : (size_t)left;

        if (pim_buf_add(&framing->body, src + used, take) != PIM_OK)
            broken(framing, 413, "the body is too large");
        used += take;
        if (framing->state == PIM_HTTP_IN_BODY && framing->body.len == framing->content_length)
            framing->state = PIM_HTTP_COMPLETE;
    }
    return used;
}

bool
pim_http_framing_keeps_alive(const struct pim_http_framing *framing)
{
    return framing->minor > 0 && !framing->close;
}
