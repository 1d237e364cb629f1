/* storage-sqlite: the embedded storage plugin, for records and messages. This file: what the host sees of it. */
#include "sqlite_priv.h"

static const struct pim_option options[] = {
    {"path", "path", NULL, NULL, NULL,
     "The database file. Its directory must exist; a lock file and SQLite's -wal and -shm stand beside it.",
     PIM_OPT_REQUIRED},
    {"writer_cache_mb", "int", "64", "1", "65536", "Page cache of the connection that writes, MiB.", 0},
    {"reader_cache_mb", "int", "16", "1", "65536", "Page cache of each connection that reads, MiB.", 0},
    {"checkpoint_pages", "int", "1000", "10", "1000000",
     "Pages (4 KiB) in the write-ahead log after which a commit copies them into the database. More is faster, with "
     "longer stalls.",
     0},
    {"heads_max", "int", "200000", "100", "100000000",
     "Conversations whose newest row is kept in memory, some 110 bytes each.", 0},
    {"scan_rows", "int", "200000", "10", "100000000",
     "Messages that a start may have to read again (0.3 us each); fewer means more writing while running.", 0},
    {"retain_days", "int", "0", "0", "36500",
     "Messages older than this are deleted, but never a conversation's newest; 0 keeps all.", 0},
    {"max_pages", "int", "0", "0", "4294967294", "Largest size of the database, pages of 4 KiB; 0 is no limit.", 0},
    {"check", "string", "none", NULL, NULL,
     "At open: none, check (walk heads, pointers and skips; refuse to start on a fault), rebuild (make them anew from "
     "the rows, then check).",
     0},
};

static const struct pim_storage_ops ops = {
    .struct_size = sizeof ops,
    .open = pim_sq_open,
    .close = pim_sq_close,
    .migrate = pim_sq_migrate,
    .wipe = pim_sq_wipe,
    .stats = pim_sq_stats,
    .conn_open = pim_sq_conn_open,
    .conn_close = pim_sq_conn_close,
    .ping = pim_sq_ping,
    .cancel = pim_sq_cancel,
    .group_begin = pim_sq_group_begin,
    .group_end = pim_sq_group_end,
    .get = pim_sq_get,
    .list = pim_sq_list,
    .apply = pim_sq_apply,
    .append = pim_sq_append,
    .history = pim_sq_history,
    .tails = pim_sq_tails,
    .heads = pim_sq_heads,
    .convs = pim_sq_convs,
    .trim = pim_sq_trim,
    .redact = pim_sq_redact,
    .backup = pim_sq_backup,
    .maintain = pim_sq_maintain,
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
    .name = "storage-sqlite",
    .version = "0.1.0",
    .licence = "MIT",
    .about = "Records and messages in one SQLite database beside the daemon.",
    .options = options,
    .n_options = SQ_COUNT(options),
    .option_size = sizeof options[0],
    .ops = &ops,
};

const struct pim_plugin *
pim_plugin_entry(uint32_t index)
{
    return index == 0 ? &plugin : NULL;
}
