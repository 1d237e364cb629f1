/* What may follow from two records about two people, without any store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "im/friend.h"

#include <string.h>

/* Records as letters: - none, A accepted, B black, D deleted, Q asked; "." with none of these. */
static struct pim_relation
relation(const char *letters)
{
    struct pim_relation r = {.exists = letters[0] != '-'};

    r.is_accept = strchr(letters, 'A') != NULL;
    r.is_black = strchr(letters, 'B') != NULL;
    r.is_delete = strchr(letters, 'D') != NULL;
    r.asked = strchr(letters, 'Q') != NULL;
    strcpy(r.note, "old");
    return r;
}

static const char *
letters_of(const struct pim_relation *r, bool written, char out[8])
{
    char *at = out;

    if (!r->exists && !written)
        *at++ = '-';
    if (r->is_accept)
        *at++ = 'A';
    if (r->is_black)
        *at++ = 'B';
    if (r->is_delete)
        *at++ = 'D';
    if (r->asked)
        *at++ = 'Q';
    if (at == out)
        *at++ = '.';
    *at = '\0';
    return out;
}

#define NONE 0

static const struct {
    const char *what;
    enum pim_friend_action action;
    const char *mine, *theirs;
    enum pim_friend_answer answer;
    const char *mine_after, *theirs_after; /* with DONE */
    int tell_peer, lost;
    bool gained;
} cases[] = {
    {"ask a stranger", PIM_FRIEND_ASK, "-", "-", PIM_FRIEND_DONE, "Q", ".", PIM_ROW_FRIEND_REQUEST, NONE, false},
    {"ask again", PIM_FRIEND_ASK, "Q", ".", PIM_FRIEND_UNCHANGED, NULL, NULL, NONE, NONE, false},
    {"ask one who asked", PIM_FRIEND_ASK, ".", "Q", PIM_FRIEND_DONE, "A", "AQ", PIM_ROW_FRIEND_ACCEPTED, NONE, true},
    {"ask a friend", PIM_FRIEND_ASK, "AQ", "A", PIM_FRIEND_ALREADY, NULL, NULL, NONE, NONE, false},
    {"ask one on my blacklist", PIM_FRIEND_ASK, "BD", "-", PIM_FRIEND_BLACK_MINE, NULL, NULL, NONE, NONE, false},
    {"ask past a blacklist", PIM_FRIEND_ASK, "-", "BD", PIM_FRIEND_BLACK_THEIRS, NULL, NULL, NONE, NONE, false},
    {"ask past a friend's blacklist", PIM_FRIEND_ASK, "AQ", "AB", PIM_FRIEND_BLACK_THEIRS, NULL, NULL, NONE, NONE, false},
    {"ask one I let go", PIM_FRIEND_ASK, "DQ", "A", PIM_FRIEND_DONE, "Q", ".", PIM_ROW_FRIEND_REQUEST, NONE, false},
    {"ask one who let me go", PIM_FRIEND_ASK, "AQ", "D", PIM_FRIEND_DONE, "Q", ".", PIM_ROW_FRIEND_REQUEST, NONE, false},

    {"accept", PIM_FRIEND_ACCEPT, ".", "Q", PIM_FRIEND_DONE, "A", "AQ", PIM_ROW_FRIEND_ACCEPTED, NONE, true},
    {"accept twice", PIM_FRIEND_ACCEPT, "A", "AQ", PIM_FRIEND_UNCHANGED, NULL, NULL, NONE, NONE, false},
    {"accept a stranger", PIM_FRIEND_ACCEPT, "-", "-", PIM_FRIEND_NO_REQUEST, NULL, NULL, NONE, NONE, false},
    {"accept one's own request", PIM_FRIEND_ACCEPT, "Q", ".", PIM_FRIEND_NO_REQUEST, NULL, NULL, NONE, NONE, false},
    {"accept what was withdrawn", PIM_FRIEND_ACCEPT, "D", "DQ", PIM_FRIEND_NO_REQUEST, NULL, NULL, NONE, NONE, false},
    {"accept one who let me go", PIM_FRIEND_ACCEPT, "A", "D", PIM_FRIEND_NO_REQUEST, NULL, NULL, NONE, NONE, false},

    {"refuse", PIM_FRIEND_REFUSE, ".", "Q", PIM_FRIEND_DONE, "BD", "DQ", PIM_ROW_FRIEND_REFUSED, NONE, false},
    {"refuse a friend", PIM_FRIEND_REFUSE, "A", "AQ", PIM_FRIEND_NO_REQUEST, NULL, NULL, NONE, NONE, false},

    {"block a friend", PIM_FRIEND_BLOCK, "A", "AQ", PIM_FRIEND_DONE, "AB", "AQ", NONE, PIM_ROW_BLOCKED, false},
    {"block a stranger", PIM_FRIEND_BLOCK, "-", "-", PIM_FRIEND_DONE, "BD", "-", NONE, NONE, false},
    {"block one who asked", PIM_FRIEND_BLOCK, ".", "Q", PIM_FRIEND_DONE, "BD", "DQ", NONE, NONE, false},
    {"block one I asked", PIM_FRIEND_BLOCK, "Q", ".", PIM_FRIEND_DONE, "BDQ", "D", NONE, NONE, false},
    {"block twice", PIM_FRIEND_BLOCK, "AB", "A", PIM_FRIEND_UNCHANGED, NULL, NULL, NONE, NONE, false},
    {"unblock a friend", PIM_FRIEND_UNBLOCK, "AB", "AQ", PIM_FRIEND_DONE, "A", "AQ", NONE, NONE, true},
    {"unblock a stranger", PIM_FRIEND_UNBLOCK, "BD", "-", PIM_FRIEND_DONE, "D", "-", NONE, NONE, false},
    {"unblock one who let me go", PIM_FRIEND_UNBLOCK, "AB", "D", PIM_FRIEND_DONE, "A", "D", NONE, NONE, false},
    {"unblock nobody", PIM_FRIEND_UNBLOCK, "-", "-", PIM_FRIEND_NOT_LISTED, NULL, NULL, NONE, NONE, false},
    {"unblock one who is not black", PIM_FRIEND_UNBLOCK, "A", "A", PIM_FRIEND_UNCHANGED, NULL, NULL, NONE, NONE, false},

    {"let a friend go", PIM_FRIEND_DELETE, "AQ", "A", PIM_FRIEND_DONE, "DQ", "A", NONE, PIM_ROW_UNFRIENDED, false},
    {"let a blocked friend go", PIM_FRIEND_DELETE, "AB", "A", PIM_FRIEND_DONE, "BD", "A", NONE, PIM_ROW_UNFRIENDED, false},
    {"withdraw a request", PIM_FRIEND_DELETE, "Q", ".", PIM_FRIEND_DONE, "DQ", "D", NONE, NONE, false},
    {"drop a request", PIM_FRIEND_DELETE, ".", "Q", PIM_FRIEND_DONE, "D", "DQ", NONE, NONE, false},
    {"let one go who let me go", PIM_FRIEND_DELETE, "A", "D", PIM_FRIEND_DONE, "D", "D", NONE, NONE, false},
    {"let a stranger go", PIM_FRIEND_DELETE, "-", "-", PIM_FRIEND_NOT_LISTED, NULL, NULL, NONE, NONE, false},
    {"let go twice", PIM_FRIEND_DELETE, "D", "A", PIM_FRIEND_NOT_LISTED, NULL, NULL, NONE, NONE, false},

    {"note a friend", PIM_FRIEND_NOTE, "A", "A", PIM_FRIEND_DONE, "A", "A", NONE, NONE, false},
    {"note one on the blacklist", PIM_FRIEND_NOTE, "BD", "-", PIM_FRIEND_DONE, "BD", "-", NONE, NONE, false},
    {"note a stranger", PIM_FRIEND_NOTE, "-", "-", PIM_FRIEND_NOT_LISTED, NULL, NULL, NONE, NONE, false},
};

static void
every_case_has_its_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        struct pim_relation mine = relation(cases[i].mine), theirs = relation(cases[i].theirs);
        struct pim_friend_plan plan;
        char got_mine[8], got_theirs[8];
        int answer = pim_friend_plan(cases[i].action, "new", 5, &mine, &theirs, &plan);

        if (answer != (int)cases[i].answer)
            fail_msg("%s: answer %d", cases[i].what, answer);
        if (answer != PIM_FRIEND_DONE)
            continue;
        letters_of(&plan.mine, plan.write_mine, got_mine);
        letters_of(&plan.theirs, plan.write_theirs, got_theirs);
        if (strcmp(got_mine, cases[i].mine_after) != 0 || strcmp(got_theirs, cases[i].theirs_after) != 0)
            fail_msg("%s: mine %s, theirs %s", cases[i].what, got_mine, got_theirs);
        if ((int)plan.tell_peer != cases[i].tell_peer || (int)plan.lost != cases[i].lost || plan.gained != cases[i].gained)
            fail_msg("%s: tells %d, lost %d, gained %d", cases[i].what, plan.tell_peer, plan.lost, plan.gained);
    }
}

/* Whatever two people do, in any order: nobody becomes a friend but by both asking or one accepting, and a right that was
 * there and is gone was announced by a row. */
static bool
may_send(const struct pim_relation *from, const struct pim_relation *to)
{
    return from->exists && to->exists && from->is_accept && to->is_accept && !from->is_delete && !to->is_delete && !to->is_black;
}

static void
rights_come_and_go_in_the_open(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct pim_relation r[2] = {{0}, {0}};

        for (int step = 0; step < 12; step++) {
            struct pim_friend_plan plan;
            enum pim_friend_action action;
            bool before, after;
            int me;

            seed = seed * 1664525u + 1013904223u;
            me = seed >> 31;
            action = (enum pim_friend_action)((seed >> 8) % 7);
            if (pim_friend_plan(action, "", 5, &r[me], &r[1 - me], &plan) != PIM_FRIEND_DONE)
                continue;
            before = may_send(&r[0], &r[1]) || may_send(&r[1], &r[0]);
            assert_true(plan.write_theirs || memcmp(&plan.theirs, &r[1 - me], sizeof plan.theirs) == 0);
            r[me] = plan.mine;
            r[me].exists = true;
            if (plan.write_theirs) {
                r[1 - me] = plan.theirs;
                r[1 - me].exists = true;
            }
            after = may_send(&r[0], &r[1]) || may_send(&r[1], &r[0]);
            if (before && !after)
                assert_true(plan.lost != 0 || may_send(&r[0], &r[1]) || may_send(&r[1], &r[0]));
            if (!before && after)
                assert_true(plan.gained);
            if (after && !before && action != PIM_FRIEND_UNBLOCK)
                assert_true(plan.tell_peer == PIM_ROW_FRIEND_ACCEPTED);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_has_its_outcome),
        cmocka_unit_test(rights_come_and_go_in_the_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
