/* tests/bench/append_sqlite.c - what an append to storage-sqlite costs: messages a second and CPU a message for batches of
 * 1, 64 and 500, on an empty store, then after `rows` rows of `convs` conversations; and a get by key through the ABI
 * beside the same prepared statement by hand.
 * Use: append_sqlite DIRECTORY [rows [convs [checkpoint_pages]]] */
#include <privateim/storage.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BODY 200
#define BATCH_MAX 500

static const struct pim_storage_ops *ops;
static struct pim_conn *conn;
static int64_t *seqs, n_convs = 100000, msg_id = 1;
static char body[BODY];

static double
now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double
user_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
}

static int
by_conv(const void *x, const void *y)
{
    const struct pim_append_item *p = x, *q = y;

    return p->conv.a != q->conv.a ? (p->conv.a < q->conv.a ? -1 : 1) : (p->seq > q->seq) - (p->seq < q->seq);
}

static void
fail(const char *what, const struct pim_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->msg);
    exit(1);
}

static double
batch(uint32_t n)
{
    static struct pim_append_item items[BATCH_MAX];
    struct pim_append append = {
        .struct_size = sizeof append, .item_size = sizeof items[0], .n_items = n, .items = items};
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    double from;

    for (uint32_t i = 0; i < n; i++) {
        int64_t c = random() % n_convs;

        seqs[c]++;
        msg_id++;
        items[i] = (struct pim_append_item){.conv = {.kind = 'g', .a = c + 1},
                                            .seq = seqs[c],
                                            .ord = seqs[c],
                                            .msg_id = msg_id,
                                            .sender_id = c,
                                            .created_ms = 1700000000000 + msg_id,
                                            .body_hash = (uint64_t)msg_id * 77,
                                            .body = body,
                                            .body_len = BODY,
                                            .type = 1,
                                            .day = 20260101};
        memcpy(items[i].cid, &msg_id, sizeof msg_id);
    }
    qsort(items, n, sizeof items[0], by_conv);
    from = now_s();
    if (ops->append(conn, &call, &append, &err) < 0)
        fail("append", &err);
    if (items[n - 1].result != PIM_OK) {
        fprintf(stderr, "append: item has result %d\n", items[n - 1].result);
        exit(1);
    }
    return now_s() - from;
}

static int
by_value(const void *x, const void *y)
{
    double p = *(const double *)x, q = *(const double *)y;

    return (p > q) - (p < q);
}

static void
measure(const char *label, uint32_t n, uint32_t times)
{
    double *took = calloc(times, sizeof *took), sum = 0, cpu = cpu_s(), user = user_s();

    for (uint32_t i = 0; i < times; i++)
        sum += took[i] = batch(n);
    cpu = cpu_s() - cpu;
    user = user_s() - user;
    qsort(took, times, sizeof *took, by_value);
    printf("%-28s batch %3u: %8.0f msg/s  commit p50 %.2f p99 %.2f max %.1f ms  CPU %.2f us/msg (user %.2f)\n", label,
           n, (double)n * times / sum, took[times / 2] * 1e3, took[times * 99 / 100] * 1e3, took[times - 1] * 1e3,
           cpu * 1e6 / n / times, user * 1e6 / n / times);
    fflush(stdout);
    free(took);
}

static int32_t
on_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    *(int64_t *)ctx += vals[0].u.i + (n_vals > 1 ? (int64_t)vals[1].len : 0);
    return 0;
}

static void
measure_get(const char *path)
{
    enum { N = 300000, KEYS = 10000 };
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    int64_t sum = 0;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    double by_abi = 1e9, by_hand = 1e9;

    for (int64_t id = 1; id <= KEYS; id += 100) {
        struct pim_cell cells[100][2];
        struct pim_write writes[100];
        struct pim_apply apply = {
            .struct_size = sizeof apply, .write_size = sizeof writes[0], .n_writes = 100, .writes = writes};

        for (int i = 0; i < 100; i++) {
            cells[i][0] = (struct pim_cell){.col = 0, .val = {.type = PIM_INT, .u.i = id + i}};
            cells[i][1] =
                (struct pim_cell){.col = 1, .val = {.type = PIM_TEXT, .len = 20, .u.p = "a name of 20 letters"}};
            writes[i] = (struct pim_write){
                .struct_size = sizeof writes[0], .kind = 1, .verb = PIM_W_INSERT, .n_cells = 2, .cells = cells[i]};
        }
        if (ops->apply(conn, &call, &apply, NULL, NULL, &err) != PIM_OK)
            fail("apply", &err);
    }
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA query_only=ON; PRAGMA cache_size=-16384", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(db, "SELECT id, name FROM rec_user WHERE id = ?", -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                           NULL) != SQLITE_OK) {
        fprintf(stderr, "by hand: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
    for (int round = 0; round < 3; round++) {
        double from = now_s();

        for (int64_t i = 0; i < N; i++) {
            struct pim_val key = {.type = PIM_INT, .u.i = 1 + i * 7919 % KEYS};
            struct pim_get get = {
                .struct_size = sizeof get, .kind = 1, .keys = &key, .n_keys = 1, .vals_per_key = 1, .cols = 3};

            if (ops->get(conn, &call, &get, on_row, &sum, &err) != PIM_OK)
                fail("get", &err);
        }
        by_abi = now_s() - from < by_abi ? now_s() - from : by_abi;
        from = now_s();
        for (int64_t i = 0; i < N; i++) {
            sqlite3_bind_int64(stmt, 1, 1 + i * 7919 % KEYS);
            if (sqlite3_step(stmt) == SQLITE_ROW) {
                sum += sqlite3_column_int64(stmt, 0);
                sum += sqlite3_column_text(stmt, 1) != NULL ? sqlite3_column_bytes(stmt, 1) : 0;
            }
            sqlite3_reset(stmt);
        }
        by_hand = now_s() - from < by_hand ? now_s() - from : by_hand;
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    printf("get by key: %.3f us, by hand %.3f us, ratio %.2f\n", by_abi * 1e6 / N, by_hand * 1e6 / N, by_abi / by_hand);
}

int
main(int argc, char **argv)
{
    static const struct pim_col cols[] = {{.name = "id", .type = PIM_INT},
                                          {.name = "name", .type = PIM_TEXT, .max_chars = 100}};
    static const uint16_t key_cols[] = {0};
    static const struct pim_index key = {.name = "pk", .cols = key_cols, .n_cols = 1, .flags = PIM_INDEX_UNIQUE};
    static const struct pim_kind user = {.struct_size = sizeof user,
                                         .id = 1,
                                         .roles = PIM_ROLE_RECORDS,
                                         .name = "user",
                                         .cols = cols,
                                         .n_cols = 2,
                                         .col_size = sizeof cols[0],
                                         .indexes = &key,
                                         .n_indexes = 1,
                                         .index_size = sizeof key};
    static const struct pim_schema schema = {.struct_size = sizeof schema,
                                             .version = 1,
                                             .min_reader = 1,
                                             .roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES,
                                             .kinds = &user,
                                             .n_kinds = 1,
                                             .kind_size = sizeof user};
    struct pim_host host = {.struct_size = sizeof host};
    struct pim_store_info info = {.struct_size = sizeof info};
    struct pim_call call = {.struct_size = sizeof call, .flags = PIM_CALL_WRITER};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_store *store = NULL;
    int64_t rows = argc > 2 ? atoll(argv[2]) : 400000;
    char path[4096];
    struct pim_kv opts[2] = {{"path", path}, {"checkpoint_pages", argc > 4 ? argv[4] : "1000"}};
    double from, cpu;

    if (argc < 2) {
        fprintf(stderr, "use: append_sqlite DIRECTORY [rows [convs [checkpoint_pages]]]\n");
        return 2;
    }
    n_convs = argc > 3 ? atoll(argv[3]) : n_convs;
    seqs = calloc((size_t)n_convs, sizeof *seqs);
    memset(body, 'x', sizeof body);
    snprintf(path, sizeof path, "%s/append_sqlite.db", argv[1]);
    ops = pim_plugin_entry(0)->ops;
    if (ops->open(&host, &schema, opts, 2, 0, &store, &info, &err) < 0 ||
        ops->migrate(store, &call, PIM_MIGRATE_APPLY, NULL, NULL, &err) < 0 ||
        ops->conn_open(store, &call, &conn, &err) < 0)
        fail("open", &err);
    call.flags = 0;
    measure("empty store", 1, 1000);
    measure("empty store", 64, 300);
    measure("empty store", 500, 200);
    from = now_s();
    cpu = cpu_s();
    for (int64_t i = 0; i < rows; i += BATCH_MAX)
        batch(BATCH_MAX);
    printf("filled with %lld rows of %lld conversations: %.0f msg/s, CPU %.2f us/msg with the bench's own\n",
           (long long)rows, (long long)n_convs, (double)rows / (now_s() - from), (cpu_s() - cpu) * 1e6 / (double)rows);
    measure("full store", 1, 1000);
    measure("full store", 64, 300);
    measure("full store", 500, 400);
    measure_get(path);
    ops->conn_close(&conn);
    ops->close(&store);
    from = now_s();
    if (ops->open(&host, &schema, opts, 2, 0, &store, &info, &err) < 0)
        fail("open", &err);
    printf("opened again in %.0f ms\n", (now_s() - from) * 1e3);
    ops->close(&store);
    free(seqs);
    return 0;
}
