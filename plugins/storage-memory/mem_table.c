/* Values, rows and tables; the schema, which is the host's, made into them. */
#include "mem_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- values
 * ------------------------------------------------------------------------------------------------------------ */

/* NULL before all else, numbers by value, text and bytes bytewise. */
int
pim_mem_cmp(const struct pim_val *x, const struct pim_val *y)
{
    uint32_t n = x->len < y->len ? x->len : y->len;
    int d;

    if (x->type == PIM_NULL || y->type == PIM_NULL)
        return (y->type == PIM_NULL) - (x->type == PIM_NULL);
    if (x->type == PIM_INT)
        return (x->u.i > y->u.i) - (x->u.i < y->u.i);
    d = n > 0 ? memcmp(x->u.p, y->u.p, n) : 0;
    return d != 0 ? d : (x->len > y->len) - (x->len < y->len);
}

bool
pim_mem_holds(const struct pim_val *val, uint16_t op, const struct pim_val *with)
{
    int d = pim_mem_cmp(val, with);

    if (op == PIM_EQ || op == PIM_NE) /* here NULL is a value like others */
        return (d == 0) == (op == PIM_EQ);
    if (val->type == PIM_NULL || with->type == PIM_NULL)
        return false; /* it has no place in an order */
    return op == PIM_LT ? d < 0 : op == PIM_LE ? d <= 0 : op == PIM_GT ? d > 0 : d >= 0;
}

/* Characters of a text; -1: not UTF-8, or with a NUL byte. Source: RFC 3629 4. */
static int64_t
count_chars(const uint8_t *p, uint32_t len)
{
    int64_t n = 0;

    for (uint32_t at = 0, more; at < len; at += more, n++) {
        uint32_t c = p[at], least;

        more = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
        if (c == 0 || more == 0 || more > len - at)
            return -1;
        least = more == 1 ? 0 : more == 2 ? 0x80 : more == 3 ? 0x800 : 0x10000;
        c &= more == 1 ? 0x7f : 0xffu >> (more + 1);
        for (uint32_t i = 1; i < more; i++) {
            if ((p[at + i] & 0xc0) != 0x80)
                return -1;
            c = c << 6 | (p[at + i] & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return -1;
    }
    return n;
}

int
pim_mem_val_check(const struct mem_col *col, const struct pim_val *val, bool stored, struct pim_err *err)
{
    int64_t n;

    if (val->type == PIM_NULL) {
        if (!stored || (col->flags & PIM_COL_NULLABLE) != 0)
            return PIM_OK;
        return pim_mem_err(err, PIM_ERR_INVALID, "column %s cannot be NULL", col->name);
    }
    if (val->type != col->type)
        return pim_mem_err(err, PIM_ERR_INVALID, "column %s has type %u, the value has type %u", col->name, col->type,
                           val->type);
    if (val->type == PIM_INT)
        return PIM_OK;
    if (val->u.p == NULL && val->len > 0)
        return pim_mem_err(err, PIM_ERR_INVALID, "column %s: %u bytes at NULL", col->name, val->len);
    if (val->len > MEM_VALUE_MAX)
        return pim_mem_err(err, PIM_ERR_TOO_LARGE, "column %s: %u bytes, at most %u", col->name, val->len,
                           MEM_VALUE_MAX);
    n = val->type == PIM_TEXT ? count_chars((const uint8_t *)val->u.p, val->len) : val->len;
    if (n < 0)
        return pim_mem_err(err, PIM_ERR_INVALID, "column %s: not UTF-8, or with a NUL byte", col->name);
    if (stored && col->max_chars > 0 && n > col->max_chars)
        return pim_mem_err(err, PIM_ERR_INVALID, "column %s: %lld characters, at most %u", col->name, (long long)n,
                           col->max_chars);
    return PIM_OK;
}

/* --- rows
 * -------------------------------------------------------------------------------------------------------------- */

static void
default_of(const struct mem_col *col, struct pim_val *out_val)
{
    if (col->flags & PIM_COL_NULLABLE)
        *out_val = (struct pim_val){.type = PIM_NULL};
    else if (col->type == PIM_INT)
        *out_val = (struct pim_val){.type = PIM_INT, .u.i = col->def_int};
    else
        *out_val = (struct pim_val){.type = col->type, .u.p = NULL};
}

struct mem_row *
pim_mem_row_new(const struct mem_table *table)
{
    struct mem_row *row = calloc(1, sizeof *row);

    if (row == NULL || (row->vals = calloc(table->n_cols, sizeof *row->vals)) == NULL) {
        free(row);
        return NULL;
    }
    for (uint32_t i = 0; i < table->n_cols; i++)
        default_of(&table->cols[i], &row->vals[i]);
    return row;
}

static void
drop(struct pim_val *val)
{
    if (val->type == PIM_TEXT || val->type == PIM_BYTES)
        free((void *)(uintptr_t)val->u.p);
    *val = (struct pim_val){.type = PIM_NULL};
}

bool
pim_mem_set(struct mem_row *row, uint32_t col, const struct pim_val *val)
{
    struct pim_val copy = *val;

    if (val->type == PIM_TEXT || val->type == PIM_BYTES) {
        char *p = malloc(val->len + 1);

        if (p == NULL)
            return false;
        if (val->len > 0)
            memcpy(p, val->u.p, val->len);
        copy.u.p = p;
    }
    drop(&row->vals[col]);
    row->vals[col] = copy;
    return true;
}

struct mem_row *
pim_mem_row_copy(const struct mem_table *table, const struct mem_row *row)
{
    struct mem_row *copy = pim_mem_row_new(table);

    for (uint32_t i = 0; copy != NULL && i < table->n_cols; i++)
        if (!pim_mem_set(copy, i, &row->vals[i])) {
            pim_mem_row_free(table, copy);
            copy = NULL;
        }
    return copy;
}

void
pim_mem_row_free(const struct mem_table *table, struct mem_row *row)
{
    if (row == NULL)
        return;
    for (uint32_t i = 0; i < table->n_cols; i++)
        drop(&row->vals[i]);
    free(row->vals);
    free(row);
}

void
pim_mem_rows_free(struct mem_table *table)
{
    for (size_t i = 0; i < table->n_rows; i++)
        pim_mem_row_free(table, table->rows[i]);
    free(table->rows);
    table->rows = NULL;
    table->n_rows = table->cap_rows = 0;
}

/* --- tables
 * ------------------------------------------------------------------------------------------------------------ */

static int
cmp_key(const struct mem_index *index, const struct mem_row *row, const struct pim_val *key, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int d = pim_mem_cmp(&row->vals[index->cols[i]], &key[i]);

        if (d != 0)
            return d;
    }
    return 0;
}

size_t
pim_mem_lower(const struct mem_table *table, const struct pim_val *key, uint32_t n)
{
    size_t low = 0, high = table->n_rows;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (cmp_key(&table->indexes[0], table->rows[mid], key, n) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct mem_row *
pim_mem_find(const struct mem_table *table, uint32_t index, const struct pim_val *key)
{
    const struct mem_index *ix = &table->indexes[index];
    size_t at = index == 0 ? pim_mem_lower(table, key, ix->n_cols) : 0;

    for (; at < table->n_rows; at++) {
        if (cmp_key(ix, table->rows[at], key, ix->n_cols) == 0)
            return table->rows[at];
        if (index == 0)
            break;
    }
    return NULL;
}

static void
key_of(const struct mem_index *index, const struct mem_row *row, struct pim_val *out_key, bool *out_null)
{
    *out_null = false;
    for (uint32_t i = 0; i < index->n_cols; i++) {
        out_key[i] = row->vals[index->cols[i]];
        *out_null |= out_key[i].type == PIM_NULL;
    }
}

int
pim_mem_put(struct mem_table *table, struct mem_row *row)
{
    struct pim_val key[64];
    bool has_null;
    size_t at;

    for (uint32_t i = 0; i < table->n_indexes; i++) {
        if (!table->indexes[i].unique)
            continue;
        key_of(&table->indexes[i], row, key, &has_null);
        if (!has_null && pim_mem_find(table, i, key) != NULL) /* NULLs are never the same in a unique index */
            return PIM_EXISTS;
    }
    if (!pim_mem_room((void **)&table->rows, table->n_rows, &table->cap_rows, sizeof *table->rows))
        return PIM_ERR_NOMEM;
    key_of(&table->indexes[0], row, key, &has_null);
    at = pim_mem_lower(table, key, table->indexes[0].n_cols);
    memmove(&table->rows[at + 1], &table->rows[at], (table->n_rows - at) * sizeof *table->rows);
    table->rows[at] = row;
    table->n_rows++;
    return PIM_OK;
}

void
pim_mem_take(struct mem_table *table, struct mem_row *row)
{
    struct pim_val key[64];
    bool has_null;
    size_t at;

    key_of(&table->indexes[0], row, key, &has_null);
    at = pim_mem_lower(table, key, table->indexes[0].n_cols);
    while (table->rows[at] != row)
        at++;
    table->n_rows--;
    memmove(&table->rows[at], &table->rows[at + 1], (table->n_rows - at) * sizeof *table->rows);
}

struct mem_table *
pim_mem_table(const struct pim_store *store, uint32_t kind, const struct mem_table **out_kind)
{
    struct mem_table *table = NULL;

    *out_kind = NULL;
    for (uint32_t i = 0; i < store->n_kinds; i++)
        if (store->kinds[i].kind == kind)
            *out_kind = &store->kinds[i];
    for (uint32_t i = 0; *out_kind != NULL && i < store->data->n_tables; i++)
        if (store->data->tables[i].kind == kind)
            table = &store->data->tables[i];
    return table;
}

/* --- the schema
 * -------------------------------------------------------------------------------------------------------- */

static bool
name_ok(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;

    return n >= 1 && n <= 30 && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static int
kind_copy(struct mem_table *kind, const struct pim_kind *src, struct pim_err *err)
{
    if (!name_ok(src->name) || src->n_cols < 1 || src->n_cols > 64 || src->n_indexes < 1 || src->n_indexes > 64)
        return pim_mem_err(err, PIM_ERR_INVALID, "schema: kind %u has a wrong name, or too many columns or indexes",
                           src->id);
    kind->kind = src->id;
    strcpy(kind->name, src->name);
    kind->n_cols = src->n_cols;
    kind->n_indexes = src->n_indexes;
    for (uint32_t i = 0; i < src->n_cols; i++) {
        const struct pim_col *col = PIM_AT(const struct pim_col, src->cols, src->col_size, i);

        if (!name_ok(col->name) || col->type < PIM_INT || col->type > PIM_BYTES)
            return pim_mem_err(err, PIM_ERR_INVALID, "schema: column %u of kind %s has a wrong name or type", i,
                               src->name);
        kind->cols[i] = (struct mem_col){
            .type = col->type, .flags = col->flags, .max_chars = col->max_chars, .def_int = col->def_int};
        strcpy(kind->cols[i].name, col->name);
    }
    for (uint32_t i = 0; i < src->n_indexes; i++) {
        const struct pim_index *index = PIM_AT(const struct pim_index, src->indexes, src->index_size, i);

        if (!name_ok(index->name) || index->n_cols < 1 || index->n_cols > src->n_cols)
            return pim_mem_err(err, PIM_ERR_INVALID, "schema: index %u of kind %s is wrong", i, src->name);
        strcpy(kind->indexes[i].name, index->name);
        kind->indexes[i].n_cols = index->n_cols;
        kind->indexes[i].unique = i == 0 || (index->flags & PIM_INDEX_UNIQUE) != 0;
        for (uint32_t k = 0; k < index->n_cols; k++) {
            if (index->cols[k] >= src->n_cols)
                return pim_mem_err(err, PIM_ERR_INVALID, "schema: index %s of kind %s names column %u", index->name,
                                   src->name, index->cols[k]);
            kind->indexes[i].cols[k] = index->cols[k];
        }
    }
    return PIM_OK;
}

int
pim_mem_schema_copy(struct pim_store *store, const struct pim_schema *schema, struct pim_err *err)
{
    int rc = PIM_OK;

    store->version = schema->version;
    store->min_reader = schema->min_reader;
    if (schema->n_kinds == 0)
        return PIM_OK;
    store->kinds = calloc(schema->n_kinds, sizeof *store->kinds);
    if (store->kinds == NULL)
        return pim_mem_err(err, PIM_ERR_NOMEM, "no memory");
    store->n_kinds = schema->n_kinds;
    for (uint32_t i = 0; rc == PIM_OK && i < schema->n_kinds; i++)
        rc = kind_copy(&store->kinds[i], PIM_AT(const struct pim_kind, schema->kinds, schema->kind_size, i), err);
    return rc;
}

/* --- migrate
 * ------------------------------------------------------------------------------------------------------------ */

struct migration {
    uint32_t mode, n_steps;
    pim_text_fn report;
    void *ctx;
};

static void
step(struct migration *m, const char *what, const char *kind, const char *name)
{
    char text[100];
    int n = snprintf(text, sizeof text, "%s %s%s%s", what, kind, *name ? "." : "", name);

    m->n_steps++;
    if (m->mode != PIM_MIGRATE_CHECK && m->report != NULL)
        m->report(m->ctx, text, (uint32_t)n);
}

static int
table_add(struct mem_data *data, const struct mem_table *kind)
{
    struct mem_table *tables = realloc(data->tables, (data->n_tables + 1) * sizeof *tables);

    if (tables == NULL)
        return PIM_ERR_NOMEM;
    data->tables = tables;
    tables[data->n_tables++] = *kind;
    return PIM_OK;
}

static int
col_add(struct mem_table *table, const struct mem_col *col)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        struct pim_val *vals = realloc(table->rows[i]->vals, (table->n_cols + 1) * sizeof *vals);

        if (vals == NULL)
            return PIM_ERR_NOMEM;
        table->rows[i]->vals = vals;
        default_of(col, &vals[table->n_cols]);
    }
    table->cols[table->n_cols++] = *col;
    return PIM_OK;
}

static int
kind_migrate(struct migration *m, struct mem_data *data, const struct mem_table *kind)
{
    struct mem_table *table = NULL;
    int rc = PIM_OK;

    for (uint32_t i = 0; i < data->n_tables; i++)
        if (data->tables[i].kind == kind->kind)
            table = &data->tables[i];
    if (table == NULL) {
        step(m, "add kind", kind->name, "");
        return m->mode == PIM_MIGRATE_APPLY ? table_add(data, kind) : PIM_OK;
    }
    for (uint32_t i = table->n_cols; rc == PIM_OK && i < kind->n_cols; i++) {
        step(m, "add column", kind->name, kind->cols[i].name);
        if (m->mode == PIM_MIGRATE_APPLY)
            rc = col_add(table, &kind->cols[i]);
    }
    for (uint32_t i = table->n_indexes; rc == PIM_OK && i < kind->n_indexes; i++) {
        step(m, "add index", kind->name, kind->indexes[i].name);
        if (m->mode == PIM_MIGRATE_APPLY)
            table->indexes[table->n_indexes++] = kind->indexes[i];
    }
    return rc;
}

int32_t
pim_mem_migrate(struct pim_store *store, const struct pim_call *call, uint32_t mode, pim_text_fn report, void *ctx,
                struct pim_err *err)
{
    struct migration m = {.mode = mode, .report = report, .ctx = ctx};
    struct mem_data *data = store->data;
    int rc = PIM_OK;

    (void)call;
    pthread_mutex_lock(&data->lock);
    for (uint32_t i = 0; rc == PIM_OK && i < store->n_kinds; i++)
        rc = kind_migrate(&m, data, &store->kinds[i]);
    if (rc == PIM_OK && mode == PIM_MIGRATE_APPLY) {
        /* an older server that may still work on the data leaves the newer numbers alone */
        data->version = store->version > data->version ? store->version : data->version;
        data->min_reader = store->min_reader > data->min_reader ? store->min_reader : data->min_reader;
    }
    pthread_mutex_unlock(&data->lock);
    if (rc != PIM_OK)
        return pim_mem_err(err, rc, "no memory");
    if (mode == PIM_MIGRATE_CHECK && m.n_steps > 0)
        return pim_mem_err(err, PIM_ERR_SCHEMA, "schema version %u needs %u changes", store->version, m.n_steps);
    return PIM_OK;
}
