/* ws/fanout.h - the worker's side of delivery: its groups, and the batches that come from the rules (im/batch.h). The io worker. */
#ifndef PIM_WS_FANOUT_H
#define PIM_WS_FANOUT_H
#include "ws/conn.h"

/** Work a batch off and free it. */
void ws_fanout_batch(struct ws_worker *worker, struct pim_batch *batch);
/** The connection listens to a group from now on. */
void ws_group_join(struct ws_conn *conn, int64_t group_id);
/** It does no longer; nothing if it did not. */
void ws_group_leave(struct ws_conn *conn, int64_t group_id);

#endif
