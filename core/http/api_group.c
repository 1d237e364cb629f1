/* Groups. */
#include "http/json_in.h"
#include "http/out.h"
#include "http/router.h"
#include "http/task.h"
#include "im/group.h"
#include "im/throttle.h"

#include <string.h>

struct work {
    struct pim_http_task task; /* first */
    struct pim_group group;
    int64_t head_seq, after_id, limit;
    uint32_t members;
    char note[401];
};

static struct pim_accounts *
accounts_of(const struct pim_http_request *request)
{
    return pim_im_accounts(request->http->im);
}

/* Put the reply for a change that was not made. @return the step's result */
static int
refuse(struct pim_http_request *request, enum pim_group_answer answer)
{
    switch (answer) {
    case PIM_GROUP_NO_GROUP:
        pim_http_fail(request, 404, "there is no such group");
        break;
    case PIM_GROUP_NAME_TAKEN:
        pim_http_fail(request, 409, "you have a group of that name already");
        break;
    case PIM_GROUP_ALREADY:
        pim_http_fail(request, 409, "you are a member already");
        break;
    case PIM_GROUP_NOT_MEMBER:
        pim_http_fail(request, 403, "you are not a member of the group");
        break;
    case PIM_GROUP_IS_MANAGER:
        pim_http_fail(request, 403, "the manager cannot quit: hand the group over or dismiss it first");
        break;
    case PIM_GROUP_FULL:
        pim_http_fail(request, 409, "the group is full");
        break;
    default:
        pim_http_fail(request, 409, "you are in too many groups");
        break;
    }
    return PIM_HTTP_STEP_STOP;
}

static int
say(struct pim_http_request *request, const char *message)
{
    pim_http_json(request, 200);
    pim_buf_addc(&request->out, '{');
    pim_http_put_text(&request->out, "message", message);
    pim_buf_addc(&request->out, '}');
    return PIM_HTTP_STEP_NEXT;
}

static int
put_group_chat(struct pim_http_request *request, int status, const struct pim_group *group)
{
    pim_http_json(request, status);
    pim_buf_adds(&request->out, "{\"group_chat\":");
    pim_http_put_group(&request->out, group);
    pim_buf_addc(&request->out, '}');
    return PIM_HTTP_STEP_NEXT;
}

static bool
may_change(struct pim_http_request *request)
{
    if (pim_throttle_change(accounts_of(request), request->caller.user_id))
        return true;
    pim_http_fail_retry(request, 429, 60, "too many changes in a minute");
    return false;
}

/* --- /group_chat/instance ----------------------------------------------------------------------------------- */

static int
create_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    enum pim_group_answer answer;
    int rc;

    work->group.manager_id = task->request->caller.user_id;
    rc = pim_group_create(accounts_of(task->request), lease, &work->group, &task->owed, &answer, &task->err);
    if (rc < 0)
        return rc;
    return answer == PIM_GROUP_DONE ? put_group_chat(task->request, 201, &work->group) : refuse(task->request, answer);
}

static const struct pim_http_step create_steps[] = {{PIM_POOL_RECORDS_WRITE, create_run}};
static const struct pim_http_plan create_plan = {.steps = create_steps, .n = 1};

static enum pim_http_verdict
instance_post(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    const char *name, *why;
    struct work *work;
    size_t name_len;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    work = pim_http_task_new(request, sizeof *work, NULL);
    if (!pim_http_text(request, body, "name", &name, &name_len)) {
        json_decref(body);
        return PIM_HTTP_REPLY;
    }
    why = pim_account_name_bad(pim_im_config(request->http->im), name, name_len);
    if (why == NULL)
        memcpy(work->group.name, name, name_len);
    json_decref(body);
    if (why != NULL)
        return pim_http_fail(request, 400, "%s", why);
    return may_change(request) ? pim_http_task_start(request, &create_plan) : PIM_HTTP_REPLY;
}

static int
info_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    int rc = pim_group_load(lease, work->group.id, &work->group, &task->err);

    if (rc < 0)
        return rc;
    return rc == PIM_OK ? put_group_chat(task->request, 200, &work->group) : refuse(task->request, PIM_GROUP_NO_GROUP);
}

static const struct pim_http_step info_steps[] = {{PIM_POOL_RECORDS_READ, info_run}};
static const struct pim_http_plan info_plan = {.steps = info_steps, .n = 1};

/* Start a plan with the group of the query, and the page where it is a list. */
static enum pim_http_verdict
start_query(struct pim_http_request *request, const struct pim_http_plan *plan)
{
    struct work *work = pim_http_task_new(request, sizeof *work, NULL);
    int rc = pim_http_request_query_int(request, "group_id", &work->group.id);

    if (rc == PIM_NOT_FOUND)
        return pim_http_fail(request, 400, "'group_id' is missing");
    if (rc < 0 || work->group.id <= 0)
        return pim_http_fail(request, 400, "'group_id' is no id");
    if (pim_http_request_query_int(request, "after", &work->after_id) < 0 ||
        pim_http_request_query_int(request, "limit", &work->limit) < 0 || work->limit > UINT32_MAX)
        return pim_http_fail(request, 400, "'after' and 'limit' must be whole numbers");
    return pim_http_task_start(request, plan);
}

static enum pim_http_verdict
instance_get(struct pim_http_request *request)
{
    return start_query(request, &info_plan);
}

/* --- /group_chat/user ----------------------------------------------------------------------------------------- */

static int
join_head(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;

    return pim_group_head(lease, work->group.id, &work->head_seq, &task->err);
}

static int
join_count(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;

    return pim_group_count(lease, work->group.id, &work->members, &task->err);
}

static int
join_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    enum pim_group_answer answer;
    int rc = pim_group_join(accounts_of(task->request), lease, work->group.id, task->request->caller.user_id, work->note,
                            work->head_seq, work->members, &task->owed, &answer, &task->err);

    if (rc < 0)
        return rc;
    return answer == PIM_GROUP_DONE ? say(task->request, "you are a member now") : refuse(task->request, answer);
}

static const struct pim_http_step join_steps[] = {{PIM_POOL_MESSAGES_READ, join_head},
                                                  {PIM_POOL_RECORDS_READ, join_count},
                                                  {PIM_POOL_RECORDS_WRITE, join_run}};
static const struct pim_http_plan join_plan = {.steps = join_steps, .n = 3};

static int
quit_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    enum pim_group_answer answer;
    int rc = pim_group_quit(lease, work->group.id, task->request->caller.user_id, &task->owed, &answer, &task->err);

    if (rc < 0)
        return rc;
    return answer == PIM_GROUP_DONE ? say(task->request, "you have left the group") : refuse(task->request, answer);
}

static const struct pim_http_step quit_steps[] = {{PIM_POOL_RECORDS_WRITE, quit_run}};
static const struct pim_http_plan quit_plan = {.steps = quit_steps, .n = 1};

static int
note_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    enum pim_group_answer answer;
    int rc = pim_group_put_note(lease, work->group.id, task->request->caller.user_id, work->note, &answer, &task->err);

    if (rc < 0)
        return rc;
    return answer == PIM_GROUP_DONE ? say(task->request, "the note is changed") : refuse(task->request, answer);
}

static const struct pim_http_step note_steps[] = {{PIM_POOL_RECORDS_WRITE, note_run}};
static const struct pim_http_plan note_plan = {.steps = note_steps, .n = 1};

static enum pim_http_verdict
start_body(struct pim_http_request *request, const struct pim_http_plan *plan)
{
    json_t *body = pim_http_body(request);
    struct work *work;
    bool good;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    work = pim_http_task_new(request, sizeof *work, NULL);
    good = pim_http_id(request, body, "group_id", &work->group.id) && pim_http_note(request, body, work->note);
    json_decref(body);
    return good && may_change(request) ? pim_http_task_start(request, plan) : PIM_HTTP_REPLY;
}

static enum pim_http_verdict
user_post(struct pim_http_request *request)
{
    return start_body(request, &join_plan);
}

static enum pim_http_verdict
user_delete(struct pim_http_request *request)
{
    return start_body(request, &quit_plan);
}

static enum pim_http_verdict
user_put(struct pim_http_request *request)
{
    return start_body(request, &note_plan);
}

/* --- lists ------------------------------------------------------------------------------------------------------ */

static void
put_member(void *ctx, const struct pim_group_member *member)
{
    struct pim_buf *out = ctx;

    pim_buf_adds(out, out->data[out->len - 1] == '[' ? "{" : ",{");
    pim_http_put_int(out, "id", member->user_id);
    pim_http_put_text(out, "name", member->name);
    pim_http_put_text(out, "note", member->note);
    pim_http_put_int(out, "gender", member->gender);
    pim_http_put_text(out, "avatar", member->avatar);
    pim_buf_addc(out, '}');
}

static int
members_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct work *work = (struct work *)task;
    struct pim_buf *out = &task->request->out;
    enum pim_group_answer answer;
    int rc;

    pim_http_json(task->request, 200);
    pim_buf_adds(out, "{\"users\":[");
    rc = pim_group_members(lease, work->group.id, task->request->caller.user_id, work->after_id, (uint32_t)work->limit, put_member,
                           out, &answer, &task->err);
    pim_buf_adds(out, "]}");
    if (rc < 0)
        return rc;
    return answer == PIM_GROUP_DONE ? PIM_HTTP_STEP_NEXT : refuse(task->request, answer);
}

static const struct pim_http_step members_steps[] = {{PIM_POOL_RECORDS_READ, members_run}};
static const struct pim_http_plan members_plan = {.steps = members_steps, .n = 1};

static enum pim_http_verdict
users_get(struct pim_http_request *request)
{
    return start_query(request, &members_plan);
}

static void
put_joined(void *ctx, const struct pim_group *group)
{
    struct pim_http_request *request = ctx;
    struct pim_buf *out = &request->out;

    pim_buf_adds(out, out->data[out->len - 1] == '[' ? "{" : ",{");
    pim_http_put_int(out, "user_id", request->caller.user_id);
    pim_http_put_int(out, "group_id", group->id);
    pim_http_put_text(out, "group_name", group->name);
    pim_http_put_text(out, "group_avatar", group->avatar);
    pim_http_put_text(out, "group_qr_code", group->qr_code);
    pim_http_put_int(out, "manager_id", group->manager_id);
    pim_buf_addc(out, '}');
}

static int
joined_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct pim_http_request *request = task->request;
    int rc;

    pim_http_json(request, 200);
    pim_buf_adds(&request->out, "{\"group_chat_list\":[");
    rc = pim_group_joined(lease, request->caller.user_id, put_joined, request, &task->err);
    pim_buf_adds(&request->out, "]}");
    return rc < 0 ? rc : PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step joined_steps[] = {{PIM_POOL_RECORDS_READ, joined_run}};
static const struct pim_http_plan joined_plan = {.steps = joined_steps, .n = 1};

static enum pim_http_verdict
joined_get(struct pim_http_request *request)
{
    pim_http_task_new(request, sizeof(struct pim_http_task), NULL);
    return pim_http_task_start(request, &joined_plan);
}

const struct pim_http_route pim_http_routes_group[] = {
    {.path = "/group_chat/instance", .get = instance_get, .post = instance_post},
    {.path = "/group_chat/user", .post = user_post, .put = user_put, .del = user_delete},
    {.path = "/group_chat/users", .get = users_get},
    {.path = "/relation/group_chats", .get = joined_get},
    {.path = NULL},
};
