/* From where a conversation's log ends, or from the next of its rows in skip, back to the row asked for: at most 63 hops.
 * Each hop looks whether it stands on the right row. */
#include "sqlite_priv.h"

int
pim_sq_walk_begin(struct sq_walk *walk, struct pim_conn *conn, const struct pim_conv *conv, bool durable,
                  bool *out_began, struct pim_err *err)
{
    bool in_memory;
    int rc;

    *walk = (struct sq_walk){.conn = conn, .conv = *conv};
    /* memory before the snapshot: what was committed before memory said so is in the snapshot */
    in_memory = pim_sq_head_peek(conn, conv, durable, &walk->head);
    rc = pim_sq_snap_begin(conn, out_began, err);
    if (rc == PIM_OK && !in_memory)
        rc = pim_sq_head_row_seen(conn, conv, durable, &walk->head, err);
    if (rc == PIM_OK && walk->head.seq == 0)
        rc = PIM_NOT_FOUND;
    return rc;
}

int
pim_sq_walk_missing(struct sq_walk *walk, int64_t seq, struct pim_err *err)
{
    struct sq_head now;
    int rc = pim_sq_head_row(walk->conn, &walk->conv, &now, err);

    if (rc < 0)
        return rc;
    if (rc == PIM_OK && seq <= now.floor_seq) {
        walk->head.floor_seq = now.floor_seq;
        walk->head.floor_ms = now.floor_ms;
        return PIM_NOT_FOUND; /* trimmed since memory was asked */
    }
    return pim_sq_err(err, PIM_ERR_CORRUPT, "%s: conversation %d/%lld/%lld: row %lld is not where its successor says",
                      walk->conn->store->path, walk->conv.kind, (long long)walk->conv.a, (long long)walk->conv.b,
                      (long long)seq);
}

int
pim_sq_walk_hop(struct sq_walk *walk, int64_t id, int64_t seq, struct sq_hop *out_hop, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(walk->conn, SQ_MSG_HOP, err);
    int rc;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, id);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) == walk->conv.kind &&
        sqlite3_column_int64(stmt, 1) == walk->conv.a && sqlite3_column_int64(stmt, 2) == walk->conv.b &&
        sqlite3_column_int64(stmt, 3) == seq) {
        *out_hop = (struct sq_hop){.seq = seq,
                                   .prev = sqlite3_column_int64(stmt, 4),
                                   .created_ms = sqlite3_column_int64(stmt, 5),
                                   .day = sqlite3_column_int(stmt, 6)};
        rc = PIM_OK;
    } else if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        rc = pim_sq_walk_missing(walk, seq, err);
    } else {
        rc = pim_sq_fail(walk->conn, rc, "message", err);
    }
    sqlite3_reset(stmt);
    return rc;
}

static int
skip_get(struct sq_walk *walk, int64_t seq, int64_t *out_id, int32_t *out_day, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(walk->conn, SQ_SKIP_GET, err);
    int rc;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, walk->conv.kind);
    sqlite3_bind_int64(stmt, 2, walk->conv.a);
    sqlite3_bind_int64(stmt, 3, walk->conv.b);
    sqlite3_bind_int64(stmt, 4, seq);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *out_id = sqlite3_column_int64(stmt, 0);
        *out_day = sqlite3_column_int(stmt, 2);
        rc = PIM_OK;
    } else {
        rc = rc == SQLITE_DONE ? pim_sq_walk_missing(walk, seq, err) : pim_sq_fail(walk->conn, rc, "skip", err);
    }
    sqlite3_reset(stmt);
    return rc;
}

int
pim_sq_walk_seek(struct sq_walk *walk, int64_t seq, int64_t *out_id, struct pim_err *err)
{
    int64_t at = (seq + SQ_SKIP - 1) / SQ_SKIP * SQ_SKIP, id = walk->head.id;
    int32_t day;
    int rc = PIM_OK;

    if (at >= walk->head.seq)
        at = walk->head.seq;
    else
        rc = skip_get(walk, at, &id, &day, err);
    for (; rc == PIM_OK && at > seq; at--) {
        struct sq_hop hop;

        rc = pim_sq_walk_hop(walk, id, at, &hop, err);
        id = hop.prev;
    }
    if (rc == PIM_OK)
        *out_id = id;
    return rc;
}

int
pim_sq_walk_day(struct sq_walk *walk, int32_t day, int64_t *out_seq, struct pim_err *err)
{
    /* skip rows low + 1 .. high - 1 are not yet looked at; those up to low are before the day, from high on they are not */
    int64_t low = walk->head.floor_seq / SQ_SKIP, high = walk->head.seq / SQ_SKIP + 1, at, id;
    int32_t its_day;
    int rc;

    while (high - low > 1) {
        int64_t mid = low + (high - low) / 2;

        rc = skip_get(walk, mid * SQ_SKIP, &id, &its_day, err);
        if (rc < 0)
            return rc;
        if (rc == PIM_NOT_FOUND || its_day < day)
            low = mid;
        else
            high = mid;
    }
    at = high * SQ_SKIP <= walk->head.seq ? high * SQ_SKIP : walk->head.seq;
    rc = pim_sq_walk_seek(walk, at, &id, err);
    for (; rc == PIM_OK && at > walk->head.floor_seq; at--) {
        struct sq_hop hop;

        rc = pim_sq_walk_hop(walk, id, at, &hop, err);
        if (rc != PIM_OK || hop.day < day)
            break;
        id = hop.prev;
    }
    *out_seq = at + 1; /* the row at `at` is before the day, or gone */
    return rc < 0 ? rc : PIM_OK;
}
