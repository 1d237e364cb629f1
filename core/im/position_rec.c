/* Marks as they are stored: listing them, forgetting them. */
#include "im/position.h"

#include "data/rec.h"
#include "data/schema.h"
#include "util/mem.h"

#include <stdio.h>

struct list_ctx {
    const char *device;
    pim_mark_fn fn;
    void *ctx;
};

static int32_t
on_position(void *ctx, uint32_t item, const struct pim_val *v, uint32_t n_vals)
{
    struct list_ctx *list = ctx;
    struct pim_mark mark = {.user_id = v[PIM_POS_USER].u.i,
                            .conv = {.kind = (int32_t)v[PIM_POS_KIND].u.i, .a = v[PIM_POS_A].u.i, .b = v[PIM_POS_B].u.i},
                            .seq = v[PIM_POS_SEQ].u.i,
                            .ord = v[PIM_POS_ORD].u.i,
                            .read_seq = v[PIM_POS_READ_SEQ].u.i,
                            .read_ord = v[PIM_POS_READ_ORD].u.i};

    (void)item;
    (void)n_vals;
    snprintf(mark.device, sizeof mark.device, "%s", list->device);
    return list->fn(list->ctx, &mark);
}

int
pim_position_list(struct pim_lease *lease, int64_t user_id, const char *device, pim_mark_fn fn, void *ctx,
                  struct pim_err *err)
{
    struct pim_val prefix[2] = {pim_v_int(user_id), pim_v_text(device)};
    struct pim_query query = {.kind = PIM_K_POSITION,
                              .index = PIM_POS_BY_KEY,
                              .prefix = prefix,
                              .n_prefix = 2,
                              .cols = PIM_COLS_ALL(PIM_POS_COLS)};
    struct list_ctx list = {.device = device, .fn = fn, .ctx = ctx};

    return pim_rec_list(lease, &query, on_position, &list, err);
}

struct forget {
    struct pim_changes changes;
    int64_t user_id;
    const char *device;
    uint32_t n;
};

static int
on_forget(void *ctx, const struct pim_mark *mark)
{
    struct forget *forget = ctx;

    pim_changes_add(&forget->changes, PIM_W_DELETE, PIM_K_POSITION, PIM_POS_BY_KEY, 0);
    pim_changes_key(&forget->changes, pim_v_int(forget->user_id));
    pim_changes_key(&forget->changes, pim_v_text(forget->device));
    pim_changes_key(&forget->changes, pim_v_int(mark->conv.kind));
    pim_changes_key(&forget->changes, pim_v_int(mark->conv.a));
    pim_changes_key(&forget->changes, pim_v_int(mark->conv.b));
    return ++forget->n == PIM_WRITES_MAX;
}

int
pim_position_forget(struct pim_lease *lease, int64_t user_id, const char *device, struct pim_err *err)
{
    struct forget *forget = pim_new(sizeof *forget);
    int rc;

    forget->user_id = user_id;
    forget->device = device;
    do {
        forget->n = 0;
        pim_changes_init(&forget->changes);
        rc = pim_position_list(lease, user_id, device, on_forget, forget, err);
        if (rc >= 0 && forget->n > 0)
            rc = pim_changes_run(&forget->changes, lease, err);
    } while (rc >= 0 && forget->n == PIM_WRITES_MAX);
    free(forget);
    return rc < 0 ? rc : PIM_OK;
}
