#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/handshake.h"

#include <string.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const struct {
    const char *what, *upgrade, *connection, *version, *key;
    int status; /* 0: good */
} requests[] = {
    {"a plain one", "websocket", "Upgrade", "13", KEY, 0},
    {"other letters", "WebSocket", "keep-alive, uPGRADE", "13", KEY, 0},
    {"among others", "h2c, websocket", "Upgrade", "13", KEY, 0},
    {"no upgrade", NULL, "Upgrade", "13", KEY, 400},
    {"another upgrade", "h2c", "Upgrade", "13", KEY, 400},
    {"a longer word", "websockets", "Upgrade", "13", KEY, 400},
    {"no connection", "websocket", NULL, "13", KEY, 400},
    {"another connection", "websocket", "keep-alive", "13", KEY, 400},
    {"no version", "websocket", "Upgrade", NULL, KEY, 426},
    {"an old version", "websocket", "Upgrade", "8", KEY, 426},
    {"two versions", "websocket", "Upgrade", "13, 8", KEY, 426},
    {"no key", "websocket", "Upgrade", "13", NULL, 400},
    {"an empty key", "websocket", "Upgrade", "13", "", 400},
    {"a short key", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j", 400},
    {"a long key", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQAA", 400},
    {"two keys", "websocket", "Upgrade", "13", KEY ", " KEY, 400},
    {"no base64", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZ!==", 400},
    {"one pad", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQA=", 400},
};

static void
every_request_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(requests); i++) {
        struct pim_upgrade_request request = {.upgrade = requests[i].upgrade,
                                              .connection = requests[i].connection,
                                              .version = requests[i].version,
                                              .key = requests[i].key};
        struct pim_ws_refusal refusal = {0};
        int rc = pim_ws_handshake_check(&request, &refusal);

        if (rc != (requests[i].status == 0 ? PIM_OK : PIM_REFUSED) || refusal.status != requests[i].status)
            fail_msg("%s: %d, status %d", requests[i].what, rc, refusal.status);
        if (refusal.status == 426) /* RFC 6455 4.4: say which one is spoken */
            assert_string_equal(refusal.header, "Sec-WebSocket-Version: 13");
    }
}

static void
the_accept_of_the_rfc(void **state)
{
    char accept[PIM_WS_ACCEPT_BYTES];

    (void)state;
    pim_ws_handshake_accept(KEY, accept); /* RFC 6455 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
tokens_of_lists(void **state)
{
    const char *rest = NULL;
    size_t len = 0;

    (void)state;
    assert_true(pim_ws_has_token("a,b , c", "B"));
    assert_true(pim_ws_has_token(",, c", "c"));
    assert_false(pim_ws_has_token("ab", "a"));
    assert_false(pim_ws_has_token("", "a"));
    assert_false(pim_ws_has_token(NULL, "a"));
    assert_true(pim_ws_find_token("privateim.v1, privateim.token.abc.def ,x", "privateim.token.", &rest, &len));
    assert_int_equal(len, 7);
    assert_memory_equal(rest, "abc.def", 7);
    assert_false(pim_ws_find_token("privateim.token.", "privateim.token.", &rest, &len)); /* nothing behind it */
    assert_false(pim_ws_find_token("x-privateim.token.a", "privateim.token.", &rest, &len));
    assert_false(pim_ws_find_token(NULL, "a", &rest, &len));
}

static const struct {
    const char *origin, *host;
    bool tls;
    const char *allowed;
    bool good;
} origins[] = {
    {NULL, "a.example", true, "", true},
    {"https://a.example", "a.example", true, "", true},
    {"HTTPS://A.example", "a.EXAMPLE", true, "", true},
    {"http://a.example:8080", "a.example:8080", false, "", true},
    {"http://a.example", "a.example", true, "", false}, /* another scheme */
    {"https://a.example", "a.example", false, "", true}, /* a proxy ends the TLS */
    {"https://b.example", "a.example", false, "", false},
    {"https://b.example", "a.example", true, "", false},
    {"https://a.example.evil", "a.example", true, "", false},
    {"https://a.example:444", "a.example", true, "", false},
    {"null", "a.example", true, "", false},
    {"", "a.example", true, "", false},
    {"https://b.example", "a.example", true, "https://c.example,https://b.example", true},
    {"https://b.example.evil", "a.example", true, "https://b.example", false},
    {"https://b.example", "a.example", true, NULL, false},
    {"https://a.example", NULL, true, "", false},
};

static void
pages_of_others_stay_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(origins); i++)
        if (pim_ws_origin_is_allowed(origins[i].origin, origins[i].host, origins[i].tls, origins[i].allowed) !=
            origins[i].good)
            fail_msg("%s at %s", origins[i].origin ? origins[i].origin : "none", origins[i].host ? origins[i].host : "none");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_gets_its_verdict),
        cmocka_unit_test(the_accept_of_the_rfc),
        cmocka_unit_test(tokens_of_lists),
        cmocka_unit_test(pages_of_others_stay_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
