#include "im/account.h"

#include "im/account_priv.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/rand.h"
#include "util/utf8.h"

#include <stdio.h>
#include <string.h>

/* --- fields ------------------------------------------------------------------------------------------------ */

const char *
pim_account_name_bad(const struct pim_im_config *config, const char *name, size_t name_len)
{
    size_t chars;

    if (!pim_utf8_is_line(name, name_len))
        return "the name may not hold control characters";
    chars = pim_utf8_chars(name, name_len);
    if (chars == 0 || strspn(name, " ") == name_len)
        return "the name is empty";
    if (chars > config->name_chars || name_len >= PIM_NAME_MAX_BYTES)
        return "the name is too long";
    return NULL;
}

const char *
pim_account_password_bad(const struct pim_im_config *config, const char *password, size_t password_len)
{
    size_t chars;

    if (!pim_utf8_valid(password, password_len) || memchr(password, '\0', password_len) != NULL)
        return "the password is not valid text";
    chars = pim_utf8_chars(password, password_len);
    if (chars < config->password_min)
        return "the password is too short";
    if (chars > config->password_max)
        return "the password is too long";
    return NULL;
}

const char *
pim_account_mobile_bad(const char *mobile, size_t mobile_len)
{
    if (mobile_len != 0 && (mobile_len != 11 || strspn(mobile, "0123456789") != 11))
        return "the mobile number must be empty or 11 digits";
    return NULL;
}

static bool
is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
host_is_good(const char *host, size_t host_len)
{
    size_t label = 0;

    for (size_t i = 0; i < host_len; i++) {
        if (host[i] == '.') {
            if (label == 0 || host[i - 1] == '-')
                return false;
            label = 0;
        } else if (is_alnum(host[i]) || (host[i] == '-' && label > 0)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return label > 0 && host[host_len - 1] != '-';
}

const char *
pim_account_email_read(const struct pim_im_config *config, const char *text, size_t text_len, char out_email[255])
{
    static const char wrong[] = "the e-mail address is malformed";
    const char *at = memchr(text, '@', text_len);
    size_t local_len = at != NULL ? (size_t)(at - text) : 0;

    if (text_len > config->email_chars || text_len > 254)
        return "the e-mail address is too long";
    if (local_len == 0 || local_len > 64 || text[0] == '.' || text[local_len - 1] == '.')
        return wrong;
    for (size_t i = 0; i < local_len; i++) {
        if (!is_alnum(text[i]) && (text[i] == '\0' || strchr("!#$%&'*+-/=?^_`{|}~.", text[i]) == NULL))
            return wrong;
        if (text[i] == '.' && text[i + 1] == '.')
            return wrong;
    }
    if (!host_is_good(at + 1, text_len - local_len - 1))
        return wrong;
    for (size_t i = 0; i < text_len; i++)
        out_email[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
    out_email[text_len] = '\0';
    return NULL;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static int32_t
on_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_user *user = ctx;

    (void)item;
    (void)n_vals;
    *user = (struct pim_user){.id = vals[PIM_USER_ID].u.i,
                              .gender = vals[PIM_USER_GENDER].u.i,
                              .created_ms = vals[PIM_USER_CREATED_MS].u.i,
                              .is_delete = vals[PIM_USER_IS_DELETE].u.i != 0,
                              .disabled = vals[PIM_USER_DISABLED].u.i != 0};
    pim_v_copy(user->email, sizeof user->email, &vals[PIM_USER_EMAIL]);
    pim_v_copy(user->password, sizeof user->password, &vals[PIM_USER_PASSWORD]);
    pim_v_copy(user->name, sizeof user->name, &vals[PIM_USER_NAME]);
    pim_v_copy(user->mobile, sizeof user->mobile, &vals[PIM_USER_MOBILE]);
    pim_v_copy(user->avatar, sizeof user->avatar, &vals[PIM_USER_AVATAR]);
    pim_v_copy(user->qr_code, sizeof user->qr_code, &vals[PIM_USER_QR_CODE]);
    return 0;
}

int
pim_user_load(struct pim_lease *lease, int64_t user_id, struct pim_user *out_user, struct pim_err *err)
{
    struct pim_val key = pim_v_int(user_id);

    return pim_rec_get(lease, PIM_K_USER, PIM_USER_BY_ID, &key, 1, PIM_COLS_ALL(PIM_USER_COLS), on_user, out_user, err);
}

int
pim_user_find(struct pim_lease *lease, const char *email, struct pim_user *out_user, struct pim_err *err)
{
    struct pim_val key = pim_v_text(email);

    return pim_rec_get(lease, PIM_K_USER, PIM_USER_BY_EMAIL, &key, 1, PIM_COLS_ALL(PIM_USER_COLS), on_user, out_user, err);
}

int
pim_user_name(struct pim_lease *lease, int64_t user_id, char out_name[PIM_NAME_MAX_BYTES], struct pim_err *err)
{
    struct pim_user user;
    int rc = pim_user_load(lease, user_id, &user, err);

    out_name[0] = '\0';
    if (rc != PIM_OK)
        return rc;
    if (user.is_delete)
        return PIM_NOT_FOUND;
    memcpy(out_name, user.name, sizeof user.name);
    return PIM_OK;
}

struct walk {
    int (*fn)(void *ctx, const struct pim_user *user);
    void *ctx;
};

static int32_t
on_walk(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct walk *walk = ctx;
    struct pim_user user;

    on_user(&user, item, vals, n_vals);
    return walk->fn(walk->ctx, &user);
}

int
pim_account_list(struct pim_lease *lease, int64_t after_id, uint32_t limit,
                 int (*fn)(void *ctx, const struct pim_user *user), void *ctx, struct pim_err *err)
{
    struct pim_val after = pim_v_int(after_id);
    struct walk walk = {fn, ctx};
    struct pim_query query = {.kind = PIM_K_USER,
                              .index = PIM_USER_BY_ID,
                              .after = &after,
                              .n_after = 1,
                              .limit = limit,
                              .cols = PIM_COLS_ALL(PIM_USER_COLS)};

    return pim_rec_list(lease, &query, on_walk, &walk, err);
}

/* --- passwords --------------------------------------------------------------------------------------------- */

static void
take_hash(void *ctx, const char *name, const char *value, uint32_t value_len)
{
    char *dst = ctx;

    (void)name;
    if (value_len >= 256)
        return;
    memcpy(dst, value, value_len);
    dst[value_len] = '\0';
}

int
pim_account_hash(struct pim_accounts *accounts, const char *password, size_t password_len, char out_hash[256],
                 struct pim_err *err)
{
    const struct pim_auth_bind *auth = pim_im_auth(accounts->im);
    struct pim_call call = {.struct_size = sizeof call};
    int rc;

    out_hash[0] = '\0';
    rc = auth->ops->password_hash(auth->auth, &call, password, (uint32_t)password_len, take_hash, out_hash, err);
    if (rc == PIM_OK && out_hash[0] == '\0')
        rc = pim_err_set(err, PIM_ERR_INTERNAL, "account: the sign-in plugin made no hash");
    return rc;
}

/* The dummy is made like any hash, so comparing with it costs the same, whatever the parameters are. */
static int
dummy_make(struct pim_accounts *accounts, struct pim_err *err)
{
    char password[65];
    int rc = PIM_OK;

    pthread_mutex_lock(&accounts->dummy_lock);
    if (accounts->dummy[0] == '\0') {
        pim_rand_hex(password, 32);
        rc = pim_account_hash(accounts, password, 64, accounts->dummy, err);
    }
    pthread_mutex_unlock(&accounts->dummy_lock);
    return rc;
}

int
pim_account_verify(struct pim_accounts *accounts, const char *hash, const char *password, size_t password_len,
                   bool *out_rehash, struct pim_err *err)
{
    const struct pim_auth_bind *auth = pim_im_auth(accounts->im);
    struct pim_call call = {.struct_size = sizeof call};
    bool is_real = hash != NULL && hash[0] != '\0';
    int32_t rehash = 0;
    int rc = dummy_make(accounts, err); /* by whoever comes first, known or not */

    *out_rehash = false;
    if (rc < 0)
        return rc;
    if (!is_real)
        hash = accounts->dummy;
    rc = auth->ops->password_check(auth->auth, &call, hash, (uint32_t)strlen(hash), password, (uint32_t)password_len,
                                   &rehash, err);
    if (rc < 0)
        return rc;
    if (rc != PIM_OK || !is_real)
        return PIM_REFUSED;
    *out_rehash = rehash != 0;
    return PIM_OK;
}

/* --- changes ----------------------------------------------------------------------------------------------- */

int
pim_account_create(struct pim_lease *lease, struct pim_user *user, struct pim_err *err)
{
    struct pim_changes changes;

    user->id = pim_id_make();
    user->created_ms = pim_clock_wall_ms();
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_USER, PIM_USER_BY_ID, 0);
    pim_changes_cell(&changes, PIM_USER_ID, PIM_SET, pim_v_int(user->id));
    pim_changes_cell(&changes, PIM_USER_EMAIL, PIM_SET, pim_v_text(user->email));
    pim_changes_cell(&changes, PIM_USER_NAME, PIM_SET, pim_v_text(user->name));
    pim_changes_cell(&changes, PIM_USER_PASSWORD, PIM_SET, pim_v_text(user->password));
    pim_changes_cell(&changes, PIM_USER_MOBILE, PIM_SET, pim_v_text(user->mobile));
    pim_changes_cell(&changes, PIM_USER_GENDER, PIM_SET, pim_v_int(user->gender));
    pim_changes_cell(&changes, PIM_USER_AVATAR, PIM_SET, pim_v_text(user->avatar));
    pim_changes_cell(&changes, PIM_USER_QR_CODE, PIM_SET, pim_v_text(user->qr_code));
    pim_changes_cell(&changes, PIM_USER_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_USER_DISABLED, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_USER_CREATED_MS, PIM_SET, pim_v_int(user->created_ms));
    return pim_changes_run(&changes, lease, err);
}

static void
update_begin(struct pim_changes *changes, int64_t user_id)
{
    pim_changes_init(changes);
    pim_changes_add(changes, PIM_W_UPDATE, PIM_K_USER, PIM_USER_BY_ID, PIM_W_MUST_EXIST);
    pim_changes_key(changes, pim_v_int(user_id));
    pim_changes_cond(changes, PIM_USER_IS_DELETE, PIM_EQ, pim_v_int(0));
}

int
pim_account_put_profile(struct pim_lease *lease, const struct pim_user *user, struct pim_err *err)
{
    struct pim_changes changes;
    int rc;

    update_begin(&changes, user->id);
    pim_changes_cell(&changes, PIM_USER_NAME, PIM_SET, pim_v_text(user->name));
    pim_changes_cell(&changes, PIM_USER_MOBILE, PIM_SET, pim_v_text(user->mobile));
    pim_changes_cell(&changes, PIM_USER_GENDER, PIM_SET, pim_v_int(user->gender));
    rc = pim_changes_run(&changes, lease, err);
    return rc > 0 ? PIM_NOT_FOUND : rc;
}

int
pim_account_put_password(struct pim_lease *lease, int64_t user_id, const char *old_hash, const char *new_hash,
                         struct pim_err *err)
{
    struct pim_changes changes;

    update_begin(&changes, user_id);
    if (old_hash != NULL)
        pim_changes_cond(&changes, PIM_USER_PASSWORD, PIM_EQ, pim_v_text(old_hash));
    pim_changes_cell(&changes, PIM_USER_PASSWORD, PIM_SET, pim_v_text(new_hash));
    return pim_changes_run(&changes, lease, err);
}

int
pim_account_set_disabled(struct pim_lease *lease, int64_t user_id, bool disabled, struct pim_err *err)
{
    struct pim_changes changes;
    int rc;

    update_begin(&changes, user_id);
    pim_changes_cell(&changes, PIM_USER_DISABLED, PIM_SET, pim_v_int(disabled));
    rc = pim_changes_run(&changes, lease, err);
    if (rc == PIM_OK && disabled)
        rc = pim_session_end_all(lease, user_id, NULL, err);
    return rc > 0 ? PIM_NOT_FOUND : rc;
}

int
pim_account_set_password(struct pim_lease *lease, int64_t user_id, const char *hash, struct pim_err *err)
{
    struct pim_changes changes;
    struct pim_user user;
    int rc = pim_user_load(lease, user_id, &user, err);

    if (rc == PIM_OK)
        rc = pim_account_put_password(lease, user_id, NULL, hash, err);
    if (rc != PIM_OK)
        return rc > 0 ? PIM_NOT_FOUND : rc;
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_DELETE, PIM_K_THROTTLE, PIM_THROTTLE_BY_KEY, 0);
    pim_changes_key(&changes, pim_v_text(user.email));
    rc = pim_changes_run(&changes, lease, err);
    return rc < 0 ? rc : pim_session_end_all(lease, user_id, NULL, err);
}
