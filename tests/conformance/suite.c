/* Sides, texts, the suite's schema: what all checks use. */
#include "suite.h"

#include <sys/stat.h>
#include <time.h>

struct pim_err conf_err = {.struct_size = sizeof conf_err};
struct pim_call conf_call = {.struct_size = sizeof conf_call};

const char *
conf_rc_name(int rc)
{
    static const char *const answers[] = {"OK",        "NOT_FOUND", "EXISTS", "AGAIN",
                                          "UNCHANGED", "REFUSED",   "DEFER",  "MORE"};
    static const char *const failures[] = {"",          "INTERNAL",  "UNSUPPORTED", "INVALID",   "NOMEM",
                                           "TIMEOUT",   "CANCELLED", "PROTOCOL",    "TOO_LARGE", "UNAVAILABLE",
                                           "UNCERTAIN", "DENIED",    "RETRY",       "FULL",      "READONLY",
                                           "SCHEMA",    "CORRUPT"};

    if (rc >= 0)
        return (size_t)rc < CONF_COUNT(answers) ? answers[rc] : "a number that is no answer";
    return (size_t)-rc < CONF_COUNT(failures) ? failures[-rc] : "a number that is no failure";
}

/* --- chance: splitmix64
 * ------------------------------------------------------------------------------------------------ */

uint64_t
conf_chance(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint32_t
conf_below(struct chance *chance, uint32_t below)
{
    return (uint32_t)(conf_chance(chance) % below);
}

/* --- schema
 * ------------------------------------------------------------------------------------------------------------ */

char conf_novel_name[32] = "novel";

static const uint16_t first[] = {0}, second[] = {1}, pair[] = {0, 1}, age_name[] = {P_AGE, P_NAME}, born[] = {P_BORN};
static const struct pim_col person_cols[] = {
    {.name = "id", .type = PIM_INT, .since = 1},
    {.name = "email", .type = PIM_TEXT, .max_chars = 120, .since = 1},
    {.name = "name", .type = PIM_TEXT, .max_chars = 5, .since = 1},
    {.name = "age", .type = PIM_INT, .def_int = 7, .since = 1},
    {.name = "note", .type = PIM_TEXT, .flags = PIM_COL_NULLABLE, .since = 1},
    {.name = "data", .type = PIM_BYTES, .since = 1},
    {.name = "gone", .type = PIM_INT, .since = 1},
    {.name = "born", .type = PIM_INT, .def_int = 1900, .since = 2},
};
static const struct pim_index person_indexes[] = {
    {.name = "pk", .cols = first, .n_cols = 1, .flags = PIM_INDEX_UNIQUE, .since = 1},
    {.name = "by_email", .cols = second, .n_cols = 1, .flags = PIM_INDEX_UNIQUE, .since = 1},
    {.name = "by_age", .cols = age_name, .n_cols = 2, .since = 1},
    {.name = "by_born", .cols = born, .n_cols = 1, .since = 2},
};
static const struct pim_col place_cols[] = {{.name = "user_id", .type = PIM_INT, .since = 1},
                                            {.name = "device", .type = PIM_TEXT, .max_chars = 64, .since = 1},
                                            {.name = "seq", .type = PIM_INT, .since = 1},
                                            {.name = "ord", .type = PIM_INT, .since = 1}};
static const struct pim_col link_cols[] = {{.name = "owner_id", .type = PIM_INT, .since = 1},
                                           {.name = "person_id", .type = PIM_INT, .since = 1},
                                           {.name = "flag", .type = PIM_INT, .since = 1}};
static const struct pim_index pair_indexes[] = {
    {.name = "pk", .cols = pair, .n_cols = 2, .flags = PIM_INDEX_UNIQUE, .since = 1}};
static const struct pim_col novel_cols[] = {
    {.name = "words", .type = PIM_TEXT, .max_chars = 40, .since = 2},
    {.name = "weight", .type = PIM_INT, .def_int = -3, .since = 2},
    {.name = "picture", .type = PIM_BYTES, .flags = PIM_COL_NULLABLE, .since = 2}};
static const struct pim_index novel_indexes[] = {
    {.name = "pk", .cols = first, .n_cols = 1, .flags = PIM_INDEX_UNIQUE, .since = 2},
    {.name = "by_weight", .cols = second, .n_cols = 1, .since = 2}};

#define KIND(i, n, c, nc, x, nx, s)                                                                                    \
    {                                                                                                                  \
        .struct_size = sizeof(struct pim_kind), .id = (i), .roles = PIM_ROLE_RECORDS, .since = (s), .name = (n),       \
        .cols = (c), .n_cols = (nc), .col_size = sizeof(struct pim_col), .indexes = (x), .n_indexes = (nx),            \
        .index_size = sizeof(struct pim_index)                                                                         \
    }

const struct pim_schema *
conf_schema(uint32_t version)
{
    static const struct pim_kind kinds1[] = {
        KIND(K_PERSON, "person", person_cols, P_BORN, person_indexes, P_BY_BORN, 1),
        KIND(K_PLACE, "place", place_cols, L_COLS, pair_indexes, 1, 1),
        KIND(K_LINK, "link", link_cols, N_COLS, pair_indexes, 1, 1)};
    static const struct pim_kind kinds2[] = {
        KIND(K_PERSON, "person", person_cols, P_COLS, person_indexes, P_BY_BORN + 1, 1),
        KIND(K_PLACE, "place", place_cols, L_COLS, pair_indexes, 1, 1),
        KIND(K_LINK, "link", link_cols, N_COLS, pair_indexes, 1, 1),
        KIND(K_NOVEL, conf_novel_name, novel_cols, 3, novel_indexes, 2, 2)};
    static struct pim_schema schemas[2] = {{.struct_size = sizeof schemas[0],
                                            .version = 1,
                                            .min_reader = 1,
                                            .kinds = kinds1,
                                            .kind_size = sizeof kinds1[0]},
                                           {.struct_size = sizeof schemas[0],
                                            .version = 2,
                                            .min_reader = 1,
                                            .kinds = kinds2,
                                            .kind_size = sizeof kinds2[0]}};
    struct pim_schema *schema = &schemas[version - 1];

    schema->roles = suite.roles;
    /* a plugin that is bound to messages alone is handed no kinds */
    schema->n_kinds = (suite.roles & PIM_ROLE_RECORDS) == 0 ? 0
                      : version == 1                        ? CONF_COUNT(kinds1)
                                                            : CONF_COUNT(kinds2);
    return schema;
}

/* --- sides
 * ------------------------------------------------------------------------------------------------------------- */

void
conf_prepare(struct side *side)
{
    size_t used = 0;

    *side = (struct side){.ops = suite.ops, .host = suite.host, .n_opts = suite.n_opts};
    if (suite.has_fresh) {
        snprintf(side->dir, sizeof side->dir, "%s/%u", suite.dir, ++suite.n_dirs);
        if (mkdir(side->dir, 0700) != 0)
            conf_fail("the directory %s cannot be made", side->dir);
    }
    for (uint32_t i = 0; i < suite.n_opts; i++) {
        const char *value = suite.opts[i].value, *at = strstr(value, "%d");

        side->opts[i] = suite.opts[i];
        if (at != NULL) {
            size_t room = sizeof side->values - used;
            int n = snprintf(side->values + used, room, "%.*s%s%s", (int)(at - value), value, side->dir, at + 2);

            if (n < 0 || (size_t)n >= room)
                conf_fail("the options are too long");
            side->opts[i].value = side->values + used;
            used += (size_t)n + 1;
        }
    }
}

void
conf_prepare_second(struct side *side, char *out_path, size_t path_size)
{
    conf_prepare(side);
    *out_path = '\0';
    for (uint32_t i = 0; i < suite.n_opts; i++)
        if (strstr(suite.opts[i].value, "%d") != NULL && *out_path == '\0')
            snprintf(out_path, path_size, "%s", side->opts[i].value);
}

int
conf_conn(struct side *side, uint32_t flags, struct pim_conn **out_conn)
{
    struct pim_call call = {.struct_size = sizeof call, .flags = flags};

    return side->ops->conn_open(side->store, &call, out_conn, &conf_err);
}

int
conf_try_open(struct side *side, const struct pim_schema *schema, bool migrate)
{
    int rc;

    conf_err.msg[0] = '\0';
    side->info = (struct pim_store_info){.struct_size = sizeof side->info};
    rc = side->ops->open(side->host, schema, side->opts, side->n_opts, PIM_OPEN_TEST, &side->store, &side->info,
                         &conf_err);
    if (rc < 0) {
        side->store = NULL;
        return rc;
    }
    if (migrate)
        rc = side->ops->migrate(side->store, &conf_call, PIM_MIGRATE_APPLY, NULL, NULL, &conf_err);
    if (rc == PIM_OK)
        rc = conf_conn(side, PIM_CALL_WRITER, &side->w);
    if (rc == PIM_OK)
        rc = conf_conn(side, 0, &side->r);
    return rc;
}

void
conf_close(struct side *side)
{
    if (side->r != NULL)
        side->ops->conn_close(&side->r);
    if (side->w != NULL)
        side->ops->conn_close(&side->w);
    if (side->store != NULL)
        side->ops->close(&side->store);
}

void
conf_reopen(struct side *side, const struct pim_schema *schema)
{
    conf_close(side);
    CHECK_RC(conf_try_open(side, schema, true), PIM_OK);
}

void
conf_open(struct side *side, const struct pim_schema *schema)
{
    conf_prepare(side);
    if (!suite.has_fresh) {
        /* the one place there is: empty it, then open it as new */
        side->info = (struct pim_store_info){.struct_size = sizeof side->info};
        CHECK_RC(side->ops->open(side->host, schema, side->opts, side->n_opts, PIM_OPEN_TEST, &side->store, &side->info,
                                 &conf_err),
                 PIM_OK);
        CHECK_RC(side->ops->migrate(side->store, &conf_call, PIM_MIGRATE_APPLY, NULL, NULL, &conf_err), PIM_OK);
        if (!PIM_HAS(struct pim_storage_ops, side->ops, wipe))
            conf_fail("the plugin has no wipe, and no option has %%d for a fresh directory");
        CHECK_RC(side->ops->wipe(side->store, &conf_call, &conf_err), PIM_OK);
        side->ops->close(&side->store);
    }
    CHECK_RC(conf_try_open(side, schema, true), PIM_OK);
}

static int64_t
model_now_ms(const struct pim_host *host)
{
    struct timespec now;

    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
conf_open_model(struct side *side, const struct pim_schema *schema)
{
    static const struct pim_host host = {.struct_size = sizeof host, .now_ms = model_now_ms};

    *side = (struct side){.ops = pim_plugin_entry(0)->ops, .host = &host};
    CHECK_RC(conf_try_open(side, schema, true), PIM_OK);
}

/* --- texts
 * ------------------------------------------------------------------------------------------------------------- */

void
conf_add(struct text *text, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (text->n + (size_t)n + 1 > text->cap) {
        text->cap = (text->n + (size_t)n + 1) * 2;
        text->p = realloc(text->p, text->cap);
        if (text->p == NULL)
            abort();
    }
    va_start(args, fmt);
    vsnprintf(text->p + text->n, (size_t)n + 1, fmt, args);
    va_end(args);
    text->n += (size_t)n;
}

void
conf_clear(struct text *text)
{
    free(text->p);
    *text = (struct text){0};
}

static void
add_bytes(struct text *text, const char *p, uint32_t len)
{
    uint64_t sum = 14695981039346656037ull;

    for (uint32_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)p[i]) * 1099511628211ull;
    if (len <= 40)
        for (uint32_t i = 0; i < len; i++)
            conf_add(text, p[i] > ' ' && p[i] < 127 ? "%c" : "\\%02x", (uint8_t)p[i]);
    else
        conf_add(text, "#%016llx", (unsigned long long)sum);
    conf_add(text, "/%u", len);
}

int32_t
conf_on_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct text *text = ctx;

    conf_add(text, "%u:", item);
    for (uint32_t i = 0; i < n_vals; i++) {
        if (vals[i].type == PIM_NULL) {
            conf_add(text, " null");
        } else if (vals[i].type == PIM_INT) {
            conf_add(text, " %lld", (long long)vals[i].u.i);
        } else {
            conf_add(text, vals[i].type == PIM_TEXT ? " t" : vals[i].type == PIM_BYTES ? " b" : " ?");
            add_bytes(text, vals[i].u.p, vals[i].len);
        }
    }
    conf_add(text, "\n");
    return ++text->rows == text->stop_at ? 1 : 0;
}

int32_t
conf_on_msg(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct text *text = ctx;

    conf_add(text, "%u: %c/%lld/%lld %lld ord %lld id %lld from %lld at %lld until %lld day %d type %u hash %llx ",
             item, msg->conv.kind, (long long)msg->conv.a, (long long)msg->conv.b, (long long)msg->seq,
             (long long)msg->ord, (long long)msg->msg_id, (long long)msg->sender_id, (long long)msg->created_ms,
             (long long)msg->expire_ms, msg->day, msg->type, (unsigned long long)msg->body_hash);
    add_bytes(text, (const char *)msg->cid, sizeof msg->cid);
    conf_add(text, " ");
    add_bytes(text, msg->body, msg->body != NULL ? msg->body_len : 0);
    conf_add(text, "\n");
    return ++text->rows == text->stop_at ? text->stop_with ? text->stop_with : 1 : 0;
}

int32_t
conf_on_head(void *ctx, const struct pim_head *h)
{
    struct text *text = ctx;

    conf_add(text, "%c/%lld/%lld head %lld ord %lld id %lld floor %lld at %lld last %lld day %d: %s\n", h->conv.kind,
             (long long)h->conv.a, (long long)h->conv.b, (long long)h->head_seq, (long long)h->head_ord,
             (long long)h->head_msg_id, (long long)h->floor_seq, (long long)h->floor_ms, (long long)h->last_ms,
             h->last_day, conf_rc_name(h->result));
    return ++text->rows == text->stop_at ? 1 : 0;
}

void
conf_same(const struct text *plugin, const struct text *model, const char *what)
{
    size_t at = 0, line = 0;

    if (plugin->n == model->n && (plugin->n == 0 || memcmp(plugin->p, model->p, plugin->n) == 0))
        return;
    while (at < plugin->n && at < model->n && plugin->p[at] == model->p[at])
        if (plugin->p[at++] == '\n')
            line = at;
    conf_fail("%s differs from the model:\nplugin: %.*s\nmodel:  %.*s", what,
              (int)(plugin->n > line ? plugin->n - line : 0), plugin->n > line ? plugin->p + line : "",
              (int)(model->n > line ? model->n - line : 0), model->n > line ? model->p + line : "");
}

/* --- records
 * ----------------------------------------------------------------------------------------------------------- */

int
conf_apply(struct side *side, struct pim_write *writes, uint32_t n, uint32_t *out_failed, struct text *rows)
{
    struct pim_apply apply = {
        .struct_size = sizeof apply, .write_size = sizeof *writes, .n_writes = n, .writes = writes};
    int rc = side->ops->apply(side->w, &conf_call, &apply, rows != NULL ? conf_on_row : NULL, rows, &conf_err);

    if (out_failed != NULL)
        *out_failed = apply.failed;
    return rc;
}

int
conf_get(struct side *side, struct pim_conn *conn, uint32_t kind, uint32_t index, const struct pim_val *keys,
         uint32_t n_keys, uint32_t per_key, uint64_t cols, struct text *rows)
{
    struct pim_get get = {.struct_size = sizeof get,
                          .kind = kind,
                          .index = index,
                          .keys = keys,
                          .n_keys = n_keys,
                          .vals_per_key = per_key,
                          .cols = cols};

    return side->ops->get(conn, &conf_call, &get, rows != NULL ? conf_on_row : NULL, rows, &conf_err);
}

int
conf_list(struct side *side, struct pim_conn *conn, const struct pim_query *query, struct text *rows)
{
    struct pim_query q = *query;

    q.struct_size = sizeof q;
    return side->ops->list(conn, &conf_call, &q, conf_on_row, rows, &conf_err);
}

int
conf_person(struct side *side, int64_t id, const char *email, const char *name, int64_t age)
{
    struct pim_cell cells[] = {SET(P_ID, V_INT(id)), SET(P_EMAIL, V_TEXT(email)), SET(P_NAME, V_TEXT(name)),
                               SET(P_AGE, V_INT(age))};
    struct pim_write write = WRITE(PIM_W_INSERT, K_PERSON, P_BY_ID, .cells = cells, .n_cells = CONF_COUNT(cells));

    return conf_apply(side, &write, 1, NULL, NULL);
}

static int32_t
on_number(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    int64_t **out = ctx;

    (void)item;
    if (n_vals == 1 && vals[0].type == PIM_INT) {
        **out = vals[0].u.i;
        *out = NULL;
    }
    return 1;
}

int64_t
conf_number(struct side *side, struct pim_conn *conn, uint32_t kind, const struct pim_val *key, uint32_t n_key,
            uint32_t col)
{
    int64_t number = 0, *out = &number;
    struct pim_get get = {
        .struct_size = sizeof get, .kind = kind, .keys = key, .n_keys = 1, .vals_per_key = n_key, .cols = COL(col)};

    CHECK_RC(side->ops->get(conn, &conf_call, &get, on_number, &out, &conf_err), PIM_OK);
    CHECK(out == NULL);
    return number;
}

int64_t
conf_count(struct side *side, struct pim_conn *conn, uint32_t kind)
{
    int64_t number = 0, *out = &number;
    struct pim_query query = {.struct_size = sizeof query, .kind = kind, .flags = PIM_Q_COUNT};

    CHECK_RC(side->ops->list(conn, &conf_call, &query, on_number, &out, &conf_err), PIM_OK);
    CHECK(out == NULL);
    return number;
}

/* --- messages
 * ---------------------------------------------------------------------------------------------------------- */

struct pim_append_item
conf_item(struct pim_conv conv, int64_t seq, char body[64])
{
    struct pim_append_item item = {
        .conv = conv,
        .seq = seq,
        .ord = seq / 2,
        .msg_id = (int64_t)((uint64_t)conv.a * 1000000 + (uint64_t)conv.kind * 1000000000000 + (uint64_t)seq),
        .sender_id = 5 + seq % 3,
        .created_ms = 1700000000000 + seq * 1000,
        .body_hash = 0xf000000000000000ull + (uint64_t)seq,
        .body = body,
        .type = (uint32_t)(1 + seq % 5),
        .expire_ms = seq % 4 == 0 ? 1800000000000 + seq : 0,
        .day = (int32_t)(20260101 + seq / 40)};

    item.body_len = (uint32_t)snprintf(body, 64, "%c/%lld/%lld row %lld", conv.kind, (long long)conv.a,
                                       (long long)conv.b, (long long)seq);
    memset(item.cid, (int)(seq & 0xff), sizeof item.cid);
    return item;
}

bool
conf_is_item(const struct pim_msg *msg)
{
    char body[64];
    struct pim_append_item want = conf_item(msg->conv, msg->seq, body);

    return msg->ord == want.ord && msg->msg_id == want.msg_id && msg->sender_id == want.sender_id &&
           msg->created_ms == want.created_ms && msg->body_hash == want.body_hash && msg->type == want.type &&
           msg->expire_ms == want.expire_ms && msg->day == want.day &&
           memcmp(msg->cid, want.cid, sizeof want.cid) == 0 && msg->body_len == want.body_len &&
           memcmp(msg->body, body, want.body_len) == 0;
}

int
conf_append(struct side *side, struct pim_conn *conn, struct pim_append_item *items, uint32_t n)
{
    struct pim_append append = {.struct_size = sizeof append, .item_size = sizeof *items, .n_items = n, .items = items};

    return side->ops->append(conn, &conf_call, &append, &conf_err);
}

void
conf_fill(struct side *side, struct pim_conv conv, int64_t from, int64_t to)
{
    while (from <= to) {
        struct pim_append_item items[16];
        char bodies[16][64];
        uint32_t n = 0;

        for (; n < CONF_COUNT(items) && from <= to; n++, from++)
            items[n] = conf_item(conv, from, bodies[n]);
        CHECK_RC(conf_append(side, side->w, items, n), PIM_OK);
        for (uint32_t i = 0; i < n; i++)
            CHECK_RC(items[i].result, PIM_OK);
    }
}

struct pim_head
conf_head(struct side *side, struct pim_conn *conn, struct pim_conv conv)
{
    struct pim_head head = {.conv = conv};

    CHECK_RC(side->ops->heads(conn, &conf_call, &head, 1, sizeof head, &conf_err), PIM_OK);
    return head;
}

int
conf_history(struct side *side, struct pim_conn *conn, struct pim_conv conv, int64_t from, int64_t to, uint32_t limit,
             uint32_t flags, struct text *rows)
{
    struct pim_history q = {
        .struct_size = sizeof q, .flags = flags, .conv = conv, .from_seq = from, .to_seq = to, .limit = limit};

    return side->ops->history(conn, &conf_call, &q, conf_on_msg, rows, &conf_err);
}

struct dense {
    int64_t next;
    bool wrong;
};

static int32_t
on_dense(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct dense *d = ctx;

    (void)item;
    d->wrong |= msg->seq != d->next || !conf_is_item(msg);
    d->next += !d->wrong;
    return d->wrong;
}

void
conf_dense(struct side *side, struct pim_conn *conn, struct pim_conv conv, int64_t head)
{
    struct dense d = {.next = 1};
    struct pim_history q = {.struct_size = sizeof q, .conv = conv, .from_seq = 1, .to_seq = INT64_MAX};

    CHECK_INT(conf_head(side, conn, conv).head_seq, head);
    CHECK_RC(side->ops->history(conn, &conf_call, &q, on_dense, &d, &conf_err), PIM_OK);
    if (d.wrong || d.next != head + 1)
        conf_fail("conversation %lld: row %lld of %lld is missing, out of order or not what was appended",
                  (long long)conv.a, (long long)d.next, (long long)head);
}
