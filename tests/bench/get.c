/* get: what a read of one record costs through the ABI, beside a hand-written prepared statement on the same table.
 *
 *   get BUILD DATA      DATA is an empty directory. Prints one JSON object. */
#include "data/rec.h"
#include "plugin/loader.h"
#include "util/clock.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 10000
#define READS 200000
#define ROUNDS 5

static struct pim_err err = PIM_ERR_INIT;

static void
must(int rc, const char *what)
{
    if (rc == PIM_OK)
        return;
    fprintf(stderr, "get: %s: %s %s\n", what, pim_err_name(rc), err.msg);
    exit(1);
}

static void
fill(struct pim_lease *lease)
{
    must(lease->ops->group_begin(lease->conn, &lease->call, &err), "begin");
    for (int i = 0; i < ROWS; i++) {
        struct pim_changes c;
        char email[64];

        snprintf(email, sizeof email, "user%d@example.org", i);
        pim_changes_init(&c);
        pim_changes_add(&c, PIM_W_INSERT, PIM_K_USER, PIM_USER_BY_ID, 0);
        for (uint16_t col = 0; col < PIM_USER_COLS; col++) {
            bool number = col == PIM_USER_ID || col == PIM_USER_GENDER || col >= PIM_USER_IS_DELETE;

            pim_changes_cell(&c, col, PIM_SET,
                             number ? pim_v_int(col == PIM_USER_ID ? i : 0)
                                    : pim_v_text(col == PIM_USER_EMAIL ? email : "text"));
        }
        must(pim_changes_run(&c, lease, &err), "insert");
    }
    must(lease->ops->group_end(lease->conn, &lease->call, &err), "commit");
}

static int32_t
on_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    *(int64_t *)ctx += vals[0].u.i + vals[1].len;
    return 0;
}

static double
through_abi(struct pim_lease *lease, int64_t *sum)
{
    int64_t begin = pim_clock_mono_us();

    for (int i = 0; i < READS; i++) {
        struct pim_val key = pim_v_int(i * 7 % ROWS);

        must(pim_rec_get(lease, PIM_K_USER, PIM_USER_BY_ID, &key, 1, PIM_COLS_ALL(PIM_USER_COLS), on_row, sum, &err), "get");
    }
    return (double)(pim_clock_mono_us() - begin) / READS;
}

static double
by_hand(sqlite3_stmt *stmt, int64_t *sum)
{
    int64_t begin = pim_clock_mono_us();

    for (int i = 0; i < READS; i++) {
        sqlite3_bind_int64(stmt, 1, i * 7 % ROWS);
        if (sqlite3_step(stmt) != SQLITE_ROW)
            exit(1);
        for (int col = 0; col < PIM_USER_COLS; col++) {
            if (sqlite3_column_type(stmt, col) == SQLITE_INTEGER)
                *sum += sqlite3_column_int64(stmt, col);
            else
                *sum += sqlite3_column_text(stmt, col)[0] + sqlite3_column_bytes(stmt, col);
        }
        sqlite3_reset(stmt);
    }
    return (double)(pim_clock_mono_us() - begin) / READS;
}

int
main(int argc, char **argv)
{
    struct pim_plugin_dirs dirs = {.plugin_dir = argc > 1 ? argv[1] : "", .build_dir = argc > 1 ? argv[1] : ""};
    struct pim_lease writer = {.call = {.struct_size = sizeof writer.call}}, reader = writer;
    struct pim_call call = {.struct_size = sizeof call, .flags = PIM_CALL_WRITER};
    struct pim_store_info info = {.struct_size = sizeof info};
    struct pim_plugin_handle *plugin;
    struct pim_store *store;
    char path[4096];
    struct pim_kv opt = {"path", path};
    double abi = 1e9, bare = 1e9;
    int64_t sum = 0;
    sqlite3_stmt *stmt;
    sqlite3 *db;

    if (argc < 3)
        return 64;
    snprintf(path, sizeof path, "%s/get.db", argv[2]);
    must(pim_plugin_open(&dirs, "storage-sqlite", PIM_KIND_STORAGE, &plugin, &err), "plugin");
    writer.ops = reader.ops = pim_plugin_storage(plugin);
    must(writer.ops->open(pim_plugin_host(plugin), pim_schema_for(PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES), &opt, 1, 0, &store,
                          &info, &err),
         "open");
    must(writer.ops->migrate(store, &call, PIM_MIGRATE_APPLY, NULL, NULL, &err), "migrate");
    must(writer.ops->conn_open(store, &call, &writer.conn, &err), "connect");
    fill(&writer);
    must(reader.ops->conn_open(store, &reader.call, &reader.conn, &err), "connect");
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT * FROM rec_user WHERE id = ?", -1, &stmt, NULL) != SQLITE_OK) {
        fprintf(stderr, "get: %s\n", sqlite3_errmsg(db));
        return 1;
    }
    for (int i = 0; i < ROUNDS; i++) { /* in turns; the best of each */
        double a = through_abi(&reader, &sum), b = by_hand(stmt, &sum);

        abi = a < abi ? a : abi;
        bare = b < bare ? b : bare;
    }
    printf("{\"abi_us\": %.3f, \"bare_us\": %.3f, \"sum\": %lld}\n", abi, bare, (long long)sum);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    reader.ops->conn_close(&reader.conn);
    writer.ops->conn_close(&writer.conn);
    writer.ops->close(&store);
    return 0;
}
