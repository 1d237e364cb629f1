#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/utf8.h"

#include <string.h>

/* The bytes of a code point as the table of RFC 3629 has them, surrogates and all. */
static size_t
encode(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static void
every_code_point_and_no_surrogate(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        size_t len = encode(bytes, c);
        bool want = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

        if (pim_utf8_valid(bytes, len) != want)
            fail_msg("U+%04X", c);
        for (size_t cut = 1; cut < len; cut++)
            if (pim_utf8_valid(bytes, cut))
                fail_msg("U+%04X cut at %zu", c, cut);
    }
}

static const struct {
    const char *bytes;
    size_t len;
} bad[] = {{"\x80", 1},         {"\xbf", 1},         {"\xc0\x80", 2},         {"\xc1\xbf", 2},     {"\xe0\x9f\xbf", 3},
           {"\xf0\x8f\xbf\xbf", 4}, {"\xf5\x80\x80\x80", 4}, {"\xf8\x88\x80\x80\x80", 5}, {"\xfe", 1},  {"\xff", 1},
           {"a\xc3", 2},        {"\xc3(", 2},        {"\xe4\xbd(", 3},        {"\xed\xa0\x80\xed\xb0\x80", 6}};

static void
broken_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pim_utf8_valid(bad[i].bytes, bad[i].len))
            fail_msg("text %zu", i);
    assert_true(pim_utf8_valid("", 0));
}

/* Whatever the pieces, and the first byte that cannot be is refused at once. */
static void
pieces(void **state)
{
    static const char text[] = "a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80z";

    (void)state;
    for (size_t first = 0; first < sizeof text - 1; first++) {
        for (size_t second = first; second < sizeof text; second++) {
            struct pim_utf8 utf8 = {0};

            assert_true(pim_utf8_feed(&utf8, text, first));
            assert_true(pim_utf8_feed(&utf8, text + first, second - first));
            assert_true(pim_utf8_feed(&utf8, text + second, sizeof text - 1 - second));
            assert_int_equal(utf8.need, 0);
        }
    }
    for (int byte = 0; byte < 256; byte++) { /* U+D800 begins with ED A0 */
        struct pim_utf8 utf8 = {0};
        uint8_t next = (uint8_t)byte;

        assert_true(pim_utf8_feed(&utf8, "\xed", 1));
        assert_true(pim_utf8_feed(&utf8, &next, 1) == (byte >= 0x80 && byte <= 0x9f));
    }
}

static void
characters_are_counted(void **state)
{
    (void)state;
    assert_int_equal(pim_utf8_chars("", 0), 0);
    assert_int_equal(pim_utf8_chars("a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80", 10), 4);
}

static void
lines_for_names(void **state)
{
    static const char *const not_lines[] = {"a\nb", "\t", "\x7f", "a\xc2\x85", "\xc2\x9f", "x\xe2\x80\xaey",
                                            "\xe2\x80\xaa", "\xe2\x81\xa6", "\xe2\x81\xa9", "\xff"};
    static const char *const lines[] = {"", "Ann", "\xc2\xa0", "\xe2\x80\xa9no", "\xe2\x80\x99", "\xe4\xbd\xa0",
                                        "\xe2\x81\xaa", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof not_lines / sizeof not_lines[0]; i++)
        if (pim_utf8_is_line(not_lines[i], strlen(not_lines[i])))
            fail_msg("text %zu is taken", i);
    assert_false(pim_utf8_is_line("a\0b", 3));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!pim_utf8_is_line(lines[i], strlen(lines[i])))
            fail_msg("text %zu is refused", i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_and_no_surrogate), cmocka_unit_test(broken_texts), cmocka_unit_test(pieces),
        cmocka_unit_test(characters_are_counted),            cmocka_unit_test(lines_for_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
