#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/clock.h"

#include <stdlib.h>
#include <time.h>

static void
the_clocks_agree_with_the_system(void **state)
{
    int64_t before = (int64_t)time(NULL) * 1000, wall = pim_clock_wall_ms(), mono = pim_clock_mono_us();

    (void)state;
    assert_true(wall >= before - 1000 && wall <= ((int64_t)time(NULL) + 1) * 1000 + 1000);
    assert_true(pim_clock_mono_us() >= mono);
    assert_true(pim_clock_mono_ms() >= mono / 1000);
}

/* Days change at local midnight, not at UTC's; the remembered answer must not outlive its quarter of an hour. */
static void
days_are_local(void **state)
{
    (void)state;
    setenv("TZ", "Asia/Kathmandu", 1); /* +05:45 */
    tzset();
    assert_int_equal(pim_clock_day(1767204900000 - 1), 20251231); /* 2025-12-31 23:59:59.999 there */
    assert_int_equal(pim_clock_day(1767204900000), 20260101);
    assert_int_equal(pim_clock_day(1767204900000 - 1), 20251231);
    assert_int_equal(pim_clock_day(1767225599999), 20260101);
}

static void
times_as_text(void **state)
{
    char text[32];

    (void)state;
    pim_clock_rfc3339(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    pim_clock_rfc3339(text, 1769853600999);
    assert_string_equal(text, "2026-01-31T10:00:00Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clocks_agree_with_the_system),
        cmocka_unit_test(days_are_local),
        cmocka_unit_test(times_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
