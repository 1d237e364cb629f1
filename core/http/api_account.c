/* Sign-up, sign-in, profile, password, finding users. */
#include "http/json_in.h"
#include "http/out.h"
#include "http/router.h"
#include "http/task.h"
#include "im/account.h"
#include "im/throttle.h"
#include "util/clock.h"

#include <string.h>

/* A sign-up or sign-in on its way. */
struct sign {
    struct pim_http_task task; /* first */
    struct pim_user user;      /* password: the hash that is stored or will be */
    struct pim_throttle throttle;
    struct pim_session session;
    bool is_known, is_good, rehash, has_entered;
    char new_hash[256];
    char email[255];
    char password[128 * 4 + 1];
    size_t password_len;
    char token[PIM_TOKEN_MAX_BYTES];
    char ended[PIM_SESSIONS_PER_USER][64];
    uint32_t n_ended;
};

static struct pim_accounts *
accounts_of(const struct pim_http_request *request)
{
    return pim_im_accounts(request->http->im);
}

static void
sign_fini(void *ctx)
{
    struct sign *sign = ctx;

    if (sign->has_entered)
        pim_throttle_leave(accounts_of(sign->task.request), sign->email);
    explicit_bzero(sign->password, sizeof sign->password);
    explicit_bzero(sign->token, sizeof sign->token);
}

static const struct pim_im_config *
rules_of(const struct pim_http_request *request)
{
    return pim_im_config(request->http->im);
}

static enum pim_http_verdict
bad(struct pim_http_request *request, const char *why)
{
    return pim_http_fail(request, 400, "%s", why);
}

/* Make a session for sign->user and its token; the commit is still to come. */
static int
session_make(struct sign *sign, struct pim_lease *lease)
{
    struct pim_http_request *request = sign->task.request;
    char *agent = pim_http_request_header_dup(request, "User-Agent");
    int rc;

    pim_session_init(accounts_of(request), &sign->session, sign->user.id, agent, request->address);
    free(agent);
    rc = pim_session_store(lease, &sign->session, sign->ended, &sign->n_ended, &sign->task.err);
    return rc < 0 ? rc : pim_session_token(accounts_of(request), &sign->session, sign->token, &sign->task.err);
}

static void
put_signed(struct pim_http_request *request, int status, const struct sign *sign)
{
    pim_http_json(request, status);
    pim_buf_addc(&request->out, '{');
    pim_http_put_text(&request->out, "auth_token", sign->token);
    pim_buf_adds(&request->out, ",\"user\":");
    pim_http_put_user(&request->out, &sign->user);
    pim_buf_addc(&request->out, '}');
}

static void
sign_committed(struct pim_http_task *task)
{
    struct sign *sign = (struct sign *)task;

    for (uint32_t i = 0; i < sign->n_ended; i++)
        pim_session_ended(accounts_of(task->request), sign->user.id, sign->ended[i], NULL);
}

static void
password_take(struct sign *sign, const char *password, size_t password_len)
{
    memcpy(sign->password, password, password_len);
    sign->password_len = password_len;
}

/* --- POST /auth/user -------------------------------------------------------------------------------------- */

static int
sign_up_hash(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sign *sign = (struct sign *)task;

    (void)lease;
    return pim_account_hash(accounts_of(task->request), sign->password, sign->password_len, sign->user.password, &task->err);
}

static int
sign_up_store(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sign *sign = (struct sign *)task;
    int rc = pim_account_create(lease, &sign->user, &task->err);

    if (rc == PIM_EXISTS) {
        pim_http_fail(task->request, 409, "the e-mail address is taken");
        return PIM_HTTP_STEP_STOP;
    }
    if (rc == PIM_OK)
        rc = session_make(sign, lease);
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_ERR_INTERNAL;
    put_signed(task->request, 201, sign);
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step sign_up_steps[] = {{PIM_POOL_WORK, sign_up_hash}, {PIM_POOL_RECORDS_WRITE, sign_up_store}};
static const struct pim_http_plan sign_up_plan = {.steps = sign_up_steps, .n = 2, .committed = sign_committed};

static enum pim_http_verdict
sign_up(struct pim_http_request *request)
{
    const struct pim_im_config *rules = rules_of(request);
    const char *name, *email, *password, *confirm, *why = NULL;
    size_t name_len, email_len, password_len, confirm_len;
    json_t *body = pim_http_body(request);
    struct sign *sign;
    uint32_t wait_s;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    sign = pim_http_task_new(request, sizeof *sign, sign_fini);
    if (!pim_http_text(request, body, "name", &name, &name_len) ||
        !pim_http_text(request, body, "email", &email, &email_len) ||
        !pim_http_text(request, body, "password", &password, &password_len) ||
        !pim_http_text(request, body, "confirm_password", &confirm, &confirm_len)) {
        json_decref(body);
        return PIM_HTTP_REPLY;
    }
    if ((why = pim_account_name_bad(rules, name, name_len)) == NULL &&
        (why = pim_account_email_read(rules, email, email_len, sign->user.email)) == NULL &&
        (why = pim_account_password_bad(rules, password, password_len)) == NULL) {
        if (password_len >= sizeof sign->password)
            why = "the password is too long";
        else if (password_len != confirm_len || memcmp(password, confirm, password_len) != 0)
            why = "the two passwords are not the same";
    }
    if (why == NULL) {
        memcpy(sign->user.name, name, name_len);
        password_take(sign, password, password_len);
    }
    json_decref(body);
    if (why != NULL)
        return bad(request, why);
    wait_s = pim_throttle_sign_up(accounts_of(request), request->address, request->is_loopback);
    if (wait_s > 0)
        return pim_http_fail_retry(request, 429, wait_s, "too many sign-ups from this network");
    return pim_http_task_start(request, &sign_up_plan);
}

/* --- POST /auth/profile ----------------------------------------------------------------------------------- */

/* Must this account wait? Then the reply says so. @return the step's result */
static int
throttle_look(struct pim_http_task *task, struct pim_lease *lease, const char *email, int64_t user_id,
              struct pim_throttle *throttle)
{
    struct pim_http_request *request = task->request;
    int rc = pim_throttle_load(lease, email, user_id, request->address, throttle, &task->err);
    uint32_t wait_s;

    if (rc < 0)
        return rc;
    wait_s = pim_throttle_wait_s(rules_of(request), throttle->fails, pim_clock_wall_ms() - throttle->last_ms);
    if (wait_s == 0)
        return PIM_HTTP_STEP_NEXT;
    pim_http_fail_retry(request, 429, wait_s, "too many failed tries: wait before the next one");
    return PIM_HTTP_STEP_STOP;
}

static int
sign_in_load(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sign *sign = (struct sign *)task;
    int rc = pim_user_find(lease, sign->email, &sign->user, &task->err);

    if (rc < 0)
        return rc;
    sign->is_known = rc == PIM_OK && !sign->user.is_delete;
    return throttle_look(task, lease, sign->email, sign->is_known ? sign->user.id : 0, &sign->throttle);
}

static int
sign_in_check(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sign *sign = (struct sign *)task;
    int rc = pim_account_verify(accounts_of(task->request), sign->is_known ? sign->user.password : NULL, sign->password,
                                sign->password_len, &sign->rehash, &task->err);

    (void)lease;
    if (rc < 0)
        return rc;
    sign->is_good = rc == PIM_OK;
    if (sign->is_good && sign->rehash)
        rc = pim_account_hash(accounts_of(task->request), sign->password, sign->password_len, sign->new_hash, &task->err);
    return rc < 0 ? rc : PIM_HTTP_STEP_NEXT;
}

static int
sign_in_store(struct pim_http_task *task, struct pim_lease *lease)
{
    struct sign *sign = (struct sign *)task;
    struct pim_http_request *request = task->request;
    struct pim_user now;
    int rc;

    pim_throttle_address_result(accounts_of(request), request->address, request->is_loopback, sign->is_good);
    if (!sign->is_good) {
        rc = pim_throttle_fail(lease, &sign->throttle, &task->err);
        if (rc < 0)
            return rc;
        pim_http_fail(request, 401, "the e-mail address or the password is wrong");
        return PIM_HTTP_STEP_STOP;
    }
    rc = pim_user_load(lease, sign->user.id, &now, &task->err); /* while the hash was made the operator may have acted */
    if (rc < 0)
        return rc;
    if (rc != PIM_OK || now.disabled || now.is_delete || strcmp(now.password, sign->user.password) != 0) {
        pim_http_fail(request, 401, rc == PIM_OK && now.disabled ? "the account is disabled"
                                                                  : "the e-mail address or the password is wrong");
        return PIM_HTTP_STEP_STOP;
    }
    sign->user = now;
    rc = pim_throttle_clear(lease, &sign->throttle, &task->err);
    if (rc == PIM_OK && sign->new_hash[0] != '\0')
        rc = pim_account_put_password(lease, sign->user.id, sign->user.password, sign->new_hash, &task->err);
    if (rc >= 0)
        rc = session_make(sign, lease);
    if (rc < 0)
        return rc;
    put_signed(request, 200, sign);
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step sign_in_steps[] = {{PIM_POOL_RECORDS_READ, sign_in_load},
                                                     {PIM_POOL_WORK, sign_in_check},
                                                     {PIM_POOL_RECORDS_WRITE, sign_in_store}};
static const struct pim_http_plan sign_in_plan = {.steps = sign_in_steps, .n = 3, .committed = sign_committed};

static enum pim_http_verdict
sign_in(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    const char *email, *password, *why;
    size_t email_len, password_len;
    struct sign *sign;
    uint32_t wait_s;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    sign = pim_http_task_new(request, sizeof *sign, sign_fini);
    if (!pim_http_text(request, body, "email", &email, &email_len) ||
        !pim_http_text(request, body, "password", &password, &password_len)) {
        json_decref(body);
        return PIM_HTTP_REPLY;
    }
    why = pim_account_email_read(rules_of(request), email, email_len, sign->email);
    if (password_len >= sizeof sign->password)
        why = "the password is too long";
    else
        password_take(sign, password, password_len);
    json_decref(body);
    if (why != NULL)
        return bad(request, why);
    wait_s = pim_throttle_address(accounts_of(request), request->address, request->is_loopback);
    if (wait_s > 0)
        return pim_http_fail_retry(request, 429, wait_s, "too many failed tries: wait before the next one");
    sign->has_entered = pim_throttle_enter(accounts_of(request), sign->email);
    if (!sign->has_entered)
        return pim_http_fail_retry(request, 429, 1, "too many tries at once for this account");
    return pim_http_task_start(request, &sign_in_plan);
}

/* --- /info/profile ---------------------------------------------------------------------------------------- */

/* Reads or changes the caller's own user. */
struct own {
    struct pim_http_task task; /* first */
    struct pim_user user;
};

static int
profile_read(struct pim_http_task *task, struct pim_lease *lease)
{
    struct pim_user *user = &((struct own *)task)->user;
    int rc = pim_user_load(lease, task->request->caller.user_id, user, &task->err);

    if (rc < 0)
        return rc;
    if (rc != PIM_OK) {
        pim_http_fail(task->request, 404, "there is no such user");
        return PIM_HTTP_STEP_STOP;
    }
    pim_http_json(task->request, 200);
    pim_http_put_user(&task->request->out, user);
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step profile_get_steps[] = {{PIM_POOL_RECORDS_READ, profile_read}};
static const struct pim_http_plan profile_get_plan = {.steps = profile_get_steps, .n = 1};

static enum pim_http_verdict
profile_get(struct pim_http_request *request)
{
    pim_http_task_new(request, sizeof(struct own), NULL);
    return pim_http_task_start(request, &profile_get_plan);
}

static int
profile_write(struct pim_http_task *task, struct pim_lease *lease)
{
    struct own *own = (struct own *)task;
    int rc;

    own->user.id = task->request->caller.user_id;
    rc = pim_account_put_profile(lease, &own->user, &task->err);
    return rc < 0 ? rc : profile_read(task, lease);
}

static const struct pim_http_step profile_put_steps[] = {{PIM_POOL_RECORDS_WRITE, profile_write}};
static const struct pim_http_plan profile_put_plan = {.steps = profile_put_steps, .n = 1};

static enum pim_http_verdict
profile_put(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    const char *name, *mobile, *why;
    size_t name_len, mobile_len;
    struct own *own;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    own = pim_http_task_new(request, sizeof *own, NULL);
    if (!pim_http_text(request, body, "name", &name, &name_len) ||
        !pim_http_text(request, body, "mobile", &mobile, &mobile_len) ||
        !pim_http_int(request, body, "gender", &own->user.gender)) {
        json_decref(body);
        return PIM_HTTP_REPLY;
    }
    why = pim_account_name_bad(rules_of(request), name, name_len);
    if (why == NULL)
        why = pim_account_mobile_bad(mobile, mobile_len);
    if (why == NULL && (own->user.gender < 0 || own->user.gender > 2))
        why = "'gender' must be 0, 1 or 2";
    if (why == NULL) {
        memcpy(own->user.name, name, name_len);
        memcpy(own->user.mobile, mobile, mobile_len);
    }
    json_decref(body);
    return why != NULL ? bad(request, why) : pim_http_task_start(request, &profile_put_plan);
}

/* --- PUT /info/password: a stolen token must not guess the password --------------------------------------- */

struct change {
    struct pim_http_task task; /* first */
    struct pim_user user;
    struct pim_throttle throttle;
    bool is_good;
    char old_password[128 * 4 + 1], password[128 * 4 + 1], hash[256];
    size_t old_len, len;
};

static void
change_fini(void *ctx)
{
    struct change *change = ctx;

    explicit_bzero(change->old_password, sizeof change->old_password);
    explicit_bzero(change->password, sizeof change->password);
}

static int
change_load(struct pim_http_task *task, struct pim_lease *lease)
{
    struct change *change = (struct change *)task;
    int rc = pim_user_load(lease, task->request->caller.user_id, &change->user, &task->err);

    if (rc != PIM_OK)
        return rc < 0 ? rc : pim_err_set(&task->err, PIM_ERR_INTERNAL, "the caller has no user");
    return throttle_look(task, lease, change->user.email, change->user.id, &change->throttle);
}

static int
change_check(struct pim_http_task *task, struct pim_lease *lease)
{
    struct change *change = (struct change *)task;
    struct pim_http_request *request = task->request;
    bool rehash;
    int rc = pim_account_verify(accounts_of(request), change->user.password, change->old_password, change->old_len, &rehash,
                                &task->err);

    (void)lease;
    if (rc < 0)
        return rc;
    change->is_good = rc == PIM_OK;
    pim_throttle_address_result(accounts_of(request), request->address, request->is_loopback, change->is_good);
    if (!change->is_good)
        return PIM_HTTP_STEP_NEXT;
    return pim_account_hash(accounts_of(request), change->password, change->len, change->hash, &task->err);
}

static int
change_store(struct pim_http_task *task, struct pim_lease *lease)
{
    struct change *change = (struct change *)task;
    const struct pim_caller *caller = &task->request->caller;
    int rc;

    if (!change->is_good) {
        rc = pim_throttle_fail(lease, &change->throttle, &task->err);
        if (rc < 0)
            return rc;
        pim_http_fail(task->request, 403, "the old password is wrong");
        return PIM_HTTP_STEP_STOP;
    }
    rc = pim_account_put_password(lease, caller->user_id, change->user.password, change->hash, &task->err);
    if (rc > 0) {
        pim_http_fail(task->request, 409, "the password was changed by somebody else meanwhile");
        return PIM_HTTP_STEP_STOP;
    }
    if (rc == PIM_OK)
        rc = pim_throttle_clear(lease, &change->throttle, &task->err);
    if (rc == PIM_OK)
        rc = pim_session_end_all(lease, caller->user_id, caller->session, &task->err);
    if (rc < 0)
        return rc;
    pim_http_json(task->request, 200);
    pim_buf_adds(&task->request->out, "{\"message\":\"the password is changed\"}");
    return PIM_HTTP_STEP_NEXT;
}

static void
change_committed(struct pim_http_task *task)
{
    const struct pim_caller *caller = &task->request->caller;

    if (task->result == PIM_HTTP_STEP_NEXT)
        pim_session_ended(accounts_of(task->request), caller->user_id, NULL, caller->session);
}

static const struct pim_http_step change_steps[] = {{PIM_POOL_RECORDS_READ, change_load},
                                                    {PIM_POOL_WORK, change_check},
                                                    {PIM_POOL_RECORDS_WRITE, change_store}};
static const struct pim_http_plan change_plan = {.steps = change_steps, .n = 3, .committed = change_committed};

static enum pim_http_verdict
password_put(struct pim_http_request *request)
{
    json_t *body = pim_http_body(request);
    const char *old, *password, *confirm, *why;
    size_t old_len, password_len, confirm_len;
    struct change *change;
    uint32_t wait_s;

    if (body == NULL)
        return PIM_HTTP_REPLY;
    change = pim_http_task_new(request, sizeof *change, change_fini);
    if (!pim_http_text(request, body, "old_password", &old, &old_len) ||
        !pim_http_text(request, body, "password", &password, &password_len) ||
        !pim_http_text(request, body, "confirm_password", &confirm, &confirm_len)) {
        json_decref(body);
        return PIM_HTTP_REPLY;
    }
    why = pim_account_password_bad(rules_of(request), password, password_len);
    if (why == NULL && (password_len >= sizeof change->password || old_len >= sizeof change->old_password))
        why = "the password is too long";
    if (why == NULL && (password_len != confirm_len || memcmp(password, confirm, password_len) != 0))
        why = "the two passwords are not the same";
    if (why == NULL) {
        memcpy(change->old_password, old, old_len);
        change->old_len = old_len;
        memcpy(change->password, password, password_len);
        change->len = password_len;
    }
    json_decref(body);
    if (why != NULL)
        return bad(request, why);
    wait_s = pim_throttle_address(accounts_of(request), request->address, request->is_loopback);
    if (wait_s > 0)
        return pim_http_fail_retry(request, 429, wait_s, "too many failed tries: wait before the next one");
    return pim_http_task_start(request, &change_plan);
}

/* --- GET /search/users, /relation/users ------------------------------------------------------------------- */

struct search {
    struct pim_http_task task; /* first */
    char email[255];           /* "": nothing can be found */
    int64_t page, size;
    int64_t started_ms;
};

/* The envelope is Elasticsearch's; nobody's mobile number stands in it. */
static int
search_run(struct pim_http_task *task, struct pim_lease *lease)
{
    struct search *search = (struct search *)task;
    struct pim_buf *out = &task->request->out;
    struct pim_user user;
    bool found;
    int rc = search->email[0] == '\0' ? PIM_NOT_FOUND : pim_user_find(lease, search->email, &user, &task->err);

    if (rc < 0)
        return rc;
    found = rc == PIM_OK && !user.is_delete;
    pim_http_json(task->request, 200);
    pim_buf_addf(out,
                 "{\"took\":%lld,\"timed_out\":false,\"hits\":{\"total\":{\"value\":%d,\"relation\":\"eq\"},"
                 "\"max_score\":%s,\"hits\":[",
                 (long long)(pim_clock_mono_ms() - search->started_ms), found, found ? "1.0" : "null");
    if (found && search->page == 1) {
        pim_buf_addf(out, "{\"_id\":\"%lld\",\"_score\":1.0,\"_source\":{", (long long)user.id);
        pim_http_put_int(out, "id", user.id);
        pim_http_put_text(out, "email", user.email);
        pim_http_put_text(out, "name", user.name);
        pim_http_put_int(out, "gender", user.gender);
        pim_http_put_text(out, "avatar", user.avatar);
        pim_buf_adds(out, "}}");
    }
    pim_buf_adds(out, "]}}");
    return PIM_HTTP_STEP_NEXT;
}

static const struct pim_http_step search_steps[] = {{PIM_POOL_RECORDS_READ, search_run}};
static const struct pim_http_plan search_plan = {.steps = search_steps, .n = 1};

/* kw, page and size come in the query or in a JSON body. @return false: the reply is there */
static bool
search_read(struct pim_http_request *request, struct search *search, char **out_kw)
{
    search->page = search->size = 0;
    if (request->body.len > 0) {
        json_t *body = pim_http_body(request);
        const char *kw;
        size_t kw_len;
        bool good;

        if (body == NULL)
            return false;
        good = pim_http_text(request, body, "kw", &kw, &kw_len) &&
               (json_object_get(body, "page") == NULL || pim_http_int(request, body, "page", &search->page)) &&
               (json_object_get(body, "size") == NULL || pim_http_int(request, body, "size", &search->size));
        if (good)
            *out_kw = strndup(kw, kw_len);
        json_decref(body);
        return good;
    }
    if (pim_http_request_query_int(request, "page", &search->page) < 0 ||
        pim_http_request_query_int(request, "size", &search->size) < 0) {
        bad(request, "'page' and 'size' must be whole numbers");
        return false;
    }
    *out_kw = pim_http_request_query_dup(request, "kw");
    if (*out_kw == NULL)
        bad(request, "'kw' is missing");
    return *out_kw != NULL;
}

static enum pim_http_verdict
search_users(struct pim_http_request *request)
{
    struct search *search = pim_http_task_new(request, sizeof *search, NULL);
    char *kw = NULL;

    search->started_ms = pim_clock_mono_ms();
    if (!search_read(request, search, &kw))
        return PIM_HTTP_REPLY;
    if (search->page == 0)
        search->page = 1;
    if (search->size == 0)
        search->size = 10;
    if (pim_account_email_read(rules_of(request), kw, strlen(kw), search->email) != NULL)
        search->email[0] = '\0';
    free(kw);
    if (search->page < 1 || search->page > 1000 || search->size < 1 || search->size > 50)
        return bad(request, "'page' may be 1 to 1000, 'size' 1 to 50");
    return pim_http_task_start(request, &search_plan);
}

const struct pim_http_route pim_http_routes_account[] = {
    {.path = "/auth/user", .open = true, .post = sign_up},
    {.path = "/auth/profile", .open = true, .post = sign_in},
    {.path = "/info/profile", .get = profile_get, .put = profile_put},
    {.path = "/info/password", .put = password_put},
    {.path = "/search/users", .get = search_users},
    {.path = "/relation/users", .get = search_users},
    {.path = NULL},
};
