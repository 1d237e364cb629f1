#include "data/rec.h"

#include <stdlib.h>

int
pim_rec_get(struct pim_lease *lease, uint32_t kind, uint32_t index, const struct pim_val *key, uint32_t n_key,
            uint64_t cols, pim_row_fn row, void *ctx, struct pim_err *err)
{
    struct pim_get get = {.struct_size = sizeof get,
                          .kind = kind,
                          .index = index,
                          .keys = key,
                          .n_keys = 1,
                          .vals_per_key = n_key,
                          .cols = cols};

    return pim_lease_note(lease, lease->ops->get(lease->conn, &lease->call, &get, row, ctx, err));
}

int
pim_rec_get_many(struct pim_lease *lease, uint32_t kind, const int64_t *ids, uint32_t n_ids, uint64_t cols,
                 pim_row_fn row, void *ctx, struct pim_err *err)
{
    struct pim_val keys[64];

    for (uint32_t from = 0; from < n_ids; from += (uint32_t)PIM_COUNT(keys)) {
        uint32_t n = n_ids - from < PIM_COUNT(keys) ? n_ids - from : (uint32_t)PIM_COUNT(keys);
        struct pim_get get = {.struct_size = sizeof get,
                              .kind = kind,
                              .keys = keys,
                              .n_keys = n,
                              .vals_per_key = 1,
                              .cols = cols};
        int rc;

        for (uint32_t i = 0; i < n; i++)
            keys[i] = pim_v_int(ids[from + i]);
        rc = pim_lease_note(lease, lease->ops->get(lease->conn, &lease->call, &get, row, ctx, err));
        if (rc < 0)
            return rc;
    }
    return PIM_OK;
}

int
pim_rec_list(struct pim_lease *lease, struct pim_query *query, pim_row_fn row, void *ctx, struct pim_err *err)
{
    query->struct_size = sizeof *query;
    return pim_lease_note(lease, lease->ops->list(lease->conn, &lease->call, query, row, ctx, err));
}

void
pim_v_copy(char *dst, size_t dst_size, const struct pim_val *val)
{
    size_t n = val->type == PIM_TEXT || val->type == PIM_BYTES ? val->len : 0;

    if (n > dst_size - 1)
        n = dst_size - 1;
    if (n > 0)
        memcpy(dst, val->u.p, n);
    dst[n] = '\0';
}

void
pim_changes_init(struct pim_changes *changes)
{
    changes->n = 0;
    changes->failed = 0;
}

uint32_t
pim_changes_add(struct pim_changes *changes, uint16_t verb, uint32_t kind, uint32_t index, uint16_t flags)
{
    uint32_t at = changes->n;

    if (at == PIM_WRITES_MAX)
        abort();
    changes->writes[at] = (struct pim_write){.struct_size = sizeof(struct pim_write),
                                             .kind = kind,
                                             .index = index,
                                             .verb = verb,
                                             .flags = flags,
                                             .key = changes->keys[at],
                                             .cells = changes->cells[at],
                                             .conds = changes->conds[at]};
    changes->n++;
    return at;
}

static struct pim_write *
last(struct pim_changes *changes)
{
    if (changes->n == 0)
        abort();
    return &changes->writes[changes->n - 1];
}

void
pim_changes_key(struct pim_changes *changes, struct pim_val val)
{
    struct pim_write *write = last(changes);

    if (write->n_key == PIM_COUNT(changes->keys[0]))
        abort();
    changes->keys[changes->n - 1][write->n_key++] = val;
}

void
pim_changes_cell(struct pim_changes *changes, uint16_t col, uint16_t verb, struct pim_val val)
{
    struct pim_write *write = last(changes);

    if (write->n_cells == PIM_COUNT(changes->cells[0]))
        abort();
    changes->cells[changes->n - 1][write->n_cells++] = (struct pim_cell){.col = col, .verb = verb, .val = val};
}

void
pim_changes_cond(struct pim_changes *changes, uint16_t col, uint16_t op, struct pim_val val)
{
    struct pim_write *write = last(changes);

    if (write->n_conds == PIM_COUNT(changes->conds[0]))
        abort();
    changes->conds[changes->n - 1][write->n_conds++] = pim_cond(col, op, val);
}

void
pim_changes_on_dup(struct pim_changes *changes, uint64_t cols)
{
    last(changes)->on_dup = cols;
}

int
pim_changes_run(struct pim_changes *changes, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_apply apply = {.struct_size = sizeof apply,
                              .write_size = sizeof(struct pim_write),
                              .n_writes = changes->n,
                              .writes = changes->writes};
    int rc;

    if (changes->n == 0)
        return PIM_OK;
    rc = pim_lease_note(lease, lease->ops->apply(lease->conn, &lease->call, &apply, NULL, NULL, err));
    changes->failed = apply.failed;
    return rc;
}
