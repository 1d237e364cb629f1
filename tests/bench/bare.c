/* bare: the raw limit beside which the server is measured. One epoll thread (WebSocket, field scan, output gathered a turn, one write a
 * connection) and one SQLite thread (a log with back pointers: what has gathered goes into the next commit); acknowledgement
 * and delivery after the commit. No rules, no rights, no client-id memory, no limits.
 *
 *   bare PORT send DATABASE   1:1; the token of a connection is its user id
 *   bare PORT fanout          stores nothing: each message goes to all connections but its sender's, a writev a connection and turn
 *
 * Speaks what load.c speaks; its frames have the fields of the server's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define USERS 65536
#define READ_BYTES 65536
#define SEGS 256

struct shared { /* a frame that many connections send */
    uint32_t refs, len;
    uint8_t data[];
};

struct conn {
    int fd;
    long long user;
    bool open, dirty;
    uint8_t *in;
    size_t in_len, in_cap;
    uint8_t *out;
    size_t out_len, out_cap;
    struct shared *segs[SEGS];
    uint32_t n_segs, seg_at;
    struct conn *next_dirty;
};

struct message {
    struct message *next;
    struct conn *from;
    long long sender, receiver, seq, id;
    int64_t ms;
    char cid[37];
    uint32_t text_len;
    char text[];
};

static struct conn *users[USERS]; /* by id modulo USERS */
static struct conn *all[20000];
static uint32_t n_all;
static struct conn *dirty;
static int epoll_fd, wake_fd;
static bool fanout;
static uint8_t read_buf[READ_BYTES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct message *waiting, **waiting_end = &waiting;
static struct message *stored, **stored_end = &stored;

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t
wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the log -------------------------------------------------------------------------------------------------------- */

struct head {
    long long a, b, seq, id;
    bool dirty;
};
static struct head *heads;
static size_t n_heads, cap_heads;

static struct head *
head_of(long long a, long long b)
{
    size_t mask, at;

    if (2 * n_heads >= cap_heads) {
        struct head *old = heads;
        size_t old_cap = cap_heads;

        cap_heads = cap_heads ? 2 * cap_heads : 1024;
        heads = calloc(cap_heads, sizeof *heads);
        n_heads = 0;
        for (size_t i = 0; i < old_cap; i++)
            if (old[i].a != 0)
                *head_of(old[i].a, old[i].b) = old[i];
        free(old);
    }
    mask = cap_heads - 1;
    at = (size_t)((uint64_t)a * 0x9e3779b97f4a7c15ull ^ (uint64_t)b * 0xc2b2ae3d27d4eb4full) >> 7 & mask;
    while (heads[at].a != 0 && (heads[at].a != a || heads[at].b != b))
        at = (at + 1) & mask;
    if (heads[at].a == 0) {
        heads[at] = (struct head){.a = a, .b = b};
        n_heads++;
    }
    return &heads[at];
}

static void
run(sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE) {
        fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(sqlite3_db_handle(stmt)));
        exit(1);
    }
    sqlite3_reset(stmt);
}

static void *
log_main(void *path)
{
    static const char schema[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;"
        "CREATE TABLE msg(id INTEGER PRIMARY KEY, kind INT, a INT, b INT, seq INT, prev INT, ord INT, msg_id INT, sender INT,"
        " created INT, cid BLOB, hash INT, type INT, expire INT, day INT, body BLOB);"
        "CREATE TABLE skip(kind INT, a INT, b INT, seq INT, id INT, PRIMARY KEY(kind, a, b, seq)) WITHOUT ROWID;"
        "CREATE TABLE head(kind INT, a INT, b INT, seq INT, id INT, PRIMARY KEY(kind, a, b)) WITHOUT ROWID;";
    sqlite3_stmt *begin, *commit, *insert, *skip, *flush;
    sqlite3 *db;
    long long id = 0;
    size_t flush_at = 0;

    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
        exit(1);
    sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL);
    sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL);
    sqlite3_prepare_v2(db, "INSERT INTO msg VALUES(?,117,?,?,?,?,?,?,?,?,?,0,0,0,20260101,?)", -1, &insert, NULL);
    sqlite3_prepare_v2(db, "INSERT INTO skip VALUES(117,?,?,?,?)", -1, &skip, NULL);
    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO head VALUES(117,?,?,?,?)", -1, &flush, NULL);
    for (;;) {
        struct message *batch, *m;
        uint64_t one = 1;
        int budget = 64;

        pthread_mutex_lock(&lock);
        while (waiting == NULL)
            pthread_cond_wait(&more, &lock);
        batch = waiting;
        waiting = NULL;
        waiting_end = &waiting;
        pthread_mutex_unlock(&lock);

        run(begin);
        for (m = batch; m != NULL; m = m->next) {
            long long a = m->sender < m->receiver ? m->sender : m->receiver;
            long long b = m->sender < m->receiver ? m->receiver : m->sender;
            struct head *head = head_of(a, b);

            m->seq = ++head->seq;
            m->id = ++id;
            m->ms = wall_ms();
            sqlite3_bind_int64(insert, 1, m->id);
            sqlite3_bind_int64(insert, 2, a);
            sqlite3_bind_int64(insert, 3, b);
            sqlite3_bind_int64(insert, 4, m->seq);
            sqlite3_bind_int64(insert, 5, head->id);
            sqlite3_bind_int64(insert, 6, m->seq);
            sqlite3_bind_int64(insert, 7, m->id);
            sqlite3_bind_int64(insert, 8, m->sender);
            sqlite3_bind_int64(insert, 9, m->ms);
            sqlite3_bind_blob(insert, 10, m->cid, 16, SQLITE_STATIC);
            sqlite3_bind_blob(insert, 11, m->text, (int)m->text_len, SQLITE_STATIC);
            run(insert);
            head->id = m->id;
            head->dirty = true;
            if (m->seq % 64 == 0) {
                sqlite3_bind_int64(skip, 1, a);
                sqlite3_bind_int64(skip, 2, b);
                sqlite3_bind_int64(skip, 3, m->seq);
                sqlite3_bind_int64(skip, 4, m->id);
                run(skip);
            }
        }
        for (size_t n = 0; n < 256 && budget > 0; n++) { /* the next slice of late heads */
            struct head *head = &heads[flush_at++ % cap_heads];

            if (!head->dirty)
                continue;
            head->dirty = false;
            sqlite3_bind_int64(flush, 1, head->a);
            sqlite3_bind_int64(flush, 2, head->b);
            sqlite3_bind_int64(flush, 3, head->seq);
            sqlite3_bind_int64(flush, 4, head->id);
            run(flush);
            budget--;
        }
        run(commit);

        pthread_mutex_lock(&lock);
        *stored_end = batch;
        for (m = batch; m->next != NULL; m = m->next)
            ;
        stored_end = &m->next;
        pthread_mutex_unlock(&lock);
        if (write(wake_fd, &one, sizeof one) < 0)
            die("eventfd");
    }
    return NULL;
}

/* --- frames ----------------------------------------------------------------------------------------------------------- */

static void
mark_dirty(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = dirty;
    dirty = c;
}

static size_t
header(uint8_t *dst, size_t len)
{
    dst[0] = 0x81;
    if (len < 126) {
        dst[1] = (uint8_t)len;
        return 2;
    }
    dst[1] = 126;
    dst[2] = (uint8_t)(len >> 8);
    dst[3] = (uint8_t)len;
    return 4;
}

static void
put(struct conn *c, const char *text, size_t len)
{
    if (c->out_cap - c->out_len < len + 4) {
        c->out_cap = 2 * (c->out_len + len) + 4096;
        c->out = realloc(c->out, c->out_cap);
    }
    c->out_len += header(c->out + c->out_len, len);
    memcpy(c->out + c->out_len, text, len);
    c->out_len += len;
    mark_dirty(c);
}

static int
row_text(char *dst, size_t size, const struct message *m)
{
    return snprintf(dst, size,
                    "{\"op\":\"message\",\"conversation\":\"u:%lld:%lld\",\"seq\":%lld,\"ord\":%lld,\"id\":\"%lld\",\"client_id\":\"%s\","
                    "\"type_id\":0,\"sender_id\":%lld,\"receiver_id\":%lld,\"create_time\":%lld,\"delivery_time\":0,"
                    "\"content_type\":0,\"content\":\"%.*s\"}",
                    m->sender, m->receiver, m->seq, m->seq, m->id, m->cid, m->sender, m->receiver,
                    (long long)m->ms / 1000, (int)m->text_len, m->text);
}

static int
result_text(char *dst, size_t size, const struct message *m)
{
    return snprintf(dst, size,
                    "{\"op\":\"result\",\"type_id\":3,\"code\":200,\"error\":\"the message send ok\",\"client_id\":\"%s\","
                    "\"conversation\":\"u:%lld:%lld\",\"seq\":%lld,\"ord\":%lld,\"id\":\"%lld\",\"create_time\":%lld}",
                    m->cid, m->sender, m->receiver, m->seq, m->seq, m->id, (long long)m->ms / 1000);
}

static struct message *
scan(struct conn *c, const char *text, size_t len)
{
    const char *receiver = memmem(text, len, "\"receiver_id\":", 14);
    const char *cid = memmem(text, len, "\"client_id\":\"", 13), *content = memmem(text, len, "\"content\":\"", 11), *end;
    struct message *m;

    if (receiver == NULL || cid == NULL || content == NULL || cid + 13 + 36 > text + len)
        return NULL;
    content += 11;
    end = memchr(content, '"', (size_t)(text + len - content));
    if (end == NULL)
        return NULL;
    m = malloc(sizeof *m + (size_t)(end - content));
    *m = (struct message){.from = c, .sender = c->user, .receiver = strtoll(receiver + 14, NULL, 10)};
    memcpy(m->cid, cid + 13, 36);
    m->cid[36] = '\0';
    m->text_len = (uint32_t)(end - content);
    memcpy(m->text, content, m->text_len);
    return m;
}

static void
fan_out(struct message *m)
{
    char text[1024];
    int len;
    struct shared *frame;
    uint8_t head[4];
    size_t head_len;
    static long long seq;

    m->seq = m->id = ++seq;
    m->ms = wall_ms();
    len = result_text(text, sizeof text, m);
    put(m->from, text, (size_t)len);
    len = row_text(text, sizeof text, m);
    head_len = header(head, (size_t)len);
    frame = malloc(sizeof *frame + (size_t)len + head_len);
    frame->refs = 0;
    frame->len = (uint32_t)((size_t)len + head_len);
    memcpy(frame->data, head, head_len);
    memcpy(frame->data + head_len, text, (size_t)len);
    for (uint32_t i = 0; i < n_all; i++) {
        struct conn *c = all[i];

        if (c == m->from || c->n_segs == SEGS)
            continue;
        c->segs[c->n_segs++] = frame;
        frame->refs++;
        mark_dirty(c);
    }
    if (frame->refs == 0)
        free(frame);
    free(m);
}

static void
on_text(struct conn *c, uint8_t *payload, size_t len, struct message ***end)
{
    struct message *m = scan(c, (char *)payload, len);

    if (m == NULL)
        return;
    if (fanout) {
        fan_out(m);
        return;
    }
    **end = m;
    *end = &m->next;
}

static size_t
frames(struct conn *c, uint8_t *data, size_t n, struct message ***end)
{
    size_t at = 0;

    while (n - at >= 6) {
        uint64_t len = data[at + 1] & 0x7f;
        size_t head = 2;
        uint64_t mask;
        uint8_t *payload;

        if (len == 126) {
            if (n - at < 8)
                break;
            len = (uint64_t)data[at + 2] << 8 | data[at + 3];
            head = 4;
        }
        if (n - at < head + 4 + len)
            break;
        memcpy(&mask, data + at + head, 4);
        mask = (mask & 0xffffffff) | mask << 32;
        payload = data + at + head + 4;
        for (size_t i = 0; i + 8 <= len; i += 8) {
            uint64_t word;

            memcpy(&word, payload + i, 8);
            word ^= mask;
            memcpy(payload + i, &word, 8);
        }
        for (size_t i = len & ~7ull; i < len; i++)
            payload[i] ^= (uint8_t)(mask >> (8 * (i & 3)));
        if ((data[at] & 15) == 1)
            on_text(c, payload, len, end);
        at += head + 4 + len;
    }
    return at;
}

static void
shake_hands(struct conn *c)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "Sec-WebSocket-Protocol: privateim.v1\r\n\r\n"; /* load.c's key is always the same */
    char *bearer, *end;

    c->in[c->in_len] = '\0';
    end = strstr((char *)c->in, "\r\n\r\n");
    if (end == NULL)
        return;
    bearer = strstr((char *)c->in, "Bearer ");
    c->user = bearer ? strtoll(bearer + 7, NULL, 10) : 0;
    users[c->user % USERS] = c;
    c->open = true;
    c->in_len = 0;
    if (send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
        die("send");
    put(c, "{\"op\":\"hello\"}", 14);
    all[n_all++] = c;
}

static void
lost(struct conn *c)
{
    close(c->fd);
    users[c->user % USERS] = NULL;
    for (uint32_t i = 0; i < n_all; i++)
        if (all[i] == c)
            all[i] = all[--n_all];
    c->fd = -1; /* the struct is left: messages under way may point to it */
}

static void
readable(struct conn *c, struct message ***end)
{
    ssize_t n;
    size_t used;

    if (!c->open) {
        if (c->in == NULL)
            c->in = malloc(c->in_cap = READ_BYTES);
        n = recv(c->fd, c->in + c->in_len, c->in_cap - 1 - c->in_len, 0);
        if (n <= 0) {
            lost(c);
            return;
        }
        c->in_len += (size_t)n;
        shake_hands(c);
        return;
    }
    n = recv(c->fd, read_buf, sizeof read_buf, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            lost(c);
        return;
    }
    if (c->in_len > 0) {
        if (c->in_cap < c->in_len + (size_t)n)
            c->in = realloc(c->in, c->in_cap = 2 * (c->in_len + (size_t)n));
        memcpy(c->in + c->in_len, read_buf, (size_t)n);
        c->in_len += (size_t)n;
        used = frames(c, c->in, c->in_len, end);
        memmove(c->in, c->in + used, c->in_len - used);
        c->in_len -= used;
        return;
    }
    used = frames(c, read_buf, (size_t)n, end);
    if (used < (size_t)n) {
        if (c->in_cap < (size_t)n)
            c->in = realloc(c->in, c->in_cap = READ_BYTES);
        memcpy(c->in, read_buf + used, (size_t)n - used);
        c->in_len = (size_t)n - used;
    }
}

static void
on_stored(void)
{
    struct message *m, *next;
    uint64_t count;
    char text[1024];

    if (read(wake_fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&lock);
    m = stored;
    stored = NULL;
    stored_end = &stored;
    pthread_mutex_unlock(&lock);
    for (; m != NULL; m = next) {
        struct conn *peer = users[m->receiver % USERS];

        next = m->next;
        if (m->from->fd >= 0)
            put(m->from, text, (size_t)result_text(text, sizeof text, m));
        if (peer != NULL)
            put(peer, text, (size_t)row_text(text, sizeof text, m));
        free(m);
    }
}

/* @return false: more is to be written */
static void
flush(struct conn *c)
{
    struct iovec iov[SEGS + 1];
    int n = 0;
    ssize_t written;

    if (c->fd < 0)
        return;
    if (c->out_len > 0)
        iov[n++] = (struct iovec){c->out, c->out_len};
    for (uint32_t i = 0; i < c->n_segs; i++)
        iov[n++] = (struct iovec){c->segs[i]->data + (i == 0 ? c->seg_at : 0), c->segs[i]->len - (i == 0 ? c->seg_at : 0)};
    written = writev(c->fd, iov, n);
    if (written < 0 && errno != EAGAIN) {
        lost(c);
        return;
    }
    if (written < 0)
        written = 0;
    if ((size_t)written < c->out_len) {
        memmove(c->out, c->out + written, c->out_len - (size_t)written);
        c->out_len -= (size_t)written;
        written = 0;
    } else {
        written -= (ssize_t)c->out_len;
        c->out_len = 0;
    }
    while (c->n_segs > 0 && (size_t)written >= c->segs[0]->len - c->seg_at) {
        written -= c->segs[0]->len - c->seg_at;
        c->seg_at = 0;
        if (--c->segs[0]->refs == 0)
            free(c->segs[0]);
        memmove(&c->segs[0], &c->segs[1], --c->n_segs * sizeof c->segs[0]);
    }
    c->seg_at += (uint32_t)written;
    if (c->out_len > 0 || c->n_segs > 0)
        mark_dirty(c); /* tried again next turn: the peer is on this machine and reads */
}

int
main(int argc, char **argv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct epoll_event ev = {.events = EPOLLIN};
    static struct conn listener, waker;
    pthread_t thread;

    if (argc < 3)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    fanout = strcmp(argv[2], "fanout") == 0;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons((uint16_t)atoi(argv[1]));
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listen_fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(listen_fd, 1024) < 0)
        die("listen");
    epoll_fd = epoll_create1(0);
    wake_fd = eventfd(0, EFD_NONBLOCK);
    ev.data.ptr = &listener;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
    ev.data.ptr = &waker;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &ev);
    if (!fanout && (argc < 4 || pthread_create(&thread, NULL, log_main, argv[3]) != 0))
        return 64;
    for (;;) {
        struct epoll_event events[256];
        struct message *batch = NULL, **end = &batch;
        struct conn *c, *next;
        int n = epoll_wait(epoll_fd, events, 256, dirty != NULL ? 0 : -1);

        for (int i = 0; i < n; i++) {
            c = events[i].data.ptr;
            if (c == &listener) {
                int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);

                if (fd < 0)
                    continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                ev.data.ptr = c;
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
            } else if (c == &waker) {
                on_stored();
            } else {
                readable(c, &end);
            }
        }
        if (batch != NULL) {
            *end = NULL;
            pthread_mutex_lock(&lock);
            *waiting_end = batch;
            waiting_end = end;
            pthread_cond_signal(&more);
            pthread_mutex_unlock(&lock);
        }
        c = dirty;
        dirty = NULL;
        for (; c != NULL; c = next) {
            next = c->next_dirty;
            c->dirty = false;
            flush(c);
        }
    }
}
