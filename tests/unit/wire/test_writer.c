#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/writer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CID_TEXT "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4a"
#define CID {0x01, 0x93, 0x78, 0xa0, 0x5c, 0x3e, 0x7b, 0x1a, 0x80, 0x00, 0x3f, 0x0e, 0x5d, 0x1c, 0x2b, 0x4a}

static const struct pim_row chat = {.conv = {.kind = 'u', .a = 7251003, .b = 7251004},
                                    .seq = 18,
                                    .ord = 17,
                                    .msg_id = 182736451923,
                                    .sender_id = 7251003,
                                    .created_ms = 1764000001999,
                                    .cid = CID,
                                    .type = PIM_ROW_CHAT};

/* The buffer must hold exactly this object; member order is not looked at. Empties it. */
static void
must_be(struct pim_buf *buf, const char *want_text)
{
    json_error_t error;
    json_t *got = json_loadb(buf->data, buf->len, JSON_REJECT_DUPLICATES, &error);
    json_t *want = json_loads(want_text, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(want);
    if (got == NULL || !json_equal(got, want))
        fail_msg("%.*s\nis not\n%s\n%s", (int)buf->len, buf->data, want_text, got == NULL ? error.text : "");
    json_decref(got);
    json_decref(want);
    pim_buf_clear(buf);
}

static struct pim_row
with_body(struct pim_row row, const char *body)
{
    row.body = body;
    row.body_len = (uint32_t)strlen(body);
    return row;
}

static struct pim_row
event(uint32_t type, struct pim_conv conv, const char *body)
{
    struct pim_row row = {.conv = conv, .seq = 3, .msg_id = 182736451999, .sender_id = 5, .created_ms = 1764000002000,
                          .type = type};

    return with_body(row, body);
}

static void
rows_of_new_clients(void **state)
{
    struct pim_buf buf;
    struct pim_row row = with_body(chat, "{\"content_type\":0,\"content\":\"h\\\"i\"}");

    (void)state;
    pim_buf_init(&buf, 1u << 20);
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf, "{\"op\":\"message\",\"conversation\":\"u:7251003:7251004\",\"seq\":18,\"ord\":17,\"id\":\"182736451923\","
                  "\"client_id\":\"" CID_TEXT "\",\"type_id\":0,\"sender_id\":7251003,\"receiver_id\":7251004,"
                  "\"create_time\":1764000001,\"delivery_time\":0,\"content_type\":0,\"content\":\"h\\\"i\"}");

    row.sender_id = 7251004; /* from the other side */
    row.body = "{}";
    row.body_len = 2;
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf, "{\"op\":\"message\",\"conversation\":\"u:7251003:7251004\",\"seq\":18,\"ord\":17,\"id\":\"182736451923\","
                  "\"client_id\":\"" CID_TEXT "\",\"type_id\":0,\"sender_id\":7251004,\"receiver_id\":7251003,"
                  "\"create_time\":1764000001,\"delivery_time\":0}");

    row = with_body(chat, "{\"content\":\"x\"}");
    row.conv = pim_conv_group(900);
    row.type = PIM_ROW_GROUP_CHAT;
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf, "{\"op\":\"message\",\"conversation\":\"g:900\",\"seq\":18,\"ord\":17,\"id\":\"182736451923\","
                  "\"client_id\":\"" CID_TEXT "\",\"type_id\":1,\"sender_id\":7251003,\"receiver_id\":900,"
                  "\"create_time\":1764000001,\"delivery_time\":0,\"content\":\"x\"}");

    row = event(PIM_ROW_FRIEND_REQUEST, pim_conv_events(7251004),
                "{\"event\":\"friend_request\",\"user_id\":5,\"name\":\"Ann\",\"note\":\"hi\"}");
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf, "{\"op\":\"event\",\"conversation\":\"e:7251004\",\"seq\":3,\"ord\":0,\"id\":\"182736451999\","
                  "\"create_time\":1764000002,\"event\":\"friend_request\",\"user_id\":5,\"name\":\"Ann\",\"note\":\"hi\"}");
    pim_buf_fini(&buf);
}

/* A placeholder keeps its number and says nothing: no sender, no client id, no text. */
static void
hidden_rows_say_nothing(void **state)
{
    struct pim_buf buf;
    struct pim_row row = with_body(chat, "{\"content\":\"secret\"}");

    (void)state;
    row.type = PIM_ROW_BLOCKED;
    pim_row_hide(&row);
    pim_buf_init(&buf, 1u << 20);
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf, "{\"op\":\"event\",\"conversation\":\"u:7251003:7251004\",\"seq\":18,\"ord\":17,\"id\":\"182736451923\","
                  "\"create_time\":1764000001,\"event\":\"hidden\"}");
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_NOT_FOUND);
    assert_int_equal(buf.len, 0);
    pim_buf_fini(&buf);
}

static void
longest_numbers_fit(void **state)
{
    struct pim_buf buf;
    struct pim_row row = with_body(chat, "{}");

    (void)state;
    row.conv = (struct pim_conv){.kind = 'u', .a = INT64_MAX - 1, .b = INT64_MAX};
    row.seq = row.ord = row.msg_id = row.created_ms = INT64_MAX;
    row.sender_id = INT64_MAX;
    pim_buf_init(&buf, 1u << 20);
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_OK);
    must_be(&buf,
            "{\"op\":\"message\",\"conversation\":\"u:9223372036854775806:9223372036854775807\","
            "\"seq\":9223372036854775807,\"ord\":9223372036854775807,\"id\":\"9223372036854775807\","
            "\"client_id\":\"" CID_TEXT "\",\"type_id\":0,\"sender_id\":9223372036854775807,"
            "\"receiver_id\":9223372036854775806,\"create_time\":9223372036854775,\"delivery_time\":0}");
    pim_buf_fini(&buf);
}

static void
a_full_buffer_takes_no_half_of_a_row(void **state)
{
    struct pim_buf buf;
    struct pim_row row = with_body(chat, "{\"content\":\"x\"}");

    (void)state;
    pim_buf_init(&buf, 100);
    assert_int_equal(pim_wire_put_row(&buf, &row), PIM_ERR_TOO_LARGE);
    assert_int_equal(buf.len, 0);
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_ERR_TOO_LARGE);
    pim_buf_fini(&buf);
}

/* Old clients get every text field, empty or not. */
static void
rows_of_old_clients(void **state)
{
    struct pim_buf buf;
    struct pim_row row = with_body(chat, "{\"content_type\":1,\"content\":\"a\\\\\\\"}{,\",\"preview_pic\":\"p\","
                                         "\"resource_url\":\"r\",\"description\":\"d\",\"additional\":\"{\\\"k\\\":1}\"}");

    (void)state;
    pim_buf_init(&buf, 1u << 20);
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_OK);
    must_be(&buf, "{\"type_id\":0,\"sender_id\":7251003,\"receiver_id\":7251004,\"create_time\":1764000001,"
                  "\"delivery_time\":0,\"content_type\":1,\"content\":\"a\\\\\\\"}{,\",\"preview_pic\":\"p\","
                  "\"resource_url\":\"r\",\"description\":\"d\",\"additional\":\"{\\\"k\\\":1}\"}");

    row = with_body(chat, "{\"content\":\"only\"}"); /* no content_type: text */
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_OK);
    must_be(&buf, "{\"type_id\":0,\"sender_id\":7251003,\"receiver_id\":7251004,\"create_time\":1764000001,"
                  "\"delivery_time\":0,\"content_type\":0,\"content\":\"only\",\"preview_pic\":\"\","
                  "\"resource_url\":\"\",\"description\":\"\",\"additional\":\"\"}");

    row = with_body(chat, "{\"content_type\":3,\"resource_url\":\"v\"}");
    row.conv = pim_conv_group(900);
    row.type = PIM_ROW_GROUP_CHAT;
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_OK);
    must_be(&buf, "{\"type_id\":1,\"sender_id\":7251003,\"receiver_id\":900,\"create_time\":1764000001,"
                  "\"delivery_time\":0,\"content_type\":3,\"content\":\"\",\"preview_pic\":\"\","
                  "\"resource_url\":\"v\",\"description\":\"\",\"additional\":\"\"}");

    row = with_body(chat, "{\"title\":\"T\",\"abstract\":\"A\",\"resource_url\":\"r\"}");
    row.conv = (struct pim_conv){.kind = 's', .a = 44};
    row.type = PIM_ROW_SUBSCRIPTION;
    assert_int_equal(pim_wire_put_old_row(&buf, &row, 7251004), PIM_OK);
    must_be(&buf, "{\"type_id\":2,\"sender_id\":7251003,\"receiver_id\":44,\"create_time\":1764000001,"
                  "\"delivery_time\":0,\"title\":\"T\",\"abstract\":\"A\",\"preview_pic\":\"\",\"resource_url\":\"r\"}");
    pim_buf_fini(&buf);
}

static const struct {
    uint32_t type;
    const char *body, *title, *abstract; /* title NULL: old clients are told nothing */
} notices[] = {
    {PIM_ROW_FRIEND_REQUEST, "{\"event\":\"friend_request\",\"user_id\":5,\"name\":\"A\\\"n\",\"note\":\"hi\"}",
     "Friend request", "A\\\"n wants to be your friend: hi"},
    {PIM_ROW_FRIEND_ACCEPTED, "{\"event\":\"friend_accepted\",\"user_id\":5,\"name\":\"Ann\"}", "Friend request accepted",
     "Ann is your friend now"},
    {PIM_ROW_FRIEND_REFUSED, "{\"event\":\"friend_refused\",\"user_id\":5,\"name\":\"Ann\"}", "Friend request refused",
     "Ann did not accept"},
    {PIM_ROW_FRIEND_CHANGED, "{\"event\":\"friend_changed\",\"user_id\":5}", NULL, NULL},
    {PIM_ROW_UNFRIENDED, "{\"event\":\"unfriended\",\"user_id\":5}", NULL, NULL},
    {PIM_ROW_BLOCKED, "{\"event\":\"blocked\",\"user_id\":5}", NULL, NULL},
    {PIM_ROW_GROUP_JOINED, "{\"event\":\"group_joined\",\"group_id\":9,\"name\":\"Tea\",\"joined_seq\":4}", "Group",
     "You joined Tea"},
    {PIM_ROW_GROUP_LEFT, "{\"event\":\"group_left\",\"group_id\":9,\"name\":\"Tea\"}", "Group", "You left Tea"},
    {PIM_ROW_MEMBER_JOINED, "{\"event\":\"member_joined\",\"user_id\":5,\"name\":\"Ann\"}", "Group",
     "Ann joined the group"},
    {PIM_ROW_MEMBER_LEFT, "{\"event\":\"member_left\",\"user_id\":5,\"name\":\"Ann\"}", "Group", "Ann left the group"},
    {PIM_ROW_GROUP_DISMISSED, "{\"event\":\"group_dismissed\"}", "Group", "The group was dismissed"},
    {200, "{\"event\":\"of_tomorrow\"}", NULL, NULL},
};

static void
events_reach_old_clients_as_notices(void **state)
{
    struct pim_buf buf, want;

    (void)state;
    pim_buf_init(&buf, 1u << 20);
    pim_buf_init(&want, 1u << 20);
    for (size_t i = 0; i < PIM_COUNT(notices); i++) {
        struct pim_row row = event(notices[i].type, pim_conv_events(7251004), notices[i].body);
        int rc = pim_wire_put_old_row(&buf, &row, 7251004);

        if (notices[i].title == NULL) {
            assert_int_equal(rc, PIM_NOT_FOUND);
            assert_int_equal(buf.len, 0);
            continue;
        }
        assert_int_equal(rc, PIM_OK);
        pim_buf_clear(&want);
        pim_buf_addf(&want,
                     "{\"type_id\":2,\"sender_id\":1024,\"receiver_id\":7251004,\"create_time\":1764000002,"
                     "\"delivery_time\":0,\"title\":\"%s\",\"abstract\":\"%s\",\"preview_pic\":\"\",\"resource_url\":\"\"}",
                     notices[i].title, notices[i].abstract);
        must_be(&buf, pim_buf_cstr(&want));
    }
    pim_buf_fini(&want);
    pim_buf_fini(&buf);
}

static void
results_of_new_clients(void **state)
{
    static const uint8_t cid[16] = CID;
    struct pim_im_send send = {.has_client_id = true};
    struct pim_outcome good = {200, "the message send ok", 0}, bad = {503, "later", 2};
    struct pim_buf buf;

    (void)state;
    send.send.conv = chat.conv;
    memcpy(send.send.cid, cid, 16);
    send.send.seq = 18;
    send.send.ord = 17;
    send.send.msg_id = 182736451923;
    send.send.created_ms = 1764000001999;
    pim_buf_init(&buf, 1u << 20);
    pim_wire_put_result(&buf, &send, &good);
    must_be(&buf, "{\"op\":\"result\",\"type_id\":3,\"code\":200,\"error\":\"the message send ok\",\"client_id\":\"" CID_TEXT
                  "\",\"conversation\":\"u:7251003:7251004\",\"seq\":18,\"ord\":17,\"id\":\"182736451923\","
                  "\"create_time\":1764000001}");
    pim_wire_put_result(&buf, &send, &bad);
    must_be(&buf, "{\"op\":\"result\",\"type_id\":3,\"code\":503,\"error\":\"later\",\"retry_after\":2,\"client_id\":\"" CID_TEXT
                  "\"}");
    send.has_client_id = false; /* one that we made means nothing to the sender */
    pim_wire_put_result(&buf, &send, &bad);
    must_be(&buf, "{\"op\":\"result\",\"type_id\":3,\"code\":503,\"error\":\"later\",\"retry_after\":2}");
    pim_wire_put_refusal(&buf, NULL, &(struct pim_outcome){400, "no", 0});
    must_be(&buf, "{\"op\":\"result\",\"type_id\":3,\"code\":400,\"error\":\"no\"}");
    pim_wire_put_refusal(&buf, cid, &(struct pim_outcome){429, "slow down", 1});
    must_be(&buf, "{\"op\":\"result\",\"type_id\":3,\"code\":429,\"error\":\"slow down\",\"retry_after\":1,\"client_id\":\""
                  CID_TEXT "\"}");
    pim_buf_fini(&buf);
}

static void
results_of_old_clients(void **state)
{
    static const char *const raw[][2] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}, {"\x00\x10\x83", "ABCD"}};
    struct pim_buf buf, want;

    (void)state;
    pim_buf_init(&buf, 1u << 20);
    pim_buf_init(&want, 1u << 20);
    for (size_t i = 0; i < PIM_COUNT(raw); i++) {
        size_t len = i == 6 ? 3 : strlen(raw[i][0]);

        assert_int_equal(pim_wire_put_old_result(&buf, 7251003, 1764000001999, &(struct pim_outcome){404, "none", 0},
                                                 raw[i][0], len),
                         PIM_OK);
        pim_buf_clear(&want);
        pim_buf_addf(&want,
                     "{\"type_id\":3,\"sender_id\":1024,\"receiver_id\":7251003,\"create_time\":1764000001,"
                     "\"delivery_time\":0,\"code\":404,\"error\":\"none\",\"raw_message\":\"%s\"}",
                     raw[i][1]);
        must_be(&buf, pim_buf_cstr(&want));
    }
    pim_buf_fini(&want);
    pim_buf_fini(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_new_clients),
        cmocka_unit_test(hidden_rows_say_nothing),
        cmocka_unit_test(longest_numbers_fit),
        cmocka_unit_test(a_full_buffer_takes_no_half_of_a_row),
        cmocka_unit_test(rows_of_old_clients),
        cmocka_unit_test(events_reach_old_clients_as_notices),
        cmocka_unit_test(results_of_new_clients),
        cmocka_unit_test(results_of_old_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
