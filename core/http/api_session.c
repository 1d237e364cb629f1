/* A user's own sessions. */
#include "http/out.h"
#include "http/router.h"
#include "http/task.h"
#include "im/session.h"
#include "util/clock.h"

#include <string.h>

struct sessions {
    struct pim_http_task task; /* first */
    struct pim_session one;
    struct pim_session list[PIM_SESSIONS_ROOM];
    char token[PIM_TOKEN_MAX_BYTES];
};

static struct pim_accounts *
accounts_of(const struct pim_http_request *request)
{
    return pim_im_accounts(request->http->im);
}

/* --- GET /auth/sessions ----------------------------------------------------------------------------------- */

static int
list_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sessions *sessions = (struct sessions *)task;
    const struct pim_caller *caller = &task->request->caller;
    struct pim_buf *out = &task->request->out;
    uint32_t n;
    int rc = pim_session_list(lease, caller->user_id, sessions->list, PIM_SESSIONS_ROOM, &n, &task->err);

    if (rc < 0)
        return rc;
    pim_http_json(task->request, 200);
    pim_buf_adds(out, "{\"sessions\":[");
    for (uint32_t i = 0; i < n; i++) {
        const struct pim_session *session = &sessions->list[i];

        pim_buf_adds(out, i > 0 ? ",{" : "{");
        pim_http_put_text(out, "id", session->id);
        pim_http_put_bool(out, "current", strcmp(session->id, caller->session) == 0);
        pim_http_put_time(out, "create_time", session->created_ms);
        pim_http_put_time(out, "seen_time", session->seen_ms);
        pim_http_put_time(out, "expire_time", session->expires_ms);
        pim_http_put_text(out, "agent", session->agent);
        pim_http_put_text(out, "address", session->address);
        pim_buf_addc(out, '}');
    }
    pim_buf_adds(out, "]}");
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step list_steps[] = {{PIM_POOL_RECORDS_READ, list_run}};
static const struct pim_http_plan list_plan = {.steps = list_steps, .n = 1};

static enum pim_http_verdict
sessions_get(struct pim_http_request *request)
{
    pim_http_task_new(request, sizeof(struct sessions), NULL);
    return pim_http_task_start(request, &list_plan);
}

/* --- DELETE /auth/session, /auth/sessions/ID ---------------------------------------------------------------- */

static int
end_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sessions *sessions = (struct sessions *)task;
    int rc = pim_session_end(lease, task->request->caller.user_id, sessions->one.id, &task->err);

    if (rc < 0)
        return rc;
    if (rc != PIM_OK) {
        pim_http_fail(task->request, 404, "there is no such session");
        return PIM_HTTP_STEP_STOP;
    }
    pim_http_json(task->request, 200);
    pim_buf_adds(&task->request->out, "{\"message\":\"the session is ended\"}");
    return PIM_HTTP_STEP_NEXT;
}

static void
end_committed(struct pim_http_task *task)
{
    struct sessions *sessions = (struct sessions *)task;

    if (task->result == PIM_HTTP_STEP_NEXT)
        pim_session_ended(accounts_of(task->request), task->request->caller.user_id, sessions->one.id, NULL);
}

static const struct pim_http_step end_steps[] = {{PIM_POOL_RECORDS_WRITE, end_run}};
static const struct pim_http_plan end_plan = {.steps = end_steps, .n = 1, .committed = end_committed};

static enum pim_http_verdict
session_end(struct pim_http_request *request, const char *id)
{
    struct sessions *sessions = pim_http_task_new(request, sizeof *sessions, NULL);

    if (strlen(id) >= sizeof sessions->one.id)
        return pim_http_fail(request, 404, "there is no such session");
    strcpy(sessions->one.id, id);
    return pim_http_task_start(request, &end_plan);
}

static enum pim_http_verdict
session_delete(struct pim_http_request *request)
{
    return session_end(request, request->caller.session);
}

static enum pim_http_verdict
sessions_delete(struct pim_http_request *request)
{
    return session_end(request, request->param);
}

/* --- PUT /auth/session ------------------------------------------------------------------------------------ */

static int
renew_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sessions *sessions = (struct sessions *)task;
    struct pim_http_request *request = task->request;
    int rc;

    pim_session_init(accounts_of(request), &sessions->one, request->caller.user_id, NULL, request->address);
    memcpy(sessions->one.id, request->caller.session, sizeof sessions->one.id);
    rc = pim_session_renew(lease, &sessions->one, &task->err);
    if (rc > 0) {
        pim_http_fail(request, 401, "the session has ended");
        return PIM_HTTP_STEP_STOP;
    }
    if (rc == PIM_OK)
        rc = pim_session_token(accounts_of(request), &sessions->one, sessions->token, &task->err);
    if (rc < 0)
        return rc;
    pim_http_json(request, 200);
    pim_buf_addc(&request->out, '{');
    pim_http_put_text(&request->out, "auth_token", sessions->token);
    pim_http_put_time(&request->out, "expire_time", sessions->one.expires_ms);
    pim_buf_addc(&request->out, '}');
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step renew_steps[] = {{PIM_POOL_RECORDS_WRITE, renew_run}};
static const struct pim_http_plan renew_plan = {.steps = renew_steps, .n = 1};

static enum pim_http_verdict
session_put(struct pim_http_request *request)
{
    pim_http_task_new(request, sizeof(struct sessions), NULL);
    return pim_http_task_start(request, &renew_plan);
}

const struct pim_http_route pim_http_routes_session[] = {
    {.path = "/auth/sessions", .get = sessions_get},
    {.path = "/auth/sessions/", .del = sessions_delete},
    {.path = "/auth/session", .put = session_put, .del = session_delete},
    {.path = NULL},
};
