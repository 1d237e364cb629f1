/* hammer: many clients that keep the rules of docs/protocol.md section 8 while the server is killed, and write down all that they saw.
 *
 *   hammer PORT TOKENS LOGDIR WINDOW GROUP
 *
 * TOKENS: one "token user_id" a line; 2i and 2i+1 are friends, and all are members of GROUP (0: none). Each client has a thread,
 * sends to its friend and to the group with up to WINDOW messages unanswered, sends those again whose answer never came, and
 * follows every conversation without a hole. A line on stdin ends the sending: each client then waits for its last answers
 * and a last sync, and leaves.
 *
 * LOGDIR/USER.log, one event a line, times in microseconds of the monotonic clock:
 *   I time cid conversation          a message is sent for the first time
 *   O time cid conversation seq id   it was acknowledged (once for each message)
 *   F time cid code                  it was refused
 *   ? time cid                       the connection broke while it was unanswered
 *   R time conversation seq id cid   a row was taken (cid 0: an event)
 * judge.py reads them. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MAX 64
#define DRAIN_S 30

struct pending {
    char cid[37];
    char frame[400];
    size_t len;
    bool on_wire, asked; /* asked: to be sent again after a pause */
};

struct client {
    pthread_t thread;
    char *token;
    long long user_id, peer_id;
    FILE *log;
    int fd;
    bool greeted, syncing, missing, synced_after;
    char *in;
    size_t in_len, in_cap;
    struct pending pending[WINDOW_MAX];
    uint32_t n_pending;
    json_t *have; /* conversation -> [seq, id] */
    uint64_t counter, last_ms;
    int64_t offset_ms, again_us, connect_us;
    unsigned seed, number;
    bool failed, drained;
};

static int port;
static uint32_t window;
static long long group_id;
static atomic_bool finishing;
static atomic_uint n_clients, n_drained; /* no answer is waited for any more: nothing new will come */

static int64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t
wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the connection ------------------------------------------------------------------------------------------------- */

static void
broken(struct client *c)
{
    if (c->fd < 0)
        return;
    for (uint32_t i = 0; i < c->n_pending; i++) {
        if (c->pending[i].on_wire)
            fprintf(c->log, "? %lld %s\n", (long long)now_us(), c->pending[i].cid);
        c->pending[i].on_wire = false;
    }
    close(c->fd);
    c->fd = -1;
    c->greeted = c->syncing = false;
    c->in_len = 0;
    c->connect_us = now_us() + 20000 + rand_r(&c->seed) % 80000;
}

static bool
send_all(struct client *c, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void
send_frame(struct client *c, int opcode, const char *payload, size_t len)
{
    unsigned char head[8] = {(unsigned char)(0x80 | opcode)};
    size_t n = 2;
    char *copy;

    if (c->fd < 0)
        return;
    if (len < 126) {
        head[1] = (unsigned char)(0x80 | len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)len;
        n = 4;
    }
    copy = malloc(n + 4 + len);
    memcpy(copy, head, n);
    memcpy(copy + n, "\x11\x22\x33\x44", 4);
    for (size_t i = 0; i < len; i++)
        copy[n + 4 + i] = payload[i] ^ "\x11\x22\x33\x44"[i & 3];
    if (!send_all(c, copy, n + 4 + len))
        broken(c);
    free(copy);
}

static void
send_json(struct client *c, json_t *frame)
{
    char *text = json_dumps(frame, JSON_COMPACT);

    send_frame(c, 1, text, strlen(text));
    free(text);
    json_decref(frame);
}

static void
open_connection(struct client *c)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 10};
    char request[4096], head[4096];
    size_t have = 0;
    int one = 1, len;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    len = snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Sec-WebSocket-Protocol: privateim.v1\r\nAuthorization: Bearer %s\r\n\r\n",
                   port, c->token);
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof addr) < 0 || !send_all(c, request, (size_t)len)) {
        broken(c);
        return;
    }
    while (have < sizeof head - 1 && (have < 4 || memcmp(head + have - 4, "\r\n\r\n", 4) != 0))
        if (recv(c->fd, head + have++, 1, 0) != 1) {
            broken(c);
            return;
        }
    head[have] = '\0';
    if (strncmp(head, "HTTP/1.1 101", 12) != 0)
        broken(c);
}

/* --- what is known and asked ---------------------------------------------------------------------------------------- */

static void
ask_sync(struct client *c, const char *after)
{
    json_t *known = json_array(), *mark, *frame;
    const char *name;

    json_object_foreach (c->have, name, mark)
        json_array_append_new(known, json_pack("[s, O, O]", name, json_array_get(mark, 0), json_array_get(mark, 1)));
    frame = json_pack("{s:s, s:o, s:i}", "op", "sync", "conversations", known, "limit", 100);
    if (after != NULL)
        json_object_set_new(frame, "after", json_string(after));
    c->syncing = true;
    c->missing = false;
    c->synced_after = atomic_load(&n_drained) == atomic_load(&n_clients);
    send_json(c, frame);
}

static json_int_t
have_seq(struct client *c, const char *name)
{
    return json_integer_value(json_array_get(json_object_get(c->have, name), 0));
}

static void
have_set(struct client *c, const char *name, json_int_t seq, const char *id)
{
    json_object_set_new(c->have, name, json_pack("[I, s]", seq, id));
}

/* A row, live, from a sync, or a result that stands for our own. */
static void
take_row(struct client *c, const char *name, json_int_t seq, const char *id, const char *cid)
{
    json_int_t have = have_seq(c, name);

    if (seq <= have)
        return;
    if (seq > have + 1) {
        c->missing = true;
        return;
    }
    have_set(c, name, seq, id);
    fprintf(c->log, "R %lld %s %lld %s %s\n", (long long)now_us(), name, (long long)seq, id, cid ? cid : "0");
    if (rand_r(&c->seed) % 8 == 0)
        send_json(c, json_pack("{s:s, s:s, s:I}", "op", rand_r(&c->seed) % 2 ? "ack" : "read", "conversation", name, "seq",
                               seq));
}

static void
on_result(struct client *c, json_t *frame)
{
    const char *cid = json_string_value(json_object_get(frame, "client_id"));
    json_int_t code = json_integer_value(json_object_get(frame, "code"));
    uint32_t i;

    if (cid == NULL)
        return;
    for (i = 0; i < c->n_pending && strcmp(c->pending[i].cid, cid) != 0; i++)
        ;
    if (i == c->n_pending)
        return;
    if (code == 429 || code == 503) { /* the same again, later */
        fprintf(c->log, "B %lld %s %lld\n", (long long)now_us(), cid, (long long)code);
        c->pending[i].on_wire = false;
        c->again_us = now_us() + 200000;
        return;
    }
    if (code == 200) {
        const char *name = json_string_value(json_object_get(frame, "conversation"));
        const char *id = json_string_value(json_object_get(frame, "id"));
        json_int_t seq = json_integer_value(json_object_get(frame, "seq"));

        fprintf(c->log, "O %lld %s %s %lld %s\n", (long long)now_us(), cid, name, (long long)seq, id);
        take_row(c, name, seq, id, cid);
    } else {
        fprintf(c->log, "F %lld %s %lld\n", (long long)now_us(), cid, (long long)code);
    }
    c->n_pending--;
    memmove(&c->pending[i], &c->pending[i + 1], (c->n_pending - i) * sizeof c->pending[0]);
}

static void
on_row(struct client *c, json_t *row)
{
    take_row(c, json_string_value(json_object_get(row, "conversation")), json_integer_value(json_object_get(row, "seq")),
             json_string_value(json_object_get(row, "id")), json_string_value(json_object_get(row, "client_id")));
}

static void
on_sync(struct client *c, json_t *frame)
{
    const char *next = json_string_value(json_object_get(frame, "next"));
    json_t *part, *row;
    size_t i, k;

    json_array_foreach (json_object_get(frame, "conversations"), i, part) {
        const char *name = json_string_value(json_object_get(part, "conversation"));
        json_int_t from = json_integer_value(json_object_get(part, "from"));

        if (json_is_true(json_object_get(part, "reset"))) {
            fprintf(c->log, "X %lld %s\n", (long long)now_us(), name); /* never right: nobody restored a backup */
            c->failed = true;
        }
        if (from > have_seq(c, name) + 1 && have_seq(c, name) == 0)
            have_set(c, name, from - 1, "0"); /* it begins here for us */
        json_array_foreach (json_object_get(part, "messages"), k, row)
            on_row(c, row);
        if (json_is_true(json_object_get(part, "more")))
            c->missing = true;
    }
    c->syncing = false;
    if (next != NULL)
        ask_sync(c, next);
}

static void
on_text(struct client *c, const char *text, size_t len)
{
    json_t *frame = json_loadb(text, len, 0, NULL);
    const char *op = json_string_value(json_object_get(frame, "op"));

    if (op == NULL) {
        fprintf(stderr, "hammer: no frame: %.*s\n", (int)len, text);
        c->failed = true;
    } else if (strcmp(op, "hello") == 0) {
        c->greeted = true;
        c->offset_ms = json_integer_value(json_object_get(frame, "server_time")) - wall_ms();
        ask_sync(c, NULL);
    } else if (strcmp(op, "result") == 0) {
        on_result(c, frame);
    } else if (strcmp(op, "message") == 0 || strcmp(op, "event") == 0) {
        on_row(c, frame);
    } else if (strcmp(op, "sync") == 0) {
        on_sync(c, frame);
    }
    json_decref(frame);
}

/* @return bytes used; a broken connection leaves fd -1 */
static size_t
take_frames(struct client *c)
{
    size_t at = 0;

    while (c->fd >= 0 && c->in_len - at >= 2) {
        const unsigned char *p = (unsigned char *)c->in + at;
        size_t head = 2, len = p[1] & 127;

        if (len == 126 && c->in_len - at >= 4) {
            len = (size_t)p[2] << 8 | p[3];
            head = 4;
        } else if (len == 127 && c->in_len - at >= 10) {
            len = 0;
            for (int i = 2; i < 10; i++)
                len = len << 8 | p[i];
            head = 10;
        } else if (len >= 126) {
            break;
        }
        if (c->in_len - at < head + len)
            break;
        at += head + len;
        if ((p[0] & 15) == 9)
            send_frame(c, 10, (const char *)p + head, len);
        else if ((p[0] & 15) == 8)
            broken(c);
        else if ((p[0] & 15) == 1)
            on_text(c, (const char *)p + head, len);
    }
    return at;
}

static void
receive(struct client *c)
{
    size_t used;
    ssize_t n;

    if (c->in_cap - c->in_len < 65536) {
        c->in_cap = c->in_len + 131072;
        c->in = realloc(c->in, c->in_cap);
    }
    n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
    if (n <= 0) {
        broken(c);
        return;
    }
    c->in_len += (size_t)n;
    used = take_frames(c);
    if (c->fd < 0)
        return;
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

static void
new_message(struct client *c)
{
    struct pending *p = &c->pending[c->n_pending++];
    bool to_group = group_id != 0 && c->counter % 3 == 2;
    uint64_t ms = (uint64_t)(wall_ms() + c->offset_ms);
    char name[64], cid[sizeof p->cid];

    if (ms < c->last_ms)
        ms = c->last_ms; /* ids rise */
    c->last_ms = ms;
    c->counter++;
    snprintf(cid, sizeof cid, "%08x-%04x-7000-8%03x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
             c->number, (unsigned long long)c->counter);
    p->len = (size_t)snprintf(p->frame, sizeof p->frame,
                              "{\"type_id\":%d,\"receiver_id\":%lld,\"client_id\":\"%s\",\"content_type\":0,"
                              "\"content\":\"%lld says %llu\"}",
                              to_group ? 1 : 0, to_group ? group_id : c->peer_id, cid, c->user_id,
                              (unsigned long long)c->counter);
    memcpy(p->cid, cid, sizeof cid);
    p->on_wire = false;
    if (to_group)
        snprintf(name, sizeof name, "g:%lld", group_id);
    else if (c->user_id < c->peer_id)
        snprintf(name, sizeof name, "u:%lld:%lld", c->user_id, c->peer_id);
    else
        snprintf(name, sizeof name, "u:%lld:%lld", c->peer_id, c->user_id);
    fprintf(c->log, "I %lld %s %s\n", (long long)now_us(), p->cid, name);
}

static void
send_waiting(struct client *c)
{
    if (!c->greeted || now_us() < c->again_us)
        return;
    while (!atomic_load(&finishing) && c->n_pending < window)
        new_message(c);
    for (uint32_t i = 0; i < c->n_pending && c->fd >= 0; i++)
        if (!c->pending[i].on_wire) {
            c->pending[i].on_wire = true;
            send_frame(c, 1, c->pending[i].frame, c->pending[i].len);
        }
}

static void *
client_main(void *arg)
{
    struct client *c = arg;
    int64_t end_us = 0;

    for (;;) {
        struct pollfd pfd;

        if (atomic_load(&finishing)) {
            if (end_us == 0)
                end_us = now_us() + DRAIN_S * 1000000ll;
            if (c->n_pending == 0 && !c->drained) {
                c->drained = true;
                atomic_fetch_add(&n_drained, 1);
            }
            if (c->greeted && !c->syncing && !c->missing && c->synced_after)
                break;
            if (now_us() > end_us) {
                fprintf(stderr, "hammer: user %lld does not come to an end: %u unanswered\n", c->user_id, c->n_pending);
                c->failed = true;
                break;
            }
        }
        if (c->fd < 0) {
            if (now_us() < c->connect_us)
                usleep(5000);
            else
                open_connection(c);
            continue;
        }
        send_waiting(c);
        if (c->fd < 0)
            continue;
        if (c->greeted && !c->syncing && (c->missing || atomic_load(&n_drained) == atomic_load(&n_clients)))
            ask_sync(c, NULL);
        pfd = (struct pollfd){.fd = c->fd, .events = POLLIN};
        if (c->fd >= 0 && poll(&pfd, 1, 50) > 0)
            receive(c);
    }
    fclose(c->log);
    if (c->fd >= 0)
        close(c->fd);
    return NULL;
}

int
main(int argc, char **argv)
{
    static struct client clients[256];
    char token[2048], line[64], path[4608];
    uint32_t n = 0;
    long long id;
    bool failed = false;
    FILE *tokens;

    if (argc < 6 || (tokens = fopen(argv[2], "r")) == NULL) {
        fprintf(stderr, "usage: hammer PORT TOKENS LOGDIR WINDOW GROUP\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    port = atoi(argv[1]);
    window = (uint32_t)atoi(argv[4]);
    if (window > WINDOW_MAX)
        window = WINDOW_MAX;
    group_id = atoll(argv[5]);
    while (n < 256 && fscanf(tokens, "%2047s %lld", token, &id) == 2) {
        struct client *c = &clients[n++];

        c->token = strdup(token);
        c->user_id = id;
        c->fd = -1;
        c->have = json_object();
        c->seed = (unsigned)id;
        c->number = n;
        if (snprintf(path, sizeof path, "%.4000s/%lld.log", argv[3], id) < 0)
            return 64;
        c->log = fopen(path, "a");
        if (c->log != NULL)
            setvbuf(c->log, NULL, _IOLBF, 0);
        if (c->log == NULL) {
            perror(path);
            return 1;
        }
    }
    fclose(tokens);
    for (uint32_t i = 0; i < n; i++)
        clients[i].peer_id = clients[i ^ 1].user_id;
    atomic_store(&n_clients, n);
    for (uint32_t i = 0; i < n; i++)
        pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
    puts("started");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        line[0] = '\0';
    atomic_store(&finishing, true);
    for (uint32_t i = 0; i < n; i++) {
        pthread_join(clients[i].thread, NULL);
        failed = failed || clients[i].failed;
        json_decref(clients[i].have);
    }
    return failed ? 1 : 0;
}
