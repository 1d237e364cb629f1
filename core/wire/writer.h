/* wire/writer.h - rows, results and notices as JSON text: docs/protocol.md sections 4, 5 and 9. Any thread. */
#ifndef PIM_WIRE_WRITER_H
#define PIM_WIRE_WRITER_H
#include "im/message.h"
#include "util/buf.h"

/**
 * Append a row as a privateim.v1 object ({"op":"message",...} or {"op":"event",...}; GET /messages serves the same).
 *
 * @param with_conversation  false inside a sync answer, where the conversation is named once
 * @return PIM_OK or PIM_ERR_TOO_LARGE (the buffer's limit)
 */
int pim_wire_put_row(struct pim_buf *buf, const struct pim_row *row, bool with_conversation);

/** Append a row as an old client gets it (type 0, 1 or 2). @return PIM_NOT_FOUND where old clients are told nothing. */
int pim_wire_put_old_row(struct pim_buf *buf, const struct pim_row *row, int64_t reader_id);

#endif
