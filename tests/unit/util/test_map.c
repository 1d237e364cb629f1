#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/map.h"

#include <stdlib.h>
#include <string.h>

#define KEYS 500

static int64_t
key_of(int i)
{
    return i % 2 ? i : -(int64_t)i * (1ll << 40); /* 0 and negative ones too */
}

static void
an_empty_map(void **state)
{
    struct pim_map map = {0};
    size_t at = 0;

    (void)state;
    assert_null(pim_map_find(&map, 0));
    assert_null(pim_map_steal(&map, 0));
    assert_null(pim_map_next(&map, &at, NULL));
    pim_map_fini(&map);
}

static void
put_replaces(void **state)
{
    struct pim_map map = {0};
    int one, two;

    (void)state;
    assert_null(pim_map_put(&map, 7, &one));
    assert_ptr_equal(pim_map_put(&map, 7, &two), &one);
    assert_ptr_equal(pim_map_find(&map, 7), &two);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(pim_map_steal(&map, 7), &two);
    assert_null(pim_map_find(&map, 7));
    assert_int_equal(map.count, 0);
    pim_map_fini(&map);
}

/* A random history against a plain array. */
static void
a_map_holds_what_an_array_holds(void **state)
{
    static char marks[8];
    struct pim_map map = {0};
    void *model[KEYS] = {NULL};
    unsigned seed = 12345;
    size_t count = 0;

    (void)state;
    for (int step = 0; step < 100000; step++) {
        int i = (int)((seed = seed * 1103515245u + 12345u) >> 8) % KEYS;
        unsigned what = (seed >> 4) % 3;

        if (what == 0) {
            void *value = &marks[step % 8];

            assert_ptr_equal(pim_map_put(&map, key_of(i), value), model[i]);
            count += model[i] == NULL;
            model[i] = value;
        } else if (what == 1) {
            assert_ptr_equal(pim_map_steal(&map, key_of(i)), model[i]);
            count -= model[i] != NULL;
            model[i] = NULL;
        } else {
            assert_ptr_equal(pim_map_find(&map, key_of(i)), model[i]);
        }
        assert_int_equal(map.count, count);
        if (step % 5000 == 0) {
            size_t at = 0, seen = 0;
            int64_t key;
            void *value;

            while ((value = pim_map_next(&map, &at, &key)) != NULL) {
                assert_ptr_equal(pim_map_find(&map, key), value);
                seen++;
            }
            assert_int_equal(seen, count);
        }
    }
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(pim_map_find(&map, key_of(i)), model[i]);
    pim_map_fini(&map);
}

static void
the_hash_is_one_in_a_process(void **state)
{
    (void)state;
    assert_true(pim_map_hash(1) == pim_map_hash(1));
    assert_true(pim_map_hash(1) != pim_map_hash(2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map),
        cmocka_unit_test(put_replaces),
        cmocka_unit_test(a_map_holds_what_an_array_holds),
        cmocka_unit_test(the_hash_is_one_in_a_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
