#include "ws/frame.h"

#include <string.h>

int
pim_ws_frame_decode(const uint8_t *src, size_t src_len, uint64_t max_payload_bytes, struct pim_ws_frame_hdr *out_hdr)
{
    struct pim_ws_frame_hdr hdr;
    size_t at = 2;
    bool control;

    if (src_len < 1)
        return PIM_AGAIN;
    hdr.fin = (src[0] & 0x80) != 0;
    hdr.opcode = src[0] & 0x0f;
    control = (hdr.opcode & 8) != 0;
    if ((src[0] & 0x70) != 0) /* reserved bits: no extension was negotiated */
        return PIM_ERR_PROTOCOL;
    if ((hdr.opcode > PIM_WS_OP_BINARY && hdr.opcode < PIM_WS_OP_CLOSE) || hdr.opcode > PIM_WS_OP_PONG)
        return PIM_ERR_PROTOCOL;
    if (control && !hdr.fin)
        return PIM_ERR_PROTOCOL;
    if (src_len < 2)
        return PIM_AGAIN;
    if ((src[1] & 0x80) == 0) /* a client must mask */
        return PIM_ERR_PROTOCOL;
    hdr.payload_bytes = src[1] & 0x7f;
    if (control && hdr.payload_bytes > 125)
        return PIM_ERR_PROTOCOL;
    if (hdr.payload_bytes == 126) {
        if (src_len < 4)
            return PIM_AGAIN;
        hdr.payload_bytes = (uint64_t)src[2] << 8 | src[3];
        if (hdr.payload_bytes < 126)
            return PIM_ERR_PROTOCOL;
        at = 4;
    } else if (hdr.payload_bytes == 127) {
        if (src_len < 10)
            return PIM_AGAIN;
        hdr.payload_bytes = 0;
        for (int i = 2; i < 10; i++)
            hdr.payload_bytes = hdr.payload_bytes << 8 | src[i];
        if (hdr.payload_bytes < 65536 || (hdr.payload_bytes >> 63) != 0)
            return PIM_ERR_PROTOCOL;
        at = 10;
    }
    if (hdr.payload_bytes > max_payload_bytes)
        return PIM_ERR_TOO_LARGE;
    if (src_len < at + 4)
        return PIM_AGAIN;
    memcpy(hdr.mask, src + at, 4);
    hdr.hdr_bytes = (uint8_t)(at + 4);
    *out_hdr = hdr;
    return PIM_OK;
}

void
pim_ws_unmask(uint8_t *payload, size_t len, const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[4];
    uint64_t wide;
    size_t i = 0;

    for (int k = 0; k < 4; k++)
        turned[k] = mask[(at + (uint64_t)k) & 3];
    memcpy(&wide, turned, 4);
    memcpy((uint8_t *)&wide + 4, turned, 4);
    for (; i + 8 <= len; i += 8) {
        uint64_t word;

        memcpy(&word, payload + i, 8);
        word ^= wide;
        memcpy(payload + i, &word, 8);
    }
    for (; i < len; i++)
        payload[i] ^= turned[i & 3];
}

size_t
pim_ws_frame_encode(uint8_t *dst, enum pim_ws_op opcode, uint64_t payload_bytes)
{
    dst[0] = (uint8_t)(0x80 | opcode);
    if (payload_bytes < 126) {
        dst[1] = (uint8_t)payload_bytes;
        return 2;
    }
    if (payload_bytes < 65536) {
        dst[1] = 126;
        dst[2] = (uint8_t)(payload_bytes >> 8);
        dst[3] = (uint8_t)payload_bytes;
        return 4;
    }
    dst[1] = 127;
    for (int i = 0; i < 8; i++)
        dst[2 + i] = (uint8_t)(payload_bytes >> (56 - 8 * i));
    return 10;
}

bool
pim_ws_close_code_is_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
