/* im/claim.h - a client says how far it has received or read. Believed only after a look at the log: a number that is not there
 * moves nothing, so no peer can make marks of conversations that do not exist. */
#ifndef PIM_IM_CLAIM_H
#define PIM_IM_CLAIM_H
#include "im/presence.h"
#include "im/types.h"

struct pim_im;

struct pim_claim {
    int64_t user_id;
    char device[64]; /* of a delivered mark */
    struct pim_conv conv;
    int64_t seq;
    bool is_read;         /* else delivered */
    struct pim_peer from; /* the connection; the user's others are told of a read mark */
};

/** Look at claims and raise the marks. claims is taken over (freed). The caller has checked that the conversations are the user's.
 *  Any thread; does not block. */
void pim_im_claim(struct pim_im *im, struct pim_claim *claims, uint32_t n);

#endif
