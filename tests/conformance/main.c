/* privateim-plugin-test: does a storage plugin keep what the ABI promises? See privateim-plugin-test(1). */
#include "suite.h"

#include "plugin/loader.h"
#include "util/log.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define CHECK_SECONDS 300 /* a check that takes longer hangs */

struct suite suite;

static jmp_buf out;
static char why[4000];
static bool skipped;
static const char *running = "";

void
conf_fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    skipped = false;
    longjmp(out, 1);
}

void
conf_skip(const char *reason)
{
    snprintf(why, sizeof why, "%s", reason);
    skipped = true;
    longjmp(out, 1);
}

static void
on_alarm(int number)
{
    static const char text[] = "\nBail out! a check hangs: ";

    (void)number;
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0 || write(STDOUT_FILENO, running, strlen(running)) < 0)
        _exit(3);
    _exit(2);
}

enum { GREEN, RED, SKIPPED };

static int
run_it(const struct check *check)
{
    if (setjmp(out) != 0)
        return skipped ? SKIPPED : RED;
    check->run();
    return GREEN;
}

/* @return 1 red */
static int
run(const struct check *check, int number)
{
    int result, red = 0;

    running = check->name;
    why[0] = '\0';
    alarm(CHECK_SECONDS);
    result = run_it(check);
    if (result == GREEN) {
        printf("ok %d - %s\n", number, check->name);
    } else if (result == SKIPPED) {
        printf("ok %d - %s # SKIP %s\n", number, check->name, why);
    } else {
        red = 1;
        printf("not ok %d - %s\n", number, check->name);
        for (char *line = strtok(why, "\n"); line != NULL; line = strtok(NULL, "\n"))
            printf("# %s\n", line);
    }
    alarm(0);
    fflush(stdout);
    return red;
}

static int
run_all(const char *only)
{
    const struct check *const parts[] = {conf_store_checks,    conf_record_checks, conf_list_checks, conf_log_checks,
                                         conf_log_read_checks, conf_random_checks, conf_race_checks, conf_crash_checks};
    int number = 0, red = 0;

    for (size_t p = 0; p < CONF_COUNT(parts); p++)
        for (const struct check *check = parts[p]; check->name != NULL; check++) {
            if ((check->role & ~suite.roles) != 0 || (only != NULL && strcmp(only, check->name) != 0))
                continue;
            red += run(check, ++number);
        }
    printf("1..%d\n", number);
    if (number == 0)
        printf("# there is no such check for the roles of this plugin\n");
    return red == 0 && number > 0 ? 0 : 1;
}

static void
list_all(void)
{
    const struct check *const parts[] = {conf_store_checks,    conf_record_checks, conf_list_checks, conf_log_checks,
                                         conf_log_read_checks, conf_random_checks, conf_race_checks, conf_crash_checks};

    for (size_t p = 0; p < CONF_COUNT(parts); p++)
        for (const struct check *check = parts[p]; check->name != NULL; check++)
            puts(check->name);
}

static void
usage(FILE *to)
{
    fputs(
        "Usage: privateim-plugin-test PLUGIN.so [OPTION...] [KEY=VALUE...]\n"
        "Run the conformance checks on a storage plugin. KEY=VALUE are the plugin's options; %d in a value becomes a\n"
        "fresh directory for each check. Without %d the store that the options name is EMPTIED before each check.\n"
        "\n"
        "  --role records|messages  only the checks of that role; else all that the plugin can\n"
        "  --check NAME             only that check\n"
        "  --list                   print the names of all checks\n"
        "  --seed NUMBER            repeat a run\n"
        "  --cut COMMAND            a shell command that cuts the connections of the engine\n"
        "  --help                   print this, end\n",
        to);
}

/* What can the plugin do? */
static uint32_t
roles_of(void)
{
    struct side side;
    uint32_t roles = 0;

    if (setjmp(out) != 0) {
        printf("Bail out! the store cannot be opened: %s\n", why);
        exit(1);
    }
    suite.roles = PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES;
    conf_prepare(&side);
    if (conf_try_open(&side, conf_schema(1), false) < 0 && side.store == NULL) {
        suite.roles = PIM_ROLE_MESSAGES;
        if (conf_try_open(&side, conf_schema(1), false) < 0 && side.store == NULL)
            conf_fail("%s", conf_err.msg);
    }
    roles = side.info.roles;
    printf("# engine %s\n", side.info.engine);
    conf_close(&side);
    return roles;
}

static int
run_child(const char *what)
{
    if (setjmp(out) == 0)
        return conf_child(what);
    fprintf(stderr, "%s\n", why);
    return 6;
}

static void
remove_dir(const char *dir)
{
    char command[400];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s could not be removed\n", dir);
}

static int
options_take(int argc, char **argv)
{
    for (int i = optind; i < argc; i++) {
        char *eq = strchr(argv[i], '=');

        if (eq == NULL || suite.n_opts == CONF_OPTS_MAX) {
            fprintf(stderr, "%s is not KEY=VALUE\n", argv[i]);
            return -1;
        }
        *eq = '\0';
        suite.opts[suite.n_opts++] = (struct pim_kv){.name = argv[i], .value = eq + 1};
        suite.has_fresh |= strstr(eq + 1, "%d") != NULL;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"role", required_argument, NULL, 'r'},  {"check", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},  {"cut", required_argument, NULL, 'x'},
        {"child", required_argument, NULL, 'k'}, {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    static char path[PATH_MAX], dir[200];
    struct pim_plugin_handle *handle = NULL;
    struct pim_plugin_dirs dirs = {.plugin_dir = "/"};
    struct pim_err err = PIM_ERR_INIT;
    const char *only = NULL, *child = NULL, *tmp = getenv("TMPDIR");
    uint32_t wanted = 0;
    int c, status;

    suite.seed = (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'r':
            wanted = strcmp(optarg, "records") == 0    ? PIM_ROLE_RECORDS
                     : strcmp(optarg, "messages") == 0 ? PIM_ROLE_MESSAGES
                                                       : 0;
            if (wanted == 0) {
                usage(stderr);
                return 2;
            }
            break;
        case 'c':
            only = optarg;
            break;
        case 's':
            suite.seed = strtoull(optarg, NULL, 10);
            break;
        case 'x':
            suite.cut = optarg;
            break;
        case 'k':
            child = optarg;
            break;
        case 'l':
            list_all();
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind >= argc || realpath(argv[optind], path) == NULL) {
        if (optind < argc)
            fprintf(stderr, "%s: %s\n", argv[optind], strerror(errno));
        else
            usage(stderr);
        return 2;
    }
    optind++;
    if (options_take(argc, argv) != 0)
        return 2;
    pim_log_level_set(PIM_LOG_ERR);
    if (pim_plugin_open(&dirs, path, PIM_KIND_STORAGE, &handle, &err) != PIM_OK) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    suite.plugin_path = path;
    suite.ops = pim_plugin_storage(handle);
    suite.host = pim_plugin_host(handle);
    suite.roles = wanted != 0 ? wanted : PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES;
    if (child != NULL)
        return run_child(child);
    snprintf(dir, sizeof dir, "%s/pim-plugin-test-XXXXXX", tmp != NULL && strlen(tmp) < 150 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! %s: %s\n", dir, strerror(errno));
        return 1;
    }
    suite.dir = dir;
    snprintf(conf_novel_name, sizeof conf_novel_name, "kind_%u", (uint32_t)(suite.seed % 100000));
    printf("TAP version 13\n# plugin %s %s\n# seed %llu\n", pim_plugin_info(handle)->name,
           pim_plugin_info(handle)->version, (unsigned long long)suite.seed);
    signal(SIGALRM, on_alarm);
    signal(SIGPIPE, SIG_IGN);
    suite.roles = roles_of();
    if (wanted != 0 && (suite.roles & wanted) == 0) {
        printf("Bail out! the plugin cannot do this role\n");
        return 1;
    }
    suite.roles = wanted != 0 ? wanted : suite.roles;
    status = run_all(only);
    remove_dir(dir);
    return status;
}
