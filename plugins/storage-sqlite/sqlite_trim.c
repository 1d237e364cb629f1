/* What is taken away: the oldest rows of one conversation, rows by age, one body. The newest row of a conversation always
 * stays, a number is never used again, and each deletion writes the conversation's new floor in the same commit. */
#include "sqlite_priv.h"

#include <string.h>
#include <syslog.h>
#include <time.h>

#define STEP_ROWS 2000 /* in one commit */

static int
delete_row(struct pim_conn *conn, const struct pim_conv *conv, int64_t id, int64_t seq, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_MSG_DELETE, err);
    int rc;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, id);
    rc = pim_sq_run(conn, stmt, "trim", err);
    if (rc != PIM_OK || seq % SQ_SKIP != 0)
        return rc;
    stmt = pim_sq_stmt(conn, SQ_SKIP_DELETE, err);
    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, conv->kind);
    sqlite3_bind_int64(stmt, 2, conv->a);
    sqlite3_bind_int64(stmt, 3, conv->b);
    sqlite3_bind_int64(stmt, 4, seq);
    return pim_sq_run(conn, stmt, "trim", err);
}

/* Rows floor + 1 .. to of one conversation, found from above. */
static int
delete_run(struct pim_conn *conn, const struct pim_conv *conv, struct sq_head *head, int64_t to, struct pim_err *err)
{
    struct sq_walk walk = {.conn = conn, .conv = *conv, .head = *head};
    int64_t id, floor_ms = 0;
    int rc = pim_sq_walk_seek(&walk, to, &id, err);

    for (int64_t at = to; rc == PIM_OK && at > head->floor_seq; at--) {
        struct sq_hop hop;

        rc = pim_sq_walk_hop(&walk, id, at, &hop, err);
        if (rc == PIM_OK)
            rc = delete_row(conn, conv, id, at, err);
        if (at == to)
            floor_ms = hop.created_ms;
        id = hop.prev;
    }
    if (rc != PIM_OK)
        return rc < 0 ? rc : pim_sq_err(err, PIM_ERR_CORRUPT, "%s: trim met a row that is missing", conn->store->path);
    head->floor_seq = to;
    head->floor_ms = floor_ms;
    return PIM_OK;
}

int32_t
pim_sq_trim(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t to_seq,
            uint64_t *out_count, struct pim_err *err)
{
    uint64_t count = 0;
    bool more = true;
    int rc = pim_sq_enter(conn, call, true, err);

    while (rc == PIM_OK && more) {
        struct sq_head *head;
        uint32_t entry;
        int64_t to = to_seq, n = 0;

        rc = pim_sq_txn_begin(conn, err);
        if (rc != PIM_OK)
            break;
        rc = pim_sq_head_pin(conn, conv->kind, conv->a, conv->b, &entry, &head, err);
        if (rc == PIM_OK) {
            if (to > head->seq - 1)
                to = head->seq - 1;
            more = to - head->floor_seq > STEP_ROWS;
            if (more)
                to = head->floor_seq + STEP_ROWS;
            n = to - head->floor_seq;
            if (n > 0)
                rc = delete_run(conn, conv, head, to, err);
            if (rc == PIM_OK && n > 0)
                rc = pim_sq_head_changed(conn, entry, true, err);
        }
        rc = pim_sq_txn_end(conn, rc, true, err);
        if (rc == PIM_OK && n > 0)
            count += (uint64_t)n;
        if (rc == PIM_OK && more && pim_sq_stopped(conn, NULL) != PIM_OK) {
            rc = PIM_MORE; /* what is done is done; the next call goes on */
            break;
        }
    }
    if (out_count != NULL)
        *out_count = count;
    return rc;
}

int32_t
pim_sq_redact(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t seq,
              struct pim_err *err)
{
    struct sq_walk walk = {.conn = conn, .conv = *conv};
    struct sq_head *head;
    struct sq_hop hop;
    sqlite3_stmt *stmt;
    uint32_t entry;
    int64_t id;
    bool found = false;
    int rc = pim_sq_enter(conn, call, true, err);

    if (rc == PIM_OK)
        rc = pim_sq_txn_begin(conn, err);
    if (rc != PIM_OK)
        return rc;
    rc = pim_sq_head_pin(conn, conv->kind, conv->a, conv->b, &entry, &head, err);
    if (rc == PIM_OK && seq > head->floor_seq && seq <= head->seq) {
        walk.head = *head;
        rc = pim_sq_walk_seek(&walk, seq, &id, err);
        if (rc == PIM_OK)
            rc = pim_sq_walk_hop(&walk, id, seq, &hop, err);
        stmt = rc == PIM_OK ? pim_sq_stmt(conn, SQ_MSG_REDACT, err) : NULL;
        if (stmt != NULL) {
            sqlite3_bind_int64(stmt, 1, id);
            rc = pim_sq_run(conn, stmt, "redact", err);
            found = rc == PIM_OK;
        }
    }
    rc = pim_sq_txn_end(conn, rc < 0 ? rc : PIM_OK, true, err);
    return rc != PIM_OK || found ? rc : PIM_NOT_FOUND;
}

/* --- by age ------------------------------------------------------------------------------------------------------------ */

struct old_row {
    struct pim_conv conv;
    int64_t id, seq, prev, created_ms;
    uint32_t entry;
};

/* The oldest rows not yet looked at that are before the cutoff and below the mark. Log order is time order. */
static int
old_rows(struct pim_conn *conn, int64_t cutoff_ms, struct old_row *rows, uint32_t max, uint32_t *out_n,
         struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_MSG_SCAN, err);
    uint32_t n = 0;
    int rc = SQLITE_DONE;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, conn->store->trim_id);
    sqlite3_bind_int64(stmt, 2, max);
    while (n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        rows[n] = (struct old_row){.id = sqlite3_column_int64(stmt, 0),
                                   .conv = {.kind = sqlite3_column_int(stmt, 1),
                                            .a = sqlite3_column_int64(stmt, 2),
                                            .b = sqlite3_column_int64(stmt, 3)},
                                   .seq = sqlite3_column_int64(stmt, 4),
                                   .prev = sqlite3_column_int64(stmt, 5),
                                   .created_ms = sqlite3_column_int64(stmt, 6)};
        if (rows[n].created_ms >= cutoff_ms || rows[n].id > conn->store->heads.mark)
            break;
        n++;
    }
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? PIM_OK : pim_sq_fail(conn, rc, "retention", err);
    sqlite3_reset(stmt);
    *out_n = n;
    return rc;
}

static int
old_row_delete(struct pim_conn *conn, struct old_row *row, struct pim_err *err)
{
    struct sq_head *head;
    int rc = pim_sq_head_pin(conn, row->conv.kind, row->conv.a, row->conv.b, &row->entry, &head, err);

    if (rc != PIM_OK || head->id == row->id)
        return rc; /* the newest stays */
    /* one before it may have stayed because it was the newest when the age came by last */
    if (row->seq == head->floor_seq + 2)
        rc = delete_row(conn, &row->conv, row->prev, row->seq - 1, err);
    if (rc == PIM_OK)
        rc = delete_row(conn, &row->conv, row->id, row->seq, err);
    if (rc != PIM_OK || row->seq <= head->floor_seq)
        return rc;
    head->floor_seq = row->seq;
    head->floor_ms = row->created_ms;
    return pim_sq_head_changed(conn, row->entry, false, err);
}

static int
age_step(struct pim_conn *conn, int64_t cutoff_ms, uint32_t *out_n, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    struct old_row rows[STEP_ROWS / 4];
    uint32_t n = 0;
    int rc = pim_sq_txn_begin(conn, err);

    *out_n = 0;
    if (rc != PIM_OK)
        return rc;
    rc = old_rows(conn, cutoff_ms, rows, (uint32_t)SQ_COUNT(rows), &n, err);
    for (uint32_t i = 0; rc == PIM_OK && i < n; i++)
        rc = old_row_delete(conn, &rows[i], err);
    for (uint32_t i = 0; rc == PIM_OK && i < n; i++)
        rc = pim_sq_head_write(conn, rows[i].entry, err);
    if (rc == PIM_OK && n > 0)
        rc = pim_sq_meta_put(conn, "trim_id", rows[n - 1].id, err);
    if (rc == PIM_OK && n > 0)
        rc = pim_sq_meta_put(conn, "trim_ms", rows[n - 1].created_ms, err);
    rc = pim_sq_txn_end(conn, rc, true, err);
    if (rc == PIM_OK && n > 0) {
        store->trim_id = rows[n - 1].id;
        store->trim_ms = rows[n - 1].created_ms;
        *out_n = n;
    }
    return rc;
}

int32_t
pim_sq_maintain(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    struct timespec now;
    uint32_t n = 0, steps = 0;
    int rc = pim_sq_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    if (conn->in_group)
        return pim_sq_err(err, PIM_ERR_INVALID, "maintain within a group");
    clock_gettime(CLOCK_REALTIME, &now);
    while (rc == PIM_OK && store->retain_days > 0 && steps++ < 20) {
        rc = age_step(conn, (int64_t)now.tv_sec * 1000 - store->retain_days * 86400000, &n, err);
        if (n == 0 || pim_sq_stopped(conn, NULL) != PIM_OK)
            break;
    }
    if (rc == PIM_OK)
        rc = pim_sq_checkpoint(conn, false, err);
    if (rc == PIM_ERR_FULL || rc == PIM_ERR_RETRY)
        rc = PIM_OK; /* what is in the WAL is durable: another time */
    return rc == PIM_OK && n > 0 ? PIM_MORE : rc;
}
