/* storage-sqlite: what survives a kill, a full disk, a second process, damage, a restore; and readers beside the writer. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "sqlite_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static void
copy_file(const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* What a kill leaves: the files as they stand, copied while the store is open. */
static void
unclean_end(void **state)
{
    struct fixture *f = *state, again;
    char copy[150], from[150], to[170];

    close_it(f);
    /* few rows in a round, so that marks and slices of heads are written on the way */
    assert_int_equal(open_at(f, path, "scan_rows", "50"), PIM_OK);
    for (int64_t seq = 1; seq <= 40; seq++)
        for (int64_t a = 1; a <= 30; a++) {
            struct pim_append_item it = item((struct pim_conv){.kind = 'g', .a = a}, seq);

            assert_int_equal(append(f->w, &it, 1), PIM_OK);
            assert_int_equal(it.result, PIM_OK);
        }
    snprintf(copy, sizeof copy, "%s/copy.db", dir);
    copy_file(path, copy);
    snprintf(from, sizeof from, "%s-wal", path);
    snprintf(to, sizeof to, "%s-wal", copy);
    copy_file(from, to);
    assert_int_equal(open_at(&again, copy, "check", "check"), PIM_OK);
    for (int64_t a = 1; a <= 30; a++) {
        struct pim_conv conv = {.kind = 'g', .a = a};
        struct got g = history(again.r, conv, 1, 100, 0, 0, PIM_OK);

        assert_int_equal(head(again.r, conv).head_seq, 40);
        assert_true(g.n == 40 && g.in_order && g.bodies_right);
        fill(&again, conv, 41, 42);
    }
    close_it(&again);
    assert_int_equal(open_at(&again, copy, "check", "rebuild"), PIM_OK);
    assert_int_equal(head(again.r, g1).head_seq, 42);
    close_it(&again);
}

static void
a_second_writer_is_refused(void **state)
{
    struct fixture *f = *state, other;
    struct pim_call writer = {.struct_size = sizeof writer, .flags = PIM_CALL_WRITER};
    struct pim_conn *second = NULL;
    char pid[32];
    pid_t child;
    int status;

    assert_true(ops->conn_open(f->store, &writer, &second, &err) < 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        snprintf(pid, sizeof pid, "process %ld", (long)getppid());
        _exit(open_at(&other, path, NULL, NULL) == PIM_ERR_UNAVAILABLE && strstr(err.msg, path) != NULL &&
                      strstr(err.msg, pid) != NULL
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(open_at(&other, path, NULL, NULL), PIM_ERR_UNAVAILABLE);
}

static void
a_full_disk_is_void(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = {0};
    char *big = calloc(1, 100000);
    int64_t seq = 0;
    int rc = PIM_OK;

    close_it(f);
    assert_int_equal(open_at(f, path, "max_pages", "200"), PIM_OK);
    while (rc == PIM_OK) {
        it = item(g1, ++seq);
        it.body = big;
        it.body_len = 100000;
        rc = append(f->w, &it, 1);
    }
    assert_int_equal(rc, PIM_ERR_FULL);
    assert_int_equal(head(f->r, g1).head_seq, seq - 1);
    assert_int_equal(head(f->w, g1).head_seq, seq - 1);
    /* room again: the same number is still to be had */
    assert_int_equal(ops->trim(f->w, &call, &g1, seq - 2, NULL, &err), PIM_OK);
    it = item(g1, seq);
    assert_int_equal(append(f->w, &it, 1), PIM_OK);
    assert_int_equal(it.result, PIM_OK);
    assert_int_equal(history(f->r, g1, seq, seq, 0, 0, PIM_OK).n, 1);
    free(big);
}

static void
sql(const char *at, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(at, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
a_wrong_pointer_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct pim_history q = {.struct_size = sizeof q, .conv = g1, .from_seq = 1, .to_seq = 100};
    struct got g = {.step = 1};

    fill(f, g1, 1, 50);
    fill(f, g2, 1, 50);
    close_it(f);
    sql(path, "UPDATE msg SET prev = (SELECT id FROM msg WHERE a = 2 AND seq = 29) WHERE a = 1 AND seq = 30");
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    assert_int_equal(ops->history(f->r, &call, &q, on_msg, &g, &err), PIM_ERR_CORRUPT);
    assert_int_equal(history(f->r, g1, 31, 50, 0, 0, PIM_OK).n, 20);
    close_it(f);
    assert_int_equal(open_at(f, path, "check", "check"), PIM_ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "pointer"));
    assert_int_equal(open_at(f, path, "check", "rebuild"), PIM_OK);
    assert_int_equal(history(f->r, g1, 1, 50, 0, 0, PIM_OK).n, 50);
    close_it(f);
    sql(path, "DELETE FROM msg WHERE a = 2 AND seq = 20");
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
    q.conv = g2;
    assert_int_equal(ops->history(f->r, &call, &q, on_msg, &g, &err), PIM_ERR_CORRUPT);
}

static int64_t told;
static char told_why[300];
static void
on_fatal(const struct pim_host *h, const char *why)
{
    (void)h;
    told++;
    snprintf(told_why, sizeof told_why, "%s", why);
}

static void
a_foreign_writer_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct pim_append_item it = item(g1, 2);

    fill(f, g1, 1, 1);
    told = 0;
    host.fatal = on_fatal;
    sql(path, "UPDATE store SET value = value + 1 WHERE name = 'epoch'");
    assert_int_equal(append(f->w, &it, 1), PIM_ERR_CORRUPT);
    assert_int_equal(told, 1);
    assert_true(append(f->w, &it, 1) < 0);
    host.fatal = NULL;
}

static void
a_backup_restored_raises_the_epoch(void **state)
{
    struct fixture *f = *state, b;
    char backup[150];

    fill(f, g1, 1, 100);
    snprintf(backup, sizeof backup, "%s/backup.db", dir);
    assert_int_equal(ops->backup(f->r, &call, backup, &err), PIM_OK);
    fill(f, g1, 101, 120);
    assert_int_equal(open_at(&b, backup, "check", "check"), PIM_OK);
    assert_true(b.info.epoch > 1700000000000 && b.info.epoch > f->info.epoch);
    assert_memory_equal(b.info.store_id, f->info.store_id, 16);
    assert_int_equal(head(b.r, g1).head_seq, 100);
    assert_int_equal(history(b.r, g1, 1, 200, 0, 0, PIM_OK).n, 100);
    close_it(&b);
    assert_int_equal(open_at(&b, backup, NULL, NULL), PIM_OK);
    fill(&b, g1, 101, 101);
    close_it(&b);
}

static void
files_are_private(void **state)
{
    struct fixture *f = *state;
    static const char *const ends[] = {"", "-wal", ".lock"};
    struct stat st;
    char name[160];

    fill(f, g1, 1, 1);
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* One process appends until it is killed and says after each commit how far it is; the log must reach that far, whole. */
static void
append_until_killed(int fd)
{
    struct fixture f;

    if (open_at(&f, path, "scan_rows", "300") != PIM_OK)
        _exit(1);
    for (int64_t from = head(f.r, g1).head_seq + 1;; from += 5) {
        struct pim_append_item items[7];

        for (int i = 0; i < 5; i++)
            items[i] = item(g1, from + i);
        items[5] = item(g2, from / 5 + 1);
        items[6] = item((struct pim_conv){.kind = 'g', .a = 10 + from % 97}, 1); /* new or taken: both are well */
        if (append(f.w, items, 7) != PIM_OK || items[4].result != PIM_OK)
            _exit(2);
        if (write(fd, &items[4].seq, sizeof items[4].seq) != sizeof items[4].seq)
            _exit(3);
    }
}

static int64_t
run_and_kill(unsigned after_us)
{
    int64_t acked = 0, seq;
    int fds[2], status;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        append_until_killed(fds[1]);
    close(fds[1]);
    if (after_us > 0) {
        usleep(after_us);
        kill(child, SIGKILL);
    }
    while (read(fds[0], &seq, sizeof seq) == sizeof seq)
        acked = seq;
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return acked;
}

static void
check_reaches(struct fixture *f, int64_t acked)
{
    struct got g;

    assert_int_equal(open_at(f, path, "check", "check"), PIM_OK);
    assert_true(head(f->r, g1).head_seq >= acked);
    assert_int_equal(head(f->r, g1).head_seq % 5, 0); /* a batch is there or not */
    g = history(f->r, g1, 1, INT64_MAX, 0, 0, PIM_OK);
    assert_true(g.n == head(f->r, g1).head_seq && (g.n == 0 || (g.in_order && g.bodies_right)));
    close_it(f);
}

static void
killed_in_mid_append(void **state)
{
    struct fixture *f = *state;
    int64_t most = 0;

    close_it(f);
    for (unsigned i = 0; i < 8; i++) {
        int64_t acked = run_and_kill(60000 + i * 7000);

        most = acked > most ? acked : most;
        check_reaches(f, acked);
    }
    assert_true(most > 0);
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
}

static void
killed_at_each_point(void **state)
{
#ifdef PIM_FAILPOINTS
    static const char *const points[] = {"sqlite-before-insert=kill@40", "sqlite-before-commit=kill@41",
                                         "sqlite-after-commit=kill@42", "sqlite-mid-checkpoint=kill@30"};
    struct fixture *f = *state;

    close_it(f);
    for (size_t i = 0; i < COUNT(points); i++) {
        int64_t acked;

        setenv("PIM_FAILPOINT", points[i], 1);
        acked = run_and_kill(0);
        unsetenv("PIM_FAILPOINT");
        check_reaches(f, acked);
    }
    assert_int_equal(open_at(f, path, NULL, NULL), PIM_OK);
#else
    (void)state;
    skip();
#endif
}

/* Readers while the writer appends and trims: each sees a log without a hole, and never less than was there before. */
static struct pim_store *shared;
static _Atomic int64_t committed;
static _Atomic bool stop;

static void *
reader_main(void *arg)
{
    struct pim_call mine = {.struct_size = sizeof mine};
    struct pim_err why = {.struct_size = sizeof why};
    struct pim_conn *conn = NULL;
    intptr_t wrong = ops->conn_open(shared, &mine, &conn, &why) != PIM_OK;

    (void)arg;
    while (!wrong && !stop) {
        int64_t before = committed;
        struct pim_tail t = {.conv = g1, .limit = 100, .flags = PIM_TAIL_BODIES};
        struct pim_history q = {
            .struct_size = sizeof q, .conv = g1, .from_seq = before > 150 ? before - 150 : 1, .to_seq = before};
        struct got g = {.step = -1}, p = {.step = 1};

        wrong |= ops->tails(conn, &mine, &t, 1, sizeof t, on_msg, &g, &why) != PIM_OK;
        wrong |= t.head_seq < before || (g.n > 0 && (!g.in_order || !g.bodies_right || g.first != t.head_seq));
        wrong |= ops->history(conn, &mine, &q, on_msg, &p, &why) != PIM_OK;
        wrong |= p.n > 0 && (!p.in_order || !p.bodies_right || p.last != before);
    }
    if (wrong)
        print_message("%s\n", why.msg);
    ops->conn_close(&conn);
    return (void *)wrong;
}

static void
readers_beside_the_writer(void **state)
{
    struct fixture *f = *state;
    pthread_t readers[2];
    void *wrong;

    ops->conn_close(&f->r);
    shared = f->store;
    stop = false;
    committed = 0;
    for (size_t i = 0; i < COUNT(readers); i++)
        assert_int_equal(pthread_create(&readers[i], NULL, reader_main, NULL), 0);
    for (int64_t seq = 1; seq <= 3000; seq += 10) {
        fill(f, g1, seq, seq + 9);
        committed = seq + 9;
        if (seq % 500 == 1 && seq > 400)
            assert_int_equal(ops->trim(f->w, &call, &g1, seq - 120, NULL, &err), PIM_OK);
    }
    stop = true;
    for (size_t i = 0; i < COUNT(readers); i++) {
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(ops->conn_open(f->store, &call, &f->r, &err), PIM_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(unclean_end),
        CASE(a_second_writer_is_refused),
        CASE(a_full_disk_is_void),
        CASE(a_wrong_pointer_is_noticed),
        CASE(a_foreign_writer_is_fatal),
        CASE(a_backup_restored_raises_the_epoch),
        CASE(files_are_private),
        CASE(killed_in_mid_append),
        CASE(killed_at_each_point),
        CASE(readers_beside_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
