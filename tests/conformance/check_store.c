/* Checks of the store as such: schema versions, restore, deadline and cancel. */
#include "suite.h"

static void
a_kind_never_heard_of(void)
{
    struct side s;
    struct pim_cell cells[] = {SET(0, V_TEXT("w")), SET(1, V_INT(5))};
    struct pim_val key = V_TEXT("two"), five = V_INT(5);
    struct pim_write insert = WRITE(PIM_W_INSERT, K_NOVEL, 0, .cells = cells, .n_cells = 2);
    struct pim_query by_weight = {.kind = K_NOVEL, .index = 1, .prefix = &five, .n_prefix = 1, .cols = 7};
    struct text rows = {0};

    conf_open(&s, conf_schema(2)); /* its name is made of the seed */
    for (int i = 0; i < 4; i++) {
        cells[0].val = V_TEXT(((const char *const[]){"one", "two", "three", "four"})[i]);
        cells[1].val = V_INT(i % 2 ? 5 : 6);
        CHECK_RC(conf_apply(&s, &insert, 1, NULL, NULL), PIM_OK);
    }
    CHECK_RC(conf_apply(&s, &insert, 1, NULL, NULL), PIM_EXISTS);
    CHECK_INT(conf_number(&s, s.r, K_NOVEL, &key, 1, 1), 5);
    CHECK_RC(conf_list(&s, s.r, &by_weight, &rows), PIM_OK);
    CHECK(strcmp(rows.p, "0: tfour/4 5 null\n1: ttwo/3 5 null\n") == 0);
    conf_clear(&rows);
    conf_reopen(&s, conf_schema(2));
    CHECK_INT(conf_count(&s, s.r, K_NOVEL), 4);
    conf_close(&s);
}

static void
on_line(void *ctx, const char *text, uint32_t text_len)
{
    (void)text;
    *(uint32_t *)ctx += text_len > 0;
}

static void
schema_grows(void)
{
    struct side s;
    struct pim_val k1 = V_INT(1), k500 = V_INT(500), born = V_INT(1900);
    struct pim_query by_born = {
        .kind = K_PERSON, .index = P_BY_BORN, .prefix = &born, .n_prefix = 1, .flags = PIM_Q_COUNT};
    struct text rows = {0};
    uint32_t lines = 0;

    conf_open(&s, conf_schema(1));
    for (int i = 1; i <= 200; i++) {
        char mail[20];

        snprintf(mail, sizeof mail, "m%d@x", i);
        CHECK_RC(conf_person(&s, i, mail, "n", i), PIM_OK);
    }
    conf_close(&s);
    /* a server of the next version: the data are behind until it migrates */
    CHECK_RC(s.ops->open(s.host, conf_schema(2), s.opts, s.n_opts, PIM_OPEN_TEST, &s.store, &s.info, &conf_err),
             PIM_OK);
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_CHECK, on_line, &lines, &conf_err), PIM_ERR_SCHEMA);
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_PLAN, on_line, &lines, &conf_err), PIM_OK);
    CHECK(lines >= 3); /* a column, an index, a kind */
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_CHECK, NULL, NULL, &conf_err), PIM_ERR_SCHEMA);
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_APPLY, NULL, NULL, &conf_err), PIM_OK);
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_CHECK, NULL, NULL, &conf_err), PIM_OK);
    CHECK_RC(s.ops->migrate(s.store, &conf_call, PIM_MIGRATE_APPLY, NULL, NULL, &conf_err), PIM_OK); /* harmless */
    s.ops->close(&s.store);
    conf_reopen(&s, conf_schema(2));
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 200);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &k1, 1, P_BORN), 1900); /* the new column's default */
    CHECK_RC(conf_list(&s, s.r, &by_born, &rows), PIM_OK);
    CHECK(strcmp(rows.p, "0: 200\n") == 0);
    conf_clear(&rows);
    CHECK_INT(conf_count(&s, s.r, K_NOVEL), 0);
    /* the older server may still work on it, and knows nothing of what is new */
    conf_reopen(&s, conf_schema(1));
    CHECK_RC(conf_person(&s, 500, "old@x", "n", 1), PIM_OK);
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 201);
    conf_reopen(&s, conf_schema(2));
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &k500, 1, P_BORN), 1900);
    conf_close(&s);
}

static void
schema_too_new(void)
{
    struct side s;
    struct pim_schema newer = *conf_schema(2);
    int rc;

    newer.version = newer.min_reader = 37;
    conf_open(&s, &newer);
    conf_close(&s);
    rc = conf_try_open(&s, conf_schema(1), false);
    if (rc != PIM_ERR_SCHEMA) {
        conf_close(&s);
        conf_fail("data of schema version 37 were opened by version 1: %s", conf_rc_name(rc));
    }
    if (strstr(conf_err.msg, "37") == NULL || strstr(conf_err.msg, " 1") == NULL)
        conf_fail("the refusal does not name both versions: %s", conf_err.msg);
    CHECK_RC(conf_try_open(&s, &newer, true), PIM_OK); /* and nothing has happened to them */
    conf_close(&s);
    if (!suite.has_fresh) { /* the next check finds the one place there is as new */
        CHECK_RC(s.ops->open(s.host, &newer, s.opts, s.n_opts, PIM_OPEN_TEST, &s.store, &s.info, &conf_err), PIM_OK);
        CHECK_RC(s.ops->wipe(s.store, &conf_call, &conf_err), PIM_OK);
        s.ops->close(&s.store);
    }
}

static void
restore(void)
{
    struct side s, old, back;
    char path[600], spare[600];
    int64_t epoch;

    conf_open(&s, conf_schema(1));
    if ((s.info.caps & PIM_CAP_BACKUP) == 0 || !suite.has_fresh) {
        conf_close(&s);
        conf_skip("the plugin makes no backups, or no option has %d");
    }
    conf_fill(&s, CONV_G(1), 1, 100);
    epoch = s.info.epoch;
    conf_reopen(&s, conf_schema(1));
    CHECK_INT(s.info.epoch, epoch); /* an ordinary start is no restore */
    conf_prepare_second(&back, path, sizeof path);
    CHECK_RC(s.ops->backup(s.r, &conf_call, path, &conf_err), PIM_OK);
    conf_fill(&s, CONV_G(1), 101, 120); /* lost by the restore */
    conf_close(&s);
    CHECK_RC(conf_try_open(&back, conf_schema(1), true), PIM_OK);
    if (back.info.epoch <= epoch)
        conf_fail("the epoch after a restore is %lld, before it was %lld", (long long)back.info.epoch,
                  (long long)epoch);
    CHECK(back.info.epoch > 1600000000000); /* at least the time in ms: two restores of one backup are told apart */
    CHECK(memcmp(back.info.store_id, s.info.store_id, sizeof s.info.store_id) == 0);
    conf_dense(&back, back.r, CONV_G(1), 100);
    conf_fill(&back, CONV_G(1), 101, 105);
    conf_dense(&back, back.r, CONV_G(1), 105);
    epoch = back.info.epoch;
    conf_reopen(&back, conf_schema(1));
    CHECK_INT(back.info.epoch, epoch); /* once */
    /* a backup of the backup, restored, rises again */
    conf_prepare_second(&old, spare, sizeof spare);
    CHECK_RC(back.ops->backup(back.r, &conf_call, spare, &conf_err), PIM_OK);
    conf_close(&back);
    CHECK_RC(conf_try_open(&old, conf_schema(1), true), PIM_OK);
    CHECK(old.info.epoch > epoch);
    conf_close(&old);
}

/* --- deadline and cancel
 * -------------------------------------------------------------------------------------------------- */

struct canceller {
    struct side *s;
    uint32_t n, at, flag;
    bool by_op;
};

static void
cancel_now(struct canceller *c)
{
    if (++c->n != c->at)
        return;
    if (c->by_op)
        c->s->ops->cancel(c->s->r);
    else
        __atomic_store_n(&c->flag, 1, __ATOMIC_RELAXED);
}

static int32_t
on_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)vals;
    (void)n_vals;
    cancel_now(ctx);
    return 0;
}

static int32_t
on_msg(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    (void)item;
    (void)msg;
    cancel_now(ctx);
    return 0;
}

static void
stop_writes(struct side *s, const struct pim_call *call, int want)
{
    char body[64];
    struct pim_append_item item = conf_item(CONV_G(1), 3001, body);
    struct pim_append append = {.struct_size = sizeof append, .item_size = sizeof item, .n_items = 1, .items = &item};
    uint64_t count;

    CHECK_RC(s->ops->append(s->w, call, &append, &conf_err), want);
    CHECK_RC(s->ops->trim(s->w, call, &append.items->conv, 5, &count, &conf_err), want);
    CHECK_RC(s->ops->redact(s->w, call, &append.items->conv, 5, &conf_err), want);
}

static void
stop_applies(struct side *s, const struct pim_call *call, int want)
{
    struct pim_cell cells[] = {SET(P_ID, V_INT(9999)), SET(P_EMAIL, V_TEXT("late@x"))};
    struct pim_write write = WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = cells, .n_cells = 2);
    struct pim_apply apply = {.struct_size = sizeof apply, .write_size = sizeof write, .n_writes = 1, .writes = &write};

    CHECK_RC(s->ops->apply(s->w, call, &apply, NULL, NULL, &conf_err), want);
}

static void
deadline_and_cancel(void)
{
    struct side s;
    struct pim_call late = {.struct_size = sizeof late}, stopped = {.struct_size = sizeof stopped}, open = stopped;
    struct pim_query all = {.struct_size = sizeof all, .kind = K_PERSON, .cols = 3};
    struct pim_history q = {.struct_size = sizeof q, .conv = CONV_G(1), .from_seq = 1, .to_seq = INT64_MAX};
    bool records = (suite.roles & PIM_ROLE_RECORDS) != 0, messages = (suite.roles & PIM_ROLE_MESSAGES) != 0;
    uint32_t one = 1;

    conf_open(&s, conf_schema(1));
    for (int i = 1; records && i <= 3000; i += 50) {
        struct pim_cell cells[50][2];
        struct pim_write writes[50];
        char mails[50][20];

        for (int k = 0; k < 50; k++) {
            snprintf(mails[k], sizeof mails[k], "m%d@x", i + k);
            cells[k][0] = SET(P_ID, V_INT(i + k));
            cells[k][1] = SET(P_EMAIL, V_TEXT(mails[k]));
            writes[k] = WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = cells[k], .n_cells = 2);
        }
        CHECK_RC(conf_apply(&s, writes, 50, NULL, NULL), PIM_OK);
    }
    if (messages)
        conf_fill(&s, CONV_G(1), 1, 3000);
    late.deadline_ms = s.host->now_ms(s.host) - 10;
    stopped.cancelled = &one;
    open.deadline_ms = s.host->now_ms(s.host) + 3600000;
    if (messages) { /* past the deadline nothing is begun: void */
        stop_writes(&s, &late, PIM_ERR_TIMEOUT);
        stop_writes(&s, &stopped, PIM_ERR_CANCELLED);
        CHECK_RC(s.ops->history(s.r, &late, &q, on_msg, &(struct canceller){.at = 0}, &conf_err), PIM_ERR_TIMEOUT);
        conf_dense(&s, s.r, CONV_G(1), 3000);
    }
    if (records) {
        stop_applies(&s, &late, PIM_ERR_TIMEOUT);
        stop_applies(&s, &stopped, PIM_ERR_CANCELLED);
        CHECK_RC(s.ops->list(s.r, &late, &all, on_row, &(struct canceller){.at = 0}, &conf_err), PIM_ERR_TIMEOUT);
        CHECK_INT(conf_count(&s, s.r, K_PERSON), 3000);
        CHECK_RC(s.ops->list(s.r, &open, &all, on_row, &(struct canceller){.at = 0}, &conf_err), PIM_OK);
    }
    if ((s.info.caps & PIM_CAP_CANCEL) != 0) /* between rows, from outside: by the flag, and by the op */
        for (int by_op = 0; by_op < 2; by_op++) {
            struct canceller c = {.s = &s, .at = 100, .by_op = by_op};

            open.cancelled = &c.flag;
            if (records) {
                CHECK_RC(s.ops->list(s.r, &open, &all, on_row, &c, &conf_err), PIM_ERR_CANCELLED);
                CHECK(c.n < 3000);
            }
            c.n = c.flag = 0;
            if (messages) {
                CHECK_RC(s.ops->history(s.r, &open, &q, on_msg, &c, &conf_err), PIM_ERR_CANCELLED);
                CHECK(c.n < 3000);
            }
        }
    /* the connections are as good as before */
    if (records)
        CHECK_INT(conf_count(&s, s.r, K_PERSON), 3000);
    if (messages)
        conf_fill(&s, CONV_G(1), 3001, 3010);
    conf_close(&s);
}

const struct check conf_store_checks[] = {
    {"an old plugin serves a kind it never heard of", PIM_ROLE_RECORDS, a_kind_never_heard_of},
    {"schema N to N+1 with data", PIM_ROLE_RECORDS, schema_grows},
    {"refusal of a schema too new", 0, schema_too_new},
    {"epoch rises on restore", PIM_ROLE_MESSAGES, restore},
    {"deadline and cancel", 0, deadline_and_cancel},
    {0},
};
