/* After a restore of the messages (storage-abi 3.8): marks of the records may stand above heads that have gone back. They are
 * lowered to them once, before anything is served; else rows to come under the old numbers would count as received. */
#include "im/im_priv.h"

#include "data/rec.h"
#include "data/schema.h"
#include "data/wait.h"
#include "util/mem.h"

#include <string.h>

#define PAGE PIM_WRITES_MAX
#define EPOCH_NAME "marks_epoch" /* that of the messages which the marks are about */

struct stored_mark {
    int64_t user_id, seq, ord, read_seq, read_ord;
    char device[64];
    struct pim_head head;
};

struct restoring {
    struct pim_im *im;
    int64_t known_epoch, epoch; /* 0: a new store */
    struct stored_mark marks[PAGE];
    uint32_t n;
    bool more;
};

static int32_t
on_epoch(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    ((struct restoring *)ctx)->known_epoch = vals[0].u.i;
    return 0;
}

static int
epoch_read(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_val name = pim_v_text(EPOCH_NAME);
    int rc = pim_rec_get(lease, PIM_K_META, PIM_META_BY_NAME, &name, 1, PIM_COL(PIM_META_NUM), on_epoch, ctx, err);

    return rc < 0 ? rc : PIM_OK;
}

static int
epoch_write(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct restoring *r = ctx;
    struct pim_changes changes;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_UPSERT, PIM_K_META, PIM_META_BY_NAME, 0);
    pim_changes_key(&changes, pim_v_text(EPOCH_NAME));
    pim_changes_cell(&changes, PIM_META_NAME, PIM_SET, pim_v_text(EPOCH_NAME));
    pim_changes_cell(&changes, PIM_META_NUM, PIM_SET, pim_v_int(r->epoch));
    pim_changes_cell(&changes, PIM_META_BLOB, PIM_SET, pim_v_bytes("", 0));
    pim_changes_on_dup(&changes, PIM_COL(PIM_META_NUM));
    return pim_changes_run(&changes, lease, err);
}

static int32_t
on_mark(void *ctx, uint32_t item, const struct pim_val *v, uint32_t n_vals)
{
    struct restoring *r = ctx;
    struct stored_mark *mark = &r->marks[r->n++];

    (void)item;
    (void)n_vals;
    *mark = (struct stored_mark){.user_id = v[PIM_POS_USER].u.i,
                                 .seq = v[PIM_POS_SEQ].u.i,
                                 .ord = v[PIM_POS_ORD].u.i,
                                 .read_seq = v[PIM_POS_READ_SEQ].u.i,
                                 .read_ord = v[PIM_POS_READ_ORD].u.i};
    mark->head.conv =
        (struct pim_conv){.kind = (int32_t)v[PIM_POS_KIND].u.i, .a = v[PIM_POS_A].u.i, .b = v[PIM_POS_B].u.i};
    pim_v_copy(mark->device, sizeof mark->device, &v[PIM_POS_DEVICE]);
    return 0;
}

/* The next page of marks after the last one. */
static int
marks_read(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct restoring *r = ctx;
    struct stored_mark last = r->n > 0 ? r->marks[r->n - 1] : (struct stored_mark){0};
    struct pim_val after[5] = {pim_v_int(last.user_id), pim_v_text(last.device), pim_v_int(last.head.conv.kind),
                               pim_v_int(last.head.conv.a), pim_v_int(last.head.conv.b)};
    struct pim_query query = {.kind = PIM_K_POSITION,
                              .index = PIM_POS_BY_KEY,
                              .after = after,
                              .n_after = r->n > 0 ? 5 : 0,
                              .limit = PAGE,
                              .cols = PIM_COLS_ALL(PIM_POS_COLS)};
    int rc;

    r->n = 0;
    rc = pim_rec_list(lease, &query, on_mark, r, err);
    r->more = rc == PIM_MORE;
    return rc < 0 ? rc : PIM_OK;
}

static int
heads_read(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct restoring *r = ctx;
    int rc = pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, &r->marks[0].head, r->n,
                                                     sizeof r->marks[0], err));

    return rc < 0 ? rc : PIM_OK;
}

static int
marks_write(void *ctx, struct pim_lease *lease, struct pim_err *err)
{
    struct restoring *r = ctx;
    struct pim_changes *changes = pim_new(sizeof *changes);
    int rc;

    pim_changes_init(changes);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct stored_mark *mark = &r->marks[i];
        bool above = mark->seq > mark->head.head_seq, read_above = mark->read_seq > mark->head.head_seq;

        pim_changes_add(changes, PIM_W_UPDATE, PIM_K_POSITION, PIM_POS_BY_KEY, 0);
        pim_changes_key(changes, pim_v_int(mark->user_id));
        pim_changes_key(changes, pim_v_text(mark->device));
        pim_changes_key(changes, pim_v_int(mark->head.conv.kind));
        pim_changes_key(changes, pim_v_int(mark->head.conv.a));
        pim_changes_key(changes, pim_v_int(mark->head.conv.b));
        pim_changes_cell(changes, PIM_POS_SEQ, PIM_SET, pim_v_int(above ? mark->head.head_seq : mark->seq));
        pim_changes_cell(changes, PIM_POS_ORD, PIM_SET, pim_v_int(above ? mark->head.head_ord : mark->ord));
        pim_changes_cell(changes, PIM_POS_READ_SEQ, PIM_SET, pim_v_int(read_above ? mark->head.head_seq : mark->read_seq));
        pim_changes_cell(changes, PIM_POS_READ_ORD, PIM_SET, pim_v_int(read_above ? mark->head.head_ord : mark->read_ord));
        pim_changes_cell(changes, PIM_POS_EPOCH, PIM_SET, pim_v_int(r->epoch));
    }
    rc = pim_changes_run(changes, lease, err);
    free(changes);
    return rc;
}

static int
lower_all(struct restoring *r, struct pim_err *err)
{
    int rc;

    do {
        rc = pim_data_wait(r->im->data, PIM_POOL_RECORDS_READ, marks_read, r, err);
        if (rc == PIM_OK && r->n > 0)
            rc = pim_data_wait(r->im->data, PIM_POOL_MESSAGES_READ, heads_read, r, err);
        if (rc == PIM_OK && r->n > 0)
            rc = pim_data_wait(r->im->data, PIM_POOL_RECORDS_WRITE, marks_write, r, err);
    } while (rc == PIM_OK && r->more);
    return rc;
}

int
pim_im_restored(struct pim_im *im, struct pim_err *err)
{
    struct restoring *r = pim_new0(sizeof *r);
    int rc;

    r->im = im;
    r->epoch = pim_data_facts(im->data)->messages.epoch;
    rc = pim_data_wait(im->data, PIM_POOL_RECORDS_READ, epoch_read, r, err);
    if (rc == PIM_OK && r->known_epoch != r->epoch) {
        if (r->known_epoch != 0)
            rc = lower_all(r, err); /* a kill in the middle: done again at the next start */
        if (rc == PIM_OK)
            rc = pim_data_wait(im->data, PIM_POOL_RECORDS_WRITE, epoch_write, r, err);
    }
    free(r);
    return rc == PIM_OK || rc < 0 ? rc : pim_err_set(err, PIM_ERR_INTERNAL, "marks cannot be lowered: %s", pim_err_name(rc));
}
