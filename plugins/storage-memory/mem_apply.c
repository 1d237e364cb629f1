/* Records: apply, an ordered list of steps, all or nothing: what a step did is noted, and undone from the end when a
 * later one stops the list. */
#include "mem_priv.h"

#include <stdlib.h>
#include <string.h>

struct done { /* a change of one row: what was there, what is there now */
    struct mem_table *table;
    struct mem_row *old, *now;
};

struct applying {
    struct done *done;
    size_t n_done, cap_done;
    pim_row_fn row;
    void *ctx;
    bool enough; /* the callback wants no more */
};

struct step {
    struct applying *all;
    struct pim_write *write;
    uint32_t number;
    const struct mem_table *kind;
    const struct mem_index *index;
    struct mem_table *table;
    struct pim_val key[64];
};

static int
step_check(struct step *s, struct pim_err *err)
{
    const struct pim_write *w = s->write;
    int rc = PIM_OK;

    if (w->verb < PIM_W_GUARD || w->verb > PIM_W_DELETE)
        return pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u has verb %u", s->number, w->verb);
    for (uint32_t i = 0; rc == PIM_OK && i < w->n_cells; i++) {
        const struct pim_cell *cell = &w->cells[i];

        if (cell->col >= s->kind->n_cols || cell->verb > PIM_ADD ||
            (cell->verb == PIM_ADD && s->kind->cols[cell->col].type != PIM_INT))
            return pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u changes column %u with verb %u", s->number,
                               cell->col, cell->verb);
        rc = pim_mem_val_check(&s->kind->cols[cell->col], &cell->val, true, err);
    }
    for (uint32_t i = 0; rc == PIM_OK && i < w->n_conds; i++) {
        if (w->conds[i].col >= s->kind->n_cols || w->conds[i].op > PIM_GE)
            return pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u has a condition on column %u", s->number,
                               w->conds[i].col);
        rc = pim_mem_val_check(&s->kind->cols[w->conds[i].col], &w->conds[i].val, false, err);
    }
    if (rc != PIM_OK || w->verb == PIM_W_INSERT)
        return rc;
    if (w->n_key != s->index->n_cols && !(w->n_key == 0 && w->verb == PIM_W_UPSERT))
        return pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u has a key of %u values", s->number, w->n_key);
    for (uint32_t i = 0; rc == PIM_OK && i < s->index->n_cols; i++) {
        uint32_t col = s->index->cols[i], k = 0;

        if (w->n_key == 0) {
            while (k < w->n_cells && w->cells[k].col != col)
                k++;
            if (k == w->n_cells)
                return pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u has no value for key column %u", s->number,
                                   col);
        }
        s->key[i] = w->n_key == 0 ? w->cells[k].val : w->key[i];
        rc = pim_mem_val_check(&s->kind->cols[col], &s->key[i], false, err);
    }
    return rc;
}

static void
give(struct step *s, const struct mem_row *row)
{
    struct pim_val vals[64];

    if (s->write->returning == 0 || s->all->row == NULL || s->all->enough)
        return;
    s->all->enough =
        s->all->row(s->all->ctx, s->number, vals, pim_mem_pick(s->kind, row, s->write->returning, vals)) != 0;
}

/* Put `now` in the place of `old`; either may be NULL. `now` is taken also on failure. */
static int
change(struct step *s, struct mem_row *old, struct mem_row *now)
{
    struct applying *all = s->all;
    int rc = PIM_OK;

    if (!pim_mem_room((void **)&all->done, all->n_done, &all->cap_done, sizeof *all->done)) {
        pim_mem_row_free(s->table, now);
        return PIM_ERR_NOMEM;
    }
    if (old != NULL)
        pim_mem_take(s->table, old);
    if (now != NULL)
        rc = pim_mem_put(s->table, now);
    if (rc != PIM_OK) {
        pim_mem_row_free(s->table, now);
        if (old != NULL)
            pim_mem_put(s->table, old); /* there is room: it has just been taken out */
        return rc;
    }
    all->done[all->n_done++] = (struct done){.table = s->table, .old = old, .now = now};
    give(s, now != NULL ? now : old);
    return PIM_OK;
}

static bool
cell_apply(struct mem_row *row, const struct pim_cell *cell)
{
    struct pim_val val = cell->val;
    const struct pim_val *old = &row->vals[cell->col];

    if (cell->verb == PIM_MAX && old->type != PIM_NULL && pim_mem_cmp(old, &val) > 0)
        return true;
    if (cell->verb == PIM_ADD && old->type == PIM_INT && val.type == PIM_INT &&
        __builtin_add_overflow(old->u.i, val.u.i, &val.u.i))
        return false;
    return pim_mem_set(row, cell->col, &val);
}

static int
insert(struct step *s)
{
    struct mem_row *now = pim_mem_row_new(s->table);

    for (uint32_t i = 0; now != NULL && i < s->write->n_cells; i++)
        if (!pim_mem_set(now, s->write->cells[i].col, &s->write->cells[i].val)) {
            pim_mem_row_free(s->table, now);
            now = NULL;
        }
    return now == NULL ? PIM_ERR_NOMEM : change(s, NULL, now);
}

static int
update(struct step *s, struct mem_row *old, uint64_t mask)
{
    struct mem_row *now = pim_mem_row_copy(s->table, old);

    if (now == NULL)
        return PIM_ERR_NOMEM;
    for (uint32_t i = 0; i < s->write->n_cells; i++)
        if ((mask >> s->write->cells[i].col & 1) != 0 && !cell_apply(now, &s->write->cells[i])) {
            pim_mem_row_free(s->table, now);
            return PIM_ERR_INVALID;
        }
    return change(s, old, now);
}

/* @return PIM_OK: go on; above 0: the step stops the list; below: a failure */
static int
step_run(struct step *s)
{
    struct pim_write *w = s->write;
    uint64_t mask = 0;
    struct mem_row *row;

    for (uint32_t i = 0; i < w->n_cells; i++)
        mask |= 1ull << w->cells[i].col;
    if (w->verb == PIM_W_UPSERT)
        mask &= w->on_dup;
    if (w->verb == PIM_W_INSERT)
        return insert(s);
    row = pim_mem_find(s->table, (uint32_t)(s->index - s->kind->indexes), s->key);
    w->matched = row != NULL;
    if (row != NULL && (w->flags & PIM_W_MUST_NOT_EXIST) != 0)
        return PIM_EXISTS;
    if (row == NULL && (w->flags & PIM_W_MUST_EXIST) != 0)
        return PIM_NOT_FOUND;
    for (uint32_t i = 0; row != NULL && i < w->n_conds; i++)
        if (!pim_mem_holds(&row->vals[w->conds[i].col], w->conds[i].op, &w->conds[i].val))
            return PIM_REFUSED;
    if (row == NULL) {
        if (w->verb == PIM_W_UPSERT)
            return insert(s);
        if (w->verb != PIM_W_GUARD)
            w->result = PIM_NOT_FOUND; /* nothing to change is no reason to stop */
        return PIM_OK;
    }
    if (w->verb == PIM_W_DELETE)
        return change(s, row, NULL);
    if (w->verb == PIM_W_GUARD || mask == 0) {
        give(s, row);
        return PIM_OK;
    }
    return update(s, row, mask);
}

static void
finish(struct applying *all, bool keep)
{
    while (all->n_done > 0) {
        struct done *d = &all->done[--all->n_done];

        if (!keep) {
            if (d->now != NULL)
                pim_mem_take(d->table, d->now);
            if (d->old != NULL)
                pim_mem_put(d->table, d->old); /* there is room: it was there before */
        }
        pim_mem_row_free(d->table, keep ? d->old : d->now);
    }
    free(all->done);
}

int32_t
pim_mem_apply(struct pim_conn *conn, const struct pim_call *call, struct pim_apply *apply, pim_row_fn row, void *ctx,
              struct pim_err *err)
{
    struct applying all = {.row = row, .ctx = ctx};
    int rc = pim_mem_enter(conn, call, true, err);

    if (rc != PIM_OK)
        return rc;
    if (apply->write_size < sizeof(struct pim_write) || (apply->writes == NULL && apply->n_writes > 0))
        rc = pim_mem_err(err, PIM_ERR_INVALID, "apply: steps of %u bytes", apply->write_size);
    for (uint32_t i = 0; rc == PIM_OK && i < apply->n_writes; i++) {
        struct pim_write *w = PIM_AT(struct pim_write, apply->writes, apply->write_size, i);
        struct step s = {.all = &all, .write = w, .number = i};

        w->result = PIM_OK;
        w->matched = 0;
        s.table = pim_mem_table(conn->store, w->kind, &s.kind);
        if (s.table == NULL || w->index >= s.kind->n_indexes || !s.kind->indexes[w->index].unique) {
            rc = pim_mem_err(err, PIM_ERR_INVALID, "apply: step %u: kind %u has no unique index %u", i, w->kind,
                             w->index);
        } else {
            s.index = &s.kind->indexes[w->index];
            rc = step_check(&s, err);
        }
        if (rc == PIM_OK)
            rc = step_run(&s);
        if (rc < 0 && err != NULL && err->code != rc)
            pim_mem_err(err, rc, "apply: step %u: %s", i, rc == PIM_ERR_NOMEM ? "no memory" : "the sum is too large");
        if (rc != PIM_OK) {
            w->result = rc;
            apply->failed = i;
        }
    }
    finish(&all, rc == PIM_OK);
    pim_mem_leave(conn);
    return rc;
}
