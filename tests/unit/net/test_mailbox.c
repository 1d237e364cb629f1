#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/mailbox.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 4
#define EACH 5000

struct numbered {
    struct pim_mail mail;
    int thread, number;
};

static struct pim_mailbox box;

static struct numbered *
numbered_new(int thread, int number)
{
    struct numbered *n = calloc(1, sizeof *n);

    n->mail.kind = 5;
    n->thread = thread;
    n->number = number;
    return n;
}

/* Posts one by one and in lists. */
static void *
post_many(void *arg)
{
    int thread = (int)(intptr_t)arg;

    for (int i = 0; i < EACH;) {
        struct pim_mail_list list = STAILQ_HEAD_INITIALIZER(list);
        size_t n = 0;

        if (i % 3 == 0) {
            if (pim_mailbox_post(&box, &numbered_new(thread, i++)->mail) != PIM_OK)
                abort();
            continue;
        }
        for (; n < 7 && i < EACH; n++) {
            struct numbered *it = numbered_new(thread, i++);

            STAILQ_INSERT_TAIL(&list, &it->mail, link);
        }
        if (pim_mailbox_post_list(&box, &list, n) != PIM_OK || !STAILQ_EMPTY(&list))
            abort();
    }
    return NULL;
}

/* Takes a list apart; each thread's numbers must come in order. @return how many there were */
static size_t
take(struct pim_mail_list *mails, int next[THREADS])
{
    struct pim_mail *mail;
    size_t n = 0;

    while ((mail = STAILQ_FIRST(mails)) != NULL) {
        struct numbered *it = (struct numbered *)mail;

        STAILQ_REMOVE_HEAD(mails, link);
        assert_int_equal(it->number, next[it->thread]);
        next[it->thread]++;
        n++;
        free(it);
    }
    return n;
}

static void
a_waiting_receiver_gets_all_in_order(void **state)
{
    pthread_t threads[THREADS];
    int next[THREADS] = {0};
    size_t got = 0;

    (void)state;
    assert_int_equal(pim_mailbox_init(&box, NULL, NULL, NULL, 0), PIM_OK);
    for (intptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, post_many, (void *)t);
    while (got < THREADS * EACH) {
        struct pim_mail_list mails;
        size_t n = pim_mailbox_wait(&box, &mails, 10000);

        assert_true(n > 0); /* 10 s without a mail: a wake-up was lost */
        assert_int_equal(take(&mails, next), n);
        got += n;
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(pim_mailbox_count(&box), 0);
    pim_mailbox_close(&box);
    pim_mailbox_fini(&box);
}

struct woken {
    struct event_base *base;
    int next[THREADS];
    size_t got;
};

static void
on_mails(void *ctx, struct pim_mail_list *mails)
{
    struct woken *woken = ctx;

    woken->got += take(mails, woken->next);
    if (woken->got == THREADS * EACH)
        event_base_loopbreak(woken->base);
}

static void
an_event_base_is_woken(void **state)
{
    struct woken woken = {.base = event_base_new()};
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(pim_mailbox_init(&box, woken.base, on_mails, &woken, 0), PIM_OK);
    for (intptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, post_many, (void *)t);
    event_base_loopexit(woken.base, &(struct timeval){.tv_sec = 30});
    event_base_dispatch(woken.base);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(woken.got, THREADS * EACH);
    pim_mailbox_close(&box);
    pim_mailbox_fini(&box);
    event_base_free(woken.base);
}

static void
a_full_box_gives_the_mails_back(void **state)
{
    struct pim_mail mails[4] = {{.kind = 1}};
    struct pim_mail_list list = STAILQ_HEAD_INITIALIZER(list);

    (void)state;
    assert_int_equal(pim_mailbox_init(&box, NULL, NULL, NULL, 2), PIM_OK);
    STAILQ_INSERT_TAIL(&list, &mails[0], link);
    STAILQ_INSERT_TAIL(&list, &mails[1], link);
    STAILQ_INSERT_TAIL(&list, &mails[2], link);
    assert_int_equal(pim_mailbox_post_list(&box, &list, 3), PIM_ERR_FULL);
    assert_ptr_equal(STAILQ_FIRST(&list), &mails[0]); /* all or nothing */
    assert_int_equal(pim_mailbox_count(&box), 0);
    assert_int_equal(pim_mailbox_post(&box, &mails[0]), PIM_OK);
    assert_int_equal(pim_mailbox_post(&box, &mails[1]), PIM_OK);
    assert_int_equal(pim_mailbox_post(&box, &mails[2]), PIM_ERR_FULL);
    assert_int_equal(pim_mailbox_post_always(&box, &mails[3]), PIM_OK);
    assert_int_equal(pim_mailbox_count(&box), 3);
    assert_int_equal(pim_mailbox_wait(&box, &list, 0), 3);
    pim_mailbox_close(&box);
    pim_mailbox_fini(&box);
}

static void *
close_soon(void *arg)
{
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    pim_mailbox_close(&box);
    return NULL;
}

static void
a_closed_box_wakes_and_refuses(void **state)
{
    struct pim_mail mail = {.kind = 1};
    struct pim_mail_list list;
    pthread_t closer;

    (void)state;
    assert_int_equal(pim_mailbox_init(&box, NULL, NULL, NULL, 0), PIM_OK);
    assert_false(pim_mailbox_is_done(&box));
    assert_int_equal(pim_mailbox_wait(&box, &list, 0), 0);
    assert_int_equal(pim_mailbox_wait(&box, &list, 1), 0);
    pthread_create(&closer, NULL, close_soon, NULL);
    assert_int_equal(pim_mailbox_wait(&box, &list, -1), 0);
    pthread_join(closer, NULL);
    assert_true(pim_mailbox_is_done(&box));
    assert_int_equal(pim_mailbox_post(&box, &mail), PIM_ERR_UNAVAILABLE);
    assert_int_equal(pim_mailbox_post_always(&box, &mail), PIM_ERR_UNAVAILABLE);
    pim_mailbox_fini(&box);
}

static void
what_was_posted_before_the_end_is_there(void **state)
{
    struct pim_mail mail = {.kind = 1};
    struct pim_mail_list list;

    (void)state;
    assert_int_equal(pim_mailbox_init(&box, NULL, NULL, NULL, 0), PIM_OK);
    assert_int_equal(pim_mailbox_post(&box, &mail), PIM_OK);
    pim_mailbox_close(&box);
    assert_false(pim_mailbox_is_done(&box));
    assert_int_equal(pim_mailbox_wait(&box, &list, -1), 1);
    assert_ptr_equal(STAILQ_FIRST(&list), &mail);
    assert_true(pim_mailbox_is_done(&box));
    pim_mailbox_fini(&box);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiting_receiver_gets_all_in_order),
        cmocka_unit_test(an_event_base_is_woken),
        cmocka_unit_test(a_full_box_gives_the_mails_back),
        cmocka_unit_test(a_closed_box_wakes_and_refuses),
        cmocka_unit_test(what_was_posted_before_the_end_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
