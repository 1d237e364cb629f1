/* data/wait.h - a piece of blocking work on a pool, waited for: for main before it serves, and the control thread. */
#ifndef PIM_DATA_WAIT_H
#define PIM_DATA_WAIT_H
#include "data/pool.h"

/** On a thread of the pool; lease is NULL in PIM_POOL_WORK. @return what pim_data_wait returns */
typedef int (*pim_data_work_fn)(void *ctx, struct pim_lease *lease, struct pim_err *err);

/** Run fn on a pool and wait until what it wrote is durable. @return fn's result, or why it could not run. Never on a thread of
 *  a pool, an io worker or the HTTP side. */
PIM_MUST_CHECK int pim_data_wait(struct pim_data *data, enum pim_pool_id pool, pim_data_work_fn fn, void *ctx,
                                struct pim_err *err);

#endif
