/* Records: get and list. */
#include "sqlite_priv.h"

#include <string.h>

#define SIG_MAX 160

enum { OP_GET = 1, OP_LIST = 2 };

static uint64_t
cols_known(const struct sq_kind *kind, uint64_t cols)
{
    return kind->n_cols >= 64 ? cols : cols & ((1ull << kind->n_cols) - 1);
}

static int
conds_check(const struct sq_kind *kind, const struct pim_cond *conds, uint32_t n_conds, struct pim_err *err)
{
    if (n_conds > 32)
        return pim_sq_err(err, PIM_ERR_INVALID, "%u conditions", n_conds);
    for (uint32_t i = 0; i < n_conds; i++) {
        int rc;

        if (conds[i].col >= kind->n_cols || conds[i].op > PIM_GE)
            return pim_sq_err(err, PIM_ERR_INVALID, "kind %s: condition on column %u with operator %u", kind->name,
                              conds[i].col, conds[i].op);
        rc = pim_sq_val_check(&kind->cols[conds[i].col], &conds[i].val, false, err);
        if (rc != PIM_OK)
            return rc;
    }
    return PIM_OK;
}

/* --- get ---------------------------------------------------------------------------------------------------------- */

static int
get_stmt(struct pim_conn *conn, const struct pim_get *get, const struct sq_kind *kind, uint64_t cols,
         sqlite3_stmt **out_stmt, struct pim_err *err)
{
    const uint64_t sig[3] = {OP_GET, (uint64_t)get->kind << 32 | get->index, cols};
    const struct sq_index *index = &kind->indexes[get->index];
    uint64_t hash;
    sqlite3_str *sql;

    *out_stmt = pim_sq_cache_find(conn, sig, SQ_COUNT(sig), &hash);
    if (*out_stmt != NULL)
        return PIM_OK;
    sql = sqlite3_str_new(conn->db);
    sqlite3_str_appendall(sql, "SELECT ");
    pim_sq_sql_cols(sql, kind, cols, "");
    sqlite3_str_appendf(sql, " FROM \"rec_%s\"", kind->name);
    for (uint32_t i = 0; i < index->n_cols; i++) {
        sqlite3_str_appendall(sql, i ? " AND " : " WHERE ");
        pim_sq_sql_eq(sql, &kind->cols[index->cols[i]], "");
    }
    return pim_sq_cache_add(conn, sig, SQ_COUNT(sig), hash, sql, out_stmt, err);
}

/* @return 1 found, 0 not, 2 the callback has enough, or a failure */
static int
get_one(struct pim_conn *conn, sqlite3_stmt *stmt, const struct sq_kind *kind, const struct pim_get *get, uint32_t item,
        uint32_t n_cols, pim_row_fn row, void *ctx, struct pim_err *err)
{
    const struct sq_index *index = &kind->indexes[get->index];
    const struct pim_val *key = get->keys + (size_t)item * get->vals_per_key;
    struct pim_val vals[64];
    int rc;

    for (uint32_t i = 0; i < index->n_cols; i++) {
        rc = pim_sq_val_check(&kind->cols[index->cols[i]], &key[i], false, err);
        if (rc != PIM_OK)
            return rc;
        pim_sq_bind(stmt, (int)i + 1, &key[i]);
    }
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        pim_sq_row_vals(stmt, 0, n_cols, vals);
        rc = row != NULL && row(ctx, item, vals, n_cols) != 0 ? 2 : 1;
    } else {
        rc = rc == SQLITE_DONE ? 0 : pim_sq_fail(conn, rc, "get", err);
    }
    sqlite3_reset(stmt);
    return rc;
}

int32_t
pim_sq_get(struct pim_conn *conn, const struct pim_call *call, const struct pim_get *get, pim_row_fn row, void *ctx,
           struct pim_err *err)
{
    const struct sq_kind *kind = pim_sq_kind(conn->store, get->kind);
    sqlite3_stmt *stmt;
    uint64_t cols;
    bool found = false, began = false;
    int rc = pim_sq_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    if (kind == NULL || get->index >= kind->n_indexes || !kind->indexes[get->index].unique ||
        get->vals_per_key != kind->indexes[get->index].n_cols)
        return pim_sq_err(err, PIM_ERR_INVALID, "get: kind %u has no unique index %u with %u columns", get->kind,
                          get->index, get->vals_per_key);
    cols = cols_known(kind, get->cols);
    rc = get_stmt(conn, get, kind, cols, &stmt, err);
    if (rc == PIM_OK && get->n_keys > 1)
        rc = pim_sq_snap_begin(conn, &began, err);
    for (uint32_t i = 0; rc >= 0 && i < get->n_keys; i++) {
        rc = get_one(conn, stmt, kind, get, i, (uint32_t)__builtin_popcountll(cols), row, ctx, err);
        found |= rc > 0;
        if (rc == 2)
            break;
    }
    pim_sq_snap_end(conn, began);
    return rc < 0 ? rc : found ? PIM_OK : PIM_NOT_FOUND;
}

/* --- list --------------------------------------------------------------------------------------------------------- */

/* The order of an index: its columns, then those of the primary key. A column that comes again changes nothing. */
struct order {
    uint16_t cols[128];
    uint32_t n; /* all, repeats too */
    bool repeat[128];
    uint32_t n_single;
};

static void
order_of(const struct sq_kind *kind, uint32_t index, struct order *out)
{
    const struct sq_index *parts[2] = {&kind->indexes[index], index != 0 ? &kind->indexes[0] : NULL};

    out->n = out->n_single = 0;
    for (int p = 0; p < 2 && parts[p] != NULL; p++) {
        for (uint32_t i = 0; i < parts[p]->n_cols; i++) {
            bool repeat = false;

            for (uint32_t k = 0; k < out->n; k++)
                repeat |= out->cols[k] == parts[p]->cols[i];
            out->cols[out->n] = parts[p]->cols[i];
            out->repeat[out->n++] = repeat;
            out->n_single += !repeat;
        }
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

static int
list_check(struct pim_conn *conn, const struct pim_query *query, const struct sq_kind *kind, const struct order *order,
           const struct sq_kind *joined, struct pim_err *err)
{
    int rc;

    (void)conn;
    if (query->n_prefix > kind->indexes[query->index].n_cols || query->n_prefix + query->n_after > order->n)
        return pim_sq_err(err, PIM_ERR_INVALID, "list: kind %s, index %u: %u values of prefix, %u after", kind->name,
                          query->index, query->n_prefix, query->n_after);
    for (uint32_t i = 0; i < query->n_prefix; i++)
        if ((rc = pim_sq_val_check(&kind->cols[order->cols[i]], &query->prefix[i], false, err)) != PIM_OK)
            return rc;
    rc = conds_check(kind, query->conds, query->n_conds, err);
    if (rc != PIM_OK || query->join == NULL)
        return rc;
    if (joined == NULL || joined->indexes[0].n_cols != 1 || query->join->via_col >= kind->n_cols)
        return pim_sq_err(err, PIM_ERR_INVALID, "list: kind %u cannot be joined by one column", query->join->kind);
    return conds_check(joined, query->join->conds, query->join->n_conds, err);
}

static void
list_sql(sqlite3_str *sql, const struct pim_query *query, const struct sq_kind *kind, const struct order *order,
         const uint32_t *map, const struct sq_kind *joined, uint64_t cols, uint64_t join_cols)
{
    bool desc = (query->flags & PIM_Q_DESC) != 0, count = (query->flags & PIM_Q_COUNT) != 0;
    const char *word = " WHERE ", *comma;

    sqlite3_str_appendall(sql, count ? "SELECT count(*) FROM (SELECT " : "SELECT ");
    pim_sq_sql_cols(sql, kind, count ? 0 : cols, "t.");
    if (joined != NULL && !count) {
        sqlite3_str_appendall(sql, ", ");
        pim_sq_sql_cols(sql, joined, join_cols, "j.");
    }
    sqlite3_str_appendf(sql, " FROM \"rec_%s\" t", kind->name);
    if (joined != NULL)
        sqlite3_str_appendf(sql, " CROSS JOIN \"rec_%s\" j ON j.\"%s\" = t.\"%s\"", joined->name,
                            joined->cols[joined->indexes[0].cols[0]].name, kind->cols[query->join->via_col].name);
    for (uint32_t i = 0; i < query->n_prefix; i++, word = " AND ") {
        sqlite3_str_appendall(sql, word);
        pim_sq_sql_eq(sql, &kind->cols[order->cols[i]], "t.");
    }
    if (query->n_after > 0) {
        sqlite3_str_appendf(sql, "%s(", word);
        for (uint32_t i = 0; i < query->n_after; i++)
            sqlite3_str_appendf(sql, "%st.\"%s\"", i ? ", " : "", kind->cols[order->cols[map[i]]].name);
        sqlite3_str_appendf(sql, ") %s (", desc ? "<" : ">");
        for (uint32_t i = 0; i < query->n_after; i++)
            sqlite3_str_appendall(sql, i ? ", ?" : "?");
        sqlite3_str_appendall(sql, ")");
        word = " AND ";
    }
    for (uint32_t i = 0; i < query->n_conds; i++, word = " AND ") {
        sqlite3_str_appendall(sql, word);
        pim_sq_sql_cond(sql, kind, &query->conds[i], "t.");
    }
    for (uint32_t i = 0; joined != NULL && i < query->join->n_conds; i++, word = " AND ") {
        sqlite3_str_appendall(sql, word);
        pim_sq_sql_cond(sql, joined, &query->join->conds[i], "j.");
    }
    comma = " ORDER BY ";
    for (uint32_t i = query->n_prefix; i < order->n && !count; i++) {
        if (order->repeat[i])
            continue;
        sqlite3_str_appendf(sql, "%st.\"%s\"%s", comma, kind->cols[order->cols[i]].name, desc ? " DESC" : "");
        comma = ", ";
    }
    sqlite3_str_appendall(sql, count ? " LIMIT ?)" : " LIMIT ?");
}

static int
list_stmt(struct pim_conn *conn, const struct pim_query *query, const struct sq_kind *kind, const struct order *order,
          const struct sq_kind *joined, uint64_t cols, uint64_t join_cols, sqlite3_stmt **out_stmt, struct pim_err *err)
{
    uint64_t sig[SIG_MAX], hash;
    uint32_t n = 0, map[128];
    sqlite3_str *sql;

    sig[n++] = OP_LIST | (uint64_t)(query->flags & (PIM_Q_DESC | PIM_Q_COUNT)) << 8 | (uint64_t)query->n_prefix << 16 |
               (uint64_t)query->n_after << 32;
    sig[n++] = (uint64_t)query->kind << 32 | query->index;
    sig[n++] = cols;
    for (uint32_t i = 0; i < query->n_conds; i++)
        sig[n++] = (uint64_t)query->conds[i].col << 32 | query->conds[i].op;
    if (joined != NULL) {
        sig[n++] = 1ull << 63 | (uint64_t)query->join->kind << 16 | query->join->via_col;
        sig[n++] = join_cols;
        for (uint32_t i = 0; i < query->join->n_conds; i++)
            sig[n++] = (uint64_t)query->join->conds[i].col << 32 | query->join->conds[i].op;
    }
    *out_stmt = pim_sq_cache_find(conn, sig, n, &hash);
    if (*out_stmt != NULL)
        return PIM_OK;
    after_map(query, order, map);
    sql = sqlite3_str_new(conn->db);
    list_sql(sql, query, kind, order, map, joined, cols, join_cols);
    return pim_sq_cache_add(conn, sig, n, hash, sql, out_stmt, err);
}

int32_t
pim_sq_list(struct pim_conn *conn, const struct pim_call *call, const struct pim_query *query, pim_row_fn row,
            void *ctx, struct pim_err *err)
{
    const struct sq_kind *kind = pim_sq_kind(conn->store, query->kind);
    const struct pim_join *join = PIM_IN(struct pim_query, query, join) ? query->join : NULL;
    const struct sq_kind *joined = join != NULL ? pim_sq_kind(conn->store, join->kind) : NULL;
    bool count = (query->flags & PIM_Q_COUNT) != 0;
    struct pim_val vals[128];
    struct order order;
    sqlite3_stmt *stmt;
    uint64_t cols, join_cols;
    uint32_t n_cols, n_join, item = 0;
    int at = 0, rc = pim_sq_enter(conn, call, false, err), step = SQLITE_DONE;

    if (rc != PIM_OK)
        return rc;
    if (kind == NULL || query->index >= kind->n_indexes)
        return pim_sq_err(err, PIM_ERR_INVALID, "list: there is no kind %u with index %u", query->kind, query->index);
    order_of(kind, query->index, &order);
    rc = list_check(conn, query, kind, &order, joined, err);
    if (rc != PIM_OK)
        return rc;
    cols = cols_known(kind, query->cols);
    join_cols = joined != NULL ? cols_known(joined, join->cols) : 0;
    rc = list_stmt(conn, query, kind, &order, joined, cols, join_cols, &stmt, err);
    if (rc != PIM_OK)
        return rc;
    for (uint32_t i = 0; i < query->n_prefix; i++)
        pim_sq_bind(stmt, ++at, &query->prefix[i]);
    for (uint32_t i = 0; i < query->n_after; i++)
        pim_sq_bind(stmt, ++at, &query->after[i]);
    for (uint32_t i = 0; i < query->n_conds; i++)
        pim_sq_bind(stmt, ++at, &query->conds[i].val);
    for (uint32_t i = 0; joined != NULL && i < join->n_conds; i++)
        pim_sq_bind(stmt, ++at, &join->conds[i].val);
    /* one row more than asked tells whether any are left; a count stops at the limit */
    sqlite3_bind_int64(stmt, ++at, query->limit == 0 ? -1 : (int64_t)query->limit + !count);
    n_cols = count ? 1 : (uint32_t)__builtin_popcountll(cols);
    n_join = count ? 0 : (uint32_t)__builtin_popcountll(join_cols);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!count && query->limit != 0 && item == query->limit) {
            rc = PIM_MORE;
            break;
        }
        pim_sq_row_vals(stmt, 0, n_cols, vals);
        pim_sq_row_vals(stmt, n_cols ? n_cols : 1, n_join, vals + n_cols); /* no column of ours stands as one "1" */
        if (row != NULL && row(ctx, item++, vals, n_cols + n_join) != 0)
            break;
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = pim_sq_fail(conn, step, "list", err);
    sqlite3_reset(stmt);
    return rc;
}
