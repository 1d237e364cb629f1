/* http/threads.h - the threads that accept and serve connections: start, mail, drain, stop. */
#ifndef PIM_HTTP_THREADS_H
#define PIM_HTTP_THREADS_H
#include "http/http_priv.h"

#include <pthread.h>

struct event_base;
struct pim_http_listener;

/* One thread. Owned by itself; others post to its mailbox. */
struct pim_http_thread {
    struct pim_http *http;
    pthread_t thread;
    struct event_base *base;
    struct pim_mailbox box;
    struct pim_mail drain, close; /* posted once each, by pim_http_threads_stop */
    bool runs, has_box, draining;
    _Atomic uint32_t n_conns;
    /* the adapter's: */
    struct pim_http_listener *listeners;
    LIST_HEAD(, pim_http_conn) conns;
};

/** Bind the listening sockets and start the threads. Main thread. */
PIM_MUST_CHECK int pim_http_threads_start(struct pim_http *http, struct pim_err *err);
/** Stop listening, drain for config.drain_ms, wait for requests in hand, close, join, free. Main thread. */
void pim_http_threads_stop(struct pim_http *http);
/** Send a request with its reply to its thread. Any thread; takes it over. */
void pim_http_threads_post(struct pim_http_request *request);

#endif
