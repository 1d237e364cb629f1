/* load: the client of the benches. One thread, one epoll, as little work for each frame as can be.
 *
 *   load PORT pairs  TOKENS WINDOW SECONDS   lines 2i and 2i+1 of TOKENS are friends; the first sends to the other, WINDOW unanswered
 *   load PORT lone   TOKENS WINDOW SECONDS   the first sends to the second
 *   load PORT group  TOKENS WINDOW SECONDS GROUP   all are members; the first sends
 *   load PORT idle   TOKENS                  connects all, prints how long that took, waits for the end of stdin
 *
 * TOKENS: one "token user_id" a line. Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 64
#define READ_BYTES (256 * 1024)

struct conn {
    int fd;
    SSL *ssl;
    char *token;
    long long user_id, peer_id;
    bool greeted, sends;
    uint8_t *in;
    size_t in_len, in_cap;
    char *out;
    size_t out_len, out_cap, out_at;
    uint64_t next, unanswered;
    int64_t *sent_us; /* ring of window entries */
};

static struct conn *conns;
static uint32_t n_conns, window = 1, type_id;
static long long group_id;
static int epoll_fd;
static uint8_t read_buf[READ_BYTES];
static uint32_t *latencies;
static size_t n_latencies, cap_latencies;
static uint64_t n_results, n_rows, n_bad, n_greeted;
static bool measuring;
static SSL_CTX *tls;
static char text[TEXT_BYTES + 1];

static int64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static void
put(struct conn *c, const void *bytes, size_t len)
{
    if (c->out_cap - c->out_len < len) {
        c->out_cap = 2 * (c->out_len + len) + 1024;
        c->out = realloc(c->out, c->out_cap);
        if (c->out == NULL)
            die("realloc");
    }
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

static void
put_frame(struct conn *c, const char *payload, size_t len)
{
    uint8_t head[8] = {0x81};
    size_t n = 2;

    if (len < 126) {
        head[1] = (uint8_t)(0x80 | len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    }
    memset(head + n, 0, 4); /* masked with zeros: the peer unmasks all the same */
    put(c, head, n + 4);
    put(c, payload, len);
}

static void
flush(struct conn *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, c->out + c->out_at, (int)(c->out_len - c->out_at))
                                   : send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the next turn goes on */
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_len = 0;
}

static void
send_one(struct conn *c)
{
    char frame[512];
    struct timespec ts;
    uint64_t ms, number = c->next++;
    int len;

    clock_gettime(CLOCK_REALTIME, &ts);
    ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    len = snprintf(frame, sizeof frame,
                   "{\"type_id\":%u,\"receiver_id\":%lld,\"client_id\":\"%08x-%04x-7000-8000-%012llx\",\"content_type\":0,"
                   "\"content\":\"%s\"}",
                   type_id, type_id == 1 ? group_id : c->peer_id, (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
                   (unsigned long long)number, text);
    c->sent_us[number % window] = now_us();
    c->unanswered++;
    put_frame(c, frame, (size_t)len);
}

static void
on_result(struct conn *c, const char *payload, size_t len)
{
    const char *id = memmem(payload, len, "\"client_id\":\"", 13);
    uint64_t number;

    if (memmem(payload, len < 60 ? len : 60, "\"code\":200", 10) == NULL) {
        if (n_bad++ < 5)
            fprintf(stderr, "%.*s\n", (int)len, payload);
    }
    c->unanswered--;
    if (id == NULL)
        return;
    number = strtoull(id + 13 + 24, NULL, 16);
    if (measuring) {
        n_results++;
        if (n_latencies == cap_latencies) {
            cap_latencies = cap_latencies ? cap_latencies * 2 : 1 << 20;
            latencies = realloc(latencies, cap_latencies * sizeof *latencies);
            if (latencies == NULL)
                die("realloc");
        }
        latencies[n_latencies++] = (uint32_t)(now_us() - c->sent_us[number % window]);
    }
}

static void
on_frame(struct conn *c, uint8_t opcode, const char *payload, size_t len)
{
    if (opcode == 9) { /* ping */
        uint8_t head[6] = {0x8a, (uint8_t)(0x80 | len)};

        put(c, head, 6);
        put(c, payload, len);
    } else if (opcode == 8) {
        fprintf(stderr, "closed by the server: %.*s\n", len > 2 ? (int)len - 2 : 0, payload + 2);
        exit(1);
    } else if (len > 14 && memcmp(payload, "{\"op\":\"result\"", 14) == 0) {
        on_result(c, payload, len);
    } else if (len > 13 && memcmp(payload, "{\"op\":\"hello\"", 13) == 0) {
        c->greeted = true;
        n_greeted++;
    } else if (measuring) {
        n_rows++;
    }
}

/* @return bytes used */
static size_t
frames(struct conn *c, const uint8_t *data, size_t n)
{
    size_t at = 0;

    while (n - at >= 2) {
        uint64_t len = data[at + 1] & 0x7f;
        size_t head = 2;

        if (len == 126) {
            if (n - at < 4)
                break;
            len = (uint64_t)data[at + 2] << 8 | data[at + 3];
            head = 4;
        } else if (len == 127) {
            if (n - at < 10)
                break;
            len = 0;
            for (int i = 2; i < 10; i++)
                len = len << 8 | data[at + (size_t)i];
            head = 10;
        }
        if (n - at < head + len)
            break;
        on_frame(c, data[at] & 15, (const char *)data + at + head, len);
        at += head + len;
    }
    return at;
}

static void
keep(struct conn *c, const uint8_t *data, size_t n)
{
    if (c->in_cap - c->in_len < n) {
        c->in_cap = 2 * (c->in_len + n);
        c->in = realloc(c->in, c->in_cap);
        if (c->in == NULL)
            die("realloc");
    }
    memcpy(c->in + c->in_len, data, n);
    c->in_len += n;
}

static void
readable(struct conn *c)
{
    for (;;) {
        ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, read_buf, sizeof read_buf) : recv(c->fd, read_buf, sizeof read_buf, 0);

        if (n < 0 && c->ssl == NULL && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 && c->ssl != NULL && SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ)
            return;
        if (n <= 0) {
            fprintf(stderr, "the server closed a connection\n");
            exit(1);
        }
        if (c->in_len > 0) {
            size_t used;

            keep(c, read_buf, (size_t)n);
            used = frames(c, c->in, c->in_len);
            memmove(c->in, c->in + used, c->in_len - used);
            c->in_len -= used;
        } else {
            size_t used = frames(c, read_buf, (size_t)n);

            if (used < (size_t)n)
                keep(c, read_buf + used, (size_t)n - used);
        }
        if (c->ssl == NULL && n < (ssize_t)sizeof read_buf)
            return;
    }
}

static void
connect_one(struct conn *c, int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[4096];
    int one = 1, len;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (tls != NULL) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1) {
            fprintf(stderr, "TLS handshake failed\n");
            exit(1);
        }
    }
    len = snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Sec-WebSocket-Protocol: privateim.v1\r\nAuthorization: Bearer %s\r\n\r\n",
                   port, c->token);
    if ((c->ssl != NULL ? SSL_write(c->ssl, request, len) : send(c->fd, request, (size_t)len, 0)) != len)
        die("send");
}

static void
answer_one(struct conn *c)
{
    char head[4096];
    size_t len = 0;
    char *end;

    for (;;) {
        ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, head + len, (int)(sizeof head - 1 - len))
                                   : recv(c->fd, head + len, sizeof head - 1 - len, 0);

        if (n <= 0)
            die("handshake");
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
        if (end != NULL)
            break;
    }
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "%s\n", head);
        exit(1);
    }
    end += 4;
    keep(c, (uint8_t *)end, len - (size_t)(end - head));
    c->in_len -= frames(c, c->in, c->in_len); /* hello alone, or nothing yet */
}

static void
connect_all(int port)
{
    const uint32_t at_once = 64;

    for (uint32_t first = 0; first < n_conns; first += at_once) {
        uint32_t end = first + at_once < n_conns ? first + at_once : n_conns;

        for (uint32_t i = first; i < end; i++)
            connect_one(&conns[i], port);
        for (uint32_t i = first; i < end; i++)
            answer_one(&conns[i]);
    }
    for (uint32_t i = 0; i < n_conns; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &conns[i]};
        while (!conns[i].greeted) { /* the hello: blocking still */
            ssize_t n = conns[i].ssl != NULL ? SSL_read(conns[i].ssl, read_buf, sizeof read_buf)
                                             : recv(conns[i].fd, read_buf, sizeof read_buf, 0);
            size_t used;

            if (n <= 0)
                die("hello");
            keep(&conns[i], read_buf, (size_t)n);
            used = frames(&conns[i], conns[i].in, conns[i].in_len);
            memmove(conns[i].in, conns[i].in + used, conns[i].in_len - used);
            conns[i].in_len -= used;
        }
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conns[i].fd, &ev) < 0)
            die("epoll_ctl");
    }
}

static void
non_blocking(void)
{
    for (uint32_t i = 0; i < n_conns; i++) {
        int flags = fcntl(conns[i].fd, F_GETFL);

        fcntl(conns[i].fd, F_SETFL, flags | O_NONBLOCK);
    }
}

static void
load_tokens(const char *path)
{
    FILE *file = fopen(path, "r");
    char token[2048];
    long long id;

    if (file == NULL)
        die(path);
    while (fscanf(file, "%2047s %lld", token, &id) == 2) {
        if ((n_conns & (n_conns - 1)) == 0)
            conns = realloc(conns, (n_conns ? 2 * n_conns : 1) * sizeof *conns);
        conns[n_conns] = (struct conn){.token = strdup(token), .user_id = id};
        n_conns++;
    }
    fclose(file);
}

static void
turn(int timeout_ms)
{
    struct epoll_event events[1024];
    int n = epoll_wait(epoll_fd, events, 1024, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;

        readable(c);
        if (c->sends)
            while (c->unanswered < window)
                send_one(c);
        if (c->out_len > 0)
            flush(c);
    }
}

static int
compare(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

static void
report(double seconds)
{
    qsort(latencies, n_latencies, sizeof *latencies, compare);
    printf("{\"seconds\": %.3f, \"acked\": %llu, \"rows\": %llu, \"bad\": %llu, \"acked_per_s\": %.0f, \"rows_per_s\": %.0f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           seconds, (unsigned long long)n_results, (unsigned long long)n_rows, (unsigned long long)n_bad,
           (double)n_results / seconds, (double)n_rows / seconds,
           n_latencies ? latencies[n_latencies / 2] / 1000.0 : 0,
           n_latencies ? latencies[n_latencies * 99 / 100] / 1000.0 : 0);
    fflush(stdout);
}

static void
run_sends(double seconds)
{
    int64_t begin_us, until_us = now_us() + 1000000; /* a second to warm up */

    for (uint32_t i = 0; i < n_conns; i++) {
        conns[i].sent_us = calloc(window, sizeof(int64_t));
        if (!conns[i].sends)
            continue;
        while (conns[i].unanswered < window)
            send_one(&conns[i]);
        flush(&conns[i]);
    }
    while (now_us() < until_us)
        turn(100);
    puts("measuring"); /* whoever looks at the server's CPU time looks now, and again at the result */
    fflush(stdout);
    measuring = true;
    begin_us = now_us();
    until_us = begin_us + (int64_t)(seconds * 1e6);
    while (now_us() < until_us)
        turn(100);
    measuring = false;
    report((double)(now_us() - begin_us) / 1e6);
}

int
main(int argc, char **argv)
{
    struct rlimit limit;
    int64_t begin_us;
    const char *mode = argc > 2 ? argv[2] : "";

    if (argc < 4) {
        fprintf(stderr, "usage: load PORT pairs|lone|group|idle TOKENS [WINDOW SECONDS [GROUP]]\n");
        return 64;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getenv("PIM_LOAD_TLS") != NULL) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    memset(text, 'x', TEXT_BYTES);
    load_tokens(argv[3]);
    if (argc > 5)
        window = (uint32_t)atoi(argv[4]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    begin_us = now_us();
    connect_all(atoi(argv[1]));
    if (strcmp(mode, "idle") == 0) {
        printf("{\"connections\": %u, \"connect_s\": %.3f}\n", n_conns, (double)(now_us() - begin_us) / 1e6);
        fflush(stdout);
        while (getchar() != EOF)
            ;
        return 0;
    }
    if (argc < 6 || (strcmp(mode, "group") == 0 && argc < 7))
        return 64;
    non_blocking();
    if (strcmp(mode, "group") == 0) {
        type_id = 1;
        group_id = atoll(argv[6]);
        conns[0].sends = true;
    } else {
        for (uint32_t i = 0; i + 1 < n_conns; i += 2) {
            conns[i].peer_id = conns[i + 1].user_id;
            conns[i + 1].peer_id = conns[i].user_id;
            conns[i].sends = conns[i + 1].sends = true;
        }
        if (strcmp(mode, "lone") == 0) {
            for (uint32_t i = 1; i < n_conns; i++)
                conns[i].sends = false;
        } else {
            for (uint32_t i = 1; i < n_conns; i += 2)
                conns[i].sends = false; /* 50 pairs: 50 senders, each with WINDOW unanswered */
        }
    }
    run_sends(atof(argv[5]));
    return 0;
}
