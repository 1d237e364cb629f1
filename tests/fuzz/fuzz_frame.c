/* Any bytes at any split points through a connection's frame machine (ws/conn.c on a socket pair) against a decoder that
 * sees the whole run at once and goes byte by byte. What is delivered, what is answered and the close code must agree.
 *
 * Input: 4 bytes that choose the split points, then the bytes of the client. The worker and the chat rules are played
 * here, so that nothing but conn.c and frame.c is under test. */
#include "util/buf.h"
#include "util/mem.h"
#include "ws/chat.h"
#include "ws/conn.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_BYTES 70000u /* beyond 16 bits, so that all three length forms are good ones */
#define MESSAGE_BYTES 100000u

static struct pim_ws ws = {.config = {.flood_per_s = UINT32_MAX, .frame_bytes = FRAME_BYTES,
                                      .message_bytes = MESSAGE_BYTES,
                                      .heartbeat_s = 60,
                                      .output_bytes = 16u << 20,
                                      .output_timeout_s = 10}};
static struct ws_worker worker = {.ws = &ws};
static struct pim_buf heard; /* what the rules were given: opcode, length, bytes */

static void
record(struct pim_buf *log, uint8_t what, const void *bytes, size_t len)
{
    pim_buf_addc(log, (char)what);
    pim_buf_add(log, &len, sizeof len);
    pim_buf_add(log, bytes, len);
}

/* --- the worker and the rules -------------------------------------------------------------------------------------- */

struct pim_frame *
ws_worker_chunk(struct ws_worker *w, size_t bytes)
{
    struct pim_frame *frame;

    (void)w;
    bytes = bytes > WS_CHUNK_BYTES ? bytes : WS_CHUNK_BYTES;
    frame = pim_new(sizeof *frame + bytes);
    atomic_init(&frame->refs, 1);
    frame->len = (uint32_t)bytes;
    return frame;
}

void
ws_worker_chunk_free(struct ws_worker *w, struct pim_frame **frame)
{
    (void)w;
    pim_frame_unref(frame);
}

void
ws_worker_dirty(struct ws_worker *w, struct ws_conn *conn)
{
    (void)w;
    (void)conn;
}

void
ws_worker_forget(struct ws_worker *w, struct ws_conn *conn)
{
    (void)w;
    (void)conn;
}

void
ws_chat_message(struct ws_conn *conn, enum pim_ws_op opcode, const char *text, size_t len)
{
    (void)conn;
    record(&heard, (uint8_t)opcode, text, len);
}

void
ws_chat_pong(struct ws_conn *conn, const uint8_t *payload, size_t len)
{
    (void)conn;
    record(&heard, PIM_WS_OP_PONG, payload, len);
}

/* --- the other decoder --------------------------------------------------------------------------------------------- */

/* Bytes of UTF-8 that may begin a valid text: 1 and *out_whole says whether it ends with a character; 0 when they cannot. */
static bool
is_utf8_prefix(const uint8_t *at, size_t len, bool *out_whole)
{
    *out_whole = true;
    for (size_t i = 0; i < len;) {
        uint8_t c = at[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 9;

        if (more == 9)
            return false;
        for (size_t k = 1; k <= more; k++) {
            uint8_t d;

            if (i + k == len) {
                *out_whole = false;
                return true;
            }
            d = at[i + k];
            if ((d & 0xc0) != 0x80)
                return false;
            if (k == 1 && ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
                           (c == 0xf4 && d > 0x8f)))
                return false;
        }
        i += more + 1;
    }
    return true;
}

struct naive {
    struct pim_buf heard, said, message;
    uint8_t opcode; /* of the message that is not complete; 0 none */
};

static bool
closed(struct naive *n, unsigned code)
{
    uint8_t wire[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    record(&n->said, PIM_WS_OP_CLOSE, wire, code == 0 ? 0 : 2);
    return false;
}

static bool
is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* One frame from the front of a run. @return false: no more (closed, or not complete) */
static bool
naive_frame(struct naive *n, const uint8_t *at, size_t len, size_t *out_used)
{
    uint8_t first, opcode, second;
    uint64_t payload = 0;
    size_t header, form, have;
    struct pim_buf plain;
    bool fin, whole, is_text, go_on = true;

    if (len == 0)
        return false;
    first = at[0];
    opcode = first & 15;
    fin = first >= 128;
    if ((first / 16) % 8 != 0 || strchr("\x01\x02\x08\x09\x0a", opcode ? opcode : 1) == NULL || (opcode >= 8 && !fin))
        return closed(n, 1002);
    if (len == 1)
        return false;
    second = at[1];
    if (second < 128 || (opcode >= 8 && second - 128 > 125))
        return closed(n, 1002);
    form = second == 254 ? 2 : second == 255 ? 8 : 0;
    if (len < 2 + form)
        return false;
    for (size_t i = 0; i < form; i++)
        payload = payload * 256 + at[2 + i];
    if (form == 0)
        payload = second - 128u;
    if ((form == 2 && payload < 126) || (form == 8 && (payload < 65536 || payload > INT64_MAX)))
        return closed(n, 1002);
    if (payload > FRAME_BYTES)
        return closed(n, 1009);
    header = 2 + form + 4;
    if (len < header)
        return false;
    if (opcode < 8 && (opcode == 0) != (n->opcode != 0))
        return closed(n, 1002);
    have = len - header < payload ? len - header : payload;
    pim_buf_init(&plain, FRAME_BYTES);
    for (size_t i = 0; i < have; i++)
        pim_buf_addc(&plain, (char)(at[header + i] ^ at[header - 4 + i % 4]));
    *out_used = header + payload;
    if (opcode >= 8) {
        const uint8_t *bytes = (const uint8_t *)plain.data;
        unsigned code = have >= 2 ? bytes[0] * 256u + bytes[1] : 0;

        if (have < payload)
            go_on = false;
        else if (opcode == PIM_WS_OP_PING)
            record(&n->said, PIM_WS_OP_PONG, plain.data, have);
        else if (opcode == PIM_WS_OP_PONG)
            record(&n->heard, PIM_WS_OP_PONG, plain.data, have);
        else if (have == 1 || (have >= 2 && !is_close_code(code)))
            go_on = closed(n, 1002);
        else if (have > 2 && (!is_utf8_prefix(bytes + 2, have - 2, &whole) || !whole))
            go_on = closed(n, 1007);
        else
            go_on = closed(n, code);
        pim_buf_fini(&plain);
        return go_on;
    }
    is_text = (opcode != 0 ? opcode : n->opcode) == PIM_WS_OP_TEXT;
    if (opcode != 0)
        n->opcode = opcode;
    pim_buf_add(&n->message, plain.data, have);
    pim_buf_fini(&plain);
    if (is_text && !is_utf8_prefix((uint8_t *)n->message.data, n->message.len, &whole))
        return closed(n, 1007);
    if (have < payload)
        return false;
    if ((opcode == 0 || !fin) && n->message.len > MESSAGE_BYTES)
        return closed(n, 1009);
    if (!fin)
        return true;
    if (is_text && !whole)
        return closed(n, 1007);
    record(&n->heard, n->opcode, n->message.data, n->message.len);
    pim_buf_clear(&n->message);
    n->opcode = 0;
    return true;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Read all that the connection has written into `wire`. */
static void
drain(struct ws_conn *conn, int peer, struct pim_buf *wire)
{
    char bytes[65536];
    ssize_t n;

    do {
        if (conn->state != WS_DEAD)
            ws_conn_flush(conn);
        n = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0)
            pim_buf_add(wire, bytes, (size_t)n);
    } while (n > 0);
}

/* Feed the bytes to a connection in pieces; what it said goes to `wire`. */
static void
run(const uint8_t *bytes, size_t len, uint32_t split, struct pim_buf *wire)
{
    struct ws_conn *conn;
    size_t at = 0;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        abort();
    conn = ws_conn_new(&worker, fds[0], NULL);
    if (split & 1) {
        at = next_random(&split) % (len + 1);
        ws_conn_early(conn, bytes, at);
    }
    ws_conn_listen(conn);
    while (at < len && conn->state == WS_OPEN) {
        size_t most = split & 2 ? 7 : 3000, piece = 1 + next_random(&split) % most;
        ssize_t n;

        if (piece > len - at)
            piece = len - at;
        n = send(fds[1], bytes + at, piece, MSG_NOSIGNAL);
        if (n < 0)
            abort();
        at += (size_t)n;
        event_base_loop(worker.base.base, EVLOOP_NONBLOCK);
        drain(conn, fds[1], wire);
    }
    drain(conn, fds[1], wire);
    ws_conn_kill(conn);
    ws_conn_free(conn);
    close(fds[1]);
}

/* The server's frames one by one; reasons are left out, as the other decoder knows none. */
static void
take_apart(const struct pim_buf *wire, struct pim_buf *out)
{
    size_t len;

    for (size_t i = 0; i < wire->len; i += 2 + len) {
        const uint8_t *at = (const uint8_t *)wire->data + i;
        uint8_t opcode = at[0] & 15;

        len = at[1];
        if (at[0] != (0x80 | opcode) || len > 125)
            abort(); /* all answers are short and whole */
        record(out, opcode, at + 2, opcode == PIM_WS_OP_CLOSE && len > 2 ? 2 : len);
    }
}

static void
same(const struct pim_buf *got, const struct pim_buf *want, const char *what)
{
    if (got->len == want->len && (got->len == 0 || memcmp(got->data, want->data, got->len) == 0))
        return;
    fprintf(stderr, "%s differs: %zu bytes, not %zu\n", what, got->len, want->len);
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct naive naive = {.opcode = 0};
    uint32_t split;
    size_t used = 0;

    if (size < sizeof split)
        return 0;
    if (worker.base.base == NULL) {
        worker.base.base = event_base_new();
        worker.read_buf = pim_new(WS_READ_BYTES);
    }
    memcpy(&split, data, sizeof split);
    data += sizeof split;
    size -= sizeof split;
    pim_buf_init(&naive.heard, 64u << 20);
    pim_buf_init(&naive.said, 64u << 20);
    pim_buf_init(&naive.message, 1u << 20);
    for (size_t at = 0; naive_frame(&naive, data + at, size - at, &used);)
        at += used;
    for (int i = 0; i < 2; i++) {
        struct pim_buf wire, said;

        pim_buf_init(&heard, 64u << 20);
        pim_buf_init(&wire, 64u << 20);
        pim_buf_init(&said, 64u << 20);
        run(data, size, split ^ (uint32_t)i, &wire);
        take_apart(&wire, &said);
        same(&heard, &naive.heard, "what was delivered");
        same(&said, &naive.said, "what was answered");
        pim_buf_fini(&heard);
        pim_buf_fini(&wire);
        pim_buf_fini(&said);
    }
    pim_buf_fini(&naive.heard);
    pim_buf_fini(&naive.said);
    pim_buf_fini(&naive.message);
    return 0;
}
