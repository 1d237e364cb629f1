#include "data/clock_guard.h"

void
pim_clock_guard_init(struct pim_clock_guard *guard, int64_t wall_ms, int64_t boot_ms)
{
    guard->base_ms = wall_ms - boot_ms;
    atomic_store(&guard->engine_off_ms, 0);
    atomic_store(&guard->has_engine, false);
}

void
pim_clock_guard_engine(struct pim_clock_guard *guard, int64_t wall_ms, int64_t engine_ms)
{
    if (engine_ms == 0)
        return;
    atomic_store_explicit(&guard->engine_off_ms, wall_ms - engine_ms, memory_order_relaxed);
    atomic_store_explicit(&guard->has_engine, true, memory_order_relaxed);
}

static bool
is_near(int64_t off_ms)
{
    return off_ms > -PIM_CLOCK_OFF_MS && off_ms < PIM_CLOCK_OFF_MS;
}

bool
pim_clock_guard_is_good(const struct pim_clock_guard *guard, int64_t wall_ms, int64_t boot_ms)
{
    if (atomic_load_explicit(&guard->has_engine, memory_order_relaxed))
        return is_near(atomic_load_explicit(&guard->engine_off_ms, memory_order_relaxed));
    return is_near(wall_ms - boot_ms - guard->base_ms);
}
