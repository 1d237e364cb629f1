/* privateimctl - ask and tell a running server, over its control socket (core/ctl/ctl.h has the protocol). */
#include "util/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_AWAY = 3 };

#define REPLY_BYTES_MAX (64u << 20)

static const struct {
    const char *words; /* the command's own */
    const char *args;
    int min_args, max_args;
    bool secret; /* reads a password */
    const char *help;
} commands[] = {
    {"status", "", 0, 0, false, "what runs, since when, how much there is of everything"},
    {"sessions", "[USER]", 0, 1, false, "who is signed in, or the sessions of one user"},
    {"user list", "[EMAIL]", 0, 1, false, "the accounts, or one"},
    {"user password", "USER", 1, 1, true, "give a user another password, read from the terminal or standard input"},
    {"user disable", "USER", 1, 1, false, "shut an account and end its sessions"},
    {"user enable", "USER", 1, 1, false, "open it again"},
    {"plugins", "", 0, 0, false, "the plugins that are loaded"},
    {"reload", "", 0, 0, false, "read privateim.conf again; what cannot change is named"},
    {"log level", "[LEVEL]", 0, 1, false, "show or set what is logged: error, warning, notice, info, debug"},
    {"storage check", "", 0, 0, false, "ask the storage plugins whether their data is well"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void
usage(FILE *out)
{
    fputs("Usage: privateimctl [--data DIR | --socket PATH] [--json] COMMAND\n\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int n = fprintf(out, "  %s %s", commands[i].words, commands[i].args);

        fprintf(out, "%*s%s\n", n < 26 ? 26 - n : 1, "", commands[i].help);
    }
    fputs("\n  --data DIR     the server's --data DIR; its socket is DIR/run/control\n"
          "  --socket PATH  the control socket; the default is " PIM_RUNSTATEDIR "/privateim/control\n"
          "  --json         print the answer as JSON\n"
          "\nUSER is a user's id or e-mail address.\n"
          "Exit status: 0 done, 1 the server says no, 2 wrong usage, 3 no server answers.\n",
          out);
}

/* --- input --- */

static bool
line_read(const char *prompt, char *dst, size_t dst_bytes)
{
    struct termios before, quiet;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0, ok;

    if (terminal) {
        quiet = before;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fputs(prompt, stderr);
    }
    ok = fgets(dst, (int)dst_bytes, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (ok && strchr(dst, '\n') == NULL && !feof(stdin))
        return false; /* longer than any password may be */
    dst[strcspn(dst, "\r\n")] = '\0';
    return ok;
}

/* From the terminal twice, without echo; from a pipe once. Never from the command line, which others can see. */
static bool
secret_read(char *dst, size_t dst_bytes)
{
    char again[2048];
    bool same;

    if (!line_read("New password: ", dst, dst_bytes) || *dst == '\0') {
        fputs("privateimctl: no password was given\n", stderr);
        return false;
    }
    if (!isatty(STDIN_FILENO))
        return true;
    same = line_read("And again: ", again, sizeof again) && strcmp(dst, again) == 0;
    explicit_bzero(again, sizeof again);
    if (!same)
        fputs("privateimctl: the two differ\n", stderr);
    return same;
}

/* --- the conversation --- */

static int
server_connect(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = -1;

    if (strlen(path) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
    } else {
        strcpy(addr.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
            return fd;
    }
    fprintf(stderr, "privateimctl: %s: %s%s\n", path, strerror(errno),
            errno == ENOENT || errno == ECONNREFUSED ? " (does the server run? --data or --socket says where)" : "");
    if (fd >= 0)
        close(fd);
    return -1;
}

static void
line_send(int fd, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t len, at = 0;

    if (text == NULL)
        return; /* out of memory: the server will see an end without a request */
    len = strlen(text);
    text[len++] = '\n'; /* where the NUL byte stood */
    while (at < len) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    explicit_bzero(text, len);
    free(text);
}

static json_t *
reply_read(int fd)
{
    size_t len = 0, cap = 65536;
    char *text = malloc(cap);
    json_t *reply;

    while (text != NULL) {
        ssize_t n;

        if (len == cap) {
            char *more = cap < REPLY_BYTES_MAX ? realloc(text, cap * 2) : NULL;

            if (more == NULL)
                break;
            text = more;
            cap *= 2;
        }
        n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    reply = text == NULL ? NULL : json_loadb(text, len, 0, NULL);
    free(text);
    return reply;
}

/* --- output --- */

/* Control characters from a user's name must not drive the terminal. */
static void
text_print(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

/* Columns a text takes: its characters, not its bytes. */
static int
width(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static char *
scalar_text(const json_t *value)
{
    return json_is_string(value) ? pim_strdup(json_string_value(value))
                                 : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void
cell_print(const json_t *value, int columns, bool last)
{
    char *text = value == NULL ? pim_strdup("") : scalar_text(value);

    text_print(text);
    if (!last)
        printf("%*s", columns - width(text) + 2, "");
    free(text);
}

static void
table_print(const char *name, json_t *rows)
{
    json_t *first = json_array_get(rows, 0), *row, *value;
    const char *key;
    size_t i, at = 0, n = json_object_size(first);

    if (first == NULL) {
        printf("no %s\n", name);
        return;
    }
    if (!json_is_object(first)) {
        json_array_foreach (rows, i, row) {
            cell_print(row, 0, true);
            putchar('\n');
        }
        return;
    }
    int *columns = pim_new0(n * sizeof *columns);

    json_object_foreach (first, key, value) {
        columns[at] = width(key);
        json_array_foreach (rows, i, row) {
            char *text = json_object_get(row, key) == NULL ? pim_strdup("") : scalar_text(json_object_get(row, key));

            if (width(text) > columns[at])
                columns[at] = width(text);
            free(text);
        }
        at++;
    }
    at = 0;
    json_object_foreach (first, key, value) {
        printf("%-*s", at + 1 == n ? 0 : columns[at] + 2, key);
        at++;
    }
    putchar('\n');
    json_array_foreach (rows, i, row) {
        at = 0;
        json_object_foreach (first, key, value) {
            cell_print(json_object_get(row, key), columns[at], at + 1 == n);
            at++;
        }
        putchar('\n');
    }
    free(columns);
}

static void
result_print(json_t *result)
{
    const char *key;
    json_t *value;
    int widest = 0;

    json_object_foreach (result, key, value) {
        if (!json_is_array(value) && width(key) > widest)
            widest = width(key);
    }
    json_object_foreach (result, key, value) {
        if (!json_is_array(value)) {
            printf("%-*s  ", widest, key);
            cell_print(value, 0, true);
            putchar('\n');
        }
    }
    json_object_foreach (result, key, value) {
        if (json_is_array(value))
            table_print(key, value);
    }
}

static int
reply_print(json_t *reply, bool as_json)
{
    bool ok = json_is_true(json_object_get(reply, "ok"));
    const char *error = json_string_value(json_object_get(reply, "error"));

    if (as_json) {
        json_dumpf(ok ? json_object_get(reply, "result") : reply, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
        putchar('\n');
    } else if (ok) {
        result_print(json_object_get(reply, "result"));
    } else {
        fprintf(stderr, "privateimctl: %s\n", error == NULL ? "the server's answer cannot be read" : error);
    }
    return ok ? EXIT_OK : EXIT_FAILED;
}

/* --- main --- */

/* Which command are these words? Its number and how many words it has, or N_COMMANDS. */
static size_t
command_find(int argc, char **argv, int *out_words)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const char *second = strchr(commands[i].words, ' ');
        size_t first_len = second == NULL ? strlen(commands[i].words) : (size_t)(second - commands[i].words);

        *out_words = second == NULL ? 1 : 2;
        if (argc >= *out_words && strlen(argv[0]) == first_len && strncmp(argv[0], commands[i].words, first_len) == 0 &&
            (second == NULL || strcmp(argv[1], second + 1) == 0))
            return i;
    }
    return N_COMMANDS;
}

static int
ask(const char *path, int argc, char **argv, const char *secret, bool as_json)
{
    json_t *cmd = json_array(), *request, *reply = NULL;
    int fd, rc = EXIT_AWAY;

    for (int i = 0; i < argc; i++)
        if (json_array_append_new(cmd, json_string(argv[i])) != 0) {
            fputs("privateimctl: an argument is not UTF-8\n", stderr);
            json_decref(cmd);
            return EXIT_USAGE;
        }
    request = json_pack("{s:o, s:s*}", "cmd", cmd, "secret", secret);
    fd = server_connect(path);
    if (fd >= 0) {
        line_send(fd, request); /* a server that refuses us answers without reading */
        reply = reply_read(fd);
        if (reply == NULL)
            fputs("privateimctl: the server gave no answer\n", stderr);
        else
            rc = reply_print(reply, as_json);
        close(fd);
    }
    json_decref(reply);
    json_decref(request);
    return rc;
}

int
main(int argc, char **argv)
{
    char path[4096] = PIM_RUNSTATEDIR "/privateim/control", secret[2048];
    bool as_json = false;
    int at = 1, words, n_args, rc;
    size_t which;

    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--json") == 0) {
            as_json = true;
        } else if (strcmp(argv[at], "--help") == 0) {
            usage(stdout);
            return EXIT_OK;
        } else if (strcmp(argv[at], "--version") == 0) {
            puts("privateimctl " PACKAGE_VERSION);
            return EXIT_OK;
        } else if (strcmp(argv[at], "--data") == 0 && at + 1 < argc) {
            snprintf(path, sizeof path, "%s/run/control", argv[++at]);
        } else if (strcmp(argv[at], "--socket") == 0 && at + 1 < argc) {
            snprintf(path, sizeof path, "%s", argv[++at]);
        } else {
            fprintf(stderr, "privateimctl: %s is no option, or lacks its value; see --help\n", argv[at]);
            return EXIT_USAGE;
        }
    }
    which = at < argc ? command_find(argc - at, argv + at, &words) : N_COMMANDS;
    if (which == N_COMMANDS) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (argc > at && strcmp(argv[argc - 1], "--json") == 0) { /* people write it at the end */
        as_json = true;
        argc--;
    }
    n_args = argc - at - words;
    if (n_args < commands[which].min_args || n_args > commands[which].max_args) {
        fprintf(stderr, "Usage: privateimctl %s %s\n", commands[which].words, commands[which].args);
        return EXIT_USAGE;
    }
    if (commands[which].secret && !secret_read(secret, sizeof secret))
        return EXIT_USAGE;
    rc = ask(path, argc - at, argv + at, commands[which].secret ? secret : NULL, as_json);
    explicit_bzero(secret, sizeof secret);
    return rc;
}
