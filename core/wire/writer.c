#include "wire/writer.h"

#include "util/clock.h"
#include "util/id.h"

#include <string.h>

#define HEAD_BYTES 384 /* of all fixed fields together, with the longest numbers */

static char *
put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}
#define LIT(out, text) put(out, text, sizeof(text) - 1)

static char *
put_number(char *out, int64_t value)
{
    return out + pim_int_format(out, value);
}

static int64_t
receiver_of(const struct pim_row *row)
{
    if (row->conv.kind != 'u')
        return row->conv.a;
    return row->sender_id == row->conv.a ? row->conv.b : row->conv.a;
}

int
pim_wire_put_row(struct pim_buf *buf, const struct pim_row *row)
{
    bool message = pim_row_is_countable(row->type);
    char *out;

    if (pim_buf_reserve(buf, HEAD_BYTES + row->body_len) != PIM_OK)
        return PIM_ERR_TOO_LARGE;
    out = buf->data + buf->len;
    out = message ? LIT(out, "{\"op\":\"message\",\"conversation\":\"") : LIT(out, "{\"op\":\"event\",\"conversation\":\"");
    out += pim_conv_format(out, &row->conv);
    out = LIT(out, "\",\"seq\":");
    out = put_number(out, row->seq);
    out = LIT(out, ",\"ord\":");
    out = put_number(out, row->ord);
    out = LIT(out, ",\"id\":\"");
    out = put_number(out, row->msg_id);
    *out++ = '"';
    if (message) {
        out = LIT(out, ",\"client_id\":\"");
        pim_uuid_format(out, row->cid);
        out += 36;
        out = LIT(out, "\",\"type_id\":");
        out = put_number(out, row->type);
        out = LIT(out, ",\"sender_id\":");
        out = put_number(out, row->sender_id);
        out = LIT(out, ",\"receiver_id\":");
        out = put_number(out, receiver_of(row));
    }
    out = LIT(out, ",\"create_time\":");
    out = put_number(out, row->created_ms / 1000);
    if (message)
        out = LIT(out, ",\"delivery_time\":0");
    if (row->type == PIM_ROW_HIDDEN) {
        out = LIT(out, ",\"event\":\"hidden\"}");
    } else if (row->body_len > 2) {
        *out++ = ',';
        out = put(out, row->body + 1, row->body_len - 1);
    } else {
        *out++ = '}';
    }
    buf->len = (size_t)(out - buf->data);
    return PIM_OK;
}

/* --- old clients --------------------------------------------------------------------------------------------------- */

struct raw { /* a value as it stands in the body, a text without its quotes */
    const char *at;
    size_t len;
};

/* The members of a flat object of ours, one after the other. */
static bool
next_member(const char **at, const char *end, struct raw *out_key, struct raw *out_value)
{
    const char *p = *at;

    if (p >= end || *p == '}')
        return false;
    p++; /* '{' or ',' */
    if (p >= end || *p != '"')
        return false;
    out_key->at = ++p;
    while (p < end && *p != '"')
        p++;
    out_key->len = (size_t)(p - out_key->at);
    p += 2; /* quote and colon */
    if (p >= end)
        return false;
    if (*p == '"') {
        out_value->at = ++p;
        while (p < end && *p != '"')
            p += *p == '\\' ? 2 : 1;
        if (p >= end)
            return false;
        out_value->len = (size_t)(p - out_value->at);
        p++;
    } else {
        out_value->at = p;
        while (p < end && *p != ',' && *p != '}')
            p++;
        out_value->len = (size_t)(p - out_value->at);
    }
    *at = p;
    return true;
}

static struct raw
member(const struct pim_row *row, const char *name)
{
    const char *at = row->body;
    struct raw key, value;

    while (at != NULL && next_member(&at, row->body + row->body_len, &key, &value))
        if (key.len == strlen(name) && memcmp(key.at, name, key.len) == 0)
            return value;
    return (struct raw){"", 0};
}

static void
put_head(struct pim_buf *buf, int type_id, int64_t sender_id, int64_t receiver_id, int64_t created_ms)
{
    pim_buf_adds(buf, "{\"type_id\":");
    pim_buf_add_int(buf, type_id);
    pim_buf_adds(buf, ",\"sender_id\":");
    pim_buf_add_int(buf, sender_id);
    pim_buf_adds(buf, ",\"receiver_id\":");
    pim_buf_add_int(buf, receiver_id);
    pim_buf_adds(buf, ",\"create_time\":");
    pim_buf_add_int(buf, created_ms / 1000);
    pim_buf_adds(buf, ",\"delivery_time\":0");
}

static void
put_member(struct pim_buf *buf, const struct pim_row *row, const char *name)
{
    struct raw value = member(row, name);

    pim_buf_adds(buf, ",\"");
    pim_buf_adds(buf, name);
    pim_buf_adds(buf, "\":\"");
    pim_buf_add(buf, value.at, value.len);
    pim_buf_addc(buf, '"');
}

/* What a notice says: the title, then words around the event's own fields. */
static const struct notice {
    uint32_t type;
    const char *title;
    const char *before, *field, *between, *field2;
} notices[] = {
    {PIM_ROW_FRIEND_REQUEST, "Friend request", "", "name", " wants to be your friend: ", "note"},
    {PIM_ROW_FRIEND_ACCEPTED, "Friend request accepted", "", "name", " is your friend now", NULL},
    {PIM_ROW_FRIEND_REFUSED, "Friend request refused", "", "name", " did not accept", NULL},
    {PIM_ROW_GROUP_JOINED, "Group", "You joined ", "name", "", NULL},
    {PIM_ROW_GROUP_LEFT, "Group", "You left ", "name", "", NULL},
    {PIM_ROW_MEMBER_JOINED, "Group", "", "name", " joined the group", NULL},
    {PIM_ROW_MEMBER_LEFT, "Group", "", "name", " left the group", NULL},
    {PIM_ROW_GROUP_DISMISSED, "Group", "The group was dismissed", NULL, "", NULL},
};

static int
put_notice(struct pim_buf *buf, const struct pim_row *row, int64_t reader_id)
{
    const struct notice *notice = NULL;

    for (size_t i = 0; i < PIM_COUNT(notices); i++)
        if (notices[i].type == row->type)
            notice = &notices[i];
    if (notice == NULL)
        return PIM_NOT_FOUND;
    put_head(buf, PIM_ROW_SUBSCRIPTION, PIM_SYSTEM_SENDER, reader_id, row->created_ms);
    pim_buf_adds(buf, ",\"title\":\"");
    pim_buf_adds(buf, notice->title);
    pim_buf_adds(buf, "\",\"abstract\":\"");
    pim_buf_adds(buf, notice->before);
    for (int i = 0; i < 2; i++) {
        const char *field = i == 0 ? notice->field : notice->field2;

        if (field != NULL) {
            struct raw value = member(row, field);

            pim_buf_add(buf, value.at, value.len);
        }
        if (i == 0)
            pim_buf_adds(buf, notice->between);
    }
    pim_buf_adds(buf, "\",\"preview_pic\":\"\",\"resource_url\":\"\"}");
    return buf->overflow ? PIM_ERR_TOO_LARGE : PIM_OK;
}

int
pim_wire_put_old_row(struct pim_buf *buf, const struct pim_row *row, int64_t reader_id)
{
    if (!pim_row_is_countable(row->type))
        return put_notice(buf, row, reader_id);
    put_head(buf, (int)row->type, row->sender_id, receiver_of(row), row->created_ms);
    if (row->type == PIM_ROW_SUBSCRIPTION) {
        put_member(buf, row, "title");
        put_member(buf, row, "abstract");
        put_member(buf, row, "preview_pic");
        put_member(buf, row, "resource_url");
    } else {
        struct raw type = member(row, "content_type");

        pim_buf_adds(buf, ",\"content_type\":");
        pim_buf_add(buf, type.len > 0 ? type.at : "0", type.len > 0 ? type.len : 1);
        put_member(buf, row, "content");
        put_member(buf, row, "preview_pic");
        put_member(buf, row, "resource_url");
        put_member(buf, row, "description");
        put_member(buf, row, "additional");
    }
    pim_buf_addc(buf, '}');
    return buf->overflow ? PIM_ERR_TOO_LARGE : PIM_OK;
}

/* --- results ------------------------------------------------------------------------------------------------------- */

static char *
put_result_head(char *out, const struct pim_outcome *outcome, const uint8_t *cid)
{
    out = LIT(out, "{\"op\":\"result\",\"type_id\":3,\"code\":");
    out = put_number(out, outcome->code);
    out = LIT(out, ",\"error\":\"");
    out = put(out, outcome->sentence, strlen(outcome->sentence)); /* ours: nothing to escape */
    *out++ = '"';
    if (outcome->retry_after_s > 0) {
        out = LIT(out, ",\"retry_after\":");
        out = put_number(out, outcome->retry_after_s);
    }
    if (cid != NULL) {
        out = LIT(out, ",\"client_id\":\"");
        pim_uuid_format(out, cid);
        out += 36;
        *out++ = '"';
    }
    return out;
}

int
pim_wire_put_result(struct pim_buf *buf, const struct pim_im_send *mine, const struct pim_outcome *outcome)
{
    const struct pim_send *send = &mine->send;
    char *out;

    if (pim_buf_reserve(buf, HEAD_BYTES + strlen(outcome->sentence)) != PIM_OK)
        return PIM_ERR_TOO_LARGE;
    out = put_result_head(buf->data + buf->len, outcome, mine->has_client_id ? send->cid : NULL);
    if (outcome->code == 200) {
        out = LIT(out, ",\"conversation\":\"");
        out += pim_conv_format(out, &send->conv);
        out = LIT(out, "\",\"seq\":");
        out = put_number(out, send->seq);
        out = LIT(out, ",\"ord\":");
        out = put_number(out, send->ord);
        out = LIT(out, ",\"id\":\"");
        out = put_number(out, send->msg_id);
        out = LIT(out, "\",\"create_time\":");
        out = put_number(out, send->created_ms / 1000);
    }
    *out++ = '}';
    buf->len = (size_t)(out - buf->data);
    return PIM_OK;
}

int
pim_wire_put_refusal(struct pim_buf *buf, const uint8_t *cid, const struct pim_outcome *outcome)
{
    char *out;

    if (pim_buf_reserve(buf, HEAD_BYTES + strlen(outcome->sentence)) != PIM_OK)
        return PIM_ERR_TOO_LARGE;
    out = put_result_head(buf->data + buf->len, outcome, cid);
    *out++ = '}';
    buf->len = (size_t)(out - buf->data);
    return PIM_OK;
}

static void
put_base64(struct pim_buf *buf, const char *src, size_t src_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out;

    if (pim_buf_reserve(buf, (src_len + 2) / 3 * 4) != PIM_OK)
        return;
    out = buf->data + buf->len;
    for (size_t i = 0; i < src_len; i += 3) {
        size_t left = src_len - i;
        uint32_t three = (uint32_t)(uint8_t)src[i] << 16 | (left > 1 ? (uint32_t)(uint8_t)src[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)(uint8_t)src[i + 2] : 0);

        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[three & 63] : '=';
    }
    buf->len = (size_t)(out - buf->data);
}

int
pim_wire_put_old_result(struct pim_buf *buf, int64_t reader_id, int64_t created_ms, const struct pim_outcome *outcome,
                        const char *raw, size_t raw_len)
{
    put_head(buf, 3, PIM_SYSTEM_SENDER, reader_id, created_ms);
    pim_buf_addf(buf, ",\"code\":%d,\"error\":\"%s\",\"raw_message\":\"", outcome->code, outcome->sentence);
    put_base64(buf, raw, raw_len);
    pim_buf_adds(buf, "\"}");
    return buf->overflow ? PIM_ERR_TOO_LARGE : PIM_OK;
}
