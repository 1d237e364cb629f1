/* util/mem.h - small allocations of our own do not fail: the process stops and its supervisor restarts it.
 * What a peer can make larger belongs into a struct pim_buf with a limit. Any thread. */
#ifndef PIM_UTIL_MEM_H
#define PIM_UTIL_MEM_H
#include <stddef.h>
#include <stdlib.h>

/** Zeroed memory, free() it. Never NULL. */
void *pim_new0(size_t size_bytes) __attribute__((malloc, returns_nonnull));
/** Memory as it comes, free() it. Never NULL. */
void *pim_new(size_t size_bytes) __attribute__((malloc, returns_nonnull));
/** realloc() of count items; stops the process on overflow or when out of memory. */
void *pim_renew(void *old, size_t count, size_t item_bytes) __attribute__((returns_nonnull));
/** A copy of text_len bytes with a NUL byte after them, free() it. */
char *pim_strndup(const char *text, size_t text_len) __attribute__((malloc, returns_nonnull));
/** A copy of a C string, free() it. */
char *pim_strdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif
