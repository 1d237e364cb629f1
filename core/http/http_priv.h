/* http/http_priv.h - what the files of this folder share. */
#ifndef PIM_HTTP_HTTP_PRIV_H
#define PIM_HTTP_HTTP_PRIV_H
#include "http/http.h"
#include "http/limits.h"
#include "http/request.h"
#include "net/upgrade.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct pim_http_pages;

struct pim_http_counts {
    _Atomic uint64_t accepted, refused, malformed, timeouts, requests, upgrades;
    _Atomic uint64_t replies[6]; /* by hundreds of the status */
};

struct pim_http {
    struct pim_http_config config;
    struct pim_im *im;
    const struct pim_upgrade_ops *ws;
    SSL_CTX *ssl_ctx; /* NULL: plain */
    struct pim_http_pages *pages;
    struct pim_http_gate *gate;
    struct pim_http_thread *threads; /* config.threads of them */
    uint16_t *ports;
    atomic_bool stopping;
    _Atomic uint32_t in_flight; /* requests that have not come home */
    struct pim_http_counts counts;
};

/** Find the route and start the request: the reply is there, or comes home later. The connection's thread. */
enum pim_http_verdict pim_http_dispatch(struct pim_http_request *request);

#endif
