#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "im/batch.h"

#include <string.h>

/* Entries of many sizes come out as they went in, also when the batch has grown under them. */
static void
what_goes_in_comes_out(void **state)
{
    struct pim_batch *batch = pim_batch_new();
    struct pim_entry *entry;
    size_t at = 0;
    uint32_t i = 0;

    (void)state;
    assert_int_equal(batch->mail.kind, PIM_MAIL_BATCH);
    assert_null(pim_batch_next(batch, &at));
    for (i = 0; i < 500; i++) {
        uint32_t n_refs = i % 4, body_len = i * 7 % 101;

        entry = pim_batch_add(batch, PIM_ENTRY_ROW, n_refs, body_len);
        assert_int_equal((uintptr_t)entry % 8, 0);
        assert_true(entry->row.seq == 0 && entry->row.body_len == 0);
        for (uint32_t k = 0; k < n_refs; k++)
            entry->refs[k] = (struct pim_peer_ref){i, k};
        memset(pim_entry_body(entry), (int)(i & 127), body_len);
        entry->row.seq = i;
        entry->row.body_len = body_len;
    }
    at = 0;
    for (i = 0; (entry = pim_batch_next(batch, &at)) != NULL; i++) {
        assert_int_equal(entry->kind, PIM_ENTRY_ROW);
        assert_int_equal(entry->n_refs, i % 4);
        assert_int_equal(entry->row.seq, i);
        assert_ptr_equal(entry->row.body, pim_entry_body(entry));
        for (uint32_t k = 0; k < entry->n_refs; k++)
            assert_true(entry->refs[k].slot == i && entry->refs[k].gen == k);
        for (uint32_t k = 0; k < entry->row.body_len; k++)
            assert_int_equal(entry->row.body[k], i & 127);
    }
    assert_int_equal(i, 500);
    pim_batch_free(&batch);
    assert_null(batch);
}

static void
names_of_conversations(void **state)
{
    static const char *const good[] = {"u:1:2", "u:5:5", "u:0:9223372036854775807", "g:7", "e:1", "s:44"};
    static const char *const bad[] = {"",      "u",      "u:",    "u:1",     "u:2:1", "u:1:2:3", "u:1:2 ", " u:1:2", "g:",
                                      "g:-1",  "g:+1",   "g:01",  "g:1:2",   "x:1",   "g;1",     "u:1:02", "u::2",   "g:1a",
                                      "g:99999999999999999999", "g:9223372036854775808"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct pim_conv conv;
        char name[48];

        if (!pim_conv_parse(good[i], strlen(good[i]), &conv))
            fail_msg("%s is refused", good[i]);
        assert_int_equal(pim_conv_format(name, &conv), strlen(good[i]));
        assert_string_equal(name, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pim_conv conv;

        if (pim_conv_parse(bad[i], strlen(bad[i]), &conv))
            fail_msg("%s is taken", bad[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(names_of_conversations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
