/* Messages: a conversation is an array of rows without a hole. */
#include "mem_priv.h"

#include <stdlib.h>
#include <string.h>

static int
cmp_conv(const struct pim_conv *x, const struct pim_conv *y)
{
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

/* The first conversation that is not before this one. */
static size_t
lower(const struct mem_data *data, const struct pim_conv *conv)
{
    size_t low = 0, high = data->n_logs;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (cmp_conv(&data->logs[mid]->conv, conv) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct mem_log *
log_find(const struct mem_data *data, const struct pim_conv *conv)
{
    size_t at = lower(data, conv);

    return at < data->n_logs && cmp_conv(&data->logs[at]->conv, conv) == 0 ? data->logs[at] : NULL;
}

static struct mem_log *
log_get(struct mem_data *data, const struct pim_conv *conv)
{
    struct mem_log *log = log_find(data, conv);
    size_t at = lower(data, conv);

    if (log != NULL)
        return log;
    if (!pim_mem_room((void **)&data->logs, data->n_logs, &data->cap_logs, sizeof(struct mem_log *)) ||
        (log = calloc(1, sizeof *log)) == NULL)
        return NULL;
    log->conv = *conv;
    log->conv.reserved = 0;
    memmove(&data->logs[at + 1], &data->logs[at], (data->n_logs - at) * sizeof(struct mem_log *));
    data->logs[at] = log;
    data->n_logs++;
    return log;
}

void
pim_mem_logs_free(struct mem_data *data)
{
    for (size_t i = 0; i < data->n_logs; i++) {
        struct mem_log *log = data->logs[i];

        for (size_t k = 0; k < log->n; k++)
            free((void *)(uintptr_t)log->msgs[k].m.body);
        free(log->msgs);
        free(log);
    }
    free(data->logs);
    data->logs = NULL;
    data->n_logs = data->cap_logs = 0;
}

static int64_t
head_of(const struct mem_log *log)
{
    return log == NULL ? 0 : log->floor_seq + (int64_t)log->n;
}

static struct pim_msg *
row_at(const struct mem_log *log, int64_t seq)
{
    return &log->msgs[seq - log->floor_seq - 1].m;
}

/* --- append
 * ------------------------------------------------------------------------------------------------------------- */

static bool
is_bad(const struct pim_store *store, const struct pim_append_item *item)
{
    return store->bad_body != NULL && item->body_len > 0 &&
           memmem(item->body, item->body_len, store->bad_body, strlen(store->bad_body)) != NULL;
}

static int
item_check(const struct pim_store *store, const struct pim_append_item *item, const struct mem_log *log)
{
    if (item->seq < 1)
        return PIM_ERR_INVALID;
    if (item->seq <= head_of(log))
        return PIM_EXISTS;
    if (item->seq > head_of(log) + 1)
        return PIM_NOT_FOUND;
    if (item->conv.kind <= 0 || (item->body == NULL && item->body_len > 0) ||
        (item->conv.kind == 'u' && item->conv.a > item->conv.b) || is_bad(store, item))
        return PIM_ERR_INVALID;
    return item->body_len > MEM_VALUE_MAX ? PIM_ERR_TOO_LARGE : PIM_OK;
}

static int
item_store(struct mem_data *data, const struct pim_append_item *item)
{
    struct mem_log *log = log_get(data, &item->conv);
    char *body = malloc(item->body_len + 1);
    struct pim_msg *m;

    if (log == NULL || body == NULL || !pim_mem_room((void **)&log->msgs, log->n, &log->cap, sizeof *log->msgs)) {
        free(body);
        return PIM_ERR_NOMEM;
    }
    if (item->body_len > 0)
        memcpy(body, item->body, item->body_len);
    m = &log->msgs[log->n].m;
    *m = (struct pim_msg){.struct_size = sizeof *m,
                          .type = item->type,
                          .conv = log->conv,
                          .seq = item->seq,
                          .ord = item->ord,
                          .msg_id = item->msg_id,
                          .sender_id = item->sender_id,
                          .created_ms = item->created_ms,
                          .expire_ms = item->expire_ms,
                          .body_hash = item->body_hash,
                          .body = body,
                          .body_len = item->body_len,
                          .day = item->day};
    memcpy(m->cid, item->cid, sizeof m->cid);
    log->n++;
    return PIM_OK;
}

static int
batch_check(const struct pim_store *store, const struct pim_append *append, struct pim_err *err)
{
    uint64_t bytes = 0;

    if (append->item_size < sizeof(struct pim_append_item) || (append->items == NULL && append->n_items > 0))
        return pim_mem_err(err, PIM_ERR_INVALID, "append: items of %u bytes", append->item_size);
    if (append->n_items > MEM_APPEND_ITEMS_MAX)
        return pim_mem_err(err, PIM_ERR_TOO_LARGE, "append: %u items, at most %d", append->n_items,
                           MEM_APPEND_ITEMS_MAX);
    for (uint32_t i = 0; i < append->n_items; i++) {
        const struct pim_append_item *item = PIM_AT(struct pim_append_item, append->items, append->item_size, i);

        bytes += item->body_len <= MEM_VALUE_MAX ? item->body_len : 0; /* that one fails by itself */
        if (store->bad_body_whole && is_bad(store, item))
            return pim_mem_err(err, PIM_ERR_INTERNAL, "append: a batch with a bad message in it");
    }
    if (bytes > MEM_APPEND_BYTES_MAX)
        return pim_mem_err(err, PIM_ERR_TOO_LARGE, "append: %llu bytes in one batch", (unsigned long long)bytes);
    return PIM_OK;
}

static int
batch_store(struct pim_store *store, struct pim_append *append, struct pim_err *err)
{
    const struct pim_append_item *before = NULL;
    bool stopped = false;

    for (uint32_t i = 0; i < append->n_items; i++) {
        struct pim_append_item *item = PIM_AT(struct pim_append_item, append->items, append->item_size, i);
        const struct mem_log *log = log_find(store->data, &item->conv);

        if (before == NULL || cmp_conv(&before->conv, &item->conv) != 0)
            stopped = false;
        before = item;
        item->head_seq = head_of(log);
        item->result = stopped ? PIM_AGAIN : item_check(store, item, log);
        stopped = item->result != PIM_OK;
        if (stopped)
            continue;
        if (item_store(store->data, item) != PIM_OK)
            return pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
        item->head_seq = item->seq;
    }
    return PIM_OK;
}

static int
planted(struct pim_store *store, struct pim_append *append, struct pim_err *err)
{
    switch (store->fail_append) {
    case MEM_FAULT_STORED:
        batch_store(store, append, err);
        return pim_mem_err(err, PIM_ERR_UNCERTAIN, "planted: stored, but nobody knows");
    case MEM_FAULT_LOST:
        return pim_mem_err(err, PIM_ERR_UNCERTAIN, "planted: not stored, but nobody knows");
    case MEM_FAULT_UNAVAILABLE:
        return pim_mem_err(err, PIM_ERR_UNAVAILABLE, "planted: the connection is dead");
    case MEM_FAULT_FULL:
        return pim_mem_err(err, PIM_ERR_FULL, "planted: no room");
    default:
        return pim_mem_err(err, PIM_ERR_INTERNAL, "planted: a failure");
    }
}

int32_t
pim_mem_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    int64_t number;
    int rc = pim_mem_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    number = atomic_fetch_add(&store->n_appends, 1) + 1;
    rc = batch_check(store, append, err);
    if (rc == PIM_OK && store->fail_append != MEM_FAULT_NONE && number >= store->fail_from && number <= store->fail_to)
        rc = planted(store, append, err);
    else if (rc == PIM_OK)
        rc = batch_store(store, append, err);
    pim_mem_leave(conn);
    return rc;
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------------- */

static bool
in_days(const struct pim_history *q, const struct pim_msg *m)
{
    return (q->from_day == 0 || m->day >= q->from_day) && (q->to_day == 0 || m->day <= q->to_day);
}

int32_t
pim_mem_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg,
                void *ctx, struct pim_err *err)
{
    bool desc = (q->flags & PIM_H_DESC) != 0;
    const struct mem_log *log;
    int64_t from, to;
    uint32_t n = 0;
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    log = log_find(conn->store->data, &q->conv);
    if (log != NULL) {
        from = q->from_seq > log->floor_seq ? q->from_seq : log->floor_seq + 1;
        to = q->to_seq < head_of(log) ? q->to_seq : head_of(log);
        for (int64_t at = desc ? to : from; rc == PIM_OK && at >= from && at <= to; at += desc ? -1 : 1) {
            const struct pim_msg *m = row_at(log, at);

            if (!in_days(q, m))
                continue;
            if (q->limit != 0 && n++ == q->limit) {
                rc = PIM_MORE;
                break;
            }
            if (msg != NULL && msg(ctx, 0, m) != 0)
                break;
            rc = pim_mem_stopped(conn, call, err);
        }
    }
    pim_mem_leave(conn);
    return rc;
}

/* Where a log ends, into the out fields that tails and heads have in common. */
#define FILL(out, log)                                                                                                 \
    do {                                                                                                               \
        const struct pim_msg *last = head_of(log) > 0 ? row_at(log, head_of(log)) : NULL;                              \
        (out)->head_seq = head_of(log);                                                                                \
        (out)->head_ord = last ? last->ord : 0;                                                                        \
        (out)->head_msg_id = last ? last->msg_id : 0;                                                                  \
        (out)->floor_seq = (log) ? (log)->floor_seq : 0;                                                               \
        (out)->floor_ms = (log) ? (log)->floor_ms : 0;                                                                 \
        (out)->last_ms = last ? last->created_ms : 0;                                                                  \
        (out)->last_day = last ? last->day : 0;                                                                        \
        (out)->result = last ? PIM_OK : PIM_NOT_FOUND;                                                                 \
    } while (0)

/* @return what the callback said last: below 0 stop all */
static int
tail_rows(const struct mem_log *log, struct pim_tail *tail, uint32_t item, pim_msg_fn msg, void *ctx)
{
    uint32_t n = 0;

    for (int64_t at = head_of(log); at > log->floor_seq && at > tail->after_seq; at--) {
        struct pim_msg m = *row_at(log, at);
        int said;

        if (m.created_ms < tail->since_ms)
            break;
        if (n++ == tail->limit) {
            tail->result = PIM_MORE; /* a row more would belong */
            break;
        }
        if ((tail->flags & PIM_TAIL_BODIES) == 0) {
            m.body = NULL;
            m.body_len = 0;
        }
        said = msg != NULL ? msg(ctx, item, &m) : 0;
        if (said != 0)
            return said;
    }
    return 0;
}

int32_t
pim_mem_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
              uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err)
{
    int said = 0, rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    if (tail_size < sizeof(struct pim_tail))
        rc = pim_mem_err(err, PIM_ERR_INVALID, "tails: items of %u bytes", tail_size);
    for (uint32_t i = 0; rc == PIM_OK && said >= 0 && i < n_tails; i++) {
        struct pim_tail *tail = PIM_AT(struct pim_tail, tails, tail_size, i);
        const struct mem_log *log = log_find(conn->store->data, &tail->conv);

        FILL(tail, log);
        if (log != NULL)
            said = tail_rows(log, tail, i, msg, ctx);
        rc = pim_mem_stopped(conn, call, err);
    }
    pim_mem_leave(conn);
    return rc;
}

int32_t
pim_mem_heads(struct pim_conn *conn, const struct pim_call *call, struct pim_head *heads, uint32_t n_heads,
              uint32_t head_size, struct pim_err *err)
{
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    if (head_size < sizeof(struct pim_head))
        rc = pim_mem_err(err, PIM_ERR_INVALID, "heads: items of %u bytes", head_size);
    for (uint32_t i = 0; rc == PIM_OK && i < n_heads; i++) {
        struct pim_head *head = PIM_AT(struct pim_head, heads, head_size, i);
        const struct mem_log *log = log_find(conn->store->data, &head->conv);

        FILL(head, log);
    }
    pim_mem_leave(conn);
    return rc;
}

int32_t
pim_mem_convs(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *after, uint32_t limit,
              pim_head_fn head, void *ctx, struct pim_err *err)
{
    const struct mem_data *data = conn->store->data;
    uint32_t n = 0;
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    for (size_t at = after != NULL ? lower(data, after) : 0; rc == PIM_OK && at < data->n_logs; at++) {
        struct pim_head one = {.conv = data->logs[at]->conv};

        if (after != NULL && cmp_conv(&one.conv, after) == 0)
            continue;
        if (limit != 0 && n++ == limit) {
            rc = PIM_MORE;
            break;
        }
        FILL(&one, data->logs[at]);
        if (head(ctx, &one) != 0)
            break;
        rc = pim_mem_stopped(conn, call, err);
    }
    pim_mem_leave(conn);
    return rc;
}

/* --- taking away
 * --------------------------------------------------------------------------------------------------------- */

int32_t
pim_mem_trim(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t to_seq,
             uint64_t *out_count, struct pim_err *err)
{
    struct mem_log *log;
    int64_t n = 0;
    int rc = pim_mem_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    log = log_find(conn->store->data, conv);
    if (log != NULL) {
        n = (to_seq < head_of(log) - 1 ? to_seq : head_of(log) - 1) - log->floor_seq; /* the newest stays */
        if (n > 0) {
            log->floor_ms = row_at(log, log->floor_seq + n)->created_ms;
            for (int64_t i = 0; i < n; i++)
                free((void *)(uintptr_t)log->msgs[i].m.body);
            log->n -= (size_t)n;
            log->floor_seq += n;
            memmove(log->msgs, log->msgs + n, log->n * sizeof *log->msgs);
        }
    }
    pim_mem_leave(conn);
    if (out_count != NULL)
        *out_count = n > 0 ? (uint64_t)n : 0;
    return PIM_OK;
}

int32_t
pim_mem_redact(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t seq,
               struct pim_err *err)
{
    struct mem_log *log;
    bool found;
    int rc = pim_mem_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    log = log_find(conn->store->data, conv);
    found = log != NULL && seq > log->floor_seq && seq <= head_of(log);
    if (found) {
        struct pim_msg *m = row_at(log, seq);

        explicit_bzero((void *)(uintptr_t)m->body, m->body_len);
        m->body_len = 0;
    }
    pim_mem_leave(conn);
    return found ? PIM_OK : PIM_NOT_FOUND;
}
