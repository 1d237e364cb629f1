/* util/buf.h - a growing byte buffer that cannot be made without its largest size.
 * Owned by whoever owns the struct; not locked. */
#ifndef PIM_UTIL_BUF_H
#define PIM_UTIL_BUF_H
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pim_buf {
    char *data;       /* NULL until the first byte; not NUL terminated, see pim_buf_cstr */
    size_t len;
    size_t cap;
    size_t max_bytes; /* len never passes it */
    bool overflow;    /* an add was refused; nothing of it was written */
};

/** Begin empty with a hard limit. */
void pim_buf_init(struct pim_buf *buf, size_t max_bytes);
/** Free the bytes; the struct can be used again and keeps its limit. */
void pim_buf_fini(struct pim_buf *buf);
/** Make room for more_bytes after len. PIM_OK or PIM_ERR_TOO_LARGE (then overflow is set). */
int pim_buf_reserve(struct pim_buf *buf, size_t more_bytes);
/** Append bytes, all or nothing. PIM_OK or PIM_ERR_TOO_LARGE. */
int pim_buf_add(struct pim_buf *buf, const void *src, size_t src_len);
/** Append a C string. */
int pim_buf_adds(struct pim_buf *buf, const char *text);
/** Append one byte. */
int pim_buf_addc(struct pim_buf *buf, char byte);
/** Append a decimal number. */
int pim_buf_add_int(struct pim_buf *buf, int64_t value);
/** Append formatted text. */
int pim_buf_addf(struct pim_buf *buf, const char *fmt, ...) PIM_PRINTF(2, 3);
/** Append text as a JSON string with its quotes (RFC 8259 section 7); text must be valid UTF-8. */
int pim_buf_add_json(struct pim_buf *buf, const char *text, size_t text_len);
/** Drop bytes from the front. */
void pim_buf_consume(struct pim_buf *buf, size_t front_bytes);
/** Empty, memory kept. */
void pim_buf_clear(struct pim_buf *buf);
/** The bytes as a C string; valid until the next add. */
const char *pim_buf_cstr(struct pim_buf *buf);
/** Write value in decimal; dst holds at least 20 bytes. @return bytes written, no NUL. */
size_t pim_int_format(char *dst, int64_t value);

#endif
