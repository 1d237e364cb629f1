/* The hot path: rows of the log, in the order of commits. A row is stored only after its predecessor: the head in memory
 * is the fence, which holds because there is no second writer (the lock file; PRAGMA data_version). */
#include "sqlite_failpoint.h"
#include "sqlite_priv.h"

#include <stdlib.h>
#include <string.h>

static int
skip_row(struct pim_conn *conn, const struct pim_append_item *item, int64_t id, struct pim_err *err)
{
    sqlite3_stmt *stmt = pim_sq_stmt(conn, SQ_SKIP_INSERT, err);

    if (stmt == NULL)
        return PIM_ERR_INTERNAL;
    sqlite3_bind_int(stmt, 1, item->conv.kind);
    sqlite3_bind_int64(stmt, 2, item->conv.a);
    sqlite3_bind_int64(stmt, 3, item->conv.b);
    sqlite3_bind_int64(stmt, 4, item->seq);
    sqlite3_bind_int64(stmt, 5, id);
    sqlite3_bind_int64(stmt, 6, item->created_ms);
    sqlite3_bind_int(stmt, 7, item->day);
    return pim_sq_run(conn, stmt, "skip", err);
}

static int
row(struct pim_conn *conn, sqlite3_stmt *stmt, const struct pim_append_item *item, int64_t id, int64_t prev,
    struct pim_err *err)
{
    int rc;

    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int(stmt, 2, item->conv.kind);
    sqlite3_bind_int64(stmt, 3, item->conv.a);
    sqlite3_bind_int64(stmt, 4, item->conv.b);
    sqlite3_bind_int64(stmt, 5, item->seq);
    sqlite3_bind_int64(stmt, 6, prev);
    sqlite3_bind_int64(stmt, 7, item->created_ms);
    sqlite3_bind_int(stmt, 8, item->day);
    sqlite3_bind_int64(stmt, 9, item->ord);
    sqlite3_bind_int64(stmt, 10, item->msg_id);
    sqlite3_bind_int64(stmt, 11, item->sender_id);
    sqlite3_bind_int64(stmt, 12, item->type);
    sqlite3_bind_int64(stmt, 13, item->expire_ms);
    sqlite3_bind_int64(stmt, 14, (int64_t)item->body_hash);
    sqlite3_bind_blob(stmt, 15, item->cid, sizeof item->cid, SQLITE_STATIC);
    rc = sqlite3_bind_blob(stmt, 16, item->body_len ? item->body : "", (int)item->body_len, SQLITE_STATIC);
    if (rc != SQLITE_OK)
        return pim_sq_fail(conn, rc, "message", err);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE) {
        rc = pim_sq_fail(conn, rc, "message", err);
        sqlite3_reset(stmt);
        return rc;
    }
    sqlite3_reset(stmt);
    return PIM_OK;
}

static int
item_check(const struct pim_append_item *item)
{
    if (item->seq < 1 || item->conv.kind <= 0 || (item->body == NULL && item->body_len > 0) ||
        (item->conv.kind == 'u' && item->conv.a > item->conv.b))
        return PIM_ERR_INVALID;
    return item->body_len > SQ_VALUE_MAX ? PIM_ERR_TOO_LARGE : PIM_OK;
}

/* May this item follow what is there? */
static int
item_place(const struct pim_append_item *item, const struct sq_head *head)
{
    if (item->seq == head->seq + 1)
        return item_check(item);
    return item->seq >= 1 && item->seq <= head->seq ? PIM_EXISTS : item->seq < 1 ? PIM_ERR_INVALID : PIM_NOT_FOUND;
}

static bool
same_conv(const struct pim_conv *x, const struct pim_conv *y)
{
    return x->a == y->a && x->b == y->b && x->kind == y->kind;
}

/* One conversation's run from item `from` on. @return the number of its items, or a failure of the whole batch */
static int64_t
append_run(struct pim_conn *conn, sqlite3_stmt *stmt, struct pim_append *append, uint32_t from, struct pim_err *err)
{
    struct pim_store *store = conn->store;
    struct pim_append_item *item = PIM_AT(struct pim_append_item, append->items, append->item_size, from);
    const struct pim_conv *conv = &item->conv;
    struct sq_head *head;
    uint32_t entry, i = from;
    bool stopped = false, stored = false;
    int rc = pim_sq_head_pin(conn, conv->kind, conv->a, conv->b, &entry, &head, err);

    if (rc != PIM_OK)
        return rc;
    for (; i < append->n_items; i++) {
        item = PIM_AT(struct pim_append_item, append->items, append->item_size, i);
        if (i > from && !same_conv(conv, &item->conv))
            break;
        item->result = stopped ? PIM_AGAIN : item_place(item, head);
        item->head_seq = head->seq;
        if (item->result != PIM_OK) {
            stopped = true;
            continue;
        }
        rc = row(conn, stmt, item, store->next_id, head->id, err);
        if (rc == PIM_OK && item->seq % SQ_SKIP == 0)
            rc = skip_row(conn, item, store->next_id, err);
        if (rc != PIM_OK)
            return rc;
        head->seq = item->seq;
        head->ord = item->ord;
        head->msg_id = item->msg_id;
        head->id = store->next_id++;
        head->last_ms = item->created_ms;
        head->last_day = item->day;
        item->head_seq = item->seq;
        stored = true;
        conn->txn_rows++;
    }
    if (stored) {
        /* a new conversation has its row in table head at once, so that the table lists all of them */
        rc = pim_sq_head_changed(conn, entry, pim_sq_head_is_new(conn, entry), err);
        if (rc != PIM_OK)
            return rc;
    }
    return i - from;
}

static int
batch_check(struct pim_append *append, struct pim_err *err)
{
    uint64_t bytes = 0;

    if (append->item_size < sizeof(struct pim_append_item) || (append->items == NULL && append->n_items > 0))
        return pim_sq_err(err, PIM_ERR_INVALID, "append: items of %u bytes", append->item_size);
    if (append->n_items > SQ_APPEND_ITEMS_MAX)
        return pim_sq_err(err, PIM_ERR_TOO_LARGE, "append: %u items, at most %d", append->n_items, SQ_APPEND_ITEMS_MAX);
    for (uint32_t i = 0; i < append->n_items; i++) {
        const struct pim_append_item *item = PIM_AT(struct pim_append_item, append->items, append->item_size, i);

        bytes += item->body_len <= SQ_VALUE_MAX ? item->body_len : 0; /* that one fails by itself */
    }
    if (bytes > SQ_APPEND_BYTES_MAX)
        return pim_sq_err(err, PIM_ERR_TOO_LARGE, "append: %llu bytes in one batch", (unsigned long long)bytes);
    return PIM_OK;
}

int32_t
pim_sq_append(struct pim_conn *conn, const struct pim_call *call, struct pim_append *append, struct pim_err *err)
{
    sqlite3_stmt *stmt;
    int rc = pim_sq_enter(conn, call, true, err);

    if (rc == PIM_OK)
        rc = batch_check(append, err);
    if (rc != PIM_OK || append->n_items == 0)
        return rc;
    rc = pim_sq_txn_begin(conn, err);
    if (rc != PIM_OK)
        return rc;
    pim_sqlite_failpoint("sqlite-before-insert");
    stmt = pim_sq_stmt(conn, SQ_MSG_INSERT, err);
    if (stmt == NULL)
        rc = PIM_ERR_INTERNAL;
    for (uint32_t at = 0; rc == PIM_OK && at < append->n_items;) {
        int64_t n = append_run(conn, stmt, append, at, err);

        if (n < 0)
            rc = (int)n;
        else
            at += (uint32_t)n;
    }
    if (stmt != NULL)
        sqlite3_clear_bindings(stmt);
    return pim_sq_txn_end(conn, rc, true, err);
}
