#include "ctl/ctl.h"

#include "ctl/ctl_priv.h"
#include "util/buf.h"
#include "util/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_BYTES (64 << 10)
#define TALK_TIMEOUT_S 5

/* --- opening --- */

static int
fail_errno(struct pim_err *err, const char *path, const char *what)
{
    int saved = errno,
        rc = pim_err_set(err, PIM_ERR_UNAVAILABLE, "control socket %.120s: %s: %s", path, what, strerror(saved));

    if (err != NULL)
        err->native_code = saved;
    return rc;
}

/* Does a server answer there? */
static bool
alive(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0;

    if (fd >= 0)
        close(fd);
    return yes;
}

int
pim_ctl_open(const char *runtime_dir, struct pim_ctl **out_ctl, struct pim_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct pim_ctl *ctl;
    int fd;

    if ((size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control", runtime_dir) >= sizeof addr.sun_path)
        return pim_err_set(err, PIM_ERR_INVALID, "the path of a Unix socket has at most %zu bytes; %.120s is too long",
                           sizeof addr.sun_path - 1 - strlen("/control"), runtime_dir);
    if (mkdir(runtime_dir, 0700) != 0 && errno != EEXIST)
        return fail_errno(err, runtime_dir, "cannot make the directory");
    if (alive(&addr)) {
        pim_err_set(err, PIM_EXISTS, "another server answers on %.120s", addr.sun_path);
        return PIM_EXISTS;
    }
    if (unlink(addr.sun_path) != 0 && errno != ENOENT)
        return fail_errno(err, addr.sun_path, "cannot replace it");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* the mode of the unbound socket becomes the file's, so it is never open to others: Linux, net/unix/af_unix.c */
    if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(fd, 16) != 0) {
        int rc = fail_errno(err, addr.sun_path, "cannot be made");

        if (fd >= 0)
            close(fd);
        return rc;
    }
    ctl = pim_new0(sizeof *ctl);
    ctl->listen_fd = fd;
    ctl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ctl->path = pim_strdup(addr.sun_path);
    if (ctl->stop_fd < 0) {
        int rc = fail_errno(err, addr.sun_path, "eventfd");

        pim_ctl_stop(&ctl);
        return rc;
    }
    pim_ctl_builtins_add(ctl);
    *out_ctl = ctl;
    return PIM_OK;
}

void
pim_ctl_command_add(struct pim_ctl *ctl, const char *name, pim_ctl_fn fn, void *ctx)
{
    size_t i = 0;

    while (i < ctl->n_commands && strcmp(ctl->commands[i].name, name) != 0)
        i++;
    if (i == ctl->n_commands)
        ctl->commands = pim_renew(ctl->commands, ++ctl->n_commands, sizeof *ctl->commands);
    ctl->commands[i] = (struct pim_ctl_command){name, fn, ctx};
}

void
pim_ctl_status_add(struct pim_ctl *ctl, pim_ctl_fn fn, void *ctx)
{
    if (ctl->n_facts == PIM_COUNT(ctl->facts))
        abort(); /* main adds a fixed few */
    ctl->facts[ctl->n_facts++] = (struct pim_ctl_command){"status", fn, ctx};
}

const char *
pim_ctl_arg(const struct pim_ctl_request *request, size_t i)
{
    return json_string_value(json_array_get(request->args, i));
}

/* --- one request --- */

/* How many words of cmd are the command's name; 0: it is another command. */
static size_t
matches(const char *name, const json_t *cmd)
{
    size_t words = 0;

    while (*name != '\0') {
        const char *word = json_string_value(json_array_get(cmd, words));
        size_t len = strcspn(name, " ");

        if (word == NULL || strlen(word) != len || memcmp(word, name, len) != 0)
            return 0;
        words++;
        name += len;
        name += *name == ' ';
    }
    return words;
}

static json_t *
answer_error(const char *text)
{
    return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static json_t *
command_run(struct pim_ctl *ctl, const struct pim_ctl_command *command, const json_t *cmd, size_t words,
            const char *secret)
{
    struct pim_err err = PIM_ERR_INIT;
    json_t *args = json_array(), *result = json_object(), *reply;
    struct pim_ctl_request request = {.args = args, .secret = secret};
    int rc;

    (void)ctl;
    for (size_t i = words; i < json_array_size(cmd); i++)
        json_array_append(args, json_array_get(cmd, i));
    rc = command->fn(command->ctx, &request, result, &err);
    if (rc == PIM_OK)
        reply = json_pack("{s:b, s:O}", "ok", 1, "result", result);
    else
        reply = answer_error(err.msg[0] != '\0' ? err.msg : pim_err_name(rc));
    json_decref(args);
    json_decref(result);
    return reply;
}

static bool
words_valid(const json_t *cmd)
{
    if (!json_is_array(cmd) || json_array_size(cmd) == 0)
        return false;
    for (size_t i = 0; i < json_array_size(cmd); i++)
        if (!json_is_string(json_array_get(cmd, i)))
            return false;
    return true;
}

static json_t *
request_answer(struct pim_ctl *ctl, const char *text, size_t text_len)
{
    json_t *request = json_loadb(text, text_len, JSON_REJECT_DUPLICATES, NULL), *reply;
    const json_t *cmd = json_object_get(request, "cmd");
    const struct pim_ctl_command *best = NULL;
    size_t best_words = 0;

    if (!words_valid(cmd)) {
        json_decref(request);
        return answer_error("the request is not {\"cmd\": [words]}");
    }
    for (size_t i = 0; i < ctl->n_commands; i++) {
        size_t words = matches(ctl->commands[i].name, cmd);

        if (words > best_words) {
            best_words = words;
            best = &ctl->commands[i];
        }
    }
    if (best == NULL)
        reply = answer_error("this server has no such command");
    else
        reply = command_run(ctl, best, cmd, best_words, json_string_value(json_object_get(request, "secret")));
    json_decref(request);
    return reply;
}

/* --- the connection --- */

static bool
peer_allowed(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && (cred.uid == 0 || cred.uid == geteuid());
}

static void
line_send(int fd, json_t *reply)
{
    char *text = json_dumps(reply, JSON_COMPACT);
    size_t len = text == NULL ? 0 : strlen(text), at = 0;

    if (text != NULL)
        text[len++] = '\n'; /* where the NUL byte stood */
    while (at < len) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* the caller has gone */
        at += (size_t)n;
    }
    free(text);
    json_decref(reply);
}

static void
connection_serve(struct pim_ctl *ctl, int fd)
{
    struct timeval timeout = {.tv_sec = TALK_TIMEOUT_S};
    struct pim_buf buf;

    if (!peer_allowed(fd)) {
        line_send(fd, answer_error("only root and the server's user may use the control socket"));
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    pim_buf_init(&buf, REQUEST_BYTES);
    while (buf.len == 0 || buf.data[buf.len - 1] != '\n') {
        char some[4096];
        ssize_t n = recv(fd, some, sizeof some, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            goto out; /* gone, or too slow */
        if (pim_buf_add(&buf, some, (size_t)n) != PIM_OK) {
            line_send(fd, answer_error("the request is too long"));
            goto out;
        }
        explicit_bzero(some, sizeof some); /* it may hold a password */
    }
    line_send(fd, request_answer(ctl, buf.data, buf.len));
out:
    if (buf.data != NULL)
        explicit_bzero(buf.data, buf.cap);
    pim_buf_fini(&buf);
}

static void *
ctl_main(void *arg)
{
    struct pim_ctl *ctl = arg;
    struct pollfd fds[] = {{.fd = ctl->listen_fd, .events = POLLIN}, {.fd = ctl->stop_fd, .events = POLLIN}};

    pthread_setname_np(pthread_self(), "pim-ctl");
    for (;;) {
        int fd;

        if (poll(fds, PIM_COUNT(fds), -1) < 0)
            continue; /* EINTR */
        if (fds[1].revents != 0)
            return NULL;
        fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                poll(&fds[1], 1, 100); /* out of descriptors: no spinning */
            continue;
        }
        connection_serve(ctl, fd);
        close(fd);
    }
}

int
pim_ctl_start(struct pim_ctl *ctl, struct pim_err *err)
{
    sigset_t all, before;
    int failed;

    /* signals are main's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&ctl->thread, NULL, ctl_main, ctl);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return pim_err_set(err, PIM_ERR_INTERNAL, "cannot start the control thread: %s", strerror(failed));
    ctl->running = true;
    return PIM_OK;
}

void
pim_ctl_stop(struct pim_ctl **ctl)
{
    struct pim_ctl *c = *ctl;

    if (c == NULL)
        return;
    if (c->running) {
        uint64_t one = 1;

        /* an eventfd that was never written to cannot be full */
        if (write(c->stop_fd, &one, sizeof one) != sizeof one)
            abort();
        pthread_join(c->thread, NULL);
    }
    unlink(c->path);
    close(c->listen_fd);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    free(c->path);
    free(c->commands);
    free(c);
    *ctl = NULL;
}
