#include "util/id.h"

#include "util/clock.h"
#include "util/rand.h"

#include <stdatomic.h>
#include <string.h>

#define EPOCH_2024_MS 1704067200000ll

static _Atomic uint32_t node_number;
static _Atomic int64_t last_tick; /* milliseconds since 2024 << 6 | counter */

void
pim_id_node_set(uint32_t node)
{
    atomic_store(&node_number, node & 63);
}

int64_t
pim_id_make(void)
{
    int64_t now = (pim_clock_wall_ms() - EPOCH_2024_MS) << 6;
    int64_t last = atomic_load_explicit(&last_tick, memory_order_relaxed), next;

    do {
        next = now > last ? now : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last_tick, &last, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (next >> 6) << 12 | (int64_t)atomic_load_explicit(&node_number, memory_order_relaxed) << 6 |
           (next & 63);
}

void
pim_uuid7_make(uint8_t out_uuid[16], int64_t wall_ms)
{
    /* 12 bits after the time count up within a millisecond; a full count borrows from the next one. */
    static _Atomic int64_t last_count;
    static _Thread_local uint64_t pool[32];
    static _Thread_local size_t pool_left;
    int64_t want = wall_ms << 12, last = atomic_load_explicit(&last_count, memory_order_relaxed), next, ms;

    do {
        next = want > last ? want : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last_count, &last, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    ms = next >> 12;
    for (int i = 0; i < 6; i++)
        out_uuid[i] = (uint8_t)(ms >> (40 - 8 * i));
    out_uuid[6] = (uint8_t)(0x70 | ((next >> 8) & 15));
    out_uuid[7] = (uint8_t)next;
    if (pool_left == 0) {
        pim_rand_bytes(pool, sizeof pool);
        pool_left = sizeof pool / sizeof pool[0];
    }
    memcpy(out_uuid + 8, &pool[--pool_left], 8);
    out_uuid[8] = (uint8_t)(0x80 | (out_uuid[8] & 0x3f));
}

int64_t
pim_uuid7_ms(const uint8_t uuid[16])
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid[i];
    return ms;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
pim_uuid7_parse(const char *text, size_t text_len, uint8_t out_uuid[16])
{
    size_t at = 0;

    if (text_len != 36)
        return false;
    for (size_t i = 0; i < 16; i++) {
        int hi, lo;

        if (at == 8 || at == 13 || at == 18 || at == 23) {
            if (text[at++] != '-')
                return false;
        }
        hi = hex_value(text[at]);
        lo = hex_value(text[at + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out_uuid[i] = (uint8_t)(hi << 4 | lo);
        at += 2;
    }
    return (out_uuid[6] >> 4) == 7 && (out_uuid[8] >> 6) == 2;
}

void
pim_uuid_format(char dst[37], const uint8_t uuid[16])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            dst[at++] = '-';
        dst[at++] = hex[uuid[i] >> 4];
        dst[at++] = hex[uuid[i] & 15];
    }
    dst[at] = '\0';
}
