/* im/sync.h - all conversations of a user from what one of his devices has: docs/protocol.md section 6. */
#ifndef PIM_IM_SYNC_H
#define PIM_IM_SYNC_H
#include "im/im.h"

#define PIM_SYNC_BYTES (128 * 1024) /* rows in one answer, about; the last conversation may add as much again */
#define PIM_SYNC_PARTS 200          /* conversations in one answer */

struct pim_sync_known { /* what the device has of a conversation, without a hole */
    struct pim_conv conv;
    int64_t seq, msg_id; /* another msg_id than the row has: the device begins anew */
};

struct pim_sync_request {
    int64_t user_id;
    char device[64]; /* whose delivered marks; "" the user's own */
    struct pim_sync_known *known; /* taken over: freed with the request */
    uint32_t n_known, limit;
    uint32_t max_bytes; /* of the answer, about; at most PIM_SYNC_BYTES */
    bool only;       /* the named conversations alone */
    bool from_marks; /* known is empty: begin at the device's delivered marks (old clients); a conversation that has nothing new
                      * has a part without rows */
    bool has_after;
    struct pim_conv after;
};

struct pim_sync_part {
    struct pim_conv conv;
    int64_t head_seq, head_ord, head_id, floor_seq, read_seq, read_ord, unread, delivered_seq, from_seq;
    bool reset, more;
    const struct pim_row *rows;
    uint32_t n_rows;
};

struct pim_sync_answer {
    int rc; /* PIM_OK or a failure */
    const struct pim_sync_part *parts;
    uint32_t n_parts;
    bool has_next;
    struct pim_conv next;
};

/** answer is borrowed for the call. On a storage thread. */
typedef void (*pim_sync_fn)(void *ctx, const struct pim_sync_answer *answer);

/** Answer a request; fn is called once, maybe before this returns. The request's known list is freed. Any thread. */
void pim_im_sync(struct pim_im *im, const struct pim_sync_request *request, pim_sync_fn fn, void *ctx);

#endif
