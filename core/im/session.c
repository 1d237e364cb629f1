#include "im/session.h"

#include "im/account_priv.h"
#include "im/position.h"
#include "im/session_cache.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/rand.h"
#include "util/utf8.h"

#include <string.h>

struct pim_accounts *
pim_accounts_new(struct pim_im *im)
{
    struct pim_accounts *accounts = pim_new0(sizeof *accounts);

    accounts->im = im;
    accounts->cache = pim_session_cache_new();
    accounts->addresses = pim_throttle_table_new();
    pthread_mutex_init(&accounts->dummy_lock, NULL);
    return accounts;
}

void
pim_accounts_free(struct pim_accounts **accounts)
{
    if (*accounts == NULL)
        return;
    pim_session_cache_free(&(*accounts)->cache);
    pim_throttle_table_free(&(*accounts)->addresses);
    pthread_mutex_destroy(&(*accounts)->dummy_lock);
    free(*accounts);
    *accounts = NULL;
}

struct pim_im *
pim_accounts_im(const struct pim_accounts *accounts)
{
    return accounts->im;
}

uint32_t
pim_session_cached(struct pim_accounts *accounts)
{
    return pim_session_cache_count(accounts->cache);
}

/* --- checking a token ------------------------------------------------------------------------------------- */

/* A look-up on its way. */
struct check {
    struct pim_job job; /* first */
    struct pim_im *im;
    pim_session_fn fn;
    void *ctx;
    struct pim_caller caller;
    uint64_t era;
    int rc;
    int64_t stored_user, expires_ms;
    bool may;
    char *token; /* while its signature has to be checked on a work thread */
    size_t token_len;
};

static int32_t
on_session_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct check *check = ctx;

    (void)item;
    (void)n_vals;
    check->stored_user = vals[0].u.i;
    check->expires_ms = vals[1].u.i;
    return 0;
}

static int32_t
on_user_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct check *check = ctx;

    (void)item;
    (void)n_vals;
    check->may = vals[0].u.i == 0 && vals[1].u.i == 0;
    return 0;
}

static void
look_up_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct check *check = (struct check *)job;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_val id = pim_v_text(check->caller.session), user = pim_v_int(check->caller.user_id);

    check->rc = failed;
    if (failed != 0)
        return;
    check->rc = pim_rec_get(lease, PIM_K_SESSION, PIM_SESSION_BY_ID, &id, 1,
                            PIM_COL(PIM_SESSION_USER) | PIM_COL(PIM_SESSION_EXPIRES_MS), on_session_row, check, &err);
    if (check->rc == PIM_OK)
        check->rc = pim_rec_get(lease, PIM_K_USER, PIM_USER_BY_ID, &user, 1,
                                PIM_COL(PIM_USER_IS_DELETE) | PIM_COL(PIM_USER_DISABLED), on_user_row, check, &err);
    if (check->rc == PIM_OK && (check->stored_user != check->caller.user_id || !check->may ||
                                check->expires_ms <= pim_clock_wall_ms()))
        check->rc = PIM_REFUSED;
    if (check->rc > 0)
        check->rc = PIM_REFUSED;
}

static void
check_end(struct check *check)
{
    if (check->rc == PIM_OK)
        check->fn(check->ctx, PIM_OK, &check->caller);
    else
        check->fn(check->ctx, check->rc, NULL);
    free(check->token);
    free(check);
}

static void
look_up_done(struct pim_job *job, int rc)
{
    struct check *check = (struct check *)job;

    if (rc < 0 && check->rc >= 0)
        check->rc = rc;
    if (check->rc == PIM_OK)
        pim_session_cache_put(pim_im_accounts(check->im)->cache, check->caller.session, check->caller.user_id,
                              pim_clock_mono_ms(), check->era);
    check_end(check);
}

/* What the plugin says of the token. It sets the caller. */
static int
token_check(struct pim_im *im, const char *token, size_t token_len, struct pim_caller *caller)
{
    const struct pim_auth_bind *auth = pim_im_auth(im);
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_subject subject = {.struct_size = sizeof subject};
    struct pim_err err = PIM_ERR_INIT;
    int rc;

    if (token_len == 0 || token_len >= PIM_TOKEN_MAX_BYTES)
        return PIM_REFUSED;
    rc = auth->ops->token_check(auth->auth, &call, token, (uint32_t)token_len, PIM_TOKEN_LOGIN, &subject, &err);
    if (rc != PIM_OK)
        return rc > 0 ? PIM_REFUSED : rc;
    if (memchr(subject.session, '\0', sizeof subject.session) == NULL || subject.session[0] == '\0')
        return PIM_REFUSED;
    *caller = (struct pim_caller){.user_id = subject.user_id, .expires_ms = subject.expires_s * 1000};
    memcpy(caller->session, subject.session, sizeof caller->session);
    return PIM_OK;
}

/* The token itself is good; is its session? */
static void
session_look_up(struct check *check)
{
    int rc;

    check->era = pim_session_cache_era(pim_im_accounts(check->im)->cache);
    check->job.run = look_up_run;
    check->job.done = look_up_done;
    rc = pim_data_post(pim_im_data(check->im), PIM_POOL_RECORDS_READ, &check->job);
    if (rc < 0) {
        check->rc = rc;
        check_end(check);
    }
}

static bool
is_remembered(struct pim_im *im, const struct pim_caller *caller)
{
    return pim_session_cache_has(pim_im_accounts(im)->cache, caller->session, caller->user_id, pim_clock_mono_ms(),
                                 pim_im_config(im)->session_check_ms);
}

static void
slow_token_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct check *check = (struct check *)job;

    (void)lease;
    check->rc = failed != 0 ? failed : token_check(check->im, check->token, check->token_len, &check->caller);
}

static void
slow_token_done(struct pim_job *job, int rc)
{
    struct check *check = (struct check *)job;

    (void)rc;
    if (check->rc == PIM_OK && !is_remembered(check->im, &check->caller))
        session_look_up(check);
    else
        check_end(check);
}

void
pim_im_session_check(struct pim_im *im, const char *token, size_t token_len, pim_session_fn fn, void *ctx)
{
    bool is_fast = (pim_im_auth(im)->caps & PIM_AUTH_CAP_FAST) != 0;
    struct pim_caller caller;
    struct check *check;
    int rc;

    if (is_fast) {
        rc = token_check(im, token, token_len, &caller);
        if (rc != PIM_OK || is_remembered(im, &caller)) {
            fn(ctx, rc, rc == PIM_OK ? &caller : NULL);
            return;
        }
    }
    check = pim_new0(sizeof *check);
    check->im = im;
    check->fn = fn;
    check->ctx = ctx;
    if (is_fast) {
        check->caller = caller;
        session_look_up(check);
        return;
    }
    check->token = pim_strndup(token, token_len);
    check->token_len = token_len;
    check->job.run = slow_token_run;
    check->job.done = slow_token_done;
    rc = pim_data_post(pim_im_data(im), PIM_POOL_WORK, &check->job);
    if (rc < 0) {
        check->rc = rc;
        check_end(check);
    }
}

/* --- making and ending ------------------------------------------------------------------------------------- */

/* Copy at most max_chars characters of valid text; anything else becomes "". */
static void
text_cut(char *dst, size_t dst_size, const char *src, size_t max_chars)
{
    size_t n = 0, chars = 0;

    if (src == NULL || !pim_utf8_is_line(src, strlen(src)))
        src = "";
    while (src[n] != '\0') {
        size_t next = n + 1;

        while (((uint8_t)src[next] & 0xc0) == 0x80)
            next++;
        if (++chars > max_chars || next >= dst_size)
            break;
        n = next;
    }
    memcpy(dst, src, n);
    dst[n] = '\0';
}

void
pim_session_init(struct pim_accounts *accounts, struct pim_session *session, int64_t user_id, const char *agent,
                 const char *address)
{
    int64_t now_ms = pim_clock_wall_ms();

    *session = (struct pim_session){
        .user_id = user_id,
        .created_ms = now_ms,
        .seen_ms = now_ms,
        .expires_ms = now_ms + (int64_t)pim_im_config(accounts->im)->token_life_s * 1000,
    };
    pim_rand_hex(session->id, 16);
    text_cut(session->agent, sizeof session->agent, agent, 256);
    text_cut(session->address, sizeof session->address, address, 64);
}

struct list_ctx {
    struct pim_session *out;
    uint32_t n, count;
};

static int32_t
on_list_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct list_ctx *list = ctx;
    struct pim_session *session;

    (void)item;
    (void)n_vals;
    if (list->count == list->n)
        return 1;
    session = &list->out[list->count++];
    *session = (struct pim_session){0};
    pim_v_copy(session->id, sizeof session->id, &vals[PIM_SESSION_ID]);
    session->user_id = vals[PIM_SESSION_USER].u.i;
    session->created_ms = vals[PIM_SESSION_CREATED_MS].u.i;
    session->expires_ms = vals[PIM_SESSION_EXPIRES_MS].u.i;
    session->seen_ms = vals[PIM_SESSION_SEEN_MS].u.i;
    pim_v_copy(session->agent, sizeof session->agent, &vals[PIM_SESSION_AGENT]);
    pim_v_copy(session->address, sizeof session->address, &vals[PIM_SESSION_ADDRESS]);
    return 0;
}

/* All of a user, also expired ones. */
static int
list_all(struct pim_lease *lease, int64_t user_id, struct list_ctx *list, struct pim_err *err)
{
    struct pim_val user = pim_v_int(user_id);
    struct pim_query query = {.kind = PIM_K_SESSION,
                              .index = PIM_SESSION_BY_USER,
                              .prefix = &user,
                              .n_prefix = 1,
                              .limit = list->n,
                              .cols = PIM_COLS_ALL(PIM_SESSION_COLS)};
    int rc = pim_rec_list(lease, &query, on_list_row, list, err);

    return rc < 0 ? rc : PIM_OK;
}

int
pim_session_list(struct pim_lease *lease, int64_t user_id, struct pim_session *out, uint32_t n, uint32_t *out_count,
                 struct pim_err *err)
{
    struct list_ctx list = {.out = out, .n = n};
    int64_t now_ms = pim_clock_wall_ms();
    uint32_t kept = 0;
    int rc = list_all(lease, user_id, &list, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < list.count; i++) {
        if (out[i].expires_ms > now_ms)
            out[kept++] = out[i];
    }
    *out_count = kept;
    return PIM_OK;
}

/* Delete sessions with what their devices have left, PIM_WRITES_MAX in one go. */
static int
delete_some(struct pim_lease *lease, const struct pim_session *sessions, uint32_t n, struct pim_err *err)
{
    struct pim_changes changes;

    for (uint32_t from = 0; from < n; from += PIM_WRITES_MAX) {
        int rc = PIM_OK;

        for (uint32_t i = from; rc == PIM_OK && i < n && i < from + PIM_WRITES_MAX; i++)
            rc = pim_position_forget(lease, sessions[i].user_id, sessions[i].id, err);
        if (rc < 0)
            return rc;
        pim_changes_init(&changes);
        for (uint32_t i = from; i < n && i < from + PIM_WRITES_MAX; i++) {
            pim_changes_add(&changes, PIM_W_DELETE, PIM_K_SESSION, PIM_SESSION_BY_ID, 0);
            pim_changes_key(&changes, pim_v_text(sessions[i].id));
        }
        rc = pim_changes_run(&changes, lease, err);
        if (rc < 0)
            return rc;
    }
    return PIM_OK;
}

int
pim_session_store(struct pim_lease *lease, const struct pim_session *session, char (*out_ended)[64], uint32_t *out_n_ended,
                  struct pim_err *err)
{
    struct list_ctx list = {.n = PIM_SESSIONS_ROOM};
    struct pim_session *old = pim_new(list.n * sizeof *old);
    struct pim_changes changes;
    uint32_t n_go = 0, alive = 0;
    int rc;

    *out_n_ended = 0;
    list.out = old;
    rc = list_all(lease, session->user_id, &list, err);
    if (rc < 0)
        goto out;
    for (uint32_t i = 0; i < list.count; i++)
        alive += old[i].expires_ms > session->created_ms;
    for (uint32_t i = 0; i < list.count; i++) { /* oldest first; those that go move to the front */
        bool lives = old[i].expires_ms > session->created_ms;

        if (lives && alive < PIM_SESSIONS_PER_USER)
            continue;
        if (lives) {
            alive--;
            if (*out_n_ended < PIM_SESSIONS_PER_USER)
                memcpy(out_ended[(*out_n_ended)++], old[i].id, sizeof old[i].id);
        }
        if (n_go != i)
            old[n_go] = old[i];
        n_go++;
    }
    rc = delete_some(lease, old, n_go, err);
    if (rc < 0)
        goto out;
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_SESSION, PIM_SESSION_BY_ID, 0);
    pim_changes_cell(&changes, PIM_SESSION_ID, PIM_SET, pim_v_text(session->id));
    pim_changes_cell(&changes, PIM_SESSION_USER, PIM_SET, pim_v_int(session->user_id));
    pim_changes_cell(&changes, PIM_SESSION_CREATED_MS, PIM_SET, pim_v_int(session->created_ms));
    pim_changes_cell(&changes, PIM_SESSION_EXPIRES_MS, PIM_SET, pim_v_int(session->expires_ms));
    pim_changes_cell(&changes, PIM_SESSION_SEEN_MS, PIM_SET, pim_v_int(session->seen_ms));
    pim_changes_cell(&changes, PIM_SESSION_AGENT, PIM_SET, pim_v_text(session->agent));
    pim_changes_cell(&changes, PIM_SESSION_ADDRESS, PIM_SET, pim_v_text(session->address));
    rc = pim_changes_run(&changes, lease, err);
    if (rc > 0)
        rc = pim_err_set(err, PIM_ERR_INTERNAL, "session: the id is taken");
out:
    free(old);
    return rc;
}

static void
take_token(void *ctx, const char *name, const char *value, uint32_t value_len)
{
    char *dst = ctx;

    (void)name;
    if (value_len >= PIM_TOKEN_MAX_BYTES)
        return;
    memcpy(dst, value, value_len);
    dst[value_len] = '\0';
}

int
pim_session_token(struct pim_accounts *accounts, const struct pim_session *session, char *dst, struct pim_err *err)
{
    const struct pim_auth_bind *auth = pim_im_auth(accounts->im);
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_subject subject = {.struct_size = sizeof subject,
                                  .user_id = session->user_id,
                                  .issued_s = pim_clock_wall_ms() / 1000,
                                  .expires_s = session->expires_ms / 1000};
    int rc;

    memcpy(subject.session, session->id, sizeof subject.session);
    dst[0] = '\0';
    rc = auth->ops->token_make(auth->auth, &call, &subject, PIM_TOKEN_LOGIN, take_token, dst, err);
    if (rc == PIM_OK && dst[0] == '\0')
        rc = pim_err_set(err, PIM_ERR_INTERNAL, "session: the sign-in plugin made no token");
    return rc;
}

int
pim_session_renew(struct pim_lease *lease, struct pim_session *session, struct pim_err *err)
{
    struct pim_changes changes;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_UPDATE, PIM_K_SESSION, PIM_SESSION_BY_ID, PIM_W_MUST_EXIST);
    pim_changes_key(&changes, pim_v_text(session->id));
    pim_changes_cond(&changes, PIM_SESSION_USER, PIM_EQ, pim_v_int(session->user_id));
    pim_changes_cell(&changes, PIM_SESSION_EXPIRES_MS, PIM_SET, pim_v_int(session->expires_ms));
    pim_changes_cell(&changes, PIM_SESSION_SEEN_MS, PIM_SET, pim_v_int(session->seen_ms));
    return pim_changes_run(&changes, lease, err);
}

int
pim_session_end(struct pim_lease *lease, int64_t user_id, const char *id, struct pim_err *err)
{
    struct pim_changes changes;
    int rc = pim_position_forget(lease, user_id, id, err); /* first: a failure leaves the session as it was */

    if (rc < 0)
        return rc;
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_DELETE, PIM_K_SESSION, PIM_SESSION_BY_ID, PIM_W_MUST_EXIST);
    pim_changes_key(&changes, pim_v_text(id));
    pim_changes_cond(&changes, PIM_SESSION_USER, PIM_EQ, pim_v_int(user_id));
    rc = pim_changes_run(&changes, lease, err);
    return rc > 0 ? PIM_NOT_FOUND : rc;
}

int
pim_session_end_all(struct pim_lease *lease, int64_t user_id, const char *except, struct pim_err *err)
{
    struct list_ctx list = {.n = PIM_SESSIONS_ROOM};
    int rc;

    list.out = pim_new(list.n * sizeof *list.out);
    do { /* never more than a page in practice */
        uint32_t n_go = 0;
        bool was_full;

        list.count = 0;
        rc = list_all(lease, user_id, &list, err);
        was_full = list.count == list.n;
        for (uint32_t i = 0; i < list.count; i++) {
            if (except == NULL || strcmp(list.out[i].id, except) != 0)
                list.out[n_go++] = list.out[i];
        }
        if (rc == PIM_OK)
            rc = delete_some(lease, list.out, n_go, err);
        if (!was_full)
            break;
    } while (rc == PIM_OK);
    free(list.out);
    return rc;
}

void
pim_session_ended(struct pim_accounts *accounts, int64_t user_id, const char *id, const char *except)
{
    pim_session_cache_drop(accounts->cache, user_id, id, except);
    pim_im_disconnect(accounts->im, user_id, id, except);
}
