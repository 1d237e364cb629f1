#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/siphash.h"

#include <string.h>

/* The first 16 of the reference vectors_sip64: key 00..0f, input 00, 01, ... of growing length. */
static const uint64_t vectors[] = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
    0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
};

static void
the_reference_vectors(void **state)
{
    uint8_t key[16], input[64];

    (void)state;
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (int i = 0; i < 64; i++)
        input[i] = (uint8_t)i;
    for (size_t len = 0; len < sizeof vectors / sizeof vectors[0]; len++)
        assert_true(pim_siphash(key, input, len) == vectors[len]);
}

static void
pieces_are_the_whole(void **state)
{
    uint8_t key[16] = {9, 8, 7}, input[61];

    (void)state;
    memset(input, 0xa5, sizeof input);
    input[17] = 1;
    for (size_t first = 0; first <= sizeof input; first++) {
        for (size_t second = first; second <= sizeof input; second++) {
            struct pim_siphash hash;

            pim_siphash_init(&hash, key);
            pim_siphash_add(&hash, input, first);
            pim_siphash_add(&hash, input + first, second - first);
            pim_siphash_add(&hash, input + second, sizeof input - second);
            assert_true(pim_siphash_end(&hash) == pim_siphash(key, input, sizeof input));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_vectors),
        cmocka_unit_test(pieces_are_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
