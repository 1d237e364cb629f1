#include "im/message.h"

#include "util/buf.h"

#include <string.h>

void
pim_row_hide(struct pim_row *row)
{
    row->type = PIM_ROW_HIDDEN;
    row->sender_id = 0;
    memset(row->cid, 0, sizeof row->cid);
    row->body = NULL;
    row->body_len = 0;
}

size_t
pim_conv_format(char dst[48], const struct pim_conv *conv)
{
    size_t len = 0;

    dst[len++] = (char)conv->kind;
    dst[len++] = ':';
    len += pim_int_format(dst + len, conv->a);
    if (conv->kind == 'u') {
        dst[len++] = ':';
        len += pim_int_format(dst + len, conv->b);
    }
    dst[len] = '\0';
    return len;
}

static const char *
parse_id(const char *at, const char *end, int64_t *out_id)
{
    uint64_t id = 0;
    const char *start = at;

    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (id > ((uint64_t)INT64_MAX - digit) / 10)
            return NULL;
        id = id * 10 + digit;
    }
    if (at == start || (*start == '0' && at - start > 1))
        return NULL;
    *out_id = (int64_t)id;
    return at;
}

bool
pim_conv_parse(const char *text, size_t text_len, struct pim_conv *out_conv)
{
    const char *at = text, *end = text + text_len;
    struct pim_conv conv = {0};

    if (text_len < 3 || at[1] != ':' || (at[0] != 'u' && at[0] != 'g' && at[0] != 'e' && at[0] != 's'))
        return false;
    conv.kind = at[0];
    at = parse_id(at + 2, end, &conv.a);
    if (at != NULL && conv.kind == 'u') {
        if (at == end || *at != ':')
            return false;
        at = parse_id(at + 1, end, &conv.b);
        if (at != NULL && conv.a > conv.b)
            return false;
    }
    if (at != end)
        return false;
    *out_conv = conv;
    return true;
}
