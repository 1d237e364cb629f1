/* im/message.h - what a client sends, and what a row of the log is, free of JSON and sockets. */
#ifndef PIM_IM_MESSAGE_H
#define PIM_IM_MESSAGE_H
#include "im/types.h"

#include <stddef.h>

enum pim_message_has {
    PIM_HAS_TYPE_ID = 1,
    PIM_HAS_SENDER_ID = 2,
    PIM_HAS_RECEIVER_ID = 4,
    PIM_HAS_CONTENT_TYPE = 8,
    PIM_HAS_DELIVERY_TIME = 16,
    PIM_HAS_CLIENT_ID = 32
};

/* A message as a client sent it. Texts only by their length: the rules ask whether they are there; the body holds them. */
struct pim_message {
    uint32_t has; /* enum pim_message_has */
    int64_t type_id, sender_id, receiver_id, content_type, delivery_time;
    uint8_t cid[16];
    size_t content_len, preview_pic_len, resource_url_len, title_len, abstract_len;
    const char *body; /* what is stored: JSON object text of the content fields; borrowed */
    size_t body_len;
};

/* A row as it is delivered. */
struct pim_row {
    struct pim_conv conv;
    int64_t seq, ord, msg_id, sender_id, created_ms;
    uint8_t cid[16];
    uint32_t type, body_len;
    const char *body;
};

/** The row that somebody else in the conversation gets only as a placeholder: block and unfriend rows. */
static inline bool
pim_row_is_private(uint32_t type)
{
    return type == PIM_ROW_UNFRIENDED || type == PIM_ROW_BLOCKED;
}

/** Make a row the placeholder of itself: its number stays, what it says goes. */
void pim_row_hide(struct pim_row *row);

/** Write a conversation's name ("u:1:2", "g:7", "e:1"); dst holds 48 bytes. @return its length */
size_t pim_conv_format(char dst[48], const struct pim_conv *conv);
/** Read one. @return false if it is none: not that form, ids out of range, u: not in order. */
bool pim_conv_parse(const char *text, size_t text_len, struct pim_conv *out_conv);

#endif
