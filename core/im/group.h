/* im/group.h - groups and who is in them. Functions with a lease block: storage threads only.
 *
 * A member may read what was said after he joined (joined_seq), and one who left what was said until then (left_seq: -1
 * until his leaving is a row of the group and has a number). */
#ifndef PIM_IM_GROUP_H
#define PIM_IM_GROUP_H
#include "im/account.h"
#include "im/outbox.h"

enum pim_group_answer {
    PIM_GROUP_DONE,
    PIM_GROUP_NO_GROUP,
    PIM_GROUP_NAME_TAKEN,  /* by a group of the same manager */
    PIM_GROUP_ALREADY,     /* a member already */
    PIM_GROUP_NOT_MEMBER,
    PIM_GROUP_IS_MANAGER,  /* who cannot quit */
    PIM_GROUP_FULL,
    PIM_GROUP_TOO_MANY     /* groups of this user */
};

struct pim_group {
    int64_t id, manager_id, created_ms;
    char name[PIM_NAME_MAX_BYTES], avatar[1021], qr_code[1021];
    bool is_delete;
};

/** PIM_OK, PIM_NOT_FOUND (also: dismissed), or a failure. */
PIM_MUST_CHECK int pim_group_load(struct pim_lease *lease, int64_t group_id, struct pim_group *out_group,
                                  struct pim_err *err);

/* Changes: PIM_OK, then look at *out_answer; or a failure. Only with DONE something was written, and the rows in owed are
 * to be settled after the commit. RECORDS_WRITE. */

/** Make a group: name and manager_id are filled in by the caller, the rest here. */
PIM_MUST_CHECK int pim_group_create(struct pim_accounts *accounts, struct pim_lease *lease, struct pim_group *group,
                                    struct pim_owed_list *owed, enum pim_group_answer *out_answer, struct pim_err *err);
/** The number of the newest row of a group's conversation. MESSAGES_READ. */
PIM_MUST_CHECK int pim_group_head(struct pim_lease *lease, int64_t group_id, int64_t *out_head_seq, struct pim_err *err);
/** How many members a group has. A group may be large, so this is not done where records are written. RECORDS_READ. */
PIM_MUST_CHECK int pim_group_count(struct pim_lease *lease, int64_t group_id, uint32_t *out_members, struct pim_err *err);
/** Join; head_seq and members are from the two above, asked before: joins at the same moment may pass the limit of members
 *  by a few. */
PIM_MUST_CHECK int pim_group_join(struct pim_accounts *accounts, struct pim_lease *lease, int64_t group_id, int64_t user_id,
                                  const char *note, int64_t head_seq, uint32_t members, struct pim_owed_list *owed,
                                  enum pim_group_answer *out_answer, struct pim_err *err);
PIM_MUST_CHECK int pim_group_quit(struct pim_lease *lease, int64_t group_id, int64_t user_id, struct pim_owed_list *owed,
                                  enum pim_group_answer *out_answer, struct pim_err *err);
/** Change a member's own note. */
PIM_MUST_CHECK int pim_group_put_note(struct pim_lease *lease, int64_t group_id, int64_t user_id, const char *note,
                                      enum pim_group_answer *out_answer, struct pim_err *err);

struct pim_group_member {
    int64_t user_id, gender;
    char name[PIM_NAME_MAX_BYTES], note[401], avatar[1021];
};
/** The members of a group, for one of them: by id, those above after_id, at most limit (0: all). */
PIM_MUST_CHECK int pim_group_members(struct pim_lease *lease, int64_t group_id, int64_t asker_id, int64_t after_id,
                                     uint32_t limit, void (*fn)(void *ctx, const struct pim_group_member *member), void *ctx,
                                     enum pim_group_answer *out_answer, struct pim_err *err);
/** The groups that a user is in. */
PIM_MUST_CHECK int pim_group_joined(struct pim_lease *lease, int64_t user_id,
                                    void (*fn)(void *ctx, const struct pim_group *group), void *ctx, struct pim_err *err);

#endif
