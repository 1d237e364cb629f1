#include "conf/conf.h"

#include "util/log.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char why[PIM_CONF_WHY_BYTES];

static int
load(struct pim_conf *conf, const char *text)
{
    why[0] = '\0';
    pim_conf_fini(conf);
    pim_conf_init(conf);
    return pim_conf_load_text(conf, "x.conf", text, strlen(text), why);
}

/* Arguments end with NULL. */
static int
args(struct pim_conf *conf, const char *default_file, const char *const *argv)
{
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    why[0] = '\0';
    pim_conf_fini(conf);
    pim_conf_init(conf);
    return pim_conf_args(conf, argc, (char **)(uintptr_t)argv, default_file, why);
}
#define ARGS(conf, file, ...) args(conf, file, (const char *const[]){"privateimd", __VA_ARGS__, NULL})

static void
defaults_are_those_of_the_table(void **state)
{
    struct pim_conf conf;

    (void)state;
    pim_conf_init(&conf);
    assert_int_equal(conf.server.listen.n, 1);
    assert_string_equal(conf.server.listen.items[0], "127.0.0.1:8080");
    assert_int_equal(conf.storage.queue_bytes, 64 << 20);
    assert_int_equal(conf.storage.resend_window_ms, 7LL * 86400 * 1000);
    assert_int_equal(conf.auth.argon2_memory_bytes, 19456 * 1024);
    assert_int_equal(conf.log.level, PIM_LOG_INFO);
    assert_true(conf.ws.query_token);
    assert_false(conf.server.insecure_listen);
    pim_conf_fini(&conf);
    pim_conf_fini(&conf);
}

static void
good_files_are_read(void **state)
{
    struct pim_conf conf = {0};

    (void)state;
    assert_int_equal(load(&conf, "# comment\n\n[server]\n listen = 127.0.0.1:1 , [::1]:2 ; two\nstop_timeout=90\r\n"
                                 "[ws]\nheartbeat = 2m\nmessage_bytes = 128 KiB # large\n[http]\nallowed_origins ="),
                     PIM_OK);
    assert_int_equal(conf.server.listen.n, 2);
    assert_string_equal(conf.server.listen.items[1], "[::1]:2");
    assert_int_equal(conf.server.stop_timeout_ms, 90000);
    assert_int_equal(conf.ws.heartbeat_ms, 120000);
    assert_int_equal(conf.ws.message_bytes, 128 << 10);
    assert_int_equal(conf.http.allowed_origins.n, 0);
    assert_int_equal(pim_conf_origin_of(&conf, "ws.heartbeat"), PIM_CONF_FILE);
    assert_int_equal(pim_conf_origin_of(&conf, "ws.in_flight"), PIM_CONF_DEFAULT);
    pim_conf_fini(&conf);
}

static void
bad_files_are_refused_with_line_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *line, *says;
    } cases[] = {
        {"[sever]\n", "x.conf:1: ", "sections are server, storage"},
        {"[server]\n[nope]\nx = 1\n", "x.conf:2: ", "no section [nope]"},
        {"listen = 127.0.0.1:1\n", "x.conf:1: ", "before the first [section]"},
        {"[server]\nlisen = 127.0.0.1:1\n", "x.conf:2: ", "is listen meant"},
        {"[server]\nheartbeat = 1\n", "x.conf:2: ", "belongs into [ws]"},
        {"[log]\nxyzzyx = 1\n", "x.conf:2: ", "options there are level"},
        {"[server]\n\n\nhttp_threads = 0\n", "x.conf:4: ", "allowed is 1 to 64"},
        {"[server]\nhttp_threads = 65\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nhttp_threads = two\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nhttp_threads = -1\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nhttp_threads = 99999999999999999999\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nhttp_threads =\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nhttp_threads = 2s\n", "x.conf:2: ", "1 to 64"},
        {"[server]\nstop_timeout = 5 weeks\n", "x.conf:2: ", "1s to 10m"},
        {"[server]\nstop_timeout = 11m\n", "x.conf:2: ", "1s to 10m"},
        {"[server]\nstop_timeout = 9223372036854775807d\n", "x.conf:2: ", "1s to 10m"},
        {"[ws]\nframe_bytes = 1\n", "x.conf:2: ", "1KiB to 16MiB"},
        {"[server]\nlisten =\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = 8080\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = 127.0.0.1:0\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = 127.0.0.1:65536\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = example.org:80\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = 127.0.0.1:1,,127.0.0.1:2\n", "x.conf:2: ", "ADDRESS:PORT"},
        {"[server]\nlisten = 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4,127.0.0.1:5\n", "x.conf:2: ", "one to 4"},
        {"[server]\ninsecure_listen = maybe\n", "x.conf:2: ", "yes or no"},
        {"[server]\ntrusted_proxies = 10.0.0.0/33\n", "x.conf:2: ", "ADDRESS/BITS"},
        {"[server]\ntrusted_proxies = proxy\n", "x.conf:2: ", "ADDRESS/BITS"},
        {"[http]\nallowed_origins = https://a.example/\n", "x.conf:2: ", "https://host"},
        {"[http]\nallowed_origins = *\n", "x.conf:2: ", "https://host"},
        {"[storage]\nrecords = oracle://x\n", "x.conf:2: ", "sqlite:PATH"},
        {"[storage]\nrecords =\n", "x.conf:2: ", "sqlite:PATH"},
        {"[log]\nlevel = loud\n", "x.conf:2: ", "error, warning, notice, info or debug"},
        {"[server]\nthreads\n", "x.conf:2: ", "neither"},
        {"[server\nlisten = 127.0.0.1:1\n", "x.conf:1: ", "no ]"},
        {"[server] listen = 127.0.0.1:1\n", "x.conf:1: ", "after the section"},
        {"[server]\nnode_id = 1\nnode_id = 2\n", "x.conf:3: ", "set twice, first in line 2"},
        {"[auth]\nissuer =\n", "x.conf:2: ", "1 to 100"},
        {"[auth]\nissuer = a\x01z\n", "x.conf:2: ", "1 to 100"},
    };
    struct pim_conf conf = {0};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        assert_int_equal(load(&conf, cases[i].text), PIM_ERR_INVALID);
        if (strncmp(why, cases[i].line, strlen(cases[i].line)) != 0 || strstr(why, cases[i].says) == NULL)
            fail_msg("%s\ngave: %s", cases[i].text, why);
    }
    pim_conf_fini(&conf);
}

static void
a_long_line_and_a_nul_byte_are_refused(void **state)
{
    struct pim_conf conf = {0};
    char text[6000] = "[auth]\nsecret_file = /";

    (void)state;
    memset(text + strlen(text), 'x', 5000);
    assert_int_equal(load(&conf, text), PIM_ERR_INVALID);
    assert_non_null(strstr(why, "x.conf:2: the line is too long"));
    pim_conf_fini(&conf);
    pim_conf_init(&conf);
    assert_int_equal(pim_conf_load_text(&conf, "x.conf", "[server]\0\n", 10, why), PIM_ERR_INVALID);
    assert_non_null(strstr(why, "NUL"));
    pim_conf_fini(&conf);
}

static void
the_command_line_goes_over_the_file(void **state)
{
    struct pim_conf conf = {0};
    char path[] = "/tmp/pim-conf-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "[server]\nlisten = 127.0.0.1:1\nnode_id = 5\n[log]\nlevel = debug\n";

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_int_equal(ARGS(&conf, NULL, "--config", path, "--listen", "127.0.0.1:7", "--listen=[::1]:8", "--data", "/d",
                          "--set", "ws.heartbeat=30s", "--set=im.group_members=50"),
                     PIM_CONF_RUN);
    assert_int_equal(conf.server.listen.n, 2);
    assert_string_equal(conf.server.listen.items[0], "127.0.0.1:7");
    assert_int_equal(conf.server.node_id, 5);
    assert_int_equal(conf.log.level, PIM_LOG_DEBUG);
    assert_int_equal(conf.ws.heartbeat_ms, 30000);
    assert_int_equal(conf.im.group_members, 50);
    assert_string_equal(conf.server.runtime_dir, "/d/run");
    assert_string_equal(conf.auth.secret_file, "/d/token.key");
    assert_string_equal(conf.storage.records, "sqlite:/d/privateim.db");
    assert_string_equal(conf.storage.messages, conf.storage.records);
    assert_true(conf.server.io_workers >= 1 && conf.server.work_threads >= 1);
    assert_int_equal(ARGS(&conf, path, "--check-config"), PIM_CONF_CHECK);
    assert_int_equal(conf.server.node_id, 5);
    assert_string_equal(conf.server.runtime_dir, PIM_RUNSTATEDIR "/privateim");
    assert_int_equal(ARGS(&conf, "/nonexistent", "--print-config"), PIM_CONF_PRINT);
    assert_int_equal(ARGS(&conf, NULL, "--config", "/nonexistent"), PIM_ERR_INVALID);
    assert_int_equal(ARGS(&conf, NULL, "--version"), PIM_CONF_VERSION);
    assert_int_equal(ARGS(&conf, NULL, "--check-config", "--help"), PIM_CONF_HELP);
    pim_conf_fini(&conf);
    unlink(path);
}

static void
bad_command_lines_are_refused(void **state)
{
    static const char *const cases[][4] = {
        {"--nope"},
        {"file"},
        {"--data"},
        {"--set", "x"},
        {"--set", "x=1"},
        {"--set", "server.x=1"},
        {"--listen", "x"},
        {"--listen"},
        {"--config"},
        {"--insecure=yes"},
        {"--datadir", "x"},
        {"--log-level", "loud"},
        {"--tls-cert", "/a"},
        {"--tls-key", "/a"},
        {"--listen", "0.0.0.0:1"},
        {"--listen=[::]:1"},
        {"--set", "server.metrics_listen=0.0.0.0:1"},
        {"--listen=127.0.0.1:1", "--listen=127.0.0.1:1"},
        {"--set", "ws.frame_bytes=1MiB"},
        {"--set", "storage.messages=sqlite:"},
        {"--set", "server.runtime_dir=/0123456789012345678901234567890123456789"
                  "01234567890123456789012345678901234567890123456789"},
    };
    struct pim_conf conf = {0};

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        const char *const argv[] = {"privateimd", cases[i][0], cases[i][1], NULL};

        if (args(&conf, NULL, argv) != PIM_ERR_INVALID || why[0] == '\0')
            fail_msg("case %zu (%s) was taken", i, cases[i][0]);
    }
    assert_int_equal(ARGS(&conf, NULL, "--listen", "0.0.0.0:1", "--insecure"), PIM_CONF_RUN);
    assert_int_equal(ARGS(&conf, NULL, "--listen", "0.0.0.0:1", "--tls-cert=/a", "--tls-key=/b"), PIM_CONF_RUN);
    pim_conf_fini(&conf);
}

struct changes {
    char text[512];
};

static void
on_change(void *ctx, const char *name, bool applied)
{
    struct changes *c = ctx;

    snprintf(c->text + strlen(c->text), sizeof c->text - strlen(c->text), "%s%c ", name, applied ? '+' : '-');
}

static void
a_reload_applies_what_may_change_and_names_the_rest(void **state)
{
    struct pim_conf old = {0}, *conf = NULL;
    struct changes changes = {""};
    char path[] = "/tmp/pim-conf-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "[server]\nnode_id = 1\n[log]\nlevel = info\n") > 0);
    assert_int_equal(ARGS(&old, NULL, "--config", path), PIM_CONF_RUN);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(dprintf(fd, "[server]\nnode_id = 2\n[log]\nlevel = debug\n") > 0);
    {
        char word[] = "privateimd", option[] = "--config", *argv[] = {word, option, path, NULL};

        old.argv = argv; /* ARGS made the first one on its own stack */
        old.argc = 3;
        assert_int_equal(pim_conf_reload(&old, &conf, on_change, &changes, why), PIM_OK);
        assert_string_equal(changes.text, "server.node_id- log.level+ ");
        assert_int_equal(conf->server.node_id, 1);
        assert_int_equal(conf->log.level, PIM_LOG_DEBUG);
        pim_conf_fini(conf);
        free(conf);
        assert_true(dprintf(fd, "nonsense\n") > 0);
        assert_int_equal(pim_conf_reload(&old, &conf, on_change, &changes, why), PIM_ERR_INVALID);
    }
    close(fd);
    unlink(path);
    pim_conf_fini(&old);
}

/* The sample with every # taken away is the defaults again. */
static void
the_sample_is_a_valid_file_with_the_defaults(void **state)
{
    struct pim_conf conf = {0}, fresh;
    char *sample = NULL, *bare, *dst, *a = NULL, *b = NULL, *line;
    size_t len = 0, a_len, b_len;
    FILE *out = open_memstream(&sample, &len);

    (void)state;
    pim_conf_print_sample(out);
    fclose(out);
    assert_int_equal(load(&conf, sample), PIM_OK);
    bare = calloc(1, len + 1);
    dst = bare;
    for (line = strtok(sample, "\n"); line != NULL; line = strtok(NULL, "\n"))
        dst += sprintf(dst, "%s\n", line[0] == '#' && line[1] != ' ' ? line + 1 : line);
    assert_int_equal(load(&conf, bare), PIM_OK);
    assert_int_equal(pim_conf_origin_of(&conf, "log.level"), PIM_CONF_FILE);
    memset(conf.origin, 0, sizeof conf.origin);
    pim_conf_init(&fresh);
    out = open_memstream(&a, &a_len);
    pim_conf_print(&conf, out);
    fclose(out);
    out = open_memstream(&b, &b_len);
    pim_conf_print(&fresh, out);
    fclose(out);
    assert_string_equal(a, b);
    free(sample);
    free(bare);
    free(a);
    free(b);
    pim_conf_fini(&conf);
    pim_conf_fini(&fresh);
}

static void
passwords_in_urls_are_not_printed(void **state)
{
    struct pim_conf conf = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_int_equal(ARGS(&conf, NULL, "--records", "mysql://im:s3cret@db/im"), PIM_CONF_RUN);
    pim_conf_print(&conf, out);
    fclose(out);
    assert_null(strstr(text, "s3cret"));
    assert_non_null(strstr(text, "mysql://im:***@db/im"));
    free(text);
    pim_conf_fini(&conf);
}

static void
a_password_in_a_file_for_everybody_is_refused(void **state)
{
    struct pim_conf conf = {0};
    char path[] = "/tmp/pim-conf-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(dprintf(fd, "[storage]\nmessages = mysql://im:s3cret@db/im\n") > 0);
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_equal(ARGS(&conf, path, "--check-config"), PIM_CONF_CHECK);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(ARGS(&conf, path, "--check-config"), PIM_ERR_INVALID);
    assert_non_null(strstr(why, "chmod 640"));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(ARGS(&conf, path, "--check-config"), PIM_CONF_CHECK);
    close(fd);
    unlink(path);
    pim_conf_fini(&conf);
}

static void
networks_hold_their_addresses(void **state)
{
    static const struct {
        const char *net, *addr;
        bool in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.4", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.128/25", "192.168.1.200", true},
        {"::1", "::1", true},
        {"2001:db8::/32", "2001:db8:1::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"10.0.0.0/8", "::ffff:10.0.0.1", true},
        {"10.0.0.0/8", "::1", false},
    };

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        struct sockaddr_in in4 = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool four = inet_pton(AF_INET, cases[i].addr, &in4.sin_addr) == 1;

        if (!four)
            assert_int_equal(inet_pton(AF_INET6, cases[i].addr, &in6.sin6_addr), 1);
        if (pim_conf_net_contains(cases[i].net, four ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6) !=
            cases[i].in)
            fail_msg("%s in %s", cases[i].addr, cases[i].net);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(good_files_are_read),
        cmocka_unit_test(bad_files_are_refused_with_line_and_what_is_allowed),
        cmocka_unit_test(a_long_line_and_a_nul_byte_are_refused),
        cmocka_unit_test(the_command_line_goes_over_the_file),
        cmocka_unit_test(bad_command_lines_are_refused),
        cmocka_unit_test(a_reload_applies_what_may_change_and_names_the_rest),
        cmocka_unit_test(the_sample_is_a_valid_file_with_the_defaults),
        cmocka_unit_test(passwords_in_urls_are_not_printed),
        cmocka_unit_test(a_password_in_a_file_for_everybody_is_refused),
        cmocka_unit_test(networks_hold_their_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
