#include "http/threads.h"

#include "http/evhtp_adapter.h"
#include "http/socket.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <unistd.h>

enum { MAIL_REPLY, MAIL_DRAIN, MAIL_CLOSE };

static void
on_mails(void *ctx, struct pim_mail_list *mails)
{
    struct pim_http_thread *thread = ctx;
    struct pim_mail *mail;

    while ((mail = STAILQ_FIRST(mails)) != NULL) {
        STAILQ_REMOVE_HEAD(mails, link);
        if (mail->kind == MAIL_REPLY) {
            pim_http_adapter_reply((struct pim_http_request *)mail);
            continue;
        }
        /* no new connections; those that wait for a request go now, the others after their reply or with the last mail */
        thread->draining = true;
        pim_http_adapter_unlisten(thread);
        pim_http_adapter_close(thread, mail->kind == MAIL_DRAIN);
        if (mail->kind == MAIL_CLOSE)
            event_base_loopbreak(thread->base);
    }
}

void
pim_http_threads_post(struct pim_http_request *request)
{
    request->mail.kind = MAIL_REPLY;
    if (pim_mailbox_post_always(&request->thread->box, &request->mail) != PIM_OK)
        abort(); /* the box is closed only when no request is out */
}

static void *
thread_main(void *arg)
{
    struct pim_http_thread *thread = arg;

    event_base_loop(thread->base, EVLOOP_NO_EXIT_ON_EMPTY);
    for (int i = 0; i < 4; i++) /* libevent frees bufferevents in later turns */
        event_base_loop(thread->base, EVLOOP_NONBLOCK);
    return NULL;
}

static int
thread_init(struct pim_http *http, struct pim_http_thread *thread, const int *fds, struct pim_err *err)
{
    thread->http = http;
    LIST_INIT(&thread->conns);
    thread->base = event_base_new();
    if (thread->base == NULL || pim_mailbox_init(&thread->box, thread->base, on_mails, thread, 0) != PIM_OK)
        return pim_err_set(err, PIM_ERR_INTERNAL, "http: no event base");
    thread->has_box = true;
    return pim_http_adapter_listen(thread, fds, err);
}

static void
threads_free(struct pim_http *http)
{
    for (uint32_t i = 0; i < http->config.threads; i++) {
        struct pim_http_thread *thread = &http->threads[i];

        if (thread->http == NULL)
            continue;
        pim_http_adapter_fini(thread);
        if (thread->has_box) {
            pim_mailbox_close(&thread->box);
            pim_mailbox_fini(&thread->box);
        }
        if (thread->base != NULL)
            event_base_free(thread->base);
    }
    free(http->threads);
    http->threads = NULL;
}

static void
post_all(struct pim_http *http, int kind)
{
    for (uint32_t i = 0; i < http->config.threads; i++) {
        struct pim_http_thread *thread = &http->threads[i];
        struct pim_mail *mail = kind == MAIL_DRAIN ? &thread->drain : &thread->close;

        mail->kind = kind;
        if (thread->runs && pim_mailbox_post_always(&thread->box, mail) != PIM_OK)
            abort();
    }
}

static void
join_all(struct pim_http *http)
{
    for (uint32_t i = 0; i < http->config.threads; i++) {
        if (http->threads[i].runs)
            pthread_join(http->threads[i].thread, NULL);
        http->threads[i].runs = false;
    }
}

int
pim_http_threads_start(struct pim_http *http, struct pim_err *err)
{
    int *fds = pim_new0(http->config.n_listens * sizeof *fds);
    uint32_t n_fds = 0;
    int rc = PIM_OK;

    signal(SIGPIPE, SIG_IGN); /* libevent and OpenSSL write to sockets whose peers have gone */
    http->threads = pim_new0(http->config.threads * sizeof *http->threads);
    if (evthread_use_pthreads() < 0)
        rc = pim_err_set(err, PIM_ERR_INTERNAL, "http: libevent without threads");
    while (n_fds < http->config.n_listens && rc == PIM_OK) {
        rc = pim_http_socket_bind(&http->config.listens[n_fds], &fds[n_fds], &http->ports[n_fds], err);
        n_fds += rc == PIM_OK;
    }
    for (uint32_t i = 0; i < http->config.threads && rc == PIM_OK; i++)
        rc = thread_init(http, &http->threads[i], fds, err);
    for (uint32_t i = 0; i < http->config.threads && rc == PIM_OK; i++) {
        struct pim_http_thread *thread = &http->threads[i];

        thread->runs = pthread_create(&thread->thread, NULL, thread_main, thread) == 0;
        if (!thread->runs)
            rc = pim_err_set(err, PIM_ERR_INTERNAL, "http: a thread does not start");
        else
            pthread_setname_np(thread->thread, "pim-http");
    }
    for (uint32_t i = 0; i < n_fds; i++)
        close(fds[i]);
    free(fds);
    if (rc < 0) {
        post_all(http, MAIL_CLOSE);
        join_all(http);
        threads_free(http);
    }
    return rc;
}

/* Wait until no request is out, or (also) no connection is left. */
static bool
wait_until_quiet(struct pim_http *http, bool no_conns, uint32_t for_ms)
{
    int64_t until_ms = pim_clock_mono_ms() + for_ms;

    for (;;) {
        uint32_t n = atomic_load(&http->in_flight);

        for (uint32_t i = 0; no_conns && i < http->config.threads; i++)
            n += atomic_load(&http->threads[i].n_conns);
        if (n == 0)
            return true;
        if (pim_clock_mono_ms() >= until_ms)
            return false;
        usleep(1000);
    }
}

void
pim_http_threads_stop(struct pim_http *http)
{
    post_all(http, MAIL_DRAIN);
    wait_until_quiet(http, true, http->config.drain_ms);
    /* What is out comes home: jobs have deadlines, and nobody may be left with a pointer to us. */
    while (!wait_until_quiet(http, false, 10000))
        pim_log(PIM_LOG_WARNING, "http: waiting for %u requests in hand", atomic_load(&http->in_flight));
    post_all(http, MAIL_CLOSE);
    join_all(http);
    threads_free(http);
}
