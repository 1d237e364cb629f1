#include "app/stores.h"

#include <stdio.h>
#include <string.h>

static int
role_open(const char *setting, const char *url_text, const struct pim_plugin_dirs *dirs, struct pim_plugin_url *out_url,
          struct pim_plugin_handle **out_handle, struct pim_data_bind *out_bind, struct pim_err *err)
{
    struct pim_err inner = PIM_ERR_INIT;
    int rc = pim_plugin_url_parse(url_text, out_url, &inner);

    if (rc == PIM_OK)
        rc = pim_plugin_open(dirs, out_url->plugin, PIM_KIND_STORAGE, out_handle, &inner);
    if (rc == PIM_OK)
        rc = pim_plugin_options_check(*out_handle, out_url->opts, out_url->n_opts, &inner);
    if (rc != PIM_OK)
        return pim_err_set(err, rc < 0 ? rc : PIM_ERR_INVALID, "%s: %s", setting, inner.msg);
    *out_bind = (struct pim_data_bind){.ops = pim_plugin_storage(*out_handle),
                                       .host = pim_plugin_host(*out_handle),
                                       .opts = out_url->opts,
                                       .n_opts = out_url->n_opts};
    return PIM_OK;
}

static int
data_open(struct pim_app_stores *stores, const struct pim_conf *conf, const struct pim_plugin_dirs *dirs,
          struct pim_err *err)
{
    struct pim_data_config config = {
        .shared = strcmp(conf->storage.records, conf->storage.messages) == 0,
        .read_threads = (uint32_t)conf->server.read_threads,
        .work_threads = (uint32_t)conf->server.work_threads,
        .queue_items = (uint32_t)conf->storage.job_queue,
        .work_items = (uint32_t)conf->storage.work_queue,
        .job_timeout_ms = (uint32_t)conf->storage.job_timeout_ms,
        .allow_clock_behind = conf->storage.allow_clock_behind,
    };
    struct pim_err inner = PIM_ERR_INIT;
    int rc = role_open("storage.records", conf->storage.records, dirs, &stores->records_url, &stores->records,
                       &config.records, err);

    if (rc == PIM_OK && !config.shared)
        rc = role_open("storage.messages", conf->storage.messages, dirs, &stores->messages_url, &stores->messages,
                       &config.messages, err);
    if (rc != PIM_OK)
        return rc;
    rc = pim_data_open(&config, &stores->data, &inner);
    return rc < 0 ? pim_err_set(err, rc, "storage: %s", inner.msg) : PIM_OK;
}

#define SIGN_IN_OPTIONS 8

/* The sign-in plugin's options as text. */
struct sign_in_opts {
    struct pim_kv list[SIGN_IN_OPTIONS];
    char life[24], memory[24], time[24], lanes[24];
};

static void
sign_in_opts_fill(struct sign_in_opts *opts, const struct pim_conf *conf)
{
    const struct pim_kv list[SIGN_IN_OPTIONS] = {
        {"secret_file", conf->auth.secret_file}, {"issuer", conf->auth.issuer},
        {"audience", conf->auth.audience},       {"token_life", opts->life},
        {"argon2_memory", opts->memory},         {"argon2_time", opts->time},
        {"argon2_lanes", opts->lanes},           {"legacy_salt_file", conf->auth.legacy_salt_file},
    };

    snprintf(opts->life, sizeof opts->life, "%lld", (long long)conf->auth.token_life_ms / 1000);
    snprintf(opts->memory, sizeof opts->memory, "%lld", (long long)conf->auth.argon2_memory_bytes / 1024);
    snprintf(opts->time, sizeof opts->time, "%lld", (long long)conf->auth.argon2_time);
    snprintf(opts->lanes, sizeof opts->lanes, "%lld", (long long)conf->auth.argon2_lanes);
    memcpy(opts->list, list, sizeof list);
}

static int
sign_in_open(struct pim_app_stores *stores, const struct pim_conf *conf, const struct pim_plugin_dirs *dirs,
             struct pim_err *err)
{
    struct sign_in_opts opts;
    struct pim_err inner = PIM_ERR_INIT;
    int rc = pim_plugin_open(dirs, "auth", PIM_KIND_AUTH, &stores->sign_in, &inner);

    sign_in_opts_fill(&opts, conf);
    if (rc == PIM_OK) {
        stores->auth.ops = pim_plugin_auth(stores->sign_in);
        rc = stores->auth.ops->open(pim_plugin_host(stores->sign_in), opts.list, SIGN_IN_OPTIONS, &stores->auth.auth,
                                    &stores->auth.caps, &inner);
    }
    return rc != PIM_OK ? pim_err_set(err, rc < 0 ? rc : PIM_ERR_INVALID, "auth: %s", inner.msg) : PIM_OK;
}

int
pim_app_sign_in_reload(struct pim_app_stores *stores, const struct pim_conf *conf, struct pim_err *err)
{
    struct sign_in_opts opts;

    sign_in_opts_fill(&opts, conf);
    if (!PIM_HAS(struct pim_auth_ops, stores->auth.ops, reload))
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "the sign-in plugin takes no new settings while it runs");
    return stores->auth.ops->reload(stores->auth.auth, opts.list, SIGN_IN_OPTIONS, err);
}

int
pim_app_stores_open(struct pim_app_stores *stores, const struct pim_conf *conf, const struct pim_plugin_dirs *dirs,
                    struct pim_err *err)
{
    int rc = data_open(stores, conf, dirs, err);

    return rc == PIM_OK ? sign_in_open(stores, conf, dirs, err) : rc;
}

void
pim_app_stores_close(struct pim_app_stores *stores)
{
    if (stores->auth.auth != NULL)
        stores->auth.ops->close(&stores->auth.auth);
    pim_data_close(&stores->data);
    pim_plugin_close(&stores->sign_in);
    pim_plugin_close(&stores->messages);
    pim_plugin_close(&stores->records);
    pim_plugin_url_fini(&stores->messages_url);
    pim_plugin_url_fini(&stores->records_url);
}
