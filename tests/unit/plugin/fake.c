/* A plugin with one thing wrong with it, named by PIM_TEST_FAULT; the loader's test copies the library for each. */
#include <privateim/auth.h>
#include <privateim/storage.h>

#include <stdlib.h>
#include <string.h>

static int32_t
any_open(const struct pim_host *host, const struct pim_schema *schema, const struct pim_kv *opts, uint32_t n_opts,
         uint32_t flags, struct pim_store **out_store, struct pim_store_info *out_info, struct pim_err *err)
{
    (void)schema, (void)opts, (void)n_opts, (void)flags, (void)out_store, (void)out_info, (void)err;
    host->log(host, 6, "opened", &(struct pim_kv){"fact", "1"}, 1);
    host->count(host, "opens", 2);
    host->count(host, "opens", 1);
    host->health(host, 0, "no disk");
    if (host->now_ms(host) <= 0)
        host->fatal(host, "the clock stands");
    return 0;
}

static void
any_close(struct pim_store **store)
{
    (void)store;
}

static int32_t
any_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report, void *ctx,
            struct pim_err *err)
{
    (void)store, (void)call, (void)mode, (void)report, (void)ctx, (void)err;
    return 0;
}

static int32_t
any_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn, struct pim_err *err)
{
    (void)store, (void)call, (void)out_conn, (void)err;
    return 0;
}

static void
any_conn_close(struct pim_conn **conn)
{
    (void)conn;
}

static int32_t
any_ping(struct pim_conn *conn, const struct pim_call *call, int64_t *out_engine_now_ms, struct pim_err *err)
{
    (void)conn, (void)call, (void)out_engine_now_ms, (void)err;
    return 0;
}

static struct pim_storage_ops ops = {
    .struct_size = sizeof ops,
    .open = any_open,
    .close = any_close,
    .migrate = any_migrate,
    .conn_open = any_conn_open,
    .conn_close = any_conn_close,
    .ping = any_ping,
};

static const struct pim_option options[] = {
    {.name = "path", .type = "text", .help = "a file", .flags = PIM_OPT_REQUIRED},
    {.name = "pages", .type = "int", .def = "10", .min = "1", .max = "100", .help = "pages"},
};

static struct pim_plugin plugin = {
    .struct_size = sizeof plugin,
    .magic = PIM_MAGIC,
    .abi_major = PIM_ABI_MAJOR,
    .abi_minor = PIM_ABI_MINOR,
    .kind = PIM_KIND_STORAGE,
    .kind_major = PIM_STORAGE_MAJOR,
    .name = "fake",
    .version = "1",
    .licence = "MIT",
    .about = "for the loader's test",
    .options = options,
    .n_options = 2,
    .option_size = sizeof options[0],
    .ops = &ops,
};

const struct pim_plugin *
pim_plugin_entry(uint32_t index)
{
    const char *fault = getenv("PIM_TEST_FAULT");

    if (fault == NULL || index > 0 || strcmp(fault, "empty") == 0)
        return index > 0 || fault != NULL ? NULL : &plugin;
    if (strcmp(fault, "magic") == 0)
        plugin.magic = 7;
    else if (strcmp(fault, "abi") == 0)
        plugin.abi_major = PIM_ABI_MAJOR + 1;
    else if (strcmp(fault, "size") == 0)
        plugin.struct_size = 40;
    else if (strcmp(fault, "host") == 0)
        plugin.host_minor_min = PIM_ABI_MINOR + 1;
    else if (strcmp(fault, "name") == 0)
        plugin.name = "../fake";
    else if (strcmp(fault, "kind") == 0)
        plugin.kind = PIM_KIND_AUTH;
    else if (strcmp(fault, "kind_major") == 0)
        plugin.kind_major = PIM_STORAGE_MAJOR + 1;
    else if (strcmp(fault, "ops") == 0)
        plugin.ops = NULL;
    else if (strcmp(fault, "missing") == 0)
        ops.ping = NULL;
    else if (strcmp(fault, "short") == 0)
        ops.struct_size = offsetof(struct pim_storage_ops, ping);
    else if (strcmp(fault, "options") == 0)
        plugin.option_size = 8;
    return &plugin;
}
