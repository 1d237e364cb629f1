/* storage-abi 3.3: when the clock is not fit to number messages by. */
#include "data/clock_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WALL 1764000000000
#define BOOT 5000000

static void
a_jump_is_seen_and_its_end_too(void **state)
{
    struct pim_clock_guard guard;

    (void)state;
    pim_clock_guard_init(&guard, WALL, BOOT);
    assert_true(pim_clock_guard_is_good(&guard, WALL + 1000, BOOT + 1000));
    assert_true(pim_clock_guard_is_good(&guard, WALL + 1000 + 29999, BOOT + 1000));
    assert_false(pim_clock_guard_is_good(&guard, WALL + 1000 + 30000, BOOT + 1000));
    assert_true(pim_clock_guard_is_good(&guard, WALL + 1000 - 29999, BOOT + 1000));
    assert_false(pim_clock_guard_is_good(&guard, WALL + 1000 - 30000, BOOT + 1000));
    assert_true(pim_clock_guard_is_good(&guard, WALL + 2000, BOOT + 2000));
}

static void
an_engine_with_a_clock_is_the_measure(void **state)
{
    struct pim_clock_guard guard;

    (void)state;
    pim_clock_guard_init(&guard, WALL, BOOT);
    pim_clock_guard_engine(&guard, WALL, 0); /* it has none */
    assert_false(pim_clock_guard_is_good(&guard, WALL + 40000, BOOT));
    pim_clock_guard_engine(&guard, WALL + 40000, WALL + 39000);
    assert_true(pim_clock_guard_is_good(&guard, WALL + 40000, BOOT)); /* it was our start that was wrong */
    pim_clock_guard_engine(&guard, WALL + 40000, WALL);
    assert_false(pim_clock_guard_is_good(&guard, WALL + 40000, BOOT + 40000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_jump_is_seen_and_its_end_too),
                                       cmocka_unit_test(an_engine_with_a_clock_is_the_measure)};

    return cmocka_run_group_tests_name("data/clock_guard", tests, NULL, NULL);
}
