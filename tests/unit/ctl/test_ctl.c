/* The control socket from outside: raw requests, and privateimctl itself. */
#include "ctl/ctl.h"

#include "util/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/pim-ctl-XXXXXX";
static char runtime[64], path[96];
static struct pim_ctl *ctl;

static int
run_echo(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    (void)err;
    json_object_set_new(result, "ctx", json_string(ctx));
    json_object_set_new(result, "args", json_deep_copy(request->args));
    if (request->secret != NULL)
        json_object_set_new(result, "secret", json_string(request->secret));
    return PIM_OK;
}

static int
run_fail(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    (void)ctx, (void)result;
    if (pim_ctl_arg(request, 0) != NULL)
        return PIM_ERR_TIMEOUT; /* without a sentence */
    pim_err_set(err, PIM_NOT_FOUND, "there is no user 9");
    return PIM_NOT_FOUND;
}

static int
run_rows(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    (void)ctx, (void)request, (void)err;
    json_object_set_new(
        result, "users",
        json_pack("[{s:i,s:s},{s:i,s:s}]", "id", 7, "name", "Z\xc3\xbc", "id", 1234, "name", "a\x1b[2J"));
    return PIM_OK;
}

static int
run_facts(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    (void)ctx, (void)request, (void)err;
    json_object_set_new(result, "connections", json_integer(3));
    return PIM_OK;
}

static int
setup(void **state)
{
    struct pim_err err = PIM_ERR_INIT;
    static char a[] = "a", b[] = "b", password[] = "p";

    (void)state;
    pim_log_level_set(PIM_LOG_ERR);
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(runtime, sizeof runtime, "%s/run", dir);
    snprintf(path, sizeof path, "%s/control", runtime);
    if (pim_ctl_open(runtime, &ctl, &err) != PIM_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    pim_ctl_command_add(ctl, "sessions", run_echo, a);
    pim_ctl_command_add(ctl, "user enable", run_echo, b);
    pim_ctl_command_add(ctl, "user password", run_echo, password);
    pim_ctl_command_add(ctl, "user disable", run_fail, NULL);
    pim_ctl_command_add(ctl, "user list", run_rows, NULL);
    pim_ctl_status_add(ctl, run_facts, NULL);
    return pim_ctl_start(ctl, &err) != PIM_OK;
}

static int
teardown(void **state)
{
    (void)state;
    pim_ctl_stop(&ctl);
    pim_ctl_stop(&ctl);
    if (access(path, F_OK) == 0)
        return 1; /* it was not removed */
    return rmdir(runtime) != 0 || rmdir(dir) != 0;
}

static void
ask(const char *request, char *reply, size_t reply_bytes)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t at = 0;
    ssize_t n;

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while ((n = recv(fd, reply + at, reply_bytes - 1 - at, 0)) > 0)
        at += (size_t)n;
    reply[at] = '\0';
    close(fd);
}

static void
requests_have_one_line_answers(void **state)
{
    static const struct {
        const char *request, *reply;
    } cases[] = {
        {"{\"cmd\":[\"sessions\",\"x\",\"y\"]}\n", "{\"ok\":true,\"result\":{\"ctx\":\"a\",\"args\":[\"x\",\"y\"]}}\n"},
        {"{\"cmd\":[\"user\",\"enable\",\"7\"],\"secret\":\"s\"}\n",
         "{\"ok\":true,\"result\":{\"ctx\":\"b\",\"args\":[\"7\"],\"secret\":\"s\"}}\n"},
        {"{\"cmd\":[\"user\",\"disable\"]}\n", "{\"ok\":false,\"error\":\"there is no user 9\"}\n"},
        {"{\"cmd\":[\"user\",\"disable\",\"9\"]}\n", "{\"ok\":false,\"error\":\"TIMEOUT\"}\n"},
        {"{\"cmd\":[\"user\"]}\n", "{\"ok\":false,\"error\":\"this server has no such command\"}\n"},
        {"{\"cmd\":[\"userenable\"]}\n", "{\"ok\":false,\"error\":\"this server has no such command\"}\n"},
        {"{\"cmd\":[]}\n", "{\"ok\":false,\"error\":\"the request is not {\\\"cmd\\\": [words]}\"}\n"},
        {"{\"cmd\":[1]}\n", "{\"ok\":false,\"error\":\"the request is not {\\\"cmd\\\": [words]}\"}\n"},
        {"{\"cmd\":\"status\"}\n", "{\"ok\":false,\"error\":\"the request is not {\\\"cmd\\\": [words]}\"}\n"},
        {"nonsense\n", "{\"ok\":false,\"error\":\"the request is not {\\\"cmd\\\": [words]}\"}\n"},
        {"\n", "{\"ok\":false,\"error\":\"the request is not {\\\"cmd\\\": [words]}\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        char reply[1024];

        ask(cases[i].request, reply, sizeof reply);
        assert_string_equal(reply, cases[i].reply);
    }
}

static void
a_request_without_end_is_refused(void **state)
{
    static char request[80 << 10];
    char reply[1024] = "";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    memset(request, 'x', sizeof request - 1);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_true(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    assert_true(recv(fd, reply, sizeof reply - 1, 0) > 0);
    assert_string_equal(reply, "{\"ok\":false,\"error\":\"the request is too long\"}\n");
    close(fd);
}

static void
the_socket_is_for_its_owner(void **state)
{
    struct stat st;
    struct pim_ctl *other = NULL;
    struct pim_err err = PIM_ERR_INIT;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(runtime, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(pim_ctl_open(runtime, &other, &err), PIM_EXISTS);
    assert_non_null(strstr(err.msg, "another server answers"));
    if (geteuid() == 0) { /* whoever got past the file's mode is still asked who he is */
        pid_t pid;
        int status;

        assert_int_equal(chmod(dir, 0755) | chmod(runtime, 0755) | chmod(path, 0666), 0);
        pid = fork();
        if (pid == 0) {
            char reply[256] = "";
            struct sockaddr_un addr = {.sun_family = AF_UNIX};
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);

            snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
            if (setuid(12345) != 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
                recv(fd, reply, sizeof reply - 1, 0) <= 0)
                _exit(2);
            _exit(strstr(reply, "only root and the server's user") != NULL ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(chmod(path, 0600) | chmod(runtime, 0700) | chmod(dir, 0700), 0);
        assert_int_equal(status, 0);
    }
}

/* --- privateimctl --- */

static int
command(const char *args, char *out, size_t out_bytes)
{
    char line[512];
    FILE *pipe;
    size_t n;

    snprintf(line, sizeof line, "%s --socket %s %s 2>&1", CTL_PROGRAM, path, args);
    pipe = popen(line, "r");
    n = fread(out, 1, out_bytes - 1, pipe);
    out[n] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void
privateimctl_prints_for_people_and_programs(void **state)
{
    char out[4096];

    (void)state;
    assert_int_equal(command("status", out, sizeof out), 0);
    assert_non_null(strstr(out, "uptime_s"));
    assert_non_null(strstr(out, "connections        3\n"));
    assert_int_equal(command("user list", out, sizeof out), 0);
    assert_string_equal(out, "id    name\n7     Z\xc3\xbc\n1234  a\\x1b[2J\n");
    assert_int_equal(command("--json user enable 7", out, sizeof out), 0);
    assert_non_null(strstr(out, "\"args\": [\n"));
    assert_int_equal(command("plugins", out, sizeof out), 0);
    assert_string_equal(out, "no plugins\n");
    assert_int_equal(command("user disable 9", out, sizeof out), 1);
    assert_string_equal(out, "privateimctl: TIMEOUT\n");
    assert_int_equal(command("user password 7 < /dev/null", out, sizeof out), 2);
    assert_int_equal(command("user password 7 <<E\nsecret 1\nE\n true", out, sizeof out), 0);
    assert_non_null(strstr(out, "secret  secret 1\n"));
}

static void
privateimctl_says_how_it_is_used(void **state)
{
    char out[4096];

    (void)state;
    assert_int_equal(command("", out, sizeof out), 2);
    assert_int_equal(command("user", out, sizeof out), 2);
    assert_int_equal(command("user enable", out, sizeof out), 2);
    assert_string_equal(out, "Usage: privateimctl user enable USER\n");
    assert_int_equal(command("status now", out, sizeof out), 2);
    assert_int_equal(command("--nope status", out, sizeof out), 2);
    assert_int_equal(command("--socket /nonexistent/control status", out, sizeof out), 3);
    assert_non_null(strstr(out, "does the server run?"));
    assert_int_equal(command("--help", out, sizeof out), 0);
}

static void
the_log_level_is_shown_and_set(void **state)
{
    char out[4096];

    (void)state;
    assert_int_equal(command("log level", out, sizeof out), 0);
    assert_string_equal(out, "log_level  error\n");
    assert_int_equal(command("log level loud", out, sizeof out), 1);
    assert_int_equal(pim_log_level_get(), PIM_LOG_ERR);
    assert_int_equal(command("log level warning", out, sizeof out), 0);
    assert_int_equal(pim_log_level_get(), PIM_LOG_WARNING);
    pim_log_level_set(PIM_LOG_ERR);
}

static void
a_socket_that_a_dead_server_left_is_replaced(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char left[64];
    struct pim_ctl *other = NULL;
    struct pim_err err = PIM_ERR_INIT;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    snprintf(left, sizeof left, "%s/left", dir);
    assert_int_equal(mkdir(left, 0700), 0);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control", left);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    close(fd);
    assert_int_equal(pim_ctl_open(left, &other, &err), PIM_OK);
    pim_ctl_stop(&other); /* never started */
    assert_int_equal(rmdir(left), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_have_one_line_answers),
        cmocka_unit_test(a_request_without_end_is_refused),
        cmocka_unit_test(the_socket_is_for_its_owner),
        cmocka_unit_test(privateimctl_prints_for_people_and_programs),
        cmocka_unit_test(privateimctl_says_how_it_is_used),
        cmocka_unit_test(the_log_level_is_shown_and_set),
        cmocka_unit_test(a_socket_that_a_dead_server_left_is_replaced),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
