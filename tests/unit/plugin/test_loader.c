#include "plugin/loader.h"

#include "plugin/url.h"
#include "util/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/pim-plugin-XXXXXX";
static struct pim_plugin_dirs dirs = {.plugin_dir = dir};

/* A copy of the fake plugin that the loader has not seen. */
static void
copy(const char *name)
{
    char path[256], bytes[65536];
    FILE *src = fopen(FAKE_PLUGIN, "rb"), *dst;
    size_t n;

    assert_non_null(src);
    snprintf(path, sizeof path, "%s/%s.so", dir, name);
    dst = fopen(path, "wb");
    assert_non_null(dst);
    while ((n = fread(bytes, 1, sizeof bytes, src)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, dst), n);
    fclose(src);
    fclose(dst);
    assert_int_equal(chmod(path, 0755), 0);
}

static int
setup(void **state)
{
    (void)state;
    pim_log_level_set(PIM_LOG_ERR);
    return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static void
refused(const char *name, uint16_t kind, int rc, const char *says)
{
    struct pim_plugin_handle *handle = NULL;
    struct pim_err err = PIM_ERR_INIT;
    int got = pim_plugin_open(&dirs, name, kind, &handle, &err);

    if (got != rc || strstr(err.msg, says) == NULL || handle != NULL)
        fail_msg("%s: %s: %s", name, pim_err_name(got), err.msg);
}

static void
each_fault_has_its_sentence(void **state)
{
    static const struct {
        const char *fault, *says;
    } cases[] = {
        {"magic", "magic 00000007, not 314d4950"},
        {"abi", "made for plugin ABI 2.0 and this server has 1.0"},
        {"size", "has 40 bytes"},
        {"host", "needs a server with plugin ABI 1.1 and this one has 1.0"},
        {"name", "lacks its name"},
        {"kind", "has no storage plugin but one of kind auth"},
        {"kind_major", "made for storage interface 2.0 and this server has 1.0"},
        {"ops", "has no functions"},
        {"missing", "lacks the function ping"},
        {"short", "lacks the function ping"},
        {"options", "are no options"},
        {"empty", "has no storage plugin"},
    };

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        char name[64] = "f-";

        for (size_t j = 0; cases[i].fault[j] != '\0'; j++)
            name[2 + j] = cases[i].fault[j] == '_' ? '-' : cases[i].fault[j];
        copy(name);
        setenv("PIM_TEST_FAULT", cases[i].fault, 1);
        refused(name, PIM_KIND_STORAGE, PIM_ERR_UNSUPPORTED, cases[i].says);
    }
    unsetenv("PIM_TEST_FAULT");
}

static void
files_that_are_no_plugins_are_refused(void **state)
{
    char path[256];
    FILE *file;

    (void)state;
    refused("nowhere", PIM_KIND_STORAGE, PIM_NOT_FOUND, "there is no plugin nowhere in");
    refused("/nowhere/x.so", PIM_KIND_STORAGE, PIM_NOT_FOUND, "/nowhere/x.so");
    refused("../x", PIM_KIND_STORAGE, PIM_ERR_INVALID, "neither a plugin's name");
    refused("", PIM_KIND_STORAGE, PIM_ERR_INVALID, "neither a plugin's name");
    snprintf(path, sizeof path, "%s/text.so", dir);
    file = fopen(path, "w");
    fputs("hello\n", file);
    fclose(file);
    chmod(path, 0644);
    refused("text", PIM_KIND_STORAGE, PIM_ERR_UNSUPPORTED, "cannot load the plugin");
    /* a library, but not one of ours */
    refused(OTHER_LIBRARY, PIM_KIND_STORAGE, PIM_ERR_UNSUPPORTED, "lacks the symbol pim_plugin_entry");
}

static void
what_others_may_write_is_refused(void **state)
{
    char path[256];

    (void)state;
    copy("open");
    snprintf(path, sizeof path, "%s/open.so", dir);
    chmod(path, 0775);
    refused("open", PIM_KIND_STORAGE, PIM_ERR_DENIED, "by its group");
    chmod(path, 0757);
    refused("open", PIM_KIND_STORAGE, PIM_ERR_DENIED, "by everybody");
    chmod(path, 0755);
    chmod(dir, 0777);
    refused("open", PIM_KIND_STORAGE, PIM_ERR_DENIED, "by everybody");
    chmod(dir, 0700);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 0), 0);
        refused("open", PIM_KIND_STORAGE, PIM_ERR_DENIED, "belongs to user 12345");
    }
}

struct seen {
    char text[512];
};

static void
on_row(void *ctx, const struct pim_plugin_row *row)
{
    struct seen *seen = ctx;

    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%s %s %s %s %d %s;", row->name,
             row->version, row->licence, row->kind, row->healthy, row->why);
}

static void
on_count(void *ctx, const char *plugin, const char *metric, int64_t value)
{
    struct seen *seen = ctx;

    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%s %s %d;", plugin, metric,
             (int)value);
}

static void
a_good_plugin_is_loaded_twice_and_uses_the_host_table(void **state)
{
    struct pim_plugin_handle *one = NULL, *two = NULL;
    struct pim_err err = PIM_ERR_INIT;
    struct seen rows = {""}, counts = {""};
    char path[256];

    (void)state;
    copy("good");
    assert_int_equal(pim_plugin_open(&dirs, "good", PIM_KIND_STORAGE, &one, &err), PIM_OK);
    snprintf(path, sizeof path, "%s/good.so", dir);
    assert_int_equal(pim_plugin_open(&dirs, path, PIM_KIND_STORAGE, &two, &err), PIM_OK);
    assert_ptr_equal(pim_plugin_info(one), pim_plugin_info(two));
    assert_null(pim_plugin_auth(one));
    assert_int_equal(pim_plugin_storage(one)->open(pim_plugin_host(one), NULL, NULL, 0, 0, NULL, NULL, &err), 0);
    pim_plugin_list(on_row, &rows);
    assert_string_equal(rows.text, "fake 1 MIT storage 0 no disk;fake 1 MIT storage 1 ;");
    pim_plugin_counts(on_count, &counts);
    assert_string_equal(counts.text, "fake opens 3;");
    assert_false(pim_plugin_healthy(one, NULL));
    pim_plugin_close(&one);
    pim_plugin_close(&one);
    assert_true(pim_plugin_healthy(two, NULL));
    pim_plugin_close(&two);
}

static void
a_build_tree_is_looked_at_first(void **state)
{
    char path[512];
    struct pim_plugin_dirs both = {.plugin_dir = "/nowhere", .build_dir = dir};
    struct pim_plugin_handle *handle = NULL;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_plugin_tree tree;

    (void)state;
    snprintf(path, sizeof path,
             "mkdir -m 755 -p %s/plugins/built/.libs && cp -p %s/good.so %s/plugins/built/.libs/built.so", dir, dir,
             dir);
    assert_int_equal(system(path), 0);
    assert_int_equal(pim_plugin_open(&both, "built", PIM_KIND_STORAGE, &handle, &err), PIM_OK);
    pim_plugin_close(&handle);
    assert_false(pim_plugin_tree_find(&tree)); /* this test does not lie at the top of one */
}

/* A copy of this program at the top of a tree finds it. */
static void
a_program_knows_the_tree_it_was_built_in(void **state)
{
    char command[512], out[256] = "", want[128];
    FILE *pipe;

    (void)state;
    snprintf(command, sizeof command, "mkdir %s/tree %s/tree/plugins && cp /proc/%d/exe %s/tree/program", dir, dir,
             getpid(), dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/tree/program --tree", dir);
    pipe = popen(command, "r");
    assert_null(fgets(out, sizeof out, pipe)); /* the file build-tree is not there */
    pclose(pipe);
    snprintf(command, sizeof command, "echo /the/source > %s/tree/build-tree; %s/tree/program --tree", dir, dir);
    pipe = popen(command, "r");
    assert_non_null(fgets(out, sizeof out, pipe));
    pclose(pipe);
    snprintf(want, sizeof want, "%s/tree /the/source\n", dir);
    assert_string_equal(out, want);
}

static void
options_are_checked_against_the_plugins_table(void **state)
{
    static const struct {
        struct pim_kv opts[2];
        uint32_t n;
        int rc;
        const char *says;
    } cases[] = {
        {{{"path", "/x"}}, 1, PIM_OK, ""},
        {{{"path", "/x"}, {"pages", "100"}}, 2, PIM_OK, ""},
        {{{"path", "/x"}, {"page", "1"}}, 2, PIM_ERR_INVALID, "no option page; it has path, pages"},
        {{{"path", "/x"}, {"pages", "0"}}, 2, PIM_ERR_INVALID, "number from 1 to 100"},
        {{{"path", "/x"}, {"pages", "1x"}}, 2, PIM_ERR_INVALID, "number from 1 to 100"},
        {{{"path", "/x"}, {"pages", ""}}, 2, PIM_ERR_INVALID, "number from 1 to 100"},
        {{{"pages", "1"}}, 1, PIM_ERR_INVALID, "needs the option path (a file)"},
    };
    struct pim_plugin_handle *handle = NULL;
    struct pim_err err = PIM_ERR_INIT;

    (void)state;
    assert_int_equal(pim_plugin_open(&dirs, "good", PIM_KIND_STORAGE, &handle, &err), PIM_OK);
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        err = PIM_ERR_INIT;
        assert_int_equal(pim_plugin_options_check(handle, cases[i].opts, cases[i].n, &err), cases[i].rc);
        assert_non_null(strstr(err.msg, cases[i].says));
    }
    pim_plugin_close(&handle);
}

static void
fatal_ends_the_process_at_once(void **state)
{
    struct pim_plugin_handle *handle = NULL;
    struct pim_err err = PIM_ERR_INIT;
    int status, err_pipe[2];
    char text[256] = "";
    pid_t pid;

    (void)state;
    assert_int_equal(pim_plugin_open(&dirs, "good", PIM_KIND_STORAGE, &handle, &err), PIM_OK);
    assert_int_equal(pipe(err_pipe), 0);
    pid = fork();
    if (pid == 0) {
        dup2(err_pipe[1], STDERR_FILENO);
        pim_plugin_host(handle)->fatal(pim_plugin_host(handle), "fsync failed");
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 70);
    assert_true(read(err_pipe[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "fatal: fake: fsync failed"));
    close(err_pipe[0]);
    close(err_pipe[1]);
    pim_plugin_close(&handle);
}

static void
storage_urls_name_plugin_and_options(void **state)
{
    static const struct {
        const char *url, *plugin, *opts; /* plugin NULL: refused, and opts is in the sentence */
    } cases[] = {
        {"sqlite:/a/b.db", "storage-sqlite", "path=/a/b.db "},
        {"sqlite:/a/b.db?cache=2&sync=full", "storage-sqlite", "path=/a/b.db cache=2 sync=full "},
        {"memory:", "storage-memory", ""},
        {"memory:?fault=1", "storage-memory", "fault=1 "},
        {"mysql://u:p@h/db?x=1", "storage-mysql", "url=mysql://u:p@h/db?x=1 "},
        {"postgresql://h/db", "storage-pg", "url=postgresql://h/db "},
        {"mongodb://h/db", "storage-mongo", "url=mongodb://h/db "},
        {"plugin:/x/y.so?a%20b=c%26d&e=", "/x/y.so", "a b=c&d e= "},
        {"plugin:mine", "mine", ""},
        {"sqlite:", NULL, "no path"},
        {"plugin:", NULL, "no path"},
        {"memory:/x", NULL, "takes no path"},
        {"oracle://x", NULL, "allowed are"},
        {"", NULL, "allowed are"},
        {"sqlite:/x?cache", NULL, "not key=value"},
        {"sqlite:/x?=1", NULL, "not key=value"},
        {"sqlite:/x?a=1&a=2", NULL, "twice"},
        {"sqlite:/x?path=/y", NULL, "twice"},
        {"sqlite:/x?a=%0", NULL, "escape"},
        {"sqlite:/x?a=%00", NULL, "escape"},
        {"sqlite:/x?a=%zz", NULL, "escape"},
    };

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        struct pim_plugin_url url = {0};
        struct pim_err err = PIM_ERR_INIT;
        int rc = pim_plugin_url_parse(cases[i].url, &url, &err);
        char opts[256] = "";

        if (cases[i].plugin == NULL) {
            if (rc != PIM_ERR_INVALID || strstr(err.msg, cases[i].opts) == NULL)
                fail_msg("%s: %d %s", cases[i].url, rc, err.msg);
            continue;
        }
        assert_int_equal(rc, PIM_OK);
        assert_string_equal(url.plugin, cases[i].plugin);
        for (uint32_t j = 0; j < url.n_opts; j++)
            snprintf(opts + strlen(opts), sizeof opts - strlen(opts), "%s=%s ", url.opts[j].name, url.opts[j].value);
        assert_string_equal(opts, cases[i].opts);
        pim_plugin_url_fini(&url);
    }
}

int
main(int argc, char **argv)
{
    struct pim_plugin_tree tree;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_has_its_sentence),
        cmocka_unit_test(files_that_are_no_plugins_are_refused),
        cmocka_unit_test(what_others_may_write_is_refused),
        cmocka_unit_test(a_good_plugin_is_loaded_twice_and_uses_the_host_table),
        cmocka_unit_test(a_build_tree_is_looked_at_first),
        cmocka_unit_test(a_program_knows_the_tree_it_was_built_in),
        cmocka_unit_test(options_are_checked_against_the_plugins_table),
        cmocka_unit_test(fatal_ends_the_process_at_once),
        cmocka_unit_test(storage_urls_name_plugin_and_options),
    };

    if (argc == 2 && strcmp(argv[1], "--tree") == 0) {
        if (pim_plugin_tree_find(&tree))
            printf("%s %s\n", tree.build_dir, tree.source_dir);
        return 0;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
