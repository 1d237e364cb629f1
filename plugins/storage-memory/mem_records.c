/* Records: get and list. */
#include "mem_priv.h"

#include <stdlib.h>
#include <string.h>

uint32_t
pim_mem_pick(const struct mem_table *kind, const struct mem_row *row, uint64_t cols, struct pim_val *vals)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < kind->n_cols; i++) {
        if ((cols >> i & 1) == 0)
            continue;
        vals[n] = row->vals[i];
        if (vals[n].type != PIM_NULL && vals[n].type != PIM_INT && vals[n].u.p == NULL)
            vals[n].u.p = "";
        n++;
    }
    return n;
}

static int
conds_check(const struct mem_table *kind, const struct pim_cond *conds, uint32_t n_conds, struct pim_err *err)
{
    int rc = PIM_OK;

    for (uint32_t i = 0; rc == PIM_OK && i < n_conds; i++) {
        if (conds[i].col >= kind->n_cols || conds[i].op > PIM_GE)
            return pim_mem_err(err, PIM_ERR_INVALID, "kind %s: condition on column %u with operator %u", kind->name,
                               conds[i].col, conds[i].op);
        rc = pim_mem_val_check(&kind->cols[conds[i].col], &conds[i].val, false, err);
    }
    return rc;
}

static bool
conds_hold(const struct mem_row *row, const struct pim_cond *conds, uint32_t n_conds)
{
    for (uint32_t i = 0; i < n_conds; i++)
        if (!pim_mem_holds(&row->vals[conds[i].col], conds[i].op, &conds[i].val))
            return false;
    return true;
}

int32_t
pim_mem_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row, void *ctx,
            struct pim_err *err)
{
    const struct mem_table *kind, *table;
    struct pim_val vals[64];
    bool found = false, enough = false;
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    table = pim_mem_table(conn->store, get->kind, &kind);
    if (table == NULL || get->index >= kind->n_indexes || !kind->indexes[get->index].unique ||
        get->vals_per_key != kind->indexes[get->index].n_cols)
        rc = pim_mem_err(err, PIM_ERR_INVALID, "get: kind %u has no unique index %u with %u columns", get->kind,
                         get->index, get->vals_per_key);
    for (uint32_t i = 0; rc == PIM_OK && !enough && i < get->n_keys; i++) {
        const struct pim_val *key = get->keys + (size_t)i * get->vals_per_key;
        const struct mem_row *r;

        for (uint32_t k = 0; rc == PIM_OK && k < get->vals_per_key; k++)
            rc = pim_mem_val_check(&kind->cols[kind->indexes[get->index].cols[k]], &key[k], false, err);
        r = rc == PIM_OK ? pim_mem_find(table, get->index, key) : NULL;
        found |= r != NULL;
        if (r != NULL && row != NULL)
            enough = row(ctx, i, vals, pim_mem_pick(kind, r, get->cols, vals)) != 0;
    }
    pim_mem_leave(conn);
    return rc < 0 ? rc : found ? PIM_OK : PIM_NOT_FOUND;
}

/* --- list
 * --------------------------------------------------------------------------------------------------------------- */

/* The order of an index: its columns, then those of the primary key. A column that comes again changes nothing. */
struct order {
    uint16_t cols[128];
    bool repeat[128];
    uint32_t n, n_single;
};

static void
order_of(const struct mem_table *kind, uint32_t index, struct order *out)
{
    const struct mem_index *parts[2] = {&kind->indexes[index], index != 0 ? &kind->indexes[0] : NULL};

    out->n = out->n_single = 0;
    for (int p = 0; p < 2 && parts[p] != NULL; p++)
        for (uint32_t i = 0; i < parts[p]->n_cols; i++) {
            bool repeat = false;

            for (uint32_t k = 0; k < out->n; k++)
                repeat |= out->cols[k] == parts[p]->cols[i];
            out->cols[out->n] = parts[p]->cols[i];
            out->repeat[out->n++] = repeat;
            out->n_single += !repeat;
        }
}

/* Which column of the order does value i of `after` stand for? Callers may name repeats or leave them out. */
static void
after_map(const struct pim_query *query, const struct order *order, uint32_t *map)
{
    bool singles = query->n_prefix + query->n_after == order->n_single && order->n_single < order->n;
    uint32_t at = query->n_prefix;

    for (uint32_t i = 0; i < query->n_after; i++) {
        while (singles && order->repeat[at])
            at++;
        map[i] = at++;
    }
}

struct listing {
    struct order order;
    uint32_t map[128];
    const struct pim_query *query;
    const struct mem_table *kind, *table, *join_kind, *join_table;
};

/* Where the row stands to `after`: below 0 before it. */
static int
place(const struct listing *l, const struct mem_row *row)
{
    for (uint32_t i = 0; i < l->query->n_after; i++) {
        int d = pim_mem_cmp(&row->vals[l->order.cols[l->map[i]]], &l->query->after[i]);

        if (d != 0)
            return d;
    }
    return 0;
}

static const struct mem_row *
joined(const struct listing *l, const struct mem_row *row)
{
    return pim_mem_find(l->join_table, 0, &row->vals[l->query->join->via_col]);
}

static bool
belongs(const struct listing *l, const struct mem_row *row)
{
    const struct pim_query *q = l->query;

    for (uint32_t i = 0; i < q->n_prefix; i++)
        if (pim_mem_cmp(&row->vals[l->order.cols[i]], &q->prefix[i]) != 0)
            return false;
    if (q->n_after > 0 && ((q->flags & PIM_Q_DESC) != 0 ? place(l, row) >= 0 : place(l, row) <= 0))
        return false;
    if (!conds_hold(row, q->conds, q->n_conds))
        return false;
    if (l->join_table != NULL) {
        const struct mem_row *other = joined(l, row);

        return other != NULL && conds_hold(other, q->join->conds, q->join->n_conds);
    }
    return true;
}

static int
by_order(const void *x, const void *y, void *ctx)
{
    const struct mem_row *a = *(struct mem_row *const *)x, *b = *(struct mem_row *const *)y;
    const struct listing *l = ctx;

    for (uint32_t i = 0; i < l->order.n; i++) {
        int d = pim_mem_cmp(&a->vals[l->order.cols[i]], &b->vals[l->order.cols[i]]);

        if (d != 0)
            return (l->query->flags & PIM_Q_DESC) != 0 ? -d : d;
    }
    return 0;
}

static int
list_check(struct pim_conn *conn, struct listing *l, struct pim_err *err)
{
    const struct pim_query *q = l->query;
    const struct pim_join *join = PIM_IN(struct pim_query, q, join) ? q->join : NULL;
    int rc;

    l->table = pim_mem_table(conn->store, q->kind, &l->kind);
    if (l->table == NULL || q->index >= l->kind->n_indexes)
        return pim_mem_err(err, PIM_ERR_INVALID, "list: there is no kind %u with index %u", q->kind, q->index);
    order_of(l->kind, q->index, &l->order);
    if (q->n_prefix > l->kind->indexes[q->index].n_cols || q->n_prefix + q->n_after > l->order.n)
        return pim_mem_err(err, PIM_ERR_INVALID, "list: kind %s, index %u: %u values of prefix, %u after",
                           l->kind->name, q->index, q->n_prefix, q->n_after);
    after_map(q, &l->order, l->map);
    for (uint32_t i = 0; i < q->n_prefix; i++)
        if ((rc = pim_mem_val_check(&l->kind->cols[l->order.cols[i]], &q->prefix[i], false, err)) != PIM_OK)
            return rc;
    rc = conds_check(l->kind, q->conds, q->n_conds, err);
    if (rc != PIM_OK || join == NULL)
        return rc;
    l->join_table = pim_mem_table(conn->store, join->kind, &l->join_kind);
    if (l->join_table == NULL || l->join_kind->indexes[0].n_cols != 1 || join->via_col >= l->kind->n_cols)
        return pim_mem_err(err, PIM_ERR_INVALID, "list: kind %u cannot be joined by one column", join->kind);
    return conds_check(l->join_kind, join->conds, join->n_conds, err);
}

/* The rows that belong, in order; *out_rows is the caller's. */
static int
list_gather(struct listing *l, const struct mem_row ***out_rows, size_t *out_n, struct pim_err *err)
{
    size_t at = l->query->index == 0 ? pim_mem_lower(l->table, l->query->prefix, l->query->n_prefix) : 0, n = 0,
           cap = 0;
    const struct mem_row **rows = NULL;

    for (; at < l->table->n_rows; at++) {
        const struct mem_row *row = l->table->rows[at];

        /* the table is in the order of its primary key: what is equal on the prefix stands together */
        if (l->query->index == 0 && l->query->n_prefix > 0 &&
            pim_mem_cmp(&row->vals[l->order.cols[0]], &l->query->prefix[0]) != 0)
            break;
        if (!belongs(l, row))
            continue;
        if (!pim_mem_room((void **)&rows, n, &cap, sizeof *rows)) {
            free(rows);
            return pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
        }
        rows[n++] = row;
    }
    if (n > 1)
        qsort_r(rows, n, sizeof *rows, by_order, l);
    *out_rows = rows;
    *out_n = n;
    return PIM_OK;
}

int32_t
pim_mem_list(struct pim_conn *conn, const struct pim_call *call, const struct pim_query *query, pim_row_fn row,
             void *ctx, struct pim_err *err)
{
    struct listing l = {.query = query};
    const struct mem_row **rows = NULL;
    struct pim_val vals[128];
    size_t n = 0;
    int rc = pim_mem_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    rc = list_check(conn, &l, err);
    if (rc == PIM_OK)
        rc = list_gather(&l, &rows, &n, err);
    if (rc == PIM_OK && (query->flags & PIM_Q_COUNT) != 0) {
        vals[0] =
            (struct pim_val){.type = PIM_INT, .u.i = (int64_t)(query->limit && n > query->limit ? query->limit : n)};
        if (row != NULL)
            row(ctx, 0, vals, 1);
        n = 0;
    }
    for (size_t i = 0; rc == PIM_OK && i < n; i++) {
        uint32_t n_vals = pim_mem_pick(l.kind, rows[i], query->cols, vals);

        if (query->limit != 0 && i == query->limit) {
            rc = PIM_MORE;
            break;
        }
        if (l.join_table != NULL)
            n_vals += pim_mem_pick(l.join_kind, joined(&l, rows[i]), query->join->cols, vals + n_vals);
        if (row != NULL && row(ctx, (uint32_t)i, vals, n_vals) != 0)
            break;
        rc = pim_mem_stopped(conn, call, err);
    }
    pim_mem_leave(conn);
    free(rows);
    return rc;
}
