/* im/account.h - users: what their fields may hold, sign-up, sign-in, profile, password.
 * Functions with a lease block and run on storage threads; those that hash run on work threads. */
#ifndef PIM_IM_ACCOUNT_H
#define PIM_IM_ACCOUNT_H
#include "im/session.h"

#define PIM_NAME_MAX_BYTES 401 /* 100 characters, NUL */

struct pim_user {
    int64_t id, gender, created_ms; /* gender: 0 unknown, 1 female, 2 male */
    char email[255], password[256]; /* password: its hash */
    char name[PIM_NAME_MAX_BYTES], mobile[33], avatar[1021], qr_code[1021];
    bool is_delete, disabled;
};

/* --- fields: NULL if good, else a sentence that says what is wrong; static storage. Any thread. ----------------- */

const char *pim_account_name_bad(const struct pim_im_config *config, const char *name, size_t name_len);
const char *pim_account_password_bad(const struct pim_im_config *config, const char *password, size_t password_len);
const char *pim_account_mobile_bad(const char *mobile, size_t mobile_len);
/** Read an e-mail address: one @, a dotted or single host name, ASCII only, at most email_chars. It is stored and looked up
 *  in lower case: two addresses that differ in case are one. out_email is written on success. */
const char *pim_account_email_read(const struct pim_im_config *config, const char *text, size_t text_len,
                                   char out_email[255]);

/* --- reading: PIM_OK, PIM_NOT_FOUND, or a failure ---------------------------------------------------------------- */

PIM_MUST_CHECK int pim_user_load(struct pim_lease *lease, int64_t user_id, struct pim_user *out_user, struct pim_err *err);
/** By normalized address. */
PIM_MUST_CHECK int pim_user_find(struct pim_lease *lease, const char *email, struct pim_user *out_user,
                                 struct pim_err *err);

/* --- passwords: work threads ------------------------------------------------------------------------------------- */

/** Hash a password. */
PIM_MUST_CHECK int pim_account_hash(struct pim_accounts *accounts, const char *password, size_t password_len,
                                    char out_hash[256], struct pim_err *err);
/**
 * Compare a password with a hash.
 *
 * @param hash        NULL: no such account; costs the same as a comparison and is refused
 * @param out_rehash  set when the hash should be made anew
 * @return PIM_OK, PIM_REFUSED, or a failure
 */
PIM_MUST_CHECK int pim_account_verify(struct pim_accounts *accounts, const char *hash, const char *password,
                                      size_t password_len, bool *out_rehash, struct pim_err *err);

/* --- changes ------------------------------------------------------------------------------------------------------ */

/** Store a new user with all fields filled in; id and created_ms are made here. @return PIM_OK; PIM_EXISTS: the address is
 *  taken; or a failure */
PIM_MUST_CHECK int pim_account_create(struct pim_lease *lease, struct pim_user *user, struct pim_err *err);
/** Store name, mobile and gender. @return PIM_OK, PIM_NOT_FOUND, or a failure */
PIM_MUST_CHECK int pim_account_put_profile(struct pim_lease *lease, const struct pim_user *user, struct pim_err *err);
/** Store a new hash if the old one still stands. @return PIM_OK; PIM_REFUSED: it was changed meanwhile; PIM_NOT_FOUND; or a
 *  failure. old_hash NULL: whatever stands. */
PIM_MUST_CHECK int pim_account_put_password(struct pim_lease *lease, int64_t user_id, const char *old_hash,
                                            const char *new_hash, struct pim_err *err);

/* --- for operators ------------------------------------------------------------------------------------------------ */

/** Bar a user from signing in, and end his sessions; or let him in again. pim_session_ended follows after the commit of
 *  a bar. @return PIM_OK, PIM_NOT_FOUND, or a failure */
PIM_MUST_CHECK int pim_account_set_disabled(struct pim_lease *lease, int64_t user_id, bool disabled, struct pim_err *err);
/** Set a password (its hash), end all sessions, forget failed tries. The same. */
PIM_MUST_CHECK int pim_account_set_password(struct pim_lease *lease, int64_t user_id, const char *hash,
                                            struct pim_err *err);
/** Walk the users by id. fn: not 0 stops. @return PIM_OK, PIM_MORE: limit reached, go on after the last id; or a failure */
PIM_MUST_CHECK int pim_account_list(struct pim_lease *lease, int64_t after_id, uint32_t limit,
                                    int (*fn)(void *ctx, const struct pim_user *user), void *ctx, struct pim_err *err);

/** Is there a user of that id who is not deleted? His name (empty otherwise). @return PIM_OK, PIM_NOT_FOUND, or a failure */
PIM_MUST_CHECK int pim_user_name(struct pim_lease *lease, int64_t user_id, char out_name[PIM_NAME_MAX_BYTES],
                                 struct pim_err *err);

#endif
