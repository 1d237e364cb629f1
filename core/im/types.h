/* im/types.h - the words of the chat rules: row types, results, limits that are part of the contract. */
#ifndef PIM_IM_TYPES_H
#define PIM_IM_TYPES_H
#include <privateim/storage.h>
#include <stdbool.h>
#include <stdint.h>

#define PIM_SYSTEM_SENDER 1024 /* spec/messages.md: notices come from it */

/* What a row of the log is (struct pim_append_item.type). The numbers are stored; never reuse one. */
enum pim_row_type {
    PIM_ROW_CHAT = 0,
    PIM_ROW_GROUP_CHAT = 1,
    PIM_ROW_SUBSCRIPTION = 2,
    /* events; in e: unless said */
    PIM_ROW_FRIEND_REQUEST = 16,
    PIM_ROW_FRIEND_ACCEPTED = 17,
    PIM_ROW_FRIEND_REFUSED = 18,
    PIM_ROW_FRIEND_CHANGED = 19,
    PIM_ROW_UNFRIENDED = 20, /* u: a loss of rights; a placeholder to the other side */
    PIM_ROW_BLOCKED = 21,    /* u: the same */
    PIM_ROW_GROUP_JOINED = 24,
    PIM_ROW_GROUP_LEFT = 25,
    PIM_ROW_MEMBER_JOINED = 26, /* g: */
    PIM_ROW_MEMBER_LEFT = 27,   /* g: a loss of rights */
    PIM_ROW_GROUP_DISMISSED = 28, /* g: the same, for all */
    PIM_ROW_HIDDEN = 255        /* never stored: what stands for a row that is not the reader's */
};

/** Does this row count as unread? */
static inline bool
pim_row_is_countable(uint32_t type)
{
    return type <= PIM_ROW_SUBSCRIPTION;
}

static inline struct pim_conv
pim_conv_users(int64_t one, int64_t other)
{
    return one <= other ? (struct pim_conv){.kind = 'u', .a = one, .b = other}
                        : (struct pim_conv){.kind = 'u', .a = other, .b = one};
}
static inline struct pim_conv
pim_conv_group(int64_t group_id)
{
    return (struct pim_conv){.kind = 'g', .a = group_id};
}
static inline struct pim_conv
pim_conv_events(int64_t user_id)
{
    return (struct pim_conv){.kind = 'e', .a = user_id};
}
static inline bool
pim_conv_equal(const struct pim_conv *x, const struct pim_conv *y)
{
    return x->kind == y->kind && x->a == y->a && x->b == y->b;
}

#endif
