/* ws/conn.h - one WebSocket connection: its socket, its frames in and out. What the messages mean is chat.c's.
 * All of it: the connection's io worker only. */
#ifndef PIM_WS_CONN_H
#define PIM_WS_CONN_H
#include "im/batch.h"
#include "im/frame.h"
#include "im/presence.h"
#include "net/worker.h"
#include "util/map.h"
#include "util/utf8.h"
#include "ws/frame.h"
#include "ws/ws.h"

#include <event2/event_struct.h>
#include <stdatomic.h>

#define WS_READ_BYTES 65536
#define WS_CHUNK_BYTES 8192 /* of output of one connection alone */
#define WS_CHUNKS_KEPT 256

struct ws_worker;
struct ws_old;
struct ws_group;
struct ws_claims;

/* A piece of output: bytes of a frame buffer, shared by many or this connection's own. */
struct ws_seg {
    struct pim_frame *frame;
    uint32_t from, to;
};

/* What is there while a frame or a message is not complete. */
struct ws_input {
    struct pim_buf bytes;   /* from the front of the incomplete frame on */
    size_t seen;            /* of its payload: unmasked and checked already */
    struct pim_buf message; /* the fragments before */
    struct pim_utf8 utf8;
    uint8_t opcode; /* of the fragmented message; 0: none */
};

struct ws_membership {
    struct ws_group *group;
    uint32_t index; /* of the connection in the group's list */
};

enum ws_state {
    WS_STARTING, /* what it listens to is being read; nothing is taken from the socket yet */
    WS_OPEN,
    WS_CLOSING,  /* our close frame is on its way or the peer's has come; only the end is waited for */
    WS_DEAD      /* closed; the struct lives until the end of the turn */
};

enum ws_doom { /* found while something was queued; done at the end of the turn */
    WS_DOOM_NONE,
    WS_DOOM_SLOW, /* too much waits for it */
    WS_DOOM_LOST  /* its socket is broken */
};

struct ws_conn { /* owned by one io worker */
    struct event event;
    struct ws_worker *worker;
    SSL *ssl; /* NULL: plain */
    int fd;
    uint32_t slot, gen;
    int64_t user_id, expires_ms;
    char *session;
    struct ws_input *input; /* NULL while nothing is incomplete */
    struct ws_seg *segs;    /* waiting output: first_seg.. n_segs */
    uint32_t first_seg, n_segs, cap_segs, output_bytes;
    uint32_t input_s, progress_s; /* worker seconds: last bytes in; output began to wait or moved */
    uint32_t close_s;             /* CLOSING: when the socket is closed at the latest */
    uint32_t in_flight, syncs;
    uint32_t flood_s, flood_n; /* pings and refused frames in this second */
    uint32_t tokens_s, tokens; /* message rate: the bucket and when it was filled */
    uint8_t state;             /* enum ws_state */
    uint8_t doom;              /* enum ws_doom */
    bool is_old, is_echo, is_dirty, is_present, wants_write, ping_sent, shut_wr, last_open;
    uint16_t n_memberships, cap_memberships;
    struct ws_membership *memberships;
    struct ws_old *old; /* old clients */
    struct ws_claims *claims; /* marks to be looked at */
    int64_t *left; /* while STARTING: groups left meanwhile */
    uint32_t n_left;
    struct ws_conn *next_dirty, *next_dead;
};

struct ws_group { /* local members of a group */
    int64_t id;
    uint32_t n, cap;
    struct ws_conn **conns;
};

struct ws_slot {
    struct ws_conn *conn; /* NULL: free */
    uint32_t gen, next_free;
};

struct ws_worker {
    struct pim_worker base; /* net */
    struct pim_ws *ws;
    uint16_t number;
    bool stopping;
    struct event timer;
    uint32_t now_s; /* seconds since the worker began */
    uint32_t ticks;
    int64_t stop_ms;
    struct ws_slot *slots;
    uint32_t n_slots, free_slot;
    struct pim_map groups; /* id -> struct ws_group */
    struct ws_conn *dirty, *dead;
    uint8_t *read_buf;     /* WS_READ_BYTES, shared by all */
    uint8_t *tls_buf;      /* 16 KiB */
    struct pim_buf scratch; /* for encoding */
    struct pim_frame *chunks[WS_CHUNKS_KEPT];
    uint32_t n_chunks;
    struct pim_im_send *spare; /* made for a frame that turned out to be no message */
    size_t spare_bytes;
    struct pim_mail_list sends; /* gathered in this turn */
    size_t n_sends;
    struct ws_conn **claimers; /* connections with claims */
    uint32_t n_claimers, cap_claimers;
    /* statistics: one writer */
    _Atomic uint64_t n_conns, messages_in, frames_out, bytes_out, bytes_in, slow_closed;
};

struct pim_ws {
    struct pim_ws_config config;
    struct pim_im *im;
    struct pim_upgrade_ops upgrade;
    struct ws_worker *workers;
    uint32_t n_workers, n_started;
    _Atomic bool stopping;
    pthread_mutex_t lock; /* guards origins; nothing else is taken under it */
    char *origins;
};

/* --- conn.c --- */
/** A connection on its socket; ssl may be NULL. The read event is added by ws_conn_listen. */
struct ws_conn *ws_conn_new(struct ws_worker *worker, int fd, SSL *ssl);
/** Bytes that came with the handshake; kept until ws_conn_listen. */
void ws_conn_early(struct ws_conn *conn, const void *bytes, size_t len);
/** Begin to read; what came early is worked off first. */
void ws_conn_listen(struct ws_conn *conn);
/** Queue bytes as they are (the handshake). */
void ws_conn_put_bytes(struct ws_conn *conn, const void *bytes, size_t len);
/** Queue one frame of this connection alone. Neither this nor the next ever ends the connection: a walk through the worker's
 *  tables is safe while it queues. */
void ws_conn_put(struct ws_conn *conn, enum pim_ws_op opcode, const void *payload, size_t len);
/** Queue a part of a shared buffer, which is referenced. */
void ws_conn_put_shared(struct ws_conn *conn, struct pim_frame *frame, uint32_t from, uint32_t to);
/** Send a close frame; the socket is closed when the peer answers, or in a while. */
void ws_conn_close(struct ws_conn *conn, unsigned code, const char *reason);
/** Count a ping or a refused frame. @return false when it is one too many: the connection is closed with 1008 */
bool ws_conn_is_calm(struct ws_conn *conn);
/** Close the socket now. The struct is freed at the end of the turn. */
void ws_conn_kill(struct ws_conn *conn);
/** Write what is queued, or end a connection that is doomed. At the end of the turn. */
void ws_conn_flush(struct ws_conn *conn);
/** Once a second: heartbeats, slow readers, deadlines. */
void ws_conn_second(struct ws_conn *conn);
void ws_conn_free(struct ws_conn *conn);

/* --- worker.c --- */
struct ws_conn *ws_worker_find(struct ws_worker *worker, struct pim_peer_ref ref);
struct pim_frame *ws_worker_chunk(struct ws_worker *worker, size_t bytes);
void ws_worker_chunk_free(struct ws_worker *worker, struct pim_frame **frame);
void ws_worker_dirty(struct ws_worker *worker, struct ws_conn *conn);
/** The connection is going: out of the tables. */
void ws_worker_forget(struct ws_worker *worker, struct ws_conn *conn);
PIM_MUST_CHECK int ws_worker_start(struct pim_ws *ws, uint16_t number, struct pim_err *err);
void ws_worker_stop(struct ws_worker *worker, int64_t deadline_ms); /* main */
void ws_worker_free(struct ws_worker *worker);                     /* main, after the thread has ended */

struct pim_peer ws_conn_peer(const struct ws_conn *conn);

#endif
