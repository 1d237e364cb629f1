/* Our own look at tokens alone: libjwt, which would refuse some of these as well, is not there to help. */
#include "../../../plugins/auth/token_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
headers_are_exactly_two_members(void **state)
{
    static const struct {
        const char *json;
        bool valid;
    } cases[] = {
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", true},
        {"\n{ \"typ\" : \"JWT\" , \"alg\" : \"HS256\" }\t", true},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}x", false},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}}", false},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"", false},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\"}", false},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", false},
        {"{\"typ\":\"JWT\",\"typ\":\"JWT\"}", false},
        {"{\"alg\":\"HS256\"}", false},
        {"{\"alg\":\"HS2566\",\"typ\":\"JWT\"}", false},
        {"{\"alg\":\"HS512\",\"typ\":\"JWT\"}", false},
        {"{\"alg\":\"none\",\"typ\":\"JWT\"}", false},
        {"{,\"alg\":\"HS256\",\"typ\":\"JWT\"}", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (auth_token_header_valid(cases[i].json, strlen(cases[i].json)) != cases[i].valid)
            fail_msg("%s", cases[i].json);
}

static void
bytes_have_one_spelling(void **state)
{
    static const struct {
        const char *text, *bytes; /* bytes NULL: refused */
    } cases[] = {
        {"", ""},        {"Zg", "f"},    {"Zm8", "fo"},   {"Zm9v", "foo"},  {"Zm9vYg", "foob"}, {"Zh", NULL},
        {"Zm9", NULL},   {"Z", NULL},    {"Zm9vY", NULL}, {"Zg==", NULL},   {"Zg=", NULL},      {"Zm9v\n", NULL},
        {"Zm 9v", NULL}, {"-_-_", "\xfb\xff\xbf"},        {"+/+/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char bytes[8];
        size_t len = 99;
        bool ok = auth_base64url_decode(cases[i].text, strlen(cases[i].text), bytes, sizeof bytes, &len);

        if (ok != (cases[i].bytes != NULL) ||
            (ok && (len != strlen(cases[i].bytes) || memcmp(bytes, cases[i].bytes, len) != 0)))
            fail_msg("%s", cases[i].text);
    }
    {
        unsigned char two[2];
        size_t len;

        assert_false(auth_base64url_decode("Zm9v", 4, two, sizeof two, &len)); /* it does not fit */
    }
}

static void
tokens_have_three_parts_and_a_length(void **state)
{
    static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", sig[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    char token[6000];
    struct auth_token parts;

    (void)state;
    snprintf(token, sizeof token, "%s.e30.%s", head, sig);
    assert_null(auth_token_split(token, strlen(token), &parts));
    assert_int_equal(parts.head_len, strlen(head));
    assert_int_equal(parts.body_len, 3);
    snprintf(token, sizeof token, "%s.%0*d.%s", head, 4096 - (int)(sizeof head + sizeof sig), 0, sig);
    assert_int_equal(strlen(token), 4096);
    assert_null(auth_token_split(token, 4096, &parts));
    snprintf(token, sizeof token, "%s.%0*d.%s", head, 4100 - (int)(sizeof head + sizeof sig), 0, sig);
    assert_non_null(auth_token_split(token, strlen(token), &parts));
    snprintf(token, sizeof token, "%s..%s", head, sig);
    assert_non_null(auth_token_split(token, strlen(token), &parts));
    snprintf(token, sizeof token, ".e30.%s", sig);
    assert_non_null(auth_token_split(token, strlen(token), &parts));
    snprintf(token, sizeof token, "%s.e30.%.42s", head, sig);
    assert_non_null(auth_token_split(token, strlen(token), &parts));
    snprintf(token, sizeof token, "%s.e30.%.42sB", head, sig); /* unused bits that are set */
    assert_non_null(auth_token_split(token, strlen(token), &parts));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_exactly_two_members),
        cmocka_unit_test(bytes_have_one_spelling),
        cmocka_unit_test(tokens_have_three_parts_and_a_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
