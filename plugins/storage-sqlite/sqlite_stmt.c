/* Statements of the record side: made once for each shape of a call, and values in and out of them. The shape is read from
 * the call itself (kind, index, columns, operators), so it is right whether or not the host numbers its shapes. */
#include "sqlite_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
sig_hash(const uint64_t *sig, uint32_t n_sig)
{
    uint64_t h = n_sig;

    for (uint32_t i = 0; i < n_sig; i++) { /* shapes come from our own code, not from users */
        h = (h ^ sig[i]) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return h;
}

sqlite3_stmt *
pim_sq_cache_find(struct pim_conn *conn, const uint64_t *sig, uint32_t n_sig, uint64_t *out_hash)
{
    uint64_t h = sig_hash(sig, n_sig);

    *out_hash = h;
    for (uint32_t at = h % SQ_CACHE_SLOTS;; at = (at + 1) % SQ_CACHE_SLOTS) {
        const struct sq_cached *cached = &conn->cache[at];

        if (cached->stmt == NULL)
            return NULL;
        if (cached->hash == h && cached->n_sig == n_sig && memcmp(cached->sig, sig, n_sig * sizeof *sig) == 0)
            return cached->stmt;
    }
}

int
pim_sq_cache_add(struct pim_conn *conn, const uint64_t *sig, uint32_t n_sig, uint64_t hash, sqlite3_str *sql,
                 sqlite3_stmt **out_stmt, struct pim_err *err)
{
    char *text = sqlite3_str_finish(sql);
    uint64_t *copy = malloc(n_sig * sizeof *copy);
    sqlite3_stmt *stmt = NULL;
    uint32_t at = hash % SQ_CACHE_SLOTS;
    int rc;

    if (text == NULL || copy == NULL) {
        sqlite3_free(text);
        free(copy);
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    }
    rc = sqlite3_prepare_v3(conn->db, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    sqlite3_free(text);
    if (rc != SQLITE_OK) {
        free(copy);
        return pim_sq_fail(conn, rc, "prepare", err);
    }
    if (conn->n_cached >= SQ_CACHE_MAX)
        pim_sq_cache_clear(conn); /* nobody has so many shapes; should he, it is only slow */
    while (conn->cache[at].stmt != NULL)
        at = (at + 1) % SQ_CACHE_SLOTS;
    memcpy(copy, sig, n_sig * sizeof *copy);
    conn->cache[at] = (struct sq_cached){.hash = hash, .sig = copy, .n_sig = n_sig, .stmt = stmt};
    conn->n_cached++;
    *out_stmt = stmt;
    return PIM_OK;
}

void
pim_sq_cache_clear(struct pim_conn *conn)
{
    for (size_t i = 0; i < SQ_COUNT(conn->cache); i++) {
        sqlite3_finalize(conn->cache[i].stmt);
        free(conn->cache[i].sig);
        conn->cache[i] = (struct sq_cached){0};
    }
    conn->n_cached = 0;
}

/* Well-formed UTF-8 without NUL (RFC 3629)? @return its characters, or -1 */
static int64_t
count_chars(const char *text, uint32_t len)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    int64_t n = 0;

    while (p < end) {
        unsigned more = *p < 0x80 ? 0 : *p < 0xc2 ? 9 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf5 ? 3 : 9;

        if (*p == 0 || more == 9 || (size_t)(end - p) <= more)
            return -1;
        for (unsigned i = 1; i <= more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return -1;
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) || (*p == 0xf0 && p[1] < 0x90) ||
            (*p == 0xf4 && p[1] >= 0x90))
            return -1;
        p += more + 1;
        n++;
    }
    return n;
}

int
pim_sq_val_check(const struct sq_col *col, const struct pim_val *val, bool stored, struct pim_err *err)
{
    int64_t n;

    if (val->type == PIM_NULL) {
        if (!stored || (col->flags & PIM_COL_NULLABLE) != 0)
            return PIM_OK;
        return pim_sq_err(err, PIM_ERR_INVALID, "column %s cannot be NULL", col->name);
    }
    if (val->type != col->type)
        return pim_sq_err(err, PIM_ERR_INVALID, "column %s has type %u, the value has type %u", col->name, col->type,
                          val->type);
    if (val->type == PIM_INT)
        return PIM_OK;
    if (val->u.p == NULL && val->len > 0)
        return pim_sq_err(err, PIM_ERR_INVALID, "column %s: %u bytes at NULL", col->name, val->len);
    if (val->len > SQ_VALUE_MAX)
        return pim_sq_err(err, PIM_ERR_TOO_LARGE, "column %s: %u bytes, at most %u", col->name, val->len, SQ_VALUE_MAX);
    n = val->type == PIM_TEXT ? count_chars(val->u.p, val->len) : val->len;
    if (n < 0)
        return pim_sq_err(err, PIM_ERR_INVALID, "column %s: not UTF-8, or with a NUL byte", col->name);
    if (stored && col->max_chars > 0 && n > col->max_chars)
        return pim_sq_err(err, PIM_ERR_INVALID, "column %s: %lld characters, at most %u", col->name, (long long)n,
                          col->max_chars);
    return PIM_OK;
}

int
pim_sq_bind(sqlite3_stmt *stmt, int at, const struct pim_val *val)
{
    switch (val->type) {
    case PIM_INT:
        return sqlite3_bind_int64(stmt, at, val->u.i);
    case PIM_TEXT:
        return sqlite3_bind_text(stmt, at, val->len ? val->u.p : "", (int)val->len, SQLITE_STATIC);
    case PIM_BYTES:
        return sqlite3_bind_blob(stmt, at, val->len ? val->u.p : "", (int)val->len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

uint32_t
pim_sq_row_vals(sqlite3_stmt *stmt, uint32_t at, uint32_t n, struct pim_val *vals)
{
    for (uint32_t i = 0; i < n; i++) {
        int col = (int)(at + i);
        struct pim_val *val = &vals[i];

        switch (sqlite3_column_type(stmt, col)) {
        case SQLITE_INTEGER:
            *val = (struct pim_val){.type = PIM_INT, .u.i = sqlite3_column_int64(stmt, col)};
            break;
        case SQLITE_TEXT:
            *val = (struct pim_val){.type = PIM_TEXT, .u.p = (const char *)sqlite3_column_text(stmt, col)};
            val->len = (uint32_t)sqlite3_column_bytes(stmt, col);
            break;
        case SQLITE_BLOB:
            *val = (struct pim_val){.type = PIM_BYTES, .u.p = sqlite3_column_blob(stmt, col)};
            val->len = (uint32_t)sqlite3_column_bytes(stmt, col);
            if (val->u.p == NULL)
                val->u.p = ""; /* SQLite has no address for an empty one */
            break;
        default:
            *val = (struct pim_val){.type = PIM_NULL};
            break;
        }
    }
    return n;
}

void
pim_sq_sql_cols(sqlite3_str *sql, const struct sq_kind *kind, uint64_t cols, const char *prefix)
{
    const char *comma = "";

    for (uint32_t i = 0; i < kind->n_cols; i++) {
        if ((cols >> i & 1) == 0)
            continue;
        sqlite3_str_appendf(sql, "%s%s\"%s\"", comma, prefix, kind->cols[i].name);
        comma = ", ";
    }
    if (*comma == '\0')
        sqlite3_str_appendall(sql, "1"); /* a row without values */
}

void
pim_sq_sql_eq(sqlite3_str *sql, const struct sq_col *col, const char *prefix)
{
    sqlite3_str_appendf(sql, "%s\"%s\" %s ?", prefix, col->name, col->flags & PIM_COL_NULLABLE ? "IS" : "=");
}

void
pim_sq_sql_cond(sqlite3_str *sql, const struct sq_kind *kind, const struct pim_cond *cond, const char *prefix)
{
    static const char *const ops[] = {"IS", "IS NOT", "<", "<=", ">", ">="};

    sqlite3_str_appendf(sql, "%s\"%s\" %s ?", prefix, kind->cols[cond->col].name, ops[cond->op]);
}
