#include "util/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
pim_clock_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
pim_clock_mono_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
pim_clock_mono_ms(void)
{
    return pim_clock_mono_us() / 1000;
}

int64_t
pim_clock_boot_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int32_t
pim_clock_day(int64_t wall_ms)
{
    /* localtime_r takes a lock and reads the zone: remember the hour it answered for. */
    static _Thread_local int64_t hour = -1;
    static _Thread_local int32_t day;
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (wall_ms / 900000 == hour) /* zones are offset by quarters of an hour */
        return day;
    localtime_r(&s, &tm);
    day = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
    hour = wall_ms / 900000;
    return day;
}

void
pim_clock_rfc3339(char dst[32], int64_t wall_ms)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(dst, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
