#include "http/evhtp_adapter.h"

#include "http/framing.h"
#include "http/handover.h"
#include "http/http_priv.h"
#include "http/proxy.h"
#include "http/reply.h"
#include "http/socket.h"
#include "http/threads.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <evhtp/evhtp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX_BYTES 65536 /* of the requests after the one in hand; more stays in the kernel */
#define LINGER_MS 2000       /* a refused client may read its answer so long */
#define BODY_GRACE_MS 5000
#define ACCEPT_PAUSE_MS 100
#define ACCEPT_LOG_MS 10000

struct pim_http_listener {
    struct pim_http_thread *thread;
    evhtp_t *evhtp;
    struct event *again; /* after accept failed */
    bool is_status;
};

enum conn_state {
    CONN_READING, /* waits for a request, or for the rest of one */
    CONN_BUSY,    /* one request is in hand: nothing is read */
    CONN_CLOSING  /* our last words are on their way; what comes is thrown away */
};

/* One HTTP connection. Owned by its thread. */
struct pim_http_conn {
    LIST_ENTRY(pim_http_conn) link;
    struct pim_http_thread *thread;
    evhtp_connection_t *ev;
    evhtp_request_t *ev_request; /* what libevhtp works on */
    struct bufferevent *bev;
    bufferevent_data_cb ev_read, ev_write; /* libevhtp's own */
    struct event *timer;
    struct pim_http_framing framing;
    struct evbuffer *held; /* bytes that came but were not looked at yet */
    struct pim_http_request *request;
    enum conn_state state;
    int refs; /* libevhtp's, and each function of ours that calls into it */
    bool gone, said_continue, lingers, is_status, is_loopback, in_gate;
    int64_t head_from_ms; /* since when we wait for the head; 0: idle */
    int64_t body_from_ms;
    int64_t gate_key;
    char address[48];
};

static void advance(struct pim_http_conn *conn);

/* --- the life of a connection --------------------------------------------------------------------------- */

static void
conn_unref(struct pim_http_conn *conn)
{
    if (--conn->refs > 0)
        return;
    pim_http_framing_fini(&conn->framing);
    evbuffer_free(conn->held);
    free(conn);
}

/* Nothing of libevhtp may be touched after this. */
static void
conn_detach(struct pim_http_conn *conn)
{
    conn->gone = true;
    if (conn->request != NULL)
        conn->request->conn = NULL;
    conn->request = NULL;
    if (conn->ev_request != NULL)
        evhtp_request_unset_hook(conn->ev_request, evhtp_hook_on_request_fini);
    conn->ev_request = NULL;
    LIST_REMOVE(conn, link);
    atomic_fetch_sub(&conn->thread->n_conns, 1);
    if (conn->in_gate)
        pim_http_gate_leave(conn->thread->http->gate, conn->gate_key);
    event_free(conn->timer);
}

static evhtp_res
on_conn_fini(evhtp_connection_t *ev, void *arg)
{
    struct pim_http_conn *conn = arg;

    (void)ev;
    conn_detach(conn);
    conn_unref(conn);
    return EVHTP_RES_OK;
}

static evhtp_res
on_request_fini(evhtp_request_t *ev_request, void *arg)
{
    struct pim_http_conn *conn = arg;

    (void)ev_request;
    conn->ev_request = NULL;
    return EVHTP_RES_OK;
}

static void
conn_close(struct pim_http_conn *conn)
{
    evhtp_connection_free(conn->ev); /* calls on_conn_fini */
}

static void
timer_set(struct pim_http_conn *conn, int64_t after_ms)
{
    struct timeval tv;

    if (after_ms < 1)
        after_ms = 1;
    tv = (struct timeval){.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    event_add(conn->timer, &tv);
}

/* Write our last words and close once they are read. */
static void
conn_refuse(struct pim_http_conn *conn, int status, const char *error)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);

    conn->state = CONN_CLOSING;
    pim_http_reply_refusal(conn->thread->http, out, status, error);
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
    timer_set(conn, conn->thread->http->config.write_timeout_ms);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static struct pim_http_request *
request_new(struct pim_http_conn *conn)
{
    struct pim_http_framing *framing = &conn->framing;
    struct pim_http_request *request = pim_new0(sizeof *request);

    request->http = conn->thread->http;
    request->thread = conn->thread;
    request->conn = conn;
    request->method = framing->method;
    request->head = framing->head;
    request->body = framing->body;
    request->headers = framing->headers;
    request->n_headers = framing->n_headers;
    request->is_tls = conn->ev->ssl != NULL;
    request->is_loopback = conn->is_loopback;
    request->is_status = conn->is_status;
    request->close = !pim_http_framing_keeps_alive(framing);
    memcpy(request->address, conn->address, sizeof request->address);
    pim_buf_init(&request->out, PIM_HTTP_REPLY_MAX_BYTES);
    request->path = pim_strndup(framing->head.data + framing->target.at, framing->target.len);
    /* theirs now */
    framing->head = framing->body = (struct pim_buf){.max_bytes = 0};
    framing->headers = NULL;
    pim_http_framing_reset(framing);
    pim_http_proxy_resolve(request, request->http->config.trusted_proxies, request->http->config.n_trusted_proxies);
    return request;
}

/* The reply stands in the request: write it, let libevhtp finish the request. */
static void
reply(struct pim_http_conn *conn, struct pim_http_request *request)
{
    struct pim_http *http = conn->thread->http;
    struct evbuffer *out = evbuffer_new();

    if (out == NULL)
        abort();
    if (conn->thread->draining)
        request->close = true;
    pim_http_reply_write(http, out, request);
    conn->request = NULL;
    if (request->close)
        evhtp_request_set_keepalive(conn->ev_request, 0);
    evhtp_send_reply_body(conn->ev_request, out);
    evhtp_send_reply_end(conn->ev_request);
    evhtp_request_resume(conn->ev_request); /* the rest is libevhtp's write callback */
    evbuffer_free(out);
    pim_http_request_free(&request);
    atomic_fetch_sub(&http->in_flight, 1);
}

/* libevhtp has parsed the head that we gave it. */
static void
on_ev_request(evhtp_request_t *ev_request, void *arg)
{
    struct pim_http_conn *conn = ev_request->conn->hooks->on_connection_fini_arg;

    (void)arg;
    conn->ev_request = ev_request;
    evhtp_request_set_hook(ev_request, evhtp_hook_on_request_fini, (evhtp_hook)on_request_fini, conn);
    evhtp_request_pause(ev_request);
}

/* Hand libevhtp a head of our own making that stands for the request: it never sees a byte of the peer. */
static void
feed_evhtp(struct pim_http_conn *conn, const struct pim_http_request *request)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    bool is_plain = conn->ev->ssl == NULL;

    if (is_plain) /* a socket's input is only open for adding while libevent reads */
        evbuffer_unfreeze(input, 0);
    evbuffer_add_printf(input, "%s / HTTP/1.1\r\nHost: local\r\n%s\r\n", pim_http_method_name(request->method),
                        request->close ? "Connection: close\r\n" : "");
    if (is_plain)
        evbuffer_freeze(input, 0);
    conn->ev_read(conn->bev, conn->ev);
}

static void
dispatch(struct pim_http_conn *conn)
{
    struct pim_http *http = conn->thread->http;
    struct pim_http_request *request = request_new(conn);

    conn->state = CONN_BUSY;
    event_del(conn->timer);
    bufferevent_disable(conn->bev, EV_READ);
    atomic_fetch_add(&http->counts.requests, 1);
    feed_evhtp(conn, request);
    if (conn->gone || conn->ev_request == NULL) { /* libevhtp did not like it; that is a bug, not the peer's */
        pim_http_request_free(&request);
        if (!conn->gone)
            conn_close(conn);
        return;
    }
    conn->request = request;
    atomic_fetch_add(&http->in_flight, 1);
    if (pim_http_dispatch(request) == PIM_HTTP_REPLY)
        reply(conn, request);
}

/* Read what is held until a request is whole, or nothing is left. */
static void
advance(struct pim_http_conn *conn)
{
    struct pim_http *http = conn->thread->http;
    struct pim_http_framing *framing = &conn->framing;

    while (conn->state == CONN_READING && evbuffer_get_length(conn->held) > 0) {
        size_t n = evbuffer_get_contiguous_space(conn->held);
        size_t used = pim_http_framing_feed(framing, (const char *)evbuffer_pullup(conn->held, (ev_ssize_t)n), n);

        evbuffer_drain(conn->held, used);
        if (framing->state == PIM_HTTP_BROKEN) {
            atomic_fetch_add(&http->counts.malformed, 1);
            conn_refuse(conn, framing->status, framing->error);
            return;
        }
        if (framing->state == PIM_HTTP_COMPLETE) {
            conn->said_continue = false;
            conn->head_from_ms = conn->body_from_ms = 0;
            dispatch(conn);
            return;
        }
    }
    if (conn->state != CONN_READING)
        return;
    if (framing->state == PIM_HTTP_IN_BODY && framing->expects_continue && !conn->said_continue) {
        conn->said_continue = true;
        evbuffer_add_printf(bufferevent_get_output(conn->bev), "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (framing->state == PIM_HTTP_IN_BODY && conn->body_from_ms == 0) {
        conn->body_from_ms = pim_clock_mono_ms();
        timer_set(conn, BODY_GRACE_MS);
    } else if (framing->state == PIM_HTTP_IN_HEAD && conn->head_from_ms == 0) {
        conn->head_from_ms = pim_clock_mono_ms();
        timer_set(conn, http->config.header_timeout_ms);
    }
}

static void
on_read(struct bufferevent *bev, void *arg)
{
    struct pim_http_conn *conn = arg;

    if (conn->state == CONN_CLOSING) {
        evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
        return;
    }
    evbuffer_add_buffer(conn->held, bufferevent_get_input(bev));
    conn->refs++;
    if (conn->state == CONN_READING)
        advance(conn);
    if (!conn->gone && conn->state == CONN_BUSY && evbuffer_get_length(conn->held) > HELD_MAX_BYTES)
        bufferevent_disable(bev, EV_READ);
    conn_unref(conn);
}

/* The output has gone to the kernel. */
static void
on_write(struct bufferevent *bev, void *arg)
{
    struct pim_http_conn *conn = arg;

    if (conn->state == CONN_CLOSING) {
        if (!conn->lingers && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
            /* closing now would make the kernel send a reset that can overtake the answer */
            conn->lingers = true;
            if (conn->ev->ssl == NULL)
                shutdown(bufferevent_getfd(bev), SHUT_WR);
            timer_set(conn, LINGER_MS);
        }
        return;
    }
    if (conn->ev_request == NULL)
        return; /* only a 100 Continue; libevhtp would take it for an error */
    conn->refs++;
    conn->ev_write(bev, conn->ev);
    if (!conn->gone && conn->state == CONN_BUSY && conn->ev_request == NULL) {
        conn->state = CONN_READING;
        if (conn->thread->draining) {
            conn_close(conn);
        } else {
            bufferevent_enable(bev, EV_READ);
            timer_set(conn, conn->thread->http->config.idle_timeout_ms);
            advance(conn);
        }
    }
    conn_unref(conn);
}

/* libevhtp's own callback is never asked: on an end of file with a stale errno it would spin. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    struct pim_http_conn *conn = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return;
    conn_close(conn);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct pim_http_conn *conn = arg;
    struct pim_http *http = conn->thread->http;

    (void)fd;
    (void)what;
    if (conn->state == CONN_CLOSING) {
        conn_close(conn);
    } else if (conn->state == CONN_READING && conn->body_from_ms != 0) {
        int64_t for_ms = pim_clock_mono_ms() - conn->body_from_ms;

        if ((int64_t)conn->framing.body.len >= for_ms * http->config.body_rate / 1000) {
            timer_set(conn, 1000);
            return;
        }
        atomic_fetch_add(&http->counts.timeouts, 1);
        conn_refuse(conn, 408, "the body came too slowly");
    } else if (conn->state == CONN_READING) {
        atomic_fetch_add(&http->counts.timeouts, 1);
        if (conn->framing.state == PIM_HTTP_IN_HEAD)
            conn_refuse(conn, 408, "the request came too slowly");
        else
            conn_close(conn);
    }
}

/* --- a new connection ----------------------------------------------------------------------------------- */

static evhtp_res
on_accepted(evhtp_connection_t *ev, void *arg)
{
    struct pim_http *http = arg;
    struct pim_http_listener *listener = ev->htp->arg;
    struct pim_http_thread *thread = listener->thread;
    struct pim_http_conn *conn = pim_new0(sizeof *conn);
    struct timeval write_tv = {.tv_sec = http->config.write_timeout_ms / 1000,
                               .tv_usec = http->config.write_timeout_ms % 1000 * 1000};
    bufferevent_event_cb ev_event;
    void *ev_arg;
    int on = 1;

    conn->thread = thread;
    conn->ev = ev;
    conn->bev = ev->bev;
    conn->refs = 1;
    conn->held = evbuffer_new();
    conn->timer = evtimer_new(thread->base, on_timer, conn);
    if (conn->held == NULL || conn->timer == NULL)
        abort();
    conn->is_status = listener->is_status;
    pim_http_framing_init(&conn->framing, &http->config.limits);
    conn->gate_key = pim_http_peer_read(ev->saddr, conn->address, &conn->is_loopback);
    /* the connections of a proxy are those of many */
    if ((conn->is_loopback && !http->config.limit_loopback) ||
        pim_http_proxy_is_trusted(ev->saddr, http->config.trusted_proxies, http->config.n_trusted_proxies))
        conn->gate_key = 0;
    LIST_INSERT_HEAD(&thread->conns, conn, link);
    atomic_fetch_add(&thread->n_conns, 1);
    atomic_fetch_add(&http->counts.accepted, 1);

    evhtp_connection_set_hook(ev, evhtp_hook_on_connection_fini, (evhtp_hook)on_conn_fini, conn);
    bufferevent_getcb(conn->bev, &conn->ev_read, &conn->ev_write, &ev_event, &ev_arg);
    bufferevent_setcb(conn->bev, on_read, on_write, on_event, conn);
    bufferevent_set_timeouts(conn->bev, NULL, &write_tv);
    fcntl(bufferevent_getfd(conn->bev), F_SETFD, FD_CLOEXEC);
    setsockopt(bufferevent_getfd(conn->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

    conn->in_gate = conn->is_status || pim_http_gate_enter(http->gate, conn->gate_key);
    if (conn->is_status) {
        conn->in_gate = false;
    } else if (!conn->in_gate) {
        atomic_fetch_add(&http->counts.refused, 1);
        conn_refuse(conn, 503, "there are too many connections");
        timer_set(conn, LINGER_MS); /* the gate does not count it: it may not stay, also where TLS never begins */
        return EVHTP_RES_OK;
    }
    conn->head_from_ms = pim_clock_mono_ms();
    timer_set(conn, http->config.header_timeout_ms);
    return EVHTP_RES_OK;
}

/* --- leaving for the WebSocket side --------------------------------------------------------------------- */

/* Give up the socket. The request is not ended by libevhtp any more; it is forgotten. */
static void
hand_over(struct pim_http_conn *conn, struct pim_http_request *request)
{
    struct pim_http_thread *thread = conn->thread;
    struct bufferevent *bev = conn->bev;
    evhtp_connection_t *ev = conn->ev;
    struct evbuffer *early = conn->held;
    void *ticket = request->ticket;
    SSL *ssl = ev->ssl;

    conn->held = evbuffer_new();
    if (conn->held == NULL)
        abort();
    atomic_fetch_add(&thread->http->counts.upgrades, 1);
    pim_http_request_free(&request);
    conn->request = NULL;
    conn_detach(conn);
    conn_unref(conn);

    evhtp_connection_take_ownership(ev); /* forgets our hooks */
    evhtp_connection_free(ev);
    pim_http_handover(thread->http, thread->base, bev, ssl, early, ticket);
    evbuffer_free(early);
}

/* --- what the thread asks -------------------------------------------------------------------------------- */

void
pim_http_adapter_reply(struct pim_http_request *request)
{
    struct pim_http_conn *conn = request->conn;
    struct pim_http *http = request->http;

    if (conn != NULL && request->status == 101) {
        hand_over(conn, request);
        return;
    }
    if (conn != NULL) {
        conn->refs++;
        reply(conn, request);
        conn_unref(conn);
        return;
    }
    if (request->status == 101)
        http->ws->abandon(http->ws->ctx, request->ticket);
    pim_http_request_free(&request);
    atomic_fetch_sub(&http->in_flight, 1);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct pim_http_listener *listener = arg;

    (void)fd;
    (void)what;
    if (listener->evhtp->server != NULL)
        evconnlistener_enable(listener->evhtp->server);
}

/* Out of descriptors, most likely: wait a little instead of spinning. */
static void
on_accept_error(struct evconnlistener *server, void *arg)
{
    static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    static _Atomic int64_t said_ms;
    struct pim_http_listener *listener = ((evhtp_t *)arg)->arg;
    int why = errno;
    int64_t now_ms = pim_clock_mono_ms(), last_ms = atomic_load(&said_ms);

    if ((last_ms == 0 || now_ms - last_ms > ACCEPT_LOG_MS) && atomic_compare_exchange_strong(&said_ms, &last_ms, now_ms))
        pim_log(PIM_LOG_WARNING, "http: accept: %s", strerror(why));
    evconnlistener_disable(server);
    evtimer_add(listener->again, &pause);
}

/* fd is shared by the threads: each takes a duplicate. */
static int
listener_open(struct pim_http_thread *thread, struct pim_http_listener *listener, bool is_status, int fd, struct pim_err *err)
{
    int own_fd;

    listener->thread = thread;
    listener->is_status = is_status;
    listener->evhtp = evhtp_new(thread->base, listener);
    listener->again = evtimer_new(thread->base, on_accept_again, listener);
    if (listener->evhtp == NULL || listener->again == NULL)
        return pim_err_set(err, PIM_ERR_INTERNAL, "http: out of memory");
    evhtp_disable_flag(listener->evhtp, EVHTP_FLAG_ENABLE_100_CONT); /* we say it ourselves */
    /* Deferred: or libevhtp's write callback frees a request under the function that sends its reply (with TLS). */
    evhtp_set_bev_flags(listener->evhtp, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    evhtp_set_gencb(listener->evhtp, on_ev_request, NULL);
    evhtp_set_post_accept_cb(listener->evhtp, on_accepted, thread->http);
    if (!is_status)
        listener->evhtp->ssl_ctx = thread->http->ssl_ctx;
    own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own_fd < 0)
        return pim_err_set(err, PIM_ERR_UNAVAILABLE, "http: dup: %s", strerror(errno));
    if (evhtp_accept_socket(listener->evhtp, own_fd, PIM_HTTP_BACKLOG) < 0) {
        close(own_fd);
        return pim_err_set(err, PIM_ERR_INTERNAL, "http: the listener does not start");
    }
    evconnlistener_set_error_cb(listener->evhtp->server, on_accept_error);
    return PIM_OK;
}

int
pim_http_adapter_listen(struct pim_http_thread *thread, const int *fds, struct pim_err *err)
{
    const struct pim_http_config *config = &thread->http->config;
    int rc = PIM_OK;

    thread->listeners = pim_new0(config->n_listens * sizeof *thread->listeners);
    for (uint32_t i = 0; i < config->n_listens && rc == PIM_OK; i++)
        rc = listener_open(thread, &thread->listeners[i], config->listens[i].is_status, fds[i], err);
    return rc;
}

void
pim_http_adapter_unlisten(struct pim_http_thread *thread)
{
    for (uint32_t i = 0; i < thread->http->config.n_listens; i++)
        evhtp_unbind_socket(thread->listeners[i].evhtp);
}

void
pim_http_adapter_close(struct pim_http_thread *thread, bool idle_only)
{
    struct pim_http_conn *conn, *next;

    for (conn = LIST_FIRST(&thread->conns); conn != NULL; conn = next) {
        next = LIST_NEXT(conn, link);
        if (!idle_only || conn->state == CONN_READING || conn->lingers)
            conn_close(conn);
    }
}

void
pim_http_adapter_fini(struct pim_http_thread *thread)
{
    for (uint32_t i = 0; thread->listeners != NULL && i < thread->http->config.n_listens; i++) {
        struct pim_http_listener *listener = &thread->listeners[i];

        if (listener->again != NULL)
            event_free(listener->again);
        if (listener->evhtp == NULL)
            continue;
        evhtp_unbind_socket(listener->evhtp);
        listener->evhtp->ssl_ctx = NULL; /* ours */
        evhtp_free(listener->evhtp);
    }
    free(thread->listeners);
}
