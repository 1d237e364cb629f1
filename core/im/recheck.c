/* Are those who are connected still allowed to be? Their sessions and accounts are read again every few seconds, since another
 * node or an operator may have ended them. */
#include "im/im_priv.h"

#include "data/rec.h"
#include "data/schema.h"
#include "util/clock.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define ROWS_AT_ONCE 64

struct online {
    int64_t user_id;
    char session[64];
    bool session_good, user_good;
};

struct recheck {
    struct pim_job job;
    struct pim_im *im;
    struct online *list;
    uint32_t n, cap, first; /* first: of the keys that are asked for now */
    int64_t now_ms;
    bool whole; /* everything was read */
};

static void
on_online(void *ctx, int64_t user_id, const struct pim_peer *peer, const char *session)
{
    struct recheck *r = ctx;

    (void)peer;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->list = pim_renew(r->list, r->cap, sizeof *r->list);
    }
    r->list[r->n] = (struct online){.user_id = user_id};
    snprintf(r->list[r->n].session, sizeof r->list[r->n].session, "%s", session);
    r->n++;
}

static int32_t
on_session(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct recheck *r = ctx;
    struct online *online = &r->list[r->first + item];

    (void)n_vals;
    online->session_good = vals[0].u.i == online->user_id && vals[1].u.i > r->now_ms;
    return 0;
}

static int32_t
on_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct recheck *r = ctx;

    (void)n_vals;
    r->list[r->first + item].user_good = vals[0].u.i == 0 && vals[1].u.i == 0;
    return 0;
}

static void
recheck_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct recheck *r = (struct recheck *)job;
    struct pim_err err = PIM_ERR_INIT;

    if (failed != 0)
        return;
    for (r->first = 0; r->first < r->n; r->first += ROWS_AT_ONCE) {
        uint32_t n = r->n - r->first < ROWS_AT_ONCE ? r->n - r->first : ROWS_AT_ONCE;
        struct pim_val sessions[ROWS_AT_ONCE];
        int64_t users[ROWS_AT_ONCE];
        struct pim_get get = {.struct_size = sizeof get,
                              .kind = PIM_K_SESSION,
                              .index = PIM_SESSION_BY_ID,
                              .keys = sessions,
                              .n_keys = n,
                              .vals_per_key = 1,
                              .cols = PIM_COL(PIM_SESSION_USER) | PIM_COL(PIM_SESSION_EXPIRES_MS)};

        for (uint32_t i = 0; i < n; i++) {
            sessions[i] = pim_v_text(r->list[r->first + i].session);
            users[i] = r->list[r->first + i].user_id;
        }
        if (pim_lease_note(lease, lease->ops->get(lease->conn, &lease->call, &get, on_session, r, &err)) < 0 ||
            pim_rec_get_many(lease, PIM_K_USER, users, n, PIM_COL(PIM_USER_IS_DELETE) | PIM_COL(PIM_USER_DISABLED), on_user,
                             r, &err) < 0)
            return; /* a store that is away ends nobody */
    }
    r->whole = true;
}

static void
recheck_done(struct pim_job *job, int rc)
{
    struct recheck *r = (struct recheck *)job;

    for (uint32_t i = 0; rc == PIM_OK && r->whole && i < r->n; i++)
        if (!r->list[i].session_good || !r->list[i].user_good)
            pim_im_disconnect(r->im, r->list[i].user_id, r->list[i].session, NULL);
    free(r->list);
    free(r);
}

void
pim_im_recheck(struct pim_im *im)
{
    struct recheck *r = pim_new0(sizeof *r);

    r->im = im;
    r->now_ms = pim_clock_wall_ms();
    r->job.run = recheck_run;
    r->job.done = recheck_done;
    pim_presence_walk(im, on_online, r);
    if (r->n == 0 || pim_data_post(im->data, PIM_POOL_RECORDS_READ, &r->job) != PIM_OK) {
        free(r->list);
        free(r);
    }
}
