#include "im/window.h"

#include "data/schema.h"
#include "im/history.h"
#include "im/im_priv.h"
#include "util/mem.h"

#include <string.h>

struct member_row {
    int64_t group_id, joined_seq, left_seq;
    bool is_delete;
};

static void
member_read(struct member_row *m, const struct pim_val *v)
{
    *m = (struct member_row){v[0].u.i, v[2].u.i, v[3].u.i, v[1].u.i != 0};
}

#define MEMBER_COLS                                                                                                    \
    (PIM_COL(PIM_MEMBER_GROUP) | PIM_COL(PIM_MEMBER_IS_DELETE) | PIM_COL(PIM_MEMBER_JOINED_SEQ) |                       \
     PIM_COL(PIM_MEMBER_LEFT_SEQ))

static struct pim_window
member_window(const struct pim_im *im, const struct member_row *m)
{
    struct pim_window window = {.conv = pim_conv_group(m->group_id), .from_seq = 1, .to_seq = INT64_MAX};

    if (!pim_im_config(im)->history_before_join)
        window.from_seq = m->joined_seq + 1;
    if (m->is_delete && m->left_seq > 0)
        window.to_seq = m->left_seq;
    return window;
}

static int32_t
on_member(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    member_read(ctx, vals);
    return 0;
}

int
pim_window_load(struct pim_im *im, struct pim_lease *lease, int64_t user_id, const struct pim_conv *conv,
                struct pim_window *out_window, struct pim_err *err)
{
    struct pim_val key[2] = {pim_v_int(conv->a), pim_v_int(user_id)};
    struct member_row member = {0};
    int rc;

    switch (conv->kind) {
    case 'u':
        if (user_id != conv->a && user_id != conv->b)
            return PIM_REFUSED;
        break;
    case 'e':
        if (user_id != conv->a)
            return PIM_REFUSED;
        break;
    case 'g':
        rc = pim_rec_get(lease, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, key, 2, MEMBER_COLS, on_member, &member, err);
        if (rc < 0)
            return rc;
        if (member.group_id == 0)
            return PIM_REFUSED;
        *out_window = member_window(im, &member);
        return PIM_OK;
    default:
        return PIM_REFUSED;
    }
    *out_window = (struct pim_window){.conv = *conv, .from_seq = 1, .to_seq = INT64_MAX};
    return PIM_OK;
}

/* --- all of a user's ------------------------------------------------------------------------------------------- */

struct list {
    const struct pim_im *im;
    int64_t user_id;
    struct pim_window *windows;
    uint32_t n, cap;
};

static void
add(struct list *list, struct pim_window window)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->windows = pim_renew(list->windows, list->cap, sizeof *list->windows);
    }
    list->windows[list->n++] = window;
}

static int32_t
on_peer(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct list *list = ctx;

    (void)item;
    (void)n_vals;
    add(list, (struct pim_window){
                  .conv = pim_conv_users(list->user_id, vals[0].u.i), .from_seq = 1, .to_seq = INT64_MAX});
    return 0;
}

static int32_t
on_membership(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct list *list = ctx;
    struct member_row member;

    (void)item;
    (void)n_vals;
    member_read(&member, vals);
    add(list, member_window(list->im, &member));
    return 0;
}

int
pim_conv_compare(const struct pim_conv *x, const struct pim_conv *y)
{
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static int
compare_windows(const void *x, const void *y)
{
    return pim_conv_compare(&((const struct pim_window *)x)->conv, &((const struct pim_window *)y)->conv);
}

int
pim_window_list(struct pim_im *im, struct pim_lease *lease, int64_t user_id, struct pim_window **out_windows,
                uint32_t *out_n, struct pim_err *err)
{
    struct list list = {.im = im, .user_id = user_id};
    struct pim_val id = pim_v_int(user_id);
    struct pim_query peers = {.kind = PIM_K_RELATION,
                              .index = PIM_REL_BY_PAIR,
                              .prefix = &id,
                              .n_prefix = 1,
                              .cols = PIM_COL(PIM_REL_PEER)};
    struct pim_query groups = {
        .kind = PIM_K_MEMBER, .index = PIM_MEMBER_BY_USER, .prefix = &id, .n_prefix = 1, .cols = MEMBER_COLS};
    int rc;

    add(&list, (struct pim_window){.conv = pim_conv_events(user_id), .from_seq = 1, .to_seq = INT64_MAX});
    add(&list, (struct pim_window){.conv = pim_conv_users(user_id, user_id), .from_seq = 1, .to_seq = INT64_MAX});
    rc = pim_rec_list(lease, &peers, on_peer, &list, err);
    if (rc >= 0)
        rc = pim_rec_list(lease, &groups, on_membership, &list, err);
    if (rc < 0) {
        free(list.windows);
        return rc;
    }
    qsort(list.windows, list.n, sizeof *list.windows, compare_windows);
    *out_windows = list.windows;
    *out_n = list.n;
    return PIM_OK;
}

/* --- the groups that a connection listens to ----------------------------------------------------------------------- */

struct listing {
    struct pim_job job;
    int64_t user_id;
    pim_groups_fn fn;
    void *ctx;
    int rc;
    int64_t *ids;
    uint32_t n, cap;
};

static int32_t
on_group_id(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct listing *l = ctx;

    (void)item;
    (void)n_vals;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->ids = pim_renew(l->ids, l->cap, sizeof *l->ids);
    }
    l->ids[l->n++] = vals[0].u.i;
    return 0;
}

static void
listing_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct listing *l = (struct listing *)job;
    struct pim_val id = pim_v_int(l->user_id);
    struct pim_cond alive = pim_cond(PIM_MEMBER_IS_DELETE, PIM_EQ, pim_v_int(0));
    struct pim_query query = {.kind = PIM_K_MEMBER,
                              .index = PIM_MEMBER_BY_USER,
                              .prefix = &id,
                              .n_prefix = 1,
                              .conds = &alive,
                              .n_conds = 1,
                              .cols = PIM_COL(PIM_MEMBER_GROUP)};
    struct pim_err err = PIM_ERR_INIT;

    l->rc = failed != 0 ? failed : pim_rec_list(lease, &query, on_group_id, l, &err);
}

static void
listing_done(struct pim_job *job, int rc)
{
    struct listing *l = (struct listing *)job;

    if (rc < 0)
        l->rc = rc;
    l->fn(l->ctx, l->rc < 0 ? l->rc : PIM_OK, l->ids, l->n);
    free(l->ids);
    free(l);
}

void
pim_im_groups(struct pim_im *im, int64_t user_id, pim_groups_fn fn, void *ctx)
{
    struct listing *l = pim_new0(sizeof *l);
    int rc;

    l->user_id = user_id;
    l->fn = fn;
    l->ctx = ctx;
    l->job.run = listing_run;
    l->job.done = listing_done;
    rc = pim_data_post(im->data, PIM_POOL_RECORDS_READ, &l->job);
    if (rc != PIM_OK)
        listing_done(&l->job, rc);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

int32_t
pim_rows_take(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct pim_rows *rows = ctx;
    struct pim_row *row;

    (void)item;
    if (rows->body_bytes + rows->n * PIM_ROW_BYTES >= (rows->max_bytes ? rows->max_bytes : PIM_ROWS_BYTES) && rows->n > 0)
        return 1;
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 32;
        rows->rows = pim_renew(rows->rows, rows->cap, sizeof *rows->rows);
    }
    row = &rows->rows[rows->n++];
    *row = (struct pim_row){.conv = msg->conv,
                            .seq = msg->seq,
                            .ord = msg->ord,
                            .msg_id = msg->msg_id,
                            .sender_id = msg->sender_id,
                            .created_ms = msg->created_ms,
                            .type = msg->type,
                            .body_len = msg->body_len};
    memcpy(row->cid, msg->cid, 16);
    if (pim_row_is_private(row->type) && row->sender_id != rows->reader_id)
        pim_row_hide(row);
    if (row->body_len > 0) {
        if (rows->body_cap - rows->body_bytes < row->body_len) {
            rows->body_cap = 2 * (rows->body_bytes + row->body_len) + 4096;
            rows->bodies = pim_renew(rows->bodies, rows->body_cap, 1);
        }
        memcpy(rows->bodies + rows->body_bytes, msg->body, row->body_len);
        rows->body_bytes += row->body_len;
    }
    return 0;
}

void
pim_rows_seal(struct pim_rows *rows)
{
    const char *at = rows->bodies;

    for (uint32_t i = 0; i < rows->n; i++) {
        rows->rows[i].body = at;
        if (at != NULL)
            at += rows->rows[i].body_len;
    }
}

void
pim_rows_fini(struct pim_rows *rows)
{
    free(rows->rows);
    free(rows->bodies);
    *rows = (struct pim_rows){0};
}
