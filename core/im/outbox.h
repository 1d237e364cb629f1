/* im/outbox.h - rows of the log that a change of the records owes (storage-abi 3.6).
 *
 * Every loss of a right, and every event that a user must not miss, is a row in a conversation. The change is made so:
 * one apply changes the records and writes, in the same commit, an outbox entry that holds the row with its client id;
 * after that commit the row is appended; then the caller is answered. What a crash left in the outbox is appended at the
 * next start; the client id makes the second try harmless. */
#ifndef PIM_IM_OUTBOX_H
#define PIM_IM_OUTBOX_H
#include "data/msglog.h"
#include "data/rec.h"
#include "im/types.h"

#include <sys/queue.h>

struct pim_im;
struct pim_settle;

struct pim_owed {
    struct pim_send send; /* first: it is posted to the log as it is */
    STAILQ_ENTRY(pim_owed) link;
    struct pim_settle *settle;
    int64_t out_id;
    struct pim_conv conv;
    int64_t sender_id;
    uint8_t cid[16];
    uint32_t type; /* enum pim_row_type */
    uint32_t body_len;
    char *body; /* JSON object text */
};
STAILQ_HEAD(pim_owed_list, pim_owed);

/**
 * Add an owed row: one insert step into changes and one entry at the end of the list, which the caller keeps until the
 * commit and then hands to pim_im_settle (or frees when the commit failed).
 *
 * @param conv       the conversation that the row goes to
 * @param sender_id  who acted (PIM_SYSTEM_SENDER where nobody did)
 * @param body       JSON object text of the event's fields, e.g. {"event":"friend_request","user_id":7}; copied
 *
 * The step points into the entry: the list must outlive pim_changes_run. Threads: any.
 */
void pim_outbox_owe(struct pim_changes *changes, struct pim_owed_list *owed, const struct pim_conv *conv,
                    int64_t sender_id, enum pim_row_type type, const char *body, size_t body_len);

/** Free all entries. */
void pim_owed_list_fini(struct pim_owed_list *owed);

/** rc PIM_OK: every row is in the log and its outbox entry is gone or will be; below 0 (UNAVAILABLE, ...): the change
 *  stands and will be announced later. Called on any thread, once. */
typedef void (*pim_settled_fn)(void *ctx, int rc);

/**
 * Append owed rows after the commit that wrote them; they leave the outbox when they are in the log.
 *
 * @param owed  its entries are taken over; the list is empty afterwards. May be empty: then on_settled is called at once.
 *
 * Threads: any; does not block.
 */
void pim_im_settle(struct pim_im *im, struct pim_owed_list *owed, pim_settled_fn on_settled, void *ctx);

#endif
