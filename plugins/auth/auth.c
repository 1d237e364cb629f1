/* The sign-in plugin: passwords with argon2id, tokens with HS256. */
#include "auth_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t
auth_fail(struct pim_err *err, int32_t code, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL || !PIM_IN(struct pim_err, err, msg))
        return code;
    err->code = code;
    err->native_code = 0;
    err->state[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return code;
}

static const struct pim_option options[] = {
    {"secret_file", "path", NULL, NULL, NULL, "file with the key that signs tokens; made if it is not there",
     PIM_OPT_REQUIRED},
    {"issuer", "text", "privateim", NULL, NULL, "issuer named in tokens, at most 100 bytes", 0},
    {"audience", "text", "privateim", NULL, NULL, "audience named in tokens, at most 100 bytes", 0},
    {"token_life", "int", "604800", "60", "31622400", "seconds a token is good for", PIM_OPT_RELOAD},
    {"argon2_memory", "int", "19456", "8192", "4194304", "KiB for one hash", PIM_OPT_RELOAD},
    {"argon2_time", "int", "2", "1", "100", "passes over that memory", PIM_OPT_RELOAD},
    {"argon2_lanes", "int", "1", "1", "16", "lanes of that memory", PIM_OPT_RELOAD},
    {"legacy_salt_file", "path", "", NULL, NULL, "file with the salt of imported HMAC-MD5 hashes, at most 255 bytes",
     0},
};

/* The option's value, or its default. */
static const char *
option_text(const struct pim_kv *opts, uint32_t n_opts, size_t which)
{
    for (uint32_t i = 0; i < n_opts; i++)
        if (strcmp(opts[i].name, options[which].name) == 0)
            return opts[i].value;
    return options[which].def;
}

enum { O_SECRET_FILE, O_ISSUER, O_AUDIENCE, O_TOKEN_LIFE, O_MEMORY, O_TIME, O_LANES, O_LEGACY_SALT_FILE };

/* The host has checked the bounds as well, but another host may not. */
static int32_t
option_int(const struct pim_kv *opts, uint32_t n_opts, size_t which, int64_t *out, struct pim_err *err)
{
    const char *text = option_text(opts, n_opts, which);
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *out < strtoll(options[which].min, NULL, 10) ||
        *out > strtoll(options[which].max, NULL, 10))
        return auth_fail(err, PIM_ERR_INVALID, "option %s = %.40s: allowed is a number from %s to %s",
                         options[which].name, text, options[which].min, options[which].max);
    return PIM_OK;
}

static int32_t
settings_load(struct pim_auth *auth, const struct pim_kv *opts, uint32_t n_opts, struct pim_err *err)
{
    int64_t life = 0, memory = 0, passes = 0, lanes = 0;
    int32_t rc = option_int(opts, n_opts, O_TOKEN_LIFE, &life, err);

    if (rc == PIM_OK)
        rc = option_int(opts, n_opts, O_MEMORY, &memory, err);
    if (rc == PIM_OK)
        rc = option_int(opts, n_opts, O_TIME, &passes, err);
    if (rc == PIM_OK)
        rc = option_int(opts, n_opts, O_LANES, &lanes, err);
    if (rc != PIM_OK)
        return rc;
    atomic_store(&auth->token_life_s, life);
    atomic_store(&auth->memory_kib, (uint32_t)memory);
    atomic_store(&auth->time, (uint32_t)passes);
    atomic_store(&auth->lanes, (uint32_t)lanes);
    return PIM_OK;
}

static int32_t
text_load(char *dst, size_t dst_bytes, const char *name, const char *text, struct pim_err *err)
{
    if (*text == '\0' || strlen(text) > 100)
        return auth_fail(err, PIM_ERR_INVALID, "option %s: allowed are 1 to 100 bytes", name);
    snprintf(dst, dst_bytes, "%s", text);
    return PIM_OK;
}

/* One line end at the end of the file is the editor's, not the salt's. */
static int32_t
legacy_load(struct pim_auth *auth, const char *path, struct pim_err *err)
{
    long n;

    if (*path == '\0')
        return PIM_OK;
    n = auth_file_read(path, auth->legacy_salt, sizeof auth->legacy_salt, err);
    if (n < 0)
        return PIM_ERR_UNAVAILABLE;
    if (n == (long)sizeof auth->legacy_salt)
        return auth_fail(err, PIM_ERR_INVALID, "%.150s: a salt has at most 255 bytes", path);
    if (n > 0 && auth->legacy_salt[n - 1] == '\n')
        n--;
    if (n == 0)
        return auth_fail(err, PIM_ERR_INVALID, "%.150s: the salt is empty", path);
    auth->legacy_salt_len = (size_t)n;
    auth->legacy = true;
    return PIM_OK;
}

static void
auth_close(struct pim_auth **auth)
{
    if (*auth == NULL)
        return;
    explicit_bzero(*auth, sizeof **auth);
    free(*auth);
    *auth = NULL;
}

static int32_t
auth_open(const struct pim_host *host, const struct pim_kv *opts, uint32_t n_opts, struct pim_auth **out_auth,
          uint64_t *out_caps, struct pim_err *err)
{
    struct pim_auth *auth = calloc(1, sizeof *auth);
    const char *secret = option_text(opts, n_opts, O_SECRET_FILE);
    int32_t rc;

    if (auth == NULL)
        return auth_fail(err, PIM_ERR_NOMEM, "out of memory");
    auth->host = host;
    rc = secret == NULL || *secret == '\0' ? auth_fail(err, PIM_ERR_INVALID, "option secret_file is missing") : PIM_OK;
    if (rc == PIM_OK)
        rc = settings_load(auth, opts, n_opts, err);
    if (rc == PIM_OK)
        rc = text_load(auth->issuer, sizeof auth->issuer, "issuer", option_text(opts, n_opts, O_ISSUER), err);
    if (rc == PIM_OK)
        rc = text_load(auth->audience, sizeof auth->audience, "audience", option_text(opts, n_opts, O_AUDIENCE), err);
    if (rc == PIM_OK)
        rc = legacy_load(auth, option_text(opts, n_opts, O_LEGACY_SALT_FILE), err);
    if (rc == PIM_OK)
        rc = auth_secret_load(secret, auth->key, &auth->key_len, err);
    if (rc != PIM_OK) {
        auth_close(&auth);
        return rc;
    }
    *out_caps = PIM_AUTH_CAP_FAST | PIM_AUTH_CAP_PASSWORD | PIM_AUTH_CAP_TOKEN;
    *out_auth = auth;
    return PIM_OK;
}

static const struct pim_auth_ops ops = {
    .struct_size = sizeof ops,
    .open = auth_open,
    .close = auth_close,
    .password_hash = auth_password_hash,
    .password_check = auth_password_check,
    .token_make = auth_token_make,
    .token_check = auth_token_check,
    .reload = settings_load,
};

static const struct pim_plugin plugin = {
    .struct_size = sizeof plugin,
    .magic = PIM_MAGIC,
    .abi_major = PIM_ABI_MAJOR,
    .abi_minor = PIM_ABI_MINOR,
    .kind = PIM_KIND_AUTH,
    .kind_major = PIM_AUTH_MAJOR,
    .kind_minor = PIM_AUTH_MINOR,
    .name = "auth",
    .version = "0.1.0",
    .licence = "MIT",
    .about = "Passwords with argon2id, tokens with HS256",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .ops = &ops,
};

const struct pim_plugin *
pim_plugin_entry(uint32_t index)
{
    return index == 0 ? &plugin : NULL;
}
