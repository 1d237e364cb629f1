#include "app/commands.h"

#include "data/schema.h"
#include "data/wait.h"
#include "im/account.h"
#include "im/presence.h"
#include "im/session.h"
#include "util/clock.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define USERS_A_LIST 1000 /* in one read */
#define USERS_IN_ALL 100000

/* --- status ----------------------------------------------------------------------------------------------------------- */

static int
on_status(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_app *app = ctx;
    const struct pim_data_facts *facts = pim_data_facts(app->data);
    struct pim_msglog_stats log;
    uint64_t connections, users;

    (void)request;
    (void)err;
    pim_msglog_stats(pim_data_log(app->data), &log);
    pim_presence_count(app->im, &connections, &users);
    json_object_set_new(result, "connections", json_integer((json_int_t)connections));
    json_object_set_new(result, "users_online", json_integer((json_int_t)users));
    json_object_set_new(result, "messages_stored", json_integer((json_int_t)log.stored));
    json_object_set_new(result, "messages_waiting", json_integer((json_int_t)log.queued));
    json_object_set_new(result, "records_engine", json_string(facts->records.engine));
    json_object_set_new(result, "messages_engine", json_string(facts->messages.engine));
    return PIM_OK;
}

/* --- users ------------------------------------------------------------------------------------------------------------ */

struct user_ctx {
    struct pim_app *app;
    const char *who; /* an id or an address */
    struct pim_user user;
    char hash[256];
    const char *password;
    bool disable;
    json_t *rows;
    int64_t after_id;
};

static int
not_found(const struct user_ctx *c, struct pim_err *err)
{
    return pim_err_set(err, PIM_NOT_FOUND, "there is no user %.100s", c->who);
}

static int
user_find(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;
    char *end;
    long long id = strtoll(c->who, &end, 10);
    char email[255];
    int rc = PIM_NOT_FOUND;

    if (*c->who != '\0' && *end == '\0')
        rc = pim_user_load(lease, id, &c->user, err);
    else if (pim_account_email_read(pim_im_config(c->app->im), c->who, strlen(c->who), email) == NULL)
        rc = pim_user_find(lease, email, &c->user, err);
    return rc == PIM_NOT_FOUND ? not_found(c, err) : rc;
}

/* Find the user that the first argument names. */
static int
user_of(struct pim_app *app, const struct pim_ctl_request *request, struct user_ctx *out, struct pim_err *err)
{
    *out = (struct user_ctx){.app = app, .who = pim_ctl_arg(request, 0)};
    if (out->who == NULL)
        return pim_err_set(err, PIM_ERR_INVALID, "which user? Give an id or an e-mail address");
    return pim_data_wait(app->data, PIM_POOL_RECORDS_READ, user_find, out, err);
}

static int
user_set_disabled(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;

    return pim_account_set_disabled(lease, c->user.id, c->disable, err);
}

static int
set_disabled(struct pim_app *app, const struct pim_ctl_request *request, bool disable, json_t *result, struct pim_err *err)
{
    struct user_ctx c;
    int rc = user_of(app, request, &c, err);

    if (rc != PIM_OK)
        return rc;
    c.disable = disable;
    rc = pim_data_wait(app->data, PIM_POOL_RECORDS_WRITE, user_set_disabled, &c, err);
    if (rc != PIM_OK)
        return rc == PIM_NOT_FOUND ? not_found(&c, err) : rc;
    if (disable)
        pim_session_ended(pim_im_accounts(app->im), c.user.id, NULL, NULL);
    json_object_set_new(result, "user", json_integer(c.user.id));
    json_object_set_new(result, "disabled", json_boolean(disable));
    return PIM_OK;
}

static int
on_user_disable(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    return set_disabled(ctx, request, true, result, err);
}

static int
on_user_enable(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    return set_disabled(ctx, request, false, result, err);
}

static int
user_hash(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;

    (void)lease;
    return pim_account_hash(pim_im_accounts(c->app->im), c->password, strlen(c->password), c->hash, err);
}

static int
user_set_password(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;

    return pim_account_set_password(lease, c->user.id, c->hash, err);
}

static int
on_user_password(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_app *app = ctx;
    const char *why;
    struct user_ctx c;
    int rc = user_of(app, request, &c, err);

    if (rc != PIM_OK)
        return rc;
    if (request->secret == NULL)
        return pim_err_set(err, PIM_ERR_INVALID, "no password was sent");
    why = pim_account_password_bad(pim_im_config(app->im), request->secret, strlen(request->secret));
    if (why != NULL)
        return pim_err_set(err, PIM_ERR_INVALID, "%s", why);
    c.password = request->secret;
    rc = pim_data_wait(app->data, PIM_POOL_WORK, user_hash, &c, err);
    if (rc == PIM_OK)
        rc = pim_data_wait(app->data, PIM_POOL_RECORDS_WRITE, user_set_password, &c, err);
    explicit_bzero(c.hash, sizeof c.hash);
    if (rc != PIM_OK)
        return rc == PIM_NOT_FOUND ? not_found(&c, err) : rc;
    pim_session_ended(pim_im_accounts(app->im), c.user.id, NULL, NULL);
    json_object_set_new(result, "user", json_integer(c.user.id));
    json_object_set_new(result, "password", json_string("changed, all sessions have ended"));
    return PIM_OK;
}

static int
on_listed(void *ctx, const struct pim_user *user)
{
    struct user_ctx *c = ctx;
    char created[32];

    c->after_id = user->id;
    pim_clock_rfc3339(created, user->created_ms);
    json_array_append_new(c->rows, json_pack("{s:I, s:s, s:s, s:s, s:b, s:b}", "id", (json_int_t)user->id, "email",
                                             user->email, "name", user->name, "created", created, "disabled", user->disabled,
                                             "online", pim_im_is_online(c->app->im, user->id)));
    return 0;
}

static int
user_list(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;

    return pim_account_list(lease, c->after_id, USERS_A_LIST, on_listed, c, err);
}

static int
on_user_list(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct user_ctx c = {.app = ctx};
    json_t *rows = json_array();
    int rc;

    if (pim_ctl_arg(request, 0) != NULL) {
        rc = user_of(ctx, request, &c, err);
        c.rows = rows;
        if (rc == PIM_OK)
            on_listed(&c, &c.user);
    } else {
        c.rows = rows;
        do {
            rc = pim_data_wait(c.app->data, PIM_POOL_RECORDS_READ, user_list, &c, err);
        } while (rc == PIM_MORE && json_array_size(rows) < USERS_IN_ALL);
    }
    json_object_set_new(result, "users", rows);
    return rc == PIM_MORE ? PIM_OK : rc;
}

/* --- sessions --------------------------------------------------------------------------------------------------------- */

static int
session_list(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct user_ctx *c = ctx;
    struct pim_session *sessions = pim_new0(PIM_SESSIONS_PER_USER * sizeof *sessions);
    uint32_t n = 0;
    int rc = pim_session_list(lease, c->user.id, sessions, PIM_SESSIONS_PER_USER, &n, err);

    for (uint32_t i = 0; rc >= 0 && i < n; i++) {
        char created[32], expires[32];

        pim_clock_rfc3339(created, sessions[i].created_ms);
        pim_clock_rfc3339(expires, sessions[i].expires_ms);
        json_array_append_new(c->rows,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", sessions[i].id, "created", created, "expires",
                                        expires, "address", sessions[i].address, "agent", sessions[i].agent));
    }
    free(sessions);
    return rc;
}

static void
on_connected(void *ctx, int64_t user_id, const struct pim_peer *peer, const char *session)
{
    json_array_append_new(ctx, json_pack("{s:I, s:s, s:i, s:s}", "user", (json_int_t)user_id, "session", session, "worker",
                                         (int)peer->worker, "client", peer->old ? "old" : "privateim.v1"));
}

static int
on_sessions(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_app *app = ctx;
    struct user_ctx c;
    json_t *rows = json_array();
    int rc;

    if (pim_ctl_arg(request, 0) == NULL) { /* all who are connected now */
        pim_presence_walk(app->im, on_connected, rows);
        json_object_set_new(result, "connections", rows);
        return PIM_OK;
    }
    rc = user_of(app, request, &c, err);
    c.rows = rows;
    if (rc == PIM_OK)
        rc = pim_data_wait(app->data, PIM_POOL_RECORDS_READ, session_list, &c, err);
    json_object_set_new(result, "sessions", rows);
    return rc < 0 || rc == PIM_NOT_FOUND ? rc : PIM_OK;
}

/* --- the log as a whole ------------------------------------------------------------------------------------------------ */

#define CHECK_CONVS 256
#define CHECK_ROWS 1000

struct check {
    struct pim_head heads[CHECK_CONVS];
    uint32_t n;
    struct pim_conv after;
    bool has_after, more;
    const struct pim_head *head; /* the conversation at hand */
    int64_t next_seq, ord;
    uint64_t rows, faults, conversations;
    const char *what; /* the first fault of the page */
};

static int32_t
on_head(void *ctx, const struct pim_head *head)
{
    struct check *check = ctx;

    check->heads[check->n++] = *head;
    return check->n == CHECK_CONVS;
}

static int
check_convs(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct check *check = ctx;
    int rc;

    check->n = 0;
    rc = pim_lease_note(lease, lease->ops->convs(lease->conn, &lease->call, check->has_after ? &check->after : NULL,
                                                 CHECK_CONVS, on_head, check, err));
    check->more = check->n == CHECK_CONVS;
    return rc < 0 ? rc : PIM_OK;
}

static int32_t
on_checked_row(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct check *check = ctx;

    (void)item;
    if (msg->seq != check->next_seq)
        check->what = "a row is missing";
    else if (msg->ord < check->ord || msg->ord > msg->seq)
        check->what = "the count of messages falls";
    if (check->what != NULL)
        return 1;
    check->ord = msg->ord;
    check->next_seq++;
    check->rows++;
    return 0;
}

static int
check_rows(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct check *check = ctx;
    struct pim_history page = {.struct_size = sizeof page,
                               .conv = check->head->conv,
                               .from_seq = check->next_seq,
                               .to_seq = check->head->head_seq,
                               .limit = CHECK_ROWS};
    int64_t before = check->next_seq;
    int rc = pim_lease_note(lease, lease->ops->history(lease->conn, &lease->call, &page, on_checked_row, check, err));

    if (rc >= 0 && check->what == NULL && check->next_seq == before)
        check->what = "rows below the head are missing";
    return rc < 0 ? rc : PIM_OK;
}

static void
add_fault(struct check *check, json_t *faults, const char *what)
{
    char name[48];

    pim_conv_format(name, &check->head->conv);
    if (check->faults++ < 100)
        json_array_append_new(faults, json_pack("{s:s, s:I, s:s}", "conversation", name, "at",
                                                (json_int_t)check->next_seq, "fault", what));
}

/* Every conversation is walked from its oldest row to its head: dense, counts that only rise, and what the engine itself
 * checks on the way. In small steps, beside the traffic. */
static int
on_storage_check(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_app *app = ctx;
    struct check *check = pim_new0(sizeof *check);
    json_t *faults = json_array();
    int rc = PIM_OK;

    (void)request;
    do {
        rc = pim_data_wait(app->data, PIM_POOL_MESSAGES_READ, check_convs, check, err);
        for (uint32_t i = 0; i < check->n && rc == PIM_OK; i++) {
            check->head = &check->heads[i];
            check->next_seq = check->head->floor_seq + 1;
            check->ord = 0;
            check->what = NULL;
            check->conversations++;
            while (check->next_seq <= check->head->head_seq && check->what == NULL && rc == PIM_OK)
                rc = pim_data_wait(app->data, PIM_POOL_MESSAGES_READ, check_rows, check, err);
            if (rc == PIM_ERR_CORRUPT) {
                add_fault(check, faults, err->msg);
                rc = PIM_OK;
            } else if (check->what != NULL) {
                add_fault(check, faults, check->what);
            }
        }
        if (check->n > 0) {
            check->after = check->heads[check->n - 1].conv;
            check->has_after = true;
        }
    } while (check->more && rc == PIM_OK);
    json_object_set_new(result, "conversations", json_integer((json_int_t)check->conversations));
    json_object_set_new(result, "rows", json_integer((json_int_t)check->rows));
    json_object_set_new(result, "faults", json_integer((json_int_t)check->faults));
    if (json_array_size(faults) > 0)
        json_object_set_new(result, "list", faults);
    else
        json_decref(faults);
    free(check);
    return rc;
}

void
pim_app_commands_add(struct pim_ctl *ctl, struct pim_app *app)
{
    pim_ctl_status_add(ctl, on_status, app);
    pim_ctl_command_add(ctl, "user list", on_user_list, app);
    pim_ctl_command_add(ctl, "user password", on_user_password, app);
    pim_ctl_command_add(ctl, "user disable", on_user_disable, app);
    pim_ctl_command_add(ctl, "user enable", on_user_enable, app);
    pim_ctl_command_add(ctl, "sessions", on_sessions, app);
    pim_ctl_command_add(ctl, "storage check", on_storage_check, app);
}
