/* net/worker.h - a thread with an event base and a mailbox: an io worker. Its loop runs the events that are ready and the mails that have
 * come, then on_tick once: whoever gathers (output, messages for another thread) hands on there. */
#ifndef PIM_NET_WORKER_H
#define PIM_NET_WORKER_H
#include "net/mailbox.h"

struct pim_worker {
    pthread_t thread;
    struct event_base *base;
    struct pim_mailbox box;
    void (*on_tick)(void *ctx);
    void (*on_stop)(void *ctx); /* on the worker, after its last tick; may be NULL */
    void *ctx;
    bool stop; /* set by the worker itself: pim_worker_break */
};

/**
 * Make the base and the mailbox; events may be added before the thread runs.
 *
 * @param on_mails  takes all mails that have gathered, on the worker
 * @return PIM_OK or PIM_ERR_INTERNAL
 */
PIM_MUST_CHECK int pim_worker_init(struct pim_worker *worker, pim_mailbox_fn on_mails, void (*on_tick)(void *ctx),
                                   void (*on_stop)(void *ctx), void *ctx, struct pim_err *err);
/** Start the thread; its name has at most 15 bytes. PIM_OK or PIM_ERR_INTERNAL. */
PIM_MUST_CHECK int pim_worker_start(struct pim_worker *worker, const char *name, struct pim_err *err);
/** End the loop after this turn. The worker itself. */
void pim_worker_break(struct pim_worker *worker);
/** Wait for the thread to end. Then pim_worker_fini. */
void pim_worker_join(struct pim_worker *worker);
void pim_worker_fini(struct pim_worker *worker);

#endif
