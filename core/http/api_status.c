/* Is the server alive, may traffic come, what has it counted. */
#include "http/http_priv.h"
#include "http/router.h"

static enum pim_http_verdict
healthz(struct pim_http_request *request)
{
    pim_http_json(request, 200);
    pim_buf_adds(&request->out, "{\"status\":\"ok\"}");
    return PIM_HTTP_REPLY;
}

static enum pim_http_verdict
readyz(struct pim_http_request *request)
{
    struct pim_http *http = request->http;
    const char *why = "the server is stopping";

    if (!atomic_load(&http->stopping) && (http->config.ready == NULL || http->config.ready(http->config.ctx, &why)))
        return healthz(request);
    return pim_http_fail_retry(request, 503, 2, why);
}

static void
put(struct pim_buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    pim_buf_addf(out, "# HELP privateim_http_%s %s\n# TYPE privateim_http_%s %s\nprivateim_http_%s %llu\n", name, help,
                 name, type, name, (unsigned long long)value);
}

static enum pim_http_verdict
metrics(struct pim_http_request *request)
{
    struct pim_http *http = request->http;
    struct pim_http_counts *counts = &http->counts;
    struct pim_buf *out = &request->out;

    pim_http_json(request, 200);
    request->content_type = "text/plain; version=0.0.4; charset=utf-8";
    put(out, "connections", "gauge", "HTTP connections open now", pim_http_gate_count(http->gate));
    put(out, "in_flight", "gauge", "Requests in hand", atomic_load(&http->in_flight));
    put(out, "accepted_total", "counter", "Connections accepted", atomic_load(&counts->accepted));
    put(out, "refused_total", "counter", "Connections refused by a limit", atomic_load(&counts->refused));
    put(out, "malformed_total", "counter", "Requests that broke the framing rules", atomic_load(&counts->malformed));
    put(out, "timeouts_total", "counter", "Connections closed for being too slow", atomic_load(&counts->timeouts));
    put(out, "requests_total", "counter", "Requests read", atomic_load(&counts->requests));
    put(out, "upgrades_total", "counter", "Connections handed to WebSocket", atomic_load(&counts->upgrades));
    pim_buf_adds(out, "# HELP privateim_http_replies_total Replies by class of status\n"
                      "# TYPE privateim_http_replies_total counter\n");
    for (int i = 2; i < 6; i++)
        pim_buf_addf(out, "privateim_http_replies_total{class=\"%dxx\"} %llu\n", i,
                     (unsigned long long)atomic_load(&counts->replies[i]));
    if (http->config.metrics != NULL)
        http->config.metrics(http->config.ctx, out);
    return PIM_HTTP_REPLY;
}

const struct pim_http_route pim_http_routes_public_status[] = {
    {.path = "/healthz", .open = true, .get = healthz},
    {.path = "/readyz", .open = true, .get = readyz},
    {.path = NULL},
};

const struct pim_http_route pim_http_routes_status[] = {
    {.path = "/healthz", .open = true, .get = healthz},
    {.path = "/readyz", .open = true, .get = readyz},
    {.path = "/metrics", .open = true, .get = metrics},
    {.path = NULL},
};
