/* Checks of records: list, join. */
#include "suite.h"

/* Many people, some of one age, some of one age and name. */
static void
people(struct side *s, int n)
{
    for (int i = 1; i <= n; i++) {
        char mail[20], name[8];

        snprintf(mail, sizeof mail, "p%d@x", i);
        snprintf(name, sizeof name, "n%d", i % 4);
        CHECK_RC(conf_person(s, i * 37 % 101, mail, name, i % 6), PIM_OK);
    }
}

struct pager {
    struct text all;
    struct pim_val last[3]; /* age, name, id of the last row */
    char name[8];
};

static int32_t
on_page(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pager *p = ctx;

    conf_on_row(&p->all, 0, vals, n_vals); /* each page counts from 0 */
    if (n_vals != 3 || item >= p->all.rows)
        return 1;
    snprintf(p->name, sizeof p->name, "%.*s", (int)vals[1].len, vals[1].u.p);
    p->last[0] = vals[2];
    p->last[1] = V_TEXT(p->name);
    p->last[2] = vals[0];
    return 0;
}

/* All rows of an index, by pages, must be those that one call gives. prefix: 0 none, 1 age 2, 2 age 2 and name n2. */
static void
by_pages(struct side *s, uint32_t n_prefix, uint32_t flags, uint32_t limit)
{
    struct pim_val prefix[] = {V_INT(2), V_TEXT("n2")};
    struct pim_query query = {.struct_size = sizeof query,
                              .kind = K_PERSON,
                              .index = P_BY_AGE,
                              .prefix = prefix,
                              .n_prefix = n_prefix,
                              .flags = flags,
                              .cols = COL(P_ID) | COL(P_NAME) | COL(P_AGE)};
    struct pager whole = {0}, paged = {0};
    struct pim_val after[3]; /* what a call borrows stays as it is until it ends */
    char name[8];
    uint32_t pages = 0;
    int rc;

    CHECK_RC(s->ops->list(s->r, &conf_call, &query, on_page, &whole, &conf_err), PIM_OK);
    CHECK(whole.all.rows > 2);
    query.limit = limit;
    do {
        uint32_t before = paged.all.rows;

        rc = s->ops->list(s->r, &conf_call, &query, on_page, &paged, &conf_err);
        CHECK(rc == PIM_OK || rc == PIM_MORE);
        if (rc == PIM_MORE)
            CHECK_INT(paged.all.rows - before, limit);
        memcpy(after, paged.last, sizeof after);
        memcpy(name, paged.name, sizeof name);
        after[1] = V_TEXT(name);
        query.after = after + n_prefix;
        query.n_after = 3 - n_prefix;
        CHECK(++pages < 1000);
    } while (rc == PIM_MORE);
    conf_same(&paged.all, &whole.all, "a list read in pages");
    /* MORE exactly where rows are left */
    CHECK_INT(pages, (whole.all.rows + limit - 1) / limit);
    conf_clear(&whole.all);
    conf_clear(&paged.all);
}

static void
list_pages(void)
{
    static const uint32_t limits[] = {1, 3, 7, 60, 1000};
    struct side s;
    struct pim_cond conds[] = {COND(P_AGE, PIM_GE, V_INT(2)), COND(P_AGE, PIM_LT, V_INT(4)),
                               COND(P_NAME, PIM_NE, V_TEXT("n1"))};
    struct pim_query some = {.kind = K_PERSON, .index = P_BY_AGE, .conds = conds, .n_conds = 3, .cols = COL(P_ID)};
    struct text rows = {0};

    conf_open(&s, conf_schema(1));
    people(&s, 60);
    for (uint32_t n_prefix = 0; n_prefix < 3; n_prefix++)
        for (size_t i = 0; i < CONF_COUNT(limits); i++) {
            by_pages(&s, n_prefix, 0, limits[i]);
            by_pages(&s, n_prefix, PIM_Q_DESC, limits[i]);
        }
    CHECK_RC(conf_list(&s, s.r, &some, &rows), PIM_OK);
    CHECK_INT(rows.rows, 15); /* ages 2 and 3: 20 people, 5 of them n1 */
    conf_clear(&rows);
    rows.stop_at = 4; /* a callback that has enough ends it, and that is no failure */
    CHECK_RC(conf_list(&s, s.r, &some, &rows), PIM_OK);
    CHECK_INT(rows.rows, 4);
    conf_clear(&rows);
    some.flags = PIM_Q_COUNT;
    CHECK_RC(conf_list(&s, s.r, &some, &rows), PIM_OK);
    CHECK(rows.p != NULL && strcmp(rows.p, "0: 15\n") == 0);
    conf_clear(&rows);
    conf_close(&s);
}

/* NULL has its place: equal to itself, else in no order. */
static void
null_is_a_value(void)
{
    struct side s;
    struct pim_cond cond = COND(P_NOTE, PIM_EQ, V_NULL);
    struct pim_query query = {.kind = K_PERSON, .conds = &cond, .n_conds = 1, .cols = COL(P_ID)};
    const struct {
        uint16_t op;
        struct pim_val with;
        const char *want;
    } cases[] = {{PIM_EQ, V_NULL, "0: 1\n"},           {PIM_NE, V_NULL, "0: 2\n1: 3\n"},
                 {PIM_EQ, V_TEXT("x"), "0: 3\n"},      {PIM_NE, V_TEXT("x"), "0: 1\n1: 2\n"},
                 {PIM_GE, V_TEXT(""), "0: 2\n1: 3\n"}, {PIM_LT, V_TEXT("x"), "0: 2\n"}};

    conf_open(&s, conf_schema(1));
    for (int64_t i = 1; i <= 3; i++) {
        struct pim_val key = V_INT(i);
        struct pim_cell note = SET(P_NOTE, V_TEXT(i == 2 ? "" : "x"));
        struct pim_write update =
            WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &key, .n_key = 1, .cells = &note, .n_cells = 1);
        char mail[8];

        snprintf(mail, sizeof mail, "%d@x", (int)i);
        CHECK_RC(conf_person(&s, i, mail, "n", i), PIM_OK);
        if (i > 1)
            CHECK_RC(conf_apply(&s, &update, 1, NULL, NULL), PIM_OK);
    }
    for (size_t i = 0; i < CONF_COUNT(cases); i++) {
        struct text rows = {0};

        cond = COND(P_NOTE, cases[i].op, cases[i].with);
        CHECK_RC(conf_list(&s, s.r, &query, &rows), PIM_OK);
        if (rows.p == NULL || strcmp(rows.p, cases[i].want) != 0)
            conf_fail("condition %zu on a column with NULL gave:\n%s", i, rows.p ? rows.p : "nothing");
        conf_clear(&rows);
    }
    conf_close(&s);
}

/* --- join
 * ---------------------------------------------------------------------------------------------------------------- */

static int32_t
on_joined(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_val *to = ctx;

    (void)item;
    for (uint32_t i = 0; i < n_vals; i++)
        to[i] = vals[i];
    to[n_vals].type = 99; /* the end */
    return 0;
}

struct found {
    struct text *rows;
    uint32_t item;
    struct pim_val left[2];
    const struct pim_join *join;
};

static bool
holds(const struct pim_val *val, const struct pim_cond *cond)
{
    return cond->op == PIM_EQ   ? val->u.i == cond->val.u.i
           : cond->op == PIM_LT ? val->u.i < cond->val.u.i
                                : val->u.i >= cond->val.u.i;
}

static int32_t
on_right(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct found *f = ctx;
    struct pim_val all[4] = {f->left[0], f->left[1]};

    (void)item;
    if (n_vals != 2)
        return 1;
    /* id and age, as asked; the condition is on the age */
    if (f->join->n_conds == 1 && !holds(&vals[1], &f->join->conds[0]))
        return 0;
    all[2] = vals[0];
    all[3] = vals[1];
    conf_on_row(f->rows, f->item++, all, 4);
    return 0;
}

static void
join_once(struct side *s, uint32_t flags, const struct pim_cond *cond, uint32_t limit)
{
    struct pim_val owner = V_INT(1), lefts[64][3];
    struct pim_join join = {.struct_size = sizeof join,
                            .kind = K_PERSON,
                            .via_col = N_PERSON,
                            .conds = cond,
                            .n_conds = cond != NULL,
                            .cols = COL(P_ID) | COL(P_AGE)};
    struct pim_query query = {.struct_size = sizeof query,
                              .kind = K_LINK,
                              .prefix = &owner,
                              .n_prefix = 1,
                              .limit = limit,
                              .flags = flags,
                              .cols = COL(N_PERSON) | COL(N_FLAG),
                              .join = &join};
    struct text joined = {0}, rows = {0};
    struct found f = {.rows = &rows, .join = &join};
    int rc = conf_list(s, s->r, &query, &joined);

    CHECK(rc == PIM_OK || rc == PIM_MORE);
    /* the host's own way: list, then get what each row points at */
    query.join = NULL;
    query.limit = 1;
    for (uint32_t i = 0; i < 64; i++) {
        struct pim_val after = i > 0 ? lefts[i - 1][0] : V_NULL;

        query.after = &after;
        query.n_after = i > 0;
        lefts[i][0].type = 99;
        CHECK(s->ops->list(s->r, &conf_call, &query, on_joined, lefts[i], &conf_err) >= 0);
        if (lefts[i][0].type == 99)
            break;
        f.left[0] = lefts[i][0];
        f.left[1] = lefts[i][1];
        if (limit == 0 || f.item < limit) {
            struct pim_get get = {.struct_size = sizeof get,
                                  .kind = K_PERSON,
                                  .keys = &lefts[i][0],
                                  .n_keys = 1,
                                  .vals_per_key = 1,
                                  .cols = join.cols};

            CHECK(s->ops->get(s->r, &conf_call, &get, on_right, &f, &conf_err) >= 0);
        }
    }
    conf_same(&joined, &rows, "a join (against list and get)");
    conf_clear(&joined);
    conf_clear(&rows);
}

static void
join_equals_fall_back(void)
{
    struct side s;
    struct pim_cond young = COND(P_AGE, PIM_LT, V_INT(3)), two = COND(P_AGE, PIM_EQ, V_INT(2));

    conf_open(&s, conf_schema(1));
    if ((s.info.caps & PIM_CAP_JOIN) == 0) {
        conf_close(&s);
        conf_skip("the plugin has no join");
    }
    people(&s, 40);
    for (int64_t i = 1; i <= 50; i++) { /* ten of them point at nobody */
        struct pim_cell cells[] = {SET(N_OWNER, V_INT(i % 3)), SET(N_PERSON, V_INT(i * 37 % 101)),
                                   SET(N_FLAG, V_INT(i % 2))};
        struct pim_write write = WRITE(PIM_W_INSERT, K_LINK, 0, .cells = cells, .n_cells = 3);

        CHECK_RC(conf_apply(&s, &write, 1, NULL, NULL), PIM_OK);
    }
    for (uint32_t flags = 0; flags <= PIM_Q_DESC; flags++)
        for (uint32_t limit = 0; limit < 8; limit++) {
            join_once(&s, flags, NULL, limit);
            join_once(&s, flags, &young, limit);
            join_once(&s, flags, &two, limit);
        }
    conf_close(&s);
}

const struct check conf_list_checks[] = {
    {"list pages", PIM_ROLE_RECORDS, list_pages},
    {"NULL is a value of its own", PIM_ROLE_RECORDS, null_is_a_value},
    {"join equals fall-back", PIM_ROLE_RECORDS, join_equals_fall_back},
    {0},
};
