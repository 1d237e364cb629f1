#include "util/siphash.h"

#include <string.h>

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void
round1(struct pim_siphash *h)
{
    h->v0 += h->v1, h->v1 = ROTL(h->v1, 13), h->v1 ^= h->v0, h->v0 = ROTL(h->v0, 32);
    h->v2 += h->v3, h->v3 = ROTL(h->v3, 16), h->v3 ^= h->v2;
    h->v0 += h->v3, h->v3 = ROTL(h->v3, 21), h->v3 ^= h->v0;
    h->v2 += h->v1, h->v1 = ROTL(h->v1, 17), h->v1 ^= h->v2, h->v2 = ROTL(h->v2, 32);
}

static inline void
word(struct pim_siphash *h, uint64_t m)
{
    h->v3 ^= m;
    round1(h);
    round1(h);
    h->v0 ^= m;
}

static uint64_t
load_le(const uint8_t *src)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)src[i] << (8 * i);
    return v;
}

void
pim_siphash_init(struct pim_siphash *h, const uint8_t key[16])
{
    uint64_t k0 = load_le(key), k1 = load_le(key + 8);

    h->v0 = 0x736f6d6570736575ull ^ k0;
    h->v1 = 0x646f72616e646f6dull ^ k1;
    h->v2 = 0x6c7967656e657261ull ^ k0;
    h->v3 = 0x7465646279746573ull ^ k1;
    h->tail = 0;
    h->total = 0;
}

void
pim_siphash_add(struct pim_siphash *h, const void *src, size_t src_len)
{
    const uint8_t *at = src, *end = at + src_len;

    while (at < end && (h->total & 7) != 0) {
        h->tail |= (uint64_t)*at++ << (8 * (h->total & 7));
        if ((++h->total & 7) == 0) {
            word(h, h->tail);
            h->tail = 0;
        }
    }
    for (; end - at >= 8; at += 8, h->total += 8)
        word(h, load_le(at));
    while (at < end) {
        h->tail |= (uint64_t)*at++ << (8 * (h->total & 7));
        h->total++;
    }
}

uint64_t
pim_siphash_end(struct pim_siphash *h)
{
    word(h, h->tail | (h->total << 56));
    h->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        round1(h);
    return h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
}

uint64_t
pim_siphash(const uint8_t key[16], const void *src, size_t src_len)
{
    struct pim_siphash h;

    pim_siphash_init(&h, key);
    pim_siphash_add(&h, src, src_len);
    return pim_siphash_end(&h);
}
