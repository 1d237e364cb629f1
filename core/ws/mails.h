/* ws/mails.h - what is posted to an io worker, beside batches (im/batch.h). */
#ifndef PIM_WS_MAILS_H
#define PIM_WS_MAILS_H
#include "im/batch.h"
#include "util/buf.h"
#include "ws/handshake.h"

enum {
    WS_MAIL_ADOPT = 16,
    WS_MAIL_STARTED,
    WS_MAIL_FRAME,
    WS_MAIL_OLD,
    WS_MAIL_STOP
};

/* A connection that has been let in. Made by begin(), then the ticket of net/upgrade.h. */
struct ws_adopt {
    struct pim_mail mail;
    struct pim_ws *ws;
    pim_upgrade_answer_fn answer;
    void *answer_ctx;
    int64_t user_id, expires_ms;
    char session[64];
    char accept[PIM_WS_ACCEPT_BYTES];
    bool is_v1, is_echo;
    int fd;
    SSL *ssl;
    void *early;
    size_t early_len;
};

/* What a connection listens to. */
struct ws_started {
    struct pim_mail mail;
    struct pim_peer_ref ref;
    int rc;
    uint32_t n;
    int64_t groups[];
};

/* A whole text frame for one connection, made on a storage thread. */
struct ws_frame_mail {
    struct pim_mail mail;
    struct pim_peer_ref ref;
    struct pim_buf payload;
};

/** Post to a worker; when it has stopped the mail is freed by free_fn. */
void ws_worker_post(struct pim_ws *ws, uint32_t worker, struct pim_mail *mail, void (*free_fn)(struct pim_mail *mail));

#endif
