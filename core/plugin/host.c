/* The functions that a plugin may call. Any thread, none waits. */
#include "plugin/host_priv.h"

#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
host_log(const struct pim_host *host, int32_t level, const char *msg, const struct pim_kv *facts, uint32_t n_facts)
{
    const struct pim_plugin_handle *handle = host->ctx;
    struct pim_buf line;

    if (level < PIM_LOG_ERR)
        level = PIM_LOG_ERR;
    if (level > (int32_t)pim_log_level_get())
        return;
    pim_buf_init(&line, 1000);
    if (pim_buf_addf(&line, "%.300s", msg) == PIM_OK)
        for (uint32_t i = 0; i < n_facts; i++)
            if (pim_buf_addf(&line, " %.60s=%.200s", facts[i].name, facts[i].value) != PIM_OK)
                break;
    pim_log((enum pim_log_level)level, "%s: %s", handle->plugin->name, pim_buf_cstr(&line));
    pim_buf_fini(&line);
}

static int64_t
host_now_ms(const struct pim_host *host)
{
    (void)host;
    return pim_clock_mono_ms();
}

static void
host_health(const struct pim_host *host, int32_t up, const char *why)
{
    struct pim_plugin_handle *handle = host->ctx;
    bool changed;

    pthread_mutex_lock(&handle->lock);
    changed = handle->up != (up != 0);
    handle->up = up != 0;
    snprintf(handle->why, sizeof handle->why, "%s", why == NULL ? "" : why);
    pthread_mutex_unlock(&handle->lock);
    if (changed)
        pim_log(up ? PIM_LOG_NOTICE : PIM_LOG_ERR, "%s: %s%s%.127s", handle->plugin->name,
                up ? "well again" : "not well", why != NULL && *why != '\0' ? ": " : "", why == NULL ? "" : why);
}

static struct pim_plugin_metric *
metric_find(struct pim_plugin_handle *handle, const char *name)
{
    uint32_t n = atomic_load_explicit(&handle->n_metrics, memory_order_acquire);

    for (uint32_t i = 0; i < n; i++)
        if (strcmp(handle->metrics[i].name, name) == 0)
            return &handle->metrics[i];
    return NULL;
}

static void
host_count(const struct pim_host *host, const char *name, int64_t add)
{
    struct pim_plugin_handle *handle = host->ctx;
    struct pim_plugin_metric *metric = metric_find(handle, name);

    if (metric == NULL) {
        pthread_mutex_lock(&handle->lock);
        metric = metric_find(handle, name); /* another thread may have been faster */
        if (metric == NULL && handle->n_metrics < PIM_PLUGIN_METRICS && strlen(name) < sizeof metric->name) {
            metric = &handle->metrics[handle->n_metrics];
            memcpy(metric->name, name, strlen(name) + 1);
            atomic_fetch_add_explicit(&handle->n_metrics, 1, memory_order_release);
        }
        pthread_mutex_unlock(&handle->lock);
    }
    if (metric != NULL)
        atomic_fetch_add_explicit(&metric->value, add, memory_order_relaxed);
}

/* The log thread may never get its turn: the line goes out here. Nothing may be acknowledged after this, so no exit
 * handlers and no other thread may go on. */
static void
host_fatal(const struct pim_host *host, const char *why)
{
    const struct pim_plugin_handle *handle = host->ctx;
    char line[512];
    int len = snprintf(line, sizeof line, "fatal: %.60s: %.400s; the server ends at once\n", handle->plugin->name,
                       why == NULL ? "no reason given" : why);

    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        _exit(71); /* the reason could not be said */
    _exit(70);
}

void
pim_plugin_host_init(struct pim_plugin_handle *handle)
{
    handle->host = (struct pim_host){
        .struct_size = sizeof handle->host,
        .abi_minor = PIM_ABI_MINOR,
        .ctx = handle,
        .log = host_log,
        .now_ms = host_now_ms,
        .health = host_health,
        .count = host_count,
        .fatal = host_fatal,
    };
    handle->up = true;
    pthread_mutex_init(&handle->lock, NULL);
}
