/* data/pool.h - the threads that may block: storage threads, each with exactly one plugin connection, and the work pool
 * for what burns CPU (password hashes).
 *
 * A piece of blocking work is a job. Its run() is straight-line code that uses the lease of the thread it runs on; done()
 * is called after what run() wrote is durable: the thread that writes puts the jobs that have gathered into one commit
 * (PIM_CAP_GROUP) and calls their done() only when that commit has answered. Then the job belongs to done(), which
 * usually posts it back to the thread that asked. */
#ifndef PIM_DATA_POOL_H
#define PIM_DATA_POOL_H
#include "util/err.h"

#include <privateim/storage.h>
#include <stdbool.h>
#include <sys/queue.h>

struct pim_data; /* both bound stores with their threads; data/data.h */

enum pim_pool_id {
    PIM_POOL_RECORDS_READ,
    PIM_POOL_RECORDS_WRITE,
    PIM_POOL_MESSAGES_READ,
    PIM_POOL_WORK, /* no lease */
    PIM_POOLS
};

/* What blocking code holds while it runs: the connection of its thread. Owned by that thread, borrowed by run(). */
struct pim_lease {
    struct pim_data *data;
    const struct pim_storage_ops *ops;
    struct pim_conn *conn;
    struct pim_call call; /* deadline_ms is set anew for each job */
    bool lost;            /* an op found the connection dead: it is opened anew before the next job */
    int64_t tried_ms;     /* when that was tried last */
};

struct pim_job {
    STAILQ_ENTRY(pim_job) link;
    /* On a thread of the pool. lease is NULL in PIM_POOL_WORK, and where `failed` is not 0: then the store is away and run
     * only records that. */
    void (*run)(struct pim_job *job, struct pim_lease *lease, int failed);
    /* Afterwards, on the same thread. rc: PIM_OK, or why the commit of what run() wrote failed: then nothing of it counts
     * (or, UNCERTAIN, it may). */
    void (*done)(struct pim_job *job, int rc);
    uint32_t timeout_ms; /* 0: the pool's default */
    uint32_t pad;
    int64_t deadline_ms; /* set at post */
};

/**
 * Hand a job to a pool.
 *
 * @return PIM_OK, then run() and done() are called exactly once each;
 *         PIM_ERR_FULL when the pool's queue is full, PIM_ERR_UNAVAILABLE when it stops: the job is still the caller's.
 *
 * Threads: any; never blocks.
 */
PIM_MUST_CHECK int pim_data_post(struct pim_data *data, enum pim_pool_id pool, struct pim_job *job);

/** Pass an op's result through, noting a connection that has died. */
static inline int
pim_lease_note(struct pim_lease *lease, int rc)
{
    if (rc == PIM_ERR_UNAVAILABLE || rc == PIM_ERR_UNCERTAIN)
        lease->lost = true;
    return rc;
}

#endif
