/* im/session.h - sessions: one record for each sign-in. A token names its session; when the record goes, so does the token.
 * Functions with a lease block: storage threads only. */
#ifndef PIM_IM_SESSION_H
#define PIM_IM_SESSION_H
#include "data/rec.h"
#include "im/im.h"

struct pim_accounts; /* what accounts, sessions and throttles keep in memory */

/** Make and free the state of accounts; im must outlive it. Main thread. */
struct pim_accounts *pim_accounts_new(struct pim_im *im);
void pim_accounts_free(struct pim_accounts **accounts);
/** The rules that it belongs to. Any thread. */
struct pim_im *pim_accounts_im(const struct pim_accounts *accounts);
/** The one that belongs to im. Any thread. (im.c) */
struct pim_accounts *pim_im_accounts(struct pim_im *im);

#define PIM_SESSIONS_PER_USER 50 /* one more sign-in ends the oldest */
#define PIM_TOKEN_MAX_BYTES 2048
#define PIM_TOKEN_LOGIN "login" /* the purpose that login tokens are made for */

struct pim_session {
    char id[64];
    int64_t user_id;
    int64_t created_ms, expires_ms, seen_ms; /* wall clock */
    char agent[256 * 4 + 1], address[65];
};

/** Fill in a fresh session of a user that lives for the configured time. agent is cut to what is stored; NULL is fine. */
void pim_session_init(struct pim_accounts *accounts, struct pim_session *session, int64_t user_id, const char *agent,
                      const char *address);
/**
 * Store a session. Expired ones of the user go, and the oldest ones beyond the limit: those that still lived are in
 * out_ended (room for PIM_SESSIONS_PER_USER), for pim_session_ended after the commit.
 *
 * @return PIM_OK or a failure
 */
PIM_MUST_CHECK int pim_session_store(struct pim_lease *lease, const struct pim_session *session, char (*out_ended)[64],
                                     uint32_t *out_n_ended, struct pim_err *err);
/** The token of a session; dst holds PIM_TOKEN_MAX_BYTES. Does not touch the store. */
PIM_MUST_CHECK int pim_session_token(struct pim_accounts *accounts, const struct pim_session *session, char *dst,
                                     struct pim_err *err);

#define PIM_SESSIONS_ROOM (PIM_SESSIONS_PER_USER + 16) /* expired ones may still stand there */
/** The sessions of a user that have not expired, oldest first, into out (room for n, best PIM_SESSIONS_ROOM). */
PIM_MUST_CHECK int pim_session_list(struct pim_lease *lease, int64_t user_id, struct pim_session *out, uint32_t n,
                                    uint32_t *out_count, struct pim_err *err);
/** Give a session its full life again. @return PIM_OK, PIM_NOT_FOUND, or a failure */
PIM_MUST_CHECK int pim_session_renew(struct pim_lease *lease, struct pim_session *session, struct pim_err *err);
/** End one session of a user. @return PIM_OK, PIM_NOT_FOUND (also: somebody else's), or a failure. pim_session_ended
 *  follows after the commit. */
PIM_MUST_CHECK int pim_session_end(struct pim_lease *lease, int64_t user_id, const char *id, struct pim_err *err);
/** End all sessions of a user but one (NULL: all). */
PIM_MUST_CHECK int pim_session_end_all(struct pim_lease *lease, int64_t user_id, const char *except, struct pim_err *err);

/** After the commit: forget what was found good, close live connections: of one session, of all but one, or of all.
 *  Any thread. */
void pim_session_ended(struct pim_accounts *accounts, int64_t user_id, const char *id, const char *except);

/* --- tests --- */
/** Sessions found good and remembered. */
uint32_t pim_session_cached(struct pim_accounts *accounts);

#endif
