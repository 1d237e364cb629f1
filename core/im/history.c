#include "im/history.h"

#include "im/im_priv.h"
#include "im/window.h"
#include "util/mem.h"

struct reading {
    struct pim_job job;
    struct pim_im *im;
    int64_t user_id;
    struct pim_conv conv;
    int64_t from_seq, to_seq; /* wanted, then what of it may be read */
    uint32_t limit;
    bool descending;
    pim_im_page_fn fn;
    void *ctx;
    int rc;
    struct pim_rows rows;
    bool more;
    int64_t floor_seq;
};

static void
answer(struct reading *r)
{
    struct pim_im_page page;

    pim_rows_seal(&r->rows);
    page = (struct pim_im_page){.rc = r->rc, .more = r->more, .floor_seq = r->floor_seq};
    if (r->rc == PIM_OK) {
        page.rows = r->rows.rows;
        page.n_rows = r->rows.n;
    }
    r->fn(r->ctx, &page);
    pim_rows_fini(&r->rows);
    free(r);
}

static void
rows_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct reading *r = (struct reading *)job;
    struct pim_head head = {.conv = r->conv};
    struct pim_history page = {.struct_size = sizeof page,
                               .flags = r->descending ? PIM_H_DESC : 0,
                               .conv = r->conv,
                               .from_seq = r->from_seq,
                               .to_seq = r->to_seq,
                               .limit = r->limit};
    struct pim_err err = PIM_ERR_INIT;
    int64_t last;

    r->rc = failed;
    if (failed != 0)
        return;
    r->rc = pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, &head, 1, sizeof head, &err));
    if (r->rc < 0 || head.head_seq == 0) {
        r->rc = r->rc < 0 ? r->rc : PIM_OK;
        return;
    }
    r->floor_seq = head.floor_seq;
    if (page.from_seq <= head.floor_seq)
        page.from_seq = head.floor_seq + 1;
    if (page.to_seq > head.head_seq)
        page.to_seq = head.head_seq;
    if (page.from_seq > page.to_seq) {
        r->rc = PIM_OK;
        return;
    }
    r->rc = pim_lease_note(lease,
                           lease->ops->history(lease->conn, &lease->call, &page, pim_rows_take, &r->rows, &err));
    if (r->rc < 0)
        return;
    r->rc = PIM_OK;
    last = r->rows.n > 0 ? r->rows.rows[r->rows.n - 1].seq : 0;
    r->more = last != 0 && (r->descending ? last > page.from_seq : last < page.to_seq);
}

static void
on_rows_done(struct pim_job *job, int rc)
{
    struct reading *r = (struct reading *)job;

    if (rc < 0)
        r->rc = rc;
    answer(r);
}

static void
window_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct reading *r = (struct reading *)job;
    struct pim_window window;
    struct pim_err err = PIM_ERR_INIT;

    r->rc = failed;
    if (failed == 0)
        r->rc = pim_window_load(r->im, lease, r->user_id, &r->conv, &window, &err);
    if (r->rc != PIM_OK)
        return;
    if (r->from_seq < window.from_seq)
        r->from_seq = window.from_seq;
    if (r->to_seq > window.to_seq)
        r->to_seq = window.to_seq;
}

static void
window_done(struct pim_job *job, int rc)
{
    struct reading *r = (struct reading *)job;

    if (rc < 0)
        r->rc = rc;
    if (r->rc == PIM_OK && r->from_seq <= r->to_seq) {
        r->job.run = rows_run;
        r->job.done = on_rows_done;
        rc = pim_data_post(r->im->data, PIM_POOL_MESSAGES_READ, &r->job);
        if (rc == PIM_OK)
            return; /* it may be answered and gone by now */
        r->rc = rc;
    }
    answer(r);
}

static void
read_begin(struct pim_im *im, int64_t user_id, const struct pim_conv *conv, int64_t from_seq, int64_t to_seq, uint32_t limit,
           bool descending, pim_im_page_fn fn, void *ctx)
{
    struct reading *r = pim_new0(sizeof *r);
    int rc;

    *r = (struct reading){.im = im,
                          .user_id = user_id,
                          .conv = *conv,
                          .from_seq = from_seq,
                          .to_seq = to_seq,
                          .limit = limit,
                          .descending = descending,
                          .fn = fn,
                          .ctx = ctx};
    r->rows.reader_id = user_id;
    r->job.run = window_run;
    r->job.done = window_done;
    rc = pim_data_post(im->data, PIM_POOL_RECORDS_READ, &r->job);
    if (rc != PIM_OK) {
        r->rc = rc;
        answer(r);
    }
}

void
pim_im_history(struct pim_im *im, int64_t user_id, const struct pim_conv *conv, int64_t before, int64_t after,
               uint32_t limit, pim_im_page_fn fn, void *ctx)
{
    read_begin(im, user_id, conv, after + 1, before > 0 ? before - 1 : INT64_MAX, limit, true, fn, ctx);
}

void
pim_im_follow(struct pim_im *im, int64_t user_id, const struct pim_conv *conv, int64_t from_seq, uint32_t limit,
              pim_im_page_fn fn, void *ctx)
{
    read_begin(im, user_id, conv, from_seq, INT64_MAX, limit, false, fn, ctx);
}
