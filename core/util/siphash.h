/* util/siphash.h - SipHash-2-4, a keyed hash: seeds our tables and fingerprints message bodies.
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012. Any thread. */
#ifndef PIM_UTIL_SIPHASH_H
#define PIM_UTIL_SIPHASH_H
#include <stddef.h>
#include <stdint.h>

struct pim_siphash {
    uint64_t v0, v1, v2, v3, tail;
    uint64_t total;
};

void pim_siphash_init(struct pim_siphash *h, const uint8_t key[16]);
void pim_siphash_add(struct pim_siphash *h, const void *src, size_t src_len);
uint64_t pim_siphash_end(struct pim_siphash *h);
/** All three in one call. */
uint64_t pim_siphash(const uint8_t key[16], const void *src, size_t src_len);

#endif
