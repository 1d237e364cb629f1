/* wire/writer.h - rows, results and notices as JSON text: docs/protocol.md sections 4, 5 and 9. Any thread. */
#ifndef PIM_WIRE_WRITER_H
#define PIM_WIRE_WRITER_H
#include "im/message.h"
#include "im/send.h"
#include "util/buf.h"

/**
 * Append a row as a privateim.v1 object ({"op":"message",...} or {"op":"event",...}; GET /messages serves the same).
 *
 * @return PIM_OK or PIM_ERR_TOO_LARGE (the buffer's limit)
 */
int pim_wire_put_row(struct pim_buf *buf, const struct pim_row *row);

/** Append a row as an old client gets it (type 0, 1 or 2). @return PIM_NOT_FOUND where old clients are told nothing. */
int pim_wire_put_old_row(struct pim_buf *buf, const struct pim_row *row, int64_t reader_id);

/** Append the answer to a send as a privateim.v1 client gets it. */
int pim_wire_put_result(struct pim_buf *buf, const struct pim_im_send *send, const struct pim_outcome *outcome);

/** Append an answer to a frame that never became a send. cid NULL: the frame had none. */
int pim_wire_put_refusal(struct pim_buf *buf, const uint8_t *cid, const struct pim_outcome *outcome);

/** Append an answer as an old client gets it; raw (may be empty) is what it had sent. */
int pim_wire_put_old_result(struct pim_buf *buf, int64_t reader_id, int64_t created_ms, const struct pim_outcome *outcome,
                            const char *raw, size_t raw_len);

#endif
