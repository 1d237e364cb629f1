/* Friends. */
#include "http/json_in.h"
#include "http/out.h"
#include "http/router.h"
#include "http/task.h"
#include "im/friend.h"
#include "im/throttle.h"

struct change {
    struct pim_http_task task; /* first */
    struct pim_friend_change what;
    char note[PIM_NOTE_MAX_BYTES];
    int64_t number; /* action as the client gave it; 0: the route has none */
};

static struct pim_accounts *
accounts_of(const struct pim_http_request *request)
{
    return pim_im_accounts(request->http->im);
}

static const char *
done_text(enum pim_friend_action action)
{
    switch (action) {
    case PIM_FRIEND_ASK:
        return "the request is sent";
    case PIM_FRIEND_ACCEPT:
        return "you are friends now";
    case PIM_FRIEND_REFUSE:
        return "the request is refused";
    case PIM_FRIEND_NOTE:
        return "the note is changed";
    case PIM_FRIEND_BLOCK:
        return "the user is on your blacklist";
    case PIM_FRIEND_UNBLOCK:
        return "the user is off your blacklist";
    default:
        return "the friend is removed";
    }
}

/* Put the reply for what the rules said. @return the step's result */
static int
answer(struct change *change)
{
    struct pim_http_request *request = change->task.request;
    struct pim_buf *out = &request->out;

    switch (change->what.answer) {
    case PIM_FRIEND_DONE:
    case PIM_FRIEND_UNCHANGED:
        pim_http_json(request, 200);
        pim_buf_addc(out, '{');
        if (change->number != 0)
            pim_http_put_int(out, "action", change->number);
        pim_http_put_text(out, "message", change->what.action == PIM_FRIEND_ASK && change->what.gained
                                              ? done_text(PIM_FRIEND_ACCEPT) : done_text(change->what.action));
        pim_buf_addc(out, '}');
        return PIM_HTTP_STEP_NEXT;
    case PIM_FRIEND_SELF:
        pim_http_fail(request, 400, "that is you yourself");
        break;
    case PIM_FRIEND_NO_USER:
        pim_http_fail(request, 404, "there is no such user");
        break;
    case PIM_FRIEND_ALREADY:
        pim_http_fail(request, 409, "you are friends already");
        break;
    case PIM_FRIEND_BLACK_MINE:
        pim_http_fail(request, 409, "the user is on your blacklist: take him off first");
        break;
    case PIM_FRIEND_BLACK_THEIRS:
        pim_http_fail(request, 403, "the user does not take requests from you");
        break;
    case PIM_FRIEND_NO_REQUEST:
        pim_http_fail(request, 404, "there is no request from this user");
        break;
    case PIM_FRIEND_NOT_LISTED:
        pim_http_fail(request, 404, "the user is not in your list");
        break;
    case PIM_FRIEND_TOO_MANY:
        pim_http_fail_retry(request, 429, 3600, "you have asked too many users today");
        break;
    }
    return PIM_HTTP_STEP_STOP;
}

static int
change_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct change *change = (struct change *)task;
    int rc = pim_friend_change(accounts_of(task->request), lease, &change->what, &task->owed, &task->err);

    return rc < 0 ? rc : answer(change);
}

static void
change_committed(struct pim_http_task *task)
{
    pim_friend_gained(accounts_of(task->request), &((struct change *)task)->what);
}

static const struct pim_http_step change_steps[] = {{PIM_POOL_RECORDS_WRITE, change_run}};
static const struct pim_http_plan change_plan = {.steps = change_steps, .n = 1, .committed = change_committed};

static enum pim_http_verdict
change_start(struct pim_http_request *request, struct change *change, enum pim_friend_action action)
{
    if (!pim_throttle_change(accounts_of(request), request->caller.user_id))
        return pim_http_fail_retry(request, 429, 60, "too many changes in a minute");
    change->what.user_id = request->caller.user_id;
    change->what.action = action;
    change->what.note = change->note;
    return pim_http_task_start(request, &change_plan);
}

static enum pim_http_verdict
friend_post(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    struct change *change;
    bool good;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    change = pim_http_task_new(request, sizeof *change, NULL);
    good = pim_http_id(request, body, "dst_id", &change->what.peer_id) && pim_http_note(request, body, change->note);
    json_decref(body);
    return good ? change_start(request, change, PIM_FRIEND_ASK) : PIM_HTTP_REPLY;
}

static enum pim_http_verdict
friend_put(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    enum pim_friend_action action = PIM_FRIEND_NOTE;
    struct change *change;
    bool good, flag = false;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    change = pim_http_task_new(request, sizeof *change, NULL);
    good = pim_http_int(request, body, "action", &change->number) &&
           pim_http_id(request, body, "dst_id", &change->what.peer_id) && pim_http_note(request, body, change->note);
    if (good && (change->number < 1 || change->number > 3)) {
        pim_http_fail(request, 400, "'action' must be 1 (note), 2 (accept or refuse) or 3 (blacklist)");
        good = false;
    }
    if (good && change->number == 2) {
        good = pim_http_bool(request, body, "is_accept", &flag);
        action = flag ? PIM_FRIEND_ACCEPT : PIM_FRIEND_REFUSE;
    } else if (good && change->number == 3) {
        good = pim_http_bool(request, body, "is_black", &flag);
        action = flag ? PIM_FRIEND_BLOCK : PIM_FRIEND_UNBLOCK;
    }
    json_decref(body);
    return good ? change_start(request, change, action) : PIM_HTTP_REPLY;
}

static enum pim_http_verdict
friend_delete(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    struct change *change;
    bool good;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    change = pim_http_task_new(request, sizeof *change, NULL);
    good = pim_http_id(request, body, "dst_id", &change->what.peer_id);
    json_decref(body);
    return good ? change_start(request, change, PIM_FRIEND_DELETE) : PIM_HTTP_REPLY;
}

/* --- GET /relation/friends ---------------------------------------------------------------------------------- */

/* Address and number are for friends only. */
static void
put_friend(void *ctx, const struct pim_friend *entry)
{
    struct pim_buf *out = ctx;

    pim_buf_adds(out, out->data[out->len - 1] == '[' ? "{" : ",{");
    pim_http_put_int(out, "id", entry->id);
    pim_http_put_text(out, "note", entry->relation.note);
    pim_http_put_text(out, "email", entry->is_friend ? entry->user.email : "");
    pim_http_put_text(out, "name", entry->user.name);
    pim_http_put_text(out, "mobile", entry->is_friend ? entry->user.mobile : "");
    pim_http_put_int(out, "gender", entry->user.gender);
    pim_http_put_text(out, "avatar", entry->user.avatar);
    pim_http_put_bool(out, "is_accept", entry->relation.is_accept);
    pim_http_put_bool(out, "is_black", entry->relation.is_black);
    pim_http_put_bool(out, "is_delete", entry->relation.is_delete);
    pim_http_put_bool(out, "asked", entry->relation.asked);
    pim_buf_addc(out, '}');
}

static int
list_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct pim_buf *out = &task->request->out;
    int rc;

    pim_http_json(task->request, 200);
    pim_buf_adds(out, "{\"friends\":[");
    rc = pim_friend_list(lease, task->request->caller.user_id, put_friend, out, &task->err);
    pim_buf_adds(out, "]}");
    return rc < 0 ? rc : PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step list_steps[] = {{PIM_POOL_RECORDS_READ, list_run}};
static const struct pim_http_plan list_plan = {.steps = list_steps, .n = 1};

static enum pim_http_verdict
friends_get(struct pim_http_request *request)
{
    pim_http_task_new(request, sizeof(struct pim_http_task), NULL);
    return pim_http_task_start(request, &list_plan);
}

const struct pim_http_route pim_http_routes_friend[] = {
    {.path = "/relation/friend", .post = friend_post, .put = friend_put, .del = friend_delete},
    {.path = "/relation/friends", .get = friends_get},
    {.path = NULL},
};
