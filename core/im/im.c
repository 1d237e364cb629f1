#include "im/im.h"

#include "data/rec.h"
#include "data/schema.h"
#include "data/wait.h"
#include "im/im_priv.h"
#include "im/position.h"
#include "im/session.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/rand.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define TICK_MS 1000       /* positions are written */
#define TICKS_RECHECK 5    /* connections are looked at again */
#define TICKS_OUTBOX 5
#define TICKS_CLOCK 5
#define TICKS_UPKEEP 60     /* and each tick while there is more to do */
#define UPKEEP_FIRST 5
#define OUTBOX_AGE_MS 10000 /* younger entries are on their way */

int
pim_im_new(const struct pim_im_config *config, struct pim_data *data, const struct pim_auth_bind *auth,
           struct pim_im **out_im, struct pim_err *err)
{
    struct pim_im *im = pim_new0(sizeof *im);

    (void)err;
    pim_im_config_set(im, config);
    im->data = data;
    im->auth = *auth;
    im->presence = pim_presence_new();
    im->positions = pim_positions_new();
    im->accounts = pim_accounts_new(im);
    pthread_mutex_init(&im->timer_lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&im->timer_wake, &attr);
    pthread_condattr_destroy(&attr);
    *out_im = im;
    return PIM_OK;
}

static void
on_flush(void *ctx, uint32_t append_thread)
{
    (void)append_thread;
    pim_delivery_flush(ctx);
}

const struct pim_msglog_rules *
pim_im_rules(struct pim_im *im)
{
    im->rules = (struct pim_msglog_rules){.ctx = im,
                                          .rights_load = pim_rights_load,
                                          .rights_free = pim_rights_free,
                                          .check = pim_rights_check,
                                          .row = pim_rights_row,
                                          .committed = pim_delivery_committed,
                                          .flush = on_flush};
    return &im->rules;
}

bool
pim_im_config_set(struct pim_im *im, const struct pim_im_config *config)
{
    const struct pim_im_config *old = atomic_load_explicit(&im->config, memory_order_relaxed);
    struct pim_im_config *fresh;

    if (im->n_configs == PIM_IM_CONFIGS)
        return false;
    fresh = pim_new(sizeof *fresh);
    *fresh = *config;
    if (fresh->connections_per_user == 0 || fresh->connections_per_user > PIM_PEERS_MAX)
        fresh->connections_per_user = 3;
    if (old != NULL) { /* what others have sized themselves by */
        fresh->connections_per_user = old->connections_per_user;
        fresh->workers = old->workers;
        fresh->sync_rows = old->sync_rows;
    }
    im->configs[im->n_configs++] = fresh;
    atomic_store_explicit(&im->config, fresh, memory_order_release);
    return true;
}

struct pim_data *
pim_im_data(struct pim_im *im)
{
    return im->data;
}

const struct pim_im_config *
pim_im_config(const struct pim_im *im)
{
    return atomic_load_explicit(&im->config, memory_order_acquire);
}

const struct pim_auth_bind *
pim_im_auth(const struct pim_im *im)
{
    return &im->auth;
}

struct pim_accounts *
pim_im_accounts(struct pim_im *im)
{
    return im->accounts;
}

/* --- the store's constants ---------------------------------------------------------------------------------------- */

static int32_t
on_key(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_im *im = ctx;

    (void)item;
    (void)n_vals;
    if (vals[0].type == PIM_BYTES && vals[0].len == sizeof im->hash_key)
        memcpy(im->hash_key, vals[0].u.p, sizeof im->hash_key);
    return 0;
}

/* The key of body hashes is made with the data and never changes: it tells a resend from a conflict. */
static int
constants_load(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_im *im = ctx;
    struct pim_val name = pim_v_text("body_hash_key");
    struct pim_changes changes;
    int rc;

    pim_rand_bytes(im->hash_key, sizeof im->hash_key);
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_META, PIM_META_BY_NAME, 0);
    pim_changes_cell(&changes, PIM_META_NAME, PIM_SET, name);
    pim_changes_cell(&changes, PIM_META_NUM, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_META_BLOB, PIM_SET, pim_v_bytes(im->hash_key, sizeof im->hash_key));
    rc = pim_changes_run(&changes, lease, err);
    if (rc == PIM_EXISTS)
        rc = pim_rec_get(lease, PIM_K_META, PIM_META_BY_NAME, &name, 1, PIM_COL(PIM_META_BLOB), on_key, im, err);
    return rc;
}

/* --- the timer ---------------------------------------------------------------------------------------------------- */

static void *
timer_main(void *arg)
{
    struct pim_im *im = arg;
    struct timespec until;
    uint32_t tick = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    for (;;) {
        bool stopping;

        until.tv_sec += TICK_MS / 1000;
        pthread_mutex_lock(&im->timer_lock);
        while (!im->stopping && pthread_cond_timedwait(&im->timer_wake, &im->timer_lock, &until) == 0)
            ;
        stopping = im->stopping;
        pthread_mutex_unlock(&im->timer_lock);
        if (stopping)
            return NULL;
        tick++;
        pim_positions_flush(im);
        if (tick % TICKS_RECHECK == 0)
            pim_im_recheck(im);
        if (tick % TICKS_CLOCK == 0)
            pim_data_clock_ask(im->data);
        if (tick % TICKS_OUTBOX == 0)
            pim_outbox_replay(im, OUTBOX_AGE_MS);
        if (tick % TICKS_UPKEEP == UPKEEP_FIRST || atomic_load(&im->upkeep_more))
            pim_im_upkeep(im);
    }
}

int
pim_im_start(struct pim_im *im, struct pim_err *err)
{
    int rc = pim_data_wait(im->data, PIM_POOL_RECORDS_WRITE, constants_load, im, err);

    if (rc != PIM_OK)
        return rc < 0 ? rc : pim_err_set(err, PIM_ERR_UNAVAILABLE, "the store's constants cannot be read");
    rc = pim_im_restored(im, err);
    if (rc < 0)
        return rc;
    pim_outbox_replay(im, 0);
    if (pthread_create(&im->timer, NULL, timer_main, im) != 0)
        return pim_err_set(err, PIM_ERR_INTERNAL, "the timer thread cannot be started");
    pthread_setname_np(im->timer, "pim-timer");
    im->timer_on = true;
    return PIM_OK;
}

void
pim_im_stop(struct pim_im *im)
{
    if (!im->timer_on)
        return;
    pthread_mutex_lock(&im->timer_lock);
    im->stopping = true;
    pthread_cond_signal(&im->timer_wake);
    pthread_mutex_unlock(&im->timer_lock);
    pthread_join(im->timer, NULL);
    im->timer_on = false;
    pim_positions_drain(im, 5000);
}

void
pim_im_free(struct pim_im **imp)
{
    struct pim_im *im = *imp;

    *imp = NULL;
    if (im == NULL)
        return;
    pim_accounts_free(&im->accounts);
    pim_presence_free(&im->presence);
    pim_positions_free(&im->positions);
    for (uint32_t i = 0; i < im->n_configs; i++)
        free(im->configs[i]);
    pthread_cond_destroy(&im->timer_wake);
    pthread_mutex_destroy(&im->timer_lock);
    free(im);
}
