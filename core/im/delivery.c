#include "im/delivery.h"

#include "im/im_priv.h"
#include "util/mem.h"

#include <string.h>

/* A thread's out-tray: one batch for each worker, NULL while there is nothing to say. */
struct tray {
    uint32_t n;
    struct pim_batch *batches[];
};

static pthread_key_t tray_key;
static pthread_once_t tray_once = PTHREAD_ONCE_INIT;
static _Thread_local struct tray *my_tray;

static void
tray_free(void *arg)
{
    struct tray *tray = arg;

    for (uint32_t i = 0; i < tray->n; i++)
        pim_batch_free(&tray->batches[i]);
    free(tray);
}

static void
tray_key_make(void)
{
    pthread_key_create(&tray_key, tray_free);
}

static struct tray *
tray_get(struct pim_im *im)
{
    if (my_tray == NULL || my_tray->n < im->sink.workers) {
        pthread_once(&tray_once, tray_key_make);
        my_tray = pim_renew(my_tray, 1, sizeof *my_tray + im->sink.workers * sizeof(struct pim_batch *));
        memset(my_tray, 0, sizeof *my_tray + im->sink.workers * sizeof(struct pim_batch *));
        my_tray->n = im->sink.workers;
        pthread_setspecific(tray_key, my_tray);
    }
    return my_tray;
}

void
pim_im_sink_set(struct pim_im *im, const struct pim_im_sink *sink)
{
    im->sink = *sink;
}

struct pim_batch *
pim_delivery_batch(struct pim_im *im, uint32_t worker)
{
    struct tray *tray = tray_get(im);

    if (tray->batches[worker] == NULL)
        tray->batches[worker] = pim_batch_new();
    return tray->batches[worker];
}

/* The worker has stopped: what it would have freed. */
static void
batch_drop(struct pim_batch **batch)
{
    struct pim_entry *entry;
    size_t at = 0;

    while ((entry = pim_batch_next(*batch, &at)) != NULL)
        if (entry->kind == PIM_ENTRY_RESULT)
            free(entry->u.send);
    pim_batch_free(batch);
}

void
pim_delivery_flush(struct pim_im *im)
{
    struct tray *tray = my_tray;

    for (uint32_t i = 0; tray != NULL && i < tray->n; i++) {
        struct pim_batch *batch = tray->batches[i];

        tray->batches[i] = NULL;
        if (batch != NULL && !im->sink.post(im->sink.ctx, i, batch))
            batch_drop(&batch);
    }
}

void
pim_delivery_result(struct pim_im *im, struct pim_im_send *send)
{
    pim_batch_add(pim_delivery_batch(im, send->worker), PIM_ENTRY_RESULT, 0, 0)->u.send = send;
}

void
pim_delivery_close(struct pim_im *im, const struct pim_peer *peer, int code)
{
    struct pim_entry *entry = pim_batch_add(pim_delivery_batch(im, peer->worker), PIM_ENTRY_CLOSE, 1, 0);

    entry->u.code = code;
    entry->refs[0] = peer->ref;
}

/* --- a committed row ------------------------------------------------------------------------------------------ */

static bool
is_from(const struct pim_im_send *origin, const struct pim_peer *peer)
{
    return origin != NULL && origin->worker == peer->worker && origin->from.slot == peer->ref.slot &&
           origin->from.gen == peer->ref.gen;
}

/* To all connections of one user but the one it came from (which gets the result). */
static void
row_to_user(struct pim_im *im, const struct pim_row *row, int64_t user_id, const struct pim_im_send *origin)
{
    struct pim_peer peers[PIM_PEERS_MAX];
    uint32_t n = pim_presence_list(im, user_id, peers);
    uint32_t left = n;

    for (uint32_t i = 0; i < n; i++)
        if (is_from(origin, &peers[i])) {
            peers[i].worker = UINT16_MAX;
            left--;
        }
    for (uint32_t first = 0; left > 0; first++) {
        uint16_t worker = peers[first].worker;
        struct pim_peer_ref refs[PIM_PEERS_MAX];
        struct pim_entry *entry;
        uint32_t n_refs = 0;

        if (worker == UINT16_MAX)
            continue;
        for (uint32_t i = first; i < n; i++)
            if (peers[i].worker == worker) {
                refs[n_refs++] = peers[i].ref;
                peers[i].worker = UINT16_MAX;
            }
        left -= n_refs;
        entry = pim_batch_add(pim_delivery_batch(im, worker), PIM_ENTRY_ROW, n_refs, row->body_len);
        memcpy(entry->refs, refs, n_refs * sizeof refs[0]);
        if (row->body_len > 0)
            memcpy(pim_entry_body(entry), row->body, row->body_len);
        entry->row = *row;
    }
}

static void
group_entry_to_user(struct pim_im *im, enum pim_entry_kind kind, int64_t group_id, int64_t user_id)
{
    struct pim_peer peers[PIM_PEERS_MAX];
    uint32_t n = pim_presence_list(im, user_id, peers);

    for (uint32_t i = 0; i < n; i++) {
        struct pim_entry *entry = pim_batch_add(pim_delivery_batch(im, peers[i].worker), kind, 1, 0);

        entry->u.group_id = group_id;
        entry->refs[0] = peers[i].ref;
    }
}

static void
row_to_group(struct pim_im *im, const struct pim_row *row, const struct pim_im_send *origin)
{
    for (uint32_t w = 0; w < im->sink.workers; w++) {
        bool here = origin != NULL && origin->worker == w;
        struct pim_entry *entry =
            pim_batch_add(pim_delivery_batch(im, w), PIM_ENTRY_GROUP_ROW, here ? 1 : 0, row->body_len);

        if (here)
            entry->refs[0] = origin->from;
        if (row->body_len > 0)
            memcpy(pim_entry_body(entry), row->body, row->body_len);
        entry->row = *row;
        if (row->type == PIM_ROW_GROUP_DISMISSED)
            pim_batch_add(pim_delivery_batch(im, w), PIM_ENTRY_DISMISS, 0, 0)->u.group_id = row->conv.a;
    }
    if (row->type == PIM_ROW_MEMBER_LEFT)
        group_entry_to_user(im, PIM_ENTRY_LEAVE, row->conv.a, pim_event_number(row->body, row->body_len, "user_id"));
}

void
pim_delivery_committed(void *ctx, uint32_t append_thread, struct pim_send *const *sends, uint32_t n)
{
    struct pim_im *im = ctx;

    (void)append_thread;
    for (uint32_t i = 0; i < n; i++) {
        const struct pim_send *send = sends[i];
        struct pim_im_send *origin = send->flags & PIM_SEND_EXEMPT ? NULL : (struct pim_im_send *)sends[i];
        struct pim_row row = {.conv = send->conv,
                              .seq = send->seq,
                              .ord = send->ord,
                              .msg_id = send->msg_id,
                              .sender_id = send->sender_id,
                              .created_ms = send->created_ms,
                              .type = send->type,
                              .body_len = send->body_len,
                              .body = send->body};
        struct pim_row other;

        memcpy(row.cid, send->cid, 16);
        if (origin != NULL)
            pim_delivery_result(im, origin); /* before the rows behind it */
        switch (row.conv.kind) {
        case 'u':
            other = row;
            if (pim_row_is_private(row.type))
                pim_row_hide(&other);
            row_to_user(im, row.conv.a == row.sender_id ? &row : &other, row.conv.a, origin);
            if (row.conv.b != row.conv.a)
                row_to_user(im, row.conv.b == row.sender_id ? &row : &other, row.conv.b, origin);
            break;
        case 'g':
            row_to_group(im, &row, origin);
            break;
        default:
            if (row.type == PIM_ROW_GROUP_JOINED)
                group_entry_to_user(im, PIM_ENTRY_JOIN, pim_event_number(row.body, row.body_len, "group_id"), row.conv.a);
            row_to_user(im, &row, row.conv.a, origin);
            break;
        }
    }
}
