/* im/im.h - the rules of chat: who may do what, what is said to whom. No socket, no JSON frame, no HTTP status, no SQL.
 *
 * Beneath: the stores (data/), which are asked by jobs on storage threads. Above: two edges, HTTP and WebSocket, which call
 * in and are called back on any thread. A message walks: ws -> pim_im_send -> append thread (rights, number, commit) ->
 * delivery (im/delivery.h) -> the io workers' mailboxes. A change of friends, groups or accounts walks: http -> a job with
 * pim_changes and owed rows (im/outbox.h) -> pim_im_settle -> answer. */
#ifndef PIM_IM_IM_H
#define PIM_IM_IM_H
#include "data/data.h"
#include "data/msglog.h"
#include "im/message.h"
#include "im/types.h"

#include <privateim/auth.h>

struct pim_im;

struct pim_im_config {
    /* accounts */
    uint32_t name_chars, note_chars, email_chars, password_min, password_max; /* characters */
    uint32_t token_life_s;
    uint32_t session_check_ms; /* how long a session that was found good is not looked up again */
    uint32_t sign_in_free_tries, sign_in_max_delay_s, sign_in_hard_stop;
    uint32_t sign_ups_per_hour_per_address; /* 0: no limit */
    bool limit_loopback;                    /* limits by address hold for loopback addresses too */
    uint32_t friend_requests_per_day, groups_per_user, group_members;
    uint32_t show_joins_up_to; /* members of a group up to which joins are rows of it */
    bool history_before_join;
    /* messages */
    uint32_t connections_per_user;
    uint32_t messages_per_s, messages_burst; /* of one user; 0: no limit */
    uint32_t sync_rows;
    uint32_t resend_window_s; /* for the hello */
    uint32_t workers; /* io workers */
};

/* What the sign-in plugin is; borrowed. */
struct pim_auth_bind {
    const struct pim_auth_ops *ops;
    struct pim_auth *auth;
    uint64_t caps;
};

/**
 * Make the rules. The stores are open (pim_data_open), their threads not started yet.
 *
 * @return PIM_OK or a failure. Main thread.
 */
PIM_MUST_CHECK int pim_im_new(const struct pim_im_config *config, struct pim_data *data, const struct pim_auth_bind *auth,
                              struct pim_im **out_im, struct pim_err *err);
/** What the append batcher asks; for pim_data_start. The table lives as long as im. */
const struct pim_msglog_rules *pim_im_rules(struct pim_im *im);
/** After pim_data_start: reads the store's constants, appends what is owed, starts the timer thread. Main thread. */
PIM_MUST_CHECK int pim_im_start(struct pim_im *im, struct pim_err *err);
/** No more timers; before pim_data_stop. */
void pim_im_stop(struct pim_im *im);
/** After pim_data_stop. NULL is fine. */
void pim_im_free(struct pim_im **im);

/** Other settings from now on; connections_per_user, workers and sync_rows stay. Main thread. @return false: too many reloads */
bool pim_im_config_set(struct pim_im *im, const struct pim_im_config *config);

struct pim_data *pim_im_data(struct pim_im *im);
/** The settings now; the struct stays as it is until im is freed. Any thread. */
const struct pim_im_config *pim_im_config(const struct pim_im *im);
const struct pim_auth_bind *pim_im_auth(const struct pim_im *im);

/* --- sessions: im/session.c ---------------------------------------------------------------------------------- */

/* Who is calling: the owner of a good token. */
struct pim_caller {
    int64_t user_id;
    int64_t expires_ms; /* wall clock */
    char session[64];
};

/** rc: PIM_OK; PIM_REFUSED: the token is bad, or its session has ended or its user may not sign in; below 0: cannot be told
 *  now. caller is borrowed, NULL unless PIM_OK. */
typedef void (*pim_session_fn)(void *ctx, int rc, const struct pim_caller *caller);

/** Check a login token: its signature and claims at once, its session in the records unless it was found good less than
 *  session_check_ms ago. fn is called once, on any thread, maybe before this returns. Any thread; does not block. */
void pim_im_session_check(struct pim_im *im, const char *token, size_t token_len, pim_session_fn fn, void *ctx);

/* --- live connections: im/presence.c ------------------------------------------------------------------------- */

/** Close the live connections of a user with 4001: of one session, or of all but one (`except`), or of all (both NULL).
 *  Any thread. */
void pim_im_disconnect(struct pim_im *im, int64_t user_id, const char *session, const char *except);
/** Is the user connected now? Any thread. */
bool pim_im_is_online(struct pim_im *im, int64_t user_id);

/* --- reading: im/history.c ----------------------------------------------------------------------------------- */

/* A page of a conversation as one user may see it. Rows that are not the user's to read have type PIM_ROW_HIDDEN. */
struct pim_im_page {
    int rc; /* PIM_OK; PIM_REFUSED: no right to read it; below 0 */
    const struct pim_row *rows;
    uint32_t n_rows;
    bool more;
    int64_t floor_seq;
};
/** page is borrowed for the call. On a storage thread. */
typedef void (*pim_im_page_fn)(void *ctx, const struct pim_im_page *page);
/** Rows of a conversation, newest first: seq below `before` (0: from the head), above `after`, at most limit. fn once, maybe
 *  before this returns. Any thread; does not block. */
void pim_im_history(struct pim_im *im, int64_t user_id, const struct pim_conv *conv, int64_t before, int64_t after,
                    uint32_t limit, pim_im_page_fn fn, void *ctx);

/* --- rows that a change owes: im/outbox.h -------------------------------------------------------------------- */

#endif
