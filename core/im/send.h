/* im/send.h - a message from a connection on its way into the log, and what its sender is told. */
#ifndef PIM_IM_SEND_H
#define PIM_IM_SEND_H
#include "data/msglog.h"
#include "im/batch.h"
#include "im/message.h"

struct pim_im;

/* Owned by the worker until pim_im_send_post, then by the log, then again by that worker with PIM_ENTRY_RESULT. */
struct pim_im_send {
    struct pim_send send;
    struct pim_im *im;
    struct pim_peer_ref from;
    uint16_t worker;
    bool has_client_id;
    uint32_t raw_len; /* of what an old client sent, behind the body; 0: not kept */
    char body[];
};

/* What a sender is told. */
struct pim_outcome {
    int code;             /* 200, 400, ... of spec/messages.md */
    const char *sentence; /* static storage */
    uint32_t retry_after_s; /* with 429 and 503 */
};

/**
 * The rules that need nothing but the message itself.
 *
 * @return true when it may go to the log; else *out_outcome says why not. Any thread.
 */
bool pim_im_message_check(const struct pim_message *msg, int64_t user_id, struct pim_outcome *out_outcome);

/**
 * Fill a send from a checked message: conversation, client id (made here where there is none), hash. body stays where it is
 * (send->body). Any thread.
 */
void pim_im_send_init(struct pim_im *im, struct pim_im_send *send, const struct pim_message *msg, int64_t user_id);

/** Hand gathered sends (linked by send.mail.link) to the log; pim_delivery_flush follows for those refused at once. Worker. */
void pim_im_send_post(struct pim_im *im, struct pim_mail_list *sends, size_t count);

/** What the sender of an ended send is told. Any thread. */
void pim_im_send_outcome(const struct pim_im_send *send, struct pim_outcome *out_outcome);

/* struct pim_send.reason with PIM_SENT_DENIED */
enum pim_deny {
    PIM_DENY_NO_USER = 1,
    PIM_DENY_BLACK,
    PIM_DENY_NOT_FRIEND,
    PIM_DENY_NO_GROUP,
    PIM_DENY_NOT_MEMBER
};

#endif
