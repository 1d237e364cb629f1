/* util/rand.h - random bytes from the kernel. Any thread. */
#ifndef PIM_UTIL_RAND_H
#define PIM_UTIL_RAND_H
#include <stddef.h>
#include <stdint.h>

/** Fill dst; never fails (stops the process if the kernel has no randomness). Source: getrandom(2). */
void pim_rand_bytes(void *dst, size_t dst_len);
/** A number in 0 .. below - 1; below > 0. */
uint32_t pim_rand_below(uint32_t below);
/** Random bytes as lower-case hex; dst holds 2 * n_bytes + 1. */
void pim_rand_hex(char *dst, size_t n_bytes);

#endif
