/* ws/ws.h - the WebSocket side: io workers that hold the connections of chat.
 *
 * A connection comes over net/upgrade.h: the handshake is checked, its token too (im/session), then the io worker with the
 * fewest connections takes the socket, answers 101 and owns it from there. Each worker reads its sockets, gathers what its clients
 * send into one post to the append threads a turn, and works off the batches that come back (im/batch.h): results and rows
 * are encoded, gathered for each connection, and written once a turn. */
#ifndef PIM_WS_WS_H
#define PIM_WS_WS_H
#include "im/im.h"
#include "net/upgrade.h"
#include "util/buf.h"

struct pim_ws;

struct pim_ws_config {
    uint32_t workers;
    uint32_t connections;                /* most at once; more are refused with 503 */
    uint32_t frame_bytes, message_bytes; /* largest frame and message of a client */
    uint32_t heartbeat_s;                /* a ping after so much silence, the end after twice as much */
    uint32_t output_bytes, output_timeout_s; /* waiting for a peer that does not read; then 1013 */
    uint32_t flood_per_s;                /* pings and refused frames of a connection in a second; then 1008 */
    uint32_t in_flight;                  /* messages of a connection without an answer */
    uint32_t raw_message_bytes;          /* of what an old client sent, given back in its result */
    uint32_t restart_wait_s;             /* the most that clients are asked to wait after 1012 */
    bool query_token;                    /* old clients may put the token into the URL */
    const char *allowed_origins;         /* comma-separated; copied */
};

/** Start the workers; im's sink is set to them. Before pim_im_start. Main thread. */
PIM_MUST_CHECK int pim_ws_start(const struct pim_ws_config *config, struct pim_im *im, struct pim_ws **out_ws,
                                struct pim_err *err);
/** Other origins from now on. Main thread. */
void pim_ws_origins_set(struct pim_ws *ws, const char *allowed_origins);
/** For the HTTP side; lives as long as ws. */
const struct pim_upgrade_ops *pim_ws_upgrade_ops(struct pim_ws *ws);
/** Close all connections with 1012 and a wait, give them up to timeout_ms to read what is theirs, stop the workers. After the HTTP
 *  side has stopped, before pim_im_stop. */
void pim_ws_stop(struct pim_ws *ws, int64_t timeout_ms);
void pim_ws_free(struct pim_ws **ws);
/** Append the counters in Prometheus' text form. Any thread. */
void pim_ws_metrics(struct pim_ws *ws, struct pim_buf *buf);

#endif
