#include "im/claim.h"

#include "data/pool.h"
#include "im/im_priv.h"
#include "im/position.h"
#include "util/mem.h"

#include <string.h>

#define HEADS_AT_ONCE 256

struct claiming {
    struct pim_job job;
    struct pim_im *im;
    struct pim_claim *claims;
    uint32_t n;
};

static int32_t
on_row(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    int64_t *ord = ctx;

    (void)item;
    *ord = msg->ord;
    return 1;
}

static void
tell_others(struct pim_im *im, const struct pim_claim *claim, int64_t ord)
{
    struct pim_peer peers[PIM_PEERS_MAX];
    uint32_t n = pim_presence_list(im, claim->user_id, peers);

    for (uint32_t i = 0; i < n; i++) {
        struct pim_entry *entry;

        if (peers[i].old || (peers[i].worker == claim->from.worker && peers[i].ref.slot == claim->from.ref.slot &&
                             peers[i].ref.gen == claim->from.ref.gen))
            continue;
        entry = pim_batch_add(pim_delivery_batch(im, peers[i].worker), PIM_ENTRY_READ, 1, 0);
        entry->refs[0] = peers[i].ref;
        entry->row.conv = claim->conv;
        entry->row.seq = claim->seq;
        entry->row.ord = ord;
    }
}

static void
accept_one(struct claiming *c, struct pim_lease *lease, const struct pim_claim *claim, const struct pim_head *head)
{
    struct pim_history row = {.struct_size = sizeof row,
                              .conv = claim->conv,
                              .from_seq = claim->seq,
                              .to_seq = claim->seq,
                              .limit = 1};
    struct pim_mark mark = {.user_id = claim->user_id, .conv = claim->conv};
    struct pim_err err = PIM_ERR_INIT;
    int64_t ord = claim->seq == head->head_seq ? head->head_ord : -1;

    if (claim->seq > head->head_seq)
        return;
    if (!claim->is_read) {
        memcpy(mark.device, claim->device, sizeof mark.device);
        mark.seq = claim->seq;
        pim_position_raise(c->im, &mark);
        return;
    }
    if (ord < 0 &&
        (pim_lease_note(lease, lease->ops->history(lease->conn, &lease->call, &row, on_row, &ord, &err)) < 0 || ord < 0))
        return;
    mark.read_seq = claim->seq;
    mark.read_ord = ord;
    pim_position_raise(c->im, &mark);
    tell_others(c->im, claim, ord);
}

static void
claim_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct claiming *c = (struct claiming *)job;
    struct pim_head heads[HEADS_AT_ONCE];
    struct pim_err err = PIM_ERR_INIT;

    if (failed != 0)
        return; /* marks are hints: the client says it again */
    for (uint32_t first = 0; first < c->n; first += HEADS_AT_ONCE) {
        uint32_t n = c->n - first < HEADS_AT_ONCE ? c->n - first : HEADS_AT_ONCE;

        memset(heads, 0, n * sizeof heads[0]);
        for (uint32_t i = 0; i < n; i++)
            heads[i].conv = c->claims[first + i].conv;
        if (pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, heads, n, sizeof heads[0], &err)) < 0)
            return;
        for (uint32_t i = 0; i < n; i++)
            accept_one(c, lease, &c->claims[first + i], &heads[i]);
    }
}

static void
claim_done(struct pim_job *job, int rc)
{
    struct claiming *c = (struct claiming *)job;

    (void)rc;
    pim_delivery_flush(c->im);
    free(c->claims);
    free(c);
}

void
pim_im_claim(struct pim_im *im, struct pim_claim *claims, uint32_t n)
{
    struct claiming *c = pim_new0(sizeof *c);

    c->im = im;
    c->claims = claims;
    c->n = n;
    c->job.run = claim_run;
    c->job.done = claim_done;
    if (pim_data_post(im->data, PIM_POOL_MESSAGES_READ, &c->job) != PIM_OK) {
        free(c->claims);
        free(c);
    }
}
