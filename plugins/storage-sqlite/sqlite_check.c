/* Is the log whole? And if not: what can be made anew from its rows. At open, by option check. */
#include "sqlite_priv.h"

#include <syslog.h>

#define SAME(x, y) x ".kind = " y ".kind AND " x ".a = " y ".a AND " x ".b = " y ".b"

/* Each gives the rows that should not be: kind, a, b, number. */
static const struct {
    const char *fault, *sql;
} checks[] = {
    {"a head names a row that is not there, or not its own",
     "SELECT h.kind, h.a, h.b, h.seq FROM head h LEFT JOIN msg m ON m.id = h.id AND m.seq = h.seq AND " SAME(
         "m", "h") " WHERE m.id IS NULL"},
    {"a row has no head, or stands below its floor",
     "SELECT m.kind, m.a, m.b, m.seq FROM msg m LEFT JOIN head h ON " SAME(
         "m", "h") " WHERE h.kind IS NULL OR m.seq <= h.floor_seq"},
    {"a row's pointer does not lead to the row before",
     "SELECT m.kind, m.a, m.b, m.seq FROM msg m JOIN head h ON " SAME(
         "m",
         "h") " LEFT JOIN msg p ON p.id = m.prev AND p.seq = m.seq - 1 AND " SAME("p",
                                                                                  "m") " WHERE m.seq > h.floor_seq + 1 "
                                                                                       "AND p.id IS NULL"},
    {"numbers are missing or doubled",
     "SELECT m.kind, m.a, m.b, max(m.seq) FROM msg m JOIN head h ON " SAME(
         "m", "h") " GROUP BY m.kind, m.a, m.b HAVING count(*) <> max(m.seq) - h.floor_seq"},
    {"a skip row is wrong", "SELECT s.kind, s.a, s.b, s.seq FROM skip s LEFT JOIN msg m ON m.id = s.id AND m.seq = "
                            "s.seq AND m.day = s.day AND " SAME("m", "s") " WHERE m.id IS NULL"},
    {"a skip row is missing", "SELECT m.kind, m.a, m.b, m.seq FROM msg m LEFT JOIN skip s ON " SAME(
                                  "m", "s") " AND s.seq = m.seq"
                                            " WHERE m.seq % 64 = 0 AND s.kind IS NULL"},
};

int
pim_sq_check(struct pim_conn *conn, struct pim_err *err)
{
    int rc = PIM_OK;

    for (size_t i = 0; rc == PIM_OK && i < SQ_COUNT(checks); i++) {
        sqlite3_stmt *stmt = NULL;
        int step = sqlite3_prepare_v2(conn->db, checks[i].sql, -1, &stmt, NULL);

        if (step == SQLITE_OK)
            step = sqlite3_step(stmt);
        if (step == SQLITE_ROW)
            rc = pim_sq_err(err, PIM_ERR_CORRUPT, "%s: %s: conversation %d/%lld/%lld, number %lld", conn->store->path,
                            checks[i].fault, sqlite3_column_int(stmt, 0), (long long)sqlite3_column_int64(stmt, 1),
                            (long long)sqlite3_column_int64(stmt, 2), (long long)sqlite3_column_int64(stmt, 3));
        else if (step != SQLITE_DONE)
            rc = pim_sq_fail(conn, step, "check", err);
        sqlite3_finalize(stmt);
    }
    if (rc == PIM_OK)
        pim_sq_log(conn->store, LOG_NOTICE, "%s: heads, pointers and skips agree with the rows", conn->store->path);
    return rc;
}

static const char rebuild_sql[] =
    "DELETE FROM skip; DELETE FROM head;"
    "INSERT INTO skip SELECT kind, a, b, seq, id, created_ms, day FROM msg WHERE seq % 64 = 0;"
    "WITH w AS (SELECT id, lag(id, 1, 0) OVER (PARTITION BY kind, a, b ORDER BY seq) AS p FROM msg)"
    " UPDATE msg SET prev = w.p FROM w WHERE w.id = msg.id AND msg.prev <> w.p;"
    /* the floor's time is not known any more: that of the row above it is never too early */
    "INSERT INTO head SELECT t.kind, t.a, t.b, t.seq, t.ord, t.msg_id, t.id, f.seq - 1, iif(f.seq > 1, f.created_ms, "
    "0),"
    " t.created_ms, t.day FROM (SELECT kind, a, b, max(seq) AS seq, ord, msg_id, id, created_ms, day FROM msg GROUP BY "
    "kind, a, b) t"
    " JOIN (SELECT kind, a, b, min(seq) AS seq, created_ms FROM msg GROUP BY kind, a, b) f USING (kind, a, b);"
    "INSERT OR REPLACE INTO store SELECT 'mark', coalesce(max(id), 0) FROM msg;";

int
pim_sq_rebuild(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    int rc = pim_sq_txn_begin(conn, err);

    if (rc != PIM_OK)
        return rc;
    rc = pim_sq_exec(conn, rebuild_sql, err);
    rc = pim_sq_txn_end(conn, rc, true, err);
    if (rc == PIM_OK)
        rc = pim_sq_meta_get(conn, "mark", &store->heads.mark, err);
    store->heads.mark_next = store->heads.mark;
    pim_sq_heads_clear(store);
    pim_sq_log(store, LOG_NOTICE, "%s: heads and skips were made anew from the rows", store->path);
    return rc;
}
