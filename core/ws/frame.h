/* ws/frame.h - RFC 6455 framing: headers in and out, masks, close codes. No state. Any thread. */
#ifndef PIM_WS_FRAME_H
#define PIM_WS_FRAME_H
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pim_ws_op {
    PIM_WS_OP_CONT = 0,
    PIM_WS_OP_TEXT = 1,
    PIM_WS_OP_BINARY = 2,
    PIM_WS_OP_CLOSE = 8,
    PIM_WS_OP_PING = 9,
    PIM_WS_OP_PONG = 10
};

#define PIM_WS_HEADER_MAX 14 /* of a client's frame; ours have no mask: 10 */

struct pim_ws_frame_hdr {
    uint8_t opcode; /* enum pim_ws_op */
    bool fin;
    uint8_t hdr_bytes;
    uint8_t mask[4];
    uint64_t payload_bytes;
};

/**
 * Read one client's frame header from the front of a byte run.
 *
 * @param src      received bytes; borrowed, any alignment
 * @param src_len  bytes at src, 0 or more
 * @param max_payload_bytes  largest payload this connection takes
 * @param out_hdr  written only on PIM_OK
 * @return PIM_OK             a whole header is there
 *         PIM_AGAIN          wait for more bytes; nothing was consumed
 *         PIM_ERR_PROTOCOL   break of the RFC: close with 1002
 *         PIM_ERR_TOO_LARGE  payload over the limit: close with 1009
 *
 * Ownership: keeps no pointer. Threads: any. Source: RFC 6455 5.2, 5.5.
 */
PIM_MUST_CHECK int pim_ws_frame_decode(const uint8_t *src, size_t src_len, uint64_t max_payload_bytes,
                                       struct pim_ws_frame_hdr *out_hdr);

/** Unmask in place; at: how many bytes of this payload came before. Source: RFC 6455 5.3. */
void pim_ws_unmask(uint8_t *payload, size_t len, const uint8_t mask[4], uint64_t at);

/** Write the header of a whole server frame; dst holds 10 bytes. @return its length */
size_t pim_ws_frame_encode(uint8_t *dst, enum pim_ws_op opcode, uint64_t payload_bytes);

/** May this close code stand on the wire? Source: RFC 6455 7.4, IANA. */
bool pim_ws_close_code_is_valid(unsigned code);

#endif
