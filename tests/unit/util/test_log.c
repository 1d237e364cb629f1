#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4
#define EACH 200

static FILE *sink;
static int real_stderr;

/* Standard error goes to a file from here on. */
static void
catch_begin(void)
{
    sink = tmpfile();
    assert_non_null(sink);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(sink), STDERR_FILENO);
}

/* What was written; free() it. */
static char *
catch_end(void)
{
    char *text = calloc(1, 4u << 20);

    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(sink);
    assert_true(fread(text, 1, (4u << 20) - 1, sink) > 0 || feof(sink));
    fclose(sink);
    return text;
}

static void
lines_cannot_be_forged(void **state)
{
    char *text, big[3000];

    (void)state;
    memset(big, 'y', sizeof big);
    big[sizeof big - 1] = '\0';
    catch_begin();
    pim_log(PIM_LOG_ERR, "name %s end", "a\nerror: b\r\x1b[31m\x7f");
    pim_log(PIM_LOG_INFO, "%s", big);
    text = catch_end();
    assert_non_null(strstr(text, "error: name a\\x0aerror: b\\x0d\\x1b[31m\\x7f end\n"));
    assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n') + 1, text + strlen(text)); /* two lines */
    assert_true(strlen(strchr(text, '\n') + 1) <= 1024);
    free(text);
}

static void
levels(void **state)
{
    char *text;

    (void)state;
    assert_int_equal(pim_log_level_parse("Warning"), PIM_LOG_WARNING);
    assert_int_equal(pim_log_level_parse("loud"), -1);
    catch_begin();
    pim_log_level_set(PIM_LOG_WARNING);
    pim_log(PIM_LOG_NOTICE, "hushed");
    pim_log(PIM_LOG_WARNING, "heard");
    pim_log_level_set(PIM_LOG_INFO);
    text = catch_end();
    assert_int_equal(pim_log_level_get(), PIM_LOG_INFO);
    assert_null(strstr(text, "hushed"));
    assert_non_null(strstr(text, "heard"));
    free(text);
}

static void *
write_many(void *arg)
{
    int thread = (int)(intptr_t)arg;

    for (int i = 0; i < EACH; i++)
        pim_log(PIM_LOG_INFO, "thread %d line %d.", thread, i);
    return NULL;
}

/* Every line of every thread is written, in its thread's order, or counted as dropped. */
static void
nothing_is_lost_unseen(void **state)
{
    uint64_t dropped = pim_log_dropped(), written = 0;
    pthread_t threads[THREADS];
    char *text;

    (void)state;
    catch_begin();
    pim_log_start();
    for (intptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, write_many, (void *)t);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    pim_log_stop();
    text = catch_end();
    for (int t = 0; t < THREADS; t++) {
        const char *last = NULL;

        for (int i = 0; i < EACH; i++) {
            char want[64];
            const char *at;

            snprintf(want, sizeof want, "thread %d line %d.\n", t, i);
            at = strstr(text, want);
            if (at == NULL)
                continue;
            assert_true(last == NULL || at > last);
            last = at;
            written++;
        }
    }
    assert_true(written > 0);
    assert_true(written + (pim_log_dropped() - dropped) == THREADS * EACH);
    assert_true((pim_log_dropped() == dropped) == (strstr(text, "log lines dropped") == NULL));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_cannot_be_forged),
        cmocka_unit_test(levels),
        cmocka_unit_test(nothing_is_lost_unseen),
    };

    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
