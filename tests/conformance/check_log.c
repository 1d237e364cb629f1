/* Checks of messages: append, trim, redact. */
#include "suite.h"

static void
append_is_dense(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1), u = {.kind = 'u', .a = 3, .b = 9},
                    far = {.kind = 's', .a = INT64_MAX, .b = INT64_MIN};
    struct pim_append_item items[9];
    char bodies[9][64];
    uint32_t n = 0;

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_head(&s, s.r, g).result, PIM_NOT_FOUND);
    conf_fill(&s, g, 1, 1);
    conf_fill(&s, g, 2, 200);
    conf_dense(&s, s.r, g, 200);
    /* several conversations in one call, each a run */
    for (int64_t i = 201; i <= 205; i++, n++)
        items[n] = conf_item(g, i, bodies[n]);
    items[n] = conf_item(far, 1, bodies[n]);
    n++;
    for (int64_t i = 1; i <= 3; i++, n++)
        items[n] = conf_item(u, i, bodies[n]);
    CHECK_RC(conf_append(&s, s.w, items, n), PIM_OK);
    for (uint32_t i = 0; i < n; i++)
        CHECK_RC(items[i].result, PIM_OK);
    conf_dense(&s, s.r, g, 205);
    conf_dense(&s, s.r, u, 3);
    conf_dense(&s, s.r, far, 1);
    CHECK_INT(conf_head(&s, s.r, u).head_msg_id, items[n - 1].msg_id);
    conf_reopen(&s, conf_schema(1));
    conf_dense(&s, s.r, g, 205);
    conf_dense(&s, s.r, u, 3);
    conf_fill(&s, g, 206, 210); /* and on it goes */
    conf_dense(&s, s.r, g, 210);
    conf_close(&s);
}

static void
a_taken_number(void)
{
    struct side s;
    struct pim_conv g1 = CONV_G(1), g2 = CONV_G(2), g3 = CONV_G(3);
    struct pim_append_item items[8];
    char bodies[8][64];

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g1, 1, 5);
    /* taken: with the head; and what stands there stays */
    for (int64_t seq = 1; seq <= 5; seq += 2) {
        items[0] = conf_item(g1, seq, bodies[0]);
        items[0].msg_id = 4711;
        CHECK_RC(conf_append(&s, s.w, items, 1), PIM_OK);
        CHECK_RC(items[0].result, PIM_EXISTS);
        CHECK_INT(items[0].head_seq, 5);
    }
    /* no predecessor */
    for (int64_t seq = 7; seq <= 9; seq += 2) {
        items[0] = conf_item(g1, seq, bodies[0]);
        CHECK_RC(conf_append(&s, s.w, items, 1), PIM_OK);
        CHECK_RC(items[0].result, PIM_NOT_FOUND);
        CHECK_INT(items[0].head_seq, 5);
    }
    items[0] = conf_item(g2, 2, bodies[0]);
    CHECK_RC(conf_append(&s, s.w, items, 1), PIM_OK);
    CHECK_RC(items[0].result, PIM_NOT_FOUND);
    CHECK_INT(items[0].head_seq, 0);
    conf_dense(&s, s.r, g1, 5);
    CHECK_RC(conf_head(&s, s.r, g2).result, PIM_NOT_FOUND);
    /* one conversation that has moved does not disturb those around it */
    items[0] = conf_item(g1, 5, bodies[0]);
    items[1] = conf_item(g1, 6, bodies[1]);
    items[2] = conf_item(g2, 1, bodies[2]);
    items[3] = conf_item(g2, 2, bodies[3]);
    items[4] = conf_item(g3, 4, bodies[4]);
    CHECK_RC(conf_append(&s, s.w, items, 5), PIM_OK);
    CHECK_RC(items[0].result, PIM_EXISTS);
    CHECK_RC(items[1].result, PIM_AGAIN);
    CHECK_RC(items[2].result, PIM_OK);
    CHECK_RC(items[3].result, PIM_OK);
    CHECK_RC(items[4].result, PIM_NOT_FOUND);
    conf_dense(&s, s.r, g1, 5);
    conf_dense(&s, s.r, g2, 2);
    /* of a run a prefix stays: never a later part without an earlier one */
    items[0] = conf_item(g2, 3, bodies[0]);
    items[1] = conf_item(g2, 4, bodies[1]);
    items[2] = conf_item(g2, 6, bodies[2]);
    items[3] = conf_item(g2, 7, bodies[3]);
    CHECK_RC(conf_append(&s, s.w, items, 4), PIM_OK);
    CHECK_RC(items[0].result, PIM_OK);
    CHECK_RC(items[1].result, PIM_OK);
    CHECK_RC(items[2].result, PIM_NOT_FOUND);
    CHECK_RC(items[3].result, PIM_AGAIN);
    conf_dense(&s, s.r, g2, 4);
    conf_close(&s);
}

static void
the_same_run_again(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1);
    struct pim_append_item items[6];
    char bodies[6][64];

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g, 1, 3);
    for (int round = 0; round < 3; round++) { /* nobody heard the first answer: the same numbers again */
        for (int64_t i = 0; i < 4; i++)
            items[i] = conf_item(g, 4 + i, bodies[i]);
        CHECK_RC(conf_append(&s, s.w, items, 4), PIM_OK);
        for (int i = 0; i < 4; i++)
            CHECK_RC(items[i].result, round == 0 ? PIM_OK : i == 0 ? PIM_EXISTS : PIM_AGAIN);
        if (round > 0)
            CHECK_INT(items[0].head_seq, 7);
        conf_dense(&s, s.r, g, 7);
    }
    /* a late run that overlaps: nothing of it may be stored after what is there */
    for (int64_t i = 0; i < 6; i++)
        items[i] = conf_item(g, 6 + i, bodies[i]);
    CHECK_RC(conf_append(&s, s.w, items, 6), PIM_OK);
    CHECK_RC(items[0].result, PIM_EXISTS);
    conf_dense(&s, s.r, g, 7);
    conf_close(&s);
}

static void
one_bad_item(void)
{
    struct side s;
    struct pim_conv g1 = CONV_G(1), g2 = CONV_G(2), turned = {.kind = 'u', .a = 9, .b = 3};
    struct pim_append_item items[8];
    char bodies[8][64], *big;
    uint64_t max;

    conf_open(&s, conf_schema(1));
    max = s.info.value_bytes_max;
    /* a pair of users has one name: the smaller id first */
    items[0] = conf_item(g1, 1, bodies[0]);
    items[1] = conf_item(g1, 2, bodies[1]);
    items[2] = conf_item(g2, 1, bodies[2]);
    items[3] = conf_item(turned, 1, bodies[3]);
    CHECK_RC(conf_append(&s, s.w, items, 4), PIM_OK);
    CHECK_RC(items[0].result, PIM_OK);
    CHECK_RC(items[1].result, PIM_OK);
    CHECK_RC(items[2].result, PIM_OK);
    CHECK_RC(items[3].result, PIM_ERR_INVALID);
    CHECK_RC(conf_head(&s, s.r, turned).result, PIM_NOT_FOUND);
    if (max < (64u << 20) && max + 1000 < s.info.append_bytes_max) {
        big = calloc(1, max + 1);
        CHECK(big != NULL);
        items[0] = conf_item(g1, 3, bodies[0]);
        items[1] = conf_item(g1, 4, bodies[1]);
        items[1].body = big;
        items[1].body_len = (uint32_t)max + 1;
        items[2] = conf_item(g1, 5, bodies[2]);
        items[3] = conf_item(g2, 2, bodies[3]);
        CHECK_RC(conf_append(&s, s.w, items, 4), PIM_OK);
        CHECK_RC(items[0].result, PIM_OK);
        CHECK_RC(items[1].result, PIM_ERR_TOO_LARGE);
        CHECK_RC(items[2].result, PIM_AGAIN);
        CHECK_RC(items[3].result, PIM_OK);
        conf_dense(&s, s.r, g1, 3);
        conf_dense(&s, s.r, g2, 2);
        free(big);
    }
    conf_close(&s);
}

static int32_t
on_big(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct pim_append_item *want = ctx;

    (void)item;
    want->result = msg->body_len != want->body_len                                             ? 78
                   : want->body_len == 0 || memcmp(msg->body, want->body, want->body_len) == 0 ? 77
                                                                                               : 78;
    return 0;
}

static void
message_limits(void)
{
    struct side s;
    struct pim_conv g1 = CONV_G(1), g2 = CONV_G(2);
    struct pim_append_item one, *items;
    struct pim_history q = {.struct_size = sizeof q, .conv = g1, .from_seq = 1, .to_seq = 9};
    char body[64], *big, (*bodies)[64];
    uint64_t max;
    uint32_t n;
    int rc;

    conf_open(&s, conf_schema(1));
    /* the largest body, to the byte, of any bytes */
    max = s.info.value_bytes_max < (64u << 20) ? s.info.value_bytes_max : 64u << 20;
    max = max < s.info.append_bytes_max ? max : s.info.append_bytes_max;
    CHECK(max >= 65536);
    big = malloc(max);
    CHECK(big != NULL);
    for (uint64_t i = 0; i < max; i++)
        big[i] = (char)(i * 31 >> 3);
    one = conf_item(g1, 1, body);
    one.body = big;
    one.body_len = (uint32_t)max;
    CHECK_RC(conf_append(&s, s.w, &one, 1), PIM_OK);
    CHECK_RC(one.result, PIM_OK);
    CHECK_RC(s.ops->history(s.r, &conf_call, &q, on_big, &one, &conf_err), PIM_OK);
    CHECK_INT(one.result, 77);
    /* none at all */
    one = conf_item(g1, 2, body);
    one.body = NULL;
    one.body_len = 0;
    CHECK_RC(conf_append(&s, s.w, &one, 1), PIM_OK);
    CHECK_RC(one.result, PIM_OK);
    q.from_seq = 2;
    CHECK_RC(s.ops->history(s.r, &conf_call, &q, on_big, &one, &conf_err), PIM_OK);
    CHECK_INT(one.result, 77);
    free(big);
    /* as many items as the plugin says, and one more */
    n = s.info.append_items_max;
    CHECK(n >= 1 && s.info.append_items_best <= n);
    if (n <= 20000) {
        items = calloc(n + 1, sizeof *items);
        bodies = calloc(n + 1, sizeof *bodies);
        CHECK(items != NULL && bodies != NULL);
        for (uint32_t i = 0; i <= n; i++)
            items[i] = conf_item(g2, i + 1, bodies[i]);
        rc = conf_append(&s, s.w, items, n + 1);
        if (rc != PIM_ERR_TOO_LARGE && rc != PIM_ERR_INVALID)
            conf_fail("one item more than append_items_max: %s", conf_rc_name(rc));
        CHECK_RC(conf_head(&s, s.r, g2).result, PIM_NOT_FOUND);
        CHECK_RC(conf_append(&s, s.w, items, n), PIM_OK);
        for (uint32_t i = 0; i < n; i++)
            CHECK_RC(items[i].result, PIM_OK);
        conf_dense(&s, s.r, g2, n);
        free(items);
        free(bodies);
    }
    conf_close(&s);
}

static void
trimming(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1), none = CONV_G(9);
    struct pim_append_item item;
    struct pim_head head;
    struct text rows = {0};
    uint64_t count = 99;
    char body[64];

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g, 1, 300);
    CHECK_RC(s.ops->trim(s.w, &conf_call, &none, 5, &count, &conf_err), PIM_OK);
    CHECK_INT(count, 0);
    CHECK_RC(s.ops->trim(s.w, &conf_call, &g, 0, &count, &conf_err), PIM_OK);
    CHECK_INT(count, 0);
    CHECK_RC(s.ops->trim(s.w, &conf_call, &g, 130, &count, &conf_err), PIM_OK);
    CHECK_INT(count, 130);
    head = conf_head(&s, s.r, g);
    CHECK_INT(head.head_seq, 300);
    CHECK_INT(head.floor_seq, 130);
    CHECK_INT(head.floor_ms, conf_item(g, 130, body).created_ms);
    CHECK_RC(conf_history(&s, s.r, g, 1, 135, 0, 0, &rows), PIM_OK); /* what is gone is not there; that is no failure */
    CHECK_INT(rows.rows, 5);
    conf_clear(&rows);
    CHECK_RC(s.ops->trim(s.w, &conf_call, &g, 130, &count, &conf_err), PIM_OK); /* again: nothing to do */
    CHECK_INT(count, 0);
    /* the numbers that are gone stay taken */
    for (int64_t seq = 1; seq <= 131; seq += 65) {
        item = conf_item(g, seq, body);
        CHECK_RC(conf_append(&s, s.w, &item, 1), PIM_OK);
        CHECK_RC(item.result, PIM_EXISTS);
        CHECK_INT(item.head_seq, 300);
    }
    /* the newest stays, however far the trim wants to go */
    CHECK_RC(s.ops->trim(s.w, &conf_call, &g, INT64_MAX, &count, &conf_err), PIM_OK);
    CHECK_INT(count, 169);
    head = conf_head(&s, s.r, g);
    CHECK_INT(head.head_seq, 300);
    CHECK_INT(head.floor_seq, 299);
    CHECK_INT(head.head_msg_id, conf_item(g, 300, body).msg_id);
    conf_reopen(&s, conf_schema(1));
    head = conf_head(&s, s.r, g);
    CHECK_INT(head.head_seq, 300);
    CHECK_INT(head.floor_seq, 299);
    CHECK_INT(head.floor_ms, conf_item(g, 299, body).created_ms);
    item = conf_item(g, 1, body);
    CHECK_RC(conf_append(&s, s.w, &item, 1), PIM_OK);
    CHECK_RC(item.result, PIM_EXISTS);
    conf_fill(&s, g, 301, 303);
    CHECK_RC(conf_history(&s, s.r, g, 1, INT64_MAX, 0, PIM_H_DESC, &rows), PIM_OK);
    CHECK_INT(rows.rows, 4);
    conf_clear(&rows);
    conf_close(&s);
}

struct redacted {
    int64_t seq;
    uint32_t body_len, rows;
    bool others;
};

static int32_t
on_redacted(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct redacted *r = ctx;

    (void)item;
    r->rows++;
    if (msg->seq == r->seq)
        r->body_len = msg->body_len;
    else
        r->others |= !conf_is_item(msg);
    return 0;
}

static void
redact(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1), none = CONV_G(9);
    struct redacted r = {.seq = 70};
    struct pim_history q = {.struct_size = sizeof q, .conv = g, .from_seq = 1, .to_seq = INT64_MAX};
    struct text before = {0}, after = {0};
    char *at;

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g, 1, 100);
    CHECK_RC(conf_history(&s, s.r, g, 70, 70, 0, 0, &before), PIM_OK);
    CHECK_RC(s.ops->redact(s.w, &conf_call, &g, 70, &conf_err), PIM_OK);
    CHECK_RC(s.ops->history(s.r, &conf_call, &q, on_redacted, &r, &conf_err), PIM_OK);
    CHECK_INT(r.rows, 100);
    CHECK_INT(r.body_len, 0);
    CHECK(!r.others);
    /* all but the body is as it was */
    CHECK_RC(conf_history(&s, s.r, g, 70, 70, 0, 0, &after), PIM_OK);
    at = strrchr(before.p, ' ');
    while (at > before.p && strncmp(at, " g/1/0", 6) != 0)
        at--;
    CHECK(at > before.p && after.n > (size_t)(at - before.p) &&
          memcmp(before.p, after.p, (size_t)(at - before.p)) == 0);
    conf_clear(&before);
    conf_clear(&after);
    CHECK_RC(s.ops->redact(s.w, &conf_call, &g, 70, &conf_err), PIM_OK); /* again: harmless */
    CHECK_RC(s.ops->redact(s.w, &conf_call, &g, 101, &conf_err), PIM_NOT_FOUND);
    CHECK_RC(s.ops->redact(s.w, &conf_call, &g, 0, &conf_err), PIM_NOT_FOUND);
    CHECK_RC(s.ops->redact(s.w, &conf_call, &none, 1, &conf_err), PIM_NOT_FOUND);
    conf_reopen(&s, conf_schema(1));
    r = (struct redacted){.seq = 70, .body_len = 99};
    CHECK_RC(s.ops->history(s.r, &conf_call, &q, on_redacted, &r, &conf_err), PIM_OK);
    CHECK_INT(r.rows, 100);
    CHECK_INT(r.body_len, 0);
    conf_close(&s);
}

const struct check conf_log_checks[] = {
    {"append is dense", PIM_ROLE_MESSAGES, append_is_dense},
    {"a taken number is refused, one without predecessor too, and a prefix stays", PIM_ROLE_MESSAGES, a_taken_number},
    {"the same run tried again after UNCERTAIN is stored once", PIM_ROLE_MESSAGES, the_same_run_again},
    {"one bad item fails alone", PIM_ROLE_MESSAGES, one_bad_item},
    {"limits: largest body and batch", PIM_ROLE_MESSAGES, message_limits},
    {"trim never frees a number and keeps the newest row", PIM_ROLE_MESSAGES, trimming},
    {"redact", PIM_ROLE_MESSAGES, redact},
    {0},
};
