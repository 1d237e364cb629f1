/* storage-sqlite: records, groups of them, schemas. */
#include "sqlite_fixture.h"

struct rows {
    int64_t ints[64];
    char texts[64][32];
    uint32_t items[64], n, n_vals;
    uint32_t types[8];
};

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
    struct pim_cell cells[] = {{.col = U_ID, .val = I(id)},
                               {.col = U_EMAIL, .val = T(email)},
                               {.col = U_NAME, .val = T(name)},
                               {.col = U_AGE, .val = I(age)}};
    struct pim_write w = {.kind = K_USER, .verb = PIM_W_INSERT, .n_cells = 4, .cells = cells};

    return apply(f->w, &w, 1, NULL, NULL);
}

static int
get(struct pim_conn *conn, uint32_t kind, uint32_t index, struct pim_val *key, uint32_t n_key, uint64_t cols,
    struct rows *rows)
{
    struct pim_get g = {.struct_size = sizeof g,
                        .kind = kind,
                        .index = index,
                        .keys = key,
                        .n_keys = 1,
                        .vals_per_key = n_key,
                        .cols = cols};

    memset(rows, 0, sizeof *rows);
    return ops->get(conn, &call, &g, on_row, rows, &err);
}

static void
records_basic(void **state)
{
    struct fixture *f = *state;
    struct rows rows;
    struct pim_val keys[3] = {I(2), I(9), I(1)}, email = T("b@x"), upper = T("B@x");
    struct pim_get many = {
        .struct_size = sizeof many, .kind = K_USER, .keys = keys, .n_keys = 3, .vals_per_key = 1, .cols = 1};

    assert_int_equal(add_user(f, 1, "a@x", "ann", 30), PIM_OK);
    assert_int_equal(add_user(f, 2, "b@x", "\xe5\xb0\x8f\xe6\x98\x8e\xf0\x9f\x98\x80", 20), PIM_OK);
    assert_int_equal(add_user(f, 1, "c@x", "", 1), PIM_EXISTS);
    assert_int_equal(add_user(f, 3, "a@x", "", 1), PIM_EXISTS);
    /* too long, NUL inside, not UTF-8, NULL where none may be */
    assert_int_equal(add_user(f, 4, "d@x", "sixsix", 1), PIM_ERR_INVALID);
    assert_int_equal(add_user(f, 4, "d@x", "\xff", 1), PIM_ERR_INVALID);
    {
        struct pim_cell nul[] = {{.col = U_ID, .val = I(4)},
                                 {.col = U_NAME, .val = {.type = PIM_TEXT, .len = 3, .u.p = "a\0b"}}};
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
    struct pim_query q = {
        .struct_size = sizeof q, .kind = K_USER, .index = 2, .prefix = &prefix, .n_prefix = 1, .limit = 4, .cols = 1};
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
    struct pim_join join = {
        .struct_size = sizeof join, .kind = K_USER, .via_col = 2, .cols = 1 << U_NAME, .n_conds = 1, .conds = &old};
    struct pim_query q = {
        .struct_size = sizeof q, .kind = K_POS, .prefix = &prefix, .n_prefix = 1, .cols = 4, .join = &join};
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
    struct pim_write w[2] = {
        {.kind = K_USER, .verb = PIM_W_UPDATE, .n_key = 1, .key = &one, .n_cells = 1, .cells = &age},
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
    assert_int_equal(w[0].matched, 1);
    assert_int_equal(get(f->r, K_USER, 0, &one, 1, 1, &rows), PIM_NOT_FOUND);
}

static void
upsert_revives(void **state)
{
    struct fixture *f = *state;
    struct rows rows = {0};
    struct pim_val key[2] = {I(1), T("d")}, email = T("a@x");
    struct pim_cell pos[] = {
        {.col = 0, .val = I(1)}, {.col = 1, .val = T("d")}, {.col = 2, .verb = PIM_MAX, .val = I(10)}};
    struct pim_write w = {
        .kind = K_POS, .verb = PIM_W_UPSERT, .n_key = 2, .key = key, .n_cells = 3, .cells = pos, .on_dup = 4};
    struct pim_cell user[] = {
        {.col = U_ID, .val = I(77)}, {.col = U_EMAIL, .val = email}, {.col = U_AGE, .verb = PIM_ADD, .val = I(2)}};
    struct pim_write by_email = {.kind = K_USER,
                                 .index = 1,
                                 .verb = PIM_W_UPSERT,
                                 .n_key = 1,
                                 .key = &email,
                                 .n_cells = 3,
                                 .cells = user,
                                 .on_dup = 1 << U_AGE,
                                 .returning = 1 << U_ID | 1 << U_EMAIL};

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
    struct pim_call late = {.struct_size = sizeof late, .deadline_ms = 10},
                    cancelled = {.struct_size = sizeof cancelled};
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

static uint32_t stop_flag;

static int32_t
on_first(void *ctx, uint32_t it, const struct pim_val *vals, uint32_t n_vals)
{
    (void)it;
    (void)vals;
    (void)n_vals;
    ++*(int *)ctx;
    stop_flag = 1;
    return 0;
}

static void
cancelled_between_rows(void **state)
{
    struct fixture *f = *state;
    struct pim_call cancelled = {.struct_size = sizeof cancelled, .cancelled = &stop_flag};
    struct pim_query q = {.struct_size = sizeof q, .kind = K_USER, .cols = 1};
    char email[20];
    int n = 0;

    assert_int_equal(ops->group_begin(f->w, &call, &err), PIM_OK);
    for (int64_t id = 1; id <= 3000; id++) {
        snprintf(email, sizeof email, "%d@x", (int)id);
        assert_int_equal(add_user(f, id, email, "x", 1), PIM_OK);
    }
    assert_int_equal(ops->group_end(f->w, &call, &err), PIM_OK);
    stop_flag = 0;
    assert_int_equal(ops->list(f->r, &cancelled, &q, on_first, &n, &err), PIM_ERR_CANCELLED);
    assert_true(n > 0 && n < 3000);
    stop_flag = n = 0;
    assert_int_equal(ops->list(f->r, &call, &q, on_first, &n, &err), PIM_OK); /* the next one is not */
    assert_int_equal(n, 3000);
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
    assert_int_equal(ops->migrate(store, &call, PIM_MIGRATE_PLAN, on_line, (void *)(uintptr_t) "ALTER TABLE", &err),
                     PIM_OK);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(records_basic),       CASE(lists_page),
        CASE(lists_join),          CASE(apply_is_all_or_nothing),
        CASE(upsert_revives),      CASE(groups_commit_together),
        CASE(deadline_and_cancel), CASE(cancelled_between_rows),
        CASE(schemas_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
