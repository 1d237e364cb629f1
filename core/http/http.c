#include "http/http.h"

#include "http/http_priv.h"
#include "http/pages.h"
#include "http/threads.h"
#include "http/tls.h"
#include "util/mem.h"

#include <string.h>

void
pim_http_config_init(struct pim_http_config *config)
{
    *config = (struct pim_http_config){.threads = 2,
                                       .limits = {.head_bytes = 16384, .headers = 100, .uri_bytes = 8192, .body_bytes = 65536},
                                       .header_timeout_ms = 10000,
                                       .body_rate = 500,
                                       .idle_timeout_ms = 75000,
                                       .write_timeout_ms = 30000,
                                       .max_connections = 10000,
                                       .max_connections_per_address = 256,
                                       .drain_ms = 5000};
}

static void
http_free(struct pim_http *http)
{
    pim_http_pages_free(&http->pages);
    pim_http_gate_free(&http->gate);
    SSL_CTX_free(http->ssl_ctx);
    free(http->ports);
    free(http);
}

int
pim_http_start(const struct pim_http_config *config, struct pim_im *im, const struct pim_upgrade_ops *ws,
               struct pim_http **out_http, struct pim_err *err)
{
    struct pim_http *http = pim_new0(sizeof *http);
    int rc = PIM_OK;

    http->config = *config;
    http->im = im;
    http->ws = ws;
    http->ports = pim_new0(config->n_listens * sizeof *http->ports);
    http->gate = pim_http_gate_new(config->max_connections, config->max_connections_per_address);
    if (config->tls_cert != NULL)
        rc = pim_http_tls_new(config->tls_cert, config->tls_key != NULL ? config->tls_key : config->tls_cert,
                              &http->ssl_ctx, err);
    if (rc == PIM_OK && config->web_dir != NULL)
        rc = pim_http_pages_load(config->web_dir, &http->pages, err);
    if (rc == PIM_OK)
        rc = pim_http_threads_start(http, err);
    if (rc < 0) {
        http_free(http);
        return rc;
    }
    *out_http = http;
    return PIM_OK;
}

void
pim_http_stop(struct pim_http **http)
{
    if (*http == NULL)
        return;
    atomic_store(&(*http)->stopping, true);
    pim_http_threads_stop(*http);
    http_free(*http);
    *http = NULL;
}

uint16_t
pim_http_port(const struct pim_http *http, uint32_t listen)
{
    return listen < http->config.n_listens ? http->ports[listen] : 0;
}
