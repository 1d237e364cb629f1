/* The schema is the host's: copied at open, made into tables and indexes by migrate. Changes only add. */
#include "sqlite_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* [a-z][a-z0-9_]{0,29}: such a name needs no thought inside a statement. */
static bool
name_ok(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;

    return n >= 1 && n <= 30 && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

const struct sq_kind *
pim_sq_kind(const struct pim_store *store, uint32_t id)
{
    if (id < SQ_COUNT(store->kind_by_id))
        return store->kind_by_id[id];
    for (uint32_t i = 0; i < store->n_kinds; i++)
        if (store->kinds[i].id == id)
            return &store->kinds[i];
    return NULL;
}

static int
kind_copy(struct sq_kind *kind, const struct pim_kind *src, struct pim_err *err)
{
    if (!name_ok(src->name) || src->n_cols < 1 || src->n_cols > 64 || src->n_indexes < 1 || src->n_indexes > 64)
        return pim_sq_err(err, PIM_ERR_INVALID, "schema: kind %u has a wrong name, or too many columns or indexes",
                          src->id);
    kind->id = src->id;
    memcpy(kind->name, src->name, strlen(src->name) + 1);
    kind->cols = calloc(src->n_cols, sizeof *kind->cols);
    kind->indexes = calloc(src->n_indexes, sizeof *kind->indexes);
    if (kind->cols == NULL || kind->indexes == NULL)
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    kind->n_cols = src->n_cols;
    kind->n_indexes = src->n_indexes;
    for (uint32_t i = 0; i < src->n_cols; i++) {
        const struct pim_col *col = PIM_AT(const struct pim_col, src->cols, src->col_size, i);

        if (!name_ok(col->name) || col->type < PIM_INT || col->type > PIM_BYTES)
            return pim_sq_err(err, PIM_ERR_INVALID, "schema: column %u of kind %s has a wrong name or type", i,
                              src->name);
        memcpy(kind->cols[i].name, col->name, strlen(col->name) + 1);
        kind->cols[i].type = col->type;
        kind->cols[i].flags = col->flags;
        kind->cols[i].max_chars = col->max_chars;
        kind->cols[i].def_int = col->def_int;
    }
    for (uint32_t i = 0; i < src->n_indexes; i++) {
        const struct pim_index *index = PIM_AT(const struct pim_index, src->indexes, src->index_size, i);

        if (!name_ok(index->name) || index->n_cols < 1 || index->n_cols > src->n_cols)
            return pim_sq_err(err, PIM_ERR_INVALID, "schema: index %u of kind %s is wrong", i, src->name);
        memcpy(kind->indexes[i].name, index->name, strlen(index->name) + 1);
        kind->indexes[i].n_cols = index->n_cols;
        kind->indexes[i].unique = i == 0 || (index->flags & PIM_INDEX_UNIQUE) != 0;
        for (uint32_t k = 0; k < index->n_cols; k++) {
            if (index->cols[k] >= src->n_cols)
                return pim_sq_err(err, PIM_ERR_INVALID, "schema: index %s of kind %s names column %u", index->name,
                                  src->name, index->cols[k]);
            kind->indexes[i].cols[k] = index->cols[k];
        }
    }
    return PIM_OK;
}

int
pim_sq_schema_copy(struct pim_store *store, const struct pim_schema *schema, struct pim_err *err)
{
    store->schema_version = schema->version;
    store->schema_min_reader = schema->min_reader;
    store->roles = schema->roles;
    if (schema->n_kinds == 0)
        return PIM_OK;
    store->kinds = calloc(schema->n_kinds, sizeof *store->kinds);
    if (store->kinds == NULL)
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    for (uint32_t i = 0; i < schema->n_kinds; i++) {
        int rc;

        store->n_kinds++;
        rc = kind_copy(&store->kinds[i], PIM_AT(const struct pim_kind, schema->kinds, schema->kind_size, i), err);
        if (rc != PIM_OK)
            return rc;
        if (store->kinds[i].id < SQ_COUNT(store->kind_by_id))
            store->kind_by_id[store->kinds[i].id] = &store->kinds[i];
    }
    return PIM_OK;
}

void
pim_sq_schema_free(struct pim_store *store)
{
    for (uint32_t i = 0; i < store->n_kinds; i++) {
        free(store->kinds[i].cols);
        free(store->kinds[i].indexes);
    }
    free(store->kinds);
    store->kinds = NULL;
    store->n_kinds = 0;
}

/* --- migrate ------------------------------------------------------------------------------------------------------- */

struct migration {
    struct pim_conn *conn;
    uint32_t mode;
    pim_text_fn report;
    void *ctx;
    uint32_t n_steps;
};

/* Takes the statement. */
static int
step(struct migration *m, sqlite3_str *text, struct pim_err *err)
{
    char *sql = sqlite3_str_finish(text);
    int rc = PIM_OK;

    if (sql == NULL)
        return pim_sq_err(err, PIM_ERR_NOMEM, "no memory");
    m->n_steps++;
    if (m->report != NULL)
        m->report(m->ctx, sql, (uint32_t)strlen(sql));
    if (m->mode == PIM_MIGRATE_APPLY)
        rc = pim_sq_exec(m->conn, sql, err);
    sqlite3_free(sql);
    return rc;
}

static void
col_sql(sqlite3_str *sql, const struct sq_col *col)
{
    static const char *const types[] = {[PIM_INT] = "INTEGER", [PIM_TEXT] = "TEXT", [PIM_BYTES] = "BLOB"};

    sqlite3_str_appendf(sql, "\"%s\" %s", col->name, types[col->type]);
    if (col->flags & PIM_COL_NULLABLE)
        return;
    if (col->type == PIM_INT)
        sqlite3_str_appendf(sql, " NOT NULL DEFAULT %lld", (long long)col->def_int);
    else
        sqlite3_str_appendall(sql, col->type == PIM_TEXT ? " NOT NULL DEFAULT ''" : " NOT NULL DEFAULT x''");
}

static void
index_cols_sql(sqlite3_str *sql, const struct sq_kind *kind, const struct sq_index *index)
{
    for (uint32_t i = 0; i < index->n_cols; i++)
        sqlite3_str_appendf(sql, "%s\"%s\"", i ? ", " : "", kind->cols[index->cols[i]].name);
}

static int
table_make(struct migration *m, const struct sq_kind *kind, struct pim_err *err)
{
    const struct sq_index *key = &kind->indexes[0];
    sqlite3_str *sql = sqlite3_str_new(m->conn->db);
    bool by_rowid = key->n_cols == 1 && kind->cols[key->cols[0]].type == PIM_INT;

    sqlite3_str_appendf(sql, "CREATE TABLE \"rec_%s\" (", kind->name);
    for (uint32_t i = 0; i < kind->n_cols; i++) {
        sqlite3_str_appendall(sql, i ? ", " : "");
        if (by_rowid && i == key->cols[0])
            sqlite3_str_appendf(sql, "\"%s\" INTEGER PRIMARY KEY", kind->cols[i].name);
        else
            col_sql(sql, &kind->cols[i]);
    }
    if (!by_rowid) {
        sqlite3_str_appendall(sql, ", PRIMARY KEY (");
        index_cols_sql(sql, kind, key);
        sqlite3_str_appendall(sql, ")");
    }
    sqlite3_str_appendall(sql, by_rowid ? ") STRICT" : ") STRICT, WITHOUT ROWID");
    return step(m, sql, err);
}

/* Is there such a row in the file's own schema? @return 1, 0, or a failure */
static int
has(struct pim_conn *conn, const char *sql, const char *first, const char *second, struct pim_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, first, -1, SQLITE_STATIC);
        if (second != NULL)
            sqlite3_bind_text(stmt, 2, second, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        rc = rc == SQLITE_ROW;
    else
        rc = pim_sq_fail(conn, rc, "schema", err);
    sqlite3_finalize(stmt);
    return rc;
}

static int
kind_migrate(struct migration *m, const struct sq_kind *kind, struct pim_err *err)
{
    char table[40], index[80];
    int rc;
    bool is_new;

    snprintf(table, sizeof table, "rec_%s", kind->name);
    rc = has(m->conn, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1", table, NULL, err);
    if (rc < 0)
        return rc;
    is_new = rc == 0;
    if (is_new && (rc = table_make(m, kind, err)) != PIM_OK)
        return rc;
    for (uint32_t i = 0; !is_new && i < kind->n_cols; i++) {
        rc = has(m->conn, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", table, kind->cols[i].name, err);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            sqlite3_str *sql = sqlite3_str_new(m->conn->db);

            sqlite3_str_appendf(sql, "ALTER TABLE \"%s\" ADD COLUMN ", table);
            col_sql(sql, &kind->cols[i]);
            rc = step(m, sql, err);
            if (rc != PIM_OK)
                return rc;
        }
    }
    for (uint32_t i = 1; i < kind->n_indexes; i++) {
        sqlite3_str *sql;

        snprintf(index, sizeof index, "rec_%s__%s", kind->name, kind->indexes[i].name);
        rc = has(m->conn, "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?1", index, NULL, err);
        if (rc != 0) {
            if (rc < 0)
                return rc;
            continue;
        }
        sql = sqlite3_str_new(m->conn->db);
        sqlite3_str_appendf(sql, "CREATE %sINDEX \"%s\" ON \"%s\" (", kind->indexes[i].unique ? "UNIQUE " : "", index,
                            table);
        index_cols_sql(sql, kind, &kind->indexes[i]);
        sqlite3_str_appendall(sql, ")");
        rc = step(m, sql, err);
        if (rc != PIM_OK)
            return rc;
    }
    return PIM_OK;
}

static int
versions_put(struct pim_conn *conn, struct pim_err *err)
{
    const struct pim_store *store = conn->store;
    int rc = PIM_OK;

    /* an older server that may still work on the data leaves the newer numbers alone */
    if (store->schema_version > store->data_version)
        rc = pim_sq_meta_put(conn, "schema_version", store->schema_version, err);
    if (rc == PIM_OK && store->schema_min_reader > store->data_min_reader)
        rc = pim_sq_meta_put(conn, "schema_min_reader", store->schema_min_reader, err);
    return rc;
}

int32_t
pim_sq_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report, void *ctx,
               struct pim_err *err)
{
    struct migration m = {
        .conn = store->writer, .mode = mode, .report = mode == PIM_MIGRATE_CHECK ? NULL : report, .ctx = ctx};
    int rc;

    if (atomic_load(&store->writer_taken))
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "migrate: close the connection that writes first");
    rc = pim_sq_enter(m.conn, call, true, err);
    if (rc == PIM_OK)
        rc = pim_sq_txn_begin(m.conn, err);
    if (rc != PIM_OK)
        return rc;
    for (uint32_t i = 0; rc == PIM_OK && i < store->n_kinds; i++)
        rc = kind_migrate(&m, &store->kinds[i], err);
    if (rc == PIM_OK && mode == PIM_MIGRATE_APPLY)
        rc = versions_put(m.conn, err);
    if (rc == PIM_OK && mode == PIM_MIGRATE_CHECK && m.n_steps > 0)
        rc = pim_sq_err(err, PIM_ERR_SCHEMA, "%s has schema version %u; version %u needs %u changes", store->path,
                        store->data_version, store->schema_version, m.n_steps);
    rc = pim_sq_txn_end(m.conn, rc, true, err);
    if (rc == PIM_OK && mode == PIM_MIGRATE_APPLY) {
        if (store->data_version < store->schema_version)
            store->data_version = store->schema_version;
        if (store->data_min_reader < store->schema_min_reader)
            store->data_min_reader = store->schema_min_reader;
    }
    return rc;
}
