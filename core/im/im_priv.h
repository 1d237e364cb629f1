/* im/im_priv.h - what the files of this folder share. */
#ifndef PIM_IM_IM_PRIV_H
#define PIM_IM_IM_PRIV_H
#include "im/delivery.h"
#include "im/im.h"
#include "im/presence.h"

#include <pthread.h>
#include <stdatomic.h>

#define PIM_IM_CONFIGS 1024 /* reloads of one process */

struct pim_accounts;
struct pim_positions;

struct pim_im {
    _Atomic(const struct pim_im_config *) config; /* replaced by a reload; what was there before stays until the end */
    struct pim_im_config *configs[PIM_IM_CONFIGS];
    uint32_t n_configs;
    struct pim_data *data;
    struct pim_auth_bind auth;
    struct pim_msglog_rules rules;
    struct pim_im_sink sink;
    struct pim_presence *presence;
    struct pim_positions *positions;
    struct pim_accounts *accounts;
    uint8_t hash_key[16]; /* of message bodies; a constant of the store */
    /* timer thread */
    pthread_t timer;
    pthread_mutex_t timer_lock;
    pthread_cond_t timer_wake;
    bool timer_on, stopping;
    /* upkeep.c */
    _Atomic uint32_t upkeeps;  /* pieces under way */
    _Atomic bool upkeep_more;  /* the last one has left something to do */
};

/* rights.c: for struct pim_msglog_rules */
int pim_rights_load(void *ctx, struct pim_lease *lease, const struct pim_conv *conv, struct pim_rights **out_rights,
                    struct pim_err *err);
void pim_rights_free(struct pim_rights **rights);
int pim_rights_check(void *ctx, const struct pim_rights *rights, const struct pim_send *send);
bool pim_rights_row(void *ctx, struct pim_rights *rights, const struct pim_conv *conv, uint32_t type, int64_t sender_id,
                    const void *body, uint32_t body_len);

/* outbox.c: append what an earlier run, or a store that was away, has left, if it is older than age_ms. Does not block. */
void pim_outbox_replay(struct pim_im *im, int64_t age_ms);

/* restore.c: if the messages were restored from a backup since the last start, lower the marks that stand above them. Blocks; main
 * thread, before anything is served. */
PIM_MUST_CHECK int pim_im_restored(struct pim_im *im, struct pim_err *err);

/* recheck.c: end the connections whose session or account has ended. Does not block. */
void pim_im_recheck(struct pim_im *im);

/* upkeep.c: let the stores do what they want done now and then, unless the last piece is still under way. Does not block. */
void pim_im_upkeep(struct pim_im *im);

/** The number that follows "name": in an event's body, 0 if there is none: the bodies are ours, in one form. */
int64_t pim_event_number(const char *body, size_t body_len, const char *name);

#endif
