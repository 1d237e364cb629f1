#include "im_fixture.h"

#define OK_TEXT .has = PIM_HAS_TYPE_ID | PIM_HAS_RECEIVER_ID, .receiver_id = 8, .content_len = 1

static const struct {
    struct pim_message msg;
    const char *sentence; /* NULL: good */
} messages[] = {
    {{OK_TEXT}, NULL},
    {{OK_TEXT, .type_id = 1}, NULL},
    {{.has = PIM_HAS_RECEIVER_ID, .receiver_id = 8, .content_len = 1},
     "not have 'type_id' field in the json string message"},
    {{OK_TEXT, .type_id = 2}, "the value of 'type_id' is not support"},
    {{OK_TEXT, .type_id = 3}, "the value of 'type_id' is not support"},
    {{OK_TEXT, .type_id = -1}, "the value of 'type_id' is not support"},
    {{.has = PIM_HAS_TYPE_ID | PIM_HAS_RECEIVER_ID | PIM_HAS_SENDER_ID, .receiver_id = 8, .sender_id = 8, .content_len = 1},
     "the sender id is not identical, don't disguise other to send message"},
    {{.has = PIM_HAS_TYPE_ID | PIM_HAS_RECEIVER_ID | PIM_HAS_SENDER_ID, .receiver_id = 8, .sender_id = 7, .content_len = 1},
     NULL},
    {{.has = PIM_HAS_TYPE_ID, .content_len = 1}, "not have 'receiver_id' field in the json string message"},
    {{.has = PIM_HAS_TYPE_ID | PIM_HAS_RECEIVER_ID, .receiver_id = 0, .content_len = 1},
     "not have 'receiver_id' field in the json string message"},
    {{OK_TEXT, .delivery_time = -1}, "invalid delivery time"},
    {{OK_TEXT, .delivery_time = 1}, "timed messages are not supported yet"},
    {{.has = PIM_HAS_TYPE_ID | PIM_HAS_RECEIVER_ID, .receiver_id = 8}, "the text content is empty"},
    {{OK_TEXT, .content_type = 1}, "the media preview picture url is empty"},
    {{OK_TEXT, .content_type = 1, .preview_pic_len = 1}, "the media resource url is empty"},
    {{OK_TEXT, .content_type = 1, .resource_url_len = 1}, "the media preview picture url is empty"},
    {{OK_TEXT, .content_type = 1, .preview_pic_len = 1, .resource_url_len = 1}, NULL},
    {{OK_TEXT, .content_type = 2}, "the media resource url is empty"},
    {{OK_TEXT, .content_type = 2, .resource_url_len = 1}, NULL},
    {{OK_TEXT, .content_type = 3}, "the media resource url is empty"},
    {{OK_TEXT, .content_type = 3, .resource_url_len = 1}, NULL},
    {{OK_TEXT, .content_type = 4}, "the message content type is not support"},
    {{OK_TEXT, .content_type = -1}, "the message content type is not support"},
};

static void
every_message_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(messages); i++) {
        struct pim_outcome outcome = {0};
        bool good = pim_im_message_check(&messages[i].msg, 7, &outcome);

        if (good != (messages[i].sentence == NULL))
            fail_msg("message %zu: %s", i, good ? "taken" : outcome.sentence);
        if (!good && (outcome.code != 400 || strcmp(outcome.sentence, messages[i].sentence) != 0))
            fail_msg("message %zu: %d %s", i, outcome.code, outcome.sentence);
    }
}

static const struct {
    uint32_t state;
    int32_t reason;
    int code;
    const char *sentence; /* NULL: any */
} ends[] = {
    {PIM_SENT_STORED, 0, 200, "the message send ok"},
    {PIM_SENT_BEFORE, 0, 200, "the message send ok"},
    {PIM_SENT_DENIED, PIM_DENY_NO_USER, 404, "the receiver is not existed"},
    {PIM_SENT_DENIED, PIM_DENY_BLACK, 403, "the receiver refuse receive the message"},
    {PIM_SENT_DENIED, PIM_DENY_NOT_FRIEND, 403, "your are not friend still"},
    {PIM_SENT_DENIED, PIM_DENY_NO_GROUP, 404, NULL},
    {PIM_SENT_DENIED, PIM_DENY_NOT_MEMBER, 403, NULL},
    {PIM_SENT_CONFLICT, 0, 409, NULL},
    {PIM_SENT_TOO_OLD, 0, 410, NULL},
    {PIM_SENT_TOO_NEW, 0, 400, NULL},
    {PIM_SENT_INVALID, 0, 400, NULL},
    {PIM_SENT_TOO_LARGE, 0, 413, NULL},
    {PIM_SENT_BUSY, PIM_ERR_FULL, 503, NULL},
};

static void
every_end_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(ends); i++) {
        struct pim_im_send mine = {.send = {.state = ends[i].state, .reason = ends[i].reason}};
        struct pim_outcome outcome;

        pim_im_send_outcome(&mine, &outcome);
        assert_int_equal(outcome.code, ends[i].code);
        if (ends[i].sentence != NULL)
            assert_string_equal(outcome.sentence, ends[i].sentence);
        assert_true((outcome.retry_after_s > 0) == (outcome.code == 503));
    }
}

static void
a_send_is_filled_in(void **state)
{
    static const uint8_t cid[16] = {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80};
    struct pim_im_send *a = send_new(0, 9, 4, cid, "{}"), *b = send_new(1, 9, 4, cid, "{}"), *c = send_new(0, 9, 4, NULL, "{}"),
                       *d = send_new(0, 9, 4, cid, "{\"content\":\"x\"}");

    (void)state;
    assert_true(a->send.conv.kind == 'u' && a->send.conv.a == 4 && a->send.conv.b == 9);
    assert_true(b->send.conv.kind == 'g' && b->send.conv.a == 4 && b->send.conv.b == 0);
    assert_true(a->has_client_id && !(a->send.flags & PIM_SEND_SERVER_ID));
    assert_memory_equal(a->send.cid, cid, 16);
    assert_true(!c->has_client_id && (c->send.flags & PIM_SEND_SERVER_ID));
    assert_int_equal(c->send.cid[6] >> 4, 7);
    /* the hash tells texts and receivers apart, and not the client ids */
    assert_true(a->send.body_hash == c->send.body_hash);
    assert_true(a->send.body_hash != b->send.body_hash && a->send.body_hash != d->send.body_hash);
    free(a);
    free(b);
    free(c);
    free(d);
}

/* A message, then the same again, then another text under its id. */
static void
a_resend_is_harmless(void **state)
{
    uint8_t cid[16], ahead[16];
    struct pim_send first, second;

    (void)state;
    put(user_put, 1, 0, 0);
    put(user_put, 2, 0, 0);
    befriend(1, 2);
    pim_uuid7_make(cid, pim_clock_wall_ms());
    memcpy(ahead, cid, 16);
    ahead[2]++; /* some hours */
    assert_int_equal(send_and_wait(0, 1, 2, cid, "{\"content\":\"x\"}", &first), 200);
    assert_true(first.seq == 1 && first.ord == 1 && first.msg_id > 0 && first.state == PIM_SENT_STORED);
    assert_int_equal(send_and_wait(0, 1, 2, cid, "{\"content\":\"x\"}", &second), 200);
    assert_true(second.seq == 1 && second.ord == 1 && second.msg_id == first.msg_id && second.state == PIM_SENT_BEFORE);
    assert_int_equal(second.created_ms, first.created_ms);
    assert_int_equal(send_and_wait(0, 1, 2, cid, "{\"content\":\"y\"}", NULL), 409);
    assert_int_equal(send_and_wait(0, 2, 1, cid, "{\"content\":\"y\"}", &second), 200); /* ids belong to their sender */
    assert_int_equal(second.seq, 2);
    assert_int_equal(send_and_wait(0, 1, 2, ahead, "{\"content\":\"x\"}", NULL), 400);

    im_down(); /* what was sent before the restart is known after it */
    im_up();
    assert_int_equal(send_and_wait(0, 1, 2, cid, "{\"content\":\"x\"}", &second), 200);
    assert_true(second.state == PIM_SENT_BEFORE && second.seq == 1 && second.msg_id == first.msg_id);
    assert_int_equal(send_and_wait(0, 1, 2, cid, "{\"content\":\"y\"}", NULL), 409);
    assert_int_equal(send_and_wait(0, 1, 2, NULL, "{\"content\":\"z\"}", &second), 200);
    assert_int_equal(second.seq, 3);
}

/* The result stands before the row; the sender's other connection gets the row, the sending one does not. */
static void
a_row_reaches_all_but_the_connection_it_came_from(void **state)
{
    struct pim_peer from = {.ref = {1, 7}, .worker = 0}, other = {.ref = {2, 1}, .worker = 0}, far = {.ref = {3, 1}, .worker = 1};
    struct heard *row;

    (void)state;
    put(user_put, 1, 0, 0);
    put(user_put, 2, 0, 0);
    befriend(1, 2);
    pim_presence_add(im, 1, &from, "s1");
    pim_presence_add(im, 1, &other, "s2");
    pim_presence_add(im, 2, &far, "s3");
    assert_int_equal(send_and_wait(0, 1, 2, NULL, "{\"content\":\"x\"}", NULL), 200);
    row = edge_wait(PIM_ENTRY_ROW, 2);
    (void)row;
    for (uint32_t i = 0; i < edge.n; i++) {
        const struct heard *it = &edge.list[i];

        if (it->kind != PIM_ENTRY_ROW)
            continue;
        assert_int_equal(it->n_refs, 1);
        assert_int_equal(it->refs[0].slot, it->worker == 0 ? 2 : 3);
        assert_int_equal(it->row.seq, 1);
        assert_memory_equal(it->row.body, "{\"content\":\"x\"}", it->row.body_len);
    }
    pim_presence_remove(im, 1, &from);
    pim_presence_remove(im, 1, &other);
    pim_presence_remove(im, 2, &far);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_gets_its_verdict),
        cmocka_unit_test(every_end_has_its_answer),
        cmocka_unit_test_setup_teardown(a_send_is_filled_in, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(a_resend_is_harmless, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(a_row_reaches_all_but_the_connection_it_came_from, im_setup, im_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
