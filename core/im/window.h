/* im/window.h - which rows of a conversation a user may read. Blocks: RECORDS_READ threads. */
#ifndef PIM_IM_WINDOW_H
#define PIM_IM_WINDOW_H
#include "data/rec.h"
#include "im/message.h"

struct pim_im;

/* Rows from..to, both included. */
struct pim_window {
    struct pim_conv conv;
    int64_t from_seq, to_seq;
};

/** @return PIM_OK, PIM_REFUSED when no row is the user's to read, or a failure. */
PIM_MUST_CHECK int pim_window_load(struct pim_im *im, struct pim_lease *lease, int64_t user_id, const struct pim_conv *conv,
                                   struct pim_window *out_window, struct pim_err *err);

/** All conversations that the user may read something of, in the order of (kind, a, b). *out_windows is the caller's, free(). */
PIM_MUST_CHECK int pim_window_list(struct pim_im *im, struct pim_lease *lease, int64_t user_id,
                                   struct pim_window **out_windows, uint32_t *out_n, struct pim_err *err);

/** The order of conversations in lists: below 0, 0, above 0. */
int pim_conv_compare(const struct pim_conv *x, const struct pim_conv *y);

#define PIM_ROWS_BYTES (128 * 1024) /* in one page; then it ends early */
#define PIM_ROW_BYTES 300           /* of a row beside its body, when it is written out */

/* Rows copied out of the store. Owned by whoever owns the struct. */
struct pim_rows {
    struct pim_row *rows; /* bodies are set by pim_rows_seal */
    uint32_t n, cap;
    size_t body_bytes, body_cap;
    char *bodies;
    int64_t reader_id;
    size_t max_bytes; /* 0: PIM_ROWS_BYTES */
};

/** A pim_msg_fn: copies a row as the reader may see it (ctx is a struct pim_rows). */
int32_t pim_rows_take(void *ctx, uint32_t item, const struct pim_msg *msg);
/** All rows are there: set their bodies. */
void pim_rows_seal(struct pim_rows *rows);
void pim_rows_fini(struct pim_rows *rows);

#endif
