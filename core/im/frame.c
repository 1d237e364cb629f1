#include "im/frame.h"

#include <stdlib.h>

void
pim_frame_unref(struct pim_frame **framep)
{
    struct pim_frame *frame = *framep;

    *framep = NULL;
    if (frame != NULL && atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1)
        free(frame);
}
