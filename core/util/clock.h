/* util/clock.h - the two clocks. Any thread. */
#ifndef PIM_UTIL_CLOCK_H
#define PIM_UTIL_CLOCK_H
#include <stdint.h>

/** Wall clock, milliseconds since 1970 (what messages carry; it may jump). */
int64_t pim_clock_wall_ms(void);
/** Monotonic clock in milliseconds (what deadlines and timers use). */
int64_t pim_clock_mono_ms(void);
/** The clock that no one sets and that goes on while the machine sleeps, milliseconds: what the wall clock is watched against. */
int64_t pim_clock_boot_ms(void);
/** Monotonic clock in microseconds, for measuring. */
int64_t pim_clock_mono_us(void);
/** yyyymmdd of a wall time in the server's local zone. */
int32_t pim_clock_day(int64_t wall_ms);
/** RFC 3339 in UTC with seconds, e.g. 2026-01-31T10:00:00Z; dst holds 32 bytes. */
void pim_clock_rfc3339(char dst[32], int64_t wall_ms);

#endif
