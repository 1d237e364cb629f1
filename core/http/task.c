#include "http/task.h"

#include "util/mem.h"

void *
pim_http_task_new(struct pim_http_request *request, size_t size_bytes, void (*fini)(void *ctx))
{
    struct pim_http_task *task = pim_new0(size_bytes);

    task->request = request;
    STAILQ_INIT(&task->owed);
    request->ctx = task;
    request->ctx_fini = fini;
    return task;
}

static void
on_settled(void *ctx, int rc)
{
    struct pim_http_task *task = ctx;

    if (rc < 0)
        pim_http_fail_retry(task->request, 503, 2, "the change is made and will be announced");
    pim_http_request_done(task->request);
}

static void
task_end(struct pim_http_task *task)
{
    struct pim_http_request *request = task->request;

    if (STAILQ_EMPTY(&task->owed))
        pim_http_request_done(request);
    else
        pim_im_settle(request->http->im, &task->owed, on_settled, task);
}

static void
step_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct pim_http_task *task = (struct pim_http_task *)job;

    task->err = PIM_ERR_INIT;
    task->result = failed != 0 ? failed : task->plan->steps[task->at].run(task, lease);
}

static void step_done(struct pim_job *job, int rc);

static int
step_post(struct pim_http_task *task)
{
    task->job = (struct pim_job){.run = step_run, .done = step_done};
    return pim_data_post(pim_im_data(task->request->http->im), task->plan->steps[task->at].pool, &task->job);
}

/* The reply for a step that could not be posted. */
static void
post_failed(struct pim_http_task *task, int rc)
{
    if (rc == PIM_ERR_FULL)
        pim_http_fail_retry(task->request, 503, 1, "the server is busy");
    else
        pim_http_fail_rc(task->request, rc, NULL);
}

static void
step_done(struct pim_job *job, int rc)
{
    struct pim_http_task *task = (struct pim_http_task *)job;

    if (task->result >= 0 && rc < 0)
        task->result = rc;
    if (task->result < 0) {
        pim_owed_list_fini(&task->owed); /* the outbox has them if the commit went through after all */
        pim_http_fail_rc(task->request, task->result, &task->err);
        pim_http_request_done(task->request);
        return;
    }
    if (task->result == PIM_HTTP_STEP_NEXT && task->at + 1 < task->plan->n) {
        task->at++;
        rc = step_post(task);
        if (rc < 0) {
            post_failed(task, rc);
            task_end(task);
        }
        return;
    }
    if (task->plan->committed != NULL)
        task->plan->committed(task);
    task_end(task);
}

enum pim_http_verdict
pim_http_task_start(struct pim_http_request *request, const struct pim_http_plan *plan)
{
    struct pim_http_task *task = request->ctx;
    int rc;

    task->plan = plan;
    rc = step_post(task);
    if (rc == PIM_OK)
        return PIM_HTTP_LATER;
    post_failed(task, rc);
    return PIM_HTTP_REPLY;
}
