/* tests/unit/im/im_fixture.h - the rules over a real store (storage-sqlite in a directory of its own) with an edge that
 * only writes down what it is told. */
#ifndef PIM_TEST_IM_FIXTURE_H
#define PIM_TEST_IM_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "data/msglog.h"
#include "data/rec.h"
#include "im/im_priv.h"
#include "im/outbox.h"
#include "im/position.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 2
#define WAIT_S 20 /* for what must come */

/* What the edge was told, in order of arrival for each worker. */
struct heard {
    enum pim_entry_kind kind;
    uint32_t worker, n_refs;
    struct pim_peer_ref refs[8];
    struct pim_row row; /* body copied */
    struct pim_im_send *send; /* RESULT */
    int64_t number; /* group_id or code */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct heard list[4096];
    uint32_t n;
} edge = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static char dir[64];
static struct pim_host host;
static struct pim_data *data;
static struct pim_im *im;

static bool
edge_post(void *ctx, uint32_t worker, struct pim_batch *batch)
{
    struct pim_entry *entry;
    size_t at = 0;

    (void)ctx;
    pthread_mutex_lock(&edge.lock);
    while ((entry = pim_batch_next(batch, &at)) != NULL) {
        struct heard *it = &edge.list[edge.n++];

        assert_true(edge.n < PIM_COUNT(edge.list) && entry->n_refs <= PIM_COUNT(it->refs));
        *it = (struct heard){.kind = entry->kind, .worker = worker, .n_refs = entry->n_refs, .row = entry->row};
        memcpy(it->refs, entry->refs, entry->n_refs * sizeof it->refs[0]);
        if (entry->kind == PIM_ENTRY_RESULT)
            it->send = entry->u.send;
        else
            it->number = entry->u.group_id;
        it->row.body = entry->row.body_len > 0 ? pim_strndup(entry->row.body, entry->row.body_len) : NULL;
    }
    pthread_cond_broadcast(&edge.more);
    pthread_mutex_unlock(&edge.lock);
    pim_batch_free(&batch);
    return true;
}

static inline void
edge_clear(void)
{
    pthread_mutex_lock(&edge.lock);
    for (uint32_t i = 0; i < edge.n; i++) {
        free((void *)(uintptr_t)edge.list[i].row.body);
        free(edge.list[i].send);
    }
    edge.n = 0;
    pthread_mutex_unlock(&edge.lock);
}

/* Wait until so many entries of a kind have come. @return the last of them */
static inline struct heard *
edge_wait(enum pim_entry_kind kind, uint32_t count)
{
    struct timespec until;
    struct heard *found = NULL;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&edge.lock);
    for (;;) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < edge.n && n < count; i++)
            if (edge.list[i].kind == kind) {
                n++;
                found = &edge.list[i];
            }
        if (n == count)
            break;
        if (pthread_cond_timedwait(&edge.more, &edge.lock, &until) != 0) {
            pthread_mutex_unlock(&edge.lock);
            fail_msg("%u of %u entries of kind %d came", n, count, (int)kind);
        }
    }
    pthread_mutex_unlock(&edge.lock);
    return found;
}

static inline uint32_t
edge_count(enum pim_entry_kind kind)
{
    uint32_t n = 0;

    pthread_mutex_lock(&edge.lock);
    for (uint32_t i = 0; i < edge.n; i++)
        n += edge.list[i].kind == kind;
    pthread_mutex_unlock(&edge.lock);
    return n;
}

/* --- the store ----------------------------------------------------------------------------------------------------- */

static int64_t
host_now_ms(const struct pim_host *h)
{
    (void)h;
    return pim_clock_mono_ms();
}
static void
host_log(const struct pim_host *h, int32_t level, const char *msg, const struct pim_kv *facts, uint32_t n_facts)
{
    (void)h;
    (void)level;
    (void)msg;
    (void)facts;
    (void)n_facts;
}
static void
host_health(const struct pim_host *h, int32_t up, const char *why)
{
    (void)h;
    (void)up;
    (void)why;
}
static void
host_count(const struct pim_host *h, const char *metric, int64_t add)
{
    (void)h;
    (void)metric;
    (void)add;
}
static void
host_fatal(const struct pim_host *h, const char *why)
{
    (void)h;
    fprintf(stderr, "fatal: %s\n", why);
    abort();
}

static inline void
im_up(void)
{
    static char path[128];
    static struct pim_kv opts[1];
    static const struct pim_auth_bind no_auth;
    struct pim_data_config config = {.shared = 1, .read_threads = 2, .work_threads = 1, .queue_items = 1000, .work_items = 10,
                                     .job_timeout_ms = 10000};
    struct pim_msglog_limits limits = {.threads = 4, .queue_items = 1000, .queue_bytes = 1u << 24, .conversations = 1000,
                                       .senders = 100, .search_rows_per_s = 10000, .resend_window_ms = 3600000,
                                       .skew_ms = 60000};
    struct pim_im_config rules = {.connections_per_user = 3, .sync_rows = 100, .workers = WORKERS};
    struct pim_im_sink sink = {.workers = WORKERS, .post = edge_post};
    struct pim_err err = PIM_ERR_INIT;

    host = (struct pim_host){.struct_size = sizeof host, .log = host_log, .now_ms = host_now_ms, .health = host_health,
                             .count = host_count, .fatal = host_fatal};
    snprintf(path, sizeof path, "%s/a.db", dir);
    opts[0] = (struct pim_kv){"path", path};
    config.records = (struct pim_data_bind){.ops = pim_plugin_entry(0)->ops, .host = &host, .opts = opts, .n_opts = 1};
    if (pim_data_open(&config, &data, &err) != PIM_OK || pim_im_new(&rules, data, &no_auth, &im, &err) != PIM_OK)
        fail_msg("%s", err.msg);
    pim_im_sink_set(im, &sink);
    if (pim_data_start(data, pim_im_rules(im), &limits, &err) != PIM_OK || pim_im_start(im, &err) != PIM_OK)
        fail_msg("%s", err.msg);
}

static inline void
im_down(void)
{
    pim_im_stop(im);
    pim_data_stop(data);
    pim_im_free(&im);
    pim_data_close(&data);
    edge_clear();
}

static inline int
im_setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/pim-im-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    im_up();
    return 0;
}

static inline int
im_teardown(void **state)
{
    char command[128];

    (void)state;
    im_down();
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Run code on a storage thread and wait for its commit. */
struct on_thread {
    struct pim_job job;
    void (*fn)(struct pim_lease *lease, void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    int rc;
};

static void
on_thread_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct on_thread *t = (struct on_thread *)job;

    t->rc = failed;
    if (failed == 0)
        t->fn(lease, t->ctx);
}

static void
on_thread_done(struct pim_job *job, int rc)
{
    struct on_thread *t = (struct on_thread *)job;

    pthread_mutex_lock(&t->lock);
    t->rc = rc < 0 ? rc : t->rc;
    t->done = true;
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
}

static inline void
run_on(enum pim_pool_id pool, void (*fn)(struct pim_lease *lease, void *ctx), void *ctx)
{
    struct on_thread t = {.job = {.run = on_thread_run, .done = on_thread_done}, .fn = fn, .ctx = ctx};

    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.ended, NULL);
    assert_int_equal(pim_data_post(data, pool, &t.job), PIM_OK);
    pthread_mutex_lock(&t.lock);
    while (!t.done)
        pthread_cond_wait(&t.ended, &t.lock);
    pthread_mutex_unlock(&t.lock);
    assert_int_equal(t.rc, PIM_OK);
    pthread_cond_destroy(&t.ended);
    pthread_mutex_destroy(&t.lock);
}

/* --- records ------------------------------------------------------------------------------------------------------- */

struct ids {
    int64_t a, b, c;
};

static inline void
user_put(struct pim_lease *lease, void *ctx)
{
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;
    char email[64];

    snprintf(email, sizeof email, "u%lld@example.org", (long long)((struct ids *)ctx)->a);
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_USER, PIM_USER_BY_ID, 0);
    for (uint16_t col = 0; col < PIM_USER_COLS; col++) {
        bool is_text = col == PIM_USER_NAME || col == PIM_USER_PASSWORD || col == PIM_USER_MOBILE ||
                       col == PIM_USER_AVATAR || col == PIM_USER_QR_CODE;

        pim_changes_cell(&changes, col, PIM_SET,
                         col == PIM_USER_ID      ? pim_v_int(((struct ids *)ctx)->a)
                         : col == PIM_USER_EMAIL ? pim_v_text(email)
                         : is_text               ? pim_v_text("x")
                                                 : pim_v_int(0));
    }
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

/* c: 1 accepted, 2 blacklisted */
static inline void
relation_put(struct pim_lease *lease, void *ctx)
{
    struct ids *ids = ctx;
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_UPSERT, PIM_K_RELATION, PIM_REL_BY_PAIR, 0);
    pim_changes_key(&changes, pim_v_int(ids->a));
    pim_changes_key(&changes, pim_v_int(ids->b));
    pim_changes_cell(&changes, PIM_REL_USER, PIM_SET, pim_v_int(ids->a));
    pim_changes_cell(&changes, PIM_REL_PEER, PIM_SET, pim_v_int(ids->b));
    pim_changes_cell(&changes, PIM_REL_NOTE, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_REL_IS_ACCEPT, PIM_SET, pim_v_int(ids->c & 1));
    pim_changes_cell(&changes, PIM_REL_IS_BLACK, PIM_SET, pim_v_int(ids->c >> 1));
    pim_changes_cell(&changes, PIM_REL_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_REL_ASKED, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_REL_CHANGED_MS, PIM_SET, pim_v_int(0));
    pim_changes_on_dup(&changes, PIM_COL(PIM_REL_IS_ACCEPT) | PIM_COL(PIM_REL_IS_BLACK));
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

static inline void
group_put(struct pim_lease *lease, void *ctx)
{
    struct ids *ids = ctx;
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_GROUP, PIM_GROUP_BY_ID, 0);
    pim_changes_cell(&changes, PIM_GROUP_ID, PIM_SET, pim_v_int(ids->a));
    pim_changes_cell(&changes, PIM_GROUP_NAME, PIM_SET, pim_v_text("Tea"));
    pim_changes_cell(&changes, PIM_GROUP_MANAGER, PIM_SET, pim_v_int(ids->b));
    pim_changes_cell(&changes, PIM_GROUP_AVATAR, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_GROUP_QR_CODE, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_GROUP_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_GROUP_CREATED_MS, PIM_SET, pim_v_int(0));
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

/* a: group, b: user, c: joined_seq */
static inline void
member_put(struct pim_lease *lease, void *ctx)
{
    struct ids *ids = ctx;
    struct pim_changes changes;
    struct pim_err err = PIM_ERR_INIT;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, 0);
    pim_changes_cell(&changes, PIM_MEMBER_GROUP, PIM_SET, pim_v_int(ids->a));
    pim_changes_cell(&changes, PIM_MEMBER_USER, PIM_SET, pim_v_int(ids->b));
    pim_changes_cell(&changes, PIM_MEMBER_NOTE, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_MEMBER_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_MEMBER_JOINED_SEQ, PIM_SET, pim_v_int(ids->c));
    pim_changes_cell(&changes, PIM_MEMBER_LEFT_SEQ, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_MEMBER_CHANGED_MS, PIM_SET, pim_v_int(0));
    assert_int_equal(pim_changes_run(&changes, lease, &err), PIM_OK);
}

static inline void
put(void (*fn)(struct pim_lease *lease, void *ctx), int64_t a, int64_t b, int64_t c)
{
    struct ids ids = {a, b, c};

    run_on(PIM_POOL_RECORDS_WRITE, fn, &ids);
}

static inline void
befriend(int64_t a, int64_t b)
{
    put(relation_put, a, b, 1);
    put(relation_put, b, a, 1);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

/* A text message from a connection in slot 1 of worker 0. cid NULL: the server makes one. */
static inline struct pim_im_send *
send_new(int64_t type, int64_t from, int64_t to, const uint8_t *cid, const char *body)
{
    struct pim_im_send *mine = pim_new0(sizeof *mine + strlen(body) + 1);
    struct pim_message msg = {.has = cid != NULL ? PIM_HAS_CLIENT_ID : 0, .type_id = type, .receiver_id = to};

    strcpy(mine->body, body);
    msg.body = mine->body;
    msg.body_len = strlen(body);
    if (cid != NULL)
        memcpy(msg.cid, cid, 16);
    pim_im_send_init(im, mine, &msg, from);
    mine->from = (struct pim_peer_ref){1, 7};
    return mine;
}

static inline void
send_post(struct pim_im_send *mine)
{
    struct pim_mail_list list = STAILQ_HEAD_INITIALIZER(list);

    STAILQ_INSERT_TAIL(&list, &mine->send.mail, link);
    pim_im_send_post(im, &list, 1);
    pim_delivery_flush(im);
}

/* Send and wait: the code of the answer, which is the last entry of its kind. */
static inline int
send_and_wait(int64_t type, int64_t from, int64_t to, const uint8_t *cid, const char *body, struct pim_send *out_send)
{
    uint32_t before = edge_count(PIM_ENTRY_RESULT);
    struct pim_outcome outcome;
    struct heard *heard;

    send_post(send_new(type, from, to, cid, body));
    heard = edge_wait(PIM_ENTRY_RESULT, before + 1);
    pim_im_send_outcome(heard->send, &outcome);
    if (out_send != NULL)
        *out_send = heard->send->send;
    return outcome.code;
}

#endif
