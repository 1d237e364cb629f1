#include "im/send.h"

#include "im/im_priv.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/siphash.h"

#include <string.h>

enum { TEXT = 0, IMAGE = 1, VIDEO = 2, VOICE = 3 };

static bool
refuse(struct pim_outcome *out, const char *sentence)
{
    *out = (struct pim_outcome){.code = 400, .sentence = sentence};
    return false;
}

bool
pim_im_message_check(const struct pim_message *msg, int64_t user_id, struct pim_outcome *out)
{
    if (!(msg->has & PIM_HAS_TYPE_ID))
        return refuse(out, "not have 'type_id' field in the json string message");
    if (msg->type_id != PIM_ROW_CHAT && msg->type_id != PIM_ROW_GROUP_CHAT)
        return refuse(out, "the value of 'type_id' is not support");
    if ((msg->has & PIM_HAS_SENDER_ID) && msg->sender_id != user_id)
        return refuse(out, "the sender id is not identical, don't disguise other to send message");
    if (!(msg->has & PIM_HAS_RECEIVER_ID) || msg->receiver_id <= 0)
        return refuse(out, "not have 'receiver_id' field in the json string message");
    if (msg->delivery_time < 0)
        return refuse(out, "invalid delivery time");
    if (msg->delivery_time != 0)
        return refuse(out, "timed messages are not supported yet");
    switch (msg->content_type) {
    case TEXT:
        return msg->content_len > 0 || refuse(out, "the text content is empty");
    case IMAGE:
        if (msg->preview_pic_len == 0)
            return refuse(out, "the media preview picture url is empty");
        return msg->resource_url_len > 0 || refuse(out, "the media resource url is empty");
    case VIDEO:
    case VOICE:
        return msg->resource_url_len > 0 || refuse(out, "the media resource url is empty");
    default:
        return refuse(out, "the message content type is not support");
    }
}

static void
on_done(struct pim_send *send)
{
    struct pim_im_send *mine = (struct pim_im_send *)send;

    if (send->state != PIM_SENT_STORED) /* those that were stored stand in the batch already, before their rows */
        pim_delivery_result(mine->im, mine);
}

void
pim_im_send_init(struct pim_im *im, struct pim_im_send *mine, const struct pim_message *msg, int64_t user_id)
{
    struct pim_send *send = &mine->send;
    struct pim_siphash hash;
    int64_t head[2] = {msg->type_id, msg->receiver_id};

    mine->im = im;
    send->conv = msg->type_id == PIM_ROW_CHAT ? pim_conv_users(user_id, msg->receiver_id) : pim_conv_group(msg->receiver_id);
    send->sender_id = user_id;
    send->type = (uint32_t)msg->type_id;
    send->flags = PIM_SEND_COUNTABLE;
    send->body = msg->body;
    send->body_len = (uint32_t)msg->body_len;
    send->done = on_done;
    mine->has_client_id = (msg->has & PIM_HAS_CLIENT_ID) != 0;
    if (mine->has_client_id) {
        memcpy(send->cid, msg->cid, 16);
    } else {
        pim_uuid7_make(send->cid, pim_clock_wall_ms());
        send->flags |= PIM_SEND_SERVER_ID;
    }
    /* frozen: the stored hash tells a resend from a conflict for as long as the resend window */
    pim_siphash_init(&hash, im->hash_key);
    pim_siphash_add(&hash, head, sizeof head);
    pim_siphash_add(&hash, msg->body, msg->body_len);
    send->body_hash = pim_siphash_end(&hash);
}

void
pim_im_send_post(struct pim_im *im, struct pim_mail_list *sends, size_t count)
{
    if (count > 0)
        pim_msglog_post(pim_data_log(im->data), sends, count);
}

void
pim_im_send_outcome(const struct pim_im_send *mine, struct pim_outcome *out)
{
    static const struct pim_outcome denied[] = {
        [PIM_DENY_NO_USER] = {404, "the receiver is not existed", 0},
        [PIM_DENY_BLACK] = {403, "the receiver refuse receive the message", 0},
        [PIM_DENY_NOT_FRIEND] = {403, "your are not friend still", 0},
        [PIM_DENY_NO_GROUP] = {404, "the group chat is not existed", 0},
        [PIM_DENY_NOT_MEMBER] = {403, "you are not a member of the group chat", 0},
    };
    const struct pim_send *send = &mine->send;

    switch (send->state) {
    case PIM_SENT_STORED:
    case PIM_SENT_BEFORE:
        *out = (struct pim_outcome){200, "the message send ok", 0};
        break;
    case PIM_SENT_DENIED:
        *out = denied[send->reason];
        break;
    case PIM_SENT_CONFLICT:
        *out = (struct pim_outcome){409, "the client id was used for another message", 0};
        break;
    case PIM_SENT_TOO_OLD:
        *out = (struct pim_outcome){410, "the client id is older than the resend window", 0};
        break;
    case PIM_SENT_TOO_NEW:
        *out = (struct pim_outcome){400, "the client id's time is ahead of the server's", 0};
        break;
    case PIM_SENT_TOO_LARGE:
        *out = (struct pim_outcome){413, "the message is too large", 0};
        break;
    case PIM_SENT_INVALID:
        *out = (struct pim_outcome){400, "the message cannot be stored", 0};
        break;
    default:
        *out = (struct pim_outcome){503, "the message was not stored, send it again with the same client id", 1};
        break;
    }
}
