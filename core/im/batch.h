/* im/batch.h - what one thread tells one io worker in one mail: results, rows and changes of who listens, in the order in
 * which the worker must act on them.
 *
 * Rows and results of one conversation keep their order here, so a client never sees number n + 1 before its own result n.
 * A batch is filled by one thread (pim_batch_out) and read by one worker, which frees it. */
#ifndef PIM_IM_BATCH_H
#define PIM_IM_BATCH_H
#include "im/message.h"
#include "net/mailbox.h"

#define PIM_MAIL_BATCH 1 /* the io workers' mail kinds below 16 are the rules', the others the edge's own */

struct pim_im_send;

/* A connection of one worker: its slot there, and which of those that had the slot. */
struct pim_peer_ref {
    uint32_t slot, gen;
};

enum pim_entry_kind {
    PIM_ENTRY_RESULT = 1, /* of a send: answer and free it */
    PIM_ENTRY_ROW,        /* to the connections named */
    PIM_ENTRY_GROUP_ROW,  /* to all local members but the one named */
    PIM_ENTRY_JOIN,       /* the connection named now listens to the group */
    PIM_ENTRY_LEAVE,
    PIM_ENTRY_DISMISS, /* nobody listens to the group any more */
    PIM_ENTRY_READ,    /* the user has read up to row.seq, row.ord: to the connections named */
    PIM_ENTRY_CLOSE    /* close the connection named with `code` */
};

struct pim_entry {
    uint16_t kind, n_refs;
    uint32_t bytes; /* of the whole entry */
    union {
        struct pim_im_send *send;
        int64_t group_id;
        int64_t code;
    } u;
    struct pim_row row; /* ROW, GROUP_ROW, READ; its body follows the refs */
    struct pim_peer_ref refs[];
};

struct pim_batch {
    struct pim_mail mail;
    char *data;
    size_t len, cap;
};

/** Add an entry with room for n_refs and body_len bytes. @return it, zeroed but for kind, n_refs and bytes; valid until the next
 *  one is added. */
struct pim_entry *pim_batch_add(struct pim_batch *batch, enum pim_entry_kind kind, uint32_t n_refs, size_t body_len);
/** Where an entry's body stands. */
static inline char *
pim_entry_body(struct pim_entry *entry)
{
    return (char *)&entry->refs[entry->n_refs];
}
/** Walk: begin with *at = 0; NULL at the end. row.body is set. */
struct pim_entry *pim_batch_next(struct pim_batch *batch, size_t *at);
struct pim_batch *pim_batch_new(void);
void pim_batch_free(struct pim_batch **batch);

#endif
