/* im/account_priv.h - the state that sessions, accounts and throttles share. */
#ifndef PIM_IM_ACCOUNT_PRIV_H
#define PIM_IM_ACCOUNT_PRIV_H
#include "im/session.h"

#include <pthread.h>

struct pim_session_cache;
struct pim_throttle_table;

struct pim_accounts {
    struct pim_im *im;
    struct pim_session_cache *cache;
    struct pim_throttle_table *addresses;
    pthread_mutex_t dummy_lock; /* guards dummy; held while it is made: only work threads come here */
    char dummy[256];            /* a hash that no password has, for addresses that no account has */
};

struct pim_session_cache *pim_session_cache_new(void);
void pim_session_cache_free(struct pim_session_cache **cache);
struct pim_throttle_table *pim_throttle_table_new(void);
void pim_throttle_table_free(struct pim_throttle_table **table);

#endif
