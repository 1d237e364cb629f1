/* Checking a login token: the plugin's word, then the records, then the memory. Store and plugin are played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "im/account_priv.h"
#include "util/clock.h"

#include <string.h>

static struct {
    struct pim_im_config config;
    struct pim_auth_bind auth;
    struct pim_accounts *accounts;
    /* the records */
    bool has_session, has_user, is_delete, disabled;
    int64_t session_user, expires_ms;
    int store_rc, post_rc;
    /* what was seen */
    int lookups, work_jobs, disconnects;
    int rc;
    int calls;
    int64_t user_id;
} world;

const struct pim_im_config *
pim_im_config(const struct pim_im *im)
{
    (void)im;
    return &world.config;
}

const struct pim_auth_bind *
pim_im_auth(const struct pim_im *im)
{
    (void)im;
    return &world.auth;
}

struct pim_data *
pim_im_data(struct pim_im *im)
{
    (void)im;
    return NULL;
}

struct pim_accounts *
pim_im_accounts(struct pim_im *im)
{
    (void)im;
    return world.accounts;
}

void
pim_im_disconnect(struct pim_im *im, int64_t user_id, const char *session, const char *except)
{
    (void)im;
    (void)user_id;
    (void)session;
    (void)except;
    world.disconnects++;
}

static int32_t
fake_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row, void *ctx,
         struct pim_err *err)
{
    struct pim_val vals[2];

    (void)conn;
    (void)call;
    (void)err;
    if (world.store_rc < 0)
        return world.store_rc;
    if (get->kind == PIM_K_SESSION) {
        world.lookups++;
        if (!world.has_session)
            return PIM_NOT_FOUND;
        vals[0] = pim_v_int(world.session_user);
        vals[1] = pim_v_int(world.expires_ms);
    } else {
        if (!world.has_user)
            return PIM_NOT_FOUND;
        vals[0] = pim_v_int(world.is_delete);
        vals[1] = pim_v_int(world.disabled);
    }
    row(ctx, 0, vals, 2);
    return PIM_OK;
}

int
pim_data_post(struct pim_data *data, enum pim_pool_id pool, struct pim_job *job)
{
    static const struct pim_storage_ops ops = {.struct_size = sizeof ops, .get = fake_get};
    struct pim_lease lease = {.ops = &ops};

    (void)data;
    if (world.post_rc < 0)
        return world.post_rc;
    world.work_jobs += pool == PIM_POOL_WORK;
    job->run(job, pool == PIM_POOL_WORK ? NULL : &lease, 0);
    job->done(job, PIM_OK);
    return PIM_OK;
}

/* "good" is user 7's token of session "s". */
static int32_t
fake_token_check(struct pim_auth *auth, const struct pim_call *call, const char *token, uint32_t token_len, const char *purpose,
                 struct pim_subject *out_subject, struct pim_err *err)
{
    (void)auth;
    (void)call;
    (void)err;
    assert_string_equal(purpose, PIM_TOKEN_LOGIN);
    if (token_len != 4 || memcmp(token, "good", 4) != 0)
        return PIM_REFUSED;
    out_subject->user_id = 7;
    out_subject->expires_s = 5;
    strcpy(out_subject->session, "s");
    return PIM_OK;
}

static const struct pim_auth_ops auth_ops = {.struct_size = sizeof auth_ops, .token_check = fake_token_check};

static void
on_checked(void *ctx, int rc, const struct pim_caller *caller)
{
    assert_ptr_equal(ctx, &world);
    assert_true((rc == PIM_OK) == (caller != NULL));
    world.calls++;
    world.rc = rc;
    world.user_id = caller != NULL ? caller->user_id : 0;
}

static int
check(const char *token)
{
    int before = world.calls;

    pim_im_session_check(NULL, token, strlen(token), on_checked, &world);
    assert_int_equal(world.calls, before + 1);
    return world.rc;
}

static int
setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.config.session_check_ms = 60000;
    world.auth = (struct pim_auth_bind){.ops = &auth_ops, .caps = PIM_AUTH_CAP_FAST};
    world.has_session = world.has_user = true;
    world.session_user = 7;
    world.expires_ms = pim_clock_wall_ms() + 60000;
    world.accounts = pim_accounts_new(NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    pim_accounts_free(&world.accounts);
    return 0;
}

static void
a_bad_token_is_refused_without_a_look_up(void **state)
{
    (void)state;
    assert_int_equal(check("bad"), PIM_REFUSED);
    assert_int_equal(check(""), PIM_REFUSED);
    assert_int_equal(world.lookups, 0);
}

static void
a_good_session_is_looked_up_once(void **state)
{
    (void)state;
    assert_int_equal(check("good"), PIM_OK);
    assert_int_equal(world.user_id, 7);
    assert_int_equal(check("good"), PIM_OK);
    assert_int_equal(world.lookups, 1);
    assert_int_equal(pim_session_cached(world.accounts), 1);
}

static void
an_ended_session_is_forgotten_at_once(void **state)
{
    (void)state;
    assert_int_equal(check("good"), PIM_OK);
    world.has_session = false;
    pim_session_ended(world.accounts, 7, "s", NULL);
    assert_int_equal(world.disconnects, 1);
    assert_int_equal(check("good"), PIM_REFUSED);
    world.has_session = true;
    assert_int_equal(check("good"), PIM_OK);
    pim_session_ended(world.accounts, 7, NULL, "other");
    world.has_session = false;
    assert_int_equal(check("good"), PIM_REFUSED);
}

static void
what_the_records_say_counts(void **state)
{
    bool *const flags[] = {&world.is_delete, &world.disabled};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(flags); i++) {
        *flags[i] = true;
        assert_int_equal(check("good"), PIM_REFUSED);
        *flags[i] = false;
    }
    world.session_user = 8;
    assert_int_equal(check("good"), PIM_REFUSED);
    world.session_user = 7;
    world.expires_ms = pim_clock_wall_ms() - 1;
    assert_int_equal(check("good"), PIM_REFUSED);
    world.expires_ms = pim_clock_wall_ms() + 60000;
    world.has_user = false;
    assert_int_equal(check("good"), PIM_REFUSED);
    assert_int_equal(pim_session_cached(world.accounts), 0);
}

static void
a_store_that_is_away_is_no_refusal(void **state)
{
    (void)state;
    world.store_rc = PIM_ERR_UNAVAILABLE;
    assert_int_equal(check("good"), PIM_ERR_UNAVAILABLE);
    world.store_rc = 0;
    world.post_rc = PIM_ERR_FULL;
    assert_int_equal(check("good"), PIM_ERR_FULL);
    assert_int_equal(pim_session_cached(world.accounts), 0);
}

static void
a_slow_plugin_is_asked_on_a_work_thread(void **state)
{
    (void)state;
    world.auth.caps = 0;
    assert_int_equal(check("bad"), PIM_REFUSED);
    assert_int_equal(check("good"), PIM_OK);
    assert_int_equal(check("good"), PIM_OK);
    assert_int_equal(world.work_jobs, 3);
    assert_int_equal(world.lookups, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bad_token_is_refused_without_a_look_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_good_session_is_looked_up_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_ended_session_is_forgotten_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_records_say_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_is_away_is_no_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_plugin_is_asked_on_a_work_thread, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
