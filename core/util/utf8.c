#include "util/utf8.h"

#include <string.h>

bool
pim_utf8_feed(struct pim_utf8 *state, const void *src, size_t src_len)
{
    const uint8_t *at = src, *end = at + src_len;
    struct pim_utf8 s = *state;

    while (at < end) {
        uint8_t c;

        if (s.need == 0) {
            uint64_t word;

            /* most text is ASCII: eight bytes at a time */
            while (end - at >= 8) {
                memcpy(&word, at, 8);
                if (word & 0x8080808080808080ull)
                    break;
                at += 8;
            }
            if (at == end)
                break;
            c = *at++;
            if (c < 0x80)
                continue;
            s.low = 0x80;
            s.high = 0xbf;
            if (c >= 0xc2 && c <= 0xdf) {
                s.need = 1;
            } else if (c >= 0xe0 && c <= 0xef) {
                s.need = 2;
                if (c == 0xe0)
                    s.low = 0xa0;
                else if (c == 0xed)
                    s.high = 0x9f;
            } else if (c >= 0xf0 && c <= 0xf4) {
                s.need = 3;
                if (c == 0xf0)
                    s.low = 0x90;
                else if (c == 0xf4)
                    s.high = 0x8f;
            } else {
                return false;
            }
        } else {
            c = *at++;
            if (c < s.low || c > s.high)
                return false;
            s.low = 0x80;
            s.high = 0xbf;
            s.need--;
        }
    }
    *state = s;
    return true;
}

bool
pim_utf8_valid(const void *src, size_t src_len)
{
    struct pim_utf8 state = {0};

    return pim_utf8_feed(&state, src, src_len) && state.need == 0;
}

size_t
pim_utf8_chars(const char *text, size_t text_len)
{
    size_t n = 0;

    for (size_t i = 0; i < text_len; i++)
        n += ((uint8_t)text[i] & 0xc0) != 0x80;
    return n;
}

bool
pim_utf8_is_line(const char *text, size_t text_len)
{
    if (!pim_utf8_valid(text, text_len))
        return false;
    for (size_t i = 0; i < text_len; i++) {
        uint8_t c = (uint8_t)text[i];
        uint8_t d = i + 1 < text_len ? (uint8_t)text[i + 1] : 0;
        uint8_t e = i + 2 < text_len ? (uint8_t)text[i + 2] : 0;

        if (c < 0x20 || c == 0x7f || (c == 0xc2 && d < 0xa0))
            return false;
        /* U+202A..202E, U+2066..2069: text that shows in another order than it stands */
        if (c == 0xe2 && ((d == 0x80 && e >= 0xaa && e <= 0xae) || (d == 0x81 && e >= 0xa6 && e <= 0xa9)))
            return false;
    }
    return true;
}
