/* storage-sqlite/sqlite_priv.h - what the files of this plugin share.
 *
 * One store is one database file with one lock file beside it. One connection (the writer) writes and checkpoints; any
 * number of readers only read. Records are ordinary tables made from the host's schema, named rec_<kind>. Messages are a
 * log: rows in commit order, each with the id of its conversation's row before (sqlite_append.c); where a conversation's
 * log ends is kept in memory and written late (sqlite_head.c); reading walks back from there (sqlite_read.c).
 *
 * Threads: a connection belongs to one thread at a time. What is shared between them is the table of heads, under
 * heads.lock, and a few atomics. */
#ifndef PIM_SQLITE_PRIV_H
#define PIM_SQLITE_PRIV_H
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <privateim/storage.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SQ_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SQ_SKIP 64               /* every 64th row of a conversation has a row in skip */
#define SQ_VALUE_MAX (16u << 20) /* bytes of one value or body */
#define SQ_APPEND_ITEMS_MAX 4096
#define SQ_APPEND_BYTES_MAX (64ull << 20)

/* --- the schema, copied from the host's ------------------------------------------------------------------------- */
struct sq_col {
    char name[32];
    uint16_t type, flags;
    uint32_t max_chars;
    int64_t def_int;
};
struct sq_index {
    char name[32];
    uint16_t cols[64];
    uint16_t n_cols;
    bool unique;
};
struct sq_kind {
    uint32_t id;
    char name[32];
    struct sq_col *cols;
    struct sq_index *indexes; /* [0] is the primary key */
    uint32_t n_cols, n_indexes;
};

/* --- heads ------------------------------------------------------------------------------------------------------- */
struct sq_head { /* where a conversation's log ends; seq 0: it has no row */
    int64_t seq, ord, msg_id, id, floor_seq, floor_ms, last_ms;
    int32_t last_day;
};
struct
    sq_entry { /* guarded by heads.lock; kind, a, b, pend and the flags dirty, queued are written by the writer's thread alone */
    int64_t a, b;
    int32_t kind;
    uint32_t next;    /* in its bucket; numbers of entries, 0 none */
    struct sq_head h; /* as of the last commit */
    int64_t disk_id;  /* id in its row of table head; 0 none */
    uint32_t pend;    /* its place in heads.pending + 1 */
    bool live, used, dirty, queued;
};
struct sq_pending { /* a head within the writer's transaction; counts from COMMIT on */
    uint32_t entry;
    bool on_disk; /* its row in table head is written in this transaction */
    struct sq_head h;
};
struct sq_dirty { /* an entry that waits for its row, with its key so that sorting touches no entry */
    int64_t a, b;
    int32_t kind;
    uint32_t entry;
};
struct sq_run { /* sorted */
    struct sq_dirty *items;
    uint32_t n, at;
};
struct sq_heads {
    pthread_mutex_t lock;
    uint64_t key[2];
    struct sq_entry **chunks; /* entries in chunks that never move */
    uint32_t n_entries, cap_chunks, hand, free_list, n_live, max_live, n_dirty;
    uint32_t *buckets, bucket_mask;
    struct sq_pending *pending;
    uint32_t n_pending, cap_pending;
    /* dirty heads: those that became dirty in this round are gathered in `fresh`, in sorted runs; those of the round before
     * are written, a slice with each commit, in key order, so that a slice touches few pages */
    struct sq_run *fresh, *writing;
    uint32_t n_fresh, cap_fresh, n_writing, left_writing, round_size;
    int64_t mark; /* all rows up to this id are covered by table head (stored) */
    int64_t
        mark_next; /* what the mark becomes when this round is written; the mark itself: this round covers nothing */
    bool mark_stays; /* memory ran out for a queue: the mark is right no more when a round ends */
    bool mark_put, slice_put; /* in this transaction: the mark was stored; heads were taken from the queue */
};

/* --- a store ------------------------------------------------------------------------------------------------------ */
struct pim_store {
    const struct pim_host *host;
    char *path;
    int lock_fd;
    uint32_t roles, flags;
    bool ready; /* opened with all that belongs to it */
    uint32_t schema_version, schema_min_reader;
    struct sq_kind *kinds;
    uint32_t n_kinds;
    const struct sq_kind *kind_by_id[64];
    /* options */
    int64_t writer_cache_kb, reader_cache_kb, checkpoint_pages, heads_max, scan_rows, retain_days, max_pages;
    const char *check; /* none, check, rebuild; static */
    /* facts of the data */
    uint8_t store_id[16];
    int64_t epoch, next_id, trim_id, trim_ms;
    int64_t newest_ms; /* of the newest message at open */
    uint32_t data_version; /* schema version in the file */
    uint32_t data_min_reader;
    struct sq_heads heads;
    struct pim_conn *writer; /* also the main thread's, as long as nobody has taken it */
    _Atomic bool writer_taken, broken;
    /* counters */
    _Atomic int64_t n_appended, n_commits, n_checkpoints, n_conns, wal_pages, checkpoint_us_max, n_head_rows;
};

/* --- a connection -------------------------------------------------------------------------------------------------- */
enum sq_stmt { /* statements that are prepared once */
               SQ_BEGIN,
               SQ_BEGIN_WRITE,
               SQ_COMMIT,
               SQ_ROLLBACK,
               SQ_SAVE,
               SQ_SAVE_END,
               SQ_SAVE_UNDO,
               SQ_DATA_VERSION,
               SQ_MSG_INSERT,
               SQ_SKIP_INSERT,
               SQ_HEAD_PUT,
               SQ_HEAD_GET,
               SQ_META_PUT,
               SQ_MSG_HOP,
               SQ_MSG_READ,
               SQ_SKIP_SEEK,
               SQ_SKIP_GET,
               SQ_MSG_DELETE,
               SQ_SKIP_DELETE,
               SQ_SKIP_DELETE_TO,
               SQ_MSG_REDACT,
               SQ_HEAD_LIST,
               SQ_MSG_SCAN,
               SQ_STMTS
};
struct sq_cached { /* a statement of the record side, found by what shapes it */
    uint64_t hash;
    uint64_t *sig;
    uint32_t n_sig, n_binds;
    sqlite3_stmt *stmt;
};
#define SQ_CACHE_SLOTS 1024
#define SQ_CACHE_MAX 512
struct pim_conn {
    struct pim_store *store;
    sqlite3 *db;
    bool writer, in_group, in_txn;
    int group_rc;         /* why the group is dead already */
    int64_t txn_rows;     /* messages in this transaction */
    int64_t txn_first_id; /* store->next_id when the transaction began */
    int wal_frames, wal_frames_checked;
    int64_t seen_version;        /* PRAGMA data_version; ours alone never changes it */
    const struct pim_call *call; /* of the op that runs */
    int stop_rc;                 /* why the progress handler stopped it */
    _Atomic bool cancelled, in_commit;
    sqlite3_stmt *stmts[SQ_STMTS];
    struct sq_cached cache[SQ_CACHE_SLOTS];
    uint32_t n_cached;
};

/* sqlite_store.c, sqlite_conn.c */
int32_t pim_sq_open(const struct pim_host *host, const struct pim_schema *schema, const struct pim_kv *opts,
                    uint32_t n_opts, uint32_t flags, struct pim_store **out_store, struct pim_store_info *out_info,
                    struct pim_err *err);
void pim_sq_close(struct pim_store **store);
int32_t pim_sq_wipe(struct pim_store *store, const struct pim_call *call, struct pim_err *err);
void pim_sq_stats(struct pim_store *store, void (*put)(void *ctx, const char *name, int64_t value), void *ctx);
/** Read a number from the table store. @return PIM_OK, PIM_NOT_FOUND or a failure */
int pim_sq_meta_get(struct pim_conn *conn, const char *name, int64_t *out_value, struct pim_err *err);
/** Write one, within the caller's transaction. */
int pim_sq_meta_put(struct pim_conn *conn, const char *name, int64_t value, struct pim_err *err);
void pim_sq_log(struct pim_store *store, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int pim_sq_conn_new(struct pim_store *store, bool writer, struct pim_conn **out_conn, struct pim_err *err);
void pim_sq_conn_free(struct pim_conn **conn);
int32_t pim_sq_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn,
                         struct pim_err *err);
void pim_sq_conn_close(struct pim_conn **conn);
int32_t pim_sq_ping(struct pim_conn *conn, const struct pim_call *call, int64_t *out_engine_now_ms,
                    struct pim_err *err);
void pim_sq_cancel(struct pim_conn *conn);
int32_t pim_sq_group_begin(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err);
int32_t pim_sq_group_end(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err);

/** Begin an op: deadline and cancel count from here. @return PIM_OK, or why it must not run */
int pim_sq_enter(struct pim_conn *conn, const struct pim_call *call, bool writes, struct pim_err *err);
/** Has the op's deadline passed, or was it cancelled? Ask between rows. */
int pim_sq_stopped(struct pim_conn *conn, struct pim_err *err);
/** One of the fixed statements, reset; NULL: err is set. */
sqlite3_stmt *pim_sq_stmt(struct pim_conn *conn, enum sq_stmt which, struct pim_err *err);
/** Step a statement that gives no row, and reset it. */
int pim_sq_run(struct pim_conn *conn, sqlite3_stmt *stmt, const char *what, struct pim_err *err);
int pim_sq_exec(struct pim_conn *conn, const char *sql, struct pim_err *err);
/** Map SQLite's last error on this connection. @return a PIM_ERR_*; a failed write ends the process through host->fatal */
int pim_sq_fail(struct pim_conn *conn, int rc, const char *what, struct pim_err *err);
/** Set err (NULL allowed). @return code */
int pim_sq_err(struct pim_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A write: txn_begin, then txn_end with the result so far: below 0 rolls back, else it commits. Within a group the
 * transaction is the group's; there a result below 0 ends the group when `whole`, else only the caller's savepoint. */
int pim_sq_txn_begin(struct pim_conn *conn, struct pim_err *err);
int pim_sq_txn_end(struct pim_conn *conn, int rc, bool whole, struct pim_err *err);
/* A snapshot for several reads; within a write transaction it is that. */
int pim_sq_snap_begin(struct pim_conn *conn, bool *out_began, struct pim_err *err);
void pim_sq_snap_end(struct pim_conn *conn, bool began);
/** Copy what the WAL holds into the database. truncate: wait for readers and cut the file. */
int pim_sq_checkpoint(struct pim_conn *conn, bool truncate, struct pim_err *err);

/* sqlite_schema.c */
int pim_sq_schema_copy(struct pim_store *store, const struct pim_schema *schema, struct pim_err *err);
void pim_sq_schema_free(struct pim_store *store);
int32_t pim_sq_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report,
                       void *ctx, struct pim_err *err);
/** NULL: there is no such kind. */
const struct sq_kind *pim_sq_kind(const struct pim_store *store, uint32_t id);

/* sqlite_stmt.c */
/** The statement of that shape, or NULL: then its text is written and handed to pim_sq_cache_add with the hash. */
sqlite3_stmt *pim_sq_cache_find(struct pim_conn *conn, const uint64_t *sig, uint32_t n_sig, uint64_t *out_hash);
int pim_sq_cache_add(struct pim_conn *conn, const uint64_t *sig, uint32_t n_sig, uint64_t hash, sqlite3_str *sql,
                     sqlite3_stmt **out_stmt, struct pim_err *err);
void pim_sq_cache_clear(struct pim_conn *conn);
/** Check a value against its column (stored: also NULL and length). */
int pim_sq_val_check(const struct sq_col *col, const struct pim_val *val, bool stored, struct pim_err *err);
int pim_sq_bind(sqlite3_stmt *stmt, int at, const struct pim_val *val);
/** The columns of a mask, from column `at` on, as values; @return how many. */
uint32_t pim_sq_row_vals(sqlite3_stmt *stmt, uint32_t at, uint32_t n, struct pim_val *vals);
void pim_sq_sql_cols(sqlite3_str *sql, const struct sq_kind *kind, uint64_t cols, const char *prefix);
void pim_sq_sql_eq(sqlite3_str *sql, const struct sq_col *col, const char *prefix);
void pim_sq_sql_cond(sqlite3_str *sql, const struct sq_kind *kind, const struct pim_cond *cond, const char *prefix);

/* sqlite_records.c, sqlite_apply.c */
int32_t pim_sq_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row,
                   void *ctx, struct pim_err *err);
int32_t pim_sq_list(struct pim_conn *conn, const struct pim_call *call, const struct pim_query *query, pim_row_fn row,
                    void *ctx, struct pim_err *err);
int32_t pim_sq_apply(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row,
                     void *ctx, struct pim_err *err);

/* sqlite_head.c */
int pim_sq_heads_init(struct pim_store *store, struct pim_err *err);
void pim_sq_heads_fini(struct pim_store *store);
void pim_sq_heads_clear(struct pim_store *store);
/** Read the rows after the mark, so that memory knows every head. Main thread, at open. */
int pim_sq_heads_scan(struct pim_conn *conn, struct pim_err *err);
/** Writer: the entry of a conversation, read from its row if it is not in memory; it stays until the transaction ends. */
int pim_sq_head_pin(struct pim_conn *conn, int32_t kind, int64_t a, int64_t b, uint32_t *out_entry,
                    struct sq_head **out_head, struct pim_err *err);
/** Writer: the pinned head was changed within this transaction. write: its row is written with it. */
int pim_sq_head_changed(struct pim_conn *conn, uint32_t entry, bool write, struct pim_err *err);
/** Writer: write its row now, if what the table has is older. */
int pim_sq_head_write(struct pim_conn *conn, uint32_t entry, struct pim_err *err);
int pim_sq_head_is_new(struct pim_conn *conn, uint32_t entry);
/** Writer: write the next slice of dirty heads, before COMMIT. */
int pim_sq_heads_flush(struct pim_conn *conn, struct pim_err *err);
/** Writer, no transaction open: write all of them, so that the next start need not read rows. */
int pim_sq_heads_flush_all(struct pim_conn *conn, struct pim_err *err);
void pim_sq_heads_committed(struct pim_store *store);
void pim_sq_heads_undone(struct pim_store *store);
/** Any thread: the head as of the last commit, from memory. durable false on the writer: also what its transaction did.
 *  @return false: not in memory; then its row in a snapshot that begins now has it */
bool pim_sq_head_peek(struct pim_conn *conn, const struct pim_conv *conv, bool durable, struct sq_head *out_head);
/** The row in table head, in the connection's snapshot. @return PIM_OK, PIM_NOT_FOUND, or a failure */
int pim_sq_head_row(struct pim_conn *conn, const struct pim_conv *conv, struct sq_head *out_head, struct pim_err *err);
/** The same after pim_sq_head_peek had nothing, but never ahead of what memory says by now. */
int pim_sq_head_row_seen(struct pim_conn *conn, const struct pim_conv *conv, bool durable, struct sq_head *out_head,
                         struct pim_err *err);

/* sqlite_append.c */
int32_t pim_sq_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append,
                      struct pim_err *err);

/* sqlite_walk.c: from a head or a skip row back to a row */
struct sq_walk {
    struct pim_conn *conn;
    struct pim_conv conv;
    struct sq_head head;
};
struct sq_hop {
    int64_t seq, prev, created_ms;
    int32_t day;
};
/** Begin with the head from memory, before the snapshot. @return PIM_OK, PIM_NOT_FOUND (no row), or a failure */
int pim_sq_walk_begin(struct sq_walk *walk, struct pim_conn *conn, const struct pim_conv *conv, bool durable,
                      bool *out_began, struct pim_err *err);
/** The id of row seq. @return PIM_OK, PIM_NOT_FOUND (trimmed meanwhile), or a failure */
int pim_sq_walk_seek(struct sq_walk *walk, int64_t seq, int64_t *out_id, struct pim_err *err);
/** Look at row id, which must be number seq. @return as pim_sq_walk_seek */
int pim_sq_walk_hop(struct sq_walk *walk, int64_t id, int64_t seq, struct sq_hop *out_hop, struct pim_err *err);
/** A row is missing: is it the floor? Takes the floor from the snapshot's head row. @return PIM_NOT_FOUND or CORRUPT */
int pim_sq_walk_missing(struct sq_walk *walk, int64_t seq, struct pim_err *err);
/** The first number whose day is day or later; head + 1 when there is none. */
int pim_sq_walk_day(struct sq_walk *walk, int32_t day, int64_t *out_seq, struct pim_err *err);

/* sqlite_read.c */
int32_t pim_sq_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg,
                       void *ctx, struct pim_err *err);
int32_t pim_sq_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
                     uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err);
int32_t pim_sq_heads(struct pim_conn *conn, const struct pim_call *call, struct pim_head *heads, uint32_t n_heads,
                     uint32_t head_size, struct pim_err *err);
int32_t pim_sq_convs(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *after, uint32_t limit,
                     pim_head_fn head, void *ctx, struct pim_err *err);

/* sqlite_trim.c, sqlite_backup.c, sqlite_check.c */
int32_t pim_sq_trim(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t to_seq,
                    uint64_t *out_count, struct pim_err *err);
int32_t pim_sq_redact(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t seq,
                      struct pim_err *err);
int32_t pim_sq_maintain(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err);
int32_t pim_sq_backup(struct pim_conn *conn, const struct pim_call *call, const char *path, struct pim_err *err);
/** Walk every row against heads, pointers and skips. @return PIM_OK, or CORRUPT with the first fault in err */
int pim_sq_check(struct pim_conn *conn, struct pim_err *err);
/** Make skip, head and the back pointers anew from the rows alone. */
int pim_sq_rebuild(struct pim_conn *conn, struct pim_err *err);

static inline struct sq_entry *
sq_entry_at(const struct sq_heads *heads, uint32_t entry)
{
    return &heads->chunks[entry >> 12][entry & 4095];
}
#endif
