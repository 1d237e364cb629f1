#include "app/metrics.h"

#include "im/presence.h"
#include "plugin/loader.h"
#include "util/clock.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
put(struct pim_buf *buf, const char *name, const char *type, const char *help, uint64_t value)
{
    pim_buf_addf(buf, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static uint64_t
resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
on_plugin_count(void *ctx, const char *plugin, const char *metric, int64_t value)
{
    pim_buf_addf(ctx, "privateim_plugin_count{plugin=\"%s\",metric=\"%s\"} %lld\n", plugin, metric, (long long)value);
}

void
pim_app_metrics(void *ctx, struct pim_buf *buf)
{
    struct pim_app *app = ctx;
    struct pim_msglog_stats log;
    uint64_t connections, users;

    pim_msglog_stats(pim_data_log(app->data), &log);
    pim_presence_count(app->im, &connections, &users);
    put(buf, "privateim_log_stored_total", "counter", "messages stored", log.stored);
    put(buf, "privateim_log_batches_total", "counter", "commits of messages", log.batches);
    put(buf, "privateim_log_resends_total", "counter", "messages that had been stored before", log.resends);
    put(buf, "privateim_log_searches_total", "counter", "client ids looked up in the log", log.searches);
    put(buf, "privateim_log_denied_total", "counter", "messages without a right", log.denied);
    put(buf, "privateim_log_busy_total", "counter", "messages asked to come again", log.busy);
    put(buf, "privateim_log_uncertain_total", "counter", "commits whose outcome was unknown", log.uncertain);
    put(buf, "privateim_log_moved_total", "counter", "conversations that another node had moved on", log.moved);
    put(buf, "privateim_log_queued", "gauge", "messages waiting for their commit", log.queued);
    put(buf, "privateim_log_conversations", "gauge", "conversations in memory", log.conversations);
    put(buf, "privateim_users_online", "gauge", "users who are connected", users);
    put(buf, "privateim_jobs_queued_records", "gauge", "reads of records waiting",
        pim_data_queued(app->data, PIM_POOL_RECORDS_READ));
    put(buf, "privateim_jobs_queued_messages", "gauge", "reads of messages waiting",
        pim_data_queued(app->data, PIM_POOL_MESSAGES_READ));
    put(buf, "privateim_jobs_queued_work", "gauge", "password hashes waiting", pim_data_queued(app->data, PIM_POOL_WORK));
    put(buf, "privateim_log_lines_dropped_total", "counter", "log lines that found no room", pim_log_dropped());
    put(buf, "process_resident_memory_bytes", "gauge", "memory of the process", resident_bytes());
    pim_ws_metrics(app->ws, buf);
    pim_buf_adds(buf, "# HELP privateim_plugin_count what plugins count\n# TYPE privateim_plugin_count counter\n");
    pim_plugin_counts(on_plugin_count, buf);
}

static void
on_plugin(void *ctx, const struct pim_plugin_row *row)
{
    if (!row->healthy)
        *(bool *)ctx = false;
}

bool
pim_app_ready(void *ctx, const char **out_why)
{
    struct pim_app *app = ctx;
    bool healthy = true;

    pim_plugin_list(on_plugin, &healthy);
    if (!app->ready)
        *out_why = "the server starts or stops";
    else if (!pim_data_clock_is_good(app->data, pim_clock_wall_ms()))
        *out_why = "the clock has jumped: no message is taken until it is right again, or the server is restarted";
    else if (!healthy)
        *out_why = "the storage is away";
    else
        return true;
    return false;
}
