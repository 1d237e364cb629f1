#include "ws/chat.h"

#include "im/claim.h"
#include "im/sync.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"
#include "wire/reader.h"
#include "wire/writer.h"
#include "ws/mails.h"
#include "ws/old.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CLAIMS_MAX 256 /* conversations that a connection may name between two looks at the log */
#define SYNCS_MAX 4    /* under way for one connection */
#define SYNC_KNOWN_MAX 2000
#define REF_BYTES 64

struct ws_claims {
    uint32_t n;
    struct pim_claim list[];
};

static void
put_scratch(struct ws_conn *conn)
{
    ws_conn_put(conn, PIM_WS_OP_TEXT, conn->worker->scratch.data, conn->worker->scratch.len);
}

static void
refuse(struct ws_conn *conn, const uint8_t *cid, const char *raw, size_t raw_len, struct pim_outcome outcome)
{
    struct pim_buf *scratch = &conn->worker->scratch;

    if (!ws_conn_is_calm(conn))
        return;
    pim_buf_clear(scratch);
    if (conn->is_old)
        pim_wire_put_old_result(scratch, conn->user_id, pim_clock_wall_ms(), &outcome, raw,
                                raw_len <= conn->worker->ws->config.raw_message_bytes ? raw_len : 0);
    else
        pim_wire_put_refusal(scratch, cid, &outcome);
    put_scratch(conn);
}

void
ws_chat_hello(struct ws_conn *conn)
{
    struct pim_ws *ws = conn->worker->ws;
    const struct pim_data_facts *facts = pim_data_facts(pim_im_data(ws->im));
    const struct pim_im_config *im = pim_im_config(ws->im);
    struct pim_buf *scratch = &conn->worker->scratch;

    pim_buf_clear(scratch);
    pim_buf_addf(scratch,
                 "{\"op\":\"hello\",\"version\":\"privateim.v1\",\"user_id\":%lld,\"session\":\"%s\",\"server_time\":%lld,"
                 "\"heartbeat\":%u,\"resend_window\":%u,\"epochs\":{\"records\":%lld,\"messages\":%lld},"
                 "\"limits\":{\"frame_bytes\":%u,\"in_flight\":%u,\"connections\":%u,\"sync_rows\":%u}}",
                 (long long)conn->user_id, conn->session, (long long)pim_clock_wall_ms(), ws->config.heartbeat_s,
                 im->resend_window_s, (long long)facts->records.epoch, (long long)facts->messages.epoch,
                 ws->config.frame_bytes, ws->config.in_flight, im->connections_per_user, im->sync_rows);
    put_scratch(conn);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

/* The rate of one connection: a bucket that fills with messages_per_s up to messages_burst. */
static bool
take_token(struct ws_conn *conn)
{
    const struct pim_im_config *im = pim_im_config(conn->worker->ws->im);
    uint32_t now_s = conn->worker->now_s + 1, passed;

    if (im->messages_per_s == 0)
        return true;
    if (conn->tokens_s == 0)
        conn->tokens = im->messages_burst;
    passed = conn->tokens_s == 0 ? 0 : now_s - conn->tokens_s;
    conn->tokens_s = now_s;
    if (passed > 0) {
        uint64_t tokens = conn->tokens + (uint64_t)passed * im->messages_per_s;

        conn->tokens = tokens > im->messages_burst ? im->messages_burst : (uint32_t)tokens;
    }
    if (conn->tokens == 0)
        return false;
    conn->tokens--;
    return true;
}

static struct pim_im_send *
send_get(struct ws_worker *w, size_t body_bytes)
{
    struct pim_im_send *send = w->spare;

    if (send == NULL || w->spare_bytes < body_bytes) {
        free(send);
        send = pim_new(sizeof *send + body_bytes);
    }
    w->spare = NULL;
    memset(send, 0, sizeof *send);
    return send;
}

static void
send_put_back(struct ws_worker *w, struct pim_im_send *send, size_t body_bytes)
{
    w->spare = send;
    w->spare_bytes = body_bytes;
}

static bool
may_send(struct ws_conn *conn, struct pim_outcome *out)
{
    if (conn->worker->stopping)
        *out = (struct pim_outcome){503, "the server restarts", 1};
    else if (conn->in_flight >= conn->worker->ws->config.in_flight)
        *out = (struct pim_outcome){429, "too many messages without an answer", 1};
    else if (!take_token(conn))
        *out = (struct pim_outcome){429, "too many messages", 1};
    else
        return true;
    return false;
}

static void on_op(struct ws_conn *conn, const char *text, size_t len);

void
ws_chat_message(struct ws_conn *conn, enum pim_ws_op opcode, const char *text, size_t len)
{
    struct ws_worker *w = conn->worker;
    size_t raw_len = conn->is_old && len <= w->ws->config.raw_message_bytes ? len : 0;
    size_t body_bytes = len + 64 + raw_len;
    struct pim_outcome outcome = {400, "the message is not a JSON object", 0};
    struct pim_message msg = {0};
    struct pim_im_send *send;
    int rc;

    if (opcode != PIM_WS_OP_TEXT) {
        ws_conn_close(conn, 1008, "text frames only");
        return;
    }
    if (len == 0) {
        refuse(conn, NULL, text, len, outcome);
        return;
    }
    send = send_get(w, body_bytes);
    rc = pim_wire_read(text, len, send->body, &msg, &outcome.sentence);
    if (rc == PIM_DEFER && !conn->is_old) {
        send_put_back(w, send, body_bytes);
        on_op(conn, text, len);
        return;
    }
    if (rc == PIM_DEFER)
        outcome.sentence = "not have 'type_id' field in the json string message";
    if (rc != PIM_OK || !pim_im_message_check(&msg, conn->user_id, &outcome) || !may_send(conn, &outcome)) {
        refuse(conn, msg.has & PIM_HAS_CLIENT_ID ? msg.cid : NULL, text, len, outcome);
        send_put_back(w, send, body_bytes);
        return;
    }
    pim_im_send_init(w->ws->im, send, &msg, conn->user_id);
    send->from = (struct pim_peer_ref){conn->slot, conn->gen};
    send->worker = w->number;
    if (conn->is_old)
        send->has_client_id = false;
    if (raw_len > 0) {
        memcpy(send->body + send->send.body_len, text, raw_len);
        send->raw_len = (uint32_t)raw_len;
    }
    STAILQ_INSERT_TAIL(&w->sends, &send->send.mail, link);
    w->n_sends++;
    conn->in_flight++;
}

void
ws_chat_result(struct ws_conn *conn, struct pim_im_send *send)
{
    struct pim_buf *scratch = &conn->worker->scratch;
    struct pim_outcome outcome;

    conn->in_flight--;
    pim_im_send_outcome(send, &outcome);
    pim_buf_clear(scratch);
    if (conn->is_old)
        pim_wire_put_old_result(scratch, conn->user_id,
                                send->send.created_ms ? send->send.created_ms : pim_clock_wall_ms(), &outcome,
                                send->body + send->send.body_len, send->raw_len);
    else
        pim_wire_put_result(scratch, send, &outcome);
    put_scratch(conn);
}

void
ws_chat_pong(struct ws_conn *conn, const uint8_t *payload, size_t len)
{
    if (conn->is_old && !conn->is_echo)
        ws_old_pong(conn, payload, len);
}

/* --- acknowledgements -------------------------------------------------------------------------------------------------- */

static bool
is_readable(const struct ws_conn *conn, const struct pim_conv *conv)
{
    switch (conv->kind) {
    case 'u':
        return conv->a == conn->user_id || conv->b == conn->user_id;
    case 'e':
        return conv->a == conn->user_id;
    case 'g':
        for (uint32_t i = 0; i < conn->n_memberships; i++)
            if (conn->memberships[i].group->id == conv->a)
                return true;
        return false;
    default:
        return false;
    }
}

static bool
claim_add(struct ws_conn *conn, const struct pim_conv *conv, int64_t seq, bool is_read)
{
    struct ws_worker *w = conn->worker;
    struct ws_claims *claims = conn->claims;
    struct pim_claim *claim;

    if (claims == NULL) {
        claims = conn->claims = pim_new(sizeof *claims + 4 * sizeof claims->list[0]);
        claims->n = 0;
        if (w->n_claimers == w->cap_claimers) {
            w->cap_claimers = w->cap_claimers ? w->cap_claimers * 2 : 16;
            w->claimers = pim_renew(w->claimers, w->cap_claimers, sizeof *w->claimers);
        }
        w->claimers[w->n_claimers++] = conn;
    }
    for (uint32_t i = claims->n; i > 0; i--) {
        claim = &claims->list[i - 1];
        if (claim->is_read == is_read && pim_conv_equal(&claim->conv, conv)) {
            if (seq > claim->seq)
                claim->seq = seq;
            return true;
        }
    }
    if (claims->n == CLAIMS_MAX)
        return false;
    if (claims->n >= 4 && (claims->n & (claims->n - 1)) == 0) /* 4, 8, 16, ... are full */
        claims = conn->claims = pim_renew(claims, 1, sizeof *claims + 2 * claims->n * sizeof claims->list[0]);
    claim = &claims->list[claims->n++];
    *claim = (struct pim_claim){
        .user_id = conn->user_id, .conv = *conv, .seq = seq, .is_read = is_read, .from = ws_conn_peer(conn)};
    snprintf(claim->device, sizeof claim->device, "%s", conn->session);
    return true;
}

void
ws_chat_claims_flush(struct ws_worker *w)
{
    struct pim_claim *all;
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_claimers; i++)
        n += w->claimers[i]->claims->n;
    if (n == 0)
        return;
    all = pim_new(n * sizeof *all);
    n = 0;
    for (uint32_t i = 0; i < w->n_claimers; i++) {
        struct ws_conn *conn = w->claimers[i];

        memcpy(&all[n], conn->claims->list, conn->claims->n * sizeof *all);
        n += conn->claims->n;
        free(conn->claims);
        conn->claims = NULL;
    }
    w->n_claimers = 0;
    pim_im_claim(w->ws->im, all, n);
}

void
ws_chat_claims_drop(struct ws_conn *conn)
{
    if (conn->claims != NULL)
        ws_chat_claims_flush(conn->worker);
}

static bool
conv_of(json_t *value, struct pim_conv *out_conv)
{
    return json_is_string(value) && pim_conv_parse(json_string_value(value), json_string_length(value), out_conv);
}

static void
op_mark(struct ws_conn *conn, json_t *op, bool is_read)
{
    json_t *seq = json_object_get(op, "seq");
    struct pim_conv conv;

    if (!conv_of(json_object_get(op, "conversation"), &conv) || !json_is_integer(seq) || json_integer_value(seq) < 1)
        refuse(conn, NULL, NULL, 0,
               (struct pim_outcome){400, "an acknowledgement needs 'conversation' and a 'seq' of 1 or more", 0});
    else if (!is_readable(conn, &conv))
        refuse(conn, NULL, NULL, 0, (struct pim_outcome){403, "this conversation is not yours to read", 0});
    else if (!claim_add(conn, &conv, json_integer_value(seq), is_read))
        refuse(conn, NULL, NULL, 0, (struct pim_outcome){429, "too many acknowledgements", 1});
}

/* --- sync -------------------------------------------------------------------------------------------------------------- */

struct syncing {
    struct pim_ws *ws;
    uint16_t worker;
    int64_t user_id;
    struct pim_peer_ref ref;
    char ref_text[6 * REF_BYTES + 3]; /* as JSON, with its quotes; "" if there was none */
};

static void
frame_free(struct pim_mail *mail)
{
    struct ws_frame_mail *frame = (struct ws_frame_mail *)mail;

    pim_buf_fini(&frame->payload);
    free(frame);
}

static void
put_part(struct pim_buf *buf, const struct pim_sync_part *part, int64_t user_id)
{
    char name[48];

    pim_conv_format(name, &part->conv);
    pim_buf_addf(buf, "{\"conversation\":\"%s\"", name);
    if (part->conv.kind == 'u')
        pim_buf_addf(buf, ",\"peer_id\":%lld",
                     (long long)(part->conv.a == user_id ? part->conv.b : part->conv.a));
    pim_buf_addf(buf,
                 ",\"head\":%lld,\"head_ord\":%lld,\"head_id\":\"%lld\",\"floor\":%lld,\"read\":%lld,\"read_ord\":%lld,"
                 "\"unread\":%lld,\"delivered\":%lld,\"from\":%lld,\"reset\":%s,\"more\":%s,\"messages\":[",
                 (long long)part->head_seq, (long long)part->head_ord, (long long)part->head_id,
                 (long long)part->floor_seq, (long long)part->read_seq, (long long)part->read_ord,
                 (long long)part->unread, (long long)part->delivered_seq, (long long)part->from_seq,
                 part->reset ? "true" : "false", part->more ? "true" : "false");
    for (uint32_t i = 0; i < part->n_rows; i++) {
        if (i > 0)
            pim_buf_addc(buf, ',');
        pim_wire_put_row(buf, &part->rows[i]);
    }
    pim_buf_adds(buf, "]}");
}

static void
on_synced(void *ctx, const struct pim_sync_answer *answer)
{
    struct syncing *syncing = ctx;
    struct ws_frame_mail *frame = pim_new0(sizeof *frame);
    struct pim_buf *buf = &frame->payload;

    frame->mail.kind = WS_MAIL_FRAME;
    frame->ref = syncing->ref;
    pim_buf_init(buf, 8u << 20);
    if (answer->rc < 0) {
        struct pim_outcome away = {503, "the storage is away, sync again later", 1};

        pim_wire_put_refusal(buf, NULL, &away);
    } else {
        pim_buf_adds(buf, "{\"op\":\"sync\"");
        if (syncing->ref_text[0] != '\0')
            pim_buf_addf(buf, ",\"ref\":%s", syncing->ref_text);
        if (answer->has_next) {
            char name[48];

            pim_conv_format(name, &answer->next);
            pim_buf_addf(buf, ",\"next\":\"%s\"", name);
        }
        pim_buf_adds(buf, ",\"conversations\":[");
        for (uint32_t i = 0; i < answer->n_parts; i++) {
            if (i > 0)
                pim_buf_addc(buf, ',');
            put_part(buf, &answer->parts[i], syncing->user_id);
        }
        pim_buf_adds(buf, "]}");
    }
    ws_worker_post(syncing->ws, syncing->worker, &frame->mail, frame_free);
    free(syncing);
}

/* An entry ["u:1:2", seq, "id"]. */
static bool
known_read(json_t *value, struct pim_sync_known *out)
{
    json_t *seq = json_array_get(value, 1), *id = json_array_get(value, 2);
    char *end;

    if (json_array_size(value) != 3 || !conv_of(json_array_get(value, 0), &out->conv) || !json_is_integer(seq) ||
        json_integer_value(seq) < 0 || !json_is_string(id))
        return false;
    out->seq = json_integer_value(seq);
    out->msg_id = strtoll(json_string_value(id), &end, 10);
    return *end == '\0' && json_string_length(id) > 0;
}

static const char *
sync_read(struct ws_conn *conn, json_t *op, struct pim_sync_request *request, struct syncing *syncing)
{
    json_t *list = json_object_get(op, "conversations"), *limit = json_object_get(op, "limit");
    json_t *ref = json_object_get(op, "ref"), *after = json_object_get(op, "after"), *only = json_object_get(op, "only");
    uint32_t most = pim_im_config(conn->worker->ws->im)->sync_rows;

    if (list != NULL && !json_is_array(list))
        return "'conversations' must be a list";
    if (json_array_size(list) > SYNC_KNOWN_MAX)
        return "too many conversations: name at most 2000 and ask for the rest with 'after'";
    if (limit != NULL && (!json_is_integer(limit) || json_integer_value(limit) < 1))
        return "'limit' must be 1 or more";
    if (ref != NULL && (!json_is_string(ref) || json_string_length(ref) > REF_BYTES))
        return "'ref' must be a string of at most 64 bytes";
    if (only != NULL && !json_is_boolean(only))
        return "'only' must be true or false";
    request->has_after = after != NULL;
    if (after != NULL && !conv_of(after, &request->after))
        return "'after' must be a conversation";
    request->only = json_is_true(only);
    request->limit = limit == NULL || json_integer_value(limit) > most ? most : (uint32_t)json_integer_value(limit);
    if (ref != NULL) {
        struct pim_buf text;

        pim_buf_init(&text, sizeof syncing->ref_text - 1);
        pim_buf_add_json(&text, json_string_value(ref), json_string_length(ref));
        snprintf(syncing->ref_text, sizeof syncing->ref_text, "%s", pim_buf_cstr(&text));
        pim_buf_fini(&text);
    }
    request->known = pim_new0((json_array_size(list) + 1) * sizeof *request->known);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!known_read(json_array_get(list, i), &request->known[request->n_known++]))
            return "an entry of 'conversations' must be [conversation, seq, id]";
    return NULL;
}

static void
op_sync(struct ws_conn *conn, json_t *op)
{
    struct pim_sync_request request = {.user_id = conn->user_id,
                                       .max_bytes = conn->worker->ws->config.output_bytes / 4};
    struct syncing *syncing = pim_new0(sizeof *syncing);
    const char *why = NULL;
    int code = 400;

    if (conn->syncs >= SYNCS_MAX) {
        why = "too many syncs at once";
        code = 429;
    } else {
        why = sync_read(conn, op, &request, syncing);
    }
    if (why != NULL) {
        refuse(conn, NULL, NULL, 0, (struct pim_outcome){code, why, code == 429});
        free(request.known);
        free(syncing);
        return;
    }
    snprintf(request.device, sizeof request.device, "%s", conn->session);
    syncing->ws = conn->worker->ws;
    syncing->worker = conn->worker->number;
    syncing->user_id = conn->user_id;
    syncing->ref = (struct pim_peer_ref){conn->slot, conn->gen};
    conn->syncs++;
    pim_im_sync(conn->worker->ws->im, &request, on_synced, syncing);
}

/* --- what is no message ------------------------------------------------------------------------------------------------- */

static void
on_op(struct ws_conn *conn, const char *text, size_t len)
{
    json_t *op = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(op, "op"));

    if (name == NULL)
        refuse(conn, NULL, NULL, 0, (struct pim_outcome){400, "'op' must be a string", 0});
    else if (strcmp(name, "ack") == 0)
        op_mark(conn, op, false);
    else if (strcmp(name, "read") == 0)
        op_mark(conn, op, true);
    else if (strcmp(name, "sync") == 0)
        op_sync(conn, op);
    else if (strcmp(name, "ping") == 0 && ws_conn_is_calm(conn))
        ws_conn_put(conn, PIM_WS_OP_TEXT, "{\"op\":\"pong\"}", 13);
    else if (conn->state != WS_OPEN)
        ; /* it was a flood */
    else
        refuse(conn, NULL, NULL, 0, (struct pim_outcome){400, "this 'op' is not known", 0});
    json_decref(op);
}
