#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/id.h"

#include "util/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define EACH 20000

static int64_t made[THREADS][EACH];

static void *
make_many(void *arg)
{
    int64_t *ids = arg;

    for (int i = 0; i < EACH; i++)
        ids[i] = pim_id_make();
    return NULL;
}

static int
compare(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

    return a < b ? -1 : a > b;
}

static void
ids_are_unique_rise_and_stay_exact(void **state)
{
    pthread_t threads[THREADS];
    int64_t *all = &made[0][0];

    (void)state;
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, make_many, made[t]), 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int t = 0; t < THREADS; t++)
        for (int i = 1; i < EACH; i++)
            assert_true(made[t][i] > made[t][i - 1]);
    qsort(all, (size_t)THREADS * EACH, sizeof *all, compare);
    for (int i = 1; i < THREADS * EACH; i++)
        assert_true(all[i] != all[i - 1]);
    assert_true(all[0] > 0 && all[THREADS * EACH - 1] < (1ll << 53));
}

static void
the_node_stands_in_the_id(void **state)
{
    (void)state;
    pim_id_node_set(37);
    assert_int_equal(pim_id_make() >> 6 & 63, 37);
    pim_id_node_set(0);
    assert_int_equal(pim_id_make() >> 6 & 63, 0);
}

static void
uuids_rise_and_carry_their_time(void **state)
{
    uint8_t last[16] = {0}, uuid[16];
    int64_t now_ms = pim_clock_wall_ms();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        pim_uuid7_make(uuid, now_ms - i % 3); /* the clock steps back now and then */
        assert_true(memcmp(uuid, last, 16) > 0);
        assert_int_equal(uuid[6] >> 4, 7);
        assert_int_equal(uuid[8] >> 6, 2);
        assert_true(pim_uuid7_ms(uuid) >= now_ms - 2 && pim_uuid7_ms(uuid) <= now_ms + 10);
        memcpy(last, uuid, 16);
    }
}

static void
uuids_as_text(void **state)
{
    static const char good[] = "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4a";
    static const char *const bad[] = {
        "019378a0-5c3e-4b1a-8000-3f0e5d1c2b4a", "019378a0-5c3e-7b1a-0000-3f0e5d1c2b4a",
        "019378a0-5c3e-7b1a-c000-3f0e5d1c2b4a", "019378a05-c3e-7b1a-8000-3f0e5d1c2b4a",
        "019378a0-5c3e-7b1a-8000_3f0e5d1c2b4a", "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4g",
        "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4",  "019378a0-5c3e-7b1a-8000-3f0e5d1c2b4aa",
        "{019378a0-5c3e-7b1a-8000-3f0e5d1c2b4}", "",
    };
    uint8_t uuid[16];
    char text[37];

    (void)state;
    assert_true(pim_uuid7_parse(good, 36, uuid));
    assert_true(pim_uuid7_ms(uuid) == 0x019378a05c3e);
    pim_uuid_format(text, uuid);
    assert_string_equal(text, good);
    assert_true(pim_uuid7_parse("019378A0-5C3E-7B1A-8000-3F0E5D1C2B4A", 36, uuid));
    pim_uuid_format(text, uuid);
    assert_string_equal(text, good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pim_uuid7_parse(bad[i], strlen(bad[i]), uuid))
            fail_msg("%s is taken", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_unique_rise_and_stay_exact),
        cmocka_unit_test(the_node_stands_in_the_id),
        cmocka_unit_test(uuids_rise_and_carry_their_time),
        cmocka_unit_test(uuids_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
