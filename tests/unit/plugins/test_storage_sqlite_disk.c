/* storage-sqlite on a disk that is full, or fails: a layer below SQLite refuses writes and syncs when it is told to. */
#include "sqlite_fixture.h"

static struct {
    int write_wal, sync_wal, write_db, sync_db;
} faults; /* results to give, 0 none */
static sqlite3_vfs *real_vfs, vfs;
static const sqlite3_io_methods *real_methods;
static sqlite3_io_methods db_methods, wal_methods;

static int
write_db(sqlite3_file *file, const void *src, int n, sqlite3_int64 at)
{
    return faults.write_db ? faults.write_db : real_methods->xWrite(file, src, n, at);
}

static int
write_wal(sqlite3_file *file, const void *src, int n, sqlite3_int64 at)
{
    return faults.write_wal ? faults.write_wal : real_methods->xWrite(file, src, n, at);
}

static int
sync_db(sqlite3_file *file, int flags)
{
    return faults.sync_db ? faults.sync_db : real_methods->xSync(file, flags);
}

static int
sync_wal(sqlite3_file *file, int flags)
{
    return faults.sync_wal ? faults.sync_wal : real_methods->xSync(file, flags);
}

static int
open_file(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    int rc = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);

    (void)self;
    if (rc != SQLITE_OK || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
        return rc;
    if (flags & SQLITE_OPEN_MAIN_DB) {
        real_methods = file->pMethods;
        db_methods = *real_methods;
        db_methods.xWrite = write_db;
        db_methods.xSync = sync_db;
        file->pMethods = &db_methods;
    } else {
        wal_methods = *file->pMethods;
        wal_methods.xWrite = write_wal;
        wal_methods.xSync = sync_wal;
        file->pMethods = &wal_methods;
    }
    return SQLITE_OK;
}

static int64_t told;

static void
on_fatal(const struct pim_host *h, const char *why)
{
    (void)h;
    told += why != NULL;
}

static int
begin(void **state)
{
    real_vfs = sqlite3_vfs_find("unix");
    vfs = *real_vfs;
    vfs.zName = "failing";
    vfs.xOpen = open_file;
    sqlite3_vfs_register(&vfs, 1);
    memset(&faults, 0, sizeof faults);
    told = 0;
    host.fatal = on_fatal;
    return setup(state);
}

static int
end(void **state)
{
    int rc;

    memset(&faults, 0, sizeof faults);
    rc = teardown(state);
    sqlite3_vfs_unregister(&vfs);
    host.fatal = NULL;
    return rc;
}

static void
a_full_disk_is_void_at_every_write(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 21);

    fill(f, g1, 1, 20);
    faults.write_wal = SQLITE_FULL;
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(f->w, &it, 1), PIM_ERR_FULL);
    assert_int_equal(told, 0);
    assert_int_equal(head(f->r, g1).head_seq, 20);
    assert_int_equal(history(f->w, g1, 1, 99, 0, 0, PIM_OK).n, 20);
    faults.write_wal = 0;
    assert_int_equal(append(f->w, &it, 1), PIM_OK);
    assert_int_equal(it.result, PIM_OK);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_OK);
    assert_int_equal(head(f->r, g1).head_seq, 21);
}

static void
a_checkpoint_waits_for_room(void **state)
{
    struct fixture *f = *state;

    close_it(f);
    assert_int_equal(open_at(f, path, "checkpoint_pages", "10"), PIM_OK);
    faults.write_db = SQLITE_FULL;
    fill(f, g1, 1, 500); /* all of it is durable in the WAL */
    assert_int_equal(told, 0);
    faults.write_db = 0;
    fill(f, g1, 501, 600);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_OK);
    assert_int_equal(history(f->r, g1, 1, 999, 0, 0, PIM_OK).n, 600);
}

static void
nothing_is_acknowledged_after(struct fixture *f)
{
    struct pim_append_item it = item(g1, 21);
    struct pim_conn *conn = NULL;

    assert_int_equal(told > 0, 1);
    memset(&faults, 0, sizeof faults); /* the disk says it is well again: nobody may believe it */
    assert_true(append(f->w, &it, 1) < 0);
    assert_true(ops->conn_open(f->store, &call, &conn, &err) < 0);
}

static void
a_failed_sync_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 21);

    fill(f, g1, 1, 20);
    faults.sync_wal = SQLITE_IOERR_FSYNC;
    assert_int_equal(append(f->w, &it, 1), PIM_ERR_UNCERTAIN);
    nothing_is_acknowledged_after(f);
}

static void
a_failed_write_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 21);

    fill(f, g1, 1, 20);
    faults.write_wal = SQLITE_IOERR_WRITE;
    assert_int_equal(append(f->w, &it, 1), PIM_ERR_UNCERTAIN);
    nothing_is_acknowledged_after(f);
}

static void
a_failed_sync_in_a_checkpoint_is_fatal(void **state)
{
    struct fixture *f = *state;

    fill(f, g1, 1, 20);
    faults.sync_db = SQLITE_IOERR_FSYNC;
    assert_true(ops->maintain(f->w, &call, &err) < 0);
    nothing_is_acknowledged_after(f);
}

/* Appends, trims, groups, full disks and unclean restarts in random order, beside a model of what must be there. */
#define CONVS 200
static struct {
    int64_t head, floor, group_head, group_floor;
} model[CONVS];

static struct pim_conv
conv_of(int i)
{
    return (struct pim_conv){.kind = i % 3 ? 'g' : 'u', .a = i + 1, .b = i % 3 ? 0 : i + 2};
}

static void
random_append(struct fixture *f, bool in_group)
{
    struct pim_append_item items[24];
    int convs[24];
    uint32_t n = 0;
    int rc;

    for (int i = (int)(random() % 40); i < CONVS && n < 20; i += 1 + (int)(random() % 40)) {
        int64_t at = model[i].group_head + (random() % 9 == 0 ? random() % 3 - 1 : 1);

        for (int run = 1 + (int)(random() % 4); run > 0; run--, n++) {
            items[n] = item(conv_of(i), at++);
            convs[n] = i;
        }
    }
    /* the model's ids sort as the conversations do, apart from their kind: put the 'g' first */
    for (uint32_t x = 1; x < n; x++)
        for (uint32_t y = x; y > 0 && items[y - 1].conv.kind > items[y].conv.kind; y--) {
            struct pim_append_item it = items[y];
            int c = convs[y];

            items[y] = items[y - 1];
            items[y - 1] = it;
            convs[y] = convs[y - 1];
            convs[y - 1] = c;
        }
    rc = append(f->w, items, n);
    if (rc != PIM_OK) {
        assert_true(rc == PIM_ERR_FULL && faults.write_wal != 0);
        return;
    }
    for (uint32_t x = 0; x < n; x++) {
        bool same = x > 0 && convs[x - 1] == convs[x];
        int64_t *now = &model[convs[x]].group_head;
        int want = items[x].seq == *now + 1 ? PIM_OK
                   : items[x].seq < 1       ? PIM_ERR_INVALID
                   : items[x].seq <= *now   ? PIM_EXISTS
                                            : PIM_NOT_FOUND;

        if (same && items[x - 1].result != PIM_OK)
            want = PIM_AGAIN;
        assert_int_equal(items[x].result, want);
        *now += want == PIM_OK;
        assert_int_equal(items[x].head_seq, *now);
        if (!in_group)
            model[convs[x]].head = *now;
    }
}

static void
random_trim(struct fixture *f, bool in_group)
{
    int i = (int)(random() % CONVS);
    int64_t to = model[i].group_floor + random() % 30, most = model[i].group_head - 1;
    struct pim_conv conv = conv_of(i);
    uint64_t n = 0;
    int rc = ops->trim(f->w, &call, &conv, to, &n, &err);

    if (rc != PIM_OK) {
        assert_true(rc == PIM_ERR_FULL && faults.write_wal != 0);
        return;
    }
    to = to < most ? to : most;
    if (to > model[i].group_floor) {
        assert_int_equal(n, to - model[i].group_floor);
        model[i].group_floor = to;
    }
    if (!in_group)
        model[i].floor = model[i].group_floor;
}

static void
compare(struct fixture *f)
{
    for (int i = 0; i < CONVS; i++) {
        struct pim_head h = head(f->r, conv_of(i));
        struct got g = history(f->r, conv_of(i), 1, INT64_MAX, 0, 0, PIM_OK);

        assert_int_equal(h.head_seq, model[i].head);
        assert_int_equal(h.floor_seq, model[i].floor);
        assert_int_equal(g.n, model[i].head - model[i].floor);
        assert_true(g.n == 0 || (g.in_order && g.bodies_right && g.last == model[i].head));
    }
}

static void
restart(struct fixture *f, bool clean, int turn)
{
    char from[160], to[160], command[700];

    if (clean) {
        close_it(f);
    } else { /* go on with a copy of the files as they stand */
        snprintf(from, sizeof from, "%s", path);
        snprintf(path, sizeof path, "%s/r%d.db", dir, turn);
        snprintf(to, sizeof to, "%s", path);
        snprintf(command, sizeof command, "cp %s %s && cp %s-wal %s-wal", from, to, from, to);
        assert_int_equal(system(command), 0);
        close_it(f);
    }
    assert_int_equal(open_at(f, path, "scan_rows", turn % 2 ? "37" : "400"), PIM_OK);
}

static void
random_histories(void **state)
{
    struct fixture *f = *state;
    struct fixture check;

    srandom(20260101);
    memset(model, 0, sizeof model);
    close_it(f);
    assert_int_equal(open_at(f, path, "scan_rows", "37"), PIM_OK);
    for (int turn = 1; turn <= 60; turn++) {
        for (int step = 0; step < 25; step++) {
            bool in_group = random() % 6 == 0;
            int rc;

            faults.write_wal = random() % 8 == 0 ? SQLITE_FULL : 0;
            if (in_group)
                assert_int_equal(ops->group_begin(f->w, &call, &err), PIM_OK);
            for (int k = in_group ? 3 : 1; k > 0; k--) {
                if (random() % 5 == 0)
                    random_trim(f, in_group);
                else
                    random_append(f, in_group);
            }
            if (!in_group)
                continue;
            rc = ops->group_end(f->w, &call, &err);
            assert_true(rc == PIM_OK || (rc == PIM_ERR_FULL && faults.write_wal != 0));
            for (int i = 0; i < CONVS; i++) {
                if (rc == PIM_OK) {
                    model[i].head = model[i].group_head;
                    model[i].floor = model[i].group_floor;
                } else {
                    model[i].group_head = model[i].head;
                    model[i].group_floor = model[i].floor;
                }
            }
        }
        faults.write_wal = 0;
        if (turn % 4 == 0)
            restart(f, turn % 8 == 0, turn);
        compare(f);
    }
    close_it(f);
    assert_int_equal(open_at(&check, path, "check", "check"), PIM_OK);
    compare(&check);
    *f = check;
}

int
main(void)
{
#define DISK_CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        DISK_CASE(a_full_disk_is_void_at_every_write),
        DISK_CASE(a_checkpoint_waits_for_room),
        DISK_CASE(a_failed_sync_is_fatal),
        DISK_CASE(a_failed_write_is_fatal),
        DISK_CASE(a_failed_sync_in_a_checkpoint_is_fatal),
        DISK_CASE(random_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
