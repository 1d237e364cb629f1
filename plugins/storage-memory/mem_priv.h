/* storage-memory/mem_priv.h - what the files of this plugin share.
 *
 * A store that forgets: sorted arrays in memory under one lock. It is there for tests and trials, and as the model that
 * the conformance program compares other plugins with; so it is written to be obviously right, not fast.
 *
 * A store is one use; the data is what it holds. Data with a name (option `store`) is shared by all stores of that name
 * in the process and outlives them; without a name it dies with its store.
 *
 * Threads: everything in the data is guarded by its lock. Row callbacks are called under it, since what they are given
 * is borrowed from the arrays: they must not call back into the same store. */
#ifndef PIM_MEM_PRIV_H
#define PIM_MEM_PRIV_H
#include <privateim/storage.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MEM_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MEM_VALUE_MAX (16u << 20)
#define MEM_APPEND_ITEMS_MAX 4096
#define MEM_APPEND_BYTES_MAX (64ull << 20)
#define MEM_WRITE_CONNS_MAX 8

/* --- what the data is made of ---------------------------------------------------------------------------------------
 */
struct mem_col {
    char name[32];
    uint16_t type, flags;
    uint32_t max_chars;
    int64_t def_int;
};
struct mem_index {
    char name[32];
    uint16_t cols[64];
    uint32_t n_cols;
    bool unique;
};
struct mem_row {
    struct pim_val *vals; /* one for each column of the table; texts and bytes are the row's own */
};
struct mem_table {
    uint32_t kind;
    char name[32];
    struct mem_col cols[64];
    struct mem_index indexes[64]; /* [0] is the primary key */
    uint32_t n_cols, n_indexes;
    struct mem_row **rows; /* sorted by the primary key */
    size_t n_rows, cap_rows;
};
struct mem_msg {
    struct pim_msg m; /* its body is the message's own */
};
struct mem_log {
    struct pim_conv conv;
    int64_t floor_seq, floor_ms;
    struct mem_msg *msgs; /* numbers floor_seq + 1 .. floor_seq + n */
    size_t n, cap;
};
struct mem_data {
    struct mem_data *next; /* in the list of named ones */
    char *name;            /* NULL: belongs to one store */
    pthread_mutex_t lock;  /* guards all below */
    uint32_t version, min_reader;
    struct mem_table *tables;
    uint32_t n_tables;
    struct mem_log **logs; /* sorted by kind, a, b */
    size_t n_logs, cap_logs;
    uint8_t store_id[16];
};

/* --- a store
 * ---------------------------------------------------------------------------------------------------------- */
enum mem_fault {
    MEM_FAULT_NONE,
    MEM_FAULT_STORED,
    MEM_FAULT_LOST,
    MEM_FAULT_UNAVAILABLE,
    MEM_FAULT_FULL,
    MEM_FAULT_INTERNAL
};
struct pim_store {
    const struct pim_host *host;
    struct mem_data *data;
    uint32_t flags, n_kinds;
    struct mem_table *kinds; /* the schema it was opened with; no rows */
    uint32_t version, min_reader;
    int64_t latency_ms;
    /* faults for tests of the host */
    enum mem_fault fail_append;
    int64_t fail_from, fail_to;
    char *bad_body;
    bool bad_body_whole;
    _Atomic int64_t n_appends, n_conns, n_writers;
};
struct pim_conn {
    struct pim_store *store;
    bool writer;
    _Atomic bool cancelled;
};

/* mem_plugin.c */
/** Set err (NULL allowed). @return code */
int pim_mem_err(struct pim_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** Begin an op: the latency, deadline and cancel, may this connection write? Takes the data's lock when PIM_OK. */
int pim_mem_enter(struct pim_conn *conn, const struct pim_call *call, bool writes, struct pim_err *err);
void pim_mem_leave(struct pim_conn *conn);
/** Has the deadline passed, or was it cancelled? Asked between rows. */
int pim_mem_stopped(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err);
/** Grow an array to hold one more. @return false: no memory */
bool pim_mem_room(void **items, size_t n, size_t *cap, size_t item_bytes);

/* mem_table.c: values, rows, tables */
int pim_mem_cmp(const struct pim_val *x, const struct pim_val *y);
int pim_mem_val_check(const struct mem_col *col, const struct pim_val *val, bool stored, struct pim_err *err);
bool pim_mem_holds(const struct pim_val *val, uint16_t op, const struct pim_val *with);
/** The data's table for a kind that the store was opened with, or NULL. *out_kind: the kind as the store knows it. */
struct mem_table *pim_mem_table(const struct pim_store *store, uint32_t kind, const struct mem_table **out_kind);
/** The row with this key of a unique index, or NULL. */
struct mem_row *pim_mem_find(const struct mem_table *table, uint32_t index, const struct pim_val *key);
/** The first row whose primary key is not before the key, of which n values are given. */
size_t pim_mem_lower(const struct mem_table *table, const struct pim_val *key, uint32_t n);
/** Put a row in. @return PIM_OK, PIM_EXISTS (some unique index has it already), PIM_ERR_NOMEM */
int pim_mem_put(struct mem_table *table, struct mem_row *row);
void pim_mem_take(struct mem_table *table, struct mem_row *row);
struct mem_row *pim_mem_row_new(const struct mem_table *table); /* defaults; NULL: no memory */
struct mem_row *pim_mem_row_copy(const struct mem_table *table, const struct mem_row *row);
bool pim_mem_set(struct mem_row *row, uint32_t col, const struct pim_val *val);
void pim_mem_row_free(const struct mem_table *table, struct mem_row *row);
void pim_mem_rows_free(struct mem_table *table);
int pim_mem_schema_copy(struct pim_store *store, const struct pim_schema *schema, struct pim_err *err);
int32_t pim_mem_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report,
                        void *ctx, struct pim_err *err);

/* mem_records.c, mem_apply.c */
int32_t pim_mem_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row,
                    void *ctx, struct pim_err *err);
int32_t pim_mem_list(struct pim_conn *conn, const struct pim_call *call, const struct pim_query *query, pim_row_fn row,
                     void *ctx, struct pim_err *err);
int32_t pim_mem_apply(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row,
                      void *ctx, struct pim_err *err);
/** The columns of a mask; @return how many. */
uint32_t pim_mem_pick(const struct mem_table *kind, const struct mem_row *row, uint64_t cols, struct pim_val *vals);

/* mem_log.c */
int32_t pim_mem_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append,
                       struct pim_err *err);
int32_t pim_mem_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg,
                        void *ctx, struct pim_err *err);
int32_t pim_mem_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
                      uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err);
int32_t pim_mem_heads(struct pim_conn *conn, const struct pim_call *call, struct pim_head *heads, uint32_t n_heads,
                      uint32_t head_size, struct pim_err *err);
int32_t pim_mem_convs(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *after, uint32_t limit,
                      pim_head_fn head, void *ctx, struct pim_err *err);
int32_t pim_mem_trim(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t to_seq,
                     uint64_t *out_count, struct pim_err *err);
int32_t pim_mem_redact(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t seq,
                       struct pim_err *err);
void pim_mem_logs_free(struct mem_data *data);
#endif
