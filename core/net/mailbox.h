/* net/mailbox.h - how threads hand things over: a list under a short lock, one wake-up a burst.
 *
 * Two kinds of receiver: one with an event base (an io worker, an HTTP thread) is woken through an eventfd, and its
 * on_mails runs on that base; one without (a storage thread) waits in pim_mailbox_wait. A mail is any struct that
 * begins with struct pim_mail. */
#ifndef PIM_NET_MAILBOX_H
#define PIM_NET_MAILBOX_H
#include "util/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

struct event;
struct event_base;

struct pim_mail {
    STAILQ_ENTRY(pim_mail) link;
    int kind; /* the receiver's own numbers */
};
STAILQ_HEAD(pim_mail_list, pim_mail);

typedef void (*pim_mailbox_fn)(void *ctx, struct pim_mail_list *mails);

struct pim_mailbox {
    pthread_mutex_t lock; /* guards mails, count, closed; nothing else is taken under it */
    pthread_cond_t more;
    struct pim_mail_list mails;
    size_t count;
    size_t max_count; /* 0: no limit */
    bool closed, waiting;
    int wake_fd; /* -1 without an event base */
    struct event *wake_event;
    pim_mailbox_fn on_mails;
    void *ctx;
};

/**
 * Set up a mailbox.
 *
 * @param base       the receiver's event base, or NULL: then the receiver calls pim_mailbox_wait
 * @param on_mails   with a base: takes the whole list; called on the base's thread
 * @param max_count  posts beyond it answer PIM_ERR_FULL; 0 no limit
 * @return PIM_OK or PIM_ERR_INTERNAL (no eventfd)
 */
PIM_MUST_CHECK int pim_mailbox_init(struct pim_mailbox *box, struct event_base *base, pim_mailbox_fn on_mails, void *ctx,
                                    size_t max_count);
/** Free; the box must be closed and empty or its mails are forgotten (the caller drained it). Receiver's thread. */
void pim_mailbox_fini(struct pim_mailbox *box);

/** Hand over one mail. PIM_OK; PIM_ERR_UNAVAILABLE closed or PIM_ERR_FULL: the mail is still the caller's. Any thread. */
PIM_MUST_CHECK int pim_mailbox_post(struct pim_mailbox *box, struct pim_mail *mail);
/** Hand over a whole list, count mails long, in order; *mails is empty afterwards. Same results: all or nothing. */
PIM_MUST_CHECK int pim_mailbox_post_list(struct pim_mailbox *box, struct pim_mail_list *mails, size_t count);
/** Posts that must arrive: no limit on the count, PIM_ERR_UNAVAILABLE only when closed. Any thread. */
PIM_MUST_CHECK int pim_mailbox_post_always(struct pim_mailbox *box, struct pim_mail *mail);

/**
 * Take all that has gathered; waits while there is nothing.
 *
 * @param timeout_ms  how long to wait; 0 not at all, -1 for ever
 * @return mails moved into out (which is initialised); 0 after the timeout or when the box is closed and empty
 *
 * Threads: the receiver.
 */
size_t pim_mailbox_wait(struct pim_mailbox *box, struct pim_mail_list *out, int timeout_ms);
/** No more posts; wakes the receiver. Any thread. */
void pim_mailbox_close(struct pim_mailbox *box);
/** Closed and nothing left? Any thread. */
bool pim_mailbox_is_done(struct pim_mailbox *box);
/** Mails waiting now. Any thread. */
size_t pim_mailbox_count(struct pim_mailbox *box);

#endif
