/* storage-abi.md 3.4 to 3.9: unknown outcomes, rights, poison, bounds, stopping. */
#include "log_fixture.h"

static int64_t
now(void)
{
    return pim_clock_wall_ms();
}

static void
wait_appends(uint32_t n)
{
    for (uint32_t seen = 0; seen < n;) {
        usleep(2000);
        pthread_mutex_lock(&hook.lock);
        seen = hook.n_appends;
        pthread_mutex_unlock(&hook.lock);
    }
}

/* --- 3.4
 * ------------------------------------------------------------------------------------------------------------------ */

/* Nothing is said before it is certain; then one row is there. stored: the append whose answer was lost was done. */
static void
unknown_outcome(bool was_stored)
{
    struct fixture f;
    struct letter first, l[3];

    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, now(), 1, "before"), PIM_SENT_STORED);
    for (uint32_t i = 0; i < 3; i++)
        letter_init(&l[i], G(1), 7, now(), 2 + i, "unknown");
    HOOK(hook.next_rc = PIM_ERR_UNCERTAIN; hook.next_stored = was_stored);
    post(&f, l, 3);
    wait_appends(2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait_for(&l[i]), PIM_SENT_STORED);
        assert_int_equal(l[i].send.seq, 2 + i);
        assert_int_equal(look(&f, G(1), &l[i]).copies, 1);
        assert_int_equal(look(&f, G(1), &l[i]).found_seq, 2 + i);
    }
    assert_int_equal(look(&f, G(1), NULL).head, 4);
    assert_true(stats(&f).uncertain >= 1);
    finish(&f);
}

static void
nothing_is_said_of_an_unknown_outcome(void **state)
{
    struct fixture f;
    struct letter l, later, other;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    HOOK(hook.uncertain_conv = 1);
    letter_init(&l, G(1), 7, now(), 1, "unknown");
    letter_init(&later, G(1), 8, now(), 1, "behind it");
    post(&f, &l, 1);
    wait_appends(1);
    post(&f, &later, 1);
    wait_appends(4); /* tried again and again, and not answered meanwhile */
    assert_false(is_done(&l));
    assert_false(is_done(&later));
    assert_int_equal(say(&f, &other, G(2), 7, now(), 1, "elsewhere life goes on"), PIM_SENT_STORED);
    assert_false(is_done(&l));
    HOOK(hook.uncertain_conv = 0);
    assert_int_equal(wait_for(&l), PIM_SENT_STORED);
    assert_int_equal(wait_for(&later), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 1);
    assert_int_equal(later.send.seq, 2);
    finish(&f);
}

static void
an_unknown_outcome_that_was_stored_is_stored_once(void **state)
{
    (void)state;
    unknown_outcome(true);
}

static void
an_unknown_outcome_that_was_lost_is_stored_once(void **state)
{
    (void)state;
    unknown_outcome(false);
}

static void
each_conversation_is_tried_alone_after_an_unknown_outcome(void **state)
{
    struct fixture f;
    struct letter l[4];
    uint32_t first;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(say(&f, &l[i], G(i + 1), 7, now(), 1, "warm"), PIM_SENT_STORED);
    HOOK(hook.uncertain_conv = 2);
    first = hook.n_appends;
    for (int i = 0; i < 4; i++)
        letter_init(&l[i], G(i + 1), 7, now(), 2, "together");
    post(&f, l, 4);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            assert_int_equal(wait_for(&l[i]), PIM_SENT_STORED); /* the poisonous one holds nobody else */
    assert_false(is_done(&l[1]));
    pthread_mutex_lock(&hook.lock);
    assert_int_equal(hook.appends[first].n_convs, 4);
    for (uint32_t i = first + 1; i < hook.n_appends; i++)
        assert_int_equal(hook.appends[i].n_convs, 1);
    pthread_mutex_unlock(&hook.lock);
    HOOK(hook.uncertain_conv = 0);
    assert_int_equal(wait_for(&l[1]), PIM_SENT_STORED);
    for (int i = 0; i < 4; i++)
        assert_int_equal(look(&f, G(i + 1), &l[i]).copies, 1);
    finish(&f);
}

static void
a_number_taken_by_another_settles_it_too(void **state)
{
    struct fixture f;
    struct letter first, l;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, now(), 1, "before"), PIM_SENT_STORED);
    HOOK(hook.uncertain_conv = 1);
    letter_init(&l, G(1), 7, now(), 2, "lost");
    post(&f, &l, 1);
    wait_appends(3);
    assert_int_equal(other_says(&f, G(1), 2, now(), NULL, 1), PIM_OK);
    HOOK(hook.uncertain_conv = 0);
    assert_int_equal(wait_for(&l), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 3);
    assert_int_equal(look(&f, G(1), &l).copies, 1);
    finish(&f);
}

static void
a_dead_connection_is_void_and_another_is_opened(void **state)
{
    struct fixture f;
    struct letter l;
    uint32_t conns;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "before"), PIM_SENT_STORED);
    conns = hook.n_conns;
    HOOK(hook.next_rc = PIM_ERR_UNAVAILABLE; hook.next_stored = false);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "void"), PIM_SENT_BUSY);
    assert_int_equal(l.send.reason, PIM_ERR_UNAVAILABLE);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "void"), PIM_SENT_STORED); /* the same id again */
    assert_int_equal(l.send.seq, 2);
    assert_int_equal(hook.n_conns, conns + 1);
    HOOK(hook.next_rc = PIM_ERR_RETRY); /* the loser of a deadlock: nobody hears of it */
    assert_int_equal(say(&f, &l, G(1), 7, now(), 3, "deadlock"), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 3);
    finish(&f);
}

/* --- 3.6
 * ------------------------------------------------------------------------------------------------------------------ */

static void
a_refusal_asks_the_records_once_more(void **state)
{
    struct fixture f;
    struct letter l;

    (void)state;
    prepare(&f, NULL, NULL);
    hook.denied = 7;
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "no"), PIM_SENT_DENIED);
    assert_int_equal(l.send.reason, 403);
    assert_int_equal(hook.n_loads, 1); /* they had just been read */
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "still no"), PIM_SENT_DENIED);
    assert_int_equal(hook.n_loads, 2);
    HOOK(hook.denied = 0); /* a gain is no row of this log */
    assert_int_equal(say(&f, &l, G(1), 7, now(), 3, "yes"), PIM_SENT_STORED);
    assert_int_equal(hook.n_loads, 3);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 4, "yes"), PIM_SENT_STORED);
    assert_int_equal(hook.n_loads, 3);
    assert_int_equal(stats(&f).denied, 2);
    finish(&f);
}

static void
a_loss_row_refuses_an_append_from_a_stale_view(void **state)
{
    struct fixture f;
    struct letter l;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "still in"), PIM_SENT_STORED);
    HOOK(hook.denied = 7); /* another node: the records, then the row that says so */
    assert_int_equal(other_says(&f, G(1), 2, now(), NULL, LOSS), PIM_OK);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "from a stale view"), PIM_SENT_DENIED);
    assert_int_equal(say(&f, &l, G(1), 8, now(), 1, "others go on"), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 3);
    finish(&f);
}

static void
a_loss_binds_those_behind_it_in_the_same_run(void **state)
{
    struct fixture f;
    struct letter warm, l[4];

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &warm, G(1), 7, now(), 1, "warm"), PIM_SENT_STORED);
    letter_init(&l[0], G(1), 7, now(), 2, "before the loss");
    letter_init(&l[1], G(1), 1, now(), 1, "7");
    l[1].send.type = LOSS;
    letter_init(&l[2], G(1), 7, now(), 3, "after it");
    letter_init(&l[3], G(1), 8, now(), 1, "another");
    HOOK(hook.denied = 7); /* the records have it already */
    post(&f, l, 4);
    assert_int_equal(wait_for(&l[0]), PIM_SENT_STORED);
    assert_int_equal(wait_for(&l[1]), PIM_SENT_STORED);
    assert_int_equal(wait_for(&l[2]), PIM_SENT_DENIED);
    assert_int_equal(wait_for(&l[3]), PIM_SENT_STORED);
    assert_int_equal(look(&f, G(1), &l[2]).copies, 0);
    finish(&f);
}

static void
a_gain_that_is_told_is_read_before_the_next_check(void **state)
{
    struct fixture f;
    struct letter l;
    struct pim_conv g = G(1);

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 8, now(), 1, "warm"), PIM_SENT_STORED);
    assert_int_equal(hook.n_loads, 1);
    pim_msglog_rights_changed(f.log, &g);
    assert_int_equal(say(&f, &l, G(1), 8, now(), 2, "after it"), PIM_SENT_STORED);
    assert_int_equal(hook.n_loads, 2);
    finish(&f);
}

/* --- 3.7
 * ------------------------------------------------------------------------------------------------------------------ */

static void
ord_counts_what_counts(void **state)
{
    struct fixture f;
    struct letter l;
    int64_t ord = 0;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    for (uint32_t i = 0; i < 30; i++) {
        letter_init(&l, G(1), 7, now(), i, "x");
        if (i % 3 == 1)
            l.send.flags &= ~(uint32_t)PIM_SEND_COUNTABLE;
        post(&f, &l, 1);
        assert_int_equal(wait_for(&l), PIM_SENT_STORED);
        ord += i % 3 != 1;
        assert_int_equal(l.send.ord, ord);
    }
    assert_int_equal(look(&f, G(1), NULL).last_ord, ord);
    finish(&f);
}

/* --- 3.9
 * ------------------------------------------------------------------------------------------------------------------ */

/* One of many is poison; whole: the engine fails the batch and says not why. */
static void
poison(const char *option, const char *value)
{
    struct fixture f;
    static struct letter warm[4], l[40];

    prepare(&f, "bad_body", "poison");
    f.opts[2] = (struct pim_kv){option, value};
    if (option != NULL) { /* options are read at open */
        pim_data_close(&f.data);
        f.config.records.n_opts = 3;
        assert_int_equal(pim_data_open(&f.config, &f.data, NULL), PIM_OK);
    }
    start(&f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(say(&f, &warm[i], G(i + 1), 7, now(), 1, "warm"), PIM_SENT_STORED);
    for (uint32_t i = 0; i < 40; i++)
        letter_init(&l[i], G(i % 4 + 1), 7 + i % 2, now(), 10 + i, i == 21 ? "a poison body" : "good");
    post(&f, l, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(wait_for(&l[i]), i == 21 ? PIM_SENT_INVALID : PIM_SENT_STORED);
    for (int i = 4; i < 40; i++) /* in order, also where it was split */
        if (i != 21 && i - 4 != 21)
            assert_true(l[i].send.seq > l[i - 4].send.seq);
    for (int i = 0; i < 4; i++)
        assert_int_equal(look(&f, G(i + 1), NULL).head, i == 1 ? 10 : 11);
    finish(&f);
}

static void
a_poison_item_fails_alone(void **state)
{
    (void)state;
    poison(NULL, NULL);
}

static void
a_batch_that_fails_whole_is_halved_until_the_one_is_found(void **state)
{
    (void)state;
    poison("bad_body_whole", "1");
}

static void
a_body_over_the_engines_limit_is_too_large(void **state)
{
    struct fixture f;
    struct letter l, after;
    size_t size = (16u << 20) + 1;
    char *big = calloc(1, size);

    (void)state;
    prepare(&f, NULL, NULL);
    f.limits.queue_bytes = 64 << 20;
    start(&f);
    letter_init(&l, G(1), 7, now(), 1, "x");
    letter_init(&after, G(1), 7, now(), 2, "after it");
    l.send.body = big;
    l.send.body_len = (uint32_t)size;
    post(&f, &l, 1);
    post(&f, &after, 1);
    assert_int_equal(wait_for(&l), PIM_SENT_TOO_LARGE);
    assert_int_equal(wait_for(&after), PIM_SENT_STORED);
    assert_int_equal(after.send.seq, 1);
    free(big);
    finish(&f);
}

/* --- bounds, stopping
 * ------------------------------------------------------------------------------------------------------- */

static void
a_full_queue_is_busy_and_a_full_disk_too(void **state)
{
    struct fixture f;
    static struct letter l[30];
    struct letter full;
    uint32_t busy = 0;

    (void)state;
    prepare(&f, NULL, NULL);
    f.limits.queue_items = 10;
    start(&f);
    HOOK(hook.hold_appends = true);
    for (uint32_t i = 0; i < 30; i++) {
        letter_init(&l[i], G(1), 7, now(), i, "x");
        post(&f, &l[i], 1);
        if (i >= 10) { /* at once, on the poster's thread */
            assert_true(is_done(&l[i]));
            assert_int_equal(l[i].send.state, PIM_SENT_BUSY);
            assert_int_equal(l[i].send.reason, PIM_ERR_FULL);
            busy++;
        }
    }
    assert_int_equal(busy, 20);
    HOOK(hook.hold_appends = false);
    for (int i = 0; i < 10; i++)
        assert_int_equal(wait_for(&l[i]), PIM_SENT_STORED);
    HOOK(hook.next_rc = PIM_ERR_FULL; hook.next_stored = false);
    assert_int_equal(say(&f, &full, G(1), 7, now(), 40, "no room"), PIM_SENT_BUSY);
    assert_int_equal(say(&f, &full, G(1), 7, now(), 40, "no room"), PIM_SENT_STORED);
    assert_int_equal(look(&f, G(1), NULL).head, 11);
    assert_int_equal(stats(&f).queued, 0);
    finish(&f);
}

static void
few_conversations_and_senders_in_memory_change_nothing(void **state)
{
    struct fixture f;
    struct letter l, again;
    int64_t ms = now();

    (void)state;
    prepare(&f, NULL, NULL);
    f.limits.conversations = 2;
    f.limits.senders = 3;
    start(&f);
    for (uint32_t round = 0; round < 20; round++)
        for (int64_t conv = 1; conv <= 5; conv++) {
            assert_int_equal(say(&f, &l, G(conv), 10 + round % 9, ms, round, "x"), PIM_SENT_STORED);
            assert_int_equal(l.send.seq, round + 1);
            assert_int_equal(say(&f, &again, G(conv), 10 + round % 9, ms, round, "x"), PIM_SENT_BEFORE);
            assert_int_equal(again.send.seq, l.send.seq);
        }
    for (uint32_t round = 0; round < 20; round++) /* also when long forgotten */
        for (int64_t conv = 1; conv <= 5; conv++) {
            assert_int_equal(say(&f, &again, G(conv), 10 + round % 9, ms, round, "x"), PIM_SENT_BEFORE);
            assert_int_equal(again.send.seq, round + 1);
        }
    finish(&f);
}

static void
stopping_answers_everything(void **state)
{
    struct fixture f;
    static struct letter l[20];
    struct letter unknown, searched, late;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &searched, G(2), 7, now(), 1, "x"), PIM_SENT_STORED);
    HOOK(hook.uncertain_conv = 1);
    letter_init(&unknown, G(1), 7, now(), 1, "unknown");
    post(&f, &unknown, 1);
    wait_appends(2);
    letter_init(&searched, G(2), 7, now() - 5000, 1, "searched");
    post(&f, &searched, 1);
    for (uint32_t i = 0; i < 20; i++)
        letter_init(&l[i], G(3 + i % 7), 7, now(), i, "y");
    post(&f, l, 20);
    pim_data_stop(f.data);
    f.stopped = true;
    assert_true(is_done(&unknown));
    assert_int_equal(unknown.send.state, PIM_SENT_BUSY); /* never "failed": the same id again */
    assert_true(is_done(&searched));
    assert_true(searched.send.state == PIM_SENT_STORED || searched.send.state == PIM_SENT_BUSY);
    for (int i = 0; i < 20; i++) {
        assert_true(is_done(&l[i]));
        assert_true(l[i].send.state == PIM_SENT_STORED || l[i].send.state == PIM_SENT_BUSY);
        assert_int_equal(look(&f, l[i].send.conv, &l[i]).copies, l[i].send.state == PIM_SENT_STORED);
    }
    letter_init(&late, G(1), 7, now(), 2, "too late");
    post(&f, &late, 1);
    assert_true(is_done(&late));
    assert_int_equal(late.send.state, PIM_SENT_BUSY);
    finish(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_of_an_unknown_outcome),
        cmocka_unit_test(an_unknown_outcome_that_was_stored_is_stored_once),
        cmocka_unit_test(an_unknown_outcome_that_was_lost_is_stored_once),
        cmocka_unit_test(each_conversation_is_tried_alone_after_an_unknown_outcome),
        cmocka_unit_test(a_number_taken_by_another_settles_it_too),
        cmocka_unit_test(a_dead_connection_is_void_and_another_is_opened),
        cmocka_unit_test(a_refusal_asks_the_records_once_more),
        cmocka_unit_test(a_loss_row_refuses_an_append_from_a_stale_view),
        cmocka_unit_test(a_loss_binds_those_behind_it_in_the_same_run),
        cmocka_unit_test(a_gain_that_is_told_is_read_before_the_next_check),
        cmocka_unit_test(ord_counts_what_counts),
        cmocka_unit_test(a_poison_item_fails_alone),
        cmocka_unit_test(a_batch_that_fails_whole_is_halved_until_the_one_is_found),
        cmocka_unit_test(a_body_over_the_engines_limit_is_too_large),
        cmocka_unit_test(a_full_queue_is_busy_and_a_full_disk_too),
        cmocka_unit_test(few_conversations_and_senders_in_memory_change_nothing),
        cmocka_unit_test(stopping_answers_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
