/* ws/chat.h - what the frames of chat mean: messages into the log, acknowledgements, sync. The connection's io worker. */
#ifndef PIM_WS_CHAT_H
#define PIM_WS_CHAT_H
#include "ws/conn.h"

/** A whole message has come; text is borrowed. */
void ws_chat_message(struct ws_conn *conn, enum pim_ws_op opcode, const char *text, size_t len);
void ws_chat_pong(struct ws_conn *conn, const uint8_t *payload, size_t len);
/** The answer to a send; the send stays the caller's. */
void ws_chat_result(struct ws_conn *conn, struct pim_im_send *send);
/** The first frame of a new client. */
void ws_chat_hello(struct ws_conn *conn);
/** Hand on what the worker's clients say to have received and read. */
void ws_chat_claims_flush(struct ws_worker *worker);
/** The connection goes; what it claimed counts still. */
void ws_chat_claims_drop(struct ws_conn *conn);

#endif
