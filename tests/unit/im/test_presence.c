#include "im_fixture.h"

#define USER 77

static struct pim_peer
peer(uint32_t slot)
{
    return (struct pim_peer){.ref = {slot, 1}, .worker = (uint16_t)(slot % WORKERS)};
}

static void
add(uint32_t slot, const char *session)
{
    struct pim_peer it = peer(slot);

    pim_presence_add(im, USER, &it, session);
    pim_delivery_flush(im);
}

static void
must_be(uint32_t n, const uint32_t *slots)
{
    struct pim_peer peers[PIM_PEERS_MAX];

    assert_int_equal(pim_presence_list(im, USER, peers), n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(peers[i].ref.slot, slots[i]);
    assert_true(pim_im_is_online(im, USER) == (n > 0));
}

static void
the_fourth_pushes_the_oldest_out(void **state)
{
    struct pim_peer gone;
    struct heard *close;
    uint64_t connections, users;

    (void)state;
    must_be(0, NULL);
    add(1, "a");
    add(2, "b");
    add(3, "c");
    must_be(3, (uint32_t[]){3, 2, 1});
    assert_int_equal(edge_count(PIM_ENTRY_CLOSE), 0);
    add(4, "d");
    must_be(3, (uint32_t[]){4, 3, 2});
    close = edge_wait(PIM_ENTRY_CLOSE, 1);
    assert_int_equal(close->number, 4003);
    assert_int_equal(close->refs[0].slot, 1);
    assert_int_equal(close->worker, 1);
    gone = peer(1);
    pim_presence_remove(im, USER, &gone); /* pushed out before: nothing */
    must_be(3, (uint32_t[]){4, 3, 2});
    gone = peer(3);
    gone.ref.gen = 2; /* the slot's next connection is another one */
    pim_presence_remove(im, USER, &gone);
    must_be(3, (uint32_t[]){4, 3, 2});
    gone.ref.gen = 1;
    pim_presence_remove(im, USER, &gone);
    must_be(2, (uint32_t[]){4, 2}); /* those behind move up */
    pim_presence_count(im, &connections, &users);
    assert_true(connections == 2 && users == 1);
    add(5, "e");
    must_be(3, (uint32_t[]){5, 4, 2});
    assert_int_equal(edge_count(PIM_ENTRY_CLOSE), 1);
    for (uint32_t slot = 2; slot <= 5; slot++) {
        gone = peer(slot);
        pim_presence_remove(im, USER, &gone);
    }
    must_be(0, NULL);
    pim_presence_count(im, &connections, &users);
    assert_true(connections == 0 && users == 0);
}

static void
ended_sessions_are_closed(void **state)
{
    (void)state;
    add(1, "a");
    add(2, "b");
    add(3, "b");
    pim_im_disconnect(im, USER, "b", NULL);
    edge_wait(PIM_ENTRY_CLOSE, 2);
    pim_im_disconnect(im, USER, NULL, "b"); /* all but b */
    assert_int_equal(edge_wait(PIM_ENTRY_CLOSE, 3)->refs[0].slot, 1);
    pim_im_disconnect(im, USER, "z", NULL);
    pim_im_disconnect(im, USER + 1, NULL, NULL);
    assert_int_equal(edge_count(PIM_ENTRY_CLOSE), 3);
    pim_im_disconnect(im, USER, NULL, NULL);
    edge_wait(PIM_ENTRY_CLOSE, 6);
    for (uint32_t i = 0; i < edge.n; i++)
        assert_int_equal(edge.list[i].number, 4001);
    must_be(3, (uint32_t[]){3, 2, 1}); /* the workers take them out when they are gone */
}

struct seen {
    uint32_t n;
    int64_t users;
};

static void
on_place(void *ctx, int64_t user_id, const struct pim_peer *it, const char *session)
{
    struct seen *seen = ctx;

    (void)it;
    assert_string_equal(session, "s");
    seen->n++;
    seen->users += user_id;
}

static void
a_walk_meets_everybody(void **state)
{
    struct seen seen = {0};

    (void)state;
    for (int64_t user = 1; user <= 200; user++) {
        struct pim_peer it = peer((uint32_t)user);

        pim_presence_add(im, user, &it, "s");
    }
    pim_presence_walk(im, on_place, &seen);
    assert_int_equal(seen.n, 200);
    assert_int_equal(seen.users, 200 * 201 / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_fourth_pushes_the_oldest_out, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(ended_sessions_are_closed, im_setup, im_teardown),
        cmocka_unit_test_setup_teardown(a_walk_meets_everybody, im_setup, im_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
