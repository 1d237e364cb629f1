/* im/history.h - pages of one conversation, read for a user: backwards for who scrolls up (pim_im_history, im/im.h), forwards for
 * a connection that follows its conversation from a mark. */
#ifndef PIM_IM_HISTORY_H
#define PIM_IM_HISTORY_H
#include "im/im.h"

/** Rows of a conversation from from_seq on, oldest first, at most limit; page->more: there are further ones. The first row may
 *  have a larger number where older ones are gone or not the user's. As pim_im_history otherwise. */
void pim_im_follow(struct pim_im *im, int64_t user_id, const struct pim_conv *conv, int64_t from_seq, uint32_t limit,
                   pim_im_page_fn fn, void *ctx);


/** ids: the groups whose member the user is, borrowed for the call; rc PIM_OK or below 0. */
typedef void (*pim_groups_fn)(void *ctx, int rc, const int64_t *ids, uint32_t n);
/** What a new connection listens to. fn once, on any thread, maybe before this returns. Any thread; does not block. */
void pim_im_groups(struct pim_im *im, int64_t user_id, pim_groups_fn fn, void *ctx);

#endif
