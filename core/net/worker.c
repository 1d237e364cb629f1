#include "net/worker.h"

#include <event2/event.h>
#include <string.h>

static void *
worker_main(void *arg)
{
    struct pim_worker *worker = arg;

    while (!worker->stop) {
        event_base_loop(worker->base, EVLOOP_ONCE);
        worker->on_tick(worker->ctx);
    }
    if (worker->on_stop != NULL)
        worker->on_stop(worker->ctx);
    return NULL;
}

int
pim_worker_init(struct pim_worker *worker, pim_mailbox_fn on_mails, void (*on_tick)(void *ctx),
                void (*on_stop)(void *ctx), void *ctx, struct pim_err *err)
{
    struct event_config *config = event_config_new();
    int rc = PIM_ERR_INTERNAL;

    memset(worker, 0, sizeof *worker);
    worker->on_tick = on_tick;
    worker->on_stop = on_stop;
    worker->ctx = ctx;
    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread alone touches it; others use the mailbox */
        worker->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (worker->base == NULL)
        return pim_err_set(err, PIM_ERR_INTERNAL, "no event base for a worker");
    rc = pim_mailbox_init(&worker->box, worker->base, on_mails, ctx, 0);
    if (rc != PIM_OK) {
        event_base_free(worker->base);
        worker->base = NULL;
        return pim_err_set(err, rc, "no mailbox for a worker");
    }
    return PIM_OK;
}

int
pim_worker_start(struct pim_worker *worker, const char *name, struct pim_err *err)
{
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
        pim_mailbox_close(&worker->box);
        return pim_err_set(err, PIM_ERR_INTERNAL, "a worker thread cannot be started");
    }
    pthread_setname_np(worker->thread, name);
    return PIM_OK;
}

void
pim_worker_break(struct pim_worker *worker)
{
    worker->stop = true;
}

void
pim_worker_join(struct pim_worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void
pim_worker_fini(struct pim_worker *worker)
{
    if (worker->base == NULL)
        return;
    pim_mailbox_fini(&worker->box);
    event_base_free(worker->base);
    worker->base = NULL;
}
