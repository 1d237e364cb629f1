#include "ws/old.h"

#include "im/history.h"
#include "im/im.h"
#include "im/position.h"
#include "im/sync.h"
#include "util/mem.h"
#include "wire/writer.h"
#include "ws/mails.h"

#include <string.h>

#define PAGE_ROWS 100
#define FRAMES_BYTES (4u << 20)

struct old_conv {
    struct pim_conv conv;
    struct old_conv *next; /* of the same hash */
    int64_t seq, ord;           /* the cursor: on the wire */
    int64_t proven_seq;         /* the user's delivered mark */
    int64_t pinged_seq, pinged_ord; /* under the ping that is under way */
    int64_t hint; /* a row of this number exists */
};

struct ws_old {
    struct pim_map convs;
    bool caught_up;      /* the first pass over all conversations is done */
    bool reading;        /* a page is being read */
    bool ping_under_way, moved; /* moved: cursors have changed since the last ping */
    bool has_after;
    struct pim_conv after; /* the first pass goes on behind it */
    uint64_t ping_number;
};

/* What was read: frames ready to go, and how far they bring each conversation. */
struct step {
    struct pim_conv conv;
    int64_t seq, ord, proven_seq, head_seq;
    bool first; /* from the first pass: the cursor begins at proven_seq */
};
struct old_mail {
    struct pim_mail mail;
    struct pim_ws *ws;
    uint16_t worker;
    struct pim_peer_ref ref;
    int64_t user_id;
    bool is_pass, has_next;
    struct pim_conv next, conv;
    int rc;
    struct pim_buf frames;
    struct step *steps;
    uint32_t n_steps;
};

static int64_t
hash_of(const struct pim_conv *conv)
{
    return (int64_t)pim_map_hash(conv->a ^ ((int64_t)conv->kind << 56)) ^ conv->b;
}

static struct old_conv *
conv_get(struct ws_old *old, const struct pim_conv *conv)
{
    struct old_conv *first = pim_map_find(&old->convs, hash_of(conv)), *it;

    for (it = first; it != NULL; it = it->next)
        if (pim_conv_equal(&it->conv, conv))
            return it;
    it = pim_new0(sizeof *it);
    it->conv = *conv;
    it->conv.reserved = 0;
    it->next = first;
    pim_map_put(&old->convs, hash_of(conv), it);
    return it;
}

void
ws_old_free(struct ws_old **oldp)
{
    struct ws_old *old = *oldp;
    struct old_conv *it;
    size_t at = 0;

    *oldp = NULL;
    if (old == NULL)
        return;
    while ((it = pim_map_next(&old->convs, &at, NULL)) != NULL) {
        struct old_conv *next;

        for (; it != NULL; it = next) {
            next = it->next;
            free(it);
        }
    }
    pim_map_fini(&old->convs);
    free(old);
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

static void
old_mail_free(struct pim_mail *mail)
{
    struct old_mail *m = (struct old_mail *)mail;

    pim_buf_fini(&m->frames);
    free(m->steps);
    free(m);
}

static struct old_mail *
old_mail_new(struct ws_conn *conn)
{
    struct old_mail *m = pim_new0(sizeof *m);

    m->mail.kind = WS_MAIL_OLD;
    m->ws = conn->worker->ws;
    m->worker = conn->worker->number;
    m->ref = (struct pim_peer_ref){conn->slot, conn->gen};
    m->user_id = conn->user_id;
    pim_buf_init(&m->frames, FRAMES_BYTES);
    return m;
}

/* A row as a whole frame; what he said himself is not sent to an old client. */
static void
put_row(struct old_mail *m, const struct pim_row *row)
{
    struct pim_buf text;
    uint8_t header[10];

    if (row->sender_id == m->user_id && pim_row_is_countable(row->type))
        return;
    pim_buf_init(&text, FRAMES_BYTES);
    if (pim_wire_put_old_row(&text, row, m->user_id) == PIM_OK) {
        pim_buf_add(&m->frames, header, pim_ws_frame_encode(header, PIM_WS_OP_TEXT, text.len));
        pim_buf_add(&m->frames, text.data, text.len);
    }
    pim_buf_fini(&text);
}

static void
on_pass(void *ctx, const struct pim_sync_answer *answer)
{
    struct old_mail *m = ctx;

    m->rc = answer->rc;
    m->has_next = answer->has_next;
    m->next = answer->next;
    m->steps = pim_new0((answer->n_parts + 1) * sizeof *m->steps);
    for (uint32_t i = 0; i < answer->n_parts; i++) {
        const struct pim_sync_part *part = &answer->parts[i];
        const struct pim_row *last = part->n_rows > 0 ? &part->rows[part->n_rows - 1] : NULL;

        for (uint32_t k = 0; k < part->n_rows; k++)
            put_row(m, &part->rows[k]);
        m->steps[m->n_steps++] = (struct step){.conv = part->conv,
                                               .seq = last != NULL ? last->seq : part->delivered_seq,
                                               .ord = last != NULL ? last->ord : 0,
                                               .proven_seq = part->delivered_seq,
                                               .head_seq = part->head_seq,
                                               .first = true};
    }
    ws_worker_post(m->ws, m->worker, &m->mail, old_mail_free);
}

static void
on_page(void *ctx, const struct pim_im_page *page)
{
    struct old_mail *m = ctx;

    m->rc = page->rc;
    m->steps = pim_new0(sizeof *m->steps);
    m->steps[0].conv = m->conv;
    m->n_steps = 1;
    for (uint32_t i = 0; i < page->n_rows; i++) {
        put_row(m, &page->rows[i]);
        m->steps[0].seq = page->rows[i].seq;
        m->steps[0].ord = page->rows[i].ord;
    }
    m->steps[0].head_seq = page->more ? m->steps[0].seq + 1 : 0;
    ws_worker_post(m->ws, m->worker, &m->mail, old_mail_free);
}

static struct old_conv *
behind(struct ws_old *old)
{
    struct old_conv *it;
    size_t at = 0;

    while ((it = pim_map_next(&old->convs, &at, NULL)) != NULL)
        for (; it != NULL; it = it->next)
            if (it->hint > it->seq)
                return it;
    return NULL;
}

/* Read the next page, if there is one to read and what went before is proven. */
static void
read_next(struct ws_conn *conn)
{
    struct ws_old *old = conn->old;
    struct old_conv *conv;
    struct old_mail *m;

    if (old->reading || old->ping_under_way || conn->state != WS_OPEN)
        return;
    if (!old->caught_up) {
        struct pim_sync_request request = {.user_id = conn->user_id,
                                           .limit = PAGE_ROWS,
                                           .from_marks = true,
                                           .has_after = old->has_after,
                                           .after = old->after};

        m = old_mail_new(conn);
        m->is_pass = true;
        old->reading = true;
        pim_im_sync(conn->worker->ws->im, &request, on_pass, m);
        return;
    }
    conv = behind(old);
    if (conv == NULL)
        return;
    m = old_mail_new(conn);
    m->conv = conv->conv;
    old->reading = true;
    pim_im_follow(conn->worker->ws->im, conn->user_id, &conv->conv, conv->seq + 1, PAGE_ROWS, on_page, m);
}

/* --- proof -------------------------------------------------------------------------------------------------------------- */

static void
ping(struct ws_conn *conn)
{
    struct ws_old *old = conn->old;
    struct old_conv *it;
    size_t at = 0;

    if (old->ping_under_way || !old->moved || conn->state != WS_OPEN)
        return;
    while ((it = pim_map_next(&old->convs, &at, NULL)) != NULL)
        for (; it != NULL; it = it->next) {
            it->pinged_seq = it->seq;
            it->pinged_ord = it->ord;
        }
    old->moved = false;
    old->ping_under_way = true;
    old->ping_number++;
    ws_conn_put(conn, PIM_WS_OP_PING, &old->ping_number, sizeof old->ping_number);
}

void
ws_old_pong(struct ws_conn *conn, const uint8_t *payload, size_t len)
{
    struct ws_old *old = conn->old;
    struct old_conv *it;
    uint64_t number;
    size_t at = 0;

    if (old == NULL || len != sizeof number)
        return;
    memcpy(&number, payload, sizeof number);
    if (!old->ping_under_way || number != old->ping_number)
        return;
    old->ping_under_way = false;
    while ((it = pim_map_next(&old->convs, &at, NULL)) != NULL)
        for (; it != NULL; it = it->next) {
            struct pim_mark mark = {
                .user_id = conn->user_id, .conv = it->conv, .seq = it->pinged_seq, .ord = it->pinged_ord};

            if (it->pinged_seq <= it->proven_seq)
                continue;
            pim_position_raise(conn->worker->ws->im, &mark);
            it->proven_seq = it->pinged_seq;
        }
    ping(conn);
    read_next(conn);
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

void
ws_old_start(struct ws_conn *conn)
{
    conn->old = pim_new0(sizeof *conn->old);
    read_next(conn);
}

static void
advance(struct ws_old *old, struct old_conv *conv, int64_t seq, int64_t ord)
{
    if (seq <= conv->seq)
        return;
    conv->seq = seq;
    conv->ord = ord;
    old->moved = true;
}

void
ws_old_row(struct ws_conn *conn, const struct pim_row *row)
{
    struct ws_old *old = conn->old;
    struct old_conv *conv;

    if (old == NULL || conn->state != WS_OPEN)
        return; /* the first pass finds it */
    conv = conv_get(old, &row->conv);
    if (row->seq > conv->hint)
        conv->hint = row->seq;
    if (!old->caught_up || old->reading || row->seq != conv->seq + 1) {
        read_next(conn);
        return;
    }
    if (row->sender_id != conn->user_id || !pim_row_is_countable(row->type)) {
        struct pim_buf *scratch = &conn->worker->scratch;

        pim_buf_clear(scratch);
        if (pim_wire_put_old_row(scratch, row, conn->user_id) == PIM_OK)
            ws_conn_put(conn, PIM_WS_OP_TEXT, scratch->data, scratch->len);
    }
    advance(old, conv, row->seq, row->ord);
    ping(conn);
}

void
ws_old_mail(struct ws_worker *w, struct pim_mail *mail)
{
    struct old_mail *m = (struct old_mail *)mail;
    struct ws_conn *conn = ws_worker_find(w, m->ref);
    struct ws_old *old = conn != NULL ? conn->old : NULL;

    if (old == NULL || conn->state != WS_OPEN) {
        old_mail_free(mail);
        return;
    }
    old->reading = false;
    if (m->rc < 0) {
        ws_conn_close(conn, 1013, "the storage is away, come back later");
        old_mail_free(mail);
        return;
    }
    if (m->frames.len > 0)
        ws_conn_put_bytes(conn, m->frames.data, m->frames.len);
    for (uint32_t i = 0; i < m->n_steps; i++) {
        const struct step *step = &m->steps[i];
        struct old_conv *conv = conv_get(old, &step->conv);

        if (step->first) {
            conv->proven_seq = step->proven_seq;
            if (conv->seq < step->proven_seq)
                conv->seq = step->proven_seq;
        }
        advance(old, conv, step->seq, step->ord);
        if (step->head_seq > conv->hint)
            conv->hint = step->head_seq;
        if (!step->first && step->seq == 0)
            conv->hint = conv->seq; /* not his to read: nothing to wait for */
    }
    if (m->is_pass) {
        old->has_after = m->has_next;
        old->after = m->next;
        old->caught_up = !m->has_next;
    }
    old_mail_free(mail);
    ping(conn);
    read_next(conn);
}
