/* The embedded storage plugin against its ABI: records, the log, and what must survive. */
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
static const struct pim_col pos_cols[] = {
    {.name = "user_id", .type = PIM_INT}, {.name = "device", .type = PIM_TEXT, .max_chars = 64}, {.name = "seq", .type = PIM_INT}};
static const struct pim_index pos_indexes[] = {{.name = "pk", .cols = c01, .n_cols = 2, .flags = PIM_INDEX_UNIQUE}};

#define KIND(i, n, c, k)                                                                                                \
    {.struct_size = sizeof(struct pim_kind), .id = i, .roles = PIM_ROLE_RECORDS, .name = n, .cols = c, .n_cols = COUNT(c),  \
     .col_size = sizeof(struct pim_col), .indexes = k, .n_indexes = COUNT(k), .index_size = sizeof(struct pim_index)}
static struct pim_kind kinds[] = {KIND(K_USER, "user", user_cols, user_indexes), KIND(K_POS, "meta", pos_cols, pos_indexes)};
static struct pim_schema schema = {.struct_size = sizeof schema, .version = 1, .min_reader = 1,
                                   .roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES, .kinds = kinds, .n_kinds = COUNT(kinds),
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

static int
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

static void
close_it(struct fixture *f)
{
    ops->conn_close(&f->r);
    ops->conn_close(&f->w);
    ops->close(&f->store);
}

static int
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

static int
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

static const struct pim_conv g1 = {.kind = 'g', .a = 1}, g2 = {.kind = 'g', .a = 2}, u12 = {.kind = 'u', .a = 1, .b = 2};

static struct pim_append_item
item(struct pim_conv conv, int64_t seq)
{
    static char bodies[16][32];
    static unsigned turn;
    char *body = bodies[turn++ % 16];
    struct pim_append_item it = {.conv = conv, .seq = seq, .ord = seq, .msg_id = conv.a * 100000 + seq, .sender_id = 5,
                                 .created_ms = 1000000 + seq * 10, .body_hash = 0xf000000000000000ull + (uint64_t)seq,
                                 .type = 1, .day = (int32_t)(20260101 + seq / 50)};

    it.body_len = (uint32_t)snprintf(body, 32, "%lld:%lld", (long long)conv.a, (long long)seq);
    it.body = body;
    memset(it.cid, (int)(seq & 0xff), sizeof it.cid);
    return it;
}

static int
append(struct pim_conn *conn, struct pim_append_item *items, uint32_t n)
{
    struct pim_append a = {.struct_size = sizeof a, .item_size = sizeof *items, .n_items = n, .items = items};

    return ops->append(conn, &call, &a, &err);
}

/* Rows from..to, one commit each 10. */
static void
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

static int32_t
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

static struct got
history(struct pim_conn *conn, struct pim_conv conv, int64_t from, int64_t to, uint32_t limit, uint32_t flags, int want_rc)
{
    struct pim_history q = {.struct_size = sizeof q, .flags = flags, .conv = conv, .from_seq = from, .to_seq = to, .limit = limit};
    struct got g = {.step = flags & PIM_H_DESC ? -1 : 1};

    assert_int_equal(ops->history(conn, &call, &q, on_msg, &g, &err), want_rc);
    return g;
}

static struct pim_head
head(struct pim_conn *conn, struct pim_conv conv)
{
    struct pim_head h = {.conv = conv};

    assert_int_equal(ops->heads(conn, &call, &h, 1, sizeof h, &err), PIM_OK);
    return h;
}

static void
append_is_dense(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item items[4] = {item(g1, 1), item(g1, 2), item(g2, 1), item(u12, 1)};

    assert_int_equal(append(f->w, items, 4), PIM_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(items[i].result, PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 2);
    assert_int_equal(head(f->r, g1).head_msg_id, 100002);
    assert_int_equal(head(f->r, g2).head_seq, 1);
    /* taken, and without a predecessor: others are not disturbed */
    items[0] = item(g1, 2);
    items[1] = item(g1, 3);
    items[2] = item(g2, 3);
    items[3] = item(u12, 2);
    assert_int_equal(append(f->w, items, 4), PIM_OK);
    assert_int_equal(items[0].result, PIM_EXISTS);
    assert_int_equal(items[0].head_seq, 2);
    assert_int_equal(items[1].result, PIM_AGAIN);
    assert_int_equal(items[2].result, PIM_NOT_FOUND);
    assert_int_equal(items[2].head_seq, 1);
    assert_int_equal(items[3].result, PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 2);
    assert_int_equal(head(f->r, u12).head_seq, 2);
}

static void
a_prefix_stays(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item items[3] = {item(g1, 1), item(g1, 2), item(g1, 4)};

    assert_int_equal(append(f->w, items, 3), PIM_OK);
    assert_int_equal(items[1].result, PIM_OK);
    assert_int_equal(items[2].result, PIM_NOT_FOUND);
    assert_int_equal(items[2].head_seq, 2);
    assert_int_equal(history(f->r, g1, 1, 100, 0, 0, PIM_OK).n, 2);
    /* one bad item fails alone, and holds its own run only */
    items[0] = item(g1, 3);
    items[0].body_len = 17u << 20;
    items[1] = item(g1, 4);
    items[2] = item(g2, 1);
    assert_int_equal(append(f->w, items, 3), PIM_OK);
    assert_int_equal(items[0].result, PIM_ERR_TOO_LARGE);
    assert_int_equal(items[1].result, PIM_AGAIN);
    assert_int_equal(items[2].result, PIM_OK);
    items[0] = item((struct pim_conv){.kind = 'u', .a = 9, .b = 3}, 1);
    assert_int_equal(append(f->w, items, 1), PIM_OK);
    assert_int_equal(items[0].result, PIM_ERR_INVALID);
}

static void
items_may_be_larger_than_ours(void **state)
{
    struct fixture *f = *state;
    struct { struct pim_append_item item; char later[24]; } wide[2] = {{.item = item(g1, 1)}, {.item = item(g1, 2)}};
    struct pim_append a = {.struct_size = sizeof a, .item_size = sizeof wide[0], .n_items = 2, .items = &wide[0].item};

    assert_int_equal(ops->append(f->w, &call, &a, &err), PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 2);
    assert_int_equal(append(f->r, &wide[0].item, 1), PIM_ERR_READONLY);
}

static void
history_pages(void **state)
{
    struct fixture *f = *state;
    static const struct { int64_t from, to; uint32_t limit, flags; int rc; int64_t first, last, n; } t[] = {
        {1, 700, 0, 0, PIM_OK, 1, 700, 700},     {1, INT64_MAX, 50, 0, PIM_MORE, 1, 50, 50},
        {100, 400, 50, 0, PIM_MORE, 100, 149, 50}, {651, 700, 50, 0, PIM_OK, 651, 700, 50},
        {1, 700, 50, PIM_H_DESC, PIM_MORE, 700, 651, 50}, {1, 300, 300, PIM_H_DESC, PIM_OK, 300, 1, 300},
        {64, 64, 0, 0, PIM_OK, 64, 64, 1},       {65, 63, 0, 0, PIM_OK, 0, 0, 0},
        {0, 3, 0, PIM_H_DESC, PIM_OK, 3, 1, 3},  {699, 900, 9, PIM_H_DESC, PIM_OK, 700, 699, 2},
    };

    fill(f, g2, 1, 3);
    fill(f, g1, 1, 350);
    fill(f, g2, 4, 90);
    fill(f, g1, 351, 700);
    for (size_t i = 0; i < COUNT(t); i++) {
        for (int k = 0; k < 2; k++) {
            struct got g = history(k ? f->w : f->r, g1, t[i].from, t[i].to, t[i].limit, t[i].flags, t[i].rc);

            assert_int_equal(g.n, t[i].n);
            assert_int_equal(g.first, t[i].first);
            assert_int_equal(g.last, t[i].last);
            assert_true(g.n == 0 || (g.in_order && g.bodies_right));
        }
    }
    for (int64_t seq = 1; seq <= 700; seq++)
        assert_int_equal(history(f->r, g1, seq, seq, 1, 0, PIM_OK).first, seq);
}

static void
history_by_day(void **state)
{
    struct fixture *f = *state;

    fill(f, g1, 1, 230); /* day = 20260101 + seq / 50 */
    for (int32_t from = 20260100; from <= 20260107; from++) {
        for (int32_t to = from; to <= 20260107; to++) {
            struct pim_history q = {.struct_size = sizeof q, .conv = g1, .from_seq = 1, .to_seq = INT64_MAX, .from_day = from, .to_day = to};
            struct got g = {.step = 1};
            int64_t want = 0;

            for (int64_t seq = 1; seq <= 230; seq++)
                want += 20260101 + seq / 50 >= from && 20260101 + seq / 50 <= to;
            assert_int_equal(ops->history(f->r, &call, &q, on_msg, &g, &err), PIM_OK);
            assert_int_equal(g.n, want);
            assert_true(g.n == 0 || (g.min_day >= from && g.max_day <= to && g.in_order));
        }
    }
}

static void
tails_keep_their_limits(void **state)
{
    struct fixture *f = *state;
    struct pim_tail t[4] = {{.conv = g1, .limit = 10, .flags = PIM_TAIL_BODIES},
                            {.conv = g1, .limit = 1000, .since_ms = 1000000 + 190 * 10, .flags = PIM_TAIL_BODIES | PIM_TAIL_DURABLE},
                            {.conv = g1, .limit = 1000, .after_seq = 195, .flags = PIM_TAIL_BODIES},
                            {.conv = {.kind = 'g', .a = 99}, .limit = 5}};
    static const int64_t want_n[] = {10, 11, 5, 0};
    static const int want_rc[] = {PIM_MORE, PIM_OK, PIM_OK, PIM_NOT_FOUND};

    fill(f, g1, 1, 200);
    for (int i = 0; i < 4; i++) {
        struct got g = {.step = -1};

        assert_int_equal(ops->tails(f->r, &call, &t[i], 1, sizeof t[i], on_msg, &g, &err), PIM_OK);
        assert_int_equal(g.n, want_n[i]);
        assert_int_equal(t[i].result, want_rc[i]);
        assert_int_equal(t[i].head_seq, i < 3 ? 200 : 0);
        assert_true(g.n == 0 || (g.in_order && g.first == 200 && g.bodies_right));
    }
    assert_int_equal(t[0].last_ms, 1000000 + 200 * 10);
    assert_int_equal(t[0].head_ord, 200);
    {
        struct got g = {.step = -1, .stop_at = 3};
        struct pim_tail two[2] = {{.conv = g1, .limit = 9}, {.conv = g1, .limit = 2}};

        /* "no more of this item" goes on with the next */
        assert_int_equal(ops->tails(f->r, &call, two, 2, sizeof two[0], on_msg, &g, &err), PIM_OK);
        assert_int_equal(g.n, 5);
    }
}

struct seen { struct pim_conv convs[300]; int64_t seqs[300]; uint32_t n; };

static int32_t
on_head(void *ctx, const struct pim_head *h)
{
    struct seen *s = ctx;

    s->convs[s->n] = h->conv;
    s->seqs[s->n++] = h->head_seq;
    return 0;
}

static void
convs_lists_all(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    int rc;

    for (int64_t a = 300; a > 0; a -= 2)
        fill(f, (struct pim_conv){.kind = a % 4 ? 'g' : 'e', .a = a}, 1, 1 + a % 3);
    do {
        uint32_t before = s.n;

        rc = ops->convs(f->r, &call, s.n ? &s.convs[s.n - 1] : NULL, 7, on_head, &s, &err);
        assert_true(rc >= 0 && s.n - before <= 7);
    } while (rc == PIM_MORE);
    assert_int_equal(rc, PIM_OK);
    assert_int_equal(s.n, 150);
    for (uint32_t i = 0; i < s.n; i++) {
        assert_int_equal(s.seqs[i], 1 + s.convs[i].a % 3);
        assert_true(i == 0 || s.convs[i - 1].kind < s.convs[i].kind || s.convs[i - 1].a < s.convs[i].a);
    }
}

static void
trim_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item next = item(g1, 300);
    struct pim_head h;
    uint64_t n = 0;

    fill(f, g1, 1, 300);
    assert_int_equal(ops->trim(f->w, &call, &g1, 130, &n, &err), PIM_OK);
    assert_int_equal(n, 130);
    h = head(f->r, g1);
    assert_int_equal(h.floor_seq, 130);
    assert_int_equal(h.floor_ms, 1000000 + 130 * 10);
    assert_int_equal(history(f->r, g1, 1, 300, 0, 0, PIM_OK).first, 131);
    assert_int_equal(history(f->r, g1, 1, 300, 0, PIM_H_DESC, PIM_OK).n, 170);
    assert_int_equal(history(f->r, g1, 1, 130, 0, 0, PIM_OK).n, 0);
    assert_int_equal(ops->trim(f->w, &call, &g1, INT64_MAX, &n, &err), PIM_OK);
    assert_int_equal(n, 169);
    assert_int_equal(head(f->r, g1).head_seq, 300);
    assert_int_equal(head(f->r, g1).floor_seq, 299);
    /* no number is freed */
    assert_int_equal(append(f->w, &next, 1), PIM_OK);
    assert_int_equal(next.result, PIM_EXISTS);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_OK);
    assert_int_equal(head(f->r, g1).floor_seq, 299);
    fill(f, g1, 301, 310);
    assert_int_equal(history(f->r, g1, 1, 400, 0, 0, PIM_OK).n, 11);
    assert_int_equal(ops->trim(f->w, &call, &g2, 5, &n, &err), PIM_OK);
    assert_int_equal(n, 0);
}

static int32_t
on_body(void *ctx, uint32_t it, const struct pim_msg *m)
{
    (void)it;
    *(uint32_t *)ctx = m->body_len;
    return 0;
}

static void
redact_empties_a_body(void **state)
{
    struct fixture *f = *state;
    struct pim_history q = {.struct_size = sizeof q, .conv = g1, .from_seq = 40, .to_seq = 40};
    uint32_t len = 99;

    fill(f, g1, 1, 100);
    assert_int_equal(ops->redact(f->w, &call, &g1, 40, &err), PIM_OK);
    assert_int_equal(ops->redact(f->w, &call, &g1, 101, &err), PIM_NOT_FOUND);
    assert_int_equal(ops->history(f->r, &call, &q, on_body, &len, &err), PIM_OK);
    assert_int_equal(len, 0);
    q.from_seq = q.to_seq = 41;
    assert_int_equal(ops->history(f->r, &call, &q, on_body, &len, &err), PIM_OK);
    assert_int_equal(len, 4);
}

static void
copy_file(const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* What a kill leaves: the files as they stand, copied while the store is open. */
static void
unclean_end(void **state)
{
    struct fixture *f = *state, again;
    char copy[150], from[150], to[170];

    close_it(f);
    /* few rows in a round, so that marks and slices of heads are written on the way */
    assert_int_equal(open_at(f, path, "scan_rows", "50"), PIM_OK);
    for (int64_t seq = 1; seq <= 40; seq++)
        for (int64_t a = 1; a <= 30; a++) {
            struct pim_append_item it = item((struct pim_conv){.kind = 'g', .a = a}, seq);

            assert_int_equal(append(f->w, &it, 1), PIM_OK);
            assert_int_equal(it.result, PIM_OK);
        }
    snprintf(copy, sizeof copy, "%s/copy.db", dir);
    copy_file(path, copy);
    snprintf(from, sizeof from, "%s-wal", path);
    snprintf(to, sizeof to, "%s-wal", copy);
    copy_file(from, to);
    assert_int_equal(open_at(&again, copy, "check", "check"), PIM_OK);
    for (int64_t a = 1; a <= 30; a++) {
        struct pim_conv conv = {.kind = 'g', .a = a};
        struct got g = history(again.r, conv, 1, 100, 0, 0, PIM_OK);

        assert_int_equal(head(again.r, conv).head_seq, 40);
        assert_true(g.n == 40 && g.in_order && g.bodies_right);
        fill(&again, conv, 41, 42);
    }
    close_it(&again);
    assert_int_equal(open_at(&again, copy, "check", "rebuild"), PIM_OK);
    assert_int_equal(head(again.r, g1).head_seq, 42);
    close_it(&again);
}

static void
few_heads_in_memory(void **state)
{
    struct fixture *f = *state;

    close_it(f);
    assert_int_equal(open_at(f, path, "heads_max", "100"), PIM_OK);
    for (int64_t seq = 1; seq <= 3; seq++)
        for (int64_t a = 1; a <= 400; a++) {
            struct pim_append_item it = item((struct pim_conv){.kind = 'g', .a = a}, seq);

            assert_int_equal(append(f->w, &it, 1), PIM_OK);
            assert_int_equal(it.result, PIM_OK);
        }
    for (int64_t a = 1; a <= 400; a++)
        assert_int_equal(head(f->r, (struct pim_conv){.kind = 'g', .a = a}).head_seq, 3);
}

static void
a_second_writer_is_refused(void **state)
{
    struct fixture *f = *state, other;
    struct pim_call writer = {.struct_size = sizeof writer, .flags = PIM_CALL_WRITER};
    struct pim_conn *second = NULL;
    char pid[32];
    pid_t child;
    int status;

    assert_true(ops->conn_open(f->store, &writer, &second, &err) < 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        snprintf(pid, sizeof pid, "process %ld", (long)getppid());
        _exit(open_at(&other, path, NULL, NULL) == PIM_ERR_UNAVAILABLE && strstr(err.msg, path) != NULL &&
                      strstr(err.msg, pid) != NULL
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(open_at(&other, path, NULL, NULL), PIM_ERR_UNAVAILABLE);
}

static void
a_full_disk_is_void(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = {0};
    char *big = calloc(1, 100000);
    int64_t seq = 0;
    int rc = PIM_OK;

    close_it(f);
    assert_int_equal(open_at(f, path, "max_pages", "200"), PIM_OK);
    while (rc == PIM_OK) {
        it = item(g1, ++seq);
        it.body = big;
        it.body_len = 100000;
        rc = append(f->w, &it, 1);
    }
    assert_int_equal(rc, PIM_ERR_FULL);
    assert_int_equal(head(f->r, g1).head_seq, seq - 1);
    assert_int_equal(head(f->w, g1).head_seq, seq - 1);
    /* room again: the same number is still to be had */
    assert_int_equal(ops->trim(f->w, &call, &g1, seq - 2, NULL, &err), PIM_OK);
    it = item(g1, seq);
    assert_int_equal(append(f->w, &it, 1), PIM_OK);
    assert_int_equal(it.result, PIM_OK);
    assert_int_equal(history(f->r, g1, seq, seq, 0, 0, PIM_OK).n, 1);
    free(big);
}

static void
sql(const char *at, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(at, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
a_wrong_pointer_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct pim_history q = {.struct_size = sizeof q, .conv = g1, .from_seq = 1, .to_seq = 100};
    struct got g = {.step = 1};

    fill(f, g1, 1, 50);
    fill(f, g2, 1, 50);
    close_it(f);
    sql(path, "UPDATE msg SET prev = (SELECT id FROM msg WHERE a = 2 AND seq = 29) WHERE a = 1 AND seq = 30");
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(ops->history(f->r, &call, &q, on_msg, &g, &err), PIM_ERR_CORRUPT);
    assert_int_equal(history(f->r, g1, 31, 50, 0, 0, PIM_OK).n, 20);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "pointer"));
    if (open_at(f, path, "check", "rebuild") != PIM_OK) { print_message("%s\n", err.msg); fail(); }
    assert_int_equal(history(f->r, g1, 1, 50, 0, 0, PIM_OK).n, 50);
    close_it(f);
    sql(path, "DELETE FROM msg WHERE a = 2 AND seq = 20");
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    q.conv = g2;
    assert_int_equal(ops->history(f->r, &call, &q, on_msg, &g, &err), PIM_ERR_CORRUPT);
}

static int64_t told;
static char told_why[300];
static void
on_fatal(const struct pim_host *h, const char *why)
{
    (void)h;
    told++;
    snprintf(told_why, sizeof told_why, "%s", why);
}

static void
a_foreign_writer_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 2);

    fill(f, g1, 1, 1);
    told = 0;
    host.fatal = on_fatal;
    sql(path, "UPDATE store SET value = value + 1 WHERE name = 'epoch'");
    assert_int_equal(append(f->w, &it, 1), PIM_ERR_CORRUPT);
    assert_int_equal(told, 1);
    assert_true(append(f->w, &it, 1) < 0);
    host.fatal = NULL;
}

static void
a_backup_restored_raises_the_epoch(void **state)
{
    struct fixture *f = *state, b;
    char backup[150];

    fill(f, g1, 1, 100);
    snprintf(backup, sizeof backup, "%s/backup.db", dir);
    assert_int_equal(ops->backup(f->r, &call, backup, &err), PIM_OK);
    fill(f, g1, 101, 120);
    assert_int_equal(open_at(&b, backup, "check", "check"), PIM_OK);
    assert_true(b.info.epoch > 1700000000000 && b.info.epoch > f->info.epoch);
    assert_memory_equal(b.info.store_id, f->info.store_id, 16);
    assert_int_equal(head(b.r, g1).head_seq, 100);
    assert_int_equal(history(b.r, g1, 1, 200, 0, 0, PIM_OK).n, 100);
    close_it(&b);
    assert_int_equal(open_at(&b, backup, NULL, NULL), PIM_OK);
    fill(&b, g1, 101, 101);
    close_it(&b);
}

static void
old_rows_go_by_age(void **state)
{
    struct fixture *f = *state;
    int rc;

    /* all rows of these tests are from 1970 */
    close_it(f);
    assert_int_equal(open_at(f, path, "scan_rows", "20"), PIM_OK);
    fill(f, g2, 1, 70);
    fill(f, g1, 1, 200);
    close_it(f);
    assert_int_equal(open_at(f, path, "retain_days", "30"), PIM_OK);
    while ((rc = ops->maintain(f->w, &call, &err)) == PIM_MORE)
        continue;
    assert_int_equal(rc, PIM_OK);
    assert_int_equal(head(f->r, g2).head_seq, 70);
    assert_int_equal(head(f->r, g2).floor_seq, 69);
    assert_int_equal(history(f->r, g2, 1, 100, 0, 0, PIM_OK).first, 70);
    assert_true(head(f->r, g1).floor_seq > 50);
    assert_true(history(f->r, g1, 1, 300, 0, 0, PIM_OK).n == 200 - head(f->r, g1).floor_seq);
    fill(f, g2, 71, 80);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_OK);
    assert_int_equal(history(f->r, g2, 1, 100, 0, 0, PIM_OK).n, 80 - head(f->r, g2).floor_seq);
}

static void
wipe_only_in_tests(void **state)
{
    struct fixture *f = *state;

    fill(f, g1, 1, 5);
    ops->conn_close(&f->w);
    assert_int_equal(ops->wipe(f->store, &call, &err), PIM_OK);
    assert_int_equal(head(f->r, g1).result, PIM_NOT_FOUND);
    close_it(f);
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(head(f->r, g1).result, PIM_NOT_FOUND);
    fill(f, g1, 1, 5);
}

/* --- records ------------------------------------------------------------------------------------------------------- */

struct rows { int64_t ints[64]; char texts[64][32]; uint32_t items[64], n, n_vals; uint32_t types[8]; };

static int32_t
on_row(void *ctx, uint32_t it, const struct pim_val *vals, uint32_t n_vals)
{
    struct rows *r = ctx;

    r->items[r->n] = it;
    r->n_vals = n_vals;
    for (uint32_t i = 0; i < n_vals && i < 8; i++) {
        r->types[i] = vals[i].type;
        if (vals[i].type == PIM_INT)
            r->ints[r->n] = vals[i].u.i;
        else if (vals[i].type == PIM_TEXT)
            snprintf(r->texts[r->n], 32, "%.*s", (int)vals[i].len, vals[i].u.p);
    }
    r->n++;
    return 0;
}

static int
apply(struct pim_conn *conn, struct pim_write *writes, uint32_t n, uint32_t *out_failed, struct rows *rows)
{
    struct pim_apply a = {.struct_size = sizeof a, .write_size = sizeof *writes, .n_writes = n, .writes = writes};
    int rc;

    for (uint32_t i = 0; i < n; i++)
        writes[i].struct_size = sizeof *writes;
    rc = ops->apply(conn, &call, &a, rows != NULL ? on_row : NULL, rows, &err);
    if (out_failed != NULL)
        *out_failed = a.failed;
    return rc;
}

static int
add_user(struct fixture *f, int64_t id, const char *email, const char *name, int64_t age)
{
    struct pim_cell cells[] = {{.col = U_ID, .val = I(id)}, {.col = U_EMAIL, .val = T(email)}, {.col = U_NAME, .val = T(name)},
                               {.col = U_AGE, .val = I(age)}};
    struct pim_write w = {.kind = K_USER, .verb = PIM_W_INSERT, .n_cells = 4, .cells = cells};

    return apply(f->w, &w, 1, NULL, NULL);
}

static int
get(struct pim_conn *conn, uint32_t kind, uint32_t index, struct pim_val *key, uint32_t n_key, uint64_t cols, struct rows *rows)
{
    struct pim_get g = {.struct_size = sizeof g, .kind = kind, .index = index, .keys = key, .n_keys = 1, .vals_per_key = n_key, .cols = cols};

    memset(rows, 0, sizeof *rows);
    return ops->get(conn, &call, &g, on_row, rows, &err);
}

static void
records_basic(void **state)
{
    struct fixture *f = *state;
    struct rows rows;
    struct pim_val keys[3] = {I(2), I(9), I(1)}, email = T("b@x"), upper = T("B@x");
    struct pim_get many = {.struct_size = sizeof many, .kind = K_USER, .keys = keys, .n_keys = 3, .vals_per_key = 1, .cols = 1};

    assert_int_equal(add_user(f, 1, "a@x", "ann", 30), PIM_OK);
    assert_int_equal(add_user(f, 2, "b@x", "\xe5\xb0\x8f\xe6\x98\x8e\xf0\x9f\x98\x80", 20), PIM_OK);
    assert_int_equal(add_user(f, 1, "c@x", "", 1), PIM_EXISTS);
    assert_int_equal(add_user(f, 3, "a@x", "", 1), PIM_EXISTS);
    /* too long, NUL inside, not UTF-8, NULL where none may be */
    assert_int_equal(add_user(f, 4, "d@x", "sixsix", 1), PIM_ERR_INVALID);
    assert_int_equal(add_user(f, 4, "d@x", "\xff", 1), PIM_ERR_INVALID);
    {
        struct pim_cell nul[] = {{.col = U_ID, .val = I(4)}, {.col = U_NAME, .val = {.type = PIM_TEXT, .len = 3, .u.p = "a\0b"}}};
        struct pim_write w = {.kind = K_USER, .verb = PIM_W_INSERT, .n_cells = 2, .cells = nul};

        assert_int_equal(apply(f->w, &w, 1, NULL, NULL), PIM_ERR_INVALID);
        nul[1].val = (struct pim_val){.type = PIM_NULL};
        assert_int_equal(apply(f->w, &w, 1, NULL, NULL), PIM_ERR_INVALID);
        w.n_cells = 1; /* the rest are defaults */
        assert_int_equal(apply(f->w, &w, 1, NULL, NULL), PIM_OK);
    }
    assert_int_equal(get(f->r, K_USER, 0, keys, 1, 1 << U_NAME | 1 << U_AGE, &rows), PIM_OK);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.n_vals, 2);
    assert_string_equal(rows.texts[0], "\xe5\xb0\x8f\xe6\x98\x8e\xf0\x9f\x98\x80");
    assert_int_equal(rows.ints[0], 20);
    assert_int_equal(get(f->r, K_USER, 1, &email, 1, 1, &rows), PIM_OK);
    assert_int_equal(rows.ints[0], 2);
    assert_int_equal(get(f->r, K_USER, 1, &upper, 1, 1, &rows), PIM_NOT_FOUND); /* bytewise */
    assert_int_equal(get(f->r, K_USER, 2, &email, 1, 1, &rows), PIM_ERR_INVALID);
    keys[2] = I(4);
    assert_int_equal(get(f->r, K_USER, 0, &keys[2], 1, 1 << U_AGE | 1 << U_NOTE, &rows), PIM_OK);
    assert_int_equal(rows.ints[0], 7);
    assert_int_equal(rows.types[1], PIM_NULL);
    memset(&rows, 0, sizeof rows);
    assert_int_equal(ops->get(f->r, &call, &many, on_row, &rows, &err), PIM_OK);
    assert_int_equal(rows.n, 2);
    assert_int_equal(rows.items[0], 0);
    assert_int_equal(rows.items[1], 2);
}

static void
lists_page(void **state)
{
    struct fixture *f = *state;
    char email[20], name[16];
    struct pim_val prefix = I(1), after[3];
    struct pim_cond cond = {.col = U_NAME, .op = PIM_GE, .val = T("n05")};
    struct pim_query q = {.struct_size = sizeof q, .kind = K_USER, .index = 2, .prefix = &prefix, .n_prefix = 1, .limit = 4, .cols = 1};
    struct rows rows = {0};
    int rc, pages = 0;

    for (int64_t id = 1; id <= 30; id++) {
        snprintf(email, sizeof email, "%02d@x", (int)id);
        snprintf(name, sizeof name, "n%02d", (int)(30 - id) / 4); /* ages 0..2, names repeat */
        assert_int_equal(add_user(f, id, email, name, id % 3), PIM_OK);
    }
    do {
        rc = ops->list(f->r, &call, &q, on_row, &rows, &err);
        assert_true(rc >= 0 && ++pages < 10);
        snprintf(name, sizeof name, "n%02d", (int)(30 - rows.ints[rows.n - 1]) / 4);
        after[0] = T(name);
        after[1] = I(rows.ints[rows.n - 1]);
        q.after = after;
        q.n_after = 2;
    } while (rc == PIM_MORE);
    assert_int_equal(rc, PIM_OK);
    assert_int_equal(rows.n, 10);
    for (uint32_t i = 0; i < rows.n; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(rows.ints[i], rows.ints[k]);
    for (uint32_t i = 0; i < rows.n; i++)
        assert_int_equal(rows.ints[i] % 3, 1);
    q.n_after = 0;
    q.limit = 0;
    q.conds = &cond;
    q.n_conds = 1;
    q.flags = PIM_Q_DESC;
    memset(&rows, 0, sizeof rows);
    assert_int_equal(ops->list(f->r, &call, &q, on_row, &rows, &err), PIM_OK);
    assert_int_equal(rows.ints[0], 1);
    q.flags = PIM_Q_COUNT;
    pages = (int)rows.n;
    memset(&rows, 0, sizeof rows);
    assert_int_equal(ops->list(f->r, &call, &q, on_row, &rows, &err), PIM_OK);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.ints[0], pages);
}

static void
lists_join(void **state)
{
    struct fixture *f = *state;
    struct pim_val prefix = I(1);
    struct pim_cond old = {.col = U_AGE, .op = PIM_GT, .val = I(25)};
    struct pim_join join = {.struct_size = sizeof join, .kind = K_USER, .via_col = 2, .cols = 1 << U_NAME, .n_conds = 1, .conds = &old};
    struct pim_query q = {.struct_size = sizeof q, .kind = K_POS, .prefix = &prefix, .n_prefix = 1, .cols = 4, .join = &join};
    struct rows rows = {0};

    assert_int_equal(add_user(f, 1, "a@x", "ann", 30), PIM_OK);
    assert_int_equal(add_user(f, 2, "b@x", "bob", 20), PIM_OK);
    for (int64_t id = 1; id <= 3; id++) {
        char device[4] = {(char)('a' + id), 0};
        struct pim_cell cells[] = {{.col = 0, .val = I(1)}, {.col = 1, .val = T(device)}, {.col = 2, .val = I(id)}};
        struct pim_write w = {.kind = K_POS, .verb = PIM_W_INSERT, .n_cells = 3, .cells = cells};

        assert_int_equal(apply(f->w, &w, 1, NULL, NULL), PIM_OK);
    }
    assert_int_equal(ops->list(f->r, &call, &q, on_row, &rows, &err), PIM_OK);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.n_vals, 2);
    assert_string_equal(rows.texts[0], "ann");
}

static void
apply_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct rows rows;
    struct pim_val one = I(1), nine = I(9);
    struct pim_cell age = {.col = U_AGE, .verb = PIM_SET, .val = I(50)};
    struct pim_cond young = {.col = U_AGE, .op = PIM_LT, .val = I(40)};
    struct pim_write w[2] = {{.kind = K_USER, .verb = PIM_W_UPDATE, .n_key = 1, .key = &one, .n_cells = 1, .cells = &age},
                             {.kind = K_USER, .verb = PIM_W_GUARD, .n_key = 1, .key = &nine, .flags = PIM_W_MUST_EXIST}};
    uint32_t failed;

    assert_int_equal(add_user(f, 1, "a@x", "ann", 30), PIM_OK);
    assert_int_equal(apply(f->w, w, 2, &failed, NULL), PIM_NOT_FOUND);
    assert_int_equal(failed, 1);
    assert_int_equal(w[1].result, PIM_NOT_FOUND);
    get(f->r, K_USER, 0, &one, 1, 1 << U_AGE, &rows);
    assert_int_equal(rows.ints[0], 30);
    w[1].flags = PIM_W_MUST_NOT_EXIST;
    assert_int_equal(apply(f->w, w, 2, &failed, NULL), PIM_OK);
    assert_int_equal(w[0].matched, 1);
    assert_int_equal(apply(f->w, w, 1, &failed, NULL), PIM_OK); /* unchanged is matched */
    assert_int_equal(w[0].matched, 1);
    w[1].key = &one;
    assert_int_equal(apply(f->w, &w[1], 1, &failed, NULL), PIM_EXISTS);
    w[0].n_conds = 1;
    w[0].conds = &young;
    assert_int_equal(apply(f->w, w, 1, &failed, NULL), PIM_REFUSED);
    assert_int_equal(w[0].result, PIM_REFUSED);
    w[0].key = &nine; /* no row: the condition does not count */
    assert_int_equal(apply(f->w, w, 1, &failed, NULL), PIM_OK);
    assert_int_equal(w[0].matched, 0);
    w[0] = (struct pim_write){.kind = K_USER, .verb = PIM_W_DELETE, .n_key = 1, .key = &one, .returning = 1 << U_AGE};
    memset(&rows, 0, sizeof rows);
    assert_int_equal(apply(f->w, w, 1, &failed, &rows), PIM_OK);
    assert_int_equal(rows.ints[0], 50);
    assert_int_equal(get(f->r, K_USER, 0, &one, 1, 1, &rows), PIM_NOT_FOUND);
}

static void
upsert_revives(void **state)
{
    struct fixture *f = *state;
    struct rows rows = {0};
    struct pim_val key[2] = {I(1), T("d")}, email = T("a@x");
    struct pim_cell pos[] = {{.col = 0, .val = I(1)}, {.col = 1, .val = T("d")}, {.col = 2, .verb = PIM_MAX, .val = I(10)}};
    struct pim_write w = {.kind = K_POS, .verb = PIM_W_UPSERT, .n_key = 2, .key = key, .n_cells = 3, .cells = pos, .on_dup = 4};
    struct pim_cell user[] = {{.col = U_ID, .val = I(77)}, {.col = U_EMAIL, .val = email}, {.col = U_AGE, .verb = PIM_ADD, .val = I(2)}};
    struct pim_write by_email = {.kind = K_USER, .index = 1, .verb = PIM_W_UPSERT, .n_key = 1, .key = &email, .n_cells = 3,
                                 .cells = user, .on_dup = 1 << U_AGE, .returning = 1 << U_ID | 1 << U_EMAIL};

    static const int64_t asked[] = {10, 4, 12}, want[] = {10, 10, 12};
    for (int i = 0; i < 3; i++) { /* positions only rise */
        pos[2].val = I(asked[i]);
        assert_int_equal(apply(f->w, &w, 1, NULL, NULL), PIM_OK);
        get(f->r, K_POS, 0, key, 2, 4, &rows);
        assert_int_equal(rows.ints[0], want[i]);
    }
    assert_int_equal(add_user(f, 5, "a@x", "ann", 30), PIM_OK);
    memset(&rows, 0, sizeof rows);
    assert_int_equal(apply(f->w, &by_email, 1, NULL, &rows), PIM_OK);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.ints[0], 5); /* the id that exists */
    assert_int_equal(by_email.matched, 1);
    get(f->r, K_USER, 1, &email, 1, 1 << U_AGE, &rows);
    assert_int_equal(rows.ints[0], 32);
    by_email.on_dup = 0;
    memset(&rows, 0, sizeof rows);
    assert_int_equal(apply(f->w, &by_email, 1, NULL, &rows), PIM_OK);
    assert_int_equal(rows.ints[0], 5);
}

static void
groups_commit_together(void **state)
{
    struct fixture *f = *state;
    struct rows rows;
    struct pim_val keys[2] = {I(1), I(2)};

    assert_int_equal(ops->group_begin(f->w, &call, &err), PIM_OK);
    assert_int_equal(add_user(f, 1, "a@x", "a", 1), PIM_OK);
    assert_int_equal(add_user(f, 1, "b@x", "b", 1), PIM_EXISTS); /* keeps its own result */
    assert_int_equal(add_user(f, 2, "b@x", "b", 1), PIM_OK);
    fill(f, g1, 1, 3);
    assert_int_equal(get(f->r, K_USER, 0, keys, 1, 1, &rows), PIM_NOT_FOUND);
    assert_int_equal(head(f->r, g1).head_seq, 0);
    assert_int_equal(head(f->w, g1).head_seq, 3);
    assert_int_equal(ops->group_end(f->w, &call, &err), PIM_OK);
    assert_int_equal(get(f->r, K_USER, 0, keys, 1, 1, &rows), PIM_OK);
    assert_int_equal(get(f->r, K_USER, 0, &keys[1], 1, 1, &rows), PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 3);
    /* a connection that is closed within a group has done nothing */
    assert_int_equal(ops->group_begin(f->w, &call, &err), PIM_OK);
    assert_int_equal(add_user(f, 3, "c@x", "c", 1), PIM_OK);
    fill(f, g1, 4, 4);
    close_it(f);
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 3);
    fill(f, g1, 4, 4);
}

static int64_t clock_ms;
static int64_t
now_ms(const struct pim_host *h)
{
    (void)h;
    return clock_ms;
}

static void
deadline_and_cancel(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 1);
    struct pim_append a = {.struct_size = sizeof a, .item_size = sizeof it, .n_items = 1, .items = &it};
    struct pim_call late = {.struct_size = sizeof late, .deadline_ms = 10}, cancelled = {.struct_size = sizeof cancelled};
    uint32_t flag = 1;

    host.now_ms = now_ms;
    clock_ms = 11;
    assert_int_equal(ops->append(f->w, &late, &a, &err), PIM_ERR_TIMEOUT);
    clock_ms = 9;
    cancelled.cancelled = &flag;
    assert_int_equal(ops->append(f->w, &cancelled, &a, &err), PIM_ERR_CANCELLED);
    assert_int_equal(head(f->r, g1).head_seq, 0);
    ops->cancel(f->w); /* nothing runs: nothing happens */
    assert_int_equal(ops->append(f->w, &late, &a, &err), PIM_OK);
    assert_int_equal(it.result, PIM_OK);
    host.now_ms = NULL;
}

static int n_lines;
static void
on_line(void *ctx, const char *text, uint32_t len)
{
    n_lines += strncmp(text, ctx, strlen(ctx)) == 0 && len > 10;
}

static void
schemas_grow(void **state)
{
    struct fixture *f = *state;
    struct rows rows;
    struct pim_val one = I(1);
    struct pim_kv opts[] = {{"path", path}};
    struct pim_store_info info = {.struct_size = sizeof info};
    struct pim_store *store;
    char numbers[2][20];

    assert_int_equal(add_user(f, 1, "a@x", "ann", 30), PIM_OK);
    close_it(f);
    kinds[0].n_cols = 6;
    schema.version = 2;
    assert_int_equal(ops->open(&host, &schema, opts, 1, 0, &store, &info, &err), PIM_OK);
    assert_int_equal(ops->migrate(store, &call, PIM_MIGRATE_CHECK, NULL, NULL, &err), PIM_ERR_SCHEMA);
    n_lines = 0;
    assert_int_equal(ops->migrate(store, &call, PIM_MIGRATE_PLAN, on_line, (void *)(uintptr_t)"ALTER TABLE", &err), PIM_OK);
    assert_int_equal(n_lines, 1);
    assert_int_equal(ops->migrate(store, &call, PIM_MIGRATE_CHECK, NULL, NULL, &err), PIM_ERR_SCHEMA);
    assert_int_equal(ops->wipe(store, &call, &err), PIM_ERR_DENIED);
    ops->close(&store);
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(get(f->r, K_USER, 0, &one, 1, 1 << 5, &rows), PIM_OK);
    assert_int_equal(rows.ints[0], 1900);
    close_it(f);
    /* an older server may work on it until the data say no */
    kinds[0].n_cols = 5;
    schema.version = 1;
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(add_user(f, 2, "b@x", "bob", 30), PIM_OK);
    close_it(f);
    schema.version = schema.min_reader = 12;
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    close_it(f);
    schema.version = 11;
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_ERR_SCHEMA);
    snprintf(numbers[0], sizeof numbers[0], "version 12");
    snprintf(numbers[1], sizeof numbers[1], "version 11");
    assert_non_null(strstr(err.msg, numbers[0]));
    assert_non_null(strstr(err.msg, numbers[1]));
}

static void
files_are_private(void **state)
{
    struct fixture *f = *state;
    static const char *const ends[] = {"", "-wal", ".lock"};
    struct stat st;
    char name[160];

    fill(f, g1, 1, 1);
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(append_is_dense), CASE(a_prefix_stays), CASE(items_may_be_larger_than_ours), CASE(history_pages), CASE(history_by_day),
        CASE(tails_keep_their_limits), CASE(convs_lists_all), CASE(trim_keeps_the_newest), CASE(redact_empties_a_body),
        CASE(unclean_end), CASE(few_heads_in_memory), CASE(a_second_writer_is_refused), CASE(a_full_disk_is_void),
        CASE(a_wrong_pointer_is_noticed), CASE(a_foreign_writer_is_fatal), CASE(a_backup_restored_raises_the_epoch),
        CASE(old_rows_go_by_age), CASE(wipe_only_in_tests), CASE(records_basic), CASE(lists_page), CASE(lists_join),
        CASE(apply_is_all_or_nothing), CASE(upsert_revives), CASE(groups_commit_together), CASE(deadline_and_cancel),
        CASE(schemas_grow), CASE(files_are_private),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
