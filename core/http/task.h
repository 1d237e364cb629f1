/* http/task.h - a request that needs blocking work: a few steps, each on the pool that it names, then the reply.
 *
 * A handler puts a struct that begins with struct pim_http_task into request->ctx and starts it. Each step's run() does its
 * work and says how it goes on; what it wrote counts only when the commit has answered, so replies are sent, rows that are
 * owed are settled and the committed() function is called after that. */
#ifndef PIM_HTTP_TASK_H
#define PIM_HTTP_TASK_H
#include "data/pool.h"
#include "http/http_priv.h"
#include "im/outbox.h"

struct pim_http_task;

enum pim_http_step_result { /* or below 0: a failure, text in task->err */
    PIM_HTTP_STEP_NEXT = 0,
    PIM_HTTP_STEP_STOP = 1 /* the reply stands in the request, no further step */
};

struct pim_http_step {
    enum pim_pool_id pool;
    int (*run)(struct pim_http_task *task, struct pim_lease *lease);
};

struct pim_http_plan {
    const struct pim_http_step *steps;
    uint32_t n;
    /* After the commit of the last step that ran, before the reply; not after a failure. Any thread; NULL: nothing. */
    void (*committed)(struct pim_http_task *task);
};

struct pim_http_task {
    struct pim_job job; /* first */
    struct pim_http_request *request;
    const struct pim_http_plan *plan;
    uint32_t at;
    int result;
    struct pim_err err;
    struct pim_owed_list owed; /* settled before the reply */
};

/** Start a task that stands in request->ctx (as its first member). @return what the handler returns. */
enum pim_http_verdict pim_http_task_start(struct pim_http_request *request, const struct pim_http_plan *plan);

/** Size bytes for a task, zeroed, in request->ctx; fini (NULL: none) cleans up its insides. */
void *pim_http_task_new(struct pim_http_request *request, size_t size_bytes, void (*fini)(void *ctx));

#endif
