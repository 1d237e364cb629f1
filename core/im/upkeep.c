/* What a store wants done now and then (retention, checkpoints): a bounded piece at a time, on the thread that writes to it. */
#include "im/im_priv.h"

#include "data/msglog.h"
#include "util/clock.h"
#include "util/mem.h"

#include <string.h>

#define PIECE_MS 20 /* then the writes that have come meanwhile have their turn */

struct upkeep {
    struct pim_job job;
    struct pim_im *im;
    int rc;
};

static void
upkeep_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct upkeep *upkeep = (struct upkeep *)job;
    struct pim_call call = {.struct_size = sizeof call, .deadline_ms = pim_clock_mono_ms() + PIECE_MS};
    struct pim_err err = PIM_ERR_INIT;

    upkeep->rc = PIM_OK;
    if (failed == 0 && PIM_HAS(struct pim_storage_ops, lease->ops, maintain))
        upkeep->rc = pim_lease_note(lease, lease->ops->maintain(lease->conn, &call, &err));
}

static void
upkeep_done(struct pim_job *job, int rc)
{
    struct upkeep *upkeep = (struct upkeep *)job;

    (void)rc;
    /* INVALID: it stood in a group with others */
    if (upkeep->rc == PIM_MORE || upkeep->rc == PIM_ERR_INVALID)
        atomic_store(&upkeep->im->upkeep_more, true);
    atomic_fetch_sub(&upkeep->im->upkeeps, 1);
    free(upkeep);
}

static struct upkeep *
upkeep_new(struct pim_im *im)
{
    struct upkeep *upkeep = pim_new0(sizeof *upkeep);

    upkeep->im = im;
    upkeep->job.run = upkeep_run;
    upkeep->job.done = upkeep_done;
    atomic_fetch_add(&im->upkeeps, 1);
    return upkeep;
}

void
pim_im_upkeep(struct pim_im *im)
{
    const struct pim_data_facts *facts = pim_data_facts(im->data);
    struct upkeep *upkeep;

    if (atomic_load(&im->upkeeps) > 0)
        return; /* the last piece is not done yet */
    atomic_store(&im->upkeep_more, false);
    upkeep = upkeep_new(im);
    if (pim_data_post(im->data, PIM_POOL_RECORDS_WRITE, &upkeep->job) != PIM_OK)
        upkeep_done(&upkeep->job, PIM_OK);
    if (memcmp(facts->records.store_id, facts->messages.store_id, sizeof facts->records.store_id) == 0)
        return; /* both roles in one store */
    upkeep = upkeep_new(im);
    upkeep->job.deadline_ms = INT64_MAX;
    if (pim_msglog_post_job(pim_data_log(im->data), &upkeep->job) != PIM_OK)
        upkeep_done(&upkeep->job, PIM_OK);
}
