/* Races: as many connections as the plugin allows, eight at most, each on a thread of its own. Only some may write: the
 * others read and look that what they see is whole. Threads note what went wrong; the check says it. */
#include "suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 300
#define CONVS 3

struct racer {
    struct side *s;
    uint32_t number;
    bool writes;
    pthread_t thread;
    struct chance c;
    int64_t won;
    char wrong[300];
};

static _Atomic int64_t holder[CONVS][THREADS * ROUNDS * 4]; /* msg_id of each acknowledged row */
static _Atomic bool over;
static _Atomic int64_t newest; /* a conversation that some writer is about to begin */

static void
note(struct racer *r, const char *what, int rc, const struct pim_err *err)
{
    if (r->wrong[0] == '\0')
        snprintf(r->wrong, sizeof r->wrong, "connection %u: %s: %s %.150s", r->number, what, conf_rc_name(rc),
                 rc < 0 ? err->msg : "");
}

/* --- append
 * ---------------------------------------------------------------------------------------------------------------- */

struct seen {
    int64_t next;
    bool hole;
};

static int32_t
on_seen(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct seen *s = ctx;

    (void)item;
    s->hole |= msg->seq != s->next++ || msg->body_len != 3 || memcmp(msg->body, "row", 3) != 0;
    return 0;
}

static void
append_round(struct racer *r, struct pim_conn *conn, uint32_t round)
{
    const struct pim_storage_ops *ops = r->s->ops;
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_head head = {.conv = CONV_G(1 + conf_below(&r->c, CONVS))};
    struct pim_append_item items[3], fresh;
    struct pim_append append = {.struct_size = sizeof append, .item_size = sizeof items[0], .items = items};
    int rc;

    /* begin a conversation of one's own, which readers are told of a moment before */
    fresh = (struct pim_append_item){
        .conv = CONV_G(1000000 + r->number * ROUNDS + round), .seq = 1, .created_ms = 1, .body = "row", .body_len = 3};
    atomic_store(&newest, fresh.conv.a);
    append.items = &fresh;
    append.n_items = 1;
    do
        rc = ops->append(conn, &call, &append, &err);
    while (rc == PIM_ERR_RETRY);
    if (rc != PIM_OK || fresh.result != PIM_OK) {
        note(r, "the first row of a conversation", rc != PIM_OK ? rc : fresh.result, &err);
        return;
    }
    append.items = items;
    rc = ops->heads(conn, &call, &head, 1, sizeof head, &err);

    if (rc != PIM_OK) {
        note(r, "heads", rc, &err);
        return;
    }
    sched_yield();
    append.n_items = 1 + conf_below(&r->c, 3);
    for (uint32_t i = 0; i < append.n_items; i++)
        items[i] = (struct pim_append_item){.conv = head.conv,
                                            .seq = head.head_seq + 1 + i,
                                            .msg_id = (int64_t)r->number << 40 | (int64_t)round << 8 | (i + 1),
                                            .created_ms = 1,
                                            .body = "row",
                                            .body_len = 3};
    do
        rc = ops->append(conn, &call, &append, &err);
    while (rc == PIM_ERR_RETRY);
    if (rc != PIM_OK) {
        note(r, "append", rc, &err);
        return;
    }
    for (uint32_t i = 0; i < append.n_items; i++) {
        if (items[i].result != PIM_OK) {
            if (items[i].result != PIM_EXISTS && items[i].result != PIM_NOT_FOUND && items[i].result != PIM_AGAIN)
                note(r, "an item", items[i].result, &err);
            break;
        }
        r->won++;
        if (atomic_exchange(&holder[head.conv.a - 1][items[i].seq], items[i].msg_id) != 0)
            note(r, "a number was given to two", PIM_OK, &err);
    }
}

static void
read_round(struct racer *r, struct pim_conn *conn)
{
    const struct pim_storage_ops *ops = r->s->ops;
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_head head = {.conv = CONV_G(1 + conf_below(&r->c, CONVS))};
    struct seen seen = {.next = 1};
    struct pim_history q = {.struct_size = sizeof q, .from_seq = 1, .to_seq = INT64_MAX};
    int rc;

    if (conf_below(&r->c, 4) > 0 && atomic_load(&newest) != 0)
        head.conv = CONV_G(atomic_load(&newest));
    q.conv = head.conv;
    rc = ops->heads(conn, &call, &head, 1, sizeof head, &err);

    if (rc == PIM_OK)
        rc = ops->history(conn, &call, &q, on_seen, &seen, &err);
    if (rc != PIM_OK)
        note(r, "reading", rc, &err);
    else if (seen.hole || seen.next <= head.head_seq)
        snprintf(r->wrong, sizeof r->wrong,
                 "connection %u: conversation %lld: the head was %lld, then rows up to %lld%s", r->number,
                 (long long)head.conv.a, (long long)head.head_seq, (long long)seen.next - 1,
                 seen.hole ? ", a wrong one among them" : "");
}

static void *
append_main(void *arg)
{
    struct racer *r = arg;
    struct pim_call call = {.struct_size = sizeof call, .flags = r->writes ? PIM_CALL_WRITER : 0};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_conn *conn = NULL;
    int rc = r->s->ops->conn_open(r->s->store, &call, &conn, &err);

    if (rc < 0) {
        note(r, "conn_open", rc, &err);
        return NULL;
    }
    for (uint32_t round = 0; r->writes ? round < ROUNDS : !atomic_load(&over); round++) {
        if (r->writes)
            append_round(r, conn, round);
        else
            read_round(r, conn);
        if (r->wrong[0] != '\0')
            break;
    }
    r->s->ops->conn_close(&conn);
    return NULL;
}

struct verdict {
    uint32_t conv;
    int64_t next;
    bool wrong;
};

static int32_t
on_holder(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct verdict *v = ctx;

    (void)item;
    v->wrong |= msg->seq != v->next || holder[v->conv][msg->seq] != msg->msg_id;
    v->next++;
    return 0;
}

/* Run the racers. @return how much they have won together */
static int64_t
race(struct side *s, void *(*run)(void *), struct racer *racers)
{
    uint32_t writers = s->info.write_conns_max < THREADS ? s->info.write_conns_max : THREADS;
    uint32_t all = s->info.conns_max != 0 && s->info.conns_max < THREADS ? s->info.conns_max : THREADS;
    int64_t won = 0;

    s->ops->conn_close(&s->w); /* it may be the only one that may write */
    s->ops->conn_close(&s->r);
    writers = writers < all ? writers : all;
    atomic_store(&over, false);
    for (uint32_t i = 0; i < all; i++) {
        racers[i] = (struct racer){.s = s, .number = i + 1, .writes = i < writers, .c = {suite.seed + i}};
        if (pthread_create(&racers[i].thread, NULL, run, &racers[i]) != 0)
            conf_fail("a thread cannot be started");
    }
    for (uint32_t i = 0; i < all; i++) {
        if (i == writers)
            atomic_store(&over, true);
        pthread_join(racers[i].thread, NULL);
        won += racers[i].won;
    }
    CHECK_RC(conf_conn(s, PIM_CALL_WRITER, &s->w), PIM_OK);
    CHECK_RC(conf_conn(s, 0, &s->r), PIM_OK);
    for (uint32_t i = 0; i < all; i++)
        if (racers[i].wrong[0] != '\0')
            conf_fail("%s", racers[i].wrong);
    return won;
}

static void
append_races(void)
{
    struct racer racers[THREADS];
    struct side s;
    int64_t won, rows = 0;

    memset((void *)holder, 0, sizeof holder);
    atomic_store(&newest, 0);
    conf_open(&s, conf_schema(1));
    won = race(&s, append_main, racers);
    for (uint32_t k = 0; k < CONVS; k++) {
        struct verdict v = {.conv = k, .next = 1};
        struct pim_history q = {.struct_size = sizeof q, .conv = CONV_G(1 + k), .from_seq = 1, .to_seq = INT64_MAX};

        CHECK_RC(s.ops->history(s.r, &conf_call, &q, on_holder, &v, &conf_err), PIM_OK);
        if (v.wrong)
            conf_fail("conversation %u: row %lld is not the one that was acknowledged with this number", k + 1,
                      (long long)v.next - 1);
        rows += v.next - 1;
    }
    CHECK_INT(rows, won); /* each acknowledged row is there, once, and no other */
    CHECK(won > ROUNDS / 2);
    conf_close(&s);
}

/* --- apply
 * ----------------------------------------------------------------------------------------------------------------- */

static int32_t
on_int(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    if (n_vals == 1)
        *(int64_t *)ctx = vals[0].u.i;
    return 0;
}

/* Read a counter, then: if it is as read, one more, and a row with its number. */
static void
apply_round(struct racer *r, struct pim_conn *conn)
{
    const struct pim_storage_ops *ops = r->s->ops;
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_val key = V_INT(1);
    struct pim_get get = {
        .struct_size = sizeof get, .kind = K_PERSON, .keys = &key, .n_keys = 1, .vals_per_key = 1, .cols = COL(P_AGE)};
    struct pim_cell more = SET(P_AGE, V_INT(0)), cells[] = {SET(N_OWNER, V_INT(r->number)), SET(N_PERSON, V_INT(0))};
    struct pim_cond same = COND(P_AGE, PIM_EQ, V_INT(0));
    struct pim_write list[2] = {WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &key, .n_key = 1, .cells = &more, .n_cells = 1,
                                      .conds = &same, .n_conds = 1, .flags = PIM_W_MUST_EXIST),
                                WRITE(PIM_W_INSERT, K_LINK, 0, .cells = cells, .n_cells = 2)};
    struct pim_apply apply = {.struct_size = sizeof apply, .write_size = sizeof list[0], .n_writes = 2, .writes = list};
    int64_t value = -1;
    int rc = ops->get(conn, &call, &get, on_int, &value, &err);

    if (rc != PIM_OK || value < 0) {
        note(r, "get", rc, &err);
        return;
    }
    same.val = V_INT(value);
    more.val = cells[1].val = V_INT(value + 1);
    sched_yield();
    do
        rc = ops->apply(conn, &call, &apply, NULL, NULL, &err);
    while (rc == PIM_ERR_RETRY);
    if (rc == PIM_OK)
        r->won++;
    else if (rc != PIM_REFUSED)
        note(r, "apply", rc, &err);
}

static void
watch_round(struct racer *r, struct pim_conn *conn)
{
    struct pim_call call = {.struct_size = sizeof call};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_val key = V_INT(1);
    struct pim_get get = {
        .struct_size = sizeof get, .kind = K_PERSON, .keys = &key, .n_keys = 1, .vals_per_key = 1, .cols = COL(P_AGE)};
    int64_t value = -1;
    int rc = r->s->ops->get(conn, &call, &get, on_int, &value, &err);

    if (rc != PIM_OK)
        note(r, "get", rc, &err);
    else if (value < r->won)
        note(r, "a counter fell", PIM_OK, &err);
    r->won = value;
}

static void *
apply_main(void *arg)
{
    struct racer *r = arg;
    struct pim_call call = {.struct_size = sizeof call, .flags = r->writes ? PIM_CALL_WRITER : 0};
    struct pim_err err = {.struct_size = sizeof err};
    struct pim_conn *conn = NULL;
    int rc = r->s->ops->conn_open(r->s->store, &call, &conn, &err);

    if (rc < 0) {
        note(r, "conn_open", rc, &err);
        return NULL;
    }
    for (uint32_t round = 0; r->writes ? round < ROUNDS : !atomic_load(&over); round++) {
        if (r->writes)
            apply_round(r, conn);
        else
            watch_round(r, conn);
        if (r->wrong[0] != '\0')
            break;
    }
    if (!r->writes)
        r->won = 0;
    r->s->ops->conn_close(&conn);
    return NULL;
}

static void
apply_races(void)
{
    struct racer racers[THREADS];
    struct side s;
    struct pim_val key = V_INT(1);
    int64_t won;

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_person(&s, 1, "counter@x", "c", 0), PIM_OK);
    won = race(&s, apply_main, racers);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &key, 1, P_AGE), won);
    CHECK_INT(conf_count(&s, s.r, K_LINK), won);
    CHECK(won > ROUNDS / 2);
    conf_close(&s);
}

/* --- the connection is cut
 * -------------------------------------------------------------------------------------------------- */

static _Atomic bool stop_cutting;

static void *
cutter(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop_cutting)) {
        if (system(suite.cut) != 0)
            break;
        usleep(50000);
    }
    return NULL;
}

/* What is told void was not stored; what was acknowledged is there; only UNCERTAIN may be either. */
static void
cut_in_commit(void)
{
    struct pim_conv g = CONV_G(1);
    struct side s;
    pthread_t thread;
    char body[64];
    int64_t seq = 1;
    uint32_t voids = 0, uncertain = 0;

    if (suite.cut == NULL)
        conf_skip("give --cut COMMAND where the engine has connections to cut");
    conf_open(&s, conf_schema(1));
    atomic_store(&stop_cutting, false);
    if (pthread_create(&thread, NULL, cutter, NULL) != 0)
        conf_fail("a thread cannot be started");
    for (int i = 0; i < 3000 && (voids + uncertain < 20 || i < 200); i++) {
        struct pim_append_item item = conf_item(g, seq, body);
        int rc = conf_append(&s, s.w, &item, 1);
        struct pim_head head = {.conv = g};

        if (rc == PIM_OK && item.result == PIM_OK) {
            seq++;
            continue;
        }
        if (rc == PIM_OK) {
            atomic_store(&stop_cutting, true);
            pthread_join(thread, NULL);
            conf_fail("row %lld: %s, though the one before it was acknowledged", (long long)seq,
                      conf_rc_name(item.result));
        }
        uncertain += rc == PIM_ERR_UNCERTAIN;
        voids += rc != PIM_ERR_UNCERTAIN;
        s.ops->conn_close(&s.w);
        while (conf_conn(&s, PIM_CALL_WRITER, &s.w) < 0)
            usleep(20000);
        while (s.ops->heads(s.w, &conf_call, &head, 1, sizeof head, &conf_err) < 0) {
            s.ops->conn_close(&s.w);
            while (conf_conn(&s, PIM_CALL_WRITER, &s.w) < 0)
                usleep(20000);
        }
        if (head.head_seq != seq - 1 && !(rc == PIM_ERR_UNCERTAIN && head.head_seq == seq)) {
            atomic_store(&stop_cutting, true);
            pthread_join(thread, NULL);
            conf_fail("after %s for row %lld the head is %lld", conf_rc_name(rc), (long long)seq,
                      (long long)head.head_seq);
        }
        seq = head.head_seq + 1;
    }
    atomic_store(&stop_cutting, true);
    pthread_join(thread, NULL);
    CHECK(voids + uncertain > 0); /* else nothing was cut */
    s.ops->conn_close(&s.r);
    CHECK_RC(conf_conn(&s, 0, &s.r), PIM_OK);
    conf_dense(&s, s.r, g, seq - 1);
    conf_close(&s);
}

const struct check conf_race_checks[] = {
    {"races of 8 connections: append", PIM_ROLE_MESSAGES, append_races},
    {"races of 8 connections: apply", PIM_ROLE_RECORDS, apply_races},
    {"connection cut in COMMIT", PIM_ROLE_MESSAGES, cut_in_commit},
    {0},
};
