/* Commands that need nothing but this process. */
#include "ctl/ctl_priv.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "plugin/loader.h"
#include "util/clock.h"
#include "util/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

static const char *
level_name(void)
{
    return level_names[pim_log_level_get() - PIM_LOG_ERR];
}

/* VmRSS of /proc/self/status, in KiB; 0 where there is none. */
static json_int_t
resident_kib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    long long kib = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %lld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

static int
run_status(void *arg, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_ctl *ctl = arg;
    int rc = PIM_OK;

    json_object_set_new(result, "version", json_string(PACKAGE_VERSION));
    json_object_set_new(result, "pid", json_integer(getpid()));
    json_object_set_new(result, "uptime_s", json_integer((pim_clock_mono_ms() - ctl->started_ms) / 1000));
    json_object_set_new(result, "resident_kib", json_integer(resident_kib()));
    json_object_set_new(result, "log_level", json_string(level_name()));
    json_object_set_new(result, "log_lines_dropped", json_integer((json_int_t)pim_log_dropped()));
    for (size_t i = 0; i < ctl->n_facts && rc == PIM_OK; i++)
        rc = ctl->facts[i].fn(ctl->facts[i].ctx, request, result, err);
    return rc;
}

static void
on_plugin(void *ctx, const struct pim_plugin_row *row)
{
    json_t *one = json_object();

    json_object_set_new(one, "name", json_string(row->name));
    json_object_set_new(one, "kind", json_string(row->kind));
    json_object_set_new(one, "version", json_string(row->version));
    json_object_set_new(one, "licence", json_string(row->licence));
    json_object_set_new(one, "health",
                        json_string(row->healthy          ? "well"
                                    : row->why[0] != '\0' ? row->why
                                                          : "not well"));
    json_object_set_new(one, "about", json_string(row->about));
    json_object_set_new(one, "path", json_string(row->path));
    json_array_append_new(ctx, one);
}

static int
run_plugins(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    json_t *rows = json_array();

    (void)ctx, (void)request, (void)err;
    pim_plugin_list(on_plugin, rows);
    json_object_set_new(result, "plugins", rows);
    return PIM_OK;
}

static int
run_log_level(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    const char *word = pim_ctl_arg(request, 0);
    int level;

    (void)ctx;
    if (word != NULL) {
        level = pim_log_level_parse(word);
        if (level < 0)
            return pim_err_set(err, PIM_ERR_INVALID, "%.40s is no log level: error, warning, notice, info or debug",
                               word);
        pim_log_level_set((enum pim_log_level)level);
        pim_log(PIM_LOG_NOTICE, "log level is now %s", level_name());
    }
    json_object_set_new(result, "log_level", json_string(level_name()));
    return PIM_OK;
}

static int
run_reload(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    (void)ctx, (void)request;
    if (kill(getpid(), SIGHUP) != 0)
        return pim_err_set(err, PIM_ERR_INTERNAL, "cannot signal the main thread");
    json_object_set_new(result, "reload", json_string("asked for; the log says what changed"));
    return PIM_OK;
}

void
pim_ctl_builtins_add(struct pim_ctl *ctl)
{
    ctl->started_ms = pim_clock_mono_ms();
    pim_ctl_command_add(ctl, "status", run_status, ctl);
    pim_ctl_command_add(ctl, "plugins", run_plugins, ctl);
    pim_ctl_command_add(ctl, "log level", run_log_level, ctl);
    pim_ctl_command_add(ctl, "reload", run_reload, ctl);
}
