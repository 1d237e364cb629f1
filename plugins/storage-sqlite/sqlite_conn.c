/* Connections: opening, transactions, what an error means, stopping a running statement. */
#include "sqlite_failpoint.h"
#include "sqlite_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define BUSY_MS 5000
#define PROGRESS_OPS 2000 /* virtual machine steps between two looks at deadline and cancel */

int
pim_sq_err(struct pim_err *err, int code, const char *fmt, ...)
{
    if (err != NULL && PIM_IN(struct pim_err, err, msg)) {
        va_list args;

        err->code = code;
        err->native_code = 0;
        err->state[0] = '\0';
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
    }
    return code;
}

/* After this nothing may be acknowledged any more. */
static void
fatal(struct pim_store *store, const char *why)
{
    atomic_store(&store->broken, true);
    pim_sq_log(store, LOG_CRIT, "%s", why);
    if (PIM_HAS(struct pim_host, store->host, fatal))
        store->host->fatal(store->host, why);
}

static bool
is_failed_write(int extended)
{
    switch (extended) {
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_CLOSE:
        return true;
    default:
        return false;
    }
}

int
pim_sq_fail(struct pim_conn *conn, int rc, const char *what, struct pim_err *err)
{
    int extended = sqlite3_extended_errcode(conn->db), code;

    if ((extended & 0xff) != (rc & 0xff))
        extended = rc;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        code = PIM_ERR_FULL;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = PIM_ERR_RETRY;
        break;
    case SQLITE_INTERRUPT:
        code = conn->stop_rc != 0 ? conn->stop_rc : PIM_ERR_CANCELLED;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = PIM_ERR_CORRUPT;
        break;
    case SQLITE_NOMEM:
        code = PIM_ERR_NOMEM;
        break;
    case SQLITE_TOOBIG:
        code = PIM_ERR_TOO_LARGE;
        break;
    case SQLITE_READONLY:
        code = PIM_ERR_READONLY;
        break;
    case SQLITE_CONSTRAINT:
        code = PIM_ERR_INVALID;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        code = PIM_ERR_UNAVAILABLE;
        break;
    default:
        code = PIM_ERR_INTERNAL;
        break;
    }
    pim_sq_err(err, code, "%s: %s (SQLite %d)", what, sqlite3_errmsg(conn->db), extended);
    if (err != NULL && PIM_IN(struct pim_err, err, native_code))
        err->native_code = extended;
    if (conn->writer && is_failed_write(extended)) {
        char why[300];

        snprintf(why, sizeof why, "the database %s cannot be written any more: %s: %s (SQLite %d, errno %d)",
                 conn->store->path, what, sqlite3_errmsg(conn->db), extended, sqlite3_system_errno(conn->db));
        fatal(conn->store, why);
    }
    return code;
}

/* --- statements ------------------------------------------------------------------------------------------------- */

#define MSG_COLS                                                                                                       \
    "id, kind, a, b, seq, prev, created_ms, day, ord, msg_id, sender_id, type, expire_ms, body_hash, cid, body"
#define CONV_IS "kind = ?1 AND a = ?2 AND b = ?3"

static const char *const stmt_sql[SQ_STMTS] = {
    [SQ_BEGIN] = "BEGIN",
    [SQ_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQ_COMMIT] = "COMMIT",
    [SQ_ROLLBACK] = "ROLLBACK",
    [SQ_SAVE] = "SAVEPOINT s",
    [SQ_SAVE_END] = "RELEASE s",
    [SQ_SAVE_UNDO] = "ROLLBACK TO s",
    [SQ_DATA_VERSION] = "PRAGMA data_version",
    [SQ_MSG_INSERT] =
        "INSERT INTO msg (" MSG_COLS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [SQ_SKIP_INSERT] =
        "INSERT OR REPLACE INTO skip (kind, a, b, seq, id, created_ms, day) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQ_HEAD_PUT] =
        "INSERT OR REPLACE INTO head (kind, a, b, seq, ord, msg_id, id, floor_seq, floor_ms, last_ms, last_day)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SQ_HEAD_GET] = "SELECT seq, ord, msg_id, id, floor_seq, floor_ms, last_ms, last_day FROM head WHERE " CONV_IS,
    [SQ_META_PUT] = "INSERT OR REPLACE INTO store (name, value) VALUES (?1, ?2)",
    [SQ_MSG_HOP] = "SELECT kind, a, b, seq, prev, created_ms, day FROM msg WHERE id = ?1",
    [SQ_MSG_READ] = "SELECT " MSG_COLS " FROM msg WHERE id = ?1",
    [SQ_SKIP_SEEK] = "SELECT seq, id FROM skip WHERE " CONV_IS " AND seq >= ?4 ORDER BY seq LIMIT 1",
    [SQ_SKIP_GET] = "SELECT id, created_ms, day FROM skip WHERE " CONV_IS " AND seq = ?4",
    [SQ_MSG_DELETE] = "DELETE FROM msg WHERE id = ?1",
    [SQ_SKIP_DELETE] = "DELETE FROM skip WHERE " CONV_IS " AND seq = ?4",
    [SQ_SKIP_DELETE_TO] = "DELETE FROM skip WHERE " CONV_IS " AND seq <= ?4",
    [SQ_MSG_REDACT] = "UPDATE msg SET body = x'' WHERE id = ?1",
    [SQ_HEAD_LIST] = "SELECT kind, a, b, seq, ord, msg_id, id, floor_seq, floor_ms, last_ms, last_day FROM head"
                     " WHERE (kind, a, b) > (?1, ?2, ?3) ORDER BY kind, a, b LIMIT ?4",
    [SQ_MSG_SCAN] =
        "SELECT id, kind, a, b, seq, prev, created_ms, day, ord, msg_id FROM msg WHERE id > ?1 ORDER BY id LIMIT ?2",
};

sqlite3_stmt *
pim_sq_stmt(struct pim_conn *conn, enum sq_stmt which, struct pim_err *err)
{
    if (conn->stmts[which] == NULL) {
        int rc =
            sqlite3_prepare_v3(conn->db, stmt_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &conn->stmts[which], NULL);

        if (rc != SQLITE_OK) {
            pim_sq_fail(conn, rc, "prepare", err);
            return NULL;
        }
    }
    return conn->stmts[which];
}

int
pim_sq_run(struct pim_conn *conn, sqlite3_stmt *stmt, const char *what, struct pim_err *err)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_DONE) {
        sqlite3_reset(stmt);
        return PIM_OK;
    }
    rc = pim_sq_fail(conn, rc, what, err);
    sqlite3_reset(stmt);
    return rc;
}

int
pim_sq_exec(struct pim_conn *conn, const char *sql, struct pim_err *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? PIM_OK : pim_sq_fail(conn, rc, "statement", err);
}

static int
run_fixed(struct pim_conn *conn, enum sq_stmt which, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, which, err);

    return stmt == NULL ? PIM_ERR_INTERNAL : pim_sq_run(conn, stmt, stmt_sql[which], err);
}

/* --- deadline and cancel ------------------------------------------------------------------------------------------ */

static int
why_stop(struct pim_conn *conn)
{
    const struct pim_call *call = conn->call;
    const struct pim_host *host = conn->store->host;

    if (atomic_load_explicit(&conn->cancelled, memory_order_relaxed))
        return PIM_ERR_CANCELLED;
    if (call == NULL)
        return 0;
    if (PIM_HAS(struct pim_call, call, cancelled) && __atomic_load_n(call->cancelled, __ATOMIC_RELAXED) != 0)
        return PIM_ERR_CANCELLED;
    if (PIM_IN(struct pim_call, call, deadline_ms) && call->deadline_ms != 0 &&
        PIM_HAS(struct pim_host, host, now_ms) && host->now_ms(host) > call->deadline_ms)
        return PIM_ERR_TIMEOUT;
    return 0;
}

static int
on_progress(void *arg)
{
    struct pim_conn *conn = arg;

    if (atomic_load_explicit(&conn->in_commit, memory_order_relaxed))
        return 0; /* a COMMIT is never cut short */
    conn->stop_rc = why_stop(conn);
    return conn->stop_rc != 0;
}

int
pim_sq_stopped(struct pim_conn *conn, struct pim_err *err)
{
    int rc = why_stop(conn);

    if (rc == 0)
        return PIM_OK;
    return pim_sq_err(err, rc, rc == PIM_ERR_TIMEOUT ? "the deadline has passed" : "cancelled");
}

int
pim_sq_enter(struct pim_conn *conn, const struct pim_call *call, bool writes, struct pim_err *err)
{
    atomic_store_explicit(&conn->cancelled, false, memory_order_relaxed);
    conn->stop_rc = 0;
    conn->call = call;
    if (atomic_load_explicit(&conn->store->broken, memory_order_relaxed))
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the database %s has failed a write; start anew",
                          conn->store->path);
    if (writes && !conn->writer)
        return pim_sq_err(err, PIM_ERR_READONLY,
                          "this connection only reads; PIM_CALL_WRITER opens the one that writes");
    return pim_sq_stopped(conn, err);
}

void
pim_sq_cancel(struct pim_conn *conn)
{
    atomic_store(&conn->cancelled, true);
    if (!atomic_load(&conn->in_commit)) /* too late is harmless: COMMIT looks at it before its first step only */
        sqlite3_interrupt(conn->db);
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

/* Nobody else may write: heads in memory would be wrong. The write lock is held, so this answer stays true. */
static int
check_alone(struct pim_conn *conn, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_DATA_VERSION, err);
    int64_t version;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        sqlite3_reset(stmt);
        return pim_sq_fail(conn, SQLITE_ERROR, "data_version", err);
    }
    version = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    if (conn->seen_version != 0 && version != conn->seen_version) {
        fatal(conn->store, "another process has written to the database: nothing in memory can be trusted any more");
        return pim_sq_err(err, PIM_ERR_CORRUPT, "another process has written to %s", conn->store->path);
    }
    conn->seen_version = version;
    return PIM_OK;
}

static void
rollback(struct pim_conn *conn)
{
    if (!sqlite3_get_autocommit(conn->db))
        run_fixed(conn, SQ_ROLLBACK, NULL);
    if (conn->in_txn)
        conn->store->next_id = conn->txn_first_id; /* nobody has seen the others */
    conn->in_txn = false;
    conn->txn_rows = 0;
    pim_sq_heads_undone(conn->store);
}

static int
begin_write(struct pim_conn *conn, struct pim_err *err)
{
    int rc = run_fixed(conn, SQ_BEGIN_WRITE, err);

    if (rc != PIM_OK)
        return rc;
    conn->in_txn = true;
    conn->txn_rows = 0;
    conn->txn_first_id = conn->store->next_id;
    rc = check_alone(conn, err);
    if (rc != PIM_OK)
        rollback(conn);
    return rc;
}

int
pim_sq_checkpoint(struct pim_conn *conn, bool truncate, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    struct timespec from, to;
    int64_t us;
    int rc;

    clock_gettime(CLOCK_MONOTONIC, &from);
    rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
                                   NULL, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    us = (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
    if (us > atomic_load(&store->checkpoint_us_max))
        atomic_store(&store->checkpoint_us_max, us);
    atomic_fetch_add(&store->n_checkpoints, 1);
    if (rc == SQLITE_OK)
        return PIM_OK;
    return pim_sq_fail(conn, rc, "checkpoint", err);
}

/* What is in the WAL is durable; a checkpoint that finds no room or a reader in the way is made later. */
static void
checkpoint_if_due(struct pim_conn *conn)
{
    if (conn->wal_frames < conn->wal_frames_checked)
        conn->wal_frames_checked = 0; /* the WAL began anew */
    if (conn->wal_frames - conn->wal_frames_checked < conn->store->checkpoint_pages)
        return;
    conn->wal_frames_checked = conn->wal_frames;
    pim_sq_checkpoint(conn, false, NULL);
}

static int
commit(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    sqlite3_stmt *stmt;
    int rc = pim_sq_heads_flush(conn, err);

    if (rc == PIM_OK)
        rc = pim_sq_stopped(conn, err);
    stmt = pim_sq_stmt(conn, SQ_COMMIT, err);
    if (rc != PIM_OK || stmt == NULL) {
        rollback(conn);
        return rc != PIM_OK ? rc : PIM_ERR_INTERNAL;
    }
    pim_sqlite_failpoint("sqlite-before-commit");
    atomic_store(&conn->in_commit, true);
    rc = sqlite3_step(stmt);
    atomic_store(&conn->in_commit, false);
    if (rc == SQLITE_DONE) {
        sqlite3_reset(stmt);
        conn->in_txn = false;
        pim_sq_heads_committed(store);
        atomic_fetch_add_explicit(&store->n_commits, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&store->n_appended, conn->txn_rows, memory_order_relaxed);
        atomic_store_explicit(&store->wal_pages, conn->wal_frames, memory_order_relaxed);
        conn->txn_rows = 0;
        pim_sqlite_failpoint("sqlite-after-commit");
        checkpoint_if_due(conn);
        return PIM_OK;
    }
    /* A full disk is found while frames are written, and the last of them is what makes a commit: void. So is what was
     * stopped before it began. Of all else the outcome is unknown. */
    if ((rc & 0xff) != SQLITE_FULL && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_INTERRUPT) {
        char why[300];

        pim_sq_fail(conn, rc, "COMMIT", err);
        snprintf(why, sizeof why, "the outcome of a commit to %s is unknown: %s", store->path,
                 sqlite3_errmsg(conn->db));
        fatal(store, why);
        sqlite3_reset(stmt);
        rollback(conn);
        return pim_sq_err(err, PIM_ERR_UNCERTAIN, "%s", why);
    }
    rc = pim_sq_fail(conn, rc, "COMMIT", err);
    sqlite3_reset(stmt);
    rollback(conn);
    return rc;
}

int
pim_sq_txn_begin(struct pim_conn *conn, struct pim_err *err)
{
    if (!conn->in_group)
        return begin_write(conn, err);
    if (conn->group_rc != PIM_OK)
        return pim_sq_err(err, conn->group_rc, "an earlier step of this group has failed");
    return run_fixed(conn, SQ_SAVE, err);
}

int
pim_sq_txn_end(struct pim_conn *conn, int rc, bool whole, struct pim_err *err)
{
    if (!conn->in_group) {
        if (rc >= 0)
            return commit(conn, err);
        rollback(conn);
        return rc;
    }
    if (rc >= 0) {
        int end = run_fixed(conn, SQ_SAVE_END, err);

        if (end == PIM_OK)
            return PIM_OK;
        rc = end;
        whole = true;
    }
    if (!whole && !sqlite3_get_autocommit(conn->db) && run_fixed(conn, SQ_SAVE_UNDO, NULL) == PIM_OK &&
        run_fixed(conn, SQ_SAVE_END, NULL) == PIM_OK)
        return rc;
    conn->group_rc = rc; /* SQLite has rolled all back, or heads of this op cannot be told from the group's others */
    rollback(conn);
    return rc;
}

int32_t
pim_sq_group_begin(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    int rc = pim_sq_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    if (conn->in_group)
        return pim_sq_err(err, PIM_ERR_INVALID, "a group is open already");
    rc = begin_write(conn, err);
    conn->in_group = rc == PIM_OK;
    conn->group_rc = PIM_OK;
    return rc;
}

int32_t
pim_sq_group_end(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    int rc;

    if (!conn->in_group)
        return pim_sq_err(err, PIM_ERR_INVALID, "no group is open");
    rc = pim_sq_enter(conn, call, true, err);
    conn->in_group = false;
    if (conn->group_rc != PIM_OK)
        return pim_sq_err(err, conn->group_rc, "a step of this group has failed, so nothing of it is stored");
    if (rc != PIM_OK) {
        rollback(conn);
        return rc;
    }
    return commit(conn, err);
}

int
pim_sq_snap_begin(struct pim_conn *conn, bool *out_began, struct pim_err *err)
{
    *out_began = false;
    if (!sqlite3_get_autocommit(conn->db))
        return PIM_OK;
    *out_began = true;
    return run_fixed(conn, SQ_BEGIN, err);
}

void
pim_sq_snap_end(struct pim_conn *conn, bool began)
{
    if (began && !sqlite3_get_autocommit(conn->db))
        run_fixed(conn, SQ_COMMIT, NULL);
}

/* --- open and close -------------------------------------------------------------------------------------------------- */

static int
on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct pim_conn *conn = arg;

    (void)db;
    (void)name;
    conn->wal_frames = frames;
    return SQLITE_OK;
}

int
pim_sq_conn_new(struct pim_store *store, bool writer, struct pim_conn **out_conn, struct pim_err *err)
{
    struct pim_conn *conn = calloc(1, sizeof *conn);
    char pragmas[400];
    int rc;

    if (conn == NULL)
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    conn->store = store;
    conn->writer = writer;
    rc = sqlite3_open_v2(store->path, &conn->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                         pim_sqlite_fault_vfs());
    if (rc != SQLITE_OK) {
        rc = pim_sq_err(err, (rc & 0xff) == SQLITE_NOTADB ? PIM_ERR_CORRUPT : PIM_ERR_UNAVAILABLE,
                        "%s cannot be opened: %s", store->path,
                        conn->db != NULL ? sqlite3_errmsg(conn->db) : "no memory");
        goto fail;
    }
    sqlite3_busy_timeout(conn->db, BUSY_MS);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    if (!writer)
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_limit(conn->db, SQLITE_LIMIT_LENGTH, (int)SQ_VALUE_MAX + (1 << 20));
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-%lld; PRAGMA wal_autocheckpoint=0;"
             "PRAGMA synchronous=%s; PRAGMA secure_delete=ON; %s",
             (long long)(writer ? store->writer_cache_kb : store->reader_cache_kb),
             pim_sqlite_fault("PIM_FAULT_NO_FSYNC") ? "OFF" : "FULL", writer ? "" : "PRAGMA query_only=ON;");
    rc = pim_sq_exec(conn, pragmas, err);
    if (rc != PIM_OK)
        goto fail;
    if (writer)
        sqlite3_wal_hook(conn->db, on_wal, conn);
    sqlite3_progress_handler(conn->db, PROGRESS_OPS, on_progress, conn);
    *out_conn = conn;
    return PIM_OK;
fail:
    pim_sq_conn_free(&conn);
    return rc;
}

void
pim_sq_conn_free(struct pim_conn **connp)
{
    struct pim_conn *conn = *connp;

    if (conn == NULL)
        return;
    for (size_t i = 0; i < SQ_COUNT(conn->stmts); i++)
        sqlite3_finalize(conn->stmts[i]);
    pim_sq_cache_clear(conn);
    sqlite3_close_v2(conn->db);
    free(conn);
    *connp = NULL;
}

int32_t
pim_sq_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn, struct pim_err *err)
{
    bool writer = call != NULL && PIM_IN(struct pim_call, call, flags) && (call->flags & PIM_CALL_WRITER) != 0;
    int rc;

    if (atomic_load(&store->broken))
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the database %s has failed a write; start anew", store->path);
    if (writer) {
        if (atomic_exchange(&store->writer_taken, true))
            return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "%s has its one writing connection already", store->path);
        *out_conn = store->writer;
        return PIM_OK;
    }
    rc = pim_sq_conn_new(store, false, out_conn, err);
    if (rc == PIM_OK)
        atomic_fetch_add(&store->n_conns, 1);
    return rc;
}

void
pim_sq_conn_close(struct pim_conn **connp)
{
    struct pim_conn *conn = *connp;

    if (conn == NULL)
        return;
    *connp = NULL;
    conn->call = NULL;
    if (!conn->writer) {
        atomic_fetch_sub(&conn->store->n_conns, 1);
        pim_sq_conn_free(&conn);
        return;
    }
    conn->in_group = false;
    rollback(conn); /* a group that was never ended */
    atomic_store(&conn->store->writer_taken, false);
}

int32_t
pim_sq_ping(struct pim_conn *conn, const struct pim_call *call, int64_t *out_engine_now_ms, struct pim_err *err)
{
    int rc = pim_sq_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    *out_engine_now_ms = 0; /* our clock is the host's */
    return pim_sq_exec(conn, "SELECT 1 FROM sqlite_schema LIMIT 1", err);
}
