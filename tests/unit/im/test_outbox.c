/* A change of the records owes rows of the log: they come once, whatever happens between the commit and the append. */
#include "im_fixture.h"

#define USER 5
#define ROWS 3

static void
owe(struct pim_lease *lease, void *ctx)
{
    struct pim_owed_list *owed = ctx;
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_conv conv = pim_conv_events(USER);

    pim_changes_init(&changes);
    for (int i = 0; i < ROWS; i++) {
        char body[64];
        int len = snprintf(body, sizeof body, "{\"event\":\"friend_changed\",\"user_id\":%d}", i);

        pim_outbox_owe(&changes, owed, &conv, PIM_SYSTEM_SENDER, PIM_ROW_FRIEND_CHANGED, body, (size_t)len);
    }
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

static int32_t
count_one(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)vals;
    (void)n_vals;
    ++*(uint32_t *)ctx;
    return 0;
}

static void
count_owed(struct pim_lease *lease, void *ctx)
{
    struct pim_query query = {.kind = PIM_K_OUTBOX, .index = PIM_OUT_BY_ID, .limit = 100, .cols = PIM_COL(PIM_OUT_ID)};
    struct pim_err err = PIM_ERR_INIT;

    assert_true(pim_rec_list(lease, &query, count_one, ctx, &err) >= 0);
}

/* Entries of the outbox, once there are `want` of them or time is up. */
static uint32_t
owed_now(uint32_t want)
{
    uint32_t n = 0;

    for (int i = 0; i < WAIT_S * 50; i++) {
        n = 0;
        run_on(PIM_POOL_RECORDS_READ, count_owed, &n);
        if (n == want)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return n;
}

struct rows {
    uint32_t n;
    char bodies[16][64];
};

static int32_t
on_row(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct rows *rows = ctx;

    (void)item;
    assert_true(rows->n < PIM_COUNT(rows->bodies) && msg->seq == rows->n + 1 && msg->ord == 0);
    snprintf(rows->bodies[rows->n++], 64, "%.*s", (int)msg->body_len, (const char *)msg->body);
    return 0;
}

static void
read_rows(struct pim_lease *lease, void *ctx)
{
    struct pim_history page = {
        .struct_size = sizeof page, .conv = pim_conv_events(USER), .from_seq = 1, .to_seq = INT64_MAX, .limit = 100};
    struct pim_err err = PIM_ERR_INIT;

    assert_true(lease->ops->history(lease->conn, &lease->call, &page, on_row, ctx, &err) >= 0);
}

static void
rows_must_be_there_once(void)
{
    struct rows rows = {.n = 0};

    run_on(PIM_POOL_MESSAGES_READ, read_rows, &rows);
    assert_int_equal(rows.n, ROWS);
    for (int i = 0; i < ROWS; i++) {
        char want[64];

        snprintf(want, sizeof want, "{\"event\":\"friend_changed\",\"user_id\":%d}", i);
        assert_string_equal(rows.bodies[i], want);
    }
}

static void
on_settled(void *ctx, int rc)
{
    atomic_store((_Atomic int *)ctx, rc == PIM_OK ? 1 : -1);
}

static void
settle(struct pim_owed_list *owed)
{
    _Atomic int settled = 0;

    pim_im_settle(im, owed, on_settled, &settled);
    for (int i = 0; i < WAIT_S * 100 && atomic_load(&settled) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(atomic_load(&settled), 1);
}

static void
what_is_owed_is_paid(void **state)
{
    struct pim_owed_list owed = STAILQ_HEAD_INITIALIZER(owed);
    struct pim_peer peer = {.ref = {4, 1}, .worker = 1};

    (void)state;
    settle(&owed); /* nothing owed: at once */
    pim_presence_add(im, USER, &peer, "s");
    run_on(PIM_POOL_RECORDS_WRITE, owe, &owed);
    assert_int_equal(owed_now(ROWS), ROWS);
    settle(&owed);
    assert_true(STAILQ_EMPTY(&owed));
    assert_int_equal(edge_wait(PIM_ENTRY_ROW, ROWS)->row.seq, ROWS);
    assert_int_equal(owed_now(0), 0);
    rows_must_be_there_once();
}

/* The process ends between the commit and the append. */
static void
a_restart_pays_what_is_left(void **state)
{
    struct pim_owed_list owed = STAILQ_HEAD_INITIALIZER(owed);

    (void)state;
    run_on(PIM_POOL_RECORDS_WRITE, owe, &owed);
    pim_owed_list_fini(&owed);
    im_down();
    im_up();
    assert_int_equal(owed_now(0), 0);
    rows_must_be_there_once();
}

/* It ends between the append and the emptying of the outbox: the second try finds the client ids. */
static void
nothing_is_paid_twice(void **state)
{
    struct pim_owed_list owed = STAILQ_HEAD_INITIALIZER(owed), again = STAILQ_HEAD_INITIALIZER(again);
    struct pim_owed *it;

    (void)state;
    run_on(PIM_POOL_RECORDS_WRITE, owe, &owed);
    STAILQ_FOREACH (it, &owed, link) {
        struct pim_owed *copy = pim_new(sizeof *copy);

        *copy = *it;
        copy->body = pim_strndup(it->body, it->body_len);
        STAILQ_INSERT_TAIL(&again, copy, link);
    }
    settle(&owed);
    assert_int_equal(owed_now(0), 0);
    STAILQ_FOREACH (it, &again, link)
        it->send.flags = 0; /* as a replay has it: the id is searched for */
    settle(&again);
    rows_must_be_there_once();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_owed_is_paid, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(a_restart_pays_what_is_left, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_paid_twice, im_setup, im_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
