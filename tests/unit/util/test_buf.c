#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/buf.h"

#include <stdio.h>
#include <string.h>

static void
the_limit_holds_to_the_byte(void **state)
{
    struct pim_buf buf;

    (void)state;
    pim_buf_init(&buf, 10);
    assert_int_equal(pim_buf_adds(&buf, "12345678"), PIM_OK);
    assert_int_equal(pim_buf_adds(&buf, "abc"), PIM_ERR_TOO_LARGE);
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 8); /* all or nothing */
    assert_int_equal(pim_buf_adds(&buf, "90"), PIM_OK);
    assert_int_equal(pim_buf_addc(&buf, 'x'), PIM_ERR_TOO_LARGE);
    assert_int_equal(pim_buf_reserve(&buf, SIZE_MAX), PIM_ERR_TOO_LARGE);
    assert_string_equal(pim_buf_cstr(&buf), "1234567890");
    pim_buf_clear(&buf);
    assert_false(buf.overflow);
    assert_int_equal(buf.len, 0);
    pim_buf_fini(&buf);
    assert_int_equal(pim_buf_adds(&buf, "12345678901"), PIM_ERR_TOO_LARGE); /* the limit is kept */
    assert_int_equal(pim_buf_adds(&buf, "1234567890"), PIM_OK);
    pim_buf_fini(&buf);
}

static void
empty_is_an_empty_text(void **state)
{
    struct pim_buf buf;

    (void)state;
    pim_buf_init(&buf, 100);
    assert_string_equal(pim_buf_cstr(&buf), "");
    assert_int_equal(pim_buf_add(&buf, NULL, 0), PIM_OK);
    pim_buf_consume(&buf, 0);
    assert_int_equal(buf.len, 0);
    pim_buf_fini(&buf);
}

static void
the_front_goes_and_the_rest_stays(void **state)
{
    struct pim_buf buf;

    (void)state;
    pim_buf_init(&buf, 1000);
    for (int i = 0; i < 200; i++)
        pim_buf_addc(&buf, (char)('a' + i % 26));
    pim_buf_consume(&buf, 3);
    assert_int_equal(buf.len, 197);
    assert_int_equal(buf.data[0], 'd');
    pim_buf_consume(&buf, 197);
    assert_int_equal(buf.len, 0);
    pim_buf_fini(&buf);
}

static void
numbers(void **state)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, 99, 100, 1234567890123, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    struct pim_buf buf;

    (void)state;
    pim_buf_init(&buf, 100);
    for (size_t i = 0; i < PIM_COUNT(values); i++) {
        char want[32];

        snprintf(want, sizeof want, "%lld", (long long)values[i]);
        pim_buf_clear(&buf);
        pim_buf_add_int(&buf, values[i]);
        assert_string_equal(pim_buf_cstr(&buf), want);
    }
    pim_buf_clear(&buf);
    pim_buf_addf(&buf, "%s=%d", "x", 5);
    assert_string_equal(pim_buf_cstr(&buf), "x=5");
    pim_buf_fini(&buf);
}

static void
texts_as_json(void **state)
{
    struct pim_buf buf;

    (void)state;
    pim_buf_init(&buf, 100);
    pim_buf_add_json(&buf, "a\"\\\b\f\n\r\t\x01\x1f/\x7f\xc3\xa9\0z", 16);
    assert_int_equal(buf.len, strlen("\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7f\xc3\xa9\\u0000z\""));
    assert_string_equal(pim_buf_cstr(&buf), "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7f\xc3\xa9\\u0000z\"");
    pim_buf_clear(&buf);
    pim_buf_add_json(&buf, "", 0);
    assert_string_equal(pim_buf_cstr(&buf), "\"\"");
    pim_buf_fini(&buf);

    pim_buf_init(&buf, 12); /* six bytes for one: it must not stop in the middle */
    pim_buf_adds(&buf, "12345");
    assert_int_equal(pim_buf_add_json(&buf, "a\x01", 2), PIM_ERR_TOO_LARGE);
    assert_int_equal(buf.len, 5);
    pim_buf_fini(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_holds_to_the_byte), cmocka_unit_test(empty_is_an_empty_text),
        cmocka_unit_test(the_front_goes_and_the_rest_stays), cmocka_unit_test(numbers), cmocka_unit_test(texts_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
