/* Reading the log: history, tails, heads, conversations. */
#include "sqlite_priv.h"

#include <string.h>

#define BLOCK 256     /* rows of a forward page that are found in one walk back */
#define LOOK_EVERY 64 /* rows between two looks at deadline and cancel */

/* Give out row id, which must be number seq. @return GIVEN; GIVEN_LAST: older than since_ms, or the callback wants no more
 * of this item; GIVEN_STOP: it wants nothing more at all; PIM_NOT_FOUND: trimmed meanwhile; or a failure */
enum { GIVEN = 100, GIVEN_LAST, GIVEN_STOP };

static int
give(struct sq_walk *walk, int64_t id, int64_t seq, int64_t since_ms, bool bodies, uint32_t item, pim_msg_fn msg,
     void *ctx, int64_t *out_prev, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(walk->conn, SQ_MSG_READ, err);
    struct pim_msg m = {.struct_size = sizeof m, .conv = walk->conv, .seq = seq};
    int rc;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, id);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        rc = pim_sq_fail(walk->conn, rc, "message", err);
        goto out;
    }
    if (rc == SQLITE_DONE || sqlite3_column_int64(stmt, 4) != seq || sqlite3_column_int64(stmt, 2) != walk->conv.a ||
        sqlite3_column_int64(stmt, 3) != walk->conv.b || sqlite3_column_int(stmt, 1) != walk->conv.kind) {
        rc = pim_sq_walk_missing(walk, seq, err);
        goto out;
    }
    *out_prev = sqlite3_column_int64(stmt, 5);
    m.created_ms = sqlite3_column_int64(stmt, 6);
    if (m.created_ms < since_ms) {
        rc = GIVEN_LAST; /* older than asked, and so are all before it */
        goto out;
    }
    m.day = sqlite3_column_int(stmt, 7);
    m.ord = sqlite3_column_int64(stmt, 8);
    m.msg_id = sqlite3_column_int64(stmt, 9);
    m.sender_id = sqlite3_column_int64(stmt, 10);
    m.type = (uint32_t)sqlite3_column_int64(stmt, 11);
    m.expire_ms = sqlite3_column_int64(stmt, 12);
    m.body_hash = (uint64_t)sqlite3_column_int64(stmt, 13);
    if (sqlite3_column_bytes(stmt, 14) == (int)sizeof m.cid)
        memcpy(m.cid, sqlite3_column_blob(stmt, 14), sizeof m.cid);
    m.conv.reserved = 0;
    if (bodies) {
        m.body = sqlite3_column_blob(stmt, 15);
        m.body_len = (uint32_t)sqlite3_column_bytes(stmt, 15);
        if (m.body == NULL && m.body_len == 0)
            m.body = "";
    }
    rc = msg != NULL ? msg(ctx, item, &m) : 0;
    rc = rc == 0 ? GIVEN : rc < 0 ? GIVEN_STOP : GIVEN_LAST;
out:
    sqlite3_reset(stmt);
    return rc;
}

/* --- history --------------------------------------------------------------------------------------------------------- */

static int
newest_first(struct sq_walk *walk, int64_t from, int64_t to, uint32_t limit, pim_msg_fn msg, void *ctx,
             struct pim_err *err)
{
    uint32_t n = 0;
    int64_t id, at = to;
    int rc = pim_sq_walk_seek(walk, to, &id, err);

    for (; rc == PIM_OK && at >= from; at--) {
        if (limit != 0 && n == limit)
            return PIM_MORE;
        if (++n % LOOK_EVERY == 0 && (rc = pim_sq_stopped(walk->conn, err)) != PIM_OK)
            return rc;
        rc = give(walk, id, at, INT64_MIN, true, 0, msg, ctx, &id, err);
        if (rc != GIVEN)
            break;
        rc = PIM_OK;
    }
    return rc < 0 ? rc : PIM_OK;
}

static int
oldest_first(struct sq_walk *walk, int64_t from, int64_t to, uint32_t limit, pim_msg_fn msg, void *ctx,
             struct pim_err *err)
{
    int64_t last = limit != 0 && to - from >= limit ? from + limit - 1 : to;
    int64_t ids[BLOCK], prev;

    for (int64_t low = from; low <= last;) {
        int64_t high = last - low >= BLOCK ? low + BLOCK - 1 : last, at = high, id;
        int rc = pim_sq_walk_seek(walk, high, &id, err);

        while (rc == PIM_OK) {
            struct sq_hop hop;

            ids[at - low] = id;
            if (at == low)
                break;
            rc = pim_sq_walk_hop(walk, id, at, &hop, err);
            if (rc == PIM_OK) {
                id = hop.prev;
                at--;
            }
        }
        if (rc < 0 || (rc = pim_sq_stopped(walk->conn, err)) < 0)
            return rc;
        if (rc == PIM_NOT_FOUND)
            at = walk->head.floor_seq + 1; /* trimmed meanwhile: what is left of the block */
        for (; at <= high; at++) {
            if (at <= walk->head.floor_seq)
                continue;
            rc = give(walk, ids[at - low], at, INT64_MIN, true, 0, msg, ctx, &prev, err);
            if (rc < 0)
                return rc;
            if (rc == GIVEN_LAST || rc == GIVEN_STOP)
                return PIM_OK;
        }
        low = high + 1;
    }
    return last < to ? PIM_MORE : PIM_OK;
}

int32_t
pim_sq_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg,
               void *ctx, struct pim_err *err)
{
    struct sq_walk walk;
    int64_t from, to;
    bool began = false;
    int rc = pim_sq_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    rc = pim_sq_walk_begin(&walk, conn, &q->conv, false, &began, err);
    if (rc == PIM_OK) {
        from = q->from_seq > walk.head.floor_seq ? q->from_seq : walk.head.floor_seq + 1;
        to = q->to_seq < walk.head.seq ? q->to_seq : walk.head.seq;
        if (q->from_day != 0 && from <= to) {
            int64_t first;

            rc = pim_sq_walk_day(&walk, q->from_day, &first, err);
            if (rc == PIM_OK && first > from)
                from = first;
        }
        if (rc == PIM_OK && q->to_day != 0 && from <= to) {
            int64_t after;

            rc = q->to_day < INT32_MAX ? pim_sq_walk_day(&walk, q->to_day + 1, &after, err) : PIM_NOT_FOUND;
            if (rc == PIM_OK && after - 1 < to)
                to = after - 1;
            rc = rc < 0 ? rc : PIM_OK;
        }
        if (from <= walk.head.floor_seq)
            from = walk.head.floor_seq + 1;
        if (rc == PIM_OK && from <= to)
            rc = (q->flags & PIM_H_DESC) != 0 ? newest_first(&walk, from, to, q->limit, msg, ctx, err)
                                              : oldest_first(&walk, from, to, q->limit, msg, ctx, err);
    }
    pim_sq_snap_end(conn, began);
    return rc == PIM_NOT_FOUND ? PIM_OK : rc;
}

/* --- tails ----------------------------------------------------------------------------------------------------------- */

static int
tail_rows(struct sq_walk *walk, struct pim_tail *tail, uint32_t item, pim_msg_fn msg, void *ctx, bool *out_stop,
          struct pim_err *err)
{
    bool bodies = (tail->flags & PIM_TAIL_BODIES) != 0;
    int64_t id = walk->head.id, at = walk->head.seq;
    uint32_t n = 0;
    int rc;

    for (; at > walk->head.floor_seq && at > tail->after_seq; at--) {
        if (n == tail->limit) {
            struct sq_hop hop;

            rc = pim_sq_walk_hop(walk, id, at, &hop, err);
            return rc == PIM_OK && hop.created_ms >= tail->since_ms ? PIM_MORE : rc < 0 ? rc : PIM_OK;
        }
        if (++n % LOOK_EVERY == 0 && (rc = pim_sq_stopped(walk->conn, err)) != PIM_OK)
            return rc;
        rc = give(walk, id, at, tail->since_ms, bodies, item, msg, ctx, &id, err);
        if (rc == GIVEN)
            continue;
        *out_stop = rc == GIVEN_STOP;
        return rc < 0 ? rc : PIM_OK;
    }
    return PIM_OK;
}

int32_t
pim_sq_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
             uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err)
{
    bool stop = false;
    int rc = pim_sq_enter(conn, call, false, err);

    if (rc == PIM_OK && tail_size < sizeof(struct pim_tail))
        rc = pim_sq_err(err, PIM_ERR_INVALID, "tails: items of %u bytes", tail_size);
    for (uint32_t i = 0; rc >= 0 && i < n_tails && !stop; i++) {
        struct pim_tail *tail = PIM_AT(struct pim_tail, tails, tail_size, i);
        struct sq_walk walk;
        bool began = false;

        rc = pim_sq_walk_begin(&walk, conn, &tail->conv, (tail->flags & PIM_TAIL_DURABLE) != 0, &began, err);
        if (rc == PIM_OK)
            rc = tail_rows(&walk, tail, i, msg, ctx, &stop, err);
        pim_sq_snap_end(conn, began);
        tail->result = rc;
        tail->head_seq = walk.head.seq;
        tail->head_ord = walk.head.ord;
        tail->head_msg_id = walk.head.msg_id;
        tail->floor_seq = walk.head.floor_seq;
        tail->floor_ms = walk.head.floor_ms;
        tail->last_ms = walk.head.last_ms;
        tail->last_day = walk.head.last_day;
    }
    return rc < 0 ? rc : PIM_OK;
}

/* --- heads and conversations ------------------------------------------------------------------------------------------- */

static int
head_fill(struct pim_conn *conn, struct pim_head *head, struct pim_err *err)
{
    struct sq_head h = {0};
    int rc = PIM_OK;

    /* what is not in memory is read in a snapshot of its own, begun after memory was asked */
    if (!pim_sq_head_peek(conn, &head->conv, false, &h))
        rc = pim_sq_head_row_seen(conn, &head->conv, false, &h, err);
    if (rc == PIM_OK && h.seq == 0)
        rc = PIM_NOT_FOUND;
    head->head_seq = h.seq;
    head->head_ord = h.ord;
    head->head_msg_id = h.msg_id;
    head->floor_seq = h.floor_seq;
    head->floor_ms = h.floor_ms;
    head->last_ms = h.last_ms;
    head->last_day = h.last_day;
    head->result = rc;
    return rc;
}

int32_t
pim_sq_heads(struct pim_conn *conn, const struct pim_call *call, struct pim_head *heads, uint32_t n_heads,
             uint32_t head_size, struct pim_err *err)
{
    int rc = pim_sq_enter(conn, call, false, err);

    if (rc == PIM_OK && head_size < sizeof(struct pim_head))
        rc = pim_sq_err(err, PIM_ERR_INVALID, "heads: items of %u bytes", head_size);
    for (uint32_t i = 0; rc >= 0 && i < n_heads; i++)
        rc = head_fill(conn, PIM_AT(struct pim_head, heads, head_size, i), err);
    return rc < 0 ? rc : PIM_OK;
}

/* The next conversations in table head, which lists all of them; where each ends is asked afterwards. */
static int
convs_page(struct pim_conn *conn, const struct pim_conv *after, struct pim_conv *page, uint32_t max, uint32_t *out_n,
           struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_HEAD_LIST, err);
    uint32_t n = 0;
    int rc = SQLITE_DONE;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, after->kind);
    sqlite3_bind_int64(stmt, 2, after->a);
    sqlite3_bind_int64(stmt, 3, after->b);
    sqlite3_bind_int64(stmt, 4, max);
    while (n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        page[n++] = (struct pim_conv){.kind = sqlite3_column_int(stmt, 0),
                                      .a = sqlite3_column_int64(stmt, 1),
                                      .b = sqlite3_column_int64(stmt, 2)};
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? PIM_OK : pim_sq_fail(conn, rc, "conversations", err);
    sqlite3_reset(stmt);
    *out_n = n;
    return rc;
}

int32_t
pim_sq_convs(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *after, uint32_t limit,
             pim_head_fn head, void *ctx, struct pim_err *err)
{
    struct pim_conv at = after != NULL ? *after : (struct pim_conv){.kind = INT32_MIN, .a = INT64_MIN, .b = INT64_MIN};
    struct pim_conv page[BLOCK];
    uint32_t given = 0, n = 0;
    int rc = pim_sq_enter(conn, call, false, err);

    do {
        if (rc == PIM_OK)
            rc = convs_page(conn, &at, page, BLOCK, &n, err);
        for (uint32_t i = 0; rc >= 0 && i < n; i++) {
            struct pim_head one = {.conv = page[i]};

            if (limit != 0 && given == limit)
                return PIM_MORE;
            rc = head_fill(conn, &one, err);
            if (rc == PIM_NOT_FOUND)
                continue;
            if (rc < 0 || head(ctx, &one) != 0)
                return rc < 0 ? rc : PIM_OK;
            given++;
            at = page[i];
        }
        rc = rc < 0 ? rc : pim_sq_stopped(conn, err);
    } while (rc == PIM_OK && n == BLOCK);
    return rc;
}
