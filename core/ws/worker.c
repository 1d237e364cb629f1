/* The io worker: its tables, its mails, its turns. */
#include "ws/conn.h"
#include "ws/mails.h"
#include "ws/old.h"
#include "ws/chat.h"

#include "im/delivery.h"
#include "im/history.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/rand.h"
#include "wire/writer.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMER_MS 250
#define TICKS_A_SECOND 4
#define RUN_MAX 512 /* entries of one group that are encoded together */
#define SCRATCH_BYTES (64u << 20)
#define NO_SLOT UINT32_MAX

/* --- connections ------------------------------------------------------------------------------------------------------ */

struct ws_conn *
ws_worker_find(struct ws_worker *w, struct pim_peer_ref ref)
{
    if (ref.slot >= w->n_slots || w->slots[ref.slot].gen != ref.gen)
        return NULL;
    return w->slots[ref.slot].conn;
}

static void
slot_take(struct ws_worker *w, struct ws_conn *conn)
{
    if (w->free_slot == NO_SLOT) {
        uint32_t n = w->n_slots ? w->n_slots * 2 : 64;

        w->slots = pim_renew(w->slots, n, sizeof *w->slots);
        for (uint32_t i = n; i > w->n_slots; i--) {
            w->slots[i - 1] = (struct ws_slot){.next_free = w->free_slot};
            w->free_slot = i - 1;
        }
        w->n_slots = n;
    }
    conn->slot = w->free_slot;
    w->free_slot = w->slots[conn->slot].next_free;
    conn->gen = ++w->slots[conn->slot].gen;
    w->slots[conn->slot].conn = conn;
    atomic_fetch_add_explicit(&w->n_conns, 1, memory_order_relaxed);
}

struct pim_peer
ws_conn_peer(const struct ws_conn *conn)
{
    return (struct pim_peer){
        .ref = {conn->slot, conn->gen}, .worker = conn->worker->number, .old = conn->is_old};
}

void
ws_worker_forget(struct ws_worker *w, struct ws_conn *conn)
{
    if (conn->is_present) {
        struct pim_peer peer = ws_conn_peer(conn);

        conn->is_present = false;
        pim_presence_remove(w->ws->im, conn->user_id, &peer);
    }
    while (conn->n_memberships > 0)
        ws_group_leave(conn, conn->memberships[conn->n_memberships - 1].group->id);
    ws_chat_claims_drop(conn);
    if (conn->state != WS_DEAD)
        return;
    w->slots[conn->slot].conn = NULL;
    w->slots[conn->slot].next_free = w->free_slot;
    w->free_slot = conn->slot;
    conn->next_dead = w->dead;
    w->dead = conn;
    atomic_fetch_sub_explicit(&w->n_conns, 1, memory_order_relaxed);
}

void
ws_worker_dirty(struct ws_worker *w, struct ws_conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    conn->next_dirty = w->dirty;
    w->dirty = conn;
}

struct pim_frame *
ws_worker_chunk(struct ws_worker *w, size_t bytes)
{
    struct pim_frame *chunk;

    if (bytes <= WS_CHUNK_BYTES && w->n_chunks > 0)
        return w->chunks[--w->n_chunks];
    if (bytes < WS_CHUNK_BYTES)
        bytes = WS_CHUNK_BYTES;
    chunk = pim_new(sizeof *chunk + bytes);
    chunk->refs = 1;
    chunk->len = (uint32_t)bytes;
    return chunk;
}

void
ws_worker_chunk_free(struct ws_worker *w, struct pim_frame **frame)
{
    struct pim_frame *chunk = *frame;

    if (chunk->len == WS_CHUNK_BYTES && w->n_chunks < WS_CHUNKS_KEPT &&
        atomic_load_explicit(&chunk->refs, memory_order_relaxed) == 1) {
        w->chunks[w->n_chunks++] = chunk;
        *frame = NULL;
        return;
    }
    pim_frame_unref(frame);
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

void
ws_group_join(struct ws_conn *conn, int64_t group_id)
{
    struct ws_worker *w = conn->worker;
    struct ws_group *group = pim_map_find(&w->groups, group_id);

    for (uint32_t i = 0; i < conn->n_memberships; i++)
        if (conn->memberships[i].group->id == group_id)
            return;
    if (conn->n_memberships == UINT16_MAX)
        return;
    if (group == NULL) {
        group = pim_new0(sizeof *group);
        group->id = group_id;
        pim_map_put(&w->groups, group_id, group);
    }
    if (group->n == group->cap) {
        group->cap = group->cap ? group->cap * 2 : 4;
        group->conns = pim_renew(group->conns, group->cap, sizeof *group->conns);
    }
    if (conn->n_memberships == conn->cap_memberships) {
        conn->cap_memberships = (uint16_t)(conn->cap_memberships ? conn->cap_memberships * 2 : 2);
        if (conn->cap_memberships < conn->n_memberships)
            conn->cap_memberships = UINT16_MAX;
        conn->memberships = pim_renew(conn->memberships, conn->cap_memberships, sizeof *conn->memberships);
    }
    conn->memberships[conn->n_memberships++] = (struct ws_membership){group, group->n};
    group->conns[group->n++] = conn;
}

void
ws_group_leave(struct ws_conn *conn, int64_t group_id)
{
    struct ws_worker *w = conn->worker;

    for (uint32_t i = 0; i < conn->n_memberships; i++) {
        struct ws_group *group = conn->memberships[i].group;
        uint32_t index = conn->memberships[i].index;
        struct ws_conn *moved;

        if (group->id != group_id)
            continue;
        moved = group->conns[--group->n];
        if (moved != conn) {
            group->conns[index] = moved;
            for (uint32_t k = 0; k < moved->n_memberships; k++)
                if (moved->memberships[k].group == group)
                    moved->memberships[k].index = index;
        }
        conn->memberships[i] = conn->memberships[--conn->n_memberships];
        if (group->n == 0) {
            pim_map_steal(&w->groups, group_id);
            free(group->conns);
            free(group);
        }
        return;
    }
}

static bool
is_member(const struct ws_conn *conn, const struct ws_group *group)
{
    for (uint32_t i = 0; i < conn->n_memberships; i++)
        if (conn->memberships[i].group == group)
            return true;
    return false;
}

/* --- batches ---------------------------------------------------------------------------------------------------------- */

static void
encode(struct ws_worker *w, const struct pim_row *row)
{
    pim_buf_clear(&w->scratch);
    pim_wire_put_row(&w->scratch, row);
}

static void
on_row(struct ws_worker *w, struct pim_entry *entry)
{
    bool encoded = false;

    for (uint32_t i = 0; i < entry->n_refs; i++) {
        struct ws_conn *conn = ws_worker_find(w, entry->refs[i]);

        if (conn == NULL)
            continue;
        if (conn->is_old) {
            ws_old_row(conn, &entry->row);
            continue;
        }
        if (!encoded) {
            encode(w, &entry->row);
            encoded = true;
        }
        if (conn->state == WS_OPEN)
            ws_conn_put(conn, PIM_WS_OP_TEXT, w->scratch.data, w->scratch.len);
    }
}

/* A run of rows of one group, with the results of its senders between them. */
struct group_run {
    struct pim_entry *entries[RUN_MAX];
    uint32_t from[RUN_MAX + 1]; /* where an entry's frame stands in the blob */
    struct ws_conn *special[RUN_MAX]; /* those who do not get everything: senders */
    uint32_t n, n_special;
};

static void
special_add(struct group_run *run, struct ws_conn *conn)
{
    for (uint32_t i = 0; i < run->n_special; i++)
        if (run->special[i] == conn)
            return;
    run->special[run->n_special++] = conn;
}

/* All frames of the run, one behind the other, in one shared buffer. */
static struct pim_frame *
run_encode(struct ws_worker *w, struct group_run *run)
{
    struct pim_frame *blob;
    struct pim_buf *all = &w->scratch;
    struct pim_buf text;

    pim_buf_init(&text, SCRATCH_BYTES);
    pim_buf_clear(all);
    for (uint32_t i = 0; i < run->n; i++) {
        uint8_t header[10];

        run->from[i] = (uint32_t)all->len;
        if (run->entries[i]->kind != PIM_ENTRY_GROUP_ROW)
            continue;
        pim_buf_clear(&text);
        pim_wire_put_row(&text, &run->entries[i]->row);
        pim_buf_add(all, header, pim_ws_frame_encode(header, PIM_WS_OP_TEXT, text.len));
        pim_buf_add(all, text.data, text.len);
    }
    run->from[run->n] = (uint32_t)all->len;
    pim_buf_fini(&text);
    blob = pim_new(sizeof *blob + all->len);
    blob->refs = 1;
    blob->len = (uint32_t)all->len;
    memcpy(blob->data, all->data, all->len);
    return blob;
}

/* One connection that does not simply get it all: results in their place, no row that it sent itself. */
static void
run_to_one(struct ws_conn *conn, struct group_run *run, struct pim_frame *blob, bool member)
{
    for (uint32_t i = 0; i < run->n; i++) {
        struct pim_entry *entry = run->entries[i];

        if (entry->kind == PIM_ENTRY_RESULT) {
            if (ws_worker_find(conn->worker, entry->u.send->from) == conn)
                ws_chat_result(conn, entry->u.send);
        } else if (member && !(entry->n_refs > 0 && entry->refs[0].slot == conn->slot && entry->refs[0].gen == conn->gen)) {
            if (conn->is_old)
                ws_old_row(conn, &entry->row);
            else if (blob != NULL)
                ws_conn_put_shared(conn, blob, run->from[i], run->from[i + 1]);
        }
    }
}

static void
run_work(struct ws_worker *w, struct group_run *run, int64_t group_id)
{
    struct ws_group *group = pim_map_find(&w->groups, group_id);
    struct pim_frame *blob = NULL;

    for (uint32_t i = 0; i < run->n; i++) {
        struct pim_entry *entry = run->entries[i];
        struct ws_conn *conn = NULL;

        if (entry->kind == PIM_ENTRY_RESULT)
            conn = ws_worker_find(w, entry->u.send->from);
        else if (entry->n_refs > 0)
            conn = ws_worker_find(w, entry->refs[0]);
        if (conn != NULL)
            special_add(run, conn);
    }
    if (group != NULL) {
        blob = run_encode(w, run);
        /* backwards: a connection that is closed by its output leaves the group, and the last one takes its place */
        for (uint32_t i = group->n; i-- > 0;) {
            struct ws_conn *conn = group->conns[i];
            bool special = false;

            for (uint32_t k = 0; k < run->n_special && !special; k++)
                special = run->special[k] == conn;
            if (special)
                continue;
            if (conn->is_old)
                run_to_one(conn, run, blob, true);
            else
                ws_conn_put_shared(conn, blob, 0, blob->len);
        }
        group = pim_map_find(&w->groups, group_id); /* it goes with its last member */
    }
    for (uint32_t i = 0; i < run->n_special; i++)
        run_to_one(run->special[i], run, blob, group != NULL && is_member(run->special[i], group));
    for (uint32_t i = 0; i < run->n; i++)
        if (run->entries[i]->kind == PIM_ENTRY_RESULT)
            free(run->entries[i]->u.send);
    pim_frame_unref(&blob);
}

static bool
belongs_to_run(const struct pim_entry *entry, const struct pim_conv *conv)
{
    if (entry->kind == PIM_ENTRY_GROUP_ROW)
        return pim_conv_equal(&entry->row.conv, conv);
    return entry->kind == PIM_ENTRY_RESULT && pim_conv_equal(&entry->u.send->send.conv, conv);
}

static void
on_dismiss(struct ws_worker *w, int64_t group_id)
{
    struct ws_group *group;

    while ((group = pim_map_find(&w->groups, group_id)) != NULL)
        ws_group_leave(group->conns[group->n - 1], group_id);
}

static void
left_while_starting(struct ws_conn *conn, int64_t group_id)
{
    conn->left = pim_renew(conn->left, conn->n_left + 1, sizeof *conn->left);
    conn->left[conn->n_left++] = group_id;
}

static void
on_read_mark(struct ws_worker *w, struct ws_conn *conn, const struct pim_row *row)
{
    char name[48];

    if (conn->is_old || conn->state != WS_OPEN)
        return;
    pim_conv_format(name, &row->conv);
    pim_buf_clear(&w->scratch);
    pim_buf_addf(&w->scratch, "{\"op\":\"read\",\"conversation\":\"%s\",\"seq\":%lld,\"read_ord\":%lld}", name,
                 (long long)row->seq, (long long)row->ord);
    ws_conn_put(conn, PIM_WS_OP_TEXT, w->scratch.data, w->scratch.len);
}

static void
on_entry(struct ws_worker *w, struct pim_entry *entry)
{
    struct ws_conn *conn = entry->n_refs > 0 ? ws_worker_find(w, entry->refs[0]) : NULL;

    switch (entry->kind) {
    case PIM_ENTRY_RESULT:
        conn = ws_worker_find(w, entry->u.send->from);
        if (conn != NULL)
            ws_chat_result(conn, entry->u.send);
        free(entry->u.send);
        return;
    case PIM_ENTRY_ROW:
        on_row(w, entry);
        return;
    case PIM_ENTRY_DISMISS:
        on_dismiss(w, entry->u.group_id);
        return;
    default:
        break;
    }
    if (conn == NULL || conn->state == WS_CLOSING || conn->state == WS_DEAD)
        return;
    switch (entry->kind) {
    case PIM_ENTRY_JOIN:
        for (uint32_t i = 0; i < conn->n_left; i++)
            if (conn->left[i] == entry->u.group_id)
                conn->left[i] = 0;
        ws_group_join(conn, entry->u.group_id);
        break;
    case PIM_ENTRY_LEAVE:
        ws_group_leave(conn, entry->u.group_id);
        if (conn->state == WS_STARTING)
            left_while_starting(conn, entry->u.group_id);
        break;
    case PIM_ENTRY_READ:
        on_read_mark(w, conn, &entry->row);
        break;
    case PIM_ENTRY_CLOSE:
        ws_conn_close(conn, (unsigned)entry->u.code,
                      entry->u.code == 4003 ? "replaced by a newer connection" : "the session has ended");
        break;
    default:
        break;
    }
}

static void
on_batch(struct ws_worker *w, struct pim_batch *batch)
{
    struct group_run run;
    struct pim_entry *entry;
    size_t at = 0;

    pim_failpoint("before-delivery");
    entry = pim_batch_next(batch, &at);
    while (entry != NULL) {
        struct pim_conv conv = entry->kind == PIM_ENTRY_RESULT ? entry->u.send->send.conv : entry->row.conv;

        if (conv.kind != 'g' || !belongs_to_run(entry, &conv)) {
            on_entry(w, entry);
            entry = pim_batch_next(batch, &at);
            continue;
        }
        run.n = run.n_special = 0;
        while (entry != NULL && run.n < RUN_MAX && belongs_to_run(entry, &conv)) {
            run.entries[run.n++] = entry;
            entry = pim_batch_next(batch, &at);
        }
        run_work(w, &run, conv.a);
    }
    pim_batch_free(&batch);
}

/* --- connections begin ------------------------------------------------------------------------------------------------ */

struct starting {
    struct pim_ws *ws;
    uint16_t worker;
    struct pim_peer_ref ref;
};

static void
mail_free(struct pim_mail *mail)
{
    free(mail);
}

static void
on_groups(void *ctx, int rc, const int64_t *ids, uint32_t n)
{
    struct starting *starting = ctx;
    struct ws_started *started = pim_new0(sizeof *started + n * sizeof started->groups[0]);

    started->mail.kind = WS_MAIL_STARTED;
    started->ref = starting->ref;
    started->rc = rc;
    started->n = n;
    if (n > 0)
        memcpy(started->groups, ids, n * sizeof started->groups[0]);
    ws_worker_post(starting->ws, starting->worker, &started->mail, mail_free);
    free(starting);
}

static void
on_adopt(struct ws_worker *w, struct ws_adopt *adopt)
{
    struct ws_conn *conn = ws_conn_new(w, adopt->fd, adopt->ssl);
    struct pim_peer peer;
    struct starting *starting;
    char reply[256];
    int len = snprintf(reply, sizeof reply,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                       adopt->accept, adopt->is_v1 ? "Sec-WebSocket-Protocol: privateim.v1\r\n" : "");

    slot_take(w, conn);
    conn->is_old = !adopt->is_v1;
    conn->is_echo = adopt->is_echo;
    conn->user_id = adopt->user_id;
    conn->expires_ms = adopt->expires_ms;
    conn->session = pim_strdup(adopt->session);
    ws_conn_put_bytes(conn, reply, (size_t)len);
    ws_conn_early(conn, adopt->early, adopt->early_len);
    free(adopt->early);
    free(adopt);
    if (conn->is_echo) {
        ws_conn_listen(conn);
        return;
    }
    if (w->stopping) {
        ws_conn_close(conn, 1012, "1");
        return;
    }
    /* first it is known to all who deliver, then what it listens to is read: nothing falls between */
    peer = ws_conn_peer(conn);
    conn->is_present = true;
    pim_presence_add(w->ws->im, conn->user_id, &peer, conn->session);
    pim_delivery_flush(w->ws->im);
    starting = pim_new0(sizeof *starting);
    *starting = (struct starting){.ws = w->ws, .worker = w->number, .ref = {conn->slot, conn->gen}};
    pim_im_groups(w->ws->im, conn->user_id, on_groups, starting);
}

static void
on_started(struct ws_worker *w, struct ws_started *started)
{
    struct ws_conn *conn = ws_worker_find(w, started->ref);

    if (conn != NULL && conn->state == WS_STARTING) {
        for (uint32_t i = 0; i < started->n; i++) {
            bool left = false;

            for (uint32_t k = 0; k < conn->n_left; k++)
                left = left || conn->left[k] == started->groups[i];
            if (!left)
                ws_group_join(conn, started->groups[i]);
        }
        free(conn->left);
        conn->left = NULL;
        conn->n_left = 0;
        if (started->rc < 0) {
            ws_conn_close(conn, 1013, "the storage is away, come back later");
        } else {
            conn->state = WS_OPEN;
            if (conn->is_old)
                ws_old_start(conn);
            else
                ws_chat_hello(conn);
            ws_conn_listen(conn);
        }
    }
    free(started);
}

static void
frame_mail_free(struct pim_mail *mail)
{
    struct ws_frame_mail *frame = (struct ws_frame_mail *)mail;

    pim_buf_fini(&frame->payload);
    free(frame);
}

void
ws_worker_post(struct pim_ws *ws, uint32_t worker, struct pim_mail *mail, void (*free_fn)(struct pim_mail *mail))
{
    if (pim_mailbox_post_always(&ws->workers[worker].base.box, mail) != PIM_OK)
        free_fn(mail);
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

/* Those who have no message under way are told to come back; the others when their answers are out. */
static void
stop_step(struct ws_worker *w)
{
    bool late = pim_clock_mono_ms() > w->stop_ms;

    for (uint32_t i = 0; i < w->n_slots; i++) {
        struct ws_conn *conn = w->slots[i].conn;
        char wait[16];

        if (conn == NULL)
            continue;
        if (late) {
            ws_conn_kill(conn);
        } else if (conn->state == WS_STARTING || (conn->state == WS_OPEN && conn->in_flight == 0)) {
            uint32_t ms = pim_rand_below(w->ws->config.restart_wait_s * 1000 + 1);

            snprintf(wait, sizeof wait, "%u.%u", ms / 1000, ms % 1000 / 100);
            ws_conn_close(conn, 1012, wait);
        }
    }
}

static void
on_mail(struct ws_worker *w, struct pim_mail *mail)
{
    struct ws_frame_mail *frame = (struct ws_frame_mail *)mail;
    struct ws_conn *conn;

    switch (mail->kind) {
    case PIM_MAIL_BATCH:
        on_batch(w, (struct pim_batch *)mail);
        break;
    case WS_MAIL_ADOPT:
        on_adopt(w, (struct ws_adopt *)mail);
        break;
    case WS_MAIL_STARTED:
        on_started(w, (struct ws_started *)mail);
        break;
    case WS_MAIL_FRAME:
        conn = ws_worker_find(w, frame->ref);
        if (conn != NULL) {
            conn->syncs--;
            ws_conn_put(conn, PIM_WS_OP_TEXT, frame->payload.data, frame->payload.len);
        }
        frame_mail_free(mail);
        break;
    case WS_MAIL_OLD:
        ws_old_mail(w, mail);
        break;
    case WS_MAIL_STOP:
        w->stopping = true;
        free(mail);
        break;
    default:
        break;
    }
}

static void
on_mails(void *ctx, struct pim_mail_list *mails)
{
    struct pim_mail *mail;

    while ((mail = STAILQ_FIRST(mails)) != NULL) {
        STAILQ_REMOVE_HEAD(mails, link);
        on_mail(ctx, mail);
    }
}

static void
on_tick(void *ctx)
{
    struct ws_worker *w = ctx;
    struct ws_conn *conn;

    if (w->n_sends > 0) {
        pim_failpoint("before-post");
        pim_im_send_post(w->ws->im, &w->sends, w->n_sends);
        STAILQ_INIT(&w->sends);
        w->n_sends = 0;
    }
    pim_delivery_flush(w->ws->im);
    if (w->stopping)
        stop_step(w);
    while ((conn = w->dirty) != NULL) {
        w->dirty = conn->next_dirty;
        conn->is_dirty = false;
        if (conn->state != WS_DEAD)
            ws_conn_flush(conn);
        pim_failpoint("mid-delivery");
    }
    while ((conn = w->dead) != NULL) {
        w->dead = conn->next_dead;
        ws_old_free(&conn->old); /* not before: whoever wrote to the connection may still hold it */
        ws_conn_free(conn);
    }
    if (w->stopping && atomic_load_explicit(&w->n_conns, memory_order_relaxed) == 0)
        pim_worker_break(&w->base);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct ws_worker *w = arg;

    (void)fd;
    (void)what;
    ws_chat_claims_flush(w);
    if (++w->ticks % TICKS_A_SECOND != 0)
        return;
    w->now_s++;
    for (uint32_t i = 0; i < w->n_slots; i++)
        if (w->slots[i].conn != NULL)
            ws_conn_second(w->slots[i].conn);
}

/* What came too late. */
static void
on_stop(void *ctx)
{
    struct ws_worker *w = ctx;
    struct pim_mail_list mails;
    struct pim_mail *mail;

    ws_chat_claims_flush(w);
    pim_mailbox_close(&w->base.box);
    pim_mailbox_wait(&w->base.box, &mails, 0);
    while ((mail = STAILQ_FIRST(&mails)) != NULL) {
        STAILQ_REMOVE_HEAD(&mails, link);
        if (mail->kind == WS_MAIL_ADOPT) {
            struct ws_adopt *adopt = (struct ws_adopt *)mail;

            SSL_free(adopt->ssl);
            close(adopt->fd);
            free(adopt->early);
            free(adopt);
        } else {
            on_mail(w, mail); /* nobody is there any more: it frees what it holds */
        }
    }
    event_del(&w->timer);
}

int
ws_worker_start(struct pim_ws *ws, uint16_t number, struct pim_err *err)
{
    struct ws_worker *w = &ws->workers[number];
    struct timeval every = {.tv_usec = TIMER_MS * 1000};
    char name[16];
    int rc;

    w->ws = ws;
    w->number = number;
    w->free_slot = NO_SLOT;
    w->read_buf = pim_new(WS_READ_BYTES);
    w->tls_buf = pim_new(16384);
    pim_buf_init(&w->scratch, SCRATCH_BYTES);
    STAILQ_INIT(&w->sends);
    snprintf(name, sizeof name, "pim-io%u", (unsigned)number);
    rc = pim_worker_init(&w->base, on_mails, on_tick, on_stop, w, err);
    if (rc < 0)
        return rc;
    event_assign(&w->timer, w->base.base, -1, EV_PERSIST, on_timer, w);
    event_add(&w->timer, &every);
    return pim_worker_start(&w->base, name, err);
}

void
ws_worker_stop(struct ws_worker *w, int64_t deadline_ms)
{
    struct pim_mail *mail = pim_new0(sizeof *mail);

    w->stop_ms = deadline_ms;
    mail->kind = WS_MAIL_STOP;
    ws_worker_post(w->ws, w->number, mail, mail_free);
}

void
ws_worker_free(struct ws_worker *w)
{
    struct ws_group *group;
    size_t at = 0;

    pim_worker_fini(&w->base);
    while ((group = pim_map_next(&w->groups, &at, NULL)) != NULL) {
        free(group->conns);
        free(group);
    }
    pim_map_fini(&w->groups);
    while (w->n_chunks > 0)
        pim_frame_unref(&w->chunks[--w->n_chunks]);
    free(w->slots);
    free(w->read_buf);
    free(w->tls_buf);
    free(w->spare);
    free(w->claimers);
    pim_buf_fini(&w->scratch);
}
