/* A plugin with one fault: all ops are those of another plugin (option `base`, its file), but the one that the option
 * `fault` names is wrong in one way. test_faults.sh runs the conformance program on each fault, and the check that is
 * made for it must be red. */
#include <privateim/storage.h>

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pim_storage_ops *base;
static char fault[40];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static uint32_t n_calls;

static bool
is(const char *name)
{
    return strcmp(fault, name) == 0;
}

static uint32_t
count_call(void)
{
    uint32_t n;

    pthread_mutex_lock(&lock);
    n = ++n_calls;
    pthread_mutex_unlock(&lock);
    return n;
}

/* --- the store
 * --------------------------------------------------------------------------------------------------------------- */

static bool
base_load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct pim_plugin *(*entry)(uint32_t) = NULL;

    if (library != NULL)
        *(void **)&entry = dlsym(library, "pim_plugin_entry");
    base = entry != NULL ? entry(0)->ops : NULL;
    return base != NULL;
}

static int32_t
f_open(const struct pim_host *host, const struct pim_schema *schema, const struct pim_kv *opts, uint32_t n_opts,
       uint32_t flags, struct pim_store **out_store, struct pim_store_info *out_info, struct pim_err *err)
{
    struct pim_kv rest[64];
    struct pim_schema any = *schema;
    uint32_t n = 0;
    int32_t rc;

    for (uint32_t i = 0; i < n_opts && n < 64; i++) {
        if (strcmp(opts[i].name, "fault") == 0)
            snprintf(fault, sizeof fault, "%s", opts[i].value);
        else if (strcmp(opts[i].name, "base") != 0)
            rest[n++] = opts[i];
        else if (base == NULL && !base_load(opts[i].value))
            return PIM_ERR_INVALID;
    }
    if (base == NULL)
        return PIM_ERR_INVALID;
    for (uint32_t i = 0; i < schema->n_kinds; i++)
        if (is("kinds-built-in") && PIM_AT(const struct pim_kind, schema->kinds, schema->kind_size, i)->id > 50)
            return PIM_ERR_UNSUPPORTED;
    if (is("schema-any"))
        any.version = 1000000;
    rc = base->open(host, &any, rest, n, flags, out_store, out_info, err);
    if (rc >= 0 && is("epoch-stays"))
        out_info->epoch = 1;
    if (rc >= 0 && is("limits-lie"))
        out_info->value_bytes_max -= 1000;
    return rc;
}

static void
f_close(struct pim_store **store)
{
    base->close(store);
}

static int32_t
f_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report, void *ctx,
          struct pim_err *err)
{
    if (is("migrate-loses") && mode == PIM_MIGRATE_APPLY &&
        base->migrate(store, call, PIM_MIGRATE_CHECK, NULL, NULL, err) != PIM_OK)
        base->wipe(store, call, err);
    return base->migrate(store, call, mode, report, ctx, err);
}

static int32_t
f_wipe(struct pim_store *store, const struct pim_call *call, struct pim_err *err)
{
    return base->wipe(store, call, err);
}

static int32_t
f_conn_open(struct pim_store *store, const struct pim_call *call, struct pim_conn **out_conn, struct pim_err *err)
{
    return base->conn_open(store, call, out_conn, err);
}

static void
f_conn_close(struct pim_conn **conn)
{
    base->conn_close(conn);
}

static int32_t
f_ping(struct pim_conn *conn, const struct pim_call *call, int64_t *out_engine_now_ms, struct pim_err *err)
{
    return base->ping(conn, call, out_engine_now_ms, err);
}

static void
f_cancel(struct pim_conn *conn)
{
    if (!is("cancel-ignored"))
        base->cancel(conn);
}

static int32_t
f_group_begin(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    return is("group-leaks") ? PIM_OK : base->group_begin(conn, call, err);
}

static int32_t
f_group_end(struct pim_conn *conn, const struct pim_call *call, struct pim_err *err)
{
    return is("group-leaks") ? PIM_OK : base->group_end(conn, call, err);
}

static int32_t
f_backup(struct pim_conn *conn, const struct pim_call *call, const char *path, struct pim_err *err)
{
    return base->backup(conn, call, path, err);
}

/* --- records
 * ----------------------------------------------------------------------------------------------------------------- */

static int32_t
f_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row, void *ctx,
      struct pim_err *err)
{
    struct pim_get fewer = *get;

    if (is("get-forgets") && fewer.n_keys > 1)
        fewer.n_keys--;
    return base->get(conn, call, &fewer, row, ctx, err);
}

static int32_t
f_list(struct pim_conn *conn, const struct pim_call *call, const struct pim_query *query, pim_row_fn row, void *ctx,
       struct pim_err *err)
{
    struct pim_call none = {.struct_size = sizeof none};
    struct pim_query q = *query;
    struct pim_cond other[2];
    struct pim_join join;

    if (is("list-more-always") && q.limit > 0 && (q.flags & PIM_Q_COUNT) == 0) {
        int32_t rc = base->list(conn, call, &q, row, ctx, err);

        return rc == PIM_OK ? PIM_MORE : rc;
    }
    if (is("list-after-again") && q.n_after > 1)
        q.n_after--; /* from the first row of the last key part on */
    if (is("join-forgets") && q.join != NULL) {
        join = *q.join;
        join.n_conds = 0;
        q.join = &join;
    }
    if (is("null-unknown") && q.n_conds == 1 && q.conds[0].op == PIM_NE && q.conds[0].val.type != PIM_NULL) {
        other[0] = q.conds[0]; /* as SQL has it: NULL is not different from anything */
        other[1] = q.conds[0];
        other[1].val.type = PIM_NULL;
        q.conds = other;
        q.n_conds = 2;
    }
    if (is("desc-forgotten") && q.limit == 5)
        q.flags &= ~(uint32_t)PIM_Q_DESC;
    return base->list(conn, is("deadline-ignored") ? &none : call, &q, row, ctx, err);
}

static int32_t
one_by_one(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row, void *ctx,
           struct pim_err *err)
{
    for (uint32_t i = 0; i < apply->n_writes; i++) {
        struct pim_apply one = *apply;
        int32_t rc;

        one.writes = PIM_AT(struct pim_write, apply->writes, apply->write_size, i);
        one.n_writes = 1;
        rc = base->apply(conn, call, &one, row, ctx, err);
        apply->failed = i;
        if (rc != PIM_OK)
            return rc;
    }
    return PIM_OK;
}

/* What is wrong with one step; the copies are the caller's. */
static void
spoil(struct pim_write *w, struct pim_cell cells[64], char texts[64][200])
{
    if (w->n_cells > 64)
        return;
    if (w->n_cells > 0)
        memcpy(cells, w->cells, w->n_cells * sizeof *cells);
    for (uint32_t i = 0; i < w->n_cells; i++) {
        if (is("max-is-set") && cells[i].verb == PIM_MAX)
            cells[i].verb = PIM_SET;
        if (is("text-folds") && cells[i].val.type == PIM_TEXT && cells[i].val.len < 200) {
            memcpy(texts[i], cells[i].val.u.p, cells[i].val.len);
            for (uint32_t k = 0; k < cells[i].val.len; k++)
                if (texts[i][k] >= 'A' && texts[i][k] <= 'Z')
                    texts[i][k] += 'a' - 'A';
            cells[i].val.u.p = texts[i];
        }
    }
    w->cells = cells;
    if (is("upsert-new-id") && w->verb == PIM_W_UPSERT)
        for (uint32_t i = 0; i < w->n_cells; i++)
            w->on_dup |= 1ull << cells[i].col;
    if (is("conds-ignored"))
        w->n_conds = 0;
}

static bool
has_four_bytes(const struct pim_write *w)
{
    for (uint32_t i = 0; i < w->n_cells; i++)
        for (uint32_t k = 0; w->cells[i].val.type == PIM_TEXT && k < w->cells[i].val.len; k++)
            if ((uint8_t)w->cells[i].val.u.p[k] >= 0xf0)
                return true;
    return false;
}

static int32_t
f_apply(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row, void *ctx,
        struct pim_err *err)
{
    struct pim_write copies[64];
    static _Thread_local struct pim_cell cells[64][64];
    static _Thread_local char texts[64][64][200];
    struct pim_apply with = *apply;
    int32_t rc;

    if (is("apply-one-by-one") && apply->n_writes > 1)
        return one_by_one(conn, call, apply, row, ctx, err);
    if (is("apply-lost") && apply->n_writes > 1 && count_call() % 10 == 0)
        return PIM_OK;
    if (apply->n_writes > 64)
        return base->apply(conn, call, apply, row, ctx, err);
    for (uint32_t i = 0; i < apply->n_writes; i++) {
        copies[i] = *PIM_AT(struct pim_write, apply->writes, apply->write_size, i);
        if (is("utf8-three") && has_four_bytes(&copies[i]))
            return PIM_ERR_INVALID;
        spoil(&copies[i], cells[i], texts[i]);
        if (is("delete-forgets") && copies[i].verb == PIM_W_DELETE && count_call() % 2 == 1)
            copies[i].verb = PIM_W_GUARD;
    }
    with.writes = copies;
    with.write_size = sizeof copies[0];
    rc = base->apply(conn, call, &with, row, ctx, err);
    apply->failed = with.failed;
    for (uint32_t i = 0; i < apply->n_writes; i++) {
        struct pim_write *w = PIM_AT(struct pim_write, apply->writes, apply->write_size, i);

        w->result = copies[i].result;
        w->matched = copies[i].matched;
    }
    if (is("wrong-value-ok") && rc == PIM_ERR_INVALID)
        return PIM_OK;
    return rc;
}

/* --- messages
 * ---------------------------------------------------------------------------------------------------------------- */

static struct pim_append_item *
at(const struct pim_append *append, uint32_t i)
{
    return PIM_AT(struct pim_append_item, append->items, append->item_size, i);
}

/* Acknowledges at once and stores when the next one comes. */
static int32_t
append_lazily(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    static struct pim_append_item kept[64];
    static char bodies[64][64];
    static struct pim_append late;
    int32_t rc = PIM_OK;

    pthread_mutex_lock(&lock);
    if (late.n_items > 0)
        rc = base->append(conn, call, &late, err);
    late = *append;
    late.items = kept;
    late.item_size = sizeof kept[0];
    for (uint32_t i = 0; i < append->n_items && i < 64; i++) {
        kept[i] = *at(append, i);
        memcpy(bodies[i], kept[i].body, kept[i].body_len);
        kept[i].body = bodies[i];
        at(append, i)->result = PIM_OK;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* A run that was refused is put behind what is there. */
static int32_t
append_behind(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    int64_t head = at(append, 0)->head_seq;

    for (uint32_t i = 0; i < append->n_items; i++)
        at(append, i)->seq = head + 1 + i;
    return base->append(conn, call, append, err);
}

static int32_t
f_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    struct pim_call none = {.struct_size = sizeof none};
    int32_t rc;

    if (is("append-lazy"))
        return append_lazily(conn, call, append, err);
    if (is("append-drops") && append->n_items > 8) { /* the last of many is forgotten */
        append->n_items--;
        rc = base->append(conn, call, append, err);
        at(append, append->n_items++)->result = PIM_OK;
        return rc;
    }
    rc = base->append(conn, is("deadline-ignored") ? &none : call, append, err);
    if (is("append-uncertain") && rc == PIM_OK && count_call() % 20 == 0)
        return PIM_ERR_UNCERTAIN; /* no fault: so it may be */
    if (is("append-void-lie") && rc == PIM_OK && count_call() % 20 == 0)
        return PIM_ERR_UNAVAILABLE; /* it is stored */
    if (rc == PIM_OK && append->n_items > 0 && is("again-twice") && at(append, 0)->result == PIM_EXISTS)
        return append_behind(conn, call, append, err);
    for (uint32_t i = 0; rc == PIM_OK && i < append->n_items; i++) {
        struct pim_append_item *item = at(append, i);

        if (is("taken-ok") && item->result == PIM_EXISTS)
            item->result = PIM_OK;
        if (is("trim-frees") && item->result == PIM_EXISTS && item->seq < 200 && item->head_seq == 300)
            item->result = PIM_OK;
        if (is("bad-item-spoils") && item->result < 0)
            return item->result;
        if (is("batch-limit-lies") && append->n_items > 4000)
            return PIM_ERR_TOO_LARGE;
    }
    return rc;
}

struct spoiled_msgs {
    pim_msg_fn msg;
    void *ctx;
    uint32_t n;
};

static int32_t
on_msg(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct spoiled_msgs *s = ctx;
    struct pim_msg other = *msg;

    if (is("msg-field-lost") && ++s->n % 7 == 0)
        other.expire_ms = 0;
    if (is("history-hole") && msg->seq % 64 == 0)
        return 0;
    return s->msg(s->ctx, item, &other);
}

static int32_t
f_history(struct pim_conn *conn, const struct pim_call *call, const struct pim_history *q, pim_msg_fn msg, void *ctx,
          struct pim_err *err)
{
    struct pim_call none = {.struct_size = sizeof none};
    struct pim_history other = *q;
    struct spoiled_msgs s = {.msg = msg, .ctx = ctx};

    if (is("history-limit") && other.limit > 1)
        other.limit++;
    if (is("history-day") && other.from_day != 0)
        other.from_day++;
    return base->history(conn, is("deadline-ignored") ? &none : call, &other, on_msg, &s, err);
}

static int32_t
f_tails(struct pim_conn *conn, const struct pim_call *call, struct pim_tail *tails, uint32_t n_tails,
        uint32_t tail_size, pim_msg_fn msg, void *ctx, struct pim_err *err)
{
    int32_t rc;

    for (uint32_t i = 0; i < n_tails; i++) {
        struct pim_tail *tail = PIM_AT(struct pim_tail, tails, tail_size, i);

        tail->limit += is("tails-limit");
        tail->since_ms += is("tails-time") && tail->since_ms > 0;
    }
    rc = base->tails(conn, call, tails, n_tails, tail_size, msg, ctx, err);
    return rc;
}

static int32_t
f_heads(struct pim_conn *conn, const struct pim_call *call, struct pim_head *heads, uint32_t n_heads,
        uint32_t head_size, struct pim_err *err)
{
    return base->heads(conn, call, heads, n_heads, head_size, err);
}

struct spoiled_heads {
    pim_head_fn head;
    void *ctx;
};

static int32_t
on_head(void *ctx, const struct pim_head *head)
{
    struct spoiled_heads *s = ctx;

    return is("convs-skips") && head->conv.a == 17 ? 0 : s->head(s->ctx, head);
}

static int32_t
f_convs(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *after, uint32_t limit,
        pim_head_fn head, void *ctx, struct pim_err *err)
{
    struct spoiled_heads s = {.head = head, .ctx = ctx};

    return base->convs(conn, call, after, limit, on_head, &s, err);
}

static int32_t
f_trim(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t to_seq,
       uint64_t *out_count, struct pim_err *err)
{
    return base->trim(conn, call, conv, is("trim-too-few") ? to_seq / 2 : to_seq, out_count, err);
}

static int32_t
f_redact(struct pim_conn *conn, const struct pim_call *call, const struct pim_conv *conv, int64_t seq,
         struct pim_err *err)
{
    return is("redact-keeps") ? PIM_OK : base->redact(conn, call, conv, seq, err);
}

/* --- the table
 * --------------------------------------------------------------------------------------------------------------- */

static const struct pim_option options[] = {
    {"base", "path", NULL, NULL, NULL, "The plugin whose ops are used.", PIM_OPT_REQUIRED},
    {"fault", "string", "none", NULL, NULL, "What is wrong with them.", 0},
};
static const struct pim_storage_ops ops = {
    .struct_size = sizeof ops,
    .open = f_open,
    .close = f_close,
    .migrate = f_migrate,
    .wipe = f_wipe,
    .conn_open = f_conn_open,
    .conn_close = f_conn_close,
    .ping = f_ping,
    .cancel = f_cancel,
    .group_begin = f_group_begin,
    .group_end = f_group_end,
    .get = f_get,
    .list = f_list,
    .apply = f_apply,
    .append = f_append,
    .history = f_history,
    .tails = f_tails,
    .heads = f_heads,
    .convs = f_convs,
    .trim = f_trim,
    .redact = f_redact,
    .backup = f_backup,
};
static const struct pim_plugin plugin = {
    .struct_size = sizeof plugin,
    .magic = PIM_MAGIC,
    .abi_major = PIM_ABI_MAJOR,
    .abi_minor = PIM_ABI_MINOR,
    .kind = PIM_KIND_STORAGE,
    .kind_major = PIM_STORAGE_MAJOR,
    .kind_minor = PIM_STORAGE_MINOR,
    .name = "faulty",
    .version = "0",
    .licence = "MIT",
    .about = "Another plugin with one fault, to test the tests.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .ops = &ops,
};

const struct pim_plugin *
pim_plugin_entry(uint32_t index)
{
    return index == 0 ? &plugin : NULL;
}
