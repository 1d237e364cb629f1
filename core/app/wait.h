/* app/wait.h - a piece of blocking work on a pool, waited for: for the control thread, which may wait. */
#ifndef PIM_APP_WAIT_H
#define PIM_APP_WAIT_H
#include "data/pool.h"

/** On a thread of the pool; lease is NULL in PIM_POOL_WORK. @return what pim_app_wait returns */
typedef int (*pim_app_work_fn)(void *ctx, struct pim_lease *lease, struct pim_err *err);

/** Run fn on a pool and wait until what it wrote is durable. @return fn's result, or why it could not run. Never on a thread of
 *  a pool, an io worker or the HTTP side. */
PIM_MUST_CHECK int pim_app_wait(struct pim_data *data, enum pim_pool_id pool, pim_app_work_fn fn, void *ctx,
                                struct pim_err *err);

#endif
