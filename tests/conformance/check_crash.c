/* kill -9: a child writes and says what was acknowledged to it; it is killed in the midst; then all that was
 * acknowledged is there, and what was not is there wholly or not at all. */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 6
#define CONVS 4

struct ack {
    int64_t conv, seq;
};

/* --- the child
 * --------------------------------------------------------------------------------------------------------------- */

static void
say(int64_t conv, int64_t seq)
{
    struct ack ack = {conv, seq};

    if (write(STDOUT_FILENO, &ack, sizeof ack) != (ssize_t)sizeof ack)
        _exit(0); /* nobody listens any more */
}

static int
child_append(struct side *s)
{
    struct chance c = {suite.seed + (uint64_t)getpid()};
    int64_t heads[CONVS];

    for (int k = 0; k < CONVS; k++) {
        struct pim_head head = {.conv = CONV_G(k + 1)};

        if (s->ops->heads(s->w, &conf_call, &head, 1, sizeof head, &conf_err) != PIM_OK)
            return 3;
        heads[k] = head.head_seq;
    }
    for (;;) {
        struct pim_append_item items[CONVS * 8];
        char bodies[CONVS * 8][64];
        uint32_t n = 0;

        for (int k = 0; k < CONVS; k++)
            for (uint32_t i = conf_below(&c, 8); i > 0; i--, n++)
                items[n] = conf_item(CONV_G(k + 1), ++heads[k], bodies[n]);
        if (n > 0 && conf_append(s, s->w, items, n) != PIM_OK)
            return 4;
        for (uint32_t i = 0; i < n; i++) {
            if (items[i].result != PIM_OK)
                return 5;
            say(items[i].conv.a, items[i].seq);
        }
    }
}

static int
child_apply(struct side *s)
{
    struct pim_val key = V_INT(1), place[] = {V_INT(1), V_TEXT("d")};
    int64_t at = conf_number(s, s->w, K_PERSON, &key, 1, P_AGE);

    for (;;) {
        struct pim_cell more = {.col = P_AGE, .verb = PIM_ADD, .val = V_INT(1)};
        struct pim_cell row[] = {SET(N_OWNER, V_INT(1)), SET(N_PERSON, V_INT(++at))};
        struct pim_cell mark[] = {
            SET(L_USER, place[0]), SET(L_DEVICE, place[1]), {.col = L_SEQ, .verb = PIM_MAX, .val = V_INT(at)}};
        struct pim_write list[] = {
            WRITE(PIM_W_INSERT, K_LINK, 0, .cells = row, .n_cells = 2),
            WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &key, .n_key = 1, .cells = &more, .n_cells = 1),
            WRITE(PIM_W_UPSERT, K_PLACE, 0, .cells = mark, .n_cells = 3, .on_dup = COL(L_SEQ))};

        if (conf_apply(s, list, 3, NULL, NULL) != PIM_OK)
            return 4;
        say(1, at);
    }
}

int
conf_child(const char *what)
{
    struct side s = {.ops = suite.ops, .host = suite.host, .n_opts = suite.n_opts};

    memcpy(s.opts, suite.opts, sizeof s.opts); /* the parent has filled in the directory */
    if (conf_try_open(&s, conf_schema(1), true) != PIM_OK) {
        fprintf(stderr, "the child cannot open the store: %s\n", conf_err.msg);
        return 2;
    }
    return strcmp(what, "append") == 0 ? child_append(&s) : child_apply(&s);
}

/* --- the parent
 * -------------------------------------------------------------------------------------------------------------- */

static pid_t
start(const struct side *s, const char *what, int *out_fd)
{
    char *argv[CONF_OPTS_MAX + 8], role[20], self[] = "/proc/self/exe";
    int fds[2], n = 0;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) != 0)
        conf_fail("pipe: %s", strerror(errno));
    argv[n++] = self;
    argv[n++] = (char *)(uintptr_t) "--child";
    argv[n++] = (char *)(uintptr_t)what;
    if (suite.roles == PIM_ROLE_RECORDS || suite.roles == PIM_ROLE_MESSAGES) {
        argv[n++] = (char *)(uintptr_t) "--role";
        snprintf(role, sizeof role, "%s", suite.roles == PIM_ROLE_RECORDS ? "records" : "messages");
        argv[n++] = role;
    }
    argv[n++] = (char *)(uintptr_t)suite.plugin_path;
    for (uint32_t i = 0; i < s->n_opts; i++) {
        size_t size = strlen(s->opts[i].name) + strlen(s->opts[i].value) + 2;

        argv[n] = malloc(size);
        if (argv[n] == NULL)
            conf_fail("no memory");
        snprintf(argv[n++], size, "%s=%s", s->opts[i].name, s->opts[i].value);
    }
    argv[n] = NULL;
    pid = fork();
    if (pid < 0)
        conf_fail("fork: %s", strerror(errno));
    if (pid == 0) {
        if (dup2(fds[1], STDOUT_FILENO) >= 0)
            execv(argv[0], argv);
        _exit(9);
    }
    for (uint32_t i = 0; i < s->n_opts; i++)
        free(argv[n - 1 - (int)i]);
    close(fds[1]);
    *out_fd = fds[0];
    return pid;
}

/* Let it do some, kill it, take in all it has said. */
static void
run_and_kill(const struct side *s, const char *what, struct chance *c, int64_t *acked)
{
    uint32_t want = 20 + conf_below(c, 600), n = 0;
    struct ack ack;
    int fd, status;
    pid_t pid = start(s, what, &fd);
    ssize_t got;

    while ((got = read(fd, &ack, sizeof ack)) == (ssize_t)sizeof ack) {
        if (ack.conv >= 1 && ack.conv <= CONVS && ack.seq > acked[ack.conv])
            acked[ack.conv] = ack.seq;
        if (++n == want) {
            usleep(conf_below(c, 3000));
            kill(pid, SIGKILL);
        }
    }
    close(fd);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || n < want)
        conf_fail("the child ended by itself (status %d) after %u acknowledgements",
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1, n);
}

static bool
is_durable(const struct side *s)
{
    return strncmp(s->info.engine, "memory", 6) != 0;
}

static void
killed_in_append(void)
{
    struct chance c = {suite.seed + 7};
    int64_t acked[CONVS + 1] = {0};
    struct side s;

    conf_open(&s, conf_schema(1));
    if (!is_durable(&s)) {
        conf_close(&s);
        conf_skip("not durable");
    }
    for (int round = 0; round < ROUNDS; round++) {
        conf_close(&s);
        run_and_kill(&s, "append", &c, acked);
        CHECK_RC(conf_try_open(&s, conf_schema(1), true), PIM_OK);
        for (int k = 1; k <= CONVS; k++) {
            struct pim_head head = conf_head(&s, s.r, CONV_G(k));

            if (head.head_seq < acked[k])
                conf_fail("round %d, conversation %d: row %lld was acknowledged, the head is %lld", round, k,
                          (long long)acked[k], (long long)head.head_seq);
            conf_dense(&s, s.r, CONV_G(k), head.head_seq);
            conf_fill(&s, CONV_G(k), head.head_seq + 1, head.head_seq + 2);
        }
    }
    conf_close(&s);
}

static void
killed_in_apply(void)
{
    struct chance c = {suite.seed + 9};
    int64_t acked[CONVS + 1] = {0};
    struct pim_val key = V_INT(1), place[] = {V_INT(1), V_TEXT("d")};
    struct side s;

    conf_open(&s, conf_schema(1));
    if (!is_durable(&s)) {
        conf_close(&s);
        conf_skip("not durable");
    }
    CHECK_RC(conf_person(&s, 1, "counter@x", "c", 0), PIM_OK);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t count;

        conf_close(&s);
        run_and_kill(&s, "apply", &c, acked);
        CHECK_RC(conf_try_open(&s, conf_schema(1), true), PIM_OK);
        count = conf_number(&s, s.r, K_PERSON, &key, 1, P_AGE);
        if (count < acked[1])
            conf_fail("round %d: step %lld was acknowledged, the counter is %lld", round, (long long)acked[1],
                      (long long)count);
        CHECK_INT(conf_count(&s, s.r, K_LINK), count); /* the three changes of a list stand or fall together */
        CHECK_INT(conf_number(&s, s.r, K_PLACE, place, 2, L_SEQ), count);
    }
    conf_close(&s);
}

const struct check conf_crash_checks[] = {
    {"kill -9 in mid-append", PIM_ROLE_MESSAGES, killed_in_append},
    {"kill -9 in mid-apply", PIM_ROLE_RECORDS, killed_in_apply},
    {0},
};
