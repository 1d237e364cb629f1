/* storage-sqlite: the log. */
#include "sqlite_fixture.h"

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
    struct {
        struct pim_append_item item;
        char later[24];
    } wide[2] = {{.item = item(g1, 1)}, {.item = item(g1, 2)}};
    struct pim_append a = {.struct_size = sizeof a, .item_size = sizeof wide[0], .n_items = 2, .items = &wide[0].item};

    assert_int_equal(ops->append(f->w, &call, &a, &err), PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 2);
    assert_int_equal(append(f->r, &wide[0].item, 1), PIM_ERR_READONLY);
}

static void
history_pages(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t from, to;
        uint32_t limit, flags;
        int rc;
        int64_t first, last, n;
    } t[] = {
        {1, 700, 0, 0, PIM_OK, 1, 700, 700},
        {1, INT64_MAX, 50, 0, PIM_MORE, 1, 50, 50},
        {100, 400, 50, 0, PIM_MORE, 100, 149, 50},
        {651, 700, 50, 0, PIM_OK, 651, 700, 50},
        {1, 700, 50, PIM_H_DESC, PIM_MORE, 700, 651, 50},
        {1, 300, 300, PIM_H_DESC, PIM_OK, 300, 1, 300},
        {64, 64, 0, 0, PIM_OK, 64, 64, 1},
        {65, 63, 0, 0, PIM_OK, 0, 0, 0},
        {0, 3, 0, PIM_H_DESC, PIM_OK, 3, 1, 3},
        {699, 900, 9, PIM_H_DESC, PIM_OK, 700, 699, 2},
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
            struct pim_history q = {.struct_size = sizeof q,
                                    .conv = g1,
                                    .from_seq = 1,
                                    .to_seq = INT64_MAX,
                                    .from_day = from,
                                    .to_day = to};
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
    struct pim_tail t[4] = {
        {.conv = g1, .limit = 10, .flags = PIM_TAIL_BODIES},
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

struct seen {
    struct pim_conv convs[300];
    int64_t seqs[300];
    uint32_t n;
};

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(append_is_dense),     CASE(a_prefix_stays),        CASE(items_may_be_larger_than_ours),
        CASE(history_pages),       CASE(history_by_day),        CASE(tails_keep_their_limits),
        CASE(convs_lists_all),     CASE(trim_keeps_the_newest), CASE(redact_empties_a_body),
        CASE(few_heads_in_memory), CASE(old_rows_go_by_age),    CASE(wipe_only_in_tests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
