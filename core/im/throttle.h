/* im/throttle.h - how often one may guess. A failed sign-in counts twice: against the address it came from (in memory) and
 * against the account (in the records, so it survives a restart).
 *
 * After the free tries each failure doubles the wait, up to the longest one; after the hard stop no try is taken for a day.
 * A stranger must not lock an owner out: tries from a network (/24, /64) from which the account has a session now are
 * counted by themselves, so whoever is signed in at home can sign in at home again. */
#ifndef PIM_IM_THROTTLE_H
#define PIM_IM_THROTTLE_H
#include "im/session.h"

/** A number for the network of a numeric address: its /24 (IPv4) or /64 (IPv6). @return 0 if it is no address. */
int64_t pim_address_network(const char *address);

/** How many seconds must pass before the next try, after so many failures in a row of which the last was so long ago?
 *  0: now. */
uint32_t pim_throttle_wait_s(const struct pim_im_config *config, int64_t fails, int64_t since_ms);

/** May this address try now? @return 0, or the seconds to wait. Any thread. */
uint32_t pim_throttle_address(struct pim_accounts *accounts, const char *address, bool is_loopback);
/** It failed (or, good, it did not: its count is forgotten). Any thread. */
void pim_throttle_address_result(struct pim_accounts *accounts, const char *address, bool is_loopback, bool good);
/** Count one sign-up. @return 0, or the seconds to wait: the limit of the hour is reached. Any thread. */
uint32_t pim_throttle_sign_up(struct pim_accounts *accounts, const char *address, bool is_loopback);

#define PIM_CHANGES_PER_MINUTE 60 /* of friends and groups, by one user; more if friend_requests_per_day is more */
/** Count a friend request of a user. @return false: he made that many within a day already. Any thread. */
bool pim_throttle_daily(struct pim_accounts *accounts, int64_t user_id, uint32_t limit);
/** Count a change of friends or groups. @return false: too many within a minute. Any thread. */
bool pim_throttle_change(struct pim_accounts *accounts, int64_t user_id);

#define PIM_TRIES_AT_ONCE 4
/** Begin to check a sign-in of an account: many guesses sent at once must not pass before the first failure is counted.
 *  @return false: too many are being checked; pim_throttle_leave must not follow. Any thread. */
bool pim_throttle_enter(struct pim_accounts *accounts, const char *email);
void pim_throttle_leave(struct pim_accounts *accounts, const char *email);

/* Of one account, as tries from one network see it. */
struct pim_throttle {
    char key[255];
    int64_t fails, last_ms;
};

/**
 * Read what an account's count is for a try from an address. Blocks.
 *
 * @param user_id  the account's user, 0: there is none (the count is kept all the same: nobody can tell)
 */
PIM_MUST_CHECK int pim_throttle_load(struct pim_lease *lease, const char *email, int64_t user_id, const char *address,
                                     struct pim_throttle *out_throttle, struct pim_err *err);
/** Count a failure. Blocks. */
PIM_MUST_CHECK int pim_throttle_fail(struct pim_lease *lease, const struct pim_throttle *throttle, struct pim_err *err);
/** Forget the failures. Blocks. */
PIM_MUST_CHECK int pim_throttle_clear(struct pim_lease *lease, const struct pim_throttle *throttle, struct pim_err *err);

#endif
