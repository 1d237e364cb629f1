/* Records: apply, an ordered list of steps, all or nothing. Within the one writing transaction a look at the row and the
 * change of it cannot be separated, so each step is a plain SELECT, INSERT, UPDATE or DELETE. */
#include "sqlite_priv.h"

#include <string.h>

#define SIG_MAX 160

enum { OP_LOOK = 16, OP_INSERT, OP_UPDATE, OP_DELETE };

struct write_step {
    struct pim_conn *conn;
    struct pim_write *write;
    const struct sq_kind *kind;
    const struct sq_index *index;
    struct pim_val key[64]; /* as given, or taken from the cells */
    uint64_t returning;     /* columns that the kind has */
    uint32_t number;
    pim_row_fn row;
    void *ctx;
    bool enough; /* the callback wants no more */
};

static int
step_check(struct write_step *s, struct pim_err *err)
{
    struct pim_write *w = s->write;
    const struct sq_kind *kind = s->kind;
    int rc = PIM_OK;

    if (w->verb < PIM_W_GUARD || w->verb > PIM_W_DELETE || w->n_cells > 64 || w->n_conds > 32)
        return pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u has verb %u, %u cells, %u conditions", s->number,
                          w->verb, w->n_cells, w->n_conds);
    for (uint32_t i = 0; rc == PIM_OK && i < w->n_cells; i++) {
        const struct pim_cell *cell = &w->cells[i];

        if (cell->col >= kind->n_cols || cell->verb > PIM_ADD ||
            (cell->verb == PIM_ADD && kind->cols[cell->col].type != PIM_INT))
            return pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u changes column %u with verb %u", s->number,
                              cell->col, cell->verb);
        rc = pim_sq_val_check(&kind->cols[cell->col], &cell->val, true, err);
    }
    for (uint32_t i = 0; rc == PIM_OK && i < w->n_conds; i++) {
        if (w->conds[i].col >= kind->n_cols || w->conds[i].op > PIM_GE)
            return pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u has a condition on column %u", s->number,
                              w->conds[i].col);
        rc = pim_sq_val_check(&kind->cols[w->conds[i].col], &w->conds[i].val, false, err);
    }
    if (rc != PIM_OK || w->verb == PIM_W_INSERT)
        return rc;
    if (w->n_key != s->index->n_cols && !(w->n_key == 0 && w->verb == PIM_W_UPSERT))
        return pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u has a key of %u values", s->number, w->n_key);
    for (uint32_t i = 0; rc == PIM_OK && i < s->index->n_cols; i++) {
        uint32_t col = s->index->cols[i], k;

        if (w->n_key > 0) {
            s->key[i] = w->key[i];
        } else {
            for (k = 0; k < w->n_cells && w->cells[k].col != col; k++)
                continue;
            if (k == w->n_cells)
                return pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u has no value for key column %u", s->number,
                                  col);
            s->key[i] = w->cells[k].val;
        }
        rc = pim_sq_val_check(&kind->cols[col], &s->key[i], false, err);
    }
    return rc;
}

static void
key_sql(sqlite3_str *sql, const struct write_step *s)
{
    for (uint32_t i = 0; i < s->index->n_cols; i++) {
        sqlite3_str_appendall(sql, i ? " AND " : " WHERE ");
        pim_sq_sql_eq(sql, &s->kind->cols[s->index->cols[i]], "");
    }
}

static int
key_bind(const struct write_step *s, sqlite3_stmt *stmt, int at)
{
    for (uint32_t i = 0; i < s->index->n_cols; i++)
        pim_sq_bind(stmt, at++, &s->key[i]);
    return at;
}

static uint32_t
sig_begin(const struct write_step *s, uint64_t op, uint64_t cols, uint64_t *sig)
{
    sig[0] = op;
    sig[1] = (uint64_t)s->write->kind << 32 | s->write->index;
    sig[2] = cols;
    return 3;
}

static void
give(struct write_step *s, sqlite3_stmt *stmt, uint32_t from)
{
    struct pim_val vals[64];
    uint32_t n = (uint32_t)__builtin_popcountll(s->returning);

    pim_sq_row_vals(stmt, from, n, vals);
    if (s->row != NULL && !s->enough)
        s->enough = s->row(s->ctx, s->number, vals, n) != 0;
}

/* Is the row there, and do the conditions hold for it? give_row: hand its columns out. */
static int
look(struct write_step *s, bool give_row, bool *out_found, bool *out_holds, struct pim_err *err)
{
    const struct pim_write *w = s->write;
    uint64_t sig[SIG_MAX], hash, cols = give_row ? s->returning : 0;
    uint32_t n = sig_begin(s, OP_LOOK, cols, sig);
    sqlite3_stmt *stmt;
    int rc, at = 1;

    for (uint32_t i = 0; i < w->n_conds; i++)
        sig[n++] = (uint64_t)w->conds[i].col << 32 | w->conds[i].op;
    stmt = pim_sq_cache_find(s->conn, sig, n, &hash);
    if (stmt == NULL) {
        sqlite3_str *sql = sqlite3_str_new(s->conn->db);

        sqlite3_str_appendall(sql, "SELECT 1");
        for (uint32_t i = 0; i < w->n_conds; i++) {
            sqlite3_str_appendall(sql, " AND ");
            pim_sq_sql_cond(sql, s->kind, &w->conds[i], "");
        }
        if (cols != 0) {
            sqlite3_str_appendall(sql, ", ");
            pim_sq_sql_cols(sql, s->kind, cols, "");
        }
        sqlite3_str_appendf(sql, " FROM \"rec_%s\"", s->kind->name);
        key_sql(sql, s);
        rc = pim_sq_cache_add(s->conn, sig, n, hash, sql, &stmt, err);
        if (rc != PIM_OK)
            return rc;
    }
    for (uint32_t i = 0; i < w->n_conds; i++)
        pim_sq_bind(stmt, at++, &w->conds[i].val);
    key_bind(s, stmt, at);
    rc = sqlite3_step(stmt);
    *out_found = rc == SQLITE_ROW;
    *out_holds = *out_found && sqlite3_column_int(stmt, 0) != 0;
    if (*out_found && cols != 0)
        give(s, stmt, 1);
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? PIM_OK : pim_sq_fail(s->conn, rc, "apply", err);
    sqlite3_reset(stmt);
    return rc;
}

/* Step a statement that may return the row. @return PIM_OK, PIM_EXISTS, or a failure */
static int
run(struct write_step *s, sqlite3_stmt *stmt, uint32_t *out_changed, struct pim_err *err)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW) {
        give(s, stmt, 0);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_DONE) {
        *out_changed = (uint32_t)sqlite3_changes(s->conn->db);
        rc = PIM_OK;
    } else {
        int extended = sqlite3_extended_errcode(s->conn->db);

        if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
            extended == SQLITE_CONSTRAINT_ROWID)
            rc = PIM_EXISTS;
        else
            rc = pim_sq_fail(s->conn, rc, "apply", err);
    }
    sqlite3_reset(stmt);
    return rc;
}

static void
returning_sql(sqlite3_str *sql, const struct write_step *s)
{
    if (s->returning == 0)
        return;
    sqlite3_str_appendall(sql, " RETURNING ");
    pim_sq_sql_cols(sql, s->kind, s->returning, "");
}

static int
insert(struct write_step *s, struct pim_err *err)
{
    const struct pim_write *w = s->write;
    uint64_t sig[SIG_MAX], hash;
    uint32_t n = sig_begin(s, OP_INSERT, s->returning, sig), changed;
    sqlite3_stmt *stmt;

    for (uint32_t i = 0; i < w->n_cells; i++)
        sig[n++] = w->cells[i].col;
    stmt = pim_sq_cache_find(s->conn, sig, n, &hash);
    if (stmt == NULL) {
        sqlite3_str *sql = sqlite3_str_new(s->conn->db);
        int rc;

        sqlite3_str_appendf(sql, "INSERT INTO \"rec_%s\" (", s->kind->name);
        for (uint32_t i = 0; i < w->n_cells; i++)
            sqlite3_str_appendf(sql, "%s\"%s\"", i ? ", " : "", s->kind->cols[w->cells[i].col].name);
        sqlite3_str_appendall(sql, ") VALUES (");
        for (uint32_t i = 0; i < w->n_cells; i++)
            sqlite3_str_appendall(sql, i ? ", ?" : "?");
        sqlite3_str_appendall(sql, ")");
        returning_sql(sql, s);
        rc = pim_sq_cache_add(s->conn, sig, n, hash, sql, &stmt, err);
        if (rc != PIM_OK)
            return rc;
    }
    for (uint32_t i = 0; i < w->n_cells; i++)
        pim_sq_bind(stmt, (int)i + 1, &w->cells[i].val);
    return run(s, stmt, &changed, err);
}

/* The cells of the mask change the row. */
static int
update(struct write_step *s, uint64_t mask, uint32_t *out_changed, struct pim_err *err)
{
    static const char *const forms[] = {[PIM_SET] = "%s\"%s\" = ?",
                                        [PIM_MAX] = "%s\"%s\" = max(ifnull(\"%s\", ?%u), ?%u)",
                                        [PIM_ADD] = "%s\"%s\" = ifnull(\"%s\", 0) + ?"};
    const struct pim_write *w = s->write;
    uint64_t sig[SIG_MAX], hash;
    uint32_t n = sig_begin(s, OP_UPDATE, s->returning, sig);
    sqlite3_stmt *stmt;
    int rc, at = 1;

    for (uint32_t i = 0; i < w->n_cells; i++)
        if (mask >> w->cells[i].col & 1)
            sig[n++] = (uint64_t)w->cells[i].col << 32 | w->cells[i].verb;
    stmt = pim_sq_cache_find(s->conn, sig, n, &hash);
    if (stmt == NULL) {
        sqlite3_str *sql = sqlite3_str_new(s->conn->db);
        const char *comma = "";

        sqlite3_str_appendf(sql, "UPDATE \"rec_%s\" SET ", s->kind->name);
        for (uint32_t i = 0; i < w->n_cells; i++) {
            const char *name = s->kind->cols[w->cells[i].col].name;

            if ((mask >> w->cells[i].col & 1) == 0)
                continue;
            if (w->cells[i].verb == PIM_SET)
                sqlite3_str_appendf(sql, forms[PIM_SET], comma, name);
            else if (w->cells[i].verb == PIM_ADD)
                sqlite3_str_appendf(sql, forms[PIM_ADD], comma, name, name);
            else
                sqlite3_str_appendf(sql, forms[PIM_MAX], comma, name, name, (unsigned)at, (unsigned)at);
            at++;
            comma = ", ";
        }
        key_sql(sql, s);
        returning_sql(sql, s);
        rc = pim_sq_cache_add(s->conn, sig, n, hash, sql, &stmt, err);
        if (rc != PIM_OK)
            return rc;
        at = 1;
    }
    for (uint32_t i = 0; i < w->n_cells; i++)
        if (mask >> w->cells[i].col & 1)
            pim_sq_bind(stmt, at++, &w->cells[i].val);
    key_bind(s, stmt, at);
    return run(s, stmt, out_changed, err);
}

static int
erase(struct write_step *s, uint32_t *out_changed, struct pim_err *err)
{
    uint64_t sig[3], hash;
    uint32_t n = sig_begin(s, OP_DELETE, s->returning, sig);
    sqlite3_stmt *stmt = pim_sq_cache_find(s->conn, sig, n, &hash);

    if (stmt == NULL) {
        sqlite3_str *sql = sqlite3_str_new(s->conn->db);
        int rc;

        sqlite3_str_appendf(sql, "DELETE FROM \"rec_%s\"", s->kind->name);
        key_sql(sql, s);
        returning_sql(sql, s);
        rc = pim_sq_cache_add(s->conn, sig, n, hash, sql, &stmt, err);
        if (rc != PIM_OK)
            return rc;
    }
    key_bind(s, stmt, 1);
    return run(s, stmt, out_changed, err);
}

static uint64_t
mask_of_cells(const struct pim_write *w)
{
    uint64_t mask = 0;

    for (uint32_t i = 0; i < w->n_cells; i++)
        mask |= 1ull << w->cells[i].col;
    return mask;
}

/* @return PIM_OK: go on; above 0: the step stops the list; below: a failure */
static int
step_run(struct write_step *s, struct pim_err *err)
{
    struct pim_write *w = s->write;
    uint64_t change = mask_of_cells(w) & (w->verb == PIM_W_UPSERT ? w->on_dup : ~0ull);
    bool found = false, holds = true;
    int rc;

    if (w->verb == PIM_W_INSERT)
        return insert(s, err);
    if (w->verb == PIM_W_UPSERT || w->verb == PIM_W_GUARD || w->n_conds > 0 || w->flags != 0 ||
        (w->verb == PIM_W_UPDATE && !change)) {
        bool give_row = w->verb == PIM_W_GUARD || (!change && w->verb != PIM_W_DELETE);

        rc = look(s, give_row && s->returning != 0, &found, &holds, err);
        if (rc != PIM_OK)
            return rc;
        w->matched = found;
        if (found && (w->flags & PIM_W_MUST_NOT_EXIST) != 0)
            return PIM_EXISTS;
        if (!found && (w->flags & PIM_W_MUST_EXIST) != 0)
            return PIM_NOT_FOUND;
        if (found && !holds)
            return PIM_REFUSED;
        if (w->verb == PIM_W_UPSERT && !found)
            return insert(s, err);
        if (w->verb == PIM_W_GUARD || !found || (!change && w->verb != PIM_W_DELETE)) {
            if (!found && w->verb != PIM_W_GUARD)
                w->result = PIM_NOT_FOUND; /* nothing to change is no reason to stop */
            return PIM_OK;
        }
    }
    rc = w->verb == PIM_W_DELETE ? erase(s, &w->matched, err) : update(s, change, &w->matched, err);
    if (rc == PIM_OK && w->matched == 0)
        w->result = PIM_NOT_FOUND;
    return rc;
}

int32_t
pim_sq_apply(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row, void *ctx,
             struct pim_err *err)
{
    int rc = pim_sq_enter(conn, call, true, err), end;

    if (rc != PIM_OK)
        return rc;
    if (apply->write_size < sizeof(struct pim_write) || (apply->writes == NULL && apply->n_writes > 0))
        return pim_sq_err(err, PIM_ERR_INVALID, "apply: steps of %u bytes", apply->write_size);
    rc = pim_sq_txn_begin(conn, err);
    if (rc != PIM_OK)
        return rc;
    for (uint32_t i = 0; rc == PIM_OK && i < apply->n_writes; i++) {
        struct pim_write *w = PIM_AT(struct pim_write, apply->writes, apply->write_size, i);
        struct write_step s = {
            .conn = conn, .write = w, .kind = pim_sq_kind(conn->store, w->kind), .number = i, .row = row, .ctx = ctx};

        w->result = PIM_OK;
        w->matched = 0;
        if (s.kind == NULL || w->index >= s.kind->n_indexes || !s.kind->indexes[w->index].unique) {
            rc = pim_sq_err(err, PIM_ERR_INVALID, "apply: step %u: kind %u has no unique index %u", i, w->kind,
                            w->index);
        } else {
            s.index = &s.kind->indexes[w->index];
            s.returning = s.kind->n_cols < 64 ? w->returning & ((1ull << s.kind->n_cols) - 1) : w->returning;
            rc = step_check(&s, err);
        }
        if (rc == PIM_OK)
            rc = step_run(&s, err);
        if (rc != PIM_OK) {
            w->result = rc;
            apply->failed = i;
        }
    }
    /* a step that stops the list undoes it; that is an answer, so it is told apart from what a rollback returns */
    end = pim_sq_txn_end(conn, rc == PIM_OK ? PIM_OK : rc < 0 ? rc : PIM_ERR_CANCELLED, false, rc > 0 ? NULL : err);
    return rc > 0 ? rc : end;
}
