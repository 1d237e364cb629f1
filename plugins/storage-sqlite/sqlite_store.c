/* A store: options, the lock file, the database file, what it knows of itself. */
#include "sqlite_failpoint.h"
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LAYOUT 1 /* of our own tables; a later one is refused */

void
pim_sq_log(struct pim_store *store, int level, const char *fmt, ...)
{
    char msg[400];
    va_list args;

    if (!PIM_HAS(struct pim_host, store->host, log))
        return;
    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    store->host->log(store->host, level, msg, NULL, 0);
}

/* --- options ---------------------------------------------------------------------------------------------------- */

static int
option_int(const struct pim_kv *opt, int64_t min, int64_t max, int64_t *out_value, struct pim_err *err)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(opt->value, &end, 10);
    if (errno != 0 || end == opt->value || *end != '\0' || value < min || value > max)
        return pim_sq_err(err, PIM_ERR_INVALID, "option %s = %s is not a number from %lld to %lld", opt->name,
                          opt->value, (long long)min, (long long)max);
    *out_value = value;
    return PIM_OK;
}

static int
options_read(struct pim_store *store, const struct pim_kv *opts, uint32_t n_opts, struct pim_err *err)
{
    static const char *const checks[] = {"none", "check", "rebuild"};
    const struct {
        const char *name;
        int64_t *value, min, max, scale;
    } numbers[] = {
        {"writer_cache_mb", &store->writer_cache_kb, 1, 65536, 1024},
        {"reader_cache_mb", &store->reader_cache_kb, 1, 65536, 1024},
        {"checkpoint_pages", &store->checkpoint_pages, 10, 1000000, 1},
        {"heads_max", &store->heads_max, 100, 100000000, 1},
        {"scan_rows", &store->scan_rows, 10, 100000000, 1},
        {"retain_days", &store->retain_days, 0, 36500, 1},
        {"max_pages", &store->max_pages, 0, 4294967294, 1},
    };

    store->writer_cache_kb = 64 * 1024;
    store->reader_cache_kb = 16 * 1024;
    store->checkpoint_pages = 1000;
    store->heads_max = 200000;
    store->scan_rows = 200000;
    store->check = checks[0];
    for (uint32_t i = 0; i < n_opts; i++) {
        bool known = false;

        for (size_t k = 0; k < SQ_COUNT(numbers); k++) {
            if (strcmp(opts[i].name, numbers[k].name) != 0)
                continue;
            known = true;
            if (option_int(&opts[i], numbers[k].min, numbers[k].max, numbers[k].value, err) != PIM_OK)
                return PIM_ERR_INVALID;
            *numbers[k].value *= numbers[k].scale;
        }
        if (strcmp(opts[i].name, "path") == 0) {
            known = true;
            free(store->path);
            store->path = strdup(opts[i].value);
            if (store->path == NULL)
                return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
        } else if (strcmp(opts[i].name, "check") == 0) {
            for (size_t k = 0; k < SQ_COUNT(checks); k++)
                if (strcmp(opts[i].value, checks[k]) == 0) {
                    known = true;
                    store->check = checks[k];
                }
            if (!known)
                return pim_sq_err(err, PIM_ERR_INVALID, "option check = %s is not none, check or rebuild",
                                  opts[i].value);
        }
        if (!known)
            return pim_sq_err(err, PIM_ERR_INVALID, "there is no option %s", opts[i].name);
    }
    if (store->path == NULL || *store->path == '\0')
        return pim_sq_err(err, PIM_ERR_INVALID, "option path is missing: where the database file is");
    return PIM_OK;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int
lock_take(struct pim_store *store, struct pim_err *err)
{
    char name[4096], pid[32] = "";
    ssize_t n;

    if (snprintf(name, sizeof name, "%s.lock", store->path) >= (int)sizeof name)
        return pim_sq_err(err, PIM_ERR_INVALID, "option path is too long");
    store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0)
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the lock file %s cannot be opened: %s", name, strerror(errno));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        n = pread(store->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the database %s is in use by process %s (lock file %s)",
                          store->path, *pid ? pid : "unknown", name);
    }
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(store->lock_fd, 0) != 0 || pwrite(store->lock_fd, pid, (size_t)n, 0) != n)
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the lock file %s cannot be written: %s", name, strerror(errno));
    return PIM_OK;
}

/* The file belongs to its owner alone; SQLite gives its WAL the same mode. */
static int
file_make(struct pim_store *store, struct pim_err *err)
{
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), dir_fd = -1, rc = PIM_OK;
    char *dir = strdup(store->path);

    if (fd >= 0 && dir != NULL)
        dir_fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || dir_fd < 0 || fsync(dir_fd) != 0)
        rc = pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the database %s cannot be made or opened: %s", store->path,
                        strerror(errno));
    if (dir_fd >= 0)
        close(dir_fd);
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

/* --- what the store knows of itself ------------------------------------------------------------------------------------ */

int
pim_sq_meta_get(struct pim_conn *conn, const char *name, int64_t *out_value, struct pim_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, "SELECT value FROM store WHERE name = ?1", -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *out_value = sqlite3_column_int64(stmt, 0);
        rc = PIM_OK;
    } else {
        rc = rc == SQLITE_DONE ? PIM_NOT_FOUND : pim_sq_fail(conn, rc, name, err);
    }
    sqlite3_finalize(stmt);
    return rc;
}

int
pim_sq_meta_put(struct pim_conn *conn, const char *name, int64_t value, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_META_PUT, err);

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, value);
    return pim_sq_run(conn, stmt, name, err);
}

static int64_t
wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char own_tables[] =
    "CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS msg (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT "
    "NULL,"
    " seq INTEGER NOT NULL, prev INTEGER NOT NULL, created_ms INTEGER NOT NULL, day INTEGER NOT NULL, ord INTEGER NOT "
    "NULL,"
    " msg_id INTEGER NOT NULL, sender_id INTEGER NOT NULL, type INTEGER NOT NULL, expire_ms INTEGER NOT NULL,"
    " body_hash INTEGER NOT NULL, cid BLOB NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE IF NOT EXISTS skip (kind INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, seq INTEGER NOT "
    "NULL,"
    " id INTEGER NOT NULL, created_ms INTEGER NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (kind, a, b, seq)) STRICT, "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS head (kind INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, seq INTEGER NOT "
    "NULL,"
    " ord INTEGER NOT NULL, msg_id INTEGER NOT NULL, id INTEGER NOT NULL, floor_seq INTEGER NOT NULL, floor_ms INTEGER "
    "NOT NULL,"
    " last_ms INTEGER NOT NULL, last_day INTEGER NOT NULL, PRIMARY KEY (kind, a, b)) STRICT, WITHOUT ROWID;"
    /* for people: the log by conversation */
    "CREATE VIEW IF NOT EXISTS messages AS SELECT char(kind) AS kind, a, b, seq, datetime(created_ms / 1000, "
    "'unixepoch') AS"
    " created_utc, sender_id, type, msg_id, CAST(body AS TEXT) AS body FROM msg ORDER BY kind, a, b, seq;";

static int
fill_new(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    sqlite3_stmt *stmt;
    int64_t layout, restored, epoch;
    int rc = pim_sq_meta_get(conn, "layout", &layout, err);

    if (rc < 0)
        return rc;
    if (rc == PIM_OK && layout > LAYOUT)
        return pim_sq_err(err, PIM_ERR_SCHEMA, "%s has layout %lld, this storage-sqlite knows layouts up to %d",
                          store->path, (long long)layout, LAYOUT);
    if (rc == PIM_NOT_FOUND) {
        rc = pim_sq_meta_put(conn, "layout", LAYOUT, err);
        if (rc == PIM_OK)
            rc = pim_sq_meta_put(conn, "epoch", 1, err);
        if (rc != PIM_OK)
            return rc;
        if (getrandom(store->store_id, sizeof store->store_id, 0) != (ssize_t)sizeof store->store_id)
            return pim_sq_err(err, PIM_ERR_INTERNAL, "the kernel gives no random bytes");
        stmt = pim_sq_stmt(conn, SQ_META_PUT, err);
        if (stmt == NULL)
            return PIM_ERR_INTERNAL;
        sqlite3_bind_text(stmt, 1, "store_id", -1, SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 2, store->store_id, sizeof store->store_id, SQLITE_STATIC);
        return pim_sq_run(conn, stmt, "store_id", err);
    }
    /* a backup says of itself that it is one: opened as a store it is a restore */
    rc = pim_sq_meta_get(conn, "is_backup", &restored, err);
    if (rc != PIM_OK)
        return rc == PIM_NOT_FOUND ? PIM_OK : rc;
    rc = pim_sq_meta_get(conn, "epoch", &epoch, err);
    if (rc == PIM_OK)
        rc = pim_sq_meta_put(conn, "epoch", epoch + 1 > wall_ms() ? epoch + 1 : wall_ms(), err);
    if (rc == PIM_OK)
        rc = pim_sq_exec(conn, "DELETE FROM store WHERE name = 'is_backup'", err);
    pim_sq_log(store, LOG_NOTICE, "%s is a restored backup: its epoch is raised", store->path);
    return rc;
}

static int
facts_read(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    const struct {
        const char *name;
        int64_t *value;
    } facts[] = {
        {"epoch", &store->epoch},     {"next_id", &store->next_id}, {"mark", &store->heads.mark},
        {"trim_id", &store->trim_id}, {"trim_ms", &store->trim_ms},
    };
    sqlite3_stmt *stmt = NULL;
    int64_t version = 0, min_reader = 0;
    int rc;

    for (size_t i = 0; i < SQ_COUNT(facts); i++)
        if ((rc = pim_sq_meta_get(conn, facts[i].name, facts[i].value, err)) < 0)
            return rc;
    if ((rc = pim_sq_meta_get(conn, "schema_version", &version, err)) < 0 ||
        (rc = pim_sq_meta_get(conn, "schema_min_reader", &min_reader, err)) < 0)
        return rc;
    store->heads.mark_next = store->heads.mark;
    store->data_version = (uint32_t)version;
    store->data_min_reader = (uint32_t)min_reader;
    if (store->data_min_reader > store->schema_version)
        return pim_sq_err(
            err, PIM_ERR_SCHEMA,
            "the data in %s need a server that knows schema version %u or later, this one knows version %u",
            store->path, store->data_min_reader, store->schema_version);
    rc = sqlite3_prepare_v2(conn->db, "SELECT value FROM store WHERE name = 'store_id'", -1, &stmt, NULL);
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
        sqlite3_column_bytes(stmt, 0) == (int)sizeof store->store_id)
        memcpy(store->store_id, sqlite3_column_blob(stmt, 0), sizeof store->store_id);
    else
        rc = pim_sq_err(err, PIM_ERR_CORRUPT, "%s has no store id", store->path);
    sqlite3_finalize(stmt);
    if (rc != PIM_OK)
        return rc;
    rc = sqlite3_prepare_v2(conn->db, "SELECT coalesce(max(id), 0) + 1 FROM msg", -1, &stmt, NULL);
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        if (store->next_id < sqlite3_column_int64(stmt, 0))
            store->next_id = sqlite3_column_int64(stmt, 0);
        rc = PIM_OK;
    } else {
        rc = pim_sq_fail(conn, SQLITE_CORRUPT, "msg", err);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* SQLite answers with the mode that it has, which some file systems make another one. */
static int
wal_begin(struct pim_conn *conn, struct pim_err *err)
{
    sqlite3_stmt *stmt = NULL;
    const char *mode = "unknown";
    int rc = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        mode = (const char *)sqlite3_column_text(stmt, 0);
    if (rc != SQLITE_ROW)
        rc = pim_sq_fail(conn, rc, "journal_mode", err);
    else if (mode == NULL || strcmp(mode, "wal") != 0)
        rc = pim_sq_err(err, PIM_ERR_UNSUPPORTED, "%s: no write-ahead log is possible here (journal mode %s)",
                        conn->store->path, mode != NULL ? mode : "unknown");
    else
        rc = PIM_OK;
    sqlite3_finalize(stmt);
    return rc;
}

static int
data_open(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    char sql[80];
    int rc = wal_begin(conn, err);

    if (rc == PIM_OK && store->max_pages > 0) {
        snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)store->max_pages);
        rc = pim_sq_exec(conn, sql, err);
    }
    if (rc == PIM_OK)
        rc = pim_sq_txn_begin(conn, err);
    if (rc != PIM_OK)
        return rc;
    rc = pim_sq_exec(conn, own_tables, err);
    if (rc == PIM_OK)
        rc = fill_new(conn, err);
    rc = pim_sq_txn_end(conn, rc, true, err);
    if (rc == PIM_OK)
        rc = facts_read(conn, err);
    if (rc == PIM_OK && strcmp(store->check, "rebuild") == 0)
        rc = pim_sq_rebuild(conn, err);
    if (rc == PIM_OK)
        rc = pim_sq_heads_scan(conn, err);
    if (rc == PIM_OK && strcmp(store->check, "none") != 0)
        rc = pim_sq_check(conn, err);
    return rc;
}

int32_t
pim_sq_open(const struct pim_host *host, const struct pim_schema *schema, const struct pim_kv *opts, uint32_t n_opts,
            uint32_t flags, struct pim_store **out_store, struct pim_store_info *out_info, struct pim_err *err)
{
    struct pim_store *store = calloc(1, sizeof *store);
    struct pim_store_info info = {.struct_size = out_info->struct_size};
    int rc;

    if (store == NULL)
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    store->host = host;
    store->flags = flags;
    store->lock_fd = -1;
    rc = options_read(store, opts, n_opts, err);
    if (rc == PIM_OK)
        rc = pim_sq_schema_copy(store, schema, err);
    if (rc == PIM_OK)
        rc = pim_sq_heads_init(store, err);
    if (rc == PIM_OK && sqlite3_threadsafe() == 0)
        rc = pim_sq_err(err, PIM_ERR_UNSUPPORTED, "this SQLite is built without threads");
    if (rc == PIM_OK)
        rc = lock_take(store, err);
    if (rc == PIM_OK)
        rc = file_make(store, err);
    if (rc == PIM_OK)
        rc = pim_sq_conn_new(store, true, &store->writer, err);
    if (rc == PIM_OK)
        rc = data_open(store->writer, err);
    if (rc != PIM_OK) {
        pim_sq_close(&store);
        return rc;
    }
    store->ready = true;
    info.roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES;
    info.caps = PIM_CAP_JOIN | PIM_CAP_DAY_INDEX | PIM_CAP_GROUP | PIM_CAP_CANCEL | PIM_CAP_BACKUP;
    info.write_conns_max = 1;
    info.conns_max = 64;
    info.append_items_best = 500;
    info.append_items_max = SQ_APPEND_ITEMS_MAX;
    info.append_bytes_max = SQ_APPEND_BYTES_MAX;
    info.value_bytes_max = SQ_VALUE_MAX;
    snprintf(info.engine, sizeof info.engine, "SQLite %s", sqlite3_libversion());
    memcpy(info.store_id, store->store_id, sizeof info.store_id);
    info.epoch = store->epoch;
    info.newest_ms = store->newest_ms;
    memcpy(out_info, &info, info.struct_size < sizeof info ? info.struct_size : sizeof info);
    *out_store = store;
    return PIM_OK;
}

void
pim_sq_close(struct pim_store **storep)
{
    struct pim_store *store = *storep;

    if (store == NULL)
        return;
    if (store->writer != NULL && store->ready && !atomic_load(&store->broken)) {
        store->writer->call = NULL;
        if (pim_sq_heads_flush_all(store->writer, NULL) == PIM_OK)
            pim_sq_checkpoint(store->writer, true, NULL); /* the next start finds an empty WAL */
    }
    pim_sq_conn_free(&store->writer);
    if (store->heads.buckets != NULL)
        pim_sq_heads_fini(store);
    pim_sq_schema_free(store);
    if (store->lock_fd >= 0)
        close(store->lock_fd); /* the file stays: removing it would race with the next to open it */
    free(store->path);
    free(store);
    *storep = NULL;
}

/* The name of a table of records. @return PIM_OK, PIM_NOT_FOUND when there is none left, or a failure */
static int
record_table(struct pim_conn *conn, char *out_name, size_t name_size, struct pim_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'rec_*' LIMIT 1",
                                -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        snprintf(out_name, name_size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    rc = rc == SQLITE_ROW ? PIM_OK : rc == SQLITE_DONE ? PIM_NOT_FOUND : pim_sq_fail(conn, rc, "wipe", err);
    sqlite3_finalize(stmt);
    return rc;
}

int32_t
pim_sq_wipe(struct pim_store *store, const struct pim_call *call, struct pim_err *err)
{
    struct pim_conn *conn = store->writer;
    char sql[128], table[64];
    int rc;

    if ((store->flags & PIM_OPEN_TEST) == 0)
        return pim_sq_err(err, PIM_ERR_DENIED, "wipe is for stores opened with PIM_OPEN_TEST");
    if (atomic_load(&store->writer_taken))
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "close the connection that writes first");
    rc = pim_sq_enter(conn, call, true, err);
    if (rc == PIM_OK)
        rc = pim_sq_txn_begin(conn, err);
    if (rc != PIM_OK)
        return rc;
    rc = pim_sq_exec(conn,
                     "DELETE FROM msg; DELETE FROM skip; DELETE FROM head; DELETE FROM store WHERE name IN"
                     " ('mark', 'trim_id', 'trim_ms', 'schema_version', 'schema_min_reader')",
                     err);
    pim_sq_cache_clear(conn); /* its statements know tables that go now */
    while (rc == PIM_OK && (rc = record_table(conn, table, sizeof table, err)) == PIM_OK) {
        snprintf(sql, sizeof sql, "DROP TABLE \"%s\"", table);
        rc = pim_sq_exec(conn, sql, err);
    }
    rc = rc == PIM_NOT_FOUND ? PIM_OK : rc;
    if (rc == PIM_OK)
        rc = pim_sq_meta_put(conn, "next_id", store->next_id, err); /* ids never fall, also not after this */
    if (rc == PIM_OK)
        rc = pim_sq_meta_put(conn, "mark", store->next_id - 1, err);
    rc = pim_sq_txn_end(conn, rc, true, err);
    if (rc != PIM_OK)
        return rc;
    pim_sq_heads_clear(store);
    store->heads.mark = store->heads.mark_next = store->next_id - 1;
    store->trim_id = store->trim_ms = 0;
    store->data_version = store->data_min_reader = 0;
    return PIM_OK;
}

void
pim_sq_stats(struct pim_store *store, void (*put)(void *ctx, const char *name, int64_t value), void *ctx)
{
    uint32_t live, dirty;

    pthread_mutex_lock(&store->heads.lock);
    live = store->heads.n_live;
    dirty = store->heads.n_dirty;
    pthread_mutex_unlock(&store->heads.lock);
    put(ctx, "appended", atomic_load(&store->n_appended));
    put(ctx, "commits", atomic_load(&store->n_commits));
    put(ctx, "checkpoints", atomic_load(&store->n_checkpoints));
    put(ctx, "checkpoint_us_max", atomic_load(&store->checkpoint_us_max));
    put(ctx, "wal_pages", atomic_load(&store->wal_pages));
    put(ctx, "readers", atomic_load(&store->n_conns));
    put(ctx, "heads_in_memory", live);
    put(ctx, "heads_dirty", dirty);
    put(ctx, "head_rows_written", atomic_load(&store->n_head_rows));
}
