/* Who may say something where, from the records through the append thread. */
#include "im_fixture.h"

enum { ANN = 11, BOB = 12, CAT = 13, DAN = 14, TEA = 900 };

static void
people(void)
{
    put(user_put, ANN, 0, 0);
    put(user_put, BOB, 0, 0);
    put(user_put, CAT, 0, 0);
    befriend(ANN, BOB);
}

static int
say(int64_t from, int64_t to)
{
    return send_and_wait(0, from, to, NULL, "{\"content\":\"x\"}", NULL);
}

static void
friends_and_others(void **state)
{
    struct pim_conv conv = pim_conv_users(ANN, BOB);

    (void)state;
    people();
    assert_int_equal(say(ANN, BOB), 200);
    assert_int_equal(say(BOB, ANN), 200);
    assert_int_equal(say(ANN, ANN), 200); /* notes to oneself */
    assert_int_equal(say(ANN, CAT), 403);
    assert_int_equal(say(ANN, DAN), 404);
    put(relation_put, CAT, ANN, 1); /* one way is no friendship */
    pim_msglog_rights_changed(pim_data_log(data), &(struct pim_conv){.kind = 'u', .a = ANN, .b = CAT});
    assert_int_equal(say(ANN, CAT), 403);
    put(relation_put, BOB, ANN, 3); /* Bob blacklists Ann: he may still write to her */
    pim_msglog_rights_changed(pim_data_log(data), &conv);
    assert_int_equal(say(ANN, BOB), 403);
    assert_int_equal(say(BOB, ANN), 200);
}

static void
owe_row(struct pim_lease *lease, void *ctx)
{
    static const char body[] = "{\"event\":\"unfriended\",\"user_id\":12}";
    struct pim_owed_list *owed = ctx;
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_conv conv = pim_conv_users(ANN, BOB);

    pim_changes_init(&changes);
    pim_outbox_owe(&changes, owed, &conv, BOB, PIM_ROW_UNFRIENDED, body, sizeof body - 1);
    pim_changes_add(&changes, PIM_W_UPDATE, PIM_K_RELATION, PIM_REL_BY_PAIR, 0);
    pim_changes_key(&changes, pim_v_int(BOB));
    pim_changes_key(&changes, pim_v_int(ANN));
    pim_changes_cell(&changes, PIM_REL_IS_ACCEPT, PIM_SET, pim_v_int(0));
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

static void
on_settled(void *ctx, int rc)
{
    atomic_store((_Atomic int *)ctx, rc == PIM_OK ? 1 : -1);
}

static void
wait_settled(_Atomic int *settled)
{
    for (int i = 0; i < WAIT_S * 100 && atomic_load(settled) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(atomic_load(settled), 1);
}

/* The row of a loss takes effect where it stands: what comes behind it is refused, with nothing else told. */
static void
a_loss_bites_where_its_row_stands(void **state)
{
    struct pim_owed_list owed = STAILQ_HEAD_INITIALIZER(owed);
    _Atomic int settled = 0;

    (void)state;
    people();
    assert_int_equal(say(ANN, BOB), 200);
    run_on(PIM_POOL_RECORDS_WRITE, owe_row, &owed);
    pim_im_settle(im, &owed, on_settled, &settled);
    wait_settled(&settled);
    assert_int_equal(say(ANN, BOB), 403);
}

static void
groups(void **state)
{
    struct pim_send send;

    (void)state;
    people();
    put(group_put, TEA, ANN, 0);
    put(member_put, TEA, ANN, 0);
    put(member_put, TEA, BOB, 0);
    assert_int_equal(send_and_wait(1, ANN, TEA, NULL, "{\"content\":\"x\"}", &send), 200);
    assert_int_equal(send.seq, 1);
    assert_int_equal(send_and_wait(1, BOB, TEA, NULL, "{\"content\":\"x\"}", NULL), 200);
    assert_int_equal(send_and_wait(1, CAT, TEA, NULL, "{\"content\":\"x\"}", NULL), 403);
    assert_int_equal(send_and_wait(1, ANN, TEA + 1, NULL, "{\"content\":\"x\"}", NULL), 404);
    put(member_put, TEA, CAT, 2);
    pim_msglog_rights_changed(pim_data_log(data), &(struct pim_conv){.kind = 'g', .a = TEA});
    assert_int_equal(send_and_wait(1, CAT, TEA, NULL, "{\"content\":\"x\"}", NULL), 200);
}

static void
numbers_of_events(void **state)
{
    static const char body[] = "{\"event\":\"member_left\",\"user_id\":1234567890123,\"name\":\"\\\"user_id\\\":9\"}";

    (void)state;
    assert_true(pim_event_number(body, sizeof body - 1, "user_id") == 1234567890123);
    assert_int_equal(pim_event_number(body, sizeof body - 1, "group_id"), 0);
    assert_int_equal(pim_event_number(body, sizeof body - 1, "name"), 0);
    assert_int_equal(pim_event_number("", 0, "user_id"), 0);
    assert_int_equal(pim_event_number("{\"user_id\":7", 12, "user_id"), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(friends_and_others, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(a_loss_bites_where_its_row_stands, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(groups, im_setup, im_teardown),
        cmocka_unit_test(numbers_of_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
