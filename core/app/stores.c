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

static int
sign_in_open(struct pim_app_stores *stores, const struct pim_conf *conf, const struct pim_plugin_dirs *dirs,
             struct pim_err *err)
{
    char life[24], memory[24], time[24], lanes[24];
    struct pim_kv opts[8] = {{"secret_file", conf->auth.secret_file}, {"issuer", conf->auth.issuer},
                             {"audience", conf->auth.audience},       {"token_life", life},
                             {"argon2_memory", memory},               {"argon2_time", time},
                             {"argon2_lanes", lanes},                 {"legacy_salt_file", conf->auth.legacy_salt_file}};
    struct pim_err inner = PIM_ERR_INIT;
    int rc = pim_plugin_open(dirs, "auth", PIM_KIND_AUTH, &stores->sign_in, &inner);

    snprintf(life, sizeof life, "%lld", (long long)conf->auth.token_life_ms / 1000);
    snprintf(memory, sizeof memory, "%lld", (long long)conf->auth.argon2_memory_bytes / 1024);
    snprintf(time, sizeof time, "%lld", (long long)conf->auth.argon2_time);
    snprintf(lanes, sizeof lanes, "%lld", (long long)conf->auth.argon2_lanes);
    if (rc == PIM_OK) {
        stores->auth.ops = pim_plugin_auth(stores->sign_in);
        rc = stores->auth.ops->open(pim_plugin_host(stores->sign_in), opts, PIM_COUNT(opts), &stores->auth.auth,
                                    &stores->auth.caps, &inner);
    }
    return rc != PIM_OK ? pim_err_set(err, rc < 0 ? rc : PIM_ERR_INVALID, "auth: %s", inner.msg) : PIM_OK;
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
