/* Checks of messages: history, tails, heads, conversations. */
#include "suite.h"

struct seqs {
    int64_t first, last, n, step;
    bool wrong, bodies;
    uint32_t item;
    int64_t stop_at;
    int32_t stop_with;
};

static int32_t
on_seq(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct seqs *q = ctx;

    if (q->n == 0)
        q->first = msg->seq;
    else
        q->wrong |= msg->seq != q->last + q->step;
    if (q->bodies)
        q->wrong |= !conf_is_item(msg);
    q->item = item;
    q->last = msg->seq;
    return ++q->n == q->stop_at ? q->stop_with : 0;
}

static int
read_history(struct side *s, struct pim_history q, struct seqs *out)
{
    q.struct_size = sizeof q;
    *out = (struct seqs){
        .step = (q.flags & PIM_H_DESC) != 0 ? -1 : 1, .bodies = true, .stop_at = out->stop_at, .stop_with = 1};
    return s->ops->history(s->r, &conf_call, &q, on_seq, out, &conf_err);
}

static void
history_by_number(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1), none = CONV_G(2);
    const struct {
        int64_t from, to;
        uint32_t limit, flags;
        int rc;
        int64_t first, n;
    } cases[] = {
        {1, 500, 0, 0, PIM_OK, 1, 500},
        {INT64_MIN, INT64_MAX, 0, 0, PIM_OK, 1, 500},
        {1, 500, 50, 0, PIM_MORE, 1, 50},
        {1, 500, 50, PIM_H_DESC, PIM_MORE, 500, 50},
        {1, 50, 50, 0, PIM_OK, 1, 50},
        {1, 50, 49, 0, PIM_MORE, 1, 49},
        {63, 66, 0, 0, PIM_OK, 63, 4},
        {63, 66, 0, PIM_H_DESC, PIM_OK, 66, 4},
        {127, 128, 9, PIM_H_DESC, PIM_OK, 128, 2},
        {500, 500, 1, 0, PIM_OK, 500, 1},
        {501, 900, 0, 0, PIM_OK, 0, 0},
        {9, 8, 0, 0, PIM_OK, 0, 0},
        {INT64_MIN, 0, 0, PIM_H_DESC, PIM_OK, 0, 0},
        {490, 900, 20, PIM_H_DESC, PIM_OK, 500, 11},
        {200, 460, 256, 0, PIM_MORE, 200, 256},
        {200, 455, 256, 0, PIM_OK, 200, 256},
    };

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g, 1, 500);
    for (size_t i = 0; i < CONF_COUNT(cases); i++) {
        struct seqs got = {0};
        int rc = read_history(&s,
                              (struct pim_history){.conv = g,
                                                   .from_seq = cases[i].from,
                                                   .to_seq = cases[i].to,
                                                   .limit = cases[i].limit,
                                                   .flags = cases[i].flags},
                              &got);

        if (rc != cases[i].rc || got.first != cases[i].first || got.n != cases[i].n || got.wrong)
            conf_fail("rows %lld to %lld, limit %u%s: %s, %lld rows from %lld on%s; not %s, %lld rows from %lld on",
                      (long long)cases[i].from, (long long)cases[i].to, cases[i].limit,
                      cases[i].flags & PIM_H_DESC ? ", newest first" : "", conf_rc_name(rc), (long long)got.n,
                      (long long)got.first, got.wrong ? " (wrong or out of order)" : "", conf_rc_name(cases[i].rc),
                      (long long)cases[i].n, (long long)cases[i].first);
    }
    {
        struct seqs got = {.stop_at = 7}; /* enough is no failure */

        CHECK_RC(read_history(&s, (struct pim_history){.conv = g, .from_seq = 1, .to_seq = 500}, &got), PIM_OK);
        CHECK_INT(got.n, 7);
        got.stop_at = 0;
        CHECK_RC(read_history(&s, (struct pim_history){.conv = none, .from_seq = 1, .to_seq = 500}, &got), PIM_OK);
        CHECK_INT(got.n, 0);
    }
    conf_close(&s);
}

static void
history_by_day(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1);
    uint64_t count;

    conf_open(&s, conf_schema(1));
    if ((s.info.caps & PIM_CAP_DAY_INDEX) == 0) {
        conf_close(&s);
        conf_skip("the plugin has no index by day");
    }
    conf_fill(&s, g, 1, 500); /* 40 rows a day, from the first: rows 0 .. 39 are 20260101 */
    for (int trim = 0; trim < 2; trim++) {
        for (int32_t from = 20260100; from < 20260116; from += 3)
            for (int32_t to = from - 1; to < 20260116; to += 4)
                for (uint32_t flags = 0; flags <= PIM_H_DESC; flags++) {
                    int64_t low = (from - 20260101) * 40LL, high = (to - 20260101) * 40LL + 39, least = trim ? 131 : 1;
                    struct seqs got = {0};

                    low = low < least ? least : low;
                    high = high > 500 ? 500 : high;
                    CHECK_RC(read_history(&s,
                                          (struct pim_history){.conv = g,
                                                               .from_seq = 1,
                                                               .to_seq = 500,
                                                               .from_day = from,
                                                               .to_day = to,
                                                               .flags = flags},
                                          &got),
                             PIM_OK);
                    if (got.wrong || got.n != (high >= low ? high - low + 1 : 0) ||
                        (got.n > 0 && got.first != (flags & PIM_H_DESC ? high : low)))
                        conf_fail("days %d to %d: %lld rows from %lld on, not %lld to %lld", from, to, (long long)got.n,
                                  (long long)got.first, (long long)low, (long long)high);
                }
        CHECK_RC(s.ops->trim(s.w, &conf_call, &g, 130, &count, &conf_err), PIM_OK);
    }
    conf_close(&s);
}

static void
tails(void)
{
    struct side s;
    struct pim_conv g = CONV_G(1), g2 = CONV_G(2), none = CONV_G(9);
    char body[64];
    int64_t ms100 = conf_item(g, 100, body).created_ms;
    const struct {
        int64_t since_ms, after_seq;
        uint32_t limit, flags;
        int rc;
        int64_t n;
    } cases[] = {
        {0, 0, 1000, PIM_TAIL_BODIES, PIM_OK, 150},
        {0, 0, 150, PIM_TAIL_BODIES, PIM_OK, 150},
        {0, 0, 149, PIM_TAIL_BODIES, PIM_MORE, 149},
        {0, 0, 1, PIM_TAIL_BODIES | PIM_TAIL_DURABLE, PIM_MORE, 1},
        {0, 0, 0, 0, PIM_MORE, 0},
        {0, 120, 1000, PIM_TAIL_BODIES, PIM_OK, 30},
        {0, 120, 30, PIM_TAIL_BODIES, PIM_OK, 30},
        {0, 120, 29, PIM_TAIL_BODIES, PIM_MORE, 29},
        {0, 150, 10, PIM_TAIL_BODIES, PIM_OK, 0},
        {ms100, 0, 1000, PIM_TAIL_BODIES, PIM_OK, 51},
        {ms100, 0, 51, PIM_TAIL_DURABLE, PIM_OK, 51},
        {ms100, 0, 50, 0, PIM_MORE, 50},
        {ms100 + 1, 0, 1000, 0, PIM_OK, 50},
        {ms100, 110, 1000, 0, PIM_OK, 40},
        {INT64_MAX, 0, 10, 0, PIM_OK, 0},
    };
    struct pim_tail three[3];
    struct text rows = {0};

    conf_open(&s, conf_schema(1));
    conf_fill(&s, g, 1, 150);
    conf_fill(&s, g2, 1, 70);
    for (size_t i = 0; i < CONF_COUNT(cases); i++) {
        struct seqs got = {.step = -1, .bodies = (cases[i].flags & PIM_TAIL_BODIES) != 0};
        struct pim_tail tail = {.conv = g,
                                .since_ms = cases[i].since_ms,
                                .after_seq = cases[i].after_seq,
                                .limit = cases[i].limit,
                                .flags = cases[i].flags};

        CHECK_RC(s.ops->tails(s.r, &conf_call, &tail, 1, sizeof tail, on_seq, &got, &conf_err), PIM_OK);
        if (tail.result != cases[i].rc || got.n != cases[i].n || got.wrong || (got.n > 0 && got.first != 150))
            conf_fail("case %zu (since %lld, after %lld, limit %u): %s with %lld rows from %lld on%s; not %s with %lld",
                      i, (long long)cases[i].since_ms, (long long)cases[i].after_seq, cases[i].limit,
                      conf_rc_name(tail.result), (long long)got.n, (long long)got.first,
                      got.wrong ? " (wrong or out of order)" : "", conf_rc_name(cases[i].rc), (long long)cases[i].n);
        CHECK_INT(tail.head_seq, 150);
        CHECK_INT(tail.head_ord, conf_item(g, 150, body).ord);
        CHECK_INT(tail.head_msg_id, conf_item(g, 150, body).msg_id);
        CHECK_INT(tail.last_ms, conf_item(g, 150, body).created_ms);
        CHECK_INT(tail.last_day, conf_item(g, 150, body).day);
    }
    /* many in one call; a callback's 1 ends one of them, below 0 all */
    for (int stop = 0; stop < 3; stop++) {
        for (int i = 0; i < 3; i++)
            three[i] = (struct pim_tail){.conv = i == 0 ? g : i == 1 ? none : g2, .limit = 5};
        rows.stop_at = stop == 0 ? 0 : 2;
        rows.stop_with = stop == 2 ? -1 : 1;
        CHECK_RC(s.ops->tails(s.r, &conf_call, three, 3, sizeof three[0], conf_on_msg, &rows, &conf_err), PIM_OK);
        CHECK_INT(rows.rows, stop == 0 ? 10 : stop == 1 ? 7 : 2);
        if (stop < 2) {
            CHECK_RC(three[1].result, PIM_NOT_FOUND);
            CHECK_INT(three[1].head_seq, 0);
            CHECK_INT(three[2].head_seq, 70);
        }
        conf_clear(&rows);
    }
    conf_close(&s);
}

struct walk {
    uint32_t n, of_kind[4], wrong;
    struct pim_conv last;
};

static int32_t
on_walk(void *ctx, const struct pim_head *head)
{
    struct walk *w = ctx;
    bool rises = w->n == 0 || head->conv.kind > w->last.kind ||
                 (head->conv.kind == w->last.kind &&
                  (head->conv.a > w->last.a || (head->conv.a == w->last.a && head->conv.b > w->last.b)));

    w->wrong += !rises || head->head_seq != 1 + head->conv.a % 3 || head->result != PIM_OK;
    w->last = head->conv;
    w->n++;
    return 0;
}

static void
convs_walks_all(void)
{
    static const uint32_t limits[] = {0, 1, 7, 100, 1000};
    struct side s;
    const int total = 300;

    conf_open(&s, conf_schema(1));
    for (int i = 0; i < total; i++) {
        struct pim_conv conv = {.kind = "gesu"[i % 4], .a = i * 7 % total + 1, .b = i % 4 == 3 ? 1000 + i : 0};

        conf_fill(&s, conv, 1, 1 + conv.a % 3);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t k = 0; k < CONF_COUNT(limits); k++) {
            struct walk w = {0};
            int rc;

            do {
                struct pim_conv after = w.last;
                uint32_t before = w.n;

                rc = s.ops->convs(s.r, &conf_call, w.n > 0 ? &after : NULL, limits[k], on_walk, &w, &conf_err);
                CHECK(rc == PIM_OK || rc == PIM_MORE);
                if (rc == PIM_MORE)
                    CHECK_INT(w.n - before, limits[k]);
            } while (rc == PIM_MORE);
            if (w.n != (uint32_t)total || w.wrong > 0)
                conf_fail("pages of %u: %u conversations of %d, %u of them wrong or out of order", limits[k], w.n,
                          total, w.wrong);
        }
        conf_reopen(&s, conf_schema(1));
    }
    conf_close(&s);
}

const struct check conf_log_read_checks[] = {
    {"history reads by number and keeps its limit", PIM_ROLE_MESSAGES, history_by_number},
    {"history reads by day", PIM_ROLE_MESSAGES, history_by_day},
    {"tails reads in number order and keeps its limit", PIM_ROLE_MESSAGES, tails},
    {"convs walks all", PIM_ROLE_MESSAGES, convs_walks_all},
    {0},
};
