/* im/frame.h - an encoded, counted, immutable frame: made once however many receive it. Any thread. */
#ifndef PIM_IM_FRAME_H
#define PIM_IM_FRAME_H
#include <stdatomic.h>
#include <stdint.h>

struct pim_frame {
    _Atomic uint32_t refs;
    uint32_t len;
    uint8_t data[]; /* as it goes on the wire */
};

static inline struct pim_frame *
pim_frame_ref(struct pim_frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}
/** Give one reference back; *frame becomes NULL. NULL is fine. */
void pim_frame_unref(struct pim_frame **frame);

#endif
