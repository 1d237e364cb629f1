#include "ws/conn.h"

#include "ws/chat.h"

#include "util/clock.h"
#include "util/failpoint.h"
#include "util/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define CLOSE_WAIT_S 2   /* for the peer's answer to our close frame */
#define IOV_MAX_USED 64
#define READS_A_TURN 4   /* then the others have their turn */
#define TLS_RECORD_BYTES 16384
#define ECHO_BYTES (64u << 20) /* the test path takes what the protocol's test cases send */

static void on_event(evutil_socket_t fd, short what, void *arg);

struct ws_conn *
ws_conn_new(struct ws_worker *worker, int fd, SSL *ssl)
{
    struct ws_conn *conn = pim_new0(sizeof *conn);
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a turn's output is gathered already */
    conn->worker = worker;
    conn->fd = fd;
    conn->ssl = ssl;
    conn->input_s = conn->progress_s = worker->now_s;
    event_assign(&conn->event, worker->base.base, fd, EV_READ | EV_PERSIST, on_event, conn);
    return conn;
}

static void
input_free(struct ws_conn *conn)
{
    if (conn->input == NULL)
        return;
    pim_buf_fini(&conn->input->bytes);
    pim_buf_fini(&conn->input->message);
    free(conn->input);
    conn->input = NULL;
}

static uint64_t
frame_limit(const struct ws_conn *conn)
{
    return conn->is_echo ? ECHO_BYTES : conn->worker->ws->config.frame_bytes;
}

static struct ws_input *
input_get(struct ws_conn *conn)
{
    if (conn->input == NULL) {
        conn->input = pim_new0(sizeof *conn->input);
        pim_buf_init(&conn->input->bytes, frame_limit(conn) + PIM_WS_HEADER_MAX + WS_READ_BYTES);
        pim_buf_init(&conn->input->message, conn->is_echo ? ECHO_BYTES : conn->worker->ws->config.message_bytes);
    }
    return conn->input;
}

static void
output_drop(struct ws_conn *conn)
{
    for (uint32_t i = conn->first_seg; i < conn->n_segs; i++)
        ws_worker_chunk_free(conn->worker, &conn->segs[i].frame);
    free(conn->segs);
    conn->segs = NULL;
    conn->first_seg = conn->n_segs = conn->cap_segs = conn->output_bytes = 0;
    conn->last_open = false;
}

void
ws_conn_free(struct ws_conn *conn)
{
    input_free(conn);
    output_drop(conn);
    free(conn->session);
    free(conn->memberships);
    free(conn->left);
    free(conn);
}

void
ws_conn_kill(struct ws_conn *conn)
{
    if (conn->state == WS_DEAD)
        return;
    conn->state = WS_DEAD;
    event_del(&conn->event);
    ws_worker_forget(conn->worker, conn);
    if (conn->ssl != NULL) {
        SSL_free(conn->ssl);
        conn->ssl = NULL;
    }
    close(conn->fd);
    conn->fd = -1;
    output_drop(conn);
}

/* --- output ---------------------------------------------------------------------------------------------------------- */

static struct ws_seg *
seg_add(struct ws_conn *conn, struct pim_frame *frame, uint32_t from, uint32_t to)
{
    if (conn->n_segs == conn->cap_segs) {
        if (conn->first_seg > 0) {
            conn->n_segs -= conn->first_seg;
            memmove(conn->segs, conn->segs + conn->first_seg, conn->n_segs * sizeof *conn->segs);
            conn->first_seg = 0;
        }
        if (conn->n_segs == conn->cap_segs) {
            conn->cap_segs = conn->cap_segs ? conn->cap_segs * 2 : 4;
            conn->segs = pim_renew(conn->segs, conn->cap_segs, sizeof *conn->segs);
        }
    }
    conn->segs[conn->n_segs] = (struct ws_seg){frame, from, to};
    return &conn->segs[conn->n_segs++];
}

/* Room for len bytes at the end of this connection's own output. */
static uint8_t *
reserve(struct ws_conn *conn, size_t len)
{
    struct ws_seg *last = conn->last_open ? &conn->segs[conn->n_segs - 1] : NULL;
    uint8_t *at;

    if (last == NULL || last->frame->len - last->to < len) {
        struct pim_frame *chunk = ws_worker_chunk(conn->worker, len);

        last = seg_add(conn, chunk, 0, 0);
        conn->last_open = true;
    }
    at = last->frame->data + last->to;
    last->to += (uint32_t)len;
    return at;
}

static bool write_out(struct ws_conn *conn);

static bool
is_over(const struct ws_conn *conn)
{
    return conn->output_bytes > (conn->is_echo ? ECHO_BYTES : conn->worker->ws->config.output_bytes);
}

/* Whoever queues may be walking through tables that the connection is in: it is only marked here, and goes at the end of
 * the turn. */
static void
queued(struct ws_conn *conn, size_t len)
{
    struct ws_worker *w = conn->worker;

    if (conn->output_bytes == 0)
        conn->progress_s = w->now_s;
    conn->output_bytes += (uint32_t)len;
    ws_worker_dirty(w, conn);
    if (conn->state != WS_OPEN || !is_over(conn))
        return;
    if (!write_out(conn)) /* what the socket takes now counts as read */
        conn->doom = WS_DOOM_LOST;
    else if (is_over(conn))
        conn->doom = WS_DOOM_SLOW;
}

void
ws_conn_put_bytes(struct ws_conn *conn, const void *bytes, size_t len)
{
    memcpy(reserve(conn, len), bytes, len);
    queued(conn, len);
}

static void
put_frame(struct ws_conn *conn, enum pim_ws_op opcode, const void *payload, size_t len)
{
    uint8_t header[10];
    size_t header_len = pim_ws_frame_encode(header, opcode, len);
    uint8_t *at = reserve(conn, header_len + len);

    memcpy(at, header, header_len);
    if (len > 0)
        memcpy(at + header_len, payload, len);
    atomic_store_explicit(&conn->worker->frames_out,
                          atomic_load_explicit(&conn->worker->frames_out, memory_order_relaxed) + 1, memory_order_relaxed);
    queued(conn, header_len + len);
}

void
ws_conn_put(struct ws_conn *conn, enum pim_ws_op opcode, const void *payload, size_t len)
{
    if ((conn->state == WS_OPEN || conn->state == WS_STARTING) && conn->doom == WS_DOOM_NONE)
        put_frame(conn, opcode, payload, len);
}

void
ws_conn_put_shared(struct ws_conn *conn, struct pim_frame *frame, uint32_t from, uint32_t to)
{
    if (conn->state != WS_OPEN || conn->doom != WS_DOOM_NONE)
        return;
    seg_add(conn, pim_frame_ref(frame), from, to);
    conn->last_open = false;
    queued(conn, to - from);
}

static void
listen_for(struct ws_conn *conn, short what)
{
    event_del(&conn->event);
    event_assign(&conn->event, conn->worker->base.base, conn->fd, what | EV_PERSIST, on_event, conn);
    event_add(&conn->event, NULL);
}

static void
sent(struct ws_conn *conn, size_t n)
{
    struct ws_worker *w = conn->worker;

    conn->output_bytes -= (uint32_t)n;
    conn->progress_s = w->now_s;
    atomic_store_explicit(&w->bytes_out, atomic_load_explicit(&w->bytes_out, memory_order_relaxed) + n,
                          memory_order_relaxed);
    while (n > 0) {
        struct ws_seg *seg = &conn->segs[conn->first_seg];

        if (n < seg->to - seg->from) {
            seg->from += (uint32_t)n;
            break;
        }
        n -= seg->to - seg->from;
        ws_worker_chunk_free(w, &seg->frame);
        conn->first_seg++;
    }
    if (conn->first_seg == conn->n_segs) { /* an idle connection keeps nothing */
        free(conn->segs);
        conn->segs = NULL;
        conn->first_seg = conn->n_segs = conn->cap_segs = 0;
        conn->last_open = false;
    }
}

/* @return bytes written, 0 = not now, -1 = the connection is lost */
static ssize_t
write_plain(struct ws_conn *conn)
{
    struct iovec iov[IOV_MAX_USED];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t n;

    for (uint32_t i = conn->first_seg; i < conn->n_segs && msg.msg_iovlen < IOV_MAX_USED; i++) {
        iov[msg.msg_iovlen].iov_base = conn->segs[i].frame->data + conn->segs[i].from;
        iov[msg.msg_iovlen++].iov_len = conn->segs[i].to - conn->segs[i].from;
    }
    do
        n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    return n;
}

static ssize_t
write_tls(struct ws_conn *conn)
{
    struct ws_seg *seg = &conn->segs[conn->first_seg];
    const uint8_t *from = seg->frame->data + seg->from;
    size_t len = seg->to - seg->from;
    int n;

    if (len < TLS_RECORD_BYTES && conn->n_segs - conn->first_seg > 1) {
        len = 0; /* many small pieces go into one record */
        for (uint32_t i = conn->first_seg; i < conn->n_segs && len < TLS_RECORD_BYTES; i++) {
            size_t part = conn->segs[i].to - conn->segs[i].from;

            if (part > TLS_RECORD_BYTES - len)
                part = TLS_RECORD_BYTES - len;
            memcpy(conn->worker->tls_buf + len, conn->segs[i].frame->data + conn->segs[i].from, part);
            len += part;
        }
        from = conn->worker->tls_buf;
    }
    n = SSL_write(conn->ssl, from, (int)(len > TLS_RECORD_BYTES ? TLS_RECORD_BYTES : len));
    if (n > 0)
        return n;
    switch (SSL_get_error(conn->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    default:
        return -1;
    }
}

/* As much as the socket takes. @return false: the connection is lost */
static bool
write_out(struct ws_conn *conn)
{
    while (conn->output_bytes > 0) {
        ssize_t n = conn->ssl != NULL ? write_tls(conn) : write_plain(conn);

        if (n <= 0)
            return n == 0;
        sent(conn, (size_t)n);
    }
    return true;
}

void
ws_conn_flush(struct ws_conn *conn)
{
    if (conn->doom == WS_DOOM_SLOW && conn->state == WS_OPEN) {
        atomic_fetch_add_explicit(&conn->worker->slow_closed, 1, memory_order_relaxed);
        ws_conn_close(conn, 1013, "you read too slowly");
    }
    if (conn->doom == WS_DOOM_LOST || !write_out(conn)) {
        ws_conn_kill(conn);
        return;
    }
    if (conn->output_bytes > 0) {
        if (!conn->wants_write && conn->state != WS_STARTING) {
            conn->wants_write = true;
            listen_for(conn, EV_READ | EV_WRITE);
        }
        return;
    }
    if (conn->wants_write) {
        conn->wants_write = false;
        listen_for(conn, EV_READ);
    }
    if (conn->state == WS_CLOSING && !conn->shut_wr) {
        conn->shut_wr = true;
        if (conn->ssl != NULL)
            SSL_shutdown(conn->ssl);
        shutdown(conn->fd, SHUT_WR);
    }
}

void
ws_conn_close(struct ws_conn *conn, unsigned code, const char *reason)
{
    uint8_t payload[125];
    size_t len = strlen(reason);

    if (conn->state == WS_CLOSING || conn->state == WS_DEAD)
        return;
    if (len > sizeof payload - 2)
        len = sizeof payload - 2;
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, reason, len);
    if (conn->state == WS_STARTING)
        event_add(&conn->event, NULL); /* to see its end */
    conn->state = WS_CLOSING;
    conn->close_s = conn->worker->now_s + CLOSE_WAIT_S;
    ws_worker_forget(conn->worker, conn);
    put_frame(conn, PIM_WS_OP_CLOSE, payload, code == 0 ? 0 : len + 2);
}

bool
ws_conn_is_calm(struct ws_conn *conn)
{
    if (conn->flood_s != conn->worker->now_s) {
        conn->flood_s = conn->worker->now_s;
        conn->flood_n = 0;
    }
    if (++conn->flood_n <= conn->worker->ws->config.flood_per_s || conn->is_echo)
        return true;
    ws_conn_close(conn, 1008, "too many pings and refused frames");
    return false;
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

static void
deliver(struct ws_conn *conn, uint8_t opcode, const uint8_t *payload, size_t len)
{
    struct ws_worker *w = conn->worker;

    atomic_store_explicit(&w->messages_in, atomic_load_explicit(&w->messages_in, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (conn->is_echo)
        ws_conn_put(conn, opcode, payload, len);
    else
        ws_chat_message(conn, opcode, (const char *)payload, len);
}

static bool
is_text(const struct ws_conn *conn, const struct pim_ws_frame_hdr *hdr)
{
    uint8_t opcode = hdr->opcode == PIM_WS_OP_CONT ? conn->input->opcode : hdr->opcode;

    return opcode == PIM_WS_OP_TEXT;
}

/* Unmask and check what has come of a payload beyond what was seen. */
static bool
see(struct ws_conn *conn, const struct pim_ws_frame_hdr *hdr, uint8_t *payload, size_t have)
{
    struct ws_input *input = conn->input;

    if (have > input->seen) {
        pim_ws_unmask(payload + input->seen, have - input->seen, hdr->mask, input->seen);
        if (is_text(conn, hdr) && !pim_utf8_feed(&input->utf8, payload + input->seen, have - input->seen)) {
            ws_conn_close(conn, 1007, "text must be UTF-8");
            return false;
        }
        input->seen = have;
    }
    return true;
}

/* A whole frame of a message. @return false when the connection is closing */
static bool
on_data(struct ws_conn *conn, const struct pim_ws_frame_hdr *hdr, uint8_t *payload)
{
    size_t len = hdr->payload_bytes;
    struct ws_input *input = conn->input;

    if (hdr->fin && hdr->opcode != PIM_WS_OP_CONT && (input == NULL || input->seen == 0)) {
        pim_ws_unmask(payload, len, hdr->mask, 0);
        if (hdr->opcode == PIM_WS_OP_TEXT && !pim_utf8_valid(payload, len)) {
            ws_conn_close(conn, 1007, "text must be UTF-8");
            return false;
        }
        deliver(conn, hdr->opcode, payload, len);
        return true;
    }
    input = input_get(conn);
    if (!see(conn, hdr, payload, len))
        return false;
    input->seen = 0;
    if (hdr->opcode != PIM_WS_OP_CONT)
        input->opcode = hdr->opcode;
    if (hdr->opcode == PIM_WS_OP_CONT || !hdr->fin) {
        if (pim_buf_add(&input->message, payload, len) != PIM_OK) {
            ws_conn_close(conn, 1009, "the message is too large");
            return false;
        }
        payload = (uint8_t *)input->message.data;
        len = input->message.len;
    }
    if (!hdr->fin)
        return true;
    if (input->opcode == PIM_WS_OP_TEXT && input->utf8.need != 0) {
        ws_conn_close(conn, 1007, "text must be UTF-8");
        return false;
    }
    deliver(conn, input->opcode, payload, len);
    input->opcode = 0;
    input->utf8 = (struct pim_utf8){0};
    pim_buf_fini(&input->message);
    return true;
}

static void
on_close_frame(struct ws_conn *conn, const uint8_t *payload, size_t len)
{
    unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

    if (len == 1 || (len >= 2 && !pim_ws_close_code_is_valid(code)))
        ws_conn_close(conn, 1002, "bad close code");
    else if (len > 2 && !pim_utf8_valid(payload + 2, len - 2))
        ws_conn_close(conn, 1007, "text must be UTF-8");
    else
        ws_conn_close(conn, code, "");
}

static void
on_control(struct ws_conn *conn, const struct pim_ws_frame_hdr *hdr, uint8_t *payload)
{
    size_t len = hdr->payload_bytes;

    pim_ws_unmask(payload, len, hdr->mask, 0);
    switch (hdr->opcode) {
    case PIM_WS_OP_PING:
        if (ws_conn_is_calm(conn))
            ws_conn_put(conn, PIM_WS_OP_PONG, payload, len);
        break;
    case PIM_WS_OP_PONG:
        ws_chat_pong(conn, payload, len);
        break;
    default:
        on_close_frame(conn, payload, len);
        break;
    }
}

/* Work off whole frames. @return bytes that are done with */
static size_t
process(struct ws_conn *conn, uint8_t *data, size_t n)
{
    size_t at = 0;

    while (conn->state == WS_OPEN) {
        struct pim_ws_frame_hdr hdr;
        int rc = pim_ws_frame_decode(data + at, n - at, frame_limit(conn), &hdr);
        bool is_data = true, in_message = conn->input != NULL && conn->input->opcode != 0;
        uint8_t *payload;
        size_t have;

        if (rc == PIM_AGAIN)
            break;
        if (rc < 0) {
            ws_conn_close(conn, rc == PIM_ERR_TOO_LARGE ? 1009 : 1002,
                          rc == PIM_ERR_TOO_LARGE ? "the frame is too large" : "break of RFC 6455");
            return n;
        }
        is_data = (hdr.opcode & 8) == 0;
        if (is_data && (hdr.opcode == PIM_WS_OP_CONT) != in_message) {
            ws_conn_close(conn, 1002, "fragments out of order");
            return n;
        }
        payload = data + at + hdr.hdr_bytes;
        have = n - at - hdr.hdr_bytes;
        if (have < hdr.payload_bytes) {
            if (is_data) {
                input_get(conn);
                if (!see(conn, &hdr, payload, have))
                    return n;
            }
            break;
        }
        if (!is_data)
            on_control(conn, &hdr, payload);
        else if (!on_data(conn, &hdr, payload))
            return n;
        at += hdr.hdr_bytes + hdr.payload_bytes;
    }
    return conn->state == WS_OPEN ? at : n;
}

static void
feed(struct ws_conn *conn, uint8_t *data, size_t n)
{
    struct ws_worker *w = conn->worker;
    struct ws_input *input = conn->input;
    size_t done;

    pim_failpoint("after-receive");
    conn->input_s = w->now_s;
    conn->ping_sent = false;
    atomic_store_explicit(&w->bytes_in, atomic_load_explicit(&w->bytes_in, memory_order_relaxed) + n,
                          memory_order_relaxed);
    if (conn->state != WS_OPEN)
        return; /* CLOSING: what still comes is thrown away */
    if (input != NULL && input->bytes.len > 0) {
        if (pim_buf_add(&input->bytes, data, n) != PIM_OK) {
            ws_conn_close(conn, 1009, "the frame is too large");
            return;
        }
        done = process(conn, (uint8_t *)input->bytes.data, input->bytes.len);
        pim_buf_consume(&input->bytes, done);
    } else {
        done = process(conn, data, n);
        if (done < n)
            pim_buf_add(&input_get(conn)->bytes, data + done, n - done); /* shorter than a frame's limit */
    }
    input = conn->input;
    if (input != NULL && input->bytes.len == 0 && input->opcode == 0)
        input_free(conn);
}

/* @return bytes read, 0 = nothing now, -1 = the end */
static ssize_t
read_some(struct ws_conn *conn)
{
    ssize_t n;

    if (conn->ssl != NULL) {
        n = SSL_read(conn->ssl, conn->worker->read_buf, WS_READ_BYTES);
        if (n > 0)
            return n;
        switch (SSL_get_error(conn->ssl, (int)n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return 0;
        default:
            return -1;
        }
    }
    do
        n = recv(conn->fd, conn->worker->read_buf, WS_READ_BYTES, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
    struct ws_conn *conn = arg;

    (void)fd;
    if (what & EV_WRITE)
        ws_worker_dirty(conn->worker, conn);
    if (!(what & EV_READ))
        return;
    for (int i = 0; i < READS_A_TURN && conn->state != WS_DEAD; i++) {
        ssize_t n = read_some(conn);

        if (n < 0) {
            ws_conn_kill(conn);
            return;
        }
        if (n == 0)
            return;
        feed(conn, conn->worker->read_buf, (size_t)n);
        if (conn->ssl == NULL && n < WS_READ_BYTES)
            return;
    }
    /* bytes that TLS has decrypted already wake no poller */
    if (conn->state != WS_DEAD && conn->ssl != NULL && SSL_pending(conn->ssl) > 0)
        event_active(&conn->event, EV_READ, 0);
}

void
ws_conn_early(struct ws_conn *conn, const void *bytes, size_t len)
{
    if (len > 0)
        pim_buf_add(&input_get(conn)->bytes, bytes, len);
}

void
ws_conn_listen(struct ws_conn *conn)
{
    conn->state = WS_OPEN;
    conn->wants_write = conn->output_bytes > 0;
    listen_for(conn, conn->wants_write ? EV_READ | EV_WRITE : EV_READ);
    if (conn->input != NULL) {
        struct pim_buf early = conn->input->bytes;

        free(conn->input);
        conn->input = NULL;
        feed(conn, (uint8_t *)early.data, early.len);
        pim_buf_fini(&early);
    }
    if (conn->state == WS_OPEN && conn->ssl != NULL && SSL_pending(conn->ssl) > 0)
        event_active(&conn->event, EV_READ, 0);
}

void
ws_conn_second(struct ws_conn *conn)
{
    const struct pim_ws_config *config = &conn->worker->ws->config;
    uint32_t now_s = conn->worker->now_s;

    if (conn->state == WS_CLOSING) {
        if (now_s >= conn->close_s)
            ws_conn_kill(conn);
        return;
    }
    if (conn->state != WS_OPEN)
        return;
    if (conn->output_bytes > 0 && now_s - conn->progress_s > config->output_timeout_s) {
        atomic_fetch_add_explicit(&conn->worker->slow_closed, 1, memory_order_relaxed);
        ws_conn_close(conn, 1013, "you read too slowly");
    } else if (now_s - conn->input_s >= 2 * config->heartbeat_s) {
        ws_conn_kill(conn);
    } else if (now_s - conn->input_s >= config->heartbeat_s && !conn->ping_sent) {
        conn->ping_sent = true;
        ws_conn_put(conn, PIM_WS_OP_PING, NULL, 0);
    } else if (conn->expires_ms != 0 && now_s % 4 == 0 && pim_clock_wall_ms() > conn->expires_ms) {
        ws_conn_close(conn, 4001, "the token has expired");
    }
}
