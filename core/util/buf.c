#include "util/buf.h"

#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
pim_buf_init(struct pim_buf *buf, size_t max_bytes)
{
    *buf = (struct pim_buf){.max_bytes = max_bytes};
}

void
pim_buf_fini(struct pim_buf *buf)
{
    free(buf->data);
    *buf = (struct pim_buf){.max_bytes = buf->max_bytes};
}

int
pim_buf_reserve(struct pim_buf *buf, size_t more_bytes)
{
    size_t need, cap;

    if (more_bytes > buf->max_bytes - buf->len) {
        buf->overflow = true;
        return PIM_ERR_TOO_LARGE;
    }
    need = buf->len + more_bytes + 1; /* + 1 for pim_buf_cstr */
    if (need <= buf->cap)
        return PIM_OK;
    cap = buf->cap ? buf->cap : 128;
    while (cap < need)
        cap *= 2;
    buf->data = pim_renew(buf->data, cap, 1);
    buf->cap = cap;
    return PIM_OK;
}

int
pim_buf_add(struct pim_buf *buf, const void *src, size_t src_len)
{
    int rc;

    if (src_len == 0)
        return PIM_OK;
    rc = pim_buf_reserve(buf, src_len);
    if (rc < 0)
        return rc;
    memcpy(buf->data + buf->len, src, src_len);
    buf->len += src_len;
    return PIM_OK;
}

int
pim_buf_adds(struct pim_buf *buf, const char *text)
{
    return pim_buf_add(buf, text, strlen(text));
}

int
pim_buf_addc(struct pim_buf *buf, char byte)
{
    return pim_buf_add(buf, &byte, 1);
}

size_t
pim_int_format(char *dst, int64_t value)
{
    char tmp[20];
    size_t n = 0, len = 0;
    uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        tmp[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (value < 0)
        dst[len++] = '-';
    while (n > 0)
        dst[len++] = tmp[--n];
    return len;
}

int
pim_buf_add_int(struct pim_buf *buf, int64_t value)
{
    char tmp[20];

    return pim_buf_add(buf, tmp, pim_int_format(tmp, value));
}

int
pim_buf_addf(struct pim_buf *buf, const char *fmt, ...)
{
    va_list ap;
    int n, rc;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return PIM_ERR_INTERNAL;
    rc = pim_buf_reserve(buf, (size_t)n);
    if (rc < 0)
        return rc;
    va_start(ap, fmt);
    vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)n;
    return PIM_OK;
}

int
pim_buf_add_json(struct pim_buf *buf, const char *text, size_t text_len)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0, start_len = buf->len;
    int rc = pim_buf_addc(buf, '"');

    for (size_t i = 0; rc == PIM_OK && i < text_len; i++) {
        unsigned char c = (unsigned char)text[i];
        char esc[6] = {'\\', 0, 0, 0, 0, 0};
        size_t esc_len = 2;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        switch (c) {
        case '"': esc[1] = '"'; break;
        case '\\': esc[1] = '\\'; break;
        case '\b': esc[1] = 'b'; break;
        case '\f': esc[1] = 'f'; break;
        case '\n': esc[1] = 'n'; break;
        case '\r': esc[1] = 'r'; break;
        case '\t': esc[1] = 't'; break;
        default:
            esc[1] = 'u', esc[2] = '0', esc[3] = '0';
            esc[4] = hex[c >> 4], esc[5] = hex[c & 15];
            esc_len = 6;
        }
        rc = pim_buf_add(buf, text + from, i - from);
        if (rc == PIM_OK)
            rc = pim_buf_add(buf, esc, esc_len);
        from = i + 1;
    }
    if (rc == PIM_OK)
        rc = pim_buf_add(buf, text + from, text_len - from);
    if (rc == PIM_OK)
        rc = pim_buf_addc(buf, '"');
    if (rc != PIM_OK)
        buf->len = start_len; /* all or nothing */
    return rc;
}

void
pim_buf_consume(struct pim_buf *buf, size_t front_bytes)
{
    buf->len -= front_bytes;
    if (buf->len > 0)
        memmove(buf->data, buf->data + front_bytes, buf->len);
}

void
pim_buf_clear(struct pim_buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
}

const char *
pim_buf_cstr(struct pim_buf *buf)
{
    if (buf->data == NULL)
        return "";
    buf->data[buf->len] = '\0';
    return buf->data;
}
