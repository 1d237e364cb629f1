/* What the engine answered: from the batch to the senders. storage-abi.md 3.3, 3.4, 3.9. */
#include "data/msglog_priv.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/mem.h"

#include <string.h>

#define UNSETTLED_RETRY_MS 100
#define APPEND_TIMEOUT_MS 30000
#define RETRIES 5

void
pim_msglog_end(struct log_thread *t, struct pim_send *send, enum pim_send_state state, int reason)
{
    send->state = state;
    send->reason = reason;
    atomic_fetch_sub_explicit(&t->queued_items, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&t->queued_bytes, send->body_len, memory_order_relaxed);
    if (state == PIM_SENT_BUSY)
        atomic_fetch_add_explicit(&t->busy, 1, memory_order_relaxed);
    TAILQ_INSERT_TAIL(&t->ended, send, wait);
}

void
pim_msglog_queue_fail(struct log_thread *t, struct log_conv *conv, int reason)
{
    struct pim_send *send;

    while ((send = TAILQ_FIRST(&conv->queue)) != NULL) {
        TAILQ_REMOVE(&conv->queue, send, wait);
        conv->queued--;
        pim_msglog_end(t, send, PIM_SENT_BUSY, reason);
    }
}

/* Sends first..last of the batch go back to the front of their conversation's queue, in order. */
static void
requeue(struct log_conv *conv, struct pim_send **sends, uint32_t n)
{
    while (n > 0) {
        struct pim_send *send = sends[--n];

        send->flags &= ~(uint32_t)PIM_SEND_SERVER_ID; /* the first try is over */
        send->search = SEARCH_NONE;
        TAILQ_INSERT_HEAD(&conv->queue, send, wait);
        conv->queued++;
    }
}

static void
stored(struct log_thread *t, struct log_conv *conv, struct pim_send **sends, uint32_t n)
{
    struct pim_send *last;

    if (n == 0)
        return;
    last = sends[n - 1];
    conv->head_seq = last->seq;
    conv->head_ord = last->ord;
    conv->last_ms = last->created_ms;
    conv->last_day = last->day;
    for (uint32_t i = 0; i < n; i++)
        sends[i]->state = PIM_SENT_STORED;
    t->log->rules.committed(t->log->rules.ctx, t->number, sends, n);
    for (uint32_t i = 0; i < n; i++)
        pim_msglog_end(t, sends[i], PIM_SENT_STORED, 0);
    atomic_fetch_add_explicit(&t->stored, n, memory_order_relaxed);
}

static void
moved(struct log_thread *t, struct log_conv *conv)
{
    conv->alone = true;
    conv->rights_stale = true;
    atomic_fetch_add_explicit(&t->moved, 1, memory_order_relaxed);
    pim_msglog_load_begin(t, conv); /* the tail anew: its rows, client ids and rights */
}

/* One run after an append that answered for each item. */
static void
settle_run(struct log_thread *t, struct log_conv *conv, struct pim_send **sends, const struct pim_append_item *items,
           uint32_t n)
{
    uint32_t ok = 0;

    while (ok < n && items[ok].result == PIM_OK)
        ok++;
    stored(t, conv, sends, ok);
    if (ok == n) {
        pim_msglog_conv_ready(t, conv);
        if (conv->rights_stale && conv->state == CONV_READY && TAILQ_EMPTY(&conv->queue))
            return; /* read when somebody asks */
        return;
    }
    conv->rights_stale = true; /* what this run did to the rights may not have happened */
    if (items[ok].result == PIM_EXISTS || items[ok].result == PIM_NOT_FOUND) {
        requeue(conv, sends + ok, n - ok);
        moved(t, conv);
    } else {
        enum pim_send_state state = items[ok].result == PIM_ERR_TOO_LARGE ? PIM_SENT_TOO_LARGE
                                    : items[ok].result == PIM_ERR_INVALID ? PIM_SENT_INVALID
                                                                          : PIM_SENT_BUSY;

        requeue(conv, sends + ok + 1, n - ok - 1);
        pim_msglog_end(t, sends[ok], state, items[ok].result);
        pim_msglog_conv_ready(t, conv);
    }
}

static int
append(struct log_thread *t, struct pim_append_item *items, uint32_t n, struct pim_err *err)
{
    struct pim_append batch = {
        .struct_size = sizeof batch, .item_size = sizeof *items, .n_items = n, .items = items};
    int rc = PIM_ERR_RETRY;

    if (!pim_msglog_connected(t))
        return pim_err_set(err, PIM_ERR_UNAVAILABLE, "the messages store is away");
    t->lease.call.deadline_ms = pim_clock_mono_ms() + APPEND_TIMEOUT_MS;
    t->lease.call.flags = PIM_CALL_REPEATABLE;
    for (int i = 0; i < RETRIES && rc == PIM_ERR_RETRY; i++) /* void: the loser of a deadlock runs the same call again */
        rc = t->log->ops->append(t->lease.conn, &t->lease.call, &batch, err);
    return pim_lease_note(&t->lease, rc);
}

/* The batch failed as a whole and nothing of it is stored: is it one item's fault? */
static bool
is_an_items_fault(int rc)
{
    return rc == PIM_ERR_INVALID || rc == PIM_ERR_TOO_LARGE || rc == PIM_ERR_INTERNAL || rc == PIM_ERR_PROTOCOL ||
           rc == PIM_ERR_UNSUPPORTED;
}

/* Runs from..to-1 are one append; splits where it must. */
static void
append_runs(struct log_thread *t, uint32_t from, uint32_t to)
{
    struct log_run *runs = t->runs;
    uint32_t first = runs[from].first, n = runs[to - 1].first + runs[to - 1].n - first;
    struct pim_err err = PIM_ERR_INIT;
    int rc = append(t, &t->items[first], n, &err);

    if (t->ack_early) { /* the planted fault has answered them already: only the heads are left to do */
        for (uint32_t i = from; i < to; i++) {
            struct pim_append_item *last = &t->items[runs[i].first + runs[i].n - 1];

            runs[i].conv->head_seq = last->seq;
            runs[i].conv->head_ord = last->ord;
            runs[i].conv->last_ms = last->created_ms;
            runs[i].conv->last_day = last->day;
            pim_msglog_conv_ready(t, runs[i].conv);
        }
        return;
    }
    if (rc >= 0) {
        for (uint32_t i = from; i < to; i++)
            settle_run(t, runs[i].conv, &t->sends[runs[i].first], &t->items[runs[i].first], runs[i].n);
        return;
    }
    if (rc == PIM_ERR_UNCERTAIN) {
        /* each conversation by itself from now on: a poisonous item must not hold the rest */
        for (uint32_t i = from; i < to; i++) {
            struct log_conv *conv = runs[i].conv;

            conv->unsettled = pim_new(runs[i].n * sizeof(struct pim_send *));
            memcpy(conv->unsettled, &t->sends[runs[i].first], runs[i].n * sizeof(struct pim_send *));
            conv->n_unsettled = runs[i].n;
            conv->state = CONV_UNSETTLED;
            conv->retry_at_ms = 0;
            t->n_unsettled_convs++;
        }
        atomic_fetch_add_explicit(&t->uncertain, 1, memory_order_relaxed);
        return;
    }
    if (is_an_items_fault(rc) && n > 1) {
        if (to - from > 1) {
            uint32_t mid = from + (to - from) / 2;

            append_runs(t, from, mid);
            append_runs(t, mid, to);
        } else {
            /* one conversation: half of its run; the rest is numbered again after it */
            struct log_run whole = runs[from];
            uint32_t half = whole.n / 2;

            requeue(whole.conv, &t->sends[whole.first + half], whole.n - half);
            whole.conv->rights_stale = true;
            runs[from].n = half;
            append_runs(t, from, to);
            runs[from] = whole;
        }
        return;
    }
    for (uint32_t i = from; i < to; i++) {
        struct log_conv *conv = runs[i].conv;

        conv->rights_stale = true;
        for (uint32_t k = 0; k < runs[i].n; k++)
            pim_msglog_end(t, t->sends[runs[i].first + k], is_an_items_fault(rc) ? PIM_SENT_INVALID : PIM_SENT_BUSY, rc);
        pim_msglog_conv_ready(t, conv);
    }
}

static int
by_conv(const void *x, const void *y)
{
    const struct pim_conv *a = &((const struct log_run *)x)->conv->id, *b = &((const struct log_run *)y)->conv->id;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    return a->b < b->b ? -1 : a->b > b->b;
}

/* The ABI wants items sorted by conversation: order the runs, then move items and sends with them. */
static void
sort_runs(struct log_thread *t)
{
    bool sorted = true;
    uint32_t at = t->max_items; /* the second half of both arrays is room for this */

    for (uint32_t i = 1; sorted && i < t->n_runs; i++)
        sorted = by_conv(&t->runs[i - 1], &t->runs[i]) < 0;
    if (sorted)
        return;
    qsort(t->runs, t->n_runs, sizeof *t->runs, by_conv);
    for (uint32_t i = 0; i < t->n_runs; i++) {
        memcpy(&t->items[at], &t->items[t->runs[i].first], t->runs[i].n * sizeof *t->items);
        memcpy(&t->sends[at], &t->sends[t->runs[i].first], t->runs[i].n * sizeof *t->sends);
        t->runs[i].first = at - t->max_items;
        at += t->runs[i].n;
    }
    memcpy(t->items, &t->items[t->max_items], t->n_sends * sizeof *t->items);
    memcpy(t->sends, &t->sends[t->max_items], t->n_sends * sizeof *t->sends);
}

/* The planted fault: everybody hears of the batch before it is durable. @return what holds the bodies meanwhile */
static char *
acknowledge_early(struct log_thread *t)
{
    char *bodies = pim_new(t->bytes + 1), *at = bodies;

    t->log->rules.committed(t->log->rules.ctx, t->number, t->sends, t->n_sends);
    for (uint32_t i = 0; i < t->n_sends; i++) {
        memcpy(at, t->items[i].body, t->items[i].body_len);
        t->items[i].body = at;
        at += t->items[i].body_len;
        pim_msglog_end(t, t->sends[i], PIM_SENT_STORED, 0);
    }
    pim_msglog_flush_ended(t);
    return bodies;
}

void
pim_msglog_batch_append(struct log_thread *t)
{
    char *bodies;

    if (t->n_sends == 0)
        return;
    sort_runs(t);
    bodies = t->ack_early ? acknowledge_early(t) : NULL;
    pim_failpoint("before-append");
    append_runs(t, 0, t->n_runs);
    free(bodies);
    atomic_fetch_add_explicit(&t->batches, 1, memory_order_relaxed);
}

/* --- outcome unknown (3.4) -------------------------------------------------------------------------------- */

struct holders {
    struct pim_send **sends;
    uint32_t n, ours;
    int64_t first_seq;
    bool taken; /* the row after ours is somebody else's */
};

static int32_t
on_holder(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct holders *h = ctx;
    int64_t at = msg->seq - h->first_seq;

    (void)item;
    if (at != h->ours || at >= h->n)
        return 1;
    if (msg->msg_id != h->sends[at]->msg_id) {
        h->taken = true;
        return 1;
    }
    h->ours++;
    return 0;
}

static void
retry(struct log_thread *t, struct log_conv *conv, int64_t now_ms)
{
    struct pim_send **sends = conv->unsettled;
    struct holders h = {.sends = sends, .n = conv->n_unsettled, .first_seq = sends[0]->seq};
    struct pim_err err = PIM_ERR_INIT;
    int rc;

    for (uint32_t i = 0; i < h.n; i++) {
        struct pim_send *send = sends[i];

        t->items[i] = (struct pim_append_item){.conv = conv->id,
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
        memcpy(t->items[i].cid, send->cid, 16);
    }
    rc = append(t, t->items, h.n, &err);
    if (rc >= 0 && t->items[0].result == PIM_EXISTS) {
        /* taken: by this very run, or by somebody else's? */
        struct pim_history page = {.struct_size = sizeof page,
                                   .conv = conv->id,
                                   .from_seq = sends[0]->seq,
                                   .to_seq = sends[0]->seq + h.n - 1,
                                   .limit = h.n};

        rc = pim_lease_note(&t->lease, t->log->ops->history(t->lease.conn, &t->lease.call, &page, on_holder, &h, &err));
        if (rc < 0) {
            conv->retry_at_ms = now_ms + UNSETTLED_RETRY_MS;
            return;
        }
        if (!h.taken && h.ours < h.n) {
            /* a part is visible and the rest may still land: that stays unsettled */
            stored(t, conv, sends, h.ours);
            conv->n_unsettled = h.n - h.ours;
            memmove(sends, sends + h.ours, conv->n_unsettled * sizeof(struct pim_send *));
            conv->retry_at_ms = now_ms + (h.ours > 0 ? 0 : UNSETTLED_RETRY_MS);
            return;
        }
        for (uint32_t i = 0; i < h.n; i++)
            t->items[i].result = i < h.ours ? PIM_OK : PIM_EXISTS;
    } else if (rc < 0 && rc != PIM_ERR_INVALID && rc != PIM_ERR_TOO_LARGE) {
        conv->retry_at_ms = now_ms + UNSETTLED_RETRY_MS; /* still not known: nothing is said of it */
        return;
    } else if (rc < 0) {
        for (uint32_t i = 0; i < h.n; i++)
            t->items[i].result = i == 0 ? rc : PIM_AGAIN;
    }
    conv->unsettled = NULL;
    conv->n_unsettled = 0;
    conv->state = CONV_READY;
    t->n_unsettled_convs--;
    settle_run(t, conv, sends, t->items, h.n);
    free(sends);
}

void
pim_msglog_unsettled_retry(struct log_thread *t, int64_t now_ms)
{
    struct log_conv *conv, *next;

    for (conv = TAILQ_FIRST(&t->lru); conv != NULL && t->n_unsettled_convs > 0; conv = next) {
        next = TAILQ_NEXT(conv, lru);
        if (conv->state == CONV_UNSETTLED && now_ms >= conv->retry_at_ms)
            retry(t, conv, now_ms);
    }
}
