#include "util/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void
pim_rand_bytes(void *dst, size_t dst_len)
{
    unsigned char *at = dst;

    while (dst_len > 0) {
        ssize_t n = getrandom(at, dst_len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fputs("privateim: getrandom failed\n", stderr);
            abort();
        }
        at += n;
        dst_len -= (size_t)n;
    }
}

uint32_t
pim_rand_below(uint32_t below)
{
    uint64_t r;

    pim_rand_bytes(&r, sizeof r);
    return (uint32_t)(r % below); /* 64 bits over 32: the bias cannot be seen */
}

void
pim_rand_hex(char *dst, size_t n_bytes)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < n_bytes; i++) {
        unsigned char b;

        pim_rand_bytes(&b, 1);
        dst[2 * i] = hex[b >> 4];
        dst[2 * i + 1] = hex[b & 15];
    }
    dst[2 * n_bytes] = '\0';
}
