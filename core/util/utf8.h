/* util/utf8.h - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Any thread. */
#ifndef PIM_UTIL_UTF8_H
#define PIM_UTIL_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** State between pieces of a text; begin with zero. 0 again = at a character's end. */
struct pim_utf8 {
    uint8_t need;     /* bytes of the character still to come */
    uint8_t low, high; /* bounds of the next byte */
};

/** Feed a piece. @return false at the first byte that no valid text can have there. */
bool pim_utf8_feed(struct pim_utf8 *state, const void *src, size_t src_len);
/** Is a whole text valid? */
bool pim_utf8_valid(const void *src, size_t src_len);
/** Characters (code points) in valid text. */
size_t pim_utf8_chars(const char *text, size_t text_len);
/** Valid, without control characters (C0, DEL, C1) and without bidi overrides: fit for names. */
bool pim_utf8_is_line(const char *text, size_t text_len);

#endif
