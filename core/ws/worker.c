/* The io worker: its tables, its mails, its turns. */
#include "ws/conn.h"
#include "ws/fanout.h"
#include "ws/mails.h"
#include "ws/old.h"
#include "ws/chat.h"

#include "im/delivery.h"
#include "im/history.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/mem.h"
#include "util/rand.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMER_MS 250
#define TICKS_A_SECOND 4
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
        ws_fanout_batch(w, (struct pim_batch *)mail);
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
