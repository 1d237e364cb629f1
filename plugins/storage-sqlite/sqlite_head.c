/* Where each conversation's log ends. In memory for all that were used lately; in table head for all, but late: each
 * commit writes a slice of those that have changed. A mark says up to which row the table is right, so that a start
 * reads only the rows after it. */
#include "sqlite_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CHUNK 4096u
#define BUCKETS (1u << 17)
#define RUN 4096u /* dirty heads that are sorted in one go: well below a millisecond */

/* --- the table -------------------------------------------------------------------------------------------------- */

#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define ROUND(v0, v1, v2, v3)                                                                                          \
    do {                                                                                                               \
        v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32);                                                      \
        v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;                                                                         \
        v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;                                                                         \
        v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32);                                                      \
    } while (0)

/* SipHash-1-3 of three words: users choose with whom they talk, so they must not choose the bucket. */
static uint32_t
hash(const struct sq_heads *heads, int32_t kind, int64_t a, int64_t b)
{
    uint64_t v0 = heads->key[0] ^ 0x736f6d6570736575ull, v1 = heads->key[1] ^ 0x646f72616e646f6dull;
    uint64_t v2 = heads->key[0] ^ 0x6c7967656e657261ull, v3 = heads->key[1] ^ 0x7465646279746573ull;
    uint64_t words[3] = {(uint64_t)a, (uint64_t)b, (uint64_t)(uint32_t)kind | 20ull << 56};

    for (int i = 0; i < 3; i++) {
        v3 ^= words[i];
        ROUND(v0, v1, v2, v3);
        v0 ^= words[i];
    }
    v2 ^= 0xff;
    ROUND(v0, v1, v2, v3);
    ROUND(v0, v1, v2, v3);
    ROUND(v0, v1, v2, v3);
    return (uint32_t)(v0 ^ v1 ^ v2 ^ v3);
}

int
pim_sq_heads_init(struct pim_store *store, struct pim_err *err)
{
    struct sq_heads *heads = &store->heads;

    pthread_mutex_init(&heads->lock, NULL);
    if (getrandom(heads->key, sizeof heads->key, 0) != (ssize_t)sizeof heads->key)
        return pim_sq_err(err, PIM_ERR_INTERNAL, "the kernel gives no random bytes");
    heads->bucket_mask = BUCKETS - 1;
    heads->buckets = calloc(BUCKETS, sizeof *heads->buckets);
    heads->max_live = (uint32_t)store->heads_max;
    heads->n_entries = 1; /* number 0 is nobody */
    return heads->buckets != NULL ? PIM_OK : pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
}

static void
runs_free(struct sq_run *runs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free(runs[i].items);
    free(runs);
}

void
pim_sq_heads_clear(struct pim_store *store)
{
    struct sq_heads *heads = &store->heads;

    pthread_mutex_lock(&heads->lock);
    for (uint32_t i = 0; i < heads->cap_chunks; i++)
        free(heads->chunks[i]);
    free(heads->chunks);
    heads->chunks = NULL;
    if (heads->buckets != NULL)
        memset(heads->buckets, 0, ((size_t)heads->bucket_mask + 1) * sizeof *heads->buckets);
    heads->cap_chunks = heads->n_live = heads->n_dirty = heads->free_list = heads->hand = 0;
    heads->n_entries = 1;
    runs_free(heads->fresh, heads->n_fresh);
    runs_free(heads->writing, heads->n_writing);
    heads->fresh = heads->writing = NULL;
    heads->n_fresh = heads->cap_fresh = heads->n_writing = heads->left_writing = 0;
    heads->n_pending = 0;
    pthread_mutex_unlock(&heads->lock);
}

void
pim_sq_heads_fini(struct pim_store *store)
{
    pim_sq_heads_clear(store);
    free(store->heads.buckets);
    free(store->heads.pending);
    pthread_mutex_destroy(&store->heads.lock);
}

static uint32_t
find_locked(const struct sq_heads *heads, int32_t kind, int64_t a, int64_t b, uint32_t *out_bucket)
{
    uint32_t at;

    *out_bucket = hash(heads, kind, a, b) & heads->bucket_mask;
    for (at = heads->buckets[*out_bucket]; at != 0; at = sq_entry_at(heads, at)->next) {
        const struct sq_entry *entry = sq_entry_at(heads, at);

        if (entry->a == a && entry->b == b && entry->kind == kind)
            break;
    }
    return at;
}

/* Give back one that is clean and was not used since the hand came by last. */
static void
evict_locked(struct sq_heads *heads)
{
    for (uint32_t looked = 0; looked < 64 && heads->n_live > heads->max_live; looked++) {
        struct sq_entry *entry;
        uint32_t *link;

        heads->hand = heads->hand + 1 < heads->n_entries ? heads->hand + 1 : 1;
        entry = sq_entry_at(heads, heads->hand);
        if (!entry->live || entry->dirty || entry->queued || entry->pend != 0)
            continue;
        if (entry->used) {
            entry->used = false;
            continue;
        }
        link = &heads->buckets[hash(heads, entry->kind, entry->a, entry->b) & heads->bucket_mask];
        while (*link != heads->hand)
            link = &sq_entry_at(heads, *link)->next;
        *link = entry->next;
        entry->live = false;
        entry->next = heads->free_list;
        heads->free_list = heads->hand;
        heads->n_live--;
        return;
    }
}

static uint32_t
add_locked(struct sq_heads *heads, uint32_t bucket, int32_t kind, int64_t a, int64_t b, const struct sq_head *h)
{
    struct sq_entry *entry;
    uint32_t at;

    if (heads->n_live >= heads->max_live)
        evict_locked(heads);
    if (heads->free_list != 0) {
        at = heads->free_list;
        heads->free_list = sq_entry_at(heads, at)->next;
    } else {
        if (heads->n_entries / CHUNK >= heads->cap_chunks) {
            struct sq_entry **chunks = realloc(heads->chunks, (heads->cap_chunks + 1) * sizeof *chunks);

            if (chunks == NULL)
                return 0;
            heads->chunks = chunks;
            chunks[heads->cap_chunks] = calloc(CHUNK, sizeof **chunks);
            if (chunks[heads->cap_chunks] == NULL)
                return 0;
            heads->cap_chunks++;
        }
        at = heads->n_entries++;
    }
    entry = sq_entry_at(heads, at);
    *entry = (struct sq_entry){.a = a,
                               .b = b,
                               .kind = kind,
                               .next = heads->buckets[bucket],
                               .h = *h,
                               .disk_id = h->id,
                               .live = true,
                               .used = true};
    heads->buckets[bucket] = at;
    heads->n_live++;
    return at;
}

int
pim_sq_head_row(struct pim_conn *conn, const struct pim_conv *conv, struct sq_head *out_head, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_HEAD_GET, err);
    int rc;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, conv->kind);
    sqlite3_bind_int64(stmt, 2, conv->a);
    sqlite3_bind_int64(stmt, 3, conv->b);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *out_head = (struct sq_head){
            .seq = sqlite3_column_int64(stmt, 0),
            .ord = sqlite3_column_int64(stmt, 1),
            .msg_id = sqlite3_column_int64(stmt, 2),
            .id = sqlite3_column_int64(stmt, 3),
            .floor_seq = sqlite3_column_int64(stmt, 4),
            .floor_ms = sqlite3_column_int64(stmt, 5),
            .last_ms = sqlite3_column_int64(stmt, 6),
            .last_day = sqlite3_column_int(stmt, 7),
        };
        rc = PIM_OK;
    } else {
        rc = rc == SQLITE_DONE ? PIM_NOT_FOUND : pim_sq_fail(conn, rc, "head", err);
    }
    sqlite3_reset(stmt);
    return rc;
}

bool
pim_sq_head_peek(struct pim_conn *conn, const struct pim_conv *conv, bool durable, struct sq_head *out_head)
{
    struct sq_heads *heads = &conn->store->heads;
    uint32_t bucket, at;

    pthread_mutex_lock(&heads->lock);
    at = find_locked(heads, conv->kind, conv->a, conv->b, &bucket);
    if (at != 0) {
        struct sq_entry *entry = sq_entry_at(heads, at);

        entry->used = true;
        *out_head = conn->writer && !durable && entry->pend != 0 ? heads->pending[entry->pend - 1].h : entry->h;
    }
    pthread_mutex_unlock(&heads->lock);
    return at != 0;
}

int
pim_sq_head_row_seen(struct pim_conn *conn, const struct pim_conv *conv, bool durable, struct sq_head *out_head,
                     struct pim_err *err)
{
    struct sq_head row, memory;
    int rc = pim_sq_head_row(conn, conv, &row, err);

    if (rc != PIM_OK)
        return rc;
    /* between a COMMIT and the moment when memory says so, the table is ahead: whoever is told of it must not be told
     * less by memory afterwards */
    *out_head = pim_sq_head_peek(conn, conv, durable, &memory) && memory.seq < row.seq ? memory : row;
    return PIM_OK;
}

/* --- the writer's transaction ---------------------------------------------------------------------------------------
 */

static int
pend_locked(struct sq_heads *heads, uint32_t at)
{
    struct sq_entry *entry = sq_entry_at(heads, at);

    if (entry->pend != 0)
        return PIM_OK;
    if (heads->n_pending == heads->cap_pending) {
        uint32_t cap = heads->cap_pending ? heads->cap_pending * 2 : 1024;
        struct sq_pending *pending = realloc(heads->pending, cap * sizeof *pending);

        if (pending == NULL)
            return PIM_ERR_NOMEM;
        heads->pending = pending;
        heads->cap_pending = cap;
    }
    heads->pending[heads->n_pending] = (struct sq_pending){.entry = at, .on_disk = !entry->dirty, .h = entry->h};
    entry->pend = ++heads->n_pending;
    return PIM_OK;
}

int
pim_sq_head_pin(struct pim_conn *conn, int32_t kind, int64_t a, int64_t b, uint32_t *out_entry,
                struct sq_head **out_head, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;
    uint32_t bucket, at;
    int rc = PIM_OK;

    pthread_mutex_lock(&heads->lock);
    at = find_locked(heads, kind, a, b, &bucket);
    if (at == 0) {
        struct pim_conv conv = {.a = a, .b = b, .kind = kind};
        struct sq_head h = {0};

        /* only this thread adds and takes away, so the bucket stays right without the lock */
        pthread_mutex_unlock(&heads->lock);
        rc = pim_sq_head_row(conn, &conv, &h, err);
        if (rc < 0)
            return rc;
        pthread_mutex_lock(&heads->lock);
        at = add_locked(heads, bucket, kind, a, b, &h);
    }
    rc = at == 0 ? PIM_ERR_NOMEM : pend_locked(heads, at);
    pthread_mutex_unlock(&heads->lock);
    if (rc != PIM_OK)
        return pim_sq_err(err, rc, "no memory");
    *out_entry = at;
    *out_head =
        &heads->pending[sq_entry_at(heads, at)->pend - 1].h; /* the writer's own until COMMIT; until the next pin */
    return PIM_OK;
}

static int
put_row(struct pim_conn *conn, const struct sq_entry *entry, const struct sq_head *h, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_HEAD_PUT, err);

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, entry->kind);
    sqlite3_bind_int64(stmt, 2, entry->a);
    sqlite3_bind_int64(stmt, 3, entry->b);
    sqlite3_bind_int64(stmt, 4, h->seq);
    sqlite3_bind_int64(stmt, 5, h->ord);
    sqlite3_bind_int64(stmt, 6, h->msg_id);
    sqlite3_bind_int64(stmt, 7, h->id);
    sqlite3_bind_int64(stmt, 8, h->floor_seq);
    sqlite3_bind_int64(stmt, 9, h->floor_ms);
    sqlite3_bind_int64(stmt, 10, h->last_ms);
    sqlite3_bind_int(stmt, 11, h->last_day);
    return pim_sq_run(conn, stmt, "head", err);
}

int
pim_sq_head_is_new(struct pim_conn *conn, uint32_t entry)
{
    return sq_entry_at(&conn->store->heads, entry)->disk_id == 0;
}

int
pim_sq_head_write(struct pim_conn *conn, uint32_t at, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;
    struct sq_entry *entry = sq_entry_at(heads, at);
    struct sq_pending *pending = &heads->pending[entry->pend - 1];
    int rc;

    if (pending->on_disk)
        return PIM_OK;
    rc = put_row(conn, entry, &pending->h, err);
    if (rc == PIM_OK)
        pending->on_disk = true;
    return rc;
}

int
pim_sq_head_changed(struct pim_conn *conn, uint32_t at, bool write, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;

    heads->pending[sq_entry_at(heads, at)->pend - 1].on_disk = false;
    return write ? pim_sq_head_write(conn, at, err) : PIM_OK;
}

static int
by_key(const void *x, const void *y)
{
    const struct sq_dirty *p = x, *q = y;

    if (p->kind != q->kind)
        return p->kind < q->kind ? -1 : 1;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

/* The run that takes the next dirty head; NULL: no memory. */
static struct sq_run *
run_with_room(struct sq_heads *heads)
{
    struct sq_run *run = heads->n_fresh > 0 ? &heads->fresh[heads->n_fresh - 1] : NULL;

    if (run != NULL && run->n < RUN)
        return run;
    if (run != NULL)
        qsort(run->items, run->n, sizeof *run->items, by_key);
    if (heads->n_fresh == heads->cap_fresh) {
        uint32_t cap = heads->cap_fresh ? heads->cap_fresh * 2 : 16;
        struct sq_run *fresh = realloc(heads->fresh, cap * sizeof *fresh);

        if (fresh == NULL)
            return NULL;
        heads->fresh = fresh;
        heads->cap_fresh = cap;
    }
    run = &heads->fresh[heads->n_fresh];
    *run = (struct sq_run){.items = malloc(RUN * sizeof *run->items)};
    if (run->items == NULL)
        return NULL;
    heads->n_fresh++;
    return run;
}

static void
enqueue(struct sq_heads *heads, uint32_t at)
{
    struct sq_entry *entry = sq_entry_at(heads, at);
    struct sq_run *run = run_with_room(heads);

    if (run == NULL) {
        heads->mark_stays = true; /* a start reads more, and finds it */
        return;
    }
    run->items[run->n++] = (struct sq_dirty){.a = entry->a, .b = entry->b, .kind = entry->kind, .entry = at};
    entry->queued = true;
}

void
pim_sq_heads_committed(struct pim_store *store)
{
    struct sq_heads *heads = &store->heads;

    pthread_mutex_lock(&heads->lock);
    for (uint32_t i = 0; i < heads->n_pending; i++) {
        struct sq_pending *pending = &heads->pending[i];
        struct sq_entry *entry = sq_entry_at(heads, pending->entry);

        entry->h = pending->h;
        entry->pend = 0;
        heads->n_dirty += (uint32_t)!pending->on_disk - (uint32_t)entry->dirty;
        entry->dirty = !pending->on_disk;
        if (pending->on_disk)
            entry->disk_id = pending->h.id;
    }
    pthread_mutex_unlock(&heads->lock);
    /* queues are the writer's own */
    for (uint32_t i = 0; i < heads->n_pending; i++) {
        struct sq_entry *entry = sq_entry_at(heads, heads->pending[i].entry);

        if (entry->dirty && !entry->queued)
            enqueue(heads, heads->pending[i].entry);
    }
    heads->n_pending = 0;
    if (heads->mark_put)
        heads->mark = heads->mark_next;
    heads->mark_put = heads->slice_put = false;
}

void
pim_sq_heads_undone(struct pim_store *store)
{
    struct sq_heads *heads = &store->heads;

    if (heads->slice_put)
        heads->mark_next = heads->mark; /* some of this round's rows were not written after all */
    for (uint32_t i = 0; i < heads->n_pending; i++) {
        struct sq_entry *entry = sq_entry_at(heads, heads->pending[i].entry);

        if (entry->dirty && !entry->queued)
            enqueue(heads, heads->pending[i].entry);
    }
    pthread_mutex_lock(&heads->lock);
    for (uint32_t i = 0; i < heads->n_pending; i++)
        sq_entry_at(heads, heads->pending[i].entry)->pend = 0;
    heads->n_pending = 0;
    pthread_mutex_unlock(&heads->lock);
    heads->mark_put = heads->slice_put = false;
}

/* --- writing them late
 * ------------------------------------------------------------------------------------------------ */

/* All that is dirty now becomes the next round; rows of the transaction that runs belong to the one after. */
static void
round_begin(struct pim_conn *conn)
{
    struct sq_heads *heads = &conn->store->heads;
    struct sq_run *last = heads->n_fresh > 0 ? &heads->fresh[heads->n_fresh - 1] : NULL;

    if (last != NULL && last->n < RUN)
        qsort(last->items, last->n, sizeof *last->items, by_key);
    runs_free(heads->writing, heads->n_writing);
    heads->writing = heads->fresh;
    heads->n_writing = heads->n_fresh;
    heads->fresh = NULL;
    heads->n_fresh = heads->cap_fresh = 0;
    heads->left_writing = 0;
    for (uint32_t i = 0; i < heads->n_writing; i++)
        heads->left_writing += heads->writing[i].n;
    heads->round_size = heads->left_writing;
    heads->mark_next = conn->txn_first_id - 1;
}

/* The smallest key of all runs; there are some dozen runs at most. */
static uint32_t
next_in_order(struct sq_heads *heads)
{
    struct sq_run *best = NULL;

    for (uint32_t i = 0; i < heads->n_writing; i++) {
        struct sq_run *run = &heads->writing[i];

        if (run->at < run->n && (best == NULL || by_key(&run->items[run->at], &best->items[best->at]) < 0))
            best = run;
    }
    return best->items[best->at++].entry;
}

/* A row that outlived a trim because it was the newest is the newest no more: it goes when the table forgets it. */
static int
drop_superseded(struct pim_conn *conn, struct sq_entry *entry, struct sq_head *h, struct pim_err *err)
{
    sqlite3_stmt *stmt;
    int64_t seq, created_ms;
    int rc;

    if (entry->disk_id == 0 || entry->disk_id > conn->store->trim_id || entry->disk_id == h->id)
        return PIM_OK;
    stmt = pim_sq_stmt(conn, SQ_MSG_HOP, err);
    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, entry->disk_id);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW) {
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE ? PIM_OK : pim_sq_fail(conn, rc, "trim", err);
    }
    seq = sqlite3_column_int64(stmt, 3);
    created_ms = sqlite3_column_int64(stmt, 5);
    sqlite3_reset(stmt);
    if (seq != h->floor_seq + 1)
        return PIM_OK;
    stmt = pim_sq_stmt(conn, SQ_MSG_DELETE, err);
    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, entry->disk_id);
    rc = pim_sq_run(conn, stmt, "trim", err);
    stmt = pim_sq_stmt(conn, SQ_SKIP_DELETE, err);
    if (rc != PIM_OK || stmt == NULL)
        return rc != PIM_OK ? rc : PIM_ERR_INTERNAL;
    if (seq % SQ_SKIP == 0) {
        sqlite3_bind_int(stmt, 1, entry->kind);
        sqlite3_bind_int64(stmt, 2, entry->a);
        sqlite3_bind_int64(stmt, 3, entry->b);
        sqlite3_bind_int64(stmt, 4, seq);
        rc = pim_sq_run(conn, stmt, "trim", err);
    }
    h->floor_seq = seq;
    h->floor_ms = created_ms;
    return rc;
}

static int
flush_one(struct pim_conn *conn, uint32_t at, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;
    struct sq_entry *entry = sq_entry_at(heads, at);
    struct sq_pending *pending;
    int rc;

    entry->queued = false;
    if (!entry->dirty && entry->pend == 0)
        return PIM_OK; /* written meanwhile, by a trim */
    pthread_mutex_lock(&heads->lock);
    rc = pend_locked(heads, at);
    pthread_mutex_unlock(&heads->lock);
    if (rc != PIM_OK) {
        heads->mark_stays = true; /* no queue has it any more */
        return pim_sq_err(err, rc, "no memory");
    }
    pending = &heads->pending[entry->pend - 1];
    if (pending->on_disk)
        return PIM_OK;
    if (conn->store->trim_id > 0)
        rc = drop_superseded(conn, entry, &pending->h, err);
    if (rc == PIM_OK)
        rc = put_row(conn, entry, &pending->h, err);
    if (rc == PIM_OK)
        pending->on_disk = true;
    atomic_fetch_add_explicit(&conn->store->n_head_rows, 1, memory_order_relaxed);
    return rc;
}

/* Write the next n of the round; with the last of them the mark. */
static int
slice_write(struct pim_conn *conn, int64_t n, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;
    int rc = PIM_OK;

    heads->slice_put = true;
    while (rc == PIM_OK && n-- > 0 && heads->left_writing > 0) {
        rc = flush_one(conn, next_in_order(heads), err);
        heads->left_writing--;
    }
    if (rc == PIM_OK && heads->left_writing == 0 && heads->mark_next > heads->mark && !heads->mark_stays) {
        rc = pim_sq_meta_put(conn, "mark", heads->mark_next, err);
        if (rc == PIM_OK)
            rc = pim_sq_meta_put(conn, "next_id", conn->store->next_id, err);
        heads->mark_put = rc == PIM_OK;
    }
    return rc;
}

int
pim_sq_heads_flush(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    struct sq_heads *heads = &store->heads;

    if (conn->txn_rows == 0)
        return PIM_OK;
    if (heads->left_writing == 0) {
        if (conn->txn_first_id - 1 - heads->mark < store->scan_rows)
            return PIM_OK; /* a start reads them faster than we write all these heads */
        round_begin(conn);
    }
    /* a round is written while half as many rows come in as make the next one due */
    return slice_write(conn, 1 + conn->txn_rows * heads->round_size / (store->scan_rows / 2), err);
}

int
pim_sq_heads_flush_all(struct pim_conn *conn, struct pim_err *err)
{
    struct sq_heads *heads = &conn->store->heads;
    int rc = PIM_OK;

    for (int round = 0; rc == PIM_OK && round < 2; round++) { /* what is left of the one that runs, then the rest */
        rc = pim_sq_txn_begin(conn, err);
        if (rc != PIM_OK)
            break;
        if (heads->left_writing == 0)
            round_begin(conn);
        rc = slice_write(conn, INT64_MAX, err);
        rc = pim_sq_txn_end(conn, rc, true, err);
    }
    return rc;
}

/* --- at open ---------------------------------------------------------------------------------------------------------
 */

/* When the newest row was made: the host compares it with its clock. */
static int
newest_read(struct pim_conn *conn, struct pim_err *err)
{
    sqlite3_stmt *stmt;
    int step;

    if (sqlite3_prepare_v2(conn->db, "SELECT created_ms FROM msg ORDER BY id DESC LIMIT 1", -1, &stmt, NULL) != SQLITE_OK)
        return pim_sq_fail(conn, sqlite3_errcode(conn->db), "reading the newest row", err);
    step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        conn->store->newest_ms = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return step == SQLITE_ROW || step == SQLITE_DONE ? PIM_OK : pim_sq_fail(conn, step, "reading the newest row", err);
}

int
pim_sq_heads_scan(struct pim_conn *conn, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_MSG_SCAN, err);
    int rc = PIM_OK, step;

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int64(stmt, 1, store->heads.mark);
    sqlite3_bind_int64(stmt, 2, INT64_MAX);
    while (rc == PIM_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(stmt, 0), seq = sqlite3_column_int64(stmt, 4),
                prev = sqlite3_column_int64(stmt, 5);
        struct sq_head *h;
        uint32_t entry;

        if (id >= store->next_id)
            store->next_id = id + 1;
        rc = pim_sq_head_pin(conn, sqlite3_column_int(stmt, 1), sqlite3_column_int64(stmt, 2),
                             sqlite3_column_int64(stmt, 3), &entry, &h, err);
        if (rc != PIM_OK || seq <= h->seq)
            continue; /* the table has it already */
        if (seq != h->seq + 1 || prev != h->id) {
            rc = pim_sq_err(err, PIM_ERR_CORRUPT,
                            "%s: row %lld (conversation %d/%lld/%lld, number %lld) does not follow number %lld; option "
                            "check=rebuild makes heads anew from the rows",
                            store->path, (long long)id, sqlite3_column_int(stmt, 1),
                            (long long)sqlite3_column_int64(stmt, 2), (long long)sqlite3_column_int64(stmt, 3),
                            (long long)seq, (long long)h->seq);
            continue;
        }
        h->seq = seq;
        h->id = id;
        h->last_ms = sqlite3_column_int64(stmt, 6);
        h->last_day = sqlite3_column_int(stmt, 7);
        h->ord = sqlite3_column_int64(stmt, 8);
        h->msg_id = sqlite3_column_int64(stmt, 9);
        rc = pim_sq_head_changed(conn, entry, false, err);
    }
    if (rc == PIM_OK && step != SQLITE_DONE)
        rc = pim_sq_fail(conn, step, "reading the newest rows", err);
    sqlite3_reset(stmt);
    if (rc == PIM_OK)
        rc = newest_read(conn, err);
    if (rc == PIM_OK)
        pim_sq_heads_committed(store);
    else
        pim_sq_heads_undone(store);
    return rc;
}
