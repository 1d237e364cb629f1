/* What the fields of an account may hold, how long one waits after failed tries, which sessions are remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "im/account.h"
#include "im/account_priv.h"
#include "im/session_cache.h"
#include "im/throttle.h"

#include <stdio.h>
#include <string.h>

static const struct pim_im_config config = {
    .name_chars = 10, .email_chars = 100, .password_min = 8, .password_max = 16, .sign_in_free_tries = 5,
    .sign_in_max_delay_s = 900, .sign_in_hard_stop = 100, .sign_ups_per_hour_per_address = 3, .friend_requests_per_day = 30};

static void
addresses_are_read(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        {"a@b.c", "a@b.c"},         {"Ann.Lee+x@Mail.Example.ORG", "ann.lee+x@mail.example.org"},
        {"a@localhost", "a@localhost"}, {"a_b-c'd@x-y.de", "a_b-c'd@x-y.de"},
        {"", NULL},                 {"a", NULL},         {"@b.c", NULL},     {"a@", NULL},        {"a@b@c", NULL},
        {".a@b.c", NULL},           {"a.@b.c", NULL},    {"a..b@c.d", NULL}, {"a b@c.d", NULL},   {"a@b c", NULL},
        {"a@-b.c", NULL},           {"a@b-.c", NULL},    {"a@b..c", NULL},   {"a@.b", NULL},      {"a@b.", NULL},
        {"a\r\nBcc: x@b.c", NULL},  {"\xc3\xa4@b.c", NULL}, {"a@b\xc3\xa4.c", NULL}, {"\"a\"@b.c", NULL}, {"a@[1.2.3.4]", NULL},
        {"<a@b.c>", NULL},          {"a,b@c.d", NULL},
    };
    char email[255], text[300];

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        const char *why = pim_account_email_read(&config, cases[i].text, strlen(cases[i].text), email);

        if ((why == NULL) != (cases[i].want != NULL))
            fail_msg("%s: %s", cases[i].text, why != NULL ? why : "taken");
        if (why == NULL)
            assert_string_equal(email, cases[i].want);
    }
    assert_non_null(pim_account_email_read(&config, "a\0@b.c", 6, email));
    memset(text, 'a', sizeof text);
    memcpy(text + 60, "@b.c", 4);
    assert_null(pim_account_email_read(&config, text, 64, email));
    memset(text, 'a', 65);
    memcpy(text + 65, "@b.c", 4);
    assert_non_null(pim_account_email_read(&config, text, 69, email));
    assert_non_null(pim_account_email_read(&config, text, 101, email));
}

static void
names_passwords_and_numbers_have_bounds(void **state)
{
    (void)state;
    assert_null(pim_account_name_bad(&config, "0123456789", 10));
    assert_null(pim_account_name_bad(&config, "\xe5\xbc\xa0\xe5\xbc\xa0\xe5\xbc\xa0\xe5\xbc\xa0", 12));
    assert_non_null(pim_account_name_bad(&config, "01234567890", 11));
    assert_non_null(pim_account_name_bad(&config, "", 0));
    assert_non_null(pim_account_name_bad(&config, "  ", 2));
    assert_non_null(pim_account_name_bad(&config, "a\nb", 3));
    assert_non_null(pim_account_name_bad(&config, "a\xff", 2));
    assert_non_null(pim_account_name_bad(&config, "a\xe2\x80\xae", 4)); /* RIGHT-TO-LEFT OVERRIDE */
    assert_null(pim_account_password_bad(&config, "12345678", 8));
    assert_non_null(pim_account_password_bad(&config, "1234567", 7));
    assert_non_null(pim_account_password_bad(&config, "\xe5\xbc\xa0\xe5\xbc\xa0\xe5\xbc\xa0", 9)); /* three characters */
    assert_non_null(pim_account_password_bad(&config, "12345678901234567", 17));
    assert_non_null(pim_account_password_bad(&config, "1234567\0x", 9));
    assert_null(pim_account_mobile_bad("", 0));
    assert_null(pim_account_mobile_bad("13800138000", 11));
    assert_non_null(pim_account_mobile_bad("1380013800", 10));
    assert_non_null(pim_account_mobile_bad("1380013800a", 11));
}

static void
waiting_doubles_and_ends(void **state)
{
    (void)state;
    assert_int_equal(pim_throttle_wait_s(&config, 0, 0), 0);
    assert_int_equal(pim_throttle_wait_s(&config, 4, 0), 0);
    assert_int_equal(pim_throttle_wait_s(&config, 5, 0), 1);
    assert_int_equal(pim_throttle_wait_s(&config, 6, 0), 2);
    assert_int_equal(pim_throttle_wait_s(&config, 9, 0), 16);
    assert_int_equal(pim_throttle_wait_s(&config, 9, 15500), 1);
    assert_int_equal(pim_throttle_wait_s(&config, 9, 16000), 0);
    assert_int_equal(pim_throttle_wait_s(&config, 20, 0), 900);
    assert_int_equal(pim_throttle_wait_s(&config, 99, 0), 900);
    assert_int_equal(pim_throttle_wait_s(&config, 99, 900000), 0);
    assert_int_equal(pim_throttle_wait_s(&config, 100, 900000), 86400 - 900);
    assert_int_equal(pim_throttle_wait_s(&config, 100, 86400000), 0);
    assert_int_equal(pim_throttle_wait_s(&config, 9, -5000), 16); /* the clock went back */
}

static void
networks_are_told_apart(void **state)
{
    (void)state;
    assert_true(pim_address_network("192.0.2.1") == pim_address_network("192.0.2.200"));
    assert_true(pim_address_network("192.0.2.1") != pim_address_network("192.0.3.1"));
    assert_true(pim_address_network("2001:db8::1") == pim_address_network("2001:db8::ffff:1"));
    assert_true(pim_address_network("2001:db8::1") != pim_address_network("2001:db8:0:1::1"));
    assert_true(pim_address_network("::1") != 0);
    assert_int_equal(pim_address_network("x"), 0);
}

static void
an_address_is_slowed_down(void **state)
{
    static const struct pim_auth_bind auth;
    struct pim_accounts *accounts;
    struct pim_im *im;

    (void)state;
    assert_int_equal(pim_im_new(&config, NULL, &auth, &im, NULL), PIM_OK);
    accounts = pim_im_accounts(im);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pim_throttle_address(accounts, "192.0.2.1", false), 0);
        pim_throttle_address_result(accounts, "192.0.2.1", false, false);
    }
    assert_true(pim_throttle_address(accounts, "192.0.2.99", false) > 0);
    assert_int_equal(pim_throttle_address(accounts, "198.51.100.1", false), 0);
    pim_throttle_address_result(accounts, "192.0.2.1", false, true);
    assert_int_equal(pim_throttle_address(accounts, "192.0.2.1", false), 0);
    for (int i = 0; i < 50; i++)
        pim_throttle_address_result(accounts, "127.0.0.1", true, false);
    assert_int_equal(pim_throttle_address(accounts, "127.0.0.1", true), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pim_throttle_sign_up(accounts, "192.0.2.1", false), 0);
    assert_in_range(pim_throttle_sign_up(accounts, "192.0.2.7", false), 3500, 3600);
    assert_int_equal(pim_throttle_sign_up(accounts, "192.0.3.1", false), 0);
    for (int i = 0; i < 30; i++)
        assert_true(pim_throttle_daily(accounts, 7, 30));
    assert_false(pim_throttle_daily(accounts, 7, 30));
    for (int i = 0; i < PIM_CHANGES_PER_MINUTE; i++)
        assert_true(pim_throttle_change(accounts, 8));
    assert_false(pim_throttle_change(accounts, 8));
    for (int i = 0; i < PIM_TRIES_AT_ONCE; i++)
        assert_true(pim_throttle_enter(accounts, "a@b.c"));
    assert_false(pim_throttle_enter(accounts, "a@b.c"));
    assert_true(pim_throttle_enter(accounts, "b@b.c"));
    pim_throttle_leave(accounts, "a@b.c");
    assert_true(pim_throttle_enter(accounts, "a@b.c"));
    pim_im_free(&im);
}

static void
a_session_is_remembered_until_it_ends(void **state)
{
    struct pim_session_cache *cache = pim_session_cache_new();
    uint64_t era = pim_session_cache_era(cache);

    (void)state;
    assert_false(pim_session_cache_has(cache, "a", 1, 100, 50));
    pim_session_cache_put(cache, "a", 1, 100, era);
    pim_session_cache_put(cache, "b", 1, 100, era);
    pim_session_cache_put(cache, "c", 2, 100, era);
    assert_true(pim_session_cache_has(cache, "a", 1, 150, 50));
    assert_false(pim_session_cache_has(cache, "a", 1, 151, 50));
    assert_false(pim_session_cache_has(cache, "a", 2, 100, 50));
    pim_session_cache_drop(cache, 1, NULL, "a");
    assert_true(pim_session_cache_has(cache, "a", 1, 100, 50));
    assert_false(pim_session_cache_has(cache, "b", 1, 100, 50));
    assert_true(pim_session_cache_has(cache, "c", 2, 100, 50));
    /* a look-up that began before the end comes too late */
    pim_session_cache_put(cache, "b", 1, 100, era);
    assert_false(pim_session_cache_has(cache, "b", 1, 100, 50));
    pim_session_cache_drop(cache, 2, "c", NULL);
    assert_false(pim_session_cache_has(cache, "c", 2, 100, 50));
    assert_int_equal(pim_session_cache_count(cache), 1);
    for (int i = 0; i < 100000; i++) {
        char id[32];

        snprintf(id, sizeof id, "s%d", i);
        pim_session_cache_put(cache, id, 3, 200 + i, pim_session_cache_era(cache));
        assert_true(pim_session_cache_has(cache, id, 3, 200 + i, 50));
    }
    assert_true(pim_session_cache_count(cache) <= 16384);
    pim_session_cache_free(&cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(names_passwords_and_numbers_have_bounds),
        cmocka_unit_test(waiting_doubles_and_ends),
        cmocka_unit_test(networks_are_told_apart),
        cmocka_unit_test(an_address_is_slowed_down),
        cmocka_unit_test(a_session_is_remembered_until_it_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
