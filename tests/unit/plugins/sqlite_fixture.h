/* tests/unit/plugins/sqlite_fixture.h - a store in a directory of its own with its writer and one reader, rows with bodies
 * that say which row they are, and pages of them checked. */
#ifndef PIM_TEST_SQLITE_FIXTURE_H
#define PIM_TEST_SQLITE_FIXTURE_H
#include <privateim/storage.h>

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define I(v) ((struct pim_val){.type = PIM_INT, .u.i = (v)})
#define T(s) ((struct pim_val){.type = PIM_TEXT, .len = (uint32_t)strlen(s), .u.p = (s)})

enum { K_USER = 1, K_POS = 2, K_BY = 3 };
enum { U_ID, U_EMAIL, U_NAME, U_AGE, U_NOTE };

static const uint16_t c0[] = {0}, c1[] = {1}, c01[] = {0, 1}, c32[] = {3, 2};
static const struct pim_col user_cols[] = {
    {.name = "id", .type = PIM_INT},
    {.name = "email", .type = PIM_TEXT, .max_chars = 60},
    {.name = "name", .type = PIM_TEXT, .max_chars = 5},
    {.name = "age", .type = PIM_INT, .def_int = 7},
    {.name = "note", .type = PIM_TEXT, .flags = PIM_COL_NULLABLE},
    {.name = "born", .type = PIM_INT, .def_int = 1900, .since = 2},
};
static const struct pim_index user_indexes[] = {
    {.name = "pk", .cols = c0, .n_cols = 1, .flags = PIM_INDEX_UNIQUE},
    {.name = "by_email", .cols = c1, .n_cols = 1, .flags = PIM_INDEX_UNIQUE},
    {.name = "by_age", .cols = c32, .n_cols = 2},
};
static const struct pim_col pos_cols[] = {{.name = "user_id", .type = PIM_INT},
                                          {.name = "device", .type = PIM_TEXT, .max_chars = 64},
                                          {.name = "seq", .type = PIM_INT}};
static const struct pim_index pos_indexes[] = {{.name = "pk", .cols = c01, .n_cols = 2, .flags = PIM_INDEX_UNIQUE}};

#define KIND(i, n, c, k)                                                                                               \
    {                                                                                                                  \
        .struct_size = sizeof(struct pim_kind), .id = i, .roles = PIM_ROLE_RECORDS, .name = n, .cols = c,              \
        .n_cols = COUNT(c), .col_size = sizeof(struct pim_col), .indexes = k, .n_indexes = COUNT(k),                   \
        .index_size = sizeof(struct pim_index)                                                                         \
    }
static struct pim_kind kinds[] = {KIND(K_USER, "user", user_cols, user_indexes),
                                  KIND(K_POS, "meta", pos_cols, pos_indexes)};
static struct pim_schema schema = {.struct_size = sizeof schema,
                                   .version = 1,
                                   .min_reader = 1,
                                   .roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES,
                                   .kinds = kinds,
                                   .n_kinds = COUNT(kinds),
                                   .kind_size = sizeof kinds[0]};

static const struct pim_storage_ops *ops;
static struct pim_host host = {.struct_size = sizeof host};
static struct pim_call call = {.struct_size = sizeof call};
static struct pim_err err = {.struct_size = sizeof err};
static char dir[64], path[128];

struct fixture {
    struct pim_store *store;
    struct pim_store_info info;
    struct pim_conn *w, *r; /* the writer and a reader */
};

static inline int
open_at(struct fixture *f, const char *at, const char *name, const char *value)
{
    struct pim_kv opts[] = {{"path", at}, {name, value}};
    struct pim_call writer = {.struct_size = sizeof writer, .flags = PIM_CALL_WRITER};
    int rc;

    *f = (struct fixture){.info = {.struct_size = sizeof f->info}};
    rc = ops->open(&host, &schema, opts, name != NULL ? 2 : 1, PIM_OPEN_TEST, &f->store, &f->info, &err);
    if (rc < 0)
        return rc;
    rc = ops->migrate(f->store, &call, PIM_MIGRATE_APPLY, NULL, NULL, &err);
    if (rc == PIM_OK)
        rc = ops->conn_open(f->store, &writer, &f->w, &err);
    if (rc == PIM_OK)
        rc = ops->conn_open(f->store, &call, &f->r, &err);
    return rc;
}

static inline void
close_it(struct fixture *f)
{
    ops->conn_close(&f->r);
    ops->conn_close(&f->w);
    ops->close(&f->store);
}

static inline int
setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    snprintf(dir, sizeof dir, "/tmp/pim-sqlite-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a.db", dir);
    kinds[0].n_cols = 5;
    schema.version = schema.min_reader = 1;
    ops = pim_plugin_entry(0)->ops;
    *state = f;
    return open_at(f, path, NULL, NULL);
}

static inline int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[160];

    close_it(f);
    free(f);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* --- the log ---------------------------------------------------------------------------------------------------- */

static const struct pim_conv g1 = {.kind = 'g', .a = 1}, g2 = {.kind = 'g', .a = 2},
                             u12 = {.kind = 'u', .a = 1, .b = 2};

static inline struct pim_append_item
item(struct pim_conv conv, int64_t seq)
{
    static char bodies[32][32];
    static unsigned turn;
    char *body = bodies[turn++ % 32];
    struct pim_append_item it = {.conv = conv,
                                 .seq = seq,
                                 .ord = seq,
                                 .msg_id = conv.a * 100000 + seq,
                                 .sender_id = 5,
                                 .created_ms = 1000000 + seq * 10,
                                 .body_hash = 0xf000000000000000ull + (uint64_t)seq,
                                 .type = 1,
                                 .day = (int32_t)(20260101 + seq / 50)};

    it.body_len = (uint32_t)snprintf(body, 32, "%lld:%lld", (long long)conv.a, (long long)seq);
    it.body = body;
    memset(it.cid, (int)(seq & 0xff), sizeof it.cid);
    return it;
}

static inline int
append(struct pim_conn *conn, struct pim_append_item *items, uint32_t n)
{
    struct pim_append a = {.struct_size = sizeof a, .item_size = sizeof *items, .n_items = n, .items = items};

    return ops->append(conn, &call, &a, &err);
}

/* Rows from..to, one commit each 10. */
static inline void
fill(struct fixture *f, struct pim_conv conv, int64_t from, int64_t to)
{
    while (from <= to) {
        struct pim_append_item items[10];
        uint32_t n = 0;

        while (n < 10 && from <= to)
            items[n++] = item(conv, from++);
        assert_int_equal(append(f->w, items, n), PIM_OK);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(items[i].result, PIM_OK);
    }
}

struct got {
    int64_t first, last, n, step, stop_at;
    bool in_order, bodies_right;
    int32_t min_day, max_day;
};

static inline int32_t
on_msg(void *ctx, uint32_t it, const struct pim_msg *m)
{
    struct got *g = ctx;
    char want[32];
    int len = snprintf(want, sizeof want, "%lld:%lld", (long long)m->conv.a, (long long)m->seq);

    (void)it;
    if (g->n == 0) {
        g->first = m->seq;
        g->in_order = g->bodies_right = true;
        g->min_day = g->max_day = m->day;
    } else {
        g->in_order &= m->seq == g->last + g->step;
    }
    g->min_day = m->day < g->min_day ? m->day : g->min_day;
    g->max_day = m->day > g->max_day ? m->day : g->max_day;
    g->bodies_right &= m->body_len == (uint32_t)len && memcmp(m->body, want, (size_t)len) == 0 && m->ord == m->seq &&
                       m->msg_id == m->conv.a * 100000 + m->seq && m->cid[3] == (m->seq & 0xff) &&
                       m->body_hash == 0xf000000000000000ull + (uint64_t)m->seq;
    g->last = m->seq;
    g->n++;
    return g->n == g->stop_at;
}

static inline struct got
history(struct pim_conn *conn, struct pim_conv conv, int64_t from, int64_t to, uint32_t limit, uint32_t flags,
        int want_rc)
{
    struct pim_history q = {
        .struct_size = sizeof q, .flags = flags, .conv = conv, .from_seq = from, .to_seq = to, .limit = limit};
    struct got g = {.step = flags & PIM_H_DESC ? -1 : 1};

    assert_int_equal(ops->history(conn, &call, &q, on_msg, &g, &err), want_rc);
    return g;
}

static inline struct pim_head
head(struct pim_conn *conn, struct pim_conv conv)
{
    struct pim_head h = {.conv = conv};

    assert_int_equal(ops->heads(conn, &call, &h, 1, sizeof h, &err), PIM_OK);
    return h;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#endif
