#include "ws/ws.h"

#include "im/delivery.h"
#include "util/clock.h"
#include "util/mem.h"
#include "ws/conn.h"
#include "ws/mails.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* --- letting in --------------------------------------------------------------------------------------------------------- */

static void
on_session(void *ctx, int rc, const struct pim_caller *caller)
{
    struct ws_adopt *adopt = ctx;
    pim_upgrade_answer_fn answer = adopt->answer;
    void *answer_ctx = adopt->answer_ctx;

    if (rc != PIM_OK) {
        free(adopt);
        if (rc == PIM_REFUSED)
            answer(answer_ctx, 401, "the token is missing, bad or has ended", NULL, NULL);
        else
            answer(answer_ctx, 503, "the storage is away, come back later", "Retry-After: 1", NULL);
        return;
    }
    adopt->user_id = caller->user_id;
    adopt->expires_ms = caller->expires_ms;
    memcpy(adopt->session, caller->session, sizeof adopt->session);
    answer(answer_ctx, 101, NULL, NULL, adopt);
}

/* The first place that holds a token counts. */
static bool
token_of(const struct pim_ws *ws, const struct pim_upgrade_request *request, const char **out_token, size_t *out_len)
{
    const char *token = NULL;

    if (request->authorization != NULL)
        token = strncasecmp(request->authorization, "Bearer ", 7) == 0 ? request->authorization + 7 : NULL;
    else if (request->auth_token != NULL)
        token = request->auth_token;
    else if (pim_ws_find_token(request->protocol, "privateim.token.", out_token, out_len))
        return true;
    else if (ws->config.query_token)
        token = request->query_token;
    if (token == NULL || *token == '\0')
        return false;
    *out_token = token;
    *out_len = strlen(token);
    return true;
}

static bool
origin_is_allowed(struct pim_ws *ws, const struct pim_upgrade_request *request)
{
    bool allowed;

    pthread_mutex_lock(&ws->lock);
    allowed = pim_ws_origin_is_allowed(request->origin, request->host, request->tls, ws->origins);
    pthread_mutex_unlock(&ws->lock);
    return allowed;
}

static bool
is_full(const struct pim_ws *ws)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < ws->n_workers; i++)
        n += atomic_load_explicit(&ws->workers[i].n_conns, memory_order_relaxed);
    return n >= ws->config.connections;
}

static void
begin(void *ctx, const struct pim_upgrade_request *request, pim_upgrade_answer_fn answer, void *answer_ctx)
{
    struct pim_ws *ws = ctx;
    struct pim_ws_refusal refusal;
    struct ws_adopt *adopt;
    const char *token;
    size_t token_len;
    bool echo = false;

#ifdef PIM_TEST_ECHO
    echo = strcmp(request->path, "/echo") == 0;
#endif
    if (!echo && strcmp(request->path, "/") != 0) {
        answer(answer_ctx, 404, "WebSocket is served at /", NULL, NULL);
        return;
    }
    if (pim_ws_handshake_check(request, &refusal) != PIM_OK) {
        answer(answer_ctx, refusal.status, refusal.error, refusal.header, NULL);
        return;
    }
    if (!origin_is_allowed(ws, request)) {
        answer(answer_ctx, 403, "this origin is not allowed", NULL, NULL);
        return;
    }
    if (atomic_load(&ws->stopping)) {
        answer(answer_ctx, 503, "the server restarts", "Retry-After: 1", NULL);
        return;
    }
    if (is_full(ws)) {
        answer(answer_ctx, 503, "too many connections, come back later", "Retry-After: 10", NULL);
        return;
    }
    adopt = pim_new0(sizeof *adopt);
    adopt->mail.kind = WS_MAIL_ADOPT;
    adopt->ws = ws;
    adopt->answer = answer;
    adopt->answer_ctx = answer_ctx;
    adopt->is_echo = echo;
    adopt->is_v1 = !echo && pim_ws_has_token(request->protocol, "privateim.v1");
    pim_ws_handshake_accept(request->key, adopt->accept);
    if (echo) {
        answer(answer_ctx, 101, NULL, NULL, adopt);
        return;
    }
    if (!token_of(ws, request, &token, &token_len)) {
        free(adopt);
        answer(answer_ctx, 401, "the token is missing, bad or has ended", NULL, NULL);
        return;
    }
    pim_im_session_check(ws->im, token, token_len, on_session, adopt);
}

static void
adopt_free(struct pim_mail *mail)
{
    struct ws_adopt *adopt = (struct ws_adopt *)mail;

    SSL_free(adopt->ssl);
    close(adopt->fd);
    free(adopt->early);
    free(adopt);
}

static void
adopt_socket(void *ctx, void *ticket, int fd, SSL *ssl, const void *early, size_t early_len)
{
    struct pim_ws *ws = ctx;
    struct ws_adopt *adopt = ticket;
    uint32_t fewest = 0;

    adopt->fd = fd;
    adopt->ssl = ssl;
    if (ssl != NULL)
        SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (early_len > 0) {
        adopt->early = pim_new(early_len);
        memcpy(adopt->early, early, early_len);
        adopt->early_len = early_len;
    }
    for (uint32_t i = 1; i < ws->n_workers; i++)
        if (atomic_load_explicit(&ws->workers[i].n_conns, memory_order_relaxed) <
            atomic_load_explicit(&ws->workers[fewest].n_conns, memory_order_relaxed))
            fewest = i;
    ws_worker_post(ws, fewest, &adopt->mail, adopt_free);
}

static void
abandon(void *ctx, void *ticket)
{
    (void)ctx;
    free(ticket);
}

const struct pim_upgrade_ops *
pim_ws_upgrade_ops(struct pim_ws *ws)
{
    return &ws->upgrade;
}

/* --- start and stop -------------------------------------------------------------------------------------------------------- */

static bool
post_batch(void *ctx, uint32_t worker, struct pim_batch *batch)
{
    struct pim_ws *ws = ctx;

    return pim_mailbox_post_always(&ws->workers[worker].base.box, &batch->mail) == PIM_OK;
}

void
pim_ws_origins_set(struct pim_ws *ws, const char *allowed_origins)
{
    char *fresh = pim_strdup(allowed_origins), *old;

    pthread_mutex_lock(&ws->lock);
    old = ws->origins;
    ws->origins = fresh;
    pthread_mutex_unlock(&ws->lock);
    free(old);
}

int
pim_ws_start(const struct pim_ws_config *config, struct pim_im *im, struct pim_ws **out_ws, struct pim_err *err)
{
    struct pim_ws *ws = pim_new0(sizeof *ws);
    struct pim_im_sink sink = {.ctx = ws, .workers = config->workers, .post = post_batch};

    ws->config = *config;
    ws->config.allowed_origins = NULL;
    pthread_mutex_init(&ws->lock, NULL);
    pim_ws_origins_set(ws, config->allowed_origins);
    ws->im = im;
    ws->n_workers = config->workers;
    ws->workers = pim_new0(config->workers * sizeof *ws->workers);
    ws->upgrade = (struct pim_upgrade_ops){.ctx = ws, .begin = begin, .adopt = adopt_socket, .abandon = abandon};
    pim_im_sink_set(im, &sink);
    for (uint32_t i = 0; i < ws->n_workers; i++) {
        int rc = ws_worker_start(ws, (uint16_t)i, err);

        if (rc < 0) {
            pim_ws_stop(ws, 0);
            pim_ws_free(&ws);
            return rc;
        }
        ws->n_started++;
    }
    *out_ws = ws;
    return PIM_OK;
}

void
pim_ws_stop(struct pim_ws *ws, int64_t timeout_ms)
{
    int64_t deadline_ms = pim_clock_mono_ms() + timeout_ms;

    atomic_store(&ws->stopping, true);
    for (uint32_t i = 0; i < ws->n_started; i++)
        ws_worker_stop(&ws->workers[i], deadline_ms);
    for (uint32_t i = 0; i < ws->n_started; i++)
        pim_worker_join(&ws->workers[i].base);
}

void
pim_ws_free(struct pim_ws **wsp)
{
    struct pim_ws *ws = *wsp;

    *wsp = NULL;
    if (ws == NULL)
        return;
    for (uint32_t i = 0; i < ws->n_started; i++)
        ws_worker_free(&ws->workers[i]);
    pthread_mutex_destroy(&ws->lock);
    free(ws->origins);
    free(ws->workers);
    free(ws);
}

void
pim_ws_metrics(struct pim_ws *ws, struct pim_buf *buf)
{
    static const struct {
        const char *name, *type, *help;
        size_t at;
    } counters[] = {
        {"privateim_ws_connections", "gauge", "WebSocket connections", offsetof(struct ws_worker, n_conns)},
        {"privateim_ws_messages_in_total", "counter", "messages received", offsetof(struct ws_worker, messages_in)},
        {"privateim_ws_frames_out_total", "counter", "frames of single connections sent", offsetof(struct ws_worker, frames_out)},
        {"privateim_ws_bytes_in_total", "counter", "bytes received", offsetof(struct ws_worker, bytes_in)},
        {"privateim_ws_bytes_out_total", "counter", "bytes sent", offsetof(struct ws_worker, bytes_out)},
        {"privateim_ws_slow_closed_total", "counter", "connections closed because they read too slowly",
         offsetof(struct ws_worker, slow_closed)},
    };

    for (size_t c = 0; c < PIM_COUNT(counters); c++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < ws->n_started; i++)
            sum += atomic_load_explicit((_Atomic uint64_t *)((char *)&ws->workers[i] + counters[c].at),
                                        memory_order_relaxed);
        pim_buf_addf(buf, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", counters[c].name, counters[c].help, counters[c].name,
                     counters[c].type, counters[c].name, (unsigned long long)sum);
    }
}
