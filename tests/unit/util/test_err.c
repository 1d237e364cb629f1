#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/err.h"

#include <string.h>

static void
a_failure_is_written_down(void **state)
{
    struct pim_err err = PIM_ERR_INIT;

    (void)state;
    err.native_code = 5;
    assert_int_equal(pim_err_set(&err, PIM_ERR_TIMEOUT, "after %d ms", 7), PIM_ERR_TIMEOUT);
    assert_int_equal(err.code, PIM_ERR_TIMEOUT);
    assert_int_equal(err.native_code, 0);
    assert_string_equal(err.msg, "after 7 ms");
    assert_int_equal(pim_err_set(NULL, PIM_ERR_FULL, "nobody listens"), PIM_ERR_FULL);
}

static void
a_long_text_is_cut(void **state)
{
    struct pim_err err = PIM_ERR_INIT;
    char text[2 * sizeof err.msg];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    pim_err_set(&err, PIM_ERR_INTERNAL, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

static void
results_have_names(void **state)
{
    (void)state;
    assert_string_equal(pim_err_name(PIM_OK), "OK");
    assert_string_equal(pim_err_name(PIM_MORE), "MORE");
    assert_string_equal(pim_err_name(PIM_ERR_UNCERTAIN), "UNCERTAIN");
    assert_string_equal(pim_err_name(12345), "UNKNOWN");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_written_down),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(results_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
