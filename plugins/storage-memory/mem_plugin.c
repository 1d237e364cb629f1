/* storage-memory: records and messages in memory, for tests and trials. This file: what the host sees of it, options,
 * stores and connections. */
#include "mem_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const struct pim_option options[] = {
    {"store", "string", NULL, NULL, NULL,
     "Stores of one name share what they hold, within one process, until it ends. Without a name it is gone at close.",
     0},
    {"latency_ms", "int", "0", "0", "60000", "Every call waits this long first.", 0},
    {"fail_append", "string", NULL, NULL, NULL,
     "For tests of the host: N:HOW or N-M:HOW, the appends numbered so fail. HOW is uncertain-stored, uncertain-lost, "
     "unavailable, full or internal.",
     0},
    {"bad_body", "string", NULL, NULL, NULL,
     "For tests of the host: a message that contains this text cannot be stored.", 0},
    {"bad_body_whole", "int", "0", "0", "1", "For tests of the host: with 1 such a message fails its whole batch.", 0},
};

int
pim_mem_err(struct pim_err *err, int code, const char *fmt, ...)
{
    if (err != NULL && PIM_IN(struct pim_err, err, msg)) {
        va_list args;

        err->code = code;
        err->native_code = 0;
        err->state[0] = '\0';
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
    }
    return code;
}

bool
pim_mem_room(void **items, size_t n, size_t *cap, size_t item_bytes)
{
    size_t more = *cap ? *cap * 2 : 8;
    void *grown;

    if (n < *cap)
        return true;
    grown = realloc(*items, more * item_bytes);
    if (grown == NULL)
        return false;
    *items = grown;
    *cap = more;
    return true;
}

/* --- the data
 * --------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t named_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct mem_data *named;

static struct mem_data *
data_new(const char *name)
{
    struct mem_data *data = calloc(1, sizeof *data);

    if (data == NULL)
        return NULL;
    if (getrandom(data->store_id, sizeof data->store_id, 0) != (ssize_t)sizeof data->store_id ||
        (name != NULL && (data->name = strdup(name)) == NULL)) {
        free(data);
        return NULL;
    }
    pthread_mutex_init(&data->lock, NULL);
    return data;
}

static struct mem_data *
data_named(const char *name)
{
    struct mem_data *data;

    pthread_mutex_lock(&named_lock);
    for (data = named; data != NULL; data = data->next)
        if (strcmp(data->name, name) == 0)
            break;
    if (data == NULL && (data = data_new(name)) != NULL) {
        data->next = named;
        named = data;
    }
    pthread_mutex_unlock(&named_lock);
    return data;
}

static void
data_free(struct mem_data *data)
{
    for (uint32_t i = 0; i < data->n_tables; i++)
        pim_mem_rows_free(&data->tables[i]);
    free(data->tables);
    pim_mem_logs_free(data);
    pthread_mutex_destroy(&data->lock);
    free(data->name);
    free(data);
}

/* --- options
 * ---------------------------------------------------------------------------------------------------------- */

static int
option_int(const struct pim_kv *opt, int64_t max, int64_t *out_value, struct pim_err *err)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(opt->value, &end, 10);
    if (errno != 0 || end == opt->value || *end != '\0' || value < 0 || value > max)
        return pim_mem_err(err, PIM_ERR_INVALID, "option %s = %s is not a number from 0 to %lld", opt->name, opt->value,
                           (long long)max);
    *out_value = value;
    return PIM_OK;
}

static int
option_fail(struct pim_store *store, const char *value, struct pim_err *err)
{
    static const struct {
        const char *name;
        enum mem_fault fault;
    } hows[] = {{"uncertain-stored", MEM_FAULT_STORED},
                {"uncertain-lost", MEM_FAULT_LOST},
                {"unavailable", MEM_FAULT_UNAVAILABLE},
                {"full", MEM_FAULT_FULL},
                {"internal", MEM_FAULT_INTERNAL}};
    char *end;

    store->fail_from = store->fail_to = strtoll(value, &end, 10);
    if (*end == '-')
        store->fail_to = strtoll(end + 1, &end, 10);
    for (size_t i = 0; *end == ':' && i < MEM_COUNT(hows); i++)
        if (strcmp(end + 1, hows[i].name) == 0)
            store->fail_append = hows[i].fault;
    if (store->fail_append == MEM_FAULT_NONE || store->fail_from < 1 || store->fail_to < store->fail_from)
        return pim_mem_err(err, PIM_ERR_INVALID, "option fail_append = %s is not N:HOW", value);
    return PIM_OK;
}

static int
options_read(struct pim_store *store, const struct pim_kv *opts, uint32_t n_opts, const char **out_name,
             struct pim_err *err)
{
    int64_t whole = 0;
    int rc = PIM_OK;

    for (uint32_t i = 0; rc == PIM_OK && i < n_opts; i++) {
        if (strcmp(opts[i].name, "store") == 0) {
            *out_name = opts[i].value;
        } else if (strcmp(opts[i].name, "latency_ms") == 0) {
            rc = option_int(&opts[i], 60000, &store->latency_ms, err);
        } else if (strcmp(opts[i].name, "fail_append") == 0) {
            rc = option_fail(store, opts[i].value, err);
        } else if (strcmp(opts[i].name, "bad_body") == 0) {
            free(store->bad_body);
            store->bad_body = strdup(opts[i].value);
            rc = store->bad_body != NULL ? PIM_OK : pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
        } else if (strcmp(opts[i].name, "bad_body_whole") == 0) {
            rc = option_int(&opts[i], 1, &whole, err);
        } else {
            rc = pim_mem_err(err, PIM_ERR_INVALID, "there is no option %s", opts[i].name);
        }
    }
    store->bad_body_whole = whole != 0;
    return rc;
}

/* --- stores
 * ------------------------------------------------------------------------------------------------------------ */

static void
mem_close(struct pim_store **storep)
{
    struct pim_store *store = *storep;

    if (store == NULL)
        return;
    if (store->data != NULL && store->data->name == NULL)
        data_free(store->data);
    free(store->kinds);
    free(store->bad_body);
    free(store);
    *storep = NULL;
}

static int32_t
mem_open(const struct pim_host *host, const struct pim_schema *schema, const struct pim_kv *opts, uint32_t n_opts,
         uint32_t flags, struct pim_store **out_store, struct pim_store_info *out_info, struct pim_err *err)
{
    struct pim_store_info info = {.struct_size = out_info->struct_size,
                                  .roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES,
                                  .caps = PIM_CAP_JOIN | PIM_CAP_DAY_INDEX | PIM_CAP_CANCEL,
                                  .write_conns_max = MEM_WRITE_CONNS_MAX,
                                  .conns_max = 64,
                                  .append_items_best = 500,
                                  .append_items_max = MEM_APPEND_ITEMS_MAX,
                                  .append_bytes_max = MEM_APPEND_BYTES_MAX,
                                  .value_bytes_max = MEM_VALUE_MAX,
                                  .engine = "memory",
                                  .epoch = 1};
    struct pim_store *store = calloc(1, sizeof *store);
    const char *name = NULL;
    uint32_t needed;
    int rc;

    if (store == NULL)
        return pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
    store->host = host;
    store->flags = flags;
    rc = options_read(store, opts, n_opts, &name, err);
    if (rc == PIM_OK)
        rc = pim_mem_schema_copy(store, schema, err);
    if (rc == PIM_OK) {
        store->data = name != NULL ? data_named(name) : data_new(NULL);
        if (store->data == NULL)
            rc = pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
    }
    if (rc == PIM_OK) {
        pthread_mutex_lock(&store->data->lock);
        needed = store->data->min_reader;
        pthread_mutex_unlock(&store->data->lock);
        if (needed > store->version)
            rc = pim_mem_err(err, PIM_ERR_SCHEMA,
                             "the data need a server that knows schema version %u or later, this one knows version %u",
                             needed, store->version);
    }
    if (rc != PIM_OK) {
        mem_close(&store);
        return rc;
    }
    memcpy(info.store_id, store->data->store_id, sizeof info.store_id);
    memcpy(out_info, &info, info.struct_size < sizeof info ? info.struct_size : sizeof info);
    *out_store = store;
    return PIM_OK;
}

static int32_t
mem_wipe(struct pim_store *store, const struct pim_call *call, struct pim_err *err)
{
    (void)call;
    if ((store->flags & PIM_OPEN_TEST) == 0)
        return pim_mem_err(err, PIM_ERR_DENIED, "wipe is for stores opened with PIM_OPEN_TEST");
    pthread_mutex_lock(&store->data->lock);
    for (uint32_t i = 0; i < store->data->n_tables; i++)
        pim_mem_rows_free(&store->data->tables[i]);
    store->data->n_tables = 0;
    store->data->version = store->data->min_reader = 0;
    pim_mem_logs_free(store->data);
    pthread_mutex_unlock(&store->data->lock);
    return PIM_OK;
}

static void
mem_stats(struct pim_store *store, void (*put)(void *ctx, const char *name, int64_t value), void *ctx)
{
    int64_t rows = 0, msgs = 0, convs;

    pthread_mutex_lock(&store->data->lock);
    for (uint32_t i = 0; i < store->data->n_tables; i++)
        rows += (int64_t)store->data->tables[i].n_rows;
    for (size_t i = 0; i < store->data->n_logs; i++)
        msgs += (int64_t)store->data->logs[i]->n;
    convs = (int64_t)store->data->n_logs;
    pthread_mutex_unlock(&store->data->lock);
    put(ctx, "rows", rows);
    put(ctx, "messages", msgs);
    put(ctx, "conversations", convs);
    put(ctx, "connections", atomic_load(&store->n_conns));
    put(ctx, "appends", atomic_load(&store->n_appends));
}

/* --- connections
 * ------------------------------------------------------------------------------------------------------- */

static int32_t
mem_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn, struct pim_err *err)
{
    struct pim_conn *conn;
    bool writer = call != NULL && PIM_IN(struct pim_call, call, flags) && (call->flags & PIM_CALL_WRITER) != 0;

    if (writer && atomic_fetch_add(&store->n_writers, 1) >= MEM_WRITE_CONNS_MAX) {
        atomic_fetch_sub(&store->n_writers, 1);
        return pim_mem_err(err, PIM_ERR_UNAVAILABLE, "%d connections write already", MEM_WRITE_CONNS_MAX);
    }
    conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        if (writer)
            atomic_fetch_sub(&store->n_writers, 1);
        return pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
    }
    conn->store = store;
    conn->writer = writer;
    atomic_fetch_add(&store->n_conns, 1);
    *out_conn = conn;
    return PIM_OK;
}

static void
mem_conn_close(struct pim_conn **connp)
{
    if (*connp == NULL)
        return;
    atomic_fetch_sub(&(*connp)->store->n_conns, 1);
    if ((*connp)->writer)
        atomic_fetch_sub(&(*connp)->store->n_writers, 1);
    free(*connp);
    *connp = NULL;
}

static void
mem_cancel(struct pim_conn *conn)
{
    atomic_store(&conn->cancelled, true);
}

int
pim_mem_stopped(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    const struct pim_host *host = conn->store->host;

    if (atomic_load(&conn->cancelled))
        return pim_mem_err(err, PIM_ERR_CANCELLED, "cancelled");
    if (call == NULL)
        return PIM_OK;
    if (PIM_HAS(struct pim_call, call, cancelled) && __atomic_load_n(call->cancelled, __ATOMIC_RELAXED) != 0)
        return pim_mem_err(err, PIM_ERR_CANCELLED, "cancelled");
    if (PIM_IN(struct pim_call, call, deadline_ms) && call->deadline_ms != 0 &&
        PIM_HAS(struct pim_host, host, now_ms) && host->now_ms(host) > call->deadline_ms)
        return pim_mem_err(err, PIM_ERR_TIMEOUT, "the deadline has passed");
    return PIM_OK;
}

int
pim_mem_enter(struct pim_conn *conn, const struct pim_call *call, bool writes, struct pim_err *err)
{
    int64_t ms = conn->store->latency_ms;
    int rc;

    atomic_store(&conn->cancelled, false);
    if (ms > 0)
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    if (writes && !conn->writer)
        return pim_mem_err(err, PIM_ERR_READONLY, "this connection only reads; PIM_CALL_WRITER opens one that writes");
    rc = pim_mem_stopped(conn, call, err);
    if (rc == PIM_OK)
        pthread_mutex_lock(&conn->store->data->lock);
    return rc;
}

void
pim_mem_leave(struct pim_conn *conn)
{
    pthread_mutex_unlock(&conn->store->data->lock);
}

static int32_t
mem_ping(struct pim_conn *conn, const struct pim_call *call, int64_t *out_engine_now_ms, struct pim_err *err)
{
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    pim_mem_leave(conn);
    *out_engine_now_ms = 0; /* our clock is the host's */
    return PIM_OK;
}

/* --- the table
 * --------------------------------------------------------------------------------------------------------- */

static const struct pim_storage_ops ops = {
    .struct_size = sizeof ops,
    .open = mem_open,
    .close = mem_close,
    .migrate = pim_mem_migrate,
    .wipe = mem_wipe,
    .stats = mem_stats,
    .conn_open = mem_conn_open,
    .conn_close = mem_conn_close,
    .ping = mem_ping,
    .cancel = mem_cancel,
    .get = pim_mem_get,
    .list = pim_mem_list,
    .apply = pim_mem_apply,
    .append = pim_mem_append,
    .history = pim_mem_history,
    .tails = pim_mem_tails,
    .heads = pim_mem_heads,
    .convs = pim_mem_convs,
    .trim = pim_mem_trim,
    .redact = pim_mem_redact,
};

static const struct pim_plugin plugin = {
    .struct_size = sizeof plugin,
    .magic = PIM_MAGIC,
    .abi_major = PIM_ABI_MAJOR,
    .abi_minor = PIM_ABI_MINOR,
    .kind = PIM_KIND_STORAGE,
    .kind_major = PIM_STORAGE_MAJOR,
    .kind_minor = PIM_STORAGE_MINOR,
    .host_minor_min = 0,
    .name = "storage-memory",
    .version = "0.1.0",
    .licence = "MIT",
    .about = "Records and messages in memory, for tests and trials: nothing outlives the process.",
    .options = options,
    .n_options = MEM_COUNT(options),
    .option_size = sizeof options[0],
    .ops = &ops,
};

const struct pim_plugin *
pim_plugin_entry(uint32_t index)
{
    return index == 0 ? &plugin : NULL;
}
