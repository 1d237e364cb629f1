/* Numbering: from the queues of the conversations to the batch. storage-abi.md 3.1, 3.2. */
#include "data/msglog_priv.h"
#include "util/clock.h"
#include "util/id.h"

#include <string.h>

/* What to do with the send at hand. */
enum verdict {
    TAKE,    /* number it */
    ENDED,   /* it was answered */
    HOLD,    /* it waits; its sender's later ones with it, others may pass */
    STOP     /* the conversation waits */
};

/* Where a batch numbers a conversation: the applied head and what this run has put on top. */
struct numbering {
    int64_t seq, ord, last_ms;
    int32_t last_day;
};

static void
dequeue(struct log_conv *conv, struct pim_send *send)
{
    TAILQ_REMOVE(&conv->queue, send, wait);
    conv->queued--;
}

static enum verdict
settle_client_id(struct log_thread *t, struct log_conv *conv, struct pim_send *send, int64_t now_ms)
{
    const struct pim_msglog_limits *limits = &t->log->limits;
    struct log_sender *sender = pim_msglog_sender_get(t, conv, send->sender_id);
    int64_t cid_ms = pim_uuid7_ms(send->cid), since_ms = cid_ms - limits->skew_ms;
    bool in_batch = sender->in_batch == t->tick;

    if (sender->search != 0)
        return HOLD;
    if ((send->flags & PIM_SEND_SERVER_ID) == 0 && send->search == SEARCH_NONE) {
        bool known = since_ms >= conv->complete_from_ms ||
                     (sender->known_from_ms > 0 && since_ms >= sender->known_from_ms);

        if (!known || memcmp(send->cid, sender->max_cid, 16) <= 0) {
            if (in_batch)
                return HOLD; /* a copy may be among those numbered now: ask when they are settled */
            pim_msglog_search_begin(t, conv, sender, send);
            return HOLD;
        }
    }
    if ((send->flags & PIM_SEND_EXEMPT) == 0) {
        /* searched first (where that was needed), refused after */
        if (send->search == SEARCH_GONE || cid_ms < now_ms - limits->resend_window_ms) {
            dequeue(conv, send);
            pim_msglog_end(t, send, PIM_SENT_TOO_OLD, 0);
            return ENDED;
        }
        if (cid_ms > now_ms + limits->skew_ms) {
            dequeue(conv, send);
            pim_msglog_end(t, send, PIM_SENT_TOO_NEW, 0);
            return ENDED;
        }
    }
    sender->in_batch = t->tick;
    sender->last_ms = conv->last_ms > now_ms ? conv->last_ms : now_ms;
    if (memcmp(send->cid, sender->max_cid, 16) > 0)
        memcpy(sender->max_cid, send->cid, 16);
    return TAKE;
}

static enum verdict
settle_right(struct log_thread *t, struct log_conv *conv, struct pim_send *send)
{
    const struct pim_msglog_rules *rules = &t->log->rules;
    int reason;

    if (send->flags & PIM_SEND_EXEMPT)
        return TAKE;
    if (conv->rights_stale)
        return STOP;
    reason = rules->check(rules->ctx, conv->rights, send);
    if (reason == 0)
        return TAKE;
    /* a gain is no row of this log: look at the records once before saying no */
    if ((int32_t)(conv->rights_tick - send->tick) < 0)
        return STOP;
    dequeue(conv, send);
    atomic_fetch_add_explicit(&t->denied, 1, memory_order_relaxed);
    pim_msglog_end(t, send, PIM_SENT_DENIED, reason);
    return ENDED;
}

static void
number(struct log_thread *t, struct log_conv *conv, struct pim_send *send, struct numbering *n, int64_t now_ms)
{
    const struct pim_msglog_rules *rules = &t->log->rules;
    int64_t least_ms = pim_uuid7_ms(send->cid) - t->log->limits.skew_ms;
    struct pim_append_item *item = &t->items[t->n_sends];

    /* so every stored copy has created_ms >= time(cid) - skew, and times never fall */
    n->last_ms = n->last_ms > now_ms ? n->last_ms : now_ms;
    if (least_ms > n->last_ms)
        n->last_ms = least_ms;
    send->day = pim_clock_day(n->last_ms);
    if (send->day < n->last_day)
        send->day = n->last_day;
    n->last_day = send->day;
    send->seq = ++n->seq;
    if (send->flags & PIM_SEND_COUNTABLE)
        n->ord++;
    send->ord = n->ord;
    send->created_ms = n->last_ms;
    send->msg_id = pim_id_make();
    *item = (struct pim_append_item){.conv = conv->id,
                                     .seq = send->seq,
                                     .ord = send->ord,
                                     .msg_id = send->msg_id,
                                     .sender_id = send->sender_id,
                                     .created_ms = send->created_ms,
                                     .body_hash = send->body_hash,
                                     .body = send->body,
                                     .body_len = send->body_len,
                                     .type = send->type,
                                     .expire_ms = send->expire_ms,
                                     .day = send->day};
    memcpy(item->cid, send->cid, 16);
    t->sends[t->n_sends++] = send;
    t->bytes += send->body_len + 128;
    /* it binds those behind it in this run; if it is not stored the rights are read anew */
    if (rules->row(rules->ctx, conv->rights, &conv->id, send->type, send->sender_id, send->body, send->body_len))
        conv->rights_stale = true;
}

/* Take what can be taken from one conversation. @return false when the batch is full. */
static bool
fill_from(struct log_thread *t, struct log_conv *conv, int64_t now_ms)
{
    uint32_t first = t->n_sends;
    struct numbering n = {conv->head_seq, conv->head_ord, conv->last_ms, conv->last_day};
    struct pim_send *send = TAILQ_FIRST(&conv->queue), *next;
    bool room = true, stopped = false;
    int64_t held[8];
    uint32_t n_held = 0;

    for (; send != NULL && !stopped; send = next) {
        enum verdict verdict;
        bool is_held = false;

        next = TAILQ_NEXT(send, wait);
        if (t->n_sends == t->max_items || t->bytes + send->body_len > t->log->info.append_bytes_max) {
            room = t->n_sends == first && t->n_sends == 0; /* a single item over the bound goes alone and is refused */
            if (!room)
                break;
        }
        for (uint32_t i = 0; i < n_held; i++)
            is_held = is_held || held[i] == send->sender_id;
        if (is_held)
            continue;
        verdict = settle_right(t, conv, send);
        if (verdict == TAKE)
            verdict = settle_client_id(t, conv, send, now_ms);
        if (verdict == HOLD) {
            if (n_held == PIM_COUNT(held))
                break; /* many are being looked up: wait for some */
            held[n_held++] = send->sender_id;
        } else if (verdict == STOP) {
            stopped = true;
        } else if (verdict == TAKE) {
            dequeue(conv, send);
            number(t, conv, send, &n, now_ms);
        }
    }
    if (t->n_sends > first)
        t->runs[t->n_runs++] = (struct log_run){.conv = conv, .first = first, .n = t->n_sends - first};
    else if (stopped)
        pim_msglog_rights_begin(t, conv); /* nothing of it is under way: read the rights now */
    return room;
}

/* The clock is not to be trusted (3.3): whoever waits is told to come again. */
static void
refuse_all(struct log_thread *t)
{
    struct log_conv *conv;

    while ((conv = TAILQ_FIRST(&t->ready)) != NULL) {
        TAILQ_REMOVE(&t->ready, conv, ready);
        conv->is_ready = false;
        pim_msglog_queue_fail(t, conv, PIM_ERR_UNAVAILABLE);
    }
}

void
pim_msglog_batch_fill(struct log_thread *t)
{
    int64_t now_ms = pim_clock_wall_ms();
    struct log_conv *conv;
    bool room = true;

    t->n_sends = 0;
    t->n_runs = 0;
    t->bytes = 0;
    if (!TAILQ_EMPTY(&t->ready) && !pim_data_clock_is_good(t->log->data, now_ms)) {
        refuse_all(t);
        return;
    }
    while (room && (conv = TAILQ_FIRST(&t->ready)) != NULL) {
        if (conv->alone && t->n_sends > 0)
            break; /* it has moved: its run must not hold up the others' batch */
        TAILQ_REMOVE(&t->ready, conv, ready);
        conv->is_ready = false;
        if (conv->state != CONV_READY)
            continue;
        if (conv->head_seq < 0) {
            pim_msglog_load_begin(t, conv);
            continue;
        }
        room = fill_from(t, conv, now_ms);
        if (!room && conv->state == CONV_READY) {
            conv->is_ready = true; /* the rest of it, first in the next batch */
            TAILQ_INSERT_HEAD(&t->ready, conv, ready);
        }
        if (conv->alone && t->n_sends > 0) {
            conv->alone = false;
            break;
        }
    }
}
