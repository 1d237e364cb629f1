#include "im_fixture.h"

#define CONVS 100 /* more than one write holds */

struct wanted {
    const char *device;
    struct pim_mark marks[2 * CONVS];
    uint32_t n;
};

static int
on_mark(void *ctx, const struct pim_mark *mark)
{
    struct wanted *w = ctx;

    w->marks[w->n++] = *mark;
    return 0;
}

static void
list_marks(struct pim_lease *lease, void *ctx)
{
    struct wanted *w = ctx;
    struct pim_err err = PIM_ERR_INIT;

    assert_true(pim_position_list(lease, 1, w->device, on_mark, w, &err) >= 0);
}

static const struct pim_mark *
only_mark(const char *device)
{
    static struct wanted w;

    w = (struct wanted){.device = device};
    run_on(PIM_POOL_RECORDS_READ, list_marks, &w);
    assert_int_equal(w.n, 1);
    return &w.marks[0];
}

static void
raise(const char *device, int64_t seq, int64_t ord, int64_t read_seq, int64_t read_ord)
{
    struct pim_mark mark = {.user_id = 1, .conv = pim_conv_users(1, 2), .seq = seq, .ord = ord, .read_seq = read_seq,
                            .read_ord = read_ord};

    snprintf(mark.device, sizeof mark.device, "%s", device);
    pim_position_raise(im, &mark);
}

static void
marks_only_rise(void **state)
{
    const struct pim_mark *mark;

    (void)state;
    raise("d", 5, 4, 0, 0);
    raise("d", 3, 9, 2, 2);
    raise("", 1, 1, 0, 0);
    pim_positions_drain(im, 10000);
    mark = only_mark("d");
    assert_true(mark->seq == 5 && mark->ord == 4 && mark->read_seq == 2 && mark->read_ord == 2);
    assert_string_equal(mark->device, "d");
    raise("d", 4, 4, 7, 6); /* against what is stored now, not what is in memory */
    pim_positions_drain(im, 10000);
    mark = only_mark("d");
    assert_true(mark->seq == 5 && mark->ord == 4 && mark->read_seq == 7 && mark->read_ord == 6);
    assert_int_equal(only_mark("")->seq, 1); /* devices are kept apart */
}

/* What is raised is seen at once, stored or not. */
static void
readers_see_what_is_not_stored_yet(void **state)
{
    struct pim_mark mark = {.user_id = 1, .device = "d", .conv = pim_conv_users(1, 2), .seq = 2, .ord = 2};

    (void)state;
    raise("d", 9, 8, 0, 0);
    raise("x", 99, 99, 0, 0);
    pim_position_overlay(im, &mark);
    assert_true(mark.seq == 9 && mark.ord == 8);
    mark.seq = 50;
    pim_position_overlay(im, &mark);
    assert_int_equal(mark.seq, 50);
}

static void
all_are_there_after_a_restart(void **state)
{
    static struct wanted w;

    (void)state;
    for (int64_t i = 0; i < CONVS; i++) {
        struct pim_mark mark = {.user_id = 1, .device = "d", .conv = pim_conv_group(1000 + i), .seq = i + 1, .ord = i};

        pim_position_raise(im, &mark);
    }
    im_down(); /* writes them */
    im_up();
    w = (struct wanted){.device = "d"};
    run_on(PIM_POOL_RECORDS_READ, list_marks, &w);
    assert_int_equal(w.n, CONVS);
    for (uint32_t i = 0; i < CONVS; i++) /* in the order of conversations */
        assert_true(w.marks[i].conv.a == 1000 + i && w.marks[i].seq == i + 1 && w.marks[i].ord == i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(marks_only_rise, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(readers_see_what_is_not_stored_yet, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(all_are_there_after_a_restart, im_setup, im_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
