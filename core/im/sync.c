#include "im/sync.h"

#include "im/im_priv.h"
#include "im/position.h"
#include "im/window.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define HEADS_AT_ONCE 256

struct entry { /* one conversation that may be in the answer */
    struct pim_window window;
    int64_t have_seq, have_id; /* have_seq -1: not named */
    struct pim_mark device, user;
};

struct syncing {
    struct pim_job job;
    struct pim_im *im;
    struct pim_sync_request request;
    pim_sync_fn fn;
    void *ctx;
    int rc;
    struct entry *entries;
    uint32_t n_entries;
    struct pim_sync_part *parts;
    struct pim_rows *rows; /* of each part */
    uint32_t n_parts;
    size_t bytes;
    bool has_next;
    struct pim_conv next;
};

static void
answer(struct syncing *s)
{
    struct pim_sync_answer a = {.rc = s->rc, .has_next = s->has_next, .next = s->next};

    for (uint32_t i = 0; i < s->n_parts; i++) {
        pim_rows_seal(&s->rows[i]);
        s->parts[i].rows = s->rows[i].rows;
        s->parts[i].n_rows = s->rows[i].n;
    }
    if (s->rc == PIM_OK) {
        a.parts = s->parts;
        a.n_parts = s->n_parts;
    }
    s->fn(s->ctx, &a);
    for (uint32_t i = 0; i < s->n_parts; i++)
        pim_rows_fini(&s->rows[i]);
    free(s->parts);
    free(s->rows);
    free(s->entries);
    free(s->request.known);
    free(s);
}

/* --- first the records: which conversations, what may be read, how far it has been ---------------------------------- */

static struct entry *
find(struct syncing *s, const struct pim_conv *conv)
{
    uint32_t low = 0, high = s->n_entries;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = pim_conv_compare(&s->entries[mid].window.conv, conv);

        if (order == 0)
            return &s->entries[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int
on_device_mark(void *ctx, const struct pim_mark *mark)
{
    struct entry *entry = find(ctx, &mark->conv);

    if (entry != NULL)
        entry->device = *mark;
    return 0;
}

static int
on_user_mark(void *ctx, const struct pim_mark *mark)
{
    struct entry *entry = find(ctx, &mark->conv);

    if (entry != NULL)
        entry->user = *mark;
    return 0;
}

static int
compare_entries(const void *x, const void *y)
{
    return pim_conv_compare(&((const struct entry *)x)->window.conv, &((const struct entry *)y)->window.conv);
}

static bool
wanted(const struct syncing *s, const struct pim_conv *conv)
{
    return !s->request.has_after || pim_conv_compare(conv, &s->request.after) > 0;
}

/* The named ones alone; those that the user may not read have no entry and so no answer. */
static int
entries_named(struct syncing *s, struct pim_lease *lease, struct pim_err *err)
{
    uint32_t n = 0;

    s->entries = pim_new0((s->request.n_known + 1) * sizeof *s->entries);
    for (uint32_t i = 0; i < s->request.n_known; i++) {
        const struct pim_conv *conv = &s->request.known[i].conv;
        int rc = wanted(s, conv) ? pim_window_load(s->im, lease, s->request.user_id, conv, &s->entries[s->n_entries].window, err)
                                 : PIM_REFUSED;

        if (rc < 0)
            return rc;
        if (rc == PIM_OK)
            s->n_entries++;
    }
    qsort(s->entries, s->n_entries, sizeof *s->entries, compare_entries);
    for (uint32_t i = 0; i < s->n_entries; i++) /* one that is named twice is one */
        if (n == 0 || compare_entries(&s->entries[n - 1], &s->entries[i]) != 0)
            s->entries[n++] = s->entries[i];
    s->n_entries = n;
    return PIM_OK;
}

static int
entries_all(struct syncing *s, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_window *windows = NULL;
    uint32_t n = 0;
    int rc = pim_window_list(s->im, lease, s->request.user_id, &windows, &n, err);

    if (rc < 0)
        return rc;
    s->entries = pim_new0((n + 1) * sizeof *s->entries);
    for (uint32_t i = 0; i < n; i++)
        if (wanted(s, &windows[i].conv))
            s->entries[s->n_entries++].window = windows[i];
    free(windows);
    return PIM_OK;
}

static void
marks_overlay(struct syncing *s)
{
    for (uint32_t i = 0; i < s->n_entries; i++) {
        struct entry *entry = &s->entries[i];

        entry->have_seq = -1;
        entry->device.user_id = entry->user.user_id = s->request.user_id;
        entry->device.conv = entry->user.conv = entry->window.conv;
        memcpy(entry->device.device, s->request.device, sizeof entry->device.device);
        pim_position_overlay(s->im, &entry->device);
        pim_position_overlay(s->im, &entry->user);
        if (s->request.from_marks)
            entry->have_seq = entry->device.seq;
    }
}

static void
records_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct syncing *s = (struct syncing *)job;
    struct pim_err err = PIM_ERR_INIT;

    s->rc = failed;
    if (failed != 0)
        return;
    s->rc = s->request.only ? entries_named(s, lease, &err) : entries_all(s, lease, &err);
    if (s->rc >= 0)
        s->rc = pim_position_list(lease, s->request.user_id, s->request.device, on_device_mark, s, &err);
    if (s->rc >= 0)
        s->rc = pim_position_list(lease, s->request.user_id, "", on_user_mark, s, &err);
    if (s->rc < 0)
        return;
    s->rc = PIM_OK;
    marks_overlay(s);
    for (uint32_t i = 0; i < s->request.n_known; i++) {
        struct entry *entry = find(s, &s->request.known[i].conv);

        if (entry != NULL) {
            entry->have_seq = s->request.known[i].seq;
            entry->have_id = s->request.known[i].msg_id;
        }
    }
}

/* --- then the messages ------------------------------------------------------------------------------------------- */

/* Rows from_seq..to_seq into rows; the first `skip` of them are only looked at. */
static int
read_rows(struct syncing *s, struct pim_lease *lease, struct pim_rows *rows, const struct pim_conv *conv, int64_t from_seq,
          int64_t to_seq, uint32_t limit, struct pim_err *err)
{
    struct pim_history page = {.struct_size = sizeof page,
                               .conv = *conv,
                               .from_seq = from_seq,
                               .to_seq = to_seq,
                               .limit = limit};

    rows->reader_id = s->request.user_id;
    rows->max_bytes = s->request.max_bytes;
    return pim_lease_note(lease, lease->ops->history(lease->conn, &lease->call, &page, pim_rows_take, rows, err));
}

static int32_t
on_one(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct pim_row *row = ctx;

    (void)item;
    row->seq = msg->seq;
    row->ord = msg->ord;
    row->msg_id = msg->msg_id;
    return 1;
}

/* The numbers of one row; row->seq stays 0 if it is not there. */
static int
look_at(struct pim_lease *lease, const struct pim_conv *conv, int64_t seq, struct pim_row *row, struct pim_err *err)
{
    struct pim_history page = {
        .struct_size = sizeof page, .conv = *conv, .from_seq = seq, .to_seq = seq, .limit = 1};

    return pim_lease_note(lease, lease->ops->history(lease->conn, &lease->call, &page, on_one, row, err));
}

static int
put_part(struct syncing *s, struct pim_lease *lease, struct entry *entry, const struct pim_head *head, struct pim_err *err)
{
    const struct pim_window *window = &entry->window;
    int64_t low = window->from_seq > head->floor_seq + 1 ? window->from_seq : head->floor_seq + 1; /* oldest to be had */
    int64_t high = window->to_seq < head->head_seq ? window->to_seq : head->head_seq;
    struct pim_sync_part *part = &s->parts[s->n_parts];
    struct pim_rows *rows = &s->rows[s->n_parts];
    uint32_t limit = s->request.limit;
    int rc;

    *part = (struct pim_sync_part){.conv = window->conv,
                                   .head_seq = high,
                                   .head_ord = head->head_ord,
                                   .head_id = head->head_msg_id,
                                   .floor_seq = low - 1,
                                   .read_seq = entry->user.read_seq,
                                   .read_ord = entry->user.read_ord,
                                   .delivered_seq = entry->device.seq};
    if (high < low)
        return PIM_OK; /* nothing in it for this user */
    if (entry->have_seq > 0 && !s->request.from_marks) {
        /* is it the row that the device thinks it is? */
        struct pim_row row = {0};

        rc = entry->have_seq <= high && entry->have_seq >= low ? look_at(lease, &window->conv, entry->have_seq, &row, err)
                                                              : PIM_OK;
        if (rc < 0)
            return rc;
        if (entry->have_seq > high || (row.seq != 0 && row.msg_id != entry->have_id)) {
            part->reset = true;
            entry->have_seq = -1;
        } else if (entry->have_seq == high) {
            return PIM_OK; /* it has all */
        }
    } else if (s->request.from_marks && entry->have_seq >= high) {
        s->n_parts++; /* no rows, but whoever follows the conversation must know where it stands */
        return PIM_OK;
    }
    if (high < head->head_seq) {
        /* one who left: the head is where the reading ends */
        struct pim_row row = {0};

        rc = look_at(lease, &window->conv, high, &row, err);
        if (rc < 0)
            return rc;
        part->head_ord = row.ord;
        part->head_id = row.msg_id;
    }
    if (low > 1 && part->read_seq < low - 1) {
        /* what was said before the joining was never unread */
        struct pim_row row = {0};

        rc = look_at(lease, &window->conv, low - 1, &row, err);
        if (rc < 0)
            return rc;
        if (row.ord > part->read_ord)
            part->read_ord = row.ord;
        part->read_seq = low - 1;
    }
    part->unread = part->head_ord > part->read_ord ? part->head_ord - part->read_ord : 0;
    if (entry->have_seq < 0) /* not named: the newest */
        part->from_seq = high - limit + 1 > low ? high - limit + 1 : low;
    else
        part->from_seq = entry->have_seq + 1 > low ? entry->have_seq + 1 : low;
    rc = read_rows(s, lease, rows, &window->conv, part->from_seq, high, limit, err);
    if (rc < 0)
        return rc;
    part->more = rows->n > 0 && rows->rows[rows->n - 1].seq < high;
    s->bytes += rows->body_bytes + rows->n * PIM_ROW_BYTES;
    s->n_parts++;
    return PIM_OK;
}

static int
put_parts(struct syncing *s, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_head heads[HEADS_AT_ONCE];
    int rc = PIM_OK;

    for (uint32_t first = 0; first < s->n_entries && rc >= 0; first += HEADS_AT_ONCE) {
        uint32_t n = s->n_entries - first < HEADS_AT_ONCE ? s->n_entries - first : HEADS_AT_ONCE;

        memset(heads, 0, n * sizeof heads[0]);
        for (uint32_t i = 0; i < n; i++)
            heads[i].conv = s->entries[first + i].window.conv;
        rc = pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, heads, n, sizeof heads[0], err));
        for (uint32_t i = 0; i < n && rc >= 0; i++) {
            if (heads[i].head_seq == 0)
                continue;
            if (s->n_parts == PIM_SYNC_PARTS || s->bytes > s->request.max_bytes) {
                s->has_next = true;
                s->next = s->parts[s->n_parts - 1].conv;
                return PIM_OK;
            }
            rc = put_part(s, lease, &s->entries[first + i], &heads[i], err);
        }
    }
    return rc;
}

static void
messages_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct syncing *s = (struct syncing *)job;
    struct pim_err err = PIM_ERR_INIT;

    s->rc = failed;
    if (failed != 0)
        return;
    s->parts = pim_new0(PIM_SYNC_PARTS * sizeof *s->parts);
    s->rows = pim_new0(PIM_SYNC_PARTS * sizeof *s->rows);
    s->rc = put_parts(s, lease, &err);
    if (s->rc > 0)
        s->rc = PIM_OK;
}

static void
messages_done(struct pim_job *job, int rc)
{
    struct syncing *s = (struct syncing *)job;

    if (rc < 0)
        s->rc = rc;
    answer(s);
}

static void
records_done(struct pim_job *job, int rc)
{
    struct syncing *s = (struct syncing *)job;

    if (rc < 0)
        s->rc = rc;
    if (s->rc == PIM_OK) {
        s->job.run = messages_run;
        s->job.done = messages_done;
        rc = pim_data_post(s->im->data, PIM_POOL_MESSAGES_READ, &s->job);
        if (rc == PIM_OK)
            return; /* it may be answered and gone by now */
        s->rc = rc;
    }
    answer(s);
}

void
pim_im_sync(struct pim_im *im, const struct pim_sync_request *request, pim_sync_fn fn, void *ctx)
{
    struct syncing *s = pim_new0(sizeof *s);
    int rc;

    s->im = im;
    s->request = *request;
    if (s->request.max_bytes == 0 || s->request.max_bytes > PIM_SYNC_BYTES)
        s->request.max_bytes = PIM_SYNC_BYTES;
    s->fn = fn;
    s->ctx = ctx;
    s->job.run = records_run;
    s->job.done = records_done;
    rc = pim_data_post(im->data, PIM_POOL_RECORDS_READ, &s->job);
    if (rc != PIM_OK) {
        s->rc = rc;
        answer(s);
    }
}
