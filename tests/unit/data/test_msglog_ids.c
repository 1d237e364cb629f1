/* storage-abi.md 3.1 to 3.3: numbering, once only, clocks. */
#include "log_fixture.h"

static int64_t
now(void)
{
    return pim_clock_wall_ms();
}

/* --- 3.1
 * ------------------------------------------------------------------------------------------------------------------ */

static void
a_cold_conversation_is_read_from_its_tail(void **state)
{
    struct fixture f;
    struct letter l;

    (void)state;
    prepare(&f, NULL, NULL);
    for (int64_t seq = 1; seq <= 5; seq++)
        assert_int_equal(other_says(&f, G(1), seq, now() - 1000, NULL, 1), PIM_OK);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "hello"), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 6);
    assert_int_equal(l.send.ord, 51); /* 3.7: one countable row more than the tail said */
    assert_int_equal(look(&f, G(1), &l).found_seq, 6);
    assert_int_equal(stats(&f).moved, 0);
    finish(&f);
}

static void
where_another_writer_was_faster_its_rows_are_read_and_numbers_given_again(void **state)
{
    struct fixture f;
    struct letter l, held[3];

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "one"), PIM_SENT_STORED);
    assert_int_equal(other_says(&f, G(1), 2, now(), NULL, 1), PIM_OK);
    assert_int_equal(other_says(&f, G(1), 3, now(), NULL, 1), PIM_OK);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "two"), PIM_SENT_STORED);
    assert_int_equal(l.send.seq, 4);
    assert_int_equal(l.send.ord, 31);
    assert_int_equal(stats(&f).moved, 1);
    /* a run keeps its order through that */
    HOOK(hook.hold_appends = true);
    for (uint32_t i = 0; i < 3; i++)
        letter_init(&held[i], G(1), 7, now(), 3 + i, "run");
    post(&f, held, 3);
    wait_held(1);
    assert_int_equal(other_says(&f, G(1), 5, now(), NULL, 1), PIM_OK);
    HOOK(hook.hold_appends = false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait_for(&held[i]), PIM_SENT_STORED);
        assert_int_equal(held[i].send.seq, 6 + i);
    }
    assert_int_equal(look(&f, G(1), NULL).head, 8);
    finish(&f);
}

static void
a_conversation_that_moved_is_appended_alone(void **state)
{
    struct fixture f;
    struct letter l[3], warm;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(&f, &warm, G(i + 1), 7, now(), 1, "x"), PIM_SENT_STORED);
    assert_int_equal(other_says(&f, G(1), 2, now(), NULL, 1), PIM_OK);
    for (int i = 0; i < 3; i++)
        letter_init(&l[i], G(i + 1), 7, now(), 2, "y");
    HOOK(hook.hold_since_ms = -1);
    post(&f, &l[0], 1);
    wait_held(1); /* it has moved, and is being read */
    HOOK(hook.hold_appends = true);
    post(&f, &l[1], 1);
    wait_held(2);
    /* the answer for the first and the third message arrive together, while the thread is busy with the second */
    HOOK(hook.hold_since_ms = 0);
    usleep(50000);
    post(&f, &l[2], 1);
    HOOK(hook.hold_appends = false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_for(&l[i]), PIM_SENT_STORED);
    assert_int_equal(l[0].send.seq, 3);
    pthread_mutex_lock(&hook.lock);
    for (uint32_t i = 3; i < hook.n_appends; i++)
        assert_int_equal(hook.appends[i].n_convs, 1);
    pthread_mutex_unlock(&hook.lock);
    finish(&f);
}

#define POSTERS 4
#define EACH 150
struct poster {
    struct fixture *f;
    pthread_t thread;
    int64_t id;
    struct letter letters[EACH];
};

static void *
poster_main(void *arg)
{
    struct poster *p = arg;

    for (uint32_t i = 0; i < EACH; i++) {
        letter_init(&p->letters[i], G(1 + i % 3), p->id, now(), i, "many");
        post(p->f, &p->letters[i], 1);
        if (i % 16 == 0)
            wait_for(&p->letters[i]);
    }
    return NULL;
}

static void
no_number_is_skipped_or_given_twice(void **state)
{
    struct fixture f;
    static struct poster posters[POSTERS];
    int64_t others = 0, rows = 0;

    (void)state;
    prepare(&f, NULL, NULL);
    f.limits.threads = 2;
    start(&f);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.f = &f, .id = 10 + i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
    }
    for (int i = 0; i < 100; i++) { /* the other writer goes on meanwhile */
        struct pim_call call = {.struct_size = sizeof call};
        struct pim_err err = PIM_ERR_INIT;
        struct pim_head head = {.conv = G(1 + i % 3)};

        memory->heads(f.other, &call, &head, 1, sizeof head, &err);
        others += other_says(&f, head.conv, head.head_seq + 1, head.last_ms > now() ? head.last_ms : now(), NULL, 1) ==
                  PIM_OK;
        usleep(500);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    for (int i = 0; i < POSTERS; i++)
        for (int k = 0; k < EACH; k++) {
            struct letter *l = &posters[i].letters[k];

            assert_int_equal(wait_for(l), PIM_SENT_STORED);
            if (k >= 3) /* of one sender in one conversation: in the order of posting */
                assert_true(l->send.seq > posters[i].letters[k - 3].send.seq);
        }
    for (int c = 1; c <= 3; c++)
        rows += look(&f, G(c), NULL).head;
    assert_int_equal(rows, others + POSTERS * EACH);
    finish(&f);
}

/* --- 3.2
 * ------------------------------------------------------------------------------------------------------------------ */

static void
a_resend_is_answered_with_the_first_ones_id_and_number(void **state)
{
    struct fixture f;
    struct letter first, again, other;
    int64_t ms = now();

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, ms, 1, "hello"), PIM_SENT_STORED);
    assert_int_equal(say(&f, &other, G(1), 7, ms, 2, "more"), PIM_SENT_STORED);
    assert_int_equal(say(&f, &again, G(1), 7, ms, 1, "hello"), PIM_SENT_BEFORE);
    assert_int_equal(again.send.seq, first.send.seq);
    assert_int_equal(again.send.msg_id, first.send.msg_id);
    assert_int_equal(again.send.created_ms, first.send.created_ms);
    assert_int_equal(stats(&f).resends, 1);
    /* the id is the sender's own: another sender may have the same */
    assert_int_equal(say(&f, &other, G(1), 8, ms, 1, "hello"), PIM_SENT_STORED);
    assert_int_equal(look(&f, G(1), NULL).head, 3);
    finish(&f);
}

static void
a_resend_after_a_restart_too(void **state)
{
    struct fixture f;
    struct letter again, l;

    (void)state;
    prepare(&f, NULL, NULL);
    letter_init(&again, G(1), 7, now(), 1, "hello");
    assert_int_equal(other_says(&f, G(1), 1, now(), &again, 1), PIM_OK);
    for (int64_t seq = 2; seq < 1500; seq++) /* more than what a cold load reads */
        assert_int_equal(other_says(&f, G(1), seq, now(), NULL, 1), PIM_OK);
    start(&f);
    post(&f, &again, 1);
    assert_int_equal(wait_for(&again), PIM_SENT_BEFORE);
    assert_int_equal(again.send.seq, 1);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "new"), PIM_SENT_STORED);
    finish(&f);
}

static void
the_same_id_with_another_body_is_a_conflict(void **state)
{
    struct fixture f;
    struct letter first, other;
    int64_t ms = now();

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, ms, 1, "hello"), PIM_SENT_STORED);
    assert_int_equal(say(&f, &other, G(1), 7, ms, 1, "hullo"), PIM_SENT_CONFLICT);
    assert_int_equal(look(&f, G(1), &first).copies, 1);
    finish(&f);
}

static void
copies_in_one_run_share_its_outcome(void **state)
{
    struct fixture f;
    struct letter l[4];

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    for (int i = 0; i < 4; i++)
        letter_init(&l[i], G(1), 7, now(), i == 3 ? 2 : 1, "copy");
    for (int i = 1; i < 3; i++)
        memcpy(l[i].send.cid, l[0].send.cid, 16);
    HOOK(hook.hold_appends = true); /* a search that did not wait for the run would find nothing now */
    post(&f, l, 4);
    usleep(50000);
    HOOK(hook.hold_appends = false);
    assert_int_equal(wait_for(&l[0]), PIM_SENT_STORED);
    assert_int_equal(wait_for(&l[1]), PIM_SENT_BEFORE);
    assert_int_equal(wait_for(&l[2]), PIM_SENT_BEFORE);
    assert_int_equal(wait_for(&l[3]), PIM_SENT_STORED);
    assert_int_equal(l[1].send.seq, l[0].send.seq);
    assert_int_equal(look(&f, G(1), &l[0]).copies, 1);
    finish(&f);
}

static void
older_than_the_window_is_searched_first_and_refused_after(void **state)
{
    struct fixture f;
    struct letter stored, l;
    int64_t old = now() - 8 * 86400000ll;

    (void)state;
    prepare(&f, NULL, NULL);
    letter_init(&stored, G(1), 7, old, 1, "old");
    assert_int_equal(other_says(&f, G(1), 1, old, &stored, 1), PIM_OK);
    assert_int_equal(other_says(&f, G(1), 2, now(), NULL, 1), PIM_OK);
    start(&f);
    post(&f, &stored, 1);
    assert_int_equal(wait_for(&stored), PIM_SENT_BEFORE); /* it is there: no refusal */
    assert_int_equal(stored.send.seq, 1);
    assert_int_equal(say(&f, &l, G(1), 7, old, 2, "older"), PIM_SENT_TOO_OLD);
    assert_int_equal(stats(&f).searches, 2);
    assert_int_equal(look(&f, G(1), NULL).head, 2);
    finish(&f);
}

static void
ahead_of_the_clock_is_searched_first_and_refused_after(void **state)
{
    struct fixture f;
    struct letter stored, l;
    int64_t ahead = now() + SKEW_MS + 30000;

    (void)state;
    prepare(&f, NULL, NULL);
    letter_init(&stored, G(1), 7, ahead, 1, "fast");
    assert_int_equal(other_says(&f, G(1), 1, ahead - SKEW_MS, &stored, 1), PIM_OK); /* a node whose clock was fast */
    start(&f);
    post(&f, &stored, 1);
    assert_int_equal(wait_for(&stored), PIM_SENT_BEFORE);
    assert_int_equal(say(&f, &l, G(1), 7, ahead, 2, "too fast"), PIM_SENT_TOO_NEW);
    assert_int_equal(say(&f, &l, G(1), 8, now() + SKEW_MS / 2, 1, "within skew"), PIM_SENT_STORED);
    finish(&f);
}

static void
ids_that_rise_need_no_search(void **state)
{
    struct fixture f;
    struct letter l;
    uint64_t before;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(say(&f, &l, G(1), 7 + i % 5, now(), i, "rising"), PIM_SENT_STORED);
    assert_int_equal(stats(&f).searches, 0);
    before = stats(&f).stored;
    assert_int_equal(say(&f, &l, G(1), 7, now() - 1000, 0, "falling"), PIM_SENT_STORED);
    assert_int_equal(stats(&f).searches, 1);
    assert_int_equal(stats(&f).stored, before + 1);
    finish(&f);
}

static void
an_id_that_the_server_made_needs_no_search(void **state)
{
    struct fixture f;
    struct letter l;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 9, "x"), PIM_SENT_STORED);
    letter_init(&l, G(1), 7, now() - 5000, 1, "made here");
    l.send.flags |= PIM_SEND_SERVER_ID;
    post(&f, &l, 1);
    assert_int_equal(wait_for(&l), PIM_SENT_STORED);
    assert_int_equal(stats(&f).searches, 0);
    finish(&f);
}

static void
a_search_holds_back_only_its_senders_later_messages(void **state)
{
    struct fixture f;
    struct letter first, searched, later, other;
    int64_t ms = now() - 5000;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, now(), 1, "one"), PIM_SENT_STORED);
    HOOK(hook.hold_since_ms = ms - SKEW_MS);
    letter_init(&searched, G(1), 7, ms, 1, "searched");
    letter_init(&later, G(1), 7, now(), 2, "later");
    post(&f, &searched, 1);
    wait_held(1);
    post(&f, &later, 1);
    assert_int_equal(say(&f, &other, G(1), 8, now(), 1, "another sender"), PIM_SENT_STORED);
    assert_int_equal(other.send.seq, 2);
    assert_false(is_done(&searched));
    assert_false(is_done(&later));
    HOOK(hook.hold_since_ms = 0);
    assert_int_equal(wait_for(&searched), PIM_SENT_STORED);
    assert_int_equal(wait_for(&later), PIM_SENT_STORED);
    assert_int_equal(searched.send.seq, 3);
    assert_int_equal(later.send.seq, 4);
    finish(&f);
}

static void
a_search_that_is_older_than_the_applied_head_does_not_count(void **state)
{
    struct fixture f;
    struct letter first, searched, other;
    int64_t ms = now() - 5000;

    (void)state;
    prepare(&f, NULL, NULL);
    start(&f);
    assert_int_equal(say(&f, &first, G(1), 7, now(), 1, "one"), PIM_SENT_STORED);
    HOOK(hook.hold_since_ms = ms - SKEW_MS; hook.hold_after = true);
    letter_init(&searched, G(1), 7, ms, 1, "searched");
    post(&f, &searched, 1);
    wait_held(1); /* it has found nothing, and has not said so yet */
    assert_int_equal(other_says(&f, G(1), 2, now(), &searched, 1), PIM_OK); /* the same message through another node */
    assert_int_equal(say(&f, &other, G(1), 8, now(), 1, "moves the head"), PIM_SENT_STORED);
    assert_int_equal(other.send.seq, 3);
    wait_held(2);            /* it is looked up anew, against the rows that came */
    HOOK(hook.released = 1); /* the answer of the first search comes now */
    usleep(50000);
    HOOK(hook.hold_since_ms = 0; hook.hold_after = false);
    assert_int_equal(wait_for(&searched), PIM_SENT_BEFORE);
    assert_int_equal(searched.send.seq, 2);
    assert_int_equal(look(&f, G(1), &searched).copies, 1);
    finish(&f);
}

static void
a_search_out_of_budget_is_busy_and_goes_on_where_it_stopped(void **state)
{
    struct fixture f;
    struct letter again;
    uint32_t tries = 0;
    enum pim_send_state said;

    (void)state;
    prepare(&f, NULL, NULL);
    letter_init(&again, G(1), 7, now(), 0, "hello");
    assert_int_equal(other_says(&f, G(1), 1, now(), &again, 1), PIM_OK);
    for (int64_t seq = 2; seq <= 3500; seq++)
        assert_int_equal(other_says(&f, G(1), seq, now(), NULL, 1), PIM_OK);
    f.limits.search_rows_per_s = 1000;
    start(&f);
    do {
        struct letter l = again;

        l.done = false;
        post(&f, &l, 1);
        said = wait_for(&l);
        if (said == PIM_SENT_BUSY)
            usleep(300000);
        again.send.seq = l.send.seq;
        assert_true(++tries < 200);
    } while (said == PIM_SENT_BUSY);
    assert_int_equal(said, PIM_SENT_BEFORE);
    assert_int_equal(again.send.seq, 1);
    assert_true(tries > 2);
    assert_true(hook.n_histories <= 4); /* 3,500 rows in pages of 1,000, none of them twice */
    finish(&f);
}

static void
a_floor_in_the_way_of_a_search_is_too_old(void **state)
{
    struct fixture f;
    struct letter l;
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = PIM_ERR_INIT;
    uint64_t count;

    (void)state;
    prepare(&f, NULL, NULL);
    for (int64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(other_says(&f, G(1), seq, now(), NULL, 1), PIM_OK);
    assert_int_equal(memory->trim(f.other, &call, &G(1), 10, &count, &err), PIM_OK);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now() - 3 * SKEW_MS, 1, "may be gone"), PIM_SENT_TOO_OLD);
    assert_int_equal(say(&f, &l, G(1), 7, now() + SKEW_MS - 1000, 1, "cannot be gone"), PIM_SENT_STORED);
    finish(&f);
}

static void
rows_of_the_server_itself_know_no_window_and_no_budget(void **state)
{
    struct fixture f;
    struct letter l;
    int64_t old = now() - 30 * 86400000ll;

    (void)state;
    prepare(&f, NULL, NULL);
    for (int64_t seq = 1; seq <= 2500; seq++)
        assert_int_equal(other_says(&f, G(1), seq, now(), NULL, 1), PIM_OK);
    f.limits.search_rows_per_s = 1000;
    hook.denied = 7;
    start(&f);
    for (int round = 0; round < 2; round++) { /* done again after a crash: harmless */
        letter_init(&l, G(1), 7, old, 1, "owed");
        l.send.flags = PIM_SEND_EXEMPT;
        post(&f, &l, 1);
        assert_int_equal(wait_for(&l), round == 0 ? PIM_SENT_STORED : PIM_SENT_BEFORE);
        assert_int_equal(l.send.seq, 2501);
    }
    finish(&f);
}

/* --- 3.3
 * ------------------------------------------------------------------------------------------------------------------ */

static void
times_never_fall_and_are_not_before_the_ids_time_less_skew(void **state)
{
    struct fixture f;
    struct letter l;
    int64_t ahead = now() + 40000; /* another node's clock, or ours before it was set back */

    (void)state;
    prepare(&f, NULL, NULL);
    assert_int_equal(other_says(&f, G(1), 1, ahead, NULL, 1), PIM_OK);
    start(&f);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 1, "slow clock"), PIM_SENT_STORED);
    assert_true(l.send.created_ms >= ahead);
    assert_int_equal(say(&f, &l, G(1), 7, now(), 2, "and again"), PIM_SENT_STORED);
    assert_true(l.send.created_ms >= ahead);
    for (int i = 0; i < 20; i++) { /* ids of clients whose clocks are fast, each within the skew */
        int64_t id_ms = now() + SKEW_MS - 100 - i;

        assert_int_equal(say(&f, &l, G(2), 20 + i, id_ms, 1, "fast"), PIM_SENT_STORED);
        assert_true(l.send.created_ms >= id_ms - SKEW_MS);
    }
    /* timed delivery: the id carries the time of delivery, also where it is ahead of our clock */
    letter_init(&l, G(2), 50, now() + 5 * SKEW_MS, 1, "timed");
    l.send.flags = PIM_SEND_EXEMPT;
    post(&f, &l, 1);
    assert_int_equal(wait_for(&l), PIM_SENT_STORED);
    assert_true(l.send.created_ms >= pim_uuid7_ms(l.send.cid) - SKEW_MS);
    assert_int_equal(say(&f, &l, G(2), 51, now(), 1, "after it"), PIM_SENT_STORED);
    look(&f, G(1), NULL); /* says so when a time or a day falls */
    look(&f, G(2), NULL);
    finish(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cold_conversation_is_read_from_its_tail),
        cmocka_unit_test(where_another_writer_was_faster_its_rows_are_read_and_numbers_given_again),
        cmocka_unit_test(a_conversation_that_moved_is_appended_alone),
        cmocka_unit_test(no_number_is_skipped_or_given_twice),
        cmocka_unit_test(a_resend_is_answered_with_the_first_ones_id_and_number),
        cmocka_unit_test(a_resend_after_a_restart_too),
        cmocka_unit_test(the_same_id_with_another_body_is_a_conflict),
        cmocka_unit_test(copies_in_one_run_share_its_outcome),
        cmocka_unit_test(older_than_the_window_is_searched_first_and_refused_after),
        cmocka_unit_test(ahead_of_the_clock_is_searched_first_and_refused_after),
        cmocka_unit_test(ids_that_rise_need_no_search),
        cmocka_unit_test(an_id_that_the_server_made_needs_no_search),
        cmocka_unit_test(a_search_holds_back_only_its_senders_later_messages),
        cmocka_unit_test(a_search_that_is_older_than_the_applied_head_does_not_count),
        cmocka_unit_test(a_search_out_of_budget_is_busy_and_goes_on_where_it_stopped),
        cmocka_unit_test(a_floor_in_the_way_of_a_search_is_too_old),
        cmocka_unit_test(rows_of_the_server_itself_know_no_window_and_no_budget),
        cmocka_unit_test(times_never_fall_and_are_not_before_the_ids_time_less_skew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
