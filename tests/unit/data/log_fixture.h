/* log_fixture.h - the append batcher on a memory store that both roles share, in this process, with hooks between the
 * two and a second writer behind its back. */
#ifndef PIM_TEST_LOG_FIXTURE_H
#define PIM_TEST_LOG_FIXTURE_H
#include "data/data.h"
#include "data/msglog.h"
#include "util/clock.h"
#include "util/id.h"

#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SKEW_MS 60000
#define LOSS 99 /* a row of this type takes the right of the user that its body names */
#define G(n) ((struct pim_conv){.kind = 'g', .a = (n)})

/* --- hooks: what the engine does ------------------------------------------------------------------------------------
 */

struct appended {
    uint32_t n_items, n_convs;
};
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold_appends;
    int64_t hold_since_ms;         /* tails with this since_ms (-1: all) wait... */
    bool hold_after;               /* ...after they have read */
    int n_held, tickets, released; /* held tails are let go up to that ticket */
    int next_rc;                   /* of the next append; 0: as it is */
    bool next_stored;
    int64_t uncertain_conv; /* appends with it are lost, and nobody knows */
    struct appended appends[4096];
    uint32_t n_appends, n_histories, n_conns;
    /* the records */
    int64_t denied; /* a user without rights */
    uint32_t n_loads;
} hook = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static const struct pim_storage_ops *memory;
static struct pim_storage_ops hooked;

static int32_t
hooked_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    struct appended *seen;
    bool lost = false, stored;
    int rc;

    pthread_mutex_lock(&hook.lock);
    hook.n_held++;
    pthread_cond_broadcast(&hook.changed);
    while (hook.hold_appends)
        pthread_cond_wait(&hook.changed, &hook.lock);
    hook.n_held--;
    seen = &hook.appends[hook.n_appends++ % 4096];
    *seen = (struct appended){.n_items = append->n_items};
    for (uint32_t i = 0; i < append->n_items; i++) {
        seen->n_convs += i == 0 || append->items[i].conv.a != append->items[i - 1].conv.a;
        lost |= append->items[i].conv.a == hook.uncertain_conv;
    }
    rc = hook.next_rc;
    stored = hook.next_stored;
    hook.next_rc = 0;
    pthread_mutex_unlock(&hook.lock);
    if (lost)
        return PIM_ERR_UNCERTAIN;
    if (rc == 0 || stored) {
        int inner = memory->append(conn, call, append, err);

        rc = rc == 0 ? inner : rc;
    }
    return rc;
}

static int32_t
hooked_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
             uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err)
{
    bool after, holds;
    int rc = PIM_OK;

    pthread_mutex_lock(&hook.lock);
    after = hook.hold_after;
    holds = hook.hold_since_ms == -1 || (hook.hold_since_ms != 0 && tails[0].since_ms == hook.hold_since_ms);
    pthread_mutex_unlock(&hook.lock);
    if (after)
        rc = memory->tails(conn, call, tails, n_tails, tail_size, msg, ctx, err);
    pthread_mutex_lock(&hook.lock);
    if (holds) {
        int ticket = ++hook.tickets;

        hook.n_held++;
        pthread_cond_broadcast(&hook.changed);
        while (hook.hold_since_ms != 0 && ticket > hook.released)
            pthread_cond_wait(&hook.changed, &hook.lock);
        hook.n_held--;
    }
    pthread_mutex_unlock(&hook.lock);
    return after ? rc : memory->tails(conn, call, tails, n_tails, tail_size, msg, ctx, err);
}

static int32_t
hooked_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg,
               void *ctx, struct pim_err *err)
{
    pthread_mutex_lock(&hook.lock);
    hook.n_histories++;
    pthread_mutex_unlock(&hook.lock);
    return memory->history(conn, call, q, msg, ctx, err);
}

static int32_t
hooked_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn, struct pim_err *err)
{
    pthread_mutex_lock(&hook.lock);
    hook.n_conns++;
    pthread_mutex_unlock(&hook.lock);
    return memory->conn_open(store, call, out_conn, err);
}

/* Wait until n calls stand still in a hook. */
static inline void
wait_held(int n)
{
    pthread_mutex_lock(&hook.lock);
    while (hook.n_held < n)
        pthread_cond_wait(&hook.changed, &hook.lock);
    pthread_mutex_unlock(&hook.lock);
}

/* Change a hook's setting and wake who waits for it. */
#define HOOK(change)                                                                                                   \
    do {                                                                                                               \
        pthread_mutex_lock(&hook.lock);                                                                                \
        change;                                                                                                        \
        pthread_cond_broadcast(&hook.changed);                                                                         \
        pthread_mutex_unlock(&hook.lock);                                                                              \
    } while (0)

/* --- rules: what the layer above decides ----------------------------------------------------------------------------
 */

struct pim_rights {
    int64_t denied;
};

static int
rights_load(void *ctx, struct pim_lease *lease, const struct pim_conv *conv, struct pim_rights **out_rights,
            struct pim_err *err)
{
    (void)ctx;
    (void)lease;
    (void)conv;
    (void)err;
    *out_rights = calloc(1, sizeof **out_rights);
    pthread_mutex_lock(&hook.lock);
    (*out_rights)->denied = hook.denied;
    hook.n_loads++;
    pthread_mutex_unlock(&hook.lock);
    return PIM_OK;
}

static void
rights_free(struct pim_rights **rights)
{
    free(*rights);
    *rights = NULL;
}

static int
check(void *ctx, const struct pim_rights *rights, const struct pim_send *send)
{
    (void)ctx;
    return rights->denied == send->sender_id ? 403 : 0;
}

static bool
rights_row(void *ctx, struct pim_rights *rights, const struct pim_conv *conv, uint32_t type, int64_t sender_id,
           const void *body, uint32_t body_len)
{
    (void)ctx;
    (void)conv;
    (void)sender_id;
    if (type == LOSS && body_len == 1)
        rights->denied = *(const char *)body - '0';
    return false;
}

static int64_t committed_last[16]; /* append thread's own */
static _Atomic bool committed_wrong;

static void
committed(void *ctx, uint32_t append_thread, struct pim_send *const *sends, uint32_t n)
{
    (void)ctx;
    (void)append_thread;
    for (uint32_t i = 0; i < n; i++) {
        int64_t *last = &committed_last[sends[i]->conv.a & 15];

        if (sends[i]->state != PIM_SENT_STORED || sends[i]->seq <= *last)
            committed_wrong = true;
        *last = sends[i]->seq;
    }
}

static void
flush(void *ctx, uint32_t append_thread)
{
    (void)ctx;
    (void)append_thread;
}

/* --- the fixture
 * -------------------------------------------------------------------------------------------------------- */

struct fixture {
    struct pim_data *data;
    struct pim_msglog *log;
    struct pim_host host;
    struct pim_kv opts[4];
    struct pim_data_config config;
    struct pim_msglog_limits limits;
    char name[40];
    /* the other writer */
    struct pim_store *store;
    struct pim_conn *other;
    bool stopped;
};

static inline int64_t
host_now_ms(const struct pim_host *host)
{
    (void)host;
    return pim_clock_mono_ms();
}

/* Open, but start no thread: the other writer may write first. option: one more for the store, or NULL. */
static inline void
prepare(struct fixture *f, const char *option, const char *value)
{
    static unsigned turn;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_call writer = {.struct_size = sizeof writer, .flags = PIM_CALL_WRITER};
    struct pim_store_info info = {.struct_size = sizeof info};
    const struct pim_schema schema = {.struct_size = sizeof schema, .version = 1000, .roles = PIM_ROLE_MESSAGES};

    *f = (struct fixture){.host = {.struct_size = sizeof f->host, .now_ms = host_now_ms}};
    memory = pim_plugin_entry(0)->ops;
    hooked = *memory;
    hooked.append = hooked_append;
    hooked.tails = hooked_tails;
    hooked.history = hooked_history;
    hooked.conn_open = hooked_conn_open;
    hook.hold_appends = hook.hold_after = false;
    hook.hold_since_ms = hook.uncertain_conv = hook.denied = hook.next_rc = 0;
    hook.tickets = hook.released = 0;
    hook.n_appends = hook.n_histories = hook.n_loads = hook.n_conns = 0;
    memset(committed_last, 0, sizeof committed_last);
    committed_wrong = false;
    snprintf(f->name, sizeof f->name, "test%u", turn++);
    f->opts[0] = (struct pim_kv){"store", f->name};
    f->opts[1] = (struct pim_kv){option, value};
    f->config = (struct pim_data_config){
        .records = {.ops = &hooked, .host = &f->host, .opts = f->opts, .n_opts = option != NULL ? 2 : 1},
        .shared = 1,
        .read_threads = 2,
        .work_threads = 1,
        .queue_items = 1000,
        .work_items = 10,
        .job_timeout_ms = 20000};
    f->limits = (struct pim_msglog_limits){.threads = 1,
                                           .queue_items = 1000,
                                           .queue_bytes = 10 << 20,
                                           .conversations = 1000,
                                           .senders = 100,
                                           .search_rows_per_s = 1000000,
                                           .resend_window_ms = 7 * 86400000ll,
                                           .skew_ms = SKEW_MS};
    assert_int_equal(pim_data_open(&f->config, &f->data, &err), PIM_OK);
    assert_int_equal(memory->open(&f->host, &schema, f->opts, 1, 0, &f->store, &info, &err), PIM_OK);
    assert_int_equal(memory->conn_open(f->store, &writer, &f->other, &err), PIM_OK);
}

static inline void
start(struct fixture *f)
{
    static const struct pim_msglog_rules rules = {.rights_load = rights_load,
                                                  .rights_free = rights_free,
                                                  .check = check,
                                                  .row = rights_row,
                                                  .committed = committed,
                                                  .flush = flush};
    struct pim_err err = PIM_ERR_INIT;

    assert_int_equal(pim_data_start(f->data, &rules, &f->limits, &err), PIM_OK);
    f->log = pim_data_log(f->data);
}

static inline void
finish(struct fixture *f)
{
    if (!f->stopped)
        pim_data_stop(f->data);
    memory->conn_close(&f->other);
    memory->close(&f->store);
    pim_data_close(&f->data);
    assert_false(committed_wrong);
}

static inline struct pim_msglog_stats
stats(struct fixture *f)
{
    struct pim_msglog_stats s;

    pim_msglog_stats(f->log, &s);
    return s;
}

/* --- sends
 * --------------------------------------------------------------------------------------------------------------- */

struct letter {
    struct pim_send send;
    char body[40];
    bool done; /* under hook.lock */
};

static inline void
on_done(struct pim_send *send)
{
    HOOK(((struct letter *)send)->done = true);
}

/* A client id of that time; `salt` tells those of one millisecond apart and orders them. */
static inline void
cid_at(uint8_t cid[16], int64_t ms, uint32_t salt)
{
    memset(cid, 0, 16);
    for (int i = 0; i < 6; i++)
        cid[i] = (uint8_t)(ms >> (40 - 8 * i));
    cid[6] = 0x70;
    cid[8] = (uint8_t)(0x80 | (salt >> 24 & 0x3f));
    cid[9] = (uint8_t)(salt >> 16);
    cid[10] = (uint8_t)(salt >> 8);
    cid[11] = (uint8_t)salt;
}

static inline void
letter_init(struct letter *l, struct pim_conv conv, int64_t sender, int64_t cid_ms, uint32_t salt, const char *body)
{
    *l = (struct letter){
        .send = {.conv = conv, .sender_id = sender, .type = 1, .flags = PIM_SEND_COUNTABLE, .done = on_done}};
    snprintf(l->body, sizeof l->body, "%s", body);
    l->send.body = l->body;
    l->send.body_len = (uint32_t)strlen(l->body);
    for (const char *p = body; *p; p++)
        l->send.body_hash = l->send.body_hash * 31 + (uint8_t)*p;
    cid_at(l->send.cid, cid_ms, salt);
}

static inline void
post(struct fixture *f, struct letter *letters, size_t n)
{
    struct pim_mail_list list;

    STAILQ_INIT(&list);
    for (size_t i = 0; i < n; i++)
        STAILQ_INSERT_TAIL(&list, &letters[i].send.mail, link);
    pim_msglog_post(f->log, &list, n);
}

static inline bool
is_done(struct letter *l)
{
    bool done;

    pthread_mutex_lock(&hook.lock);
    done = l->done;
    pthread_mutex_unlock(&hook.lock);
    return done;
}

static inline enum pim_send_state
wait_for(struct letter *l)
{
    pthread_mutex_lock(&hook.lock);
    while (!l->done)
        pthread_cond_wait(&hook.changed, &hook.lock);
    pthread_mutex_unlock(&hook.lock);
    return l->send.state;
}

/* Post one and wait. */
static inline enum pim_send_state
say(struct fixture *f, struct letter *l, struct pim_conv conv, int64_t sender, int64_t cid_ms, uint32_t salt,
    const char *body)
{
    letter_init(l, conv, sender, cid_ms, salt, body);
    post(f, l, 1);
    return wait_for(l);
}

/* --- the other writer
 * ------------------------------------------------------------------------------------------------------ */

/* Another node stores one row: letter's sender, id and body, or (NULL) some row of nobody. @return the item's result */
static inline int
other_says(struct fixture *f, struct pim_conv conv, int64_t seq, int64_t created_ms, const struct letter *l,
           uint32_t type)
{
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = PIM_ERR_INIT;
    struct pim_append_item item = {.conv = conv,
                                   .seq = seq,
                                   .ord = seq * 10,
                                   .msg_id = 900000 + seq,
                                   .sender_id = 77,
                                   .created_ms = created_ms,
                                   .body = "other",
                                   .body_len = 5,
                                   .type = type,
                                   .day = pim_clock_day(created_ms)};
    struct pim_append append = {.struct_size = sizeof append, .item_size = sizeof item, .n_items = 1, .items = &item};

    cid_at(item.cid, created_ms, (uint32_t)seq);
    if (l != NULL) {
        item.sender_id = l->send.sender_id;
        item.body = l->body;
        item.body_len = l->send.body_len;
        item.body_hash = l->send.body_hash;
        memcpy(item.cid, l->send.cid, 16);
    }
    assert_int_equal(memory->append(f->other, &call, &append, &err), PIM_OK);
    return item.result;
}

struct stored {
    int64_t head, last_ms, last_ord, found_seq;
    uint32_t copies; /* rows with the client id asked for */
    const uint8_t *cid;
    bool falls; /* times or days do */
    int32_t last_day;
};

static inline int32_t
on_stored(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct stored *s = ctx;

    (void)item;
    s->falls |= msg->created_ms < s->last_ms || msg->day < s->last_day || msg->seq != s->head + 1;
    s->head = msg->seq;
    s->last_ms = msg->created_ms;
    s->last_day = msg->day;
    s->last_ord = msg->ord;
    if (s->cid != NULL && memcmp(s->cid, msg->cid, 16) == 0) {
        s->copies++;
        s->found_seq = msg->seq;
    }
    return 0;
}

/* What the store holds: dense from 1 (or the floor) on, times never fall. */
static inline struct stored
look(struct fixture *f, struct pim_conv conv, const struct letter *l)
{
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = PIM_ERR_INIT;
    struct pim_head head = {.conv = conv};
    struct pim_history q = {.struct_size = sizeof q, .conv = conv, .from_seq = 1, .to_seq = INT64_MAX};
    struct stored s = {.cid = l != NULL ? l->send.cid : NULL};

    assert_int_equal(memory->heads(f->other, &call, &head, 1, sizeof head, &err), PIM_OK);
    s.head = head.floor_seq;
    assert_int_equal(memory->history(f->other, &call, &q, on_stored, &s, &err), PIM_OK);
    assert_int_equal(s.head, head.head_seq);
    assert_false(s.falls);
    return s;
}
#endif
