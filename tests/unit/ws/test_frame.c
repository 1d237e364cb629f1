#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/frame.h"

#include <stdlib.h>
#include <string.h>

#define MAX 100000u
#define KEY "\x37\xfa\x21\x3d"

struct header {
    int rc;
    const char *bytes;
    size_t len;
    uint8_t opcode;
    bool fin;
    uint64_t payload;
};

#define BAD(rc, bytes) {rc, bytes, sizeof bytes - 1, 0, false, 0}
#define GOOD(bytes, opcode, fin, payload) {PIM_OK, bytes, sizeof bytes - 1, opcode, fin, payload}

static const struct header headers[] = {
    GOOD("\x81\x80" KEY, PIM_WS_OP_TEXT, true, 0),
    GOOD("\x81\x85" KEY, PIM_WS_OP_TEXT, true, 5),
    GOOD("\x01\x83" KEY, PIM_WS_OP_TEXT, false, 3),
    GOOD("\x80\x82" KEY, PIM_WS_OP_CONT, true, 2),
    GOOD("\x00\x82" KEY, PIM_WS_OP_CONT, false, 2),
    GOOD("\x82\xfd" KEY, PIM_WS_OP_BINARY, true, 125),
    GOOD("\x82\xfe\x00\x7e" KEY, PIM_WS_OP_BINARY, true, 126),
    GOOD("\x82\xfe\xff\xff" KEY, PIM_WS_OP_BINARY, true, 65535),
    GOOD("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" KEY, PIM_WS_OP_BINARY, true, 65536),
    GOOD("\x82\xff\x00\x00\x00\x00\x00\x01\x86\xa0" KEY, PIM_WS_OP_BINARY, true, MAX),
    GOOD("\x88\x82" KEY, PIM_WS_OP_CLOSE, true, 2),
    GOOD("\x89\xfd" KEY, PIM_WS_OP_PING, true, 125),
    GOOD("\x8a\x80" KEY, PIM_WS_OP_PONG, true, 0),
    BAD(PIM_ERR_TOO_LARGE, "\x82\xff\x00\x00\x00\x00\x00\x01\x86\xa1"),
    BAD(PIM_ERR_TOO_LARGE, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
    BAD(PIM_ERR_PROTOCOL, "\xc1"), /* reserved bits */
    BAD(PIM_ERR_PROTOCOL, "\xa1"),
    BAD(PIM_ERR_PROTOCOL, "\x91"),
    BAD(PIM_ERR_PROTOCOL, "\x83"), /* reserved opcodes */
    BAD(PIM_ERR_PROTOCOL, "\x87"),
    BAD(PIM_ERR_PROTOCOL, "\x8b"),
    BAD(PIM_ERR_PROTOCOL, "\x8f"),
    BAD(PIM_ERR_PROTOCOL, "\x08"), /* control in pieces */
    BAD(PIM_ERR_PROTOCOL, "\x09"),
    BAD(PIM_ERR_PROTOCOL, "\x81\x05"), /* no mask */
    BAD(PIM_ERR_PROTOCOL, "\x81\x00"),
    BAD(PIM_ERR_PROTOCOL, "\x89\xfe"), /* control over 125 */
    BAD(PIM_ERR_PROTOCOL, "\x88\xff"),
    BAD(PIM_ERR_PROTOCOL, "\x82\xfe\x00\x7d"), /* longer than needed */
    BAD(PIM_ERR_PROTOCOL, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"),
    BAD(PIM_ERR_PROTOCOL, "\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00"), /* 63 bits at most */
};

/* From a block of exactly len bytes. */
static int
decode(const char *bytes, size_t len, struct pim_ws_frame_hdr *out)
{
    uint8_t *src = malloc(len + (len == 0));
    int rc;

    memcpy(src, bytes, len);
    rc = pim_ws_frame_decode(src, len, MAX, out);
    free(src);
    return rc;
}

static void
every_header_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(headers); i++) {
        const struct header *want = &headers[i];
        struct pim_ws_frame_hdr hdr;
        int rc = decode(want->bytes, want->len, &hdr);

        if (rc != want->rc)
            fail_msg("header %zu: %s", i, pim_err_name(rc));
        if (rc == PIM_OK && (hdr.opcode != want->opcode || hdr.fin != want->fin || hdr.payload_bytes != want->payload ||
                             hdr.hdr_bytes != want->len || memcmp(hdr.mask, KEY, 4) != 0))
            fail_msg("header %zu is read wrong", i);
    }
}

static void
a_part_of_a_header_waits_and_touches_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIM_COUNT(headers); i++) {
        for (size_t len = 0; headers[i].rc == PIM_OK && len < headers[i].len; len++) {
            struct pim_ws_frame_hdr hdr, before;

            memset(&hdr, 0x5a, sizeof hdr);
            before = hdr;
            if (decode(headers[i].bytes, len, &hdr) != PIM_AGAIN || memcmp(&hdr, &before, sizeof hdr) != 0)
                fail_msg("header %zu cut at %zu", i, len);
        }
    }
}

static void
unmasking_goes_on_where_it_stopped(void **state)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

    (void)state;
    for (size_t first = 0; first < 40; first++) {
        for (size_t offset = 0; offset < 9; offset++) { /* any alignment */
            uint8_t bytes[64];

            for (size_t i = 0; i < 40; i++)
                bytes[offset + i] = (uint8_t)(i * 7) ^ mask[i % 4];
            pim_ws_unmask(bytes + offset, first, mask, 0);
            pim_ws_unmask(bytes + offset + first, 40 - first, mask, first);
            for (size_t i = 0; i < 40; i++)
                assert_int_equal(bytes[offset + i], (uint8_t)(i * 7));
        }
    }
}

static void
the_example_of_the_rfc(void **state)
{
    uint8_t hello[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58}; /* RFC 6455 5.7 */

    (void)state;
    pim_ws_unmask(hello, sizeof hello, (const uint8_t *)KEY, 0);
    assert_memory_equal(hello, "Hello", 5);
}

static void
our_headers_are_the_shortest(void **state)
{
    static const struct {
        uint64_t len;
        const char *bytes;
        size_t n;
    } want[] = {{0, "\x81\x00", 2},
                {125, "\x81\x7d", 2},
                {126, "\x81\x7e\x00\x7e", 4},
                {65535, "\x81\x7e\xff\xff", 4},
                {65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10},
                {0x123456789aull, "\x81\x7f\x00\x00\x00\x12\x34\x56\x78\x9a", 10}};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(want); i++) {
        uint8_t bytes[10];

        assert_int_equal(pim_ws_frame_encode(bytes, PIM_WS_OP_TEXT, want[i].len), want[i].n);
        assert_memory_equal(bytes, want[i].bytes, want[i].n);
    }
}

static void
close_codes(void **state)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                                    4999};
    static const unsigned bad[] = {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(good); i++)
        assert_true(pim_ws_close_code_is_valid(good[i]));
    for (size_t i = 0; i < PIM_COUNT(bad); i++)
        assert_false(pim_ws_close_code_is_valid(bad[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_header_gets_its_verdict),
        cmocka_unit_test(a_part_of_a_header_waits_and_touches_nothing),
        cmocka_unit_test(unmasking_goes_on_where_it_stopped),
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(our_headers_are_the_shortest),
        cmocka_unit_test(close_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
