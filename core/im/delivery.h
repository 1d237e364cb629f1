/* im/delivery.h - from a committed row to the connections that must hear of it.
 *
 * Any thread tells the io workers through its own out-tray: one batch for each worker, posted by pim_delivery_flush. The
 * append threads flush after each turn (struct pim_msglog_rules.flush); others flush when they have said what they had to. */
#ifndef PIM_IM_DELIVERY_H
#define PIM_IM_DELIVERY_H
#include "im/batch.h"
#include "im/presence.h"
#include "im/send.h"

struct pim_im;

/* The edge's io workers. */
struct pim_im_sink {
    void *ctx;
    uint32_t workers;
    /** Hand a batch to a worker, which frees it. false: the worker has stopped, the batch is still the caller's. */
    bool (*post)(void *ctx, uint32_t worker, struct pim_batch *batch);
};

/** Before pim_im_start. */
void pim_im_sink_set(struct pim_im *im, const struct pim_im_sink *sink);

/** The batch of this thread for a worker. Any thread. */
struct pim_batch *pim_delivery_batch(struct pim_im *im, uint32_t worker);
/** Post this thread's batches. Any thread. */
void pim_delivery_flush(struct pim_im *im);

/** A send ended otherwise than stored: its result goes into this thread's batch. (struct pim_send.done) */
void pim_delivery_result(struct pim_im *im, struct pim_im_send *send);

/** Tell a connection to close. Any thread; flush follows. */
void pim_delivery_close(struct pim_im *im, const struct pim_peer *peer, int code);

/* for struct pim_msglog_rules */
void pim_delivery_committed(void *ctx, uint32_t append_thread, struct pim_send *const *sends, uint32_t n);

#endif
