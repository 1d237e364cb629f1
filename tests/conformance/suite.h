/* suite.h - what the checks of privateim-plugin-test share.
 *
 * The program loads one storage plugin and runs checks against it; each prints one line of TAP. A check opens its own
 * store: in a directory of its own where an option has %d in it, else in the one place there is, wiped before. A check
 * ends at the first thing that is wrong: conf_fail() jumps out of it (main thread only; other threads note what they
 * saw).
 *
 * A *side* is an opened store with a connection that writes and one that reads: the plugin's, or the model's (the
 * memory plugin, compiled in). What ops give out is written down as text, so two sides are compared by comparing texts.
 */
#ifndef PIM_CONFORMANCE_SUITE_H
#define PIM_CONFORMANCE_SUITE_H
#include <privateim/storage.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CONF_OPTS_MAX 64

/* --- the run --------------------------------------------------------------------------------------------------------
 */
struct suite {
    const struct pim_storage_ops *ops;
    const struct pim_host *host;
    const char *plugin_path;
    struct pim_kv opts[CONF_OPTS_MAX];
    uint32_t n_opts;
    bool has_fresh; /* some option has %d */
    uint32_t roles;
    uint64_t seed;
    const char *cut; /* shell command that cuts the engine's connections; NULL */
    const char *dir; /* for what is fresh */
    uint32_t n_dirs;
};
extern struct suite suite;

struct check {
    const char *name;
    uint32_t role; /* PIM_ROLE_*, 0: of the store as such */
    void (*run)(void);
};
extern const struct check conf_record_checks[], conf_list_checks[], conf_log_checks[], conf_log_read_checks[],
    conf_store_checks[], conf_random_checks[], conf_race_checks[], conf_crash_checks[]; /* each ends with a NULL name */

/** End the check: it is red. Main thread. */
_Noreturn void conf_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** End the check: it is not for this plugin. Main thread. */
_Noreturn void conf_skip(const char *why);
const char *conf_rc_name(int rc);

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            conf_fail("%s:%d: %s", __FILE__, __LINE__, #cond);                                                         \
    } while (0)
#define CHECK_INT(got, want)                                                                                           \
    do {                                                                                                               \
        long long got_ = (got), want_ = (want);                                                                        \
        if (got_ != want_)                                                                                             \
            conf_fail("%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, #got, got_, want_);                           \
    } while (0)
#define CHECK_RC(call, want)                                                                                           \
    do {                                                                                                               \
        int got_ = (call), want_ = (want);                                                                             \
        if (got_ != want_)                                                                                             \
            conf_fail("%s:%d: %s answered %s, not %s: %s", __FILE__, __LINE__, #call, conf_rc_name(got_),              \
                      conf_rc_name(want_), got_ < 0 ? conf_err.msg : "");                                              \
    } while (0)

/* --- chance, the same for the same seed
 * ------------------------------------------------------------------------------- */
struct chance {
    uint64_t state;
};
uint64_t conf_chance(struct chance *chance);
uint32_t conf_below(struct chance *chance, uint32_t below);

/* --- sides
 * ------------------------------------------------------------------------------------------------------------ */
struct side {
    const struct pim_storage_ops *ops;
    const struct pim_host *host;
    struct pim_kv opts[CONF_OPTS_MAX];
    uint32_t n_opts;
    struct pim_store *store;
    struct pim_store_info info;
    struct pim_conn *w, *r;
    char dir[300];     /* fresh, or "" */
    char values[4096]; /* of options with the directory filled in; so a side is not copied */
};
extern struct pim_err conf_err; /* of the last call on the main thread */
extern struct pim_call conf_call;

/** Open the plugin on an empty store, with this schema in force. */
void conf_open(struct side *side, const struct pim_schema *schema);
/** The same for the model. */
void conf_open_model(struct side *side, const struct pim_schema *schema);
/** Only set the options (a fresh place), open nothing. */
void conf_prepare(struct side *side);
/** Open what conf_prepare set up: migrate where asked, connect. @return the first failure */
int conf_try_open(struct side *side, const struct pim_schema *schema, bool migrate);
void conf_reopen(struct side *side, const struct pim_schema *schema);
int conf_conn(struct side *side, uint32_t flags, struct pim_conn **out_conn);
void conf_close(struct side *side);
/** conf_prepare, and the value of the option that has the fresh directory in it ("" none). */
void conf_prepare_second(struct side *side, char *out_path, size_t path_size);

/* --- texts
 * ------------------------------------------------------------------------------------------------------------ */
struct text {
    char *p;
    size_t n, cap;
    uint32_t rows, stop_at; /* callbacks so far; the row with which to stop, 0 none */
    int32_t stop_with;
};
void conf_add(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void conf_clear(struct text *text);
int32_t conf_on_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals); /* ctx: struct text */
int32_t conf_on_msg(void *ctx, uint32_t item, const struct pim_msg *msg);
int32_t conf_on_head(void *ctx, const struct pim_head *head);
/** Fail unless both are the same; frees neither. */
void conf_same(const struct text *plugin, const struct text *model, const char *what);

/* --- records
 * ---------------------------------------------------------------------------------------------------------- */
enum { K_PERSON = 1, K_PLACE = 2, K_LINK = 3, K_NOVEL = 60 };
enum { P_ID, P_EMAIL, P_NAME, P_AGE, P_NOTE, P_DATA, P_GONE, P_BORN /* since 2 */, P_COLS };
enum { P_BY_ID, P_BY_EMAIL, P_BY_AGE, P_BY_BORN /* since 2 */ };
enum { L_USER, L_DEVICE, L_SEQ, L_ORD, L_COLS };
enum { N_OWNER, N_PERSON, N_FLAG, N_COLS }; /* link: (owner, person) */
/** The suite's schema, version 1 or 2; static storage. */
const struct pim_schema *conf_schema(uint32_t version);
extern char conf_novel_name[32]; /* the kind of version 2 that nobody has heard of */

#define V_INT(v) ((struct pim_val){.type = PIM_INT, .u.i = (v)})
#define V_TEXT(s) ((struct pim_val){.type = PIM_TEXT, .len = (uint32_t)strlen(s), .u.p = (s)})
#define V_BYTES(b, n) ((struct pim_val){.type = PIM_BYTES, .len = (n), .u.p = (b)})
#define V_NULL ((struct pim_val){.type = PIM_NULL})
#define SET(c, v) ((struct pim_cell){.col = (c), .verb = PIM_SET, .val = (v)})
#define COND(c, o, v) ((struct pim_cond){.col = (c), .op = (o), .val = (v)})
#define COL(c) (1ull << (c))

#define WRITE(v, k, ix, ...)                                                                                           \
    ((struct pim_write){.struct_size = sizeof(struct pim_write), .verb = (v), .kind = (k), .index = (ix), __VA_ARGS__})
int conf_apply(struct side *side, struct pim_write *writes, uint32_t n, uint32_t *out_failed, struct text *rows);
int conf_get(struct side *side, struct pim_conn *conn, uint32_t kind, uint32_t index, const struct pim_val *keys,
             uint32_t n_keys, uint32_t per_key, uint64_t cols, struct text *rows);
int conf_list(struct side *side, struct pim_conn *conn, const struct pim_query *query, struct text *rows);
/** Insert one person. */
int conf_person(struct side *side, int64_t id, const char *email, const char *name, int64_t age);
/** One number of one row; fails when it is not there. */
int64_t conf_number(struct side *side, struct pim_conn *conn, uint32_t kind, const struct pim_val *key, uint32_t n_key,
                    uint32_t col);
int64_t conf_count(struct side *side, struct pim_conn *conn, uint32_t kind);

/* --- messages
 * --------------------------------------------------------------------------------------------------------- */
#define CONV_G(n) ((struct pim_conv){.kind = 'g', .a = (n)})
/** Row seq of a conversation; what it holds follows from both. body: 64 bytes of the caller's. */
struct pim_append_item conf_item(struct pim_conv conv, int64_t seq, char body[64]);
/** Is that row what conf_item made? */
bool conf_is_item(const struct pim_msg *msg);
int conf_append(struct side *side, struct pim_conn *conn, struct pim_append_item *items, uint32_t n);
/** Append rows from..to, a few in each call; fails when one is not stored. */
void conf_fill(struct side *side, struct pim_conv conv, int64_t from, int64_t to);
struct pim_head conf_head(struct side *side, struct pim_conn *conn, struct pim_conv conv);
int conf_history(struct side *side, struct pim_conn *conn, struct pim_conv conv, int64_t from, int64_t to,
                 uint32_t limit, uint32_t flags, struct text *rows);
/** Rows 1..head are there, none missing, each as conf_item made it. */
void conf_dense(struct side *side, struct pim_conn *conn, struct pim_conv conv, int64_t head);

/* --- children that are killed
 * -------------------------------------------------------------------------------------------- */
/** Run as the child of a crash check. @return exit status */
int conf_child(const char *what);
#endif
