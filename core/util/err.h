/* util/err.h - results: 0 done, above 0 an answer, below 0 a failure whose text is in struct pim_err. */
#ifndef PIM_UTIL_ERR_H
#define PIM_UTIL_ERR_H
#include <privateim/types.h>

#define PIM_MUST_CHECK __attribute__((warn_unused_result))
#define PIM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PIM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Fresh error to pass down; the size field tells plugins what fits. */
#define PIM_ERR_INIT ((struct pim_err){.struct_size = sizeof(struct pim_err)})

/**
 * Write a failure into the caller's error.
 *
 * @param err   may be NULL: nothing is written
 * @param code  PIM_ERR_*
 * @return code, so that callers can write `return pim_err_set(...)`
 *
 * Threads: any.
 */
int pim_err_set(struct pim_err *err, int code, const char *fmt, ...) PIM_PRINTF(3, 4);

/** The result's name without its prefix, e.g. "TIMEOUT"; static storage. Any thread. */
const char *pim_err_name(int code);

#endif
