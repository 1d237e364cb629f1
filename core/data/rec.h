/* data/rec.h - records as straight-line code: get, list and apply on the lease of a storage thread, with values that
 * read well. All of it blocks: storage threads only (inside struct pim_job run()). Results as in <privateim/storage.h>;
 * the text of a failure goes to err. */
#ifndef PIM_DATA_REC_H
#define PIM_DATA_REC_H
#include "data/pool.h"
#include "data/schema.h"

#include <string.h>

/* --- values ------------------------------------------------------------------------------------------ */
static inline struct pim_val
pim_v_int(int64_t i)
{
    return (struct pim_val){.type = PIM_INT, .u.i = i};
}
static inline struct pim_val
pim_v_text(const char *text)
{
    return (struct pim_val){.type = PIM_TEXT, .len = (uint32_t)strlen(text), .u.p = text};
}
static inline struct pim_val
pim_v_textn(const char *text, size_t text_len)
{
    return (struct pim_val){.type = PIM_TEXT, .len = (uint32_t)text_len, .u.p = text};
}
static inline struct pim_val
pim_v_bytes(const void *bytes, size_t bytes_len)
{
    return (struct pim_val){.type = PIM_BYTES, .len = (uint32_t)bytes_len, .u.p = bytes};
}
static inline struct pim_cell
pim_cell_set(uint16_t col, struct pim_val val)
{
    return (struct pim_cell){.col = col, .verb = PIM_SET, .val = val};
}
static inline struct pim_cell
pim_cell_max(uint16_t col, int64_t value)
{
    return (struct pim_cell){.col = col, .verb = PIM_MAX, .val = pim_v_int(value)};
}
static inline struct pim_cond
pim_cond(uint16_t col, uint16_t op, struct pim_val val)
{
    return (struct pim_cond){.col = col, .op = op, .val = val};
}

/** All columns of a kind with n columns, and one column, as a mask. */
#define PIM_COLS_ALL(n) ((n) >= 64 ? ~0ull : (1ull << (n)) - 1)
#define PIM_COL(c) (1ull << (c))

/* --- reading ----------------------------------------------------------------------------------------- */

/**
 * One row by a unique key.
 *
 * @param key  the values of the index's columns, n_key of them
 * @param row  called at most once with the columns of the mask in column order; values are borrowed for the call
 * @return PIM_OK, PIM_NOT_FOUND, or a failure
 */
PIM_MUST_CHECK int pim_rec_get(struct pim_lease *lease, uint32_t kind, uint32_t index, const struct pim_val *key,
                               uint32_t n_key, uint64_t cols, pim_row_fn row, void *ctx, struct pim_err *err);

/** Many rows by one-column primary key; row's item is the number of the key. Missing keys have no row. */
PIM_MUST_CHECK int pim_rec_get_many(struct pim_lease *lease, uint32_t kind, const int64_t *ids, uint32_t n_ids,
                                    uint64_t cols, pim_row_fn row, void *ctx, struct pim_err *err);

/** Rows as query says (struct_size is filled in). @return PIM_OK, PIM_MORE when rows are left, or a failure. */
PIM_MUST_CHECK int pim_rec_list(struct pim_lease *lease, struct pim_query *query, pim_row_fn row, void *ctx,
                                struct pim_err *err);

/** Copy a value's text into dst (cut at dst_size - 1, with NUL). */
void pim_v_copy(char *dst, size_t dst_size, const struct pim_val *val);

/* --- writing ----------------------------------------------------------------------------------------- */

#define PIM_WRITES_MAX 16

/* An apply list that is put together step by step. Lives on the caller's stack; values stay borrowed until the run. */
struct pim_changes {
    struct pim_write writes[PIM_WRITES_MAX];
    struct pim_cell cells[PIM_WRITES_MAX][16];
    struct pim_val keys[PIM_WRITES_MAX][6];
    struct pim_cond conds[PIM_WRITES_MAX][4];
    uint32_t n;
    uint32_t failed; /* after a run: the step that stopped it */
};

/** Begin empty. */
void pim_changes_init(struct pim_changes *changes);
/** Add a step; key values follow with pim_changes_key, cells with pim_changes_cell, conditions with pim_changes_cond.
 *  @return the step's number, to compare with `failed`. At most PIM_WRITES_MAX steps; more is a bug and stops the process. */
uint32_t pim_changes_add(struct pim_changes *changes, uint16_t verb, uint32_t kind, uint32_t index, uint16_t flags);
void pim_changes_key(struct pim_changes *changes, struct pim_val val);
void pim_changes_cell(struct pim_changes *changes, uint16_t col, uint16_t verb, struct pim_val val);
void pim_changes_cond(struct pim_changes *changes, uint16_t col, uint16_t op, struct pim_val val);
/** For an upsert: the columns that a row which exists takes from the cells. */
void pim_changes_on_dup(struct pim_changes *changes, uint64_t cols);
/**
 * Run all steps, all or nothing.
 *
 * @return PIM_OK; PIM_NOT_FOUND, PIM_EXISTS or PIM_REFUSED with `failed` naming the step: nothing was changed; or a failure
 */
PIM_MUST_CHECK int pim_changes_run(struct pim_changes *changes, struct pim_lease *lease, struct pim_err *err);

#endif
