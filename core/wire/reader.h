/* wire/reader.h - the one-pass strict reader of message frames: what a client sends most, so no tree is built and nothing
 * is allocated. JSON as RFC 8259 has it, stricter where jansson with JSON_REJECT_DUPLICATES is: no duplicate keys, no NUL
 * character, no lone surrogate, integers exact in 64 bits. Fuzzed against jansson for the same verdict and values. */
#ifndef PIM_WIRE_READER_H
#define PIM_WIRE_READER_H
#include "im/message.h"
#include "util/err.h"

#define PIM_WIRE_DEPTH_MAX 16
#define PIM_WIRE_KEYS_MAX 64 /* members of one object; more is refused */

/**
 * Read one message frame.
 *
 * @param src      the frame's payload, valid UTF-8; borrowed
 * @param src_len  1 or more
 * @param body     scratch for the stored body: at least src_len + 64 bytes (the canonical form never is longer than that)
 * @param out_msg  written on PIM_OK; its body points into `body`
 * @param out_why  a sentence for the client on a failure; static storage
 * @return PIM_OK        a message; which fields there are is in out_msg->has
 *         PIM_DEFER     an object with the key "op": not a message, read it in the general way
 *         PIM_ERR_PROTOCOL  not JSON
 *         PIM_ERR_INVALID   JSON, but a field has the wrong type, a key stands twice, an object is too deep
 *
 * Threads: any. Source: RFC 8259.
 */
PIM_MUST_CHECK int pim_wire_read(const char *src, size_t src_len, char *body, struct pim_message *out_msg,
                                 const char **out_why);

#endif
