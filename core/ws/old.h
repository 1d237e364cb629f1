/* ws/old.h - connections of old clients: they know no numbers, so the server follows each conversation for them.
 *
 * For each conversation there is a cursor: the last row that was put on the wire. A live row goes out if it is the next one;
 * otherwise the gap is read from the store first. What was written is remembered when it is proven: after a burst a ping
 * carries a number, and its pong says that all bytes before it were read; then the cursors become the user's delivered
 * marks. At most one page is on its way without such a proof, so a slow client is followed at its own pace. */
#ifndef PIM_WS_OLD_H
#define PIM_WS_OLD_H
#include "ws/conn.h"

/** Begin: deliver what came while the user was away. */
void ws_old_start(struct ws_conn *conn);
void ws_old_free(struct ws_old **old);
/** A live row. */
void ws_old_row(struct ws_conn *conn, const struct pim_row *row);
void ws_old_pong(struct ws_conn *conn, const uint8_t *payload, size_t len);
/** A page that was read for one of the worker's connections. */
void ws_old_mail(struct ws_worker *worker, struct pim_mail *mail);

#endif
