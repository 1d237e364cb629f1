/* im/position.h - how far a device has received and a user has read each conversation. Marks only rise. They change often, so
 * they are kept here and written once a second, many in one commit. */
#ifndef PIM_IM_POSITION_H
#define PIM_IM_POSITION_H
#include "data/pool.h"
#include "im/types.h"

struct pim_im;
struct pim_positions;

/* A mark. device "" is the user's own: old clients' delivered marks, and everybody's read marks. */
struct pim_mark {
    int64_t user_id;
    char device[64];
    struct pim_conv conv;
    int64_t seq, ord;           /* delivered */
    int64_t read_seq, read_ord; /* read */
};

struct pim_positions *pim_positions_new(void);
void pim_positions_free(struct pim_positions **positions);

/** Raise a mark to what `mark` says (fields that are lower change nothing). Any thread; does not block. */
void pim_position_raise(struct pim_im *im, const struct pim_mark *mark);
/** Raise the fields of `mark` to what is known here and perhaps not stored yet. Any thread. */
void pim_position_overlay(struct pim_im *im, struct pim_mark *mark);
/** Write what has changed. Any thread; does not block. */
void pim_positions_flush(struct pim_im *im);
/** Write what has changed and wait for it, at most timeout_ms. Main thread, while the stores run. */
void pim_positions_drain(struct pim_im *im, int64_t timeout_ms);

/** All marks of one device of a user, in the order of conversations. Blocks: RECORDS_READ. fn not 0: stop. */
typedef int (*pim_mark_fn)(void *ctx, const struct pim_mark *mark);
PIM_MUST_CHECK int pim_position_list(struct pim_lease *lease, int64_t user_id, const char *device, pim_mark_fn fn,
                                     void *ctx, struct pim_err *err);

/** Delete the marks of a device whose session has ended; never "", the user's own. Blocks: a thread that writes records.
 *  @return PIM_OK or a failure */
PIM_MUST_CHECK int pim_position_forget(struct pim_lease *lease, int64_t user_id, const char *device, struct pim_err *err);

#endif
