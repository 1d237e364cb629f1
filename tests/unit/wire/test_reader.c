#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CID "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4a"

/* Read a text from exactly as many bytes as it has. body holds 64 more. */
static int
read_text(const char *text, size_t len, struct pim_message *out_msg, const char **out_why, char **out_body)
{
    char *src = malloc(len + 1);
    int rc;

    memcpy(src, text, len);
    *out_body = malloc(len + 64);
    *out_why = NULL;
    rc = pim_wire_read(src, len, *out_body, out_msg, out_why);
    free(src);
    return rc;
}

struct verdict {
    int rc;
    const char *text;
    size_t len; /* 0: a C string */
};

#define SAID(rc, text) {rc, text, sizeof text - 1}

static const struct verdict verdicts[] = {
    SAID(PIM_OK, "{}"),
    SAID(PIM_OK, " \t\r\n{ \t\r\n} \t\r\n"),
    SAID(PIM_OK, "{\"type_id\" : 0 , \"content\" : \"\"}"),
    SAID(PIM_OK, "{\"x\":[1,-0,0.5,1e5,-2.5E-3,true,false,null,\"\",{\"a\":{}},[]]}"),
    SAID(PIM_OK, "{\"x\":1e999}"),
    SAID(PIM_OK, "{\"x\":{\"a\":1},\"y\":{\"a\":1}}"),
    SAID(PIM_OK, "{\"content\":\"\\ud83d\\ude00\\u4f60\\/\"}"),
    SAID(PIM_OK, "{\"client_id\":\"" CID "\"}"),
    SAID(PIM_OK, "{\"client_id\":\"019378A0-5C3E-7B1A-8000-3F0E5D1C2B4A\"}"),
    SAID(PIM_OK, "{\"x\":[[[[[[[[[[[[[[0]]]]]]]]]]]]]]}"),
    SAID(PIM_DEFER, "{\"op\":\"ping\"}"),
    SAID(PIM_DEFER, "{\"op\":5}"),
    SAID(PIM_DEFER, "{\"\\u006fp\":null}"),
    SAID(PIM_ERR_PROTOCOL, " "),
    SAID(PIM_ERR_PROTOCOL, "5"),
    SAID(PIM_ERR_PROTOCOL, "null"),
    SAID(PIM_ERR_PROTOCOL, "\"text\""),
    SAID(PIM_ERR_PROTOCOL, "[]"),
    SAID(PIM_ERR_PROTOCOL, "{"),
    SAID(PIM_ERR_PROTOCOL, "{}x"),
    SAID(PIM_ERR_PROTOCOL, "{}{}"),
    SAID(PIM_ERR_PROTOCOL, "{,}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1,}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\" 1}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1 \"b\":2}"),
    SAID(PIM_ERR_PROTOCOL, "{a:1}"),
    SAID(PIM_ERR_PROTOCOL, "{'a':1}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":01}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":-}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1.}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":.5}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1e}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1e+}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":+1}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":0x1}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":NaN}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":tru}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":nul"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":[1,]}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":[1 2]}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":[1}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":{\"b\":1]}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1\0}"),
    SAID(PIM_ERR_PROTOCOL, "{\"a\":1} // no"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"x}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"a\nb\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"a\0b\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\x41\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\u00e\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\u0000\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\ud800\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\ud800\\u0041\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\ude00\"}"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\"),
    SAID(PIM_ERR_PROTOCOL, "{\"content\":\"\\u12"),
    SAID(PIM_ERR_PROTOCOL, "{\"sender_id\":9223372036854775808}"),
    SAID(PIM_ERR_PROTOCOL, "{\"sender_id\":-9223372036854775809}"),
    SAID(PIM_ERR_PROTOCOL, "{\"sender_id\":99999999999999999999999999}"),
    SAID(PIM_ERR_PROTOCOL, "{\"x\":18446744073709551617}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":0,\"type_id\":0}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":0,\"\\u0074ype_id\":0}"),
    SAID(PIM_ERR_INVALID, "{\"x\":1,\"x\":2}"),
    SAID(PIM_ERR_INVALID, "{\"x\":{\"a\":1,\"a\":1}}"),
    SAID(PIM_ERR_INVALID, "{\"\xc3\xa9\":1,\"\\u00e9\":1}"),
    SAID(PIM_ERR_INVALID, "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":\"0\"}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":null}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":0.0}"),
    SAID(PIM_ERR_INVALID, "{\"type_id\":1e0}"),
    SAID(PIM_ERR_INVALID, "{\"sender_id\":true}"),
    SAID(PIM_ERR_INVALID, "{\"receiver_id\":[1]}"),
    SAID(PIM_ERR_INVALID, "{\"create_time\":{}}"),
    SAID(PIM_ERR_INVALID, "{\"delivery_time\":\"now\"}"),
    SAID(PIM_ERR_INVALID, "{\"content_type\":1.5}"),
    SAID(PIM_ERR_INVALID, "{\"content\":5}"),
    SAID(PIM_ERR_INVALID, "{\"preview_pic\":null}"),
    SAID(PIM_ERR_INVALID, "{\"resource_url\":{}}"),
    SAID(PIM_ERR_INVALID, "{\"description\":[]}"),
    SAID(PIM_ERR_INVALID, "{\"additional\":{\"a\":1}}"),
    SAID(PIM_ERR_INVALID, "{\"title\":true}"),
    SAID(PIM_ERR_INVALID, "{\"abstract\":-1}"),
    SAID(PIM_ERR_INVALID, "{\"client_id\":7}"),
    SAID(PIM_ERR_INVALID, "{\"client_id\":\"\"}"),
    SAID(PIM_ERR_INVALID, "{\"client_id\":\"019378a0-5c3e-4b1a-8000-3f0e5d1c2b4a\"}"),
    SAID(PIM_ERR_INVALID, "{\"client_id\":\"019378a0-5c3e-7b1a-c000-3f0e5d1c2b4a\"}"),
    SAID(PIM_ERR_INVALID, "{\"client_id\":\"\\u0030" "19378a0-5c3e-7b1a-8000-3f0e5d1c2b4a\"}"),
    SAID(PIM_ERR_INVALID, "{\"x\":[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]}"),
};

static void
every_text_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(verdicts); i++) {
        struct pim_message msg;
        const char *why;
        char *body;
        int rc = read_text(verdicts[i].text, verdicts[i].len, &msg, &why, &body);

        if (rc != verdicts[i].rc)
            fail_msg("%s: %s, not %s", verdicts[i].text, pim_err_name(rc), pim_err_name(verdicts[i].rc));
        if (rc < 0 && (why == NULL || strpbrk(why, "\"\\") != NULL))
            fail_msg("%s: the sentence must stand in JSON as it is: %s", verdicts[i].text, why ? why : "none");
        free(body);
    }
}

/* Cut anywhere, nothing that was good is good. */
static void
no_beginning_of_a_message_is_one(void **state)
{
    static const char text[] = "{\"type_id\":0,\"receiver_id\":12,\"client_id\":\"" CID "\",\"content\":\"a\\u4f60\\n\","
                               "\"x\":[true,{\"y\":-1.5e+3}]}";

    (void)state;
    for (size_t len = 1; len < sizeof text - 1; len++) {
        struct pim_message msg;
        const char *why;
        char *body;
        int rc = read_text(text, len, &msg, &why, &body);

        if (rc != PIM_ERR_PROTOCOL)
            fail_msg("%zu bytes: %s", len, pim_err_name(rc));
        free(body);
    }
}

static void
fields_are_read(void **state)
{
    static const char text[] =
        "{\"type_id\":1,\"sender_id\":9223372036854775807,\"receiver_id\":-9223372036854775808,\"create_time\":5,"
        "\"delivery_time\":77,\"content_type\":-3,\"content\":\"c\",\"preview_pic\":\"pp\",\"resource_url\":\"rrr\","
        "\"description\":\"d\",\"additional\":\"a\",\"title\":\"tttt\",\"abstract\":\"sssss\",\"client_id\":\"" CID "\"}";
    static const uint8_t cid[16] = {0x01, 0x93, 0x78, 0xa0, 0x5c, 0x3e, 0x7b, 0x1a,
                                    0x80, 0x00, 0x3f, 0x0e, 0x5d, 0x1c, 0x2b, 0x4a};
    static const char want[] = "{\"content_type\":-3,\"content\":\"c\",\"title\":\"tttt\",\"abstract\":\"sssss\","
                               "\"preview_pic\":\"pp\",\"resource_url\":\"rrr\",\"description\":\"d\",\"additional\":\"a\"}";
    struct pim_message msg;
    const char *why;
    char *body;

    (void)state;
    assert_int_equal(read_text(text, sizeof text - 1, &msg, &why, &body), PIM_OK);
    assert_int_equal(msg.has, PIM_HAS_TYPE_ID | PIM_HAS_SENDER_ID | PIM_HAS_RECEIVER_ID | PIM_HAS_CONTENT_TYPE |
                                  PIM_HAS_DELIVERY_TIME | PIM_HAS_CLIENT_ID);
    assert_true(msg.type_id == 1 && msg.sender_id == INT64_MAX && msg.receiver_id == INT64_MIN);
    assert_true(msg.delivery_time == 77 && msg.content_type == -3);
    assert_memory_equal(msg.cid, cid, 16);
    assert_int_equal(msg.content_len, 1);
    assert_int_equal(msg.preview_pic_len, 2);
    assert_int_equal(msg.resource_url_len, 3);
    assert_int_equal(msg.title_len, 4);
    assert_int_equal(msg.abstract_len, 5);
    assert_int_equal(msg.body_len, sizeof want - 1);
    assert_memory_equal(msg.body, want, sizeof want - 1);
    free(body);
}

static void
what_is_absent_has_no_flag(void **state)
{
    struct pim_message msg;
    const char *why;
    char *body;

    (void)state;
    assert_int_equal(read_text("{}", 2, &msg, &why, &body), PIM_OK);
    assert_int_equal(msg.has, 0);
    assert_int_equal(msg.body_len, 2);
    assert_memory_equal(msg.body, "{}", 2);
    free(body);
}

/* Source and the body that must be stored for it. */
static const char *const bodies[][2] = {
    {"{\"content\":\"\",\"title\":\"\"}", "{}"},
    {"{\"additional\":\"x\",\"content\":\"y\"}", "{\"content\":\"y\",\"additional\":\"x\"}"},
    {"{\"content_type\":-0}", "{\"content_type\":0}"},
    {"{\"content_type\":-9223372036854775808}", "{\"content_type\":-9223372036854775808}"},
    {"{\"content\":\"\\u0041\\/\\u002f\"}", "{\"content\":\"A//\"}"},
    {"{\"content\":\"\\u00e9\\u4f60\\ud83d\\ude00\"}", "{\"content\":\"\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80\"}"},
    {"{\"content\":\"\\u0022\\u005c\"}", "{\"content\":\"\\\"\\\\\"}"},
    {"{\"content\":\"\\u0008\\u000c\\u000a\\u000d\\u0009\"}", "{\"content\":\"\\b\\f\\n\\r\\t\"}"},
    {"{\"content\":\"\\u0001\\u001F\"}", "{\"content\":\"\\u0001\\u001f\"}"},
    {"{\"content\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"}",
     "{\"content\":\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\"}"},
    {"{\"con\\u0074ent\":\"x\"}", "{\"content\":\"x\"}"},
    {"{\"sender_id\":4,\"unknown\":{\"content\":\"no\"},\"content\":\"x\"}", "{\"content\":\"x\"}"},
};

static void
equal_messages_have_equal_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(bodies); i++) {
        for (int k = 0; k < 2; k++) { /* the body of a body is itself */
            struct pim_message msg;
            const char *why;
            char *body;

            assert_int_equal(read_text(bodies[i][k], strlen(bodies[i][k]), &msg, &why, &body), PIM_OK);
            if (msg.body_len != strlen(bodies[i][1]) || memcmp(msg.body, bodies[i][1], msg.body_len) != 0)
                fail_msg("%s: %.*s", bodies[i][k], (int)msg.body_len, msg.body);
            free(body);
        }
    }
}

/* All in escapes the longest name takes 78 bytes: the fields must not be hidden by that. */
static void
names_in_escapes_are_known(void **state)
{
    static const char *const names[] = {"type_id", "sender_id", "receiver_id", "delivery_time", "content_type"};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(names); i++) {
        char text[256], *at = text + sprintf(text, "{\"");
        struct pim_message msg;
        const char *why;
        char *body;

        for (const char *c = names[i]; *c != '\0'; c++)
            at += sprintf(at, "\\u%04X", (unsigned)*c);
        at += sprintf(at, "\":1}");
        assert_int_equal(read_text(text, (size_t)(at - text), &msg, &why, &body), PIM_OK);
        if (msg.has == 0)
            fail_msg("%s is not known", names[i]);
        free(body);
    }
}

static void
long_keys_in_escapes_are_compared(void **state)
{
    char text[2048], *at = text + sprintf(text, "{\"");
    struct pim_message msg;
    const char *why;
    char *body;

    (void)state;
    for (int i = 0; i < 60; i++)
        at += sprintf(at, "a");
    at += sprintf(at, "\":1,\"");
    for (int i = 0; i < 60; i++)
        at += sprintf(at, "\\u0061");
    at += sprintf(at, "\":1}");
    assert_int_equal(read_text(text, (size_t)(at - text), &msg, &why, &body), PIM_ERR_INVALID);
    free(body);
}

static void
an_object_has_a_bounded_number_of_keys(void **state)
{
    (void)state;
    for (int n = PIM_WIRE_KEYS_MAX; n <= PIM_WIRE_KEYS_MAX + 1; n++) {
        for (int inner = 0; inner < 2; inner++) {
            char text[2048], *at = text + sprintf(text, inner ? "{\"x\":{" : "{");
            struct pim_message msg;
            const char *why;
            char *body;

            for (int i = 0; i < n; i++)
                at += sprintf(at, "%s\"k%d\":0", i > 0 ? "," : "", i);
            at += sprintf(at, inner ? "}}" : "}");
            assert_int_equal(read_text(text, (size_t)(at - text), &msg, &why, &body),
                             n > PIM_WIRE_KEYS_MAX ? PIM_ERR_INVALID : PIM_OK);
            free(body);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_gets_its_verdict),
        cmocka_unit_test(no_beginning_of_a_message_is_one),
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(what_is_absent_has_no_flag),
        cmocka_unit_test(equal_messages_have_equal_bodies),
        cmocka_unit_test(names_in_escapes_are_known),
        cmocka_unit_test(long_keys_in_escapes_are_compared),
        cmocka_unit_test(an_object_has_a_bounded_number_of_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
