/* The HTTP side alone, with routes made for tests and a WebSocket side that only echoes bytes: what test_server.py and
 * the framing probes talk to. Prints its port and the status port, then serves until standard input ends. */
#include "http/http_priv.h"
#include "http/router.h"
#include "util/log.h"
#include "util/mem.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum pim_http_verdict
echo(struct pim_http_request *request)
{
    pim_http_json(request, 200);
    pim_buf_adds(&request->out, "{\"path\":");
    pim_buf_add_json(&request->out, request->path, strlen(request->path));
    pim_buf_addf(&request->out, ",\"method\":\"%s\",\"body\":%zu,\"user\":%lld}", pim_http_method_name(request->method),
                 request->body.len, (long long)request->caller.user_id);
    return PIM_HTTP_REPLY;
}

static void *
slow_main(void *arg)
{
    usleep(200000);
    echo(arg);
    pim_http_request_done(arg);
    return NULL;
}

static enum pim_http_verdict
slow(struct pim_http_request *request)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, slow_main, request) != 0)
        return pim_http_fail(request, 500, "no thread");
    pthread_detach(thread);
    return PIM_HTTP_LATER;
}

static enum pim_http_verdict
large(struct pim_http_request *request)
{
    pim_http_json(request, 200);
    for (int i = 0; i < 4000000; i++)
        pim_buf_addc(&request->out, 'x');
    return PIM_HTTP_REPLY;
}

const struct pim_http_route pim_http_routes_account[] = {
    {.path = "/open", .open = true, .get = echo, .post = echo, .put = echo},
    {.path = "/slow", .open = true, .get = slow, .post = slow},
    {.path = "/large", .open = true, .get = large},
    {.path = "/closed", .get = echo},
    {.path = "/one/", .open = true, .get = echo},
    {.path = NULL},
};
const struct pim_http_route pim_http_routes_session[] = {{.path = NULL}}, pim_http_routes_friend[] = {{.path = NULL}},
                            pim_http_routes_group[] = {{.path = NULL}}, pim_http_routes_message[] = {{.path = NULL}};

void
pim_im_session_check(struct pim_im *im, const char *token, size_t token_len, pim_session_fn fn, void *ctx)
{
    struct pim_caller caller = {.user_id = 7};

    (void)im;
    if (token_len == 4 && memcmp(token, "good", 4) == 0)
        fn(ctx, PIM_OK, &caller);
    else
        fn(ctx, PIM_REFUSED, NULL);
}

struct taken {
    int fd;
    SSL *ssl;
    size_t early_len;
    char early[4096];
};

static void *
taken_main(void *arg)
{
    static const char hello[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    struct taken *taken = arg;
    char bytes[4096];
    ssize_t n;

    if (taken->ssl != NULL) {
        SSL_write(taken->ssl, hello, sizeof hello - 1);
        if (taken->early_len > 0)
            SSL_write(taken->ssl, taken->early, (int)taken->early_len);
    } else {
        if (write(taken->fd, hello, sizeof hello - 1) < 0 || write(taken->fd, taken->early, taken->early_len) < 0)
            goto out;
    }
    for (;;) {
        struct pollfd poll_on = {.fd = taken->fd, .events = POLLIN};

        if (taken->ssl == NULL || SSL_pending(taken->ssl) == 0)
            poll(&poll_on, 1, -1);
        n = taken->ssl != NULL ? SSL_read(taken->ssl, bytes, sizeof bytes) : read(taken->fd, bytes, sizeof bytes);
        if (n <= 0 && taken->ssl != NULL && SSL_get_error(taken->ssl, (int)n) == SSL_ERROR_WANT_READ)
            continue;
        if (n <= 0)
            break;
        if (taken->ssl != NULL)
            SSL_write(taken->ssl, bytes, (int)n);
        else if (write(taken->fd, bytes, (size_t)n) < 0)
            break;
    }
out:
    SSL_free(taken->ssl);
    close(taken->fd);
    free(taken);
    return NULL;
}

static void
ws_begin(void *ctx, const struct pim_upgrade_request *request, pim_upgrade_answer_fn answer, void *answer_ctx)
{
    (void)ctx;
    if (request->key == NULL)
        answer(answer_ctx, 400, "there is no key", NULL, NULL);
    else
        answer(answer_ctx, 101, NULL, NULL, answer_ctx);
}

static void
ws_adopt(void *ctx, void *ticket, int fd, SSL *ssl, const void *early, size_t early_len)
{
    struct taken *taken = pim_new0(sizeof *taken);
    pthread_t thread;

    (void)ctx;
    (void)ticket;
    taken->fd = fd;
    taken->ssl = ssl;
    taken->early_len = early_len < sizeof taken->early ? early_len : sizeof taken->early;
    memcpy(taken->early, early, taken->early_len);
    if (pthread_create(&thread, NULL, taken_main, taken) == 0)
        pthread_detach(thread);
}

static void
ws_abandon(void *ctx, void *ticket)
{
    (void)ctx;
    (void)ticket;
}

int
main(int argc, char **argv)
{
    static const struct pim_upgrade_ops ws = {.begin = ws_begin, .adopt = ws_adopt, .abandon = ws_abandon};
    static const struct pim_http_listen listens[] = {{.address = "127.0.0.1"},
                                                     {.address = "127.0.0.1", .is_status = true}};
    struct pim_http_config config;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_http *http;
    char byte;

    pim_http_config_init(&config);
    config.listens = listens;
    config.n_listens = 2;
    config.header_timeout_ms = 1000;
    config.idle_timeout_ms = 2000;
    config.max_connections = 64;
    config.max_connections_per_address = 32;
    config.limit_loopback = true;
    config.drain_ms = 1000;
    if (argc > 1)
        config.web_dir = argv[1];
    if (argc > 2)
        config.tls_cert = argv[2];
    pim_log_start();
    if (pim_http_start(&config, NULL, &ws, &http, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    printf("%u %u\n", pim_http_port(http, 0), pim_http_port(http, 1));
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    pim_http_stop(&http);
    pim_log_stop();
    return 0;
}
