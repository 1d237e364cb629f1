#include "data/wait.h"

#include <pthread.h>

struct waiting {
    struct pim_job job;
    pim_data_work_fn fn;
    void *ctx;
    struct pim_err *err;
    int rc;
    pthread_mutex_t lock; /* guards ended */
    pthread_cond_t end;
    bool ended;
};

static void
run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct waiting *w = (struct waiting *)job;

    if (failed != 0)
        w->rc = pim_err_set(w->err, failed, "the storage is away");
    else
        w->rc = w->fn(w->ctx, lease, w->err);
}

static void
done(struct pim_job *job, int rc)
{
    struct waiting *w = (struct waiting *)job;

    pthread_mutex_lock(&w->lock);
    if (rc < 0)
        w->rc = pim_err_set(w->err, rc, "the change could not be stored");
    w->ended = true;
    pthread_cond_signal(&w->end);
    pthread_mutex_unlock(&w->lock);
}

int
pim_data_wait(struct pim_data *data, enum pim_pool_id pool, pim_data_work_fn fn, void *ctx, struct pim_err *err)
{
    struct waiting w = {.job.run = run, .job.done = done, .fn = fn, .ctx = ctx, .err = err};
    int rc;

    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.end, NULL);
    rc = pim_data_post(data, pool, &w.job);
    if (rc == PIM_OK) {
        pthread_mutex_lock(&w.lock);
        while (!w.ended)
            pthread_cond_wait(&w.end, &w.lock);
        pthread_mutex_unlock(&w.lock);
        rc = w.rc;
    } else {
        pim_err_set(err, rc, "the server is too busy, or stops");
    }
    pthread_cond_destroy(&w.end);
    pthread_mutex_destroy(&w.lock);
    return rc;
}
