/* im/friend.h - who is whose friend.
 *
 * A relation is one record for each direction: what `user` holds about `peer`. Two are friends when each has accepted the
 * other and neither has taken that back; a message passes when they are friends and the receiver has not blacklisted the
 * sender. pim_friend_plan decides everything from the two records and touches nothing; pim_friend_change reads, plans,
 * writes both records and the rows that are owed in one apply, and begins again when somebody else was faster. */
#ifndef PIM_IM_FRIEND_H
#define PIM_IM_FRIEND_H
#include "im/account.h"
#include "im/outbox.h"

#define PIM_NOTE_MAX_BYTES 401

enum pim_friend_action {
    PIM_FRIEND_ASK,
    PIM_FRIEND_ACCEPT,
    PIM_FRIEND_REFUSE, /* also blacklists */
    PIM_FRIEND_NOTE,
    PIM_FRIEND_BLOCK,
    PIM_FRIEND_UNBLOCK,
    PIM_FRIEND_DELETE
};

enum pim_friend_answer {
    PIM_FRIEND_DONE,
    PIM_FRIEND_UNCHANGED,   /* it was so already */
    PIM_FRIEND_SELF,        /* the peer is oneself */
    PIM_FRIEND_NO_USER,
    PIM_FRIEND_ALREADY,     /* friends already */
    PIM_FRIEND_BLACK_MINE,  /* on one's own blacklist */
    PIM_FRIEND_BLACK_THEIRS,
    PIM_FRIEND_NO_REQUEST,
    PIM_FRIEND_NOT_LISTED,  /* no relation to that user */
    PIM_FRIEND_TOO_MANY     /* requests of a day */
};

/* One direction. */
struct pim_relation {
    bool exists, is_accept, is_black, is_delete, asked;
    int64_t changed_ms;
    char note[PIM_NOTE_MAX_BYTES];
};

struct pim_friend_plan {
    struct pim_relation mine, theirs;     /* as they shall be */
    bool write_mine, write_theirs;
    enum pim_row_type tell_peer;  /* an event for the peer, or 0 */
    enum pim_row_type lost;       /* a row of the u: conversation: rights were lost, or 0 */
    bool tell_self, gained;
};

/** Decide. mine: what the actor holds about the peer; theirs: the other way. out_plan is filled in with DONE only. */
enum pim_friend_answer pim_friend_plan(enum pim_friend_action action, const char *note, int64_t now_ms,
                                       const struct pim_relation *mine, const struct pim_relation *theirs,
                                       struct pim_friend_plan *out_plan);

struct pim_friend_change {
    int64_t user_id, peer_id;
    enum pim_friend_action action;
    const char *note; /* "" where there is none */
    /* out */
    enum pim_friend_answer answer;
    bool gained; /* after the commit: pim_friend_gained */
};

/**
 * Make a change. Blocks: RECORDS_WRITE.
 *
 * @param owed  gets the rows that are to be settled after the commit
 * @return PIM_OK, look at change->answer: only with DONE something was written; or a failure
 */
PIM_MUST_CHECK int pim_friend_change(struct pim_accounts *accounts, struct pim_lease *lease,
                                     struct pim_friend_change *change, struct pim_owed_list *owed, struct pim_err *err);
/** After the commit of a change that gained a right: the append thread reads the rights anew. Any thread. */
void pim_friend_gained(struct pim_accounts *accounts, const struct pim_friend_change *change);

struct pim_friend {
    int64_t id;
    struct pim_relation relation;
    bool is_friend;
    struct pim_user user; /* password cleared */
};
/** The friends, requests and blacklisted of a user, by id. Blocks. */
PIM_MUST_CHECK int pim_friend_list(struct pim_lease *lease, int64_t user_id,
                                   void (*fn)(void *ctx, const struct pim_friend *entry), void *ctx, struct pim_err *err);

#endif
