/* data/clock_guard.h - is the wall clock fit to number messages by? storage-abi.md 3.3. */
#ifndef PIM_DATA_CLOCK_GUARD_H
#define PIM_DATA_CLOCK_GUARD_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PIM_CLOCK_OFF_MS 30000    /* so far it may be from the engine's, or jump */
#define PIM_CLOCK_BEHIND_MS 60000 /* so far it may be behind the newest message at start */

struct pim_clock_guard {
    int64_t base_ms;            /* wall minus boot clock when it was made */
    _Atomic int64_t engine_off_ms; /* wall minus the engine's clock, when it was asked last */
    atomic_bool has_engine;     /* the engine has a clock: then that one is the measure */
};

void pim_clock_guard_init(struct pim_clock_guard *guard, int64_t wall_ms, int64_t boot_ms);
/** The engine said engine_ms (0: it has no clock) when ours said wall_ms. Any thread. */
void pim_clock_guard_engine(struct pim_clock_guard *guard, int64_t wall_ms, int64_t engine_ms);
/** Any thread. */
bool pim_clock_guard_is_good(const struct pim_clock_guard *guard, int64_t wall_ms, int64_t boot_ms);

#endif
