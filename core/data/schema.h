/* data/schema.h - what we store as records: kinds, columns and indexes, handed to the storage plugin as data.
 * Changes only add; every change raises PIM_SCHEMA_VERSION, and a new column says since which version it is there.
 * Messages are not here: their shape is the ABI's (struct pim_append_item). */
#ifndef PIM_DATA_SCHEMA_H
#define PIM_DATA_SCHEMA_H
#include <privateim/storage.h>

#define PIM_SCHEMA_VERSION 1
#define PIM_SCHEMA_MIN_READER 1

/* Kinds. The numbers are stored; never reuse one. In each index list [0] is the primary key. */
enum pim_kind_id {
    PIM_K_META = 1,      /* small facts of the store itself */
    PIM_K_USER = 2,
    PIM_K_SESSION = 3,
    PIM_K_RELATION = 4,  /* one row per direction: what `user_id` holds about `peer_id` */
    PIM_K_GROUP = 5,
    PIM_K_MEMBER = 6,    /* of groups */
    PIM_K_POSITION = 7,  /* delivered and read marks */
    PIM_K_OUTBOX = 8,    /* rows of the log that are owed: written with the change that they announce */
    PIM_K_THROTTLE = 9   /* sign-in failures by account */
};

enum { PIM_META_NAME, PIM_META_NUM, PIM_META_BLOB, PIM_META_COLS };
enum { PIM_META_BY_NAME };

enum {
    PIM_USER_ID, PIM_USER_EMAIL, PIM_USER_NAME, PIM_USER_PASSWORD, PIM_USER_MOBILE, PIM_USER_GENDER, PIM_USER_AVATAR,
    PIM_USER_QR_CODE, PIM_USER_IS_DELETE, PIM_USER_DISABLED, PIM_USER_CREATED_MS, PIM_USER_COLS
};
enum { PIM_USER_BY_ID, PIM_USER_BY_EMAIL };

enum {
    PIM_SESSION_ID, PIM_SESSION_USER, PIM_SESSION_CREATED_MS, PIM_SESSION_EXPIRES_MS, PIM_SESSION_SEEN_MS,
    PIM_SESSION_AGENT, PIM_SESSION_ADDRESS, PIM_SESSION_COLS
};
enum { PIM_SESSION_BY_ID, PIM_SESSION_BY_USER };

enum {
    PIM_REL_USER, PIM_REL_PEER, PIM_REL_NOTE, PIM_REL_IS_ACCEPT, PIM_REL_IS_BLACK, PIM_REL_IS_DELETE,
    PIM_REL_ASKED, /* 1: user_id asked, 0: was asked */
    PIM_REL_CHANGED_MS, PIM_REL_COLS
};
enum { PIM_REL_BY_PAIR };

enum {
    PIM_GROUP_ID, PIM_GROUP_NAME, PIM_GROUP_MANAGER, PIM_GROUP_AVATAR, PIM_GROUP_QR_CODE, PIM_GROUP_IS_DELETE,
    PIM_GROUP_CREATED_MS, PIM_GROUP_COLS
};
enum { PIM_GROUP_BY_ID, PIM_GROUP_BY_MANAGER_NAME };

enum {
    PIM_MEMBER_GROUP, PIM_MEMBER_USER, PIM_MEMBER_NOTE, PIM_MEMBER_IS_DELETE,
    PIM_MEMBER_JOINED_SEQ, /* rows up to this number were said before the member came */
    PIM_MEMBER_LEFT_SEQ,   /* 0, or the last row that one who left may read */
    PIM_MEMBER_CHANGED_MS, PIM_MEMBER_COLS
};
enum { PIM_MEMBER_BY_PAIR, PIM_MEMBER_BY_USER };

enum {
    PIM_POS_USER, PIM_POS_DEVICE /* "" = the user's own (old clients; read marks) */, PIM_POS_KIND, PIM_POS_A, PIM_POS_B,
    PIM_POS_SEQ, PIM_POS_ORD, PIM_POS_READ_SEQ, PIM_POS_READ_ORD, PIM_POS_EPOCH, PIM_POS_COLS
};
enum { PIM_POS_BY_KEY };

enum {
    PIM_OUT_ID, PIM_OUT_KIND, PIM_OUT_A, PIM_OUT_B, PIM_OUT_CID, PIM_OUT_SENDER, PIM_OUT_TYPE, PIM_OUT_BODY,
    PIM_OUT_CREATED_MS, PIM_OUT_COLS
};
enum { PIM_OUT_BY_ID };

enum { PIM_THROTTLE_KEY, PIM_THROTTLE_FAILS, PIM_THROTTLE_LAST_MS, PIM_THROTTLE_COLS };
enum { PIM_THROTTLE_BY_KEY };

/** The schema for a store that serves these roles (PIM_ROLE_*); static storage. Any thread. */
const struct pim_schema *pim_schema_for(uint32_t roles);

#endif
