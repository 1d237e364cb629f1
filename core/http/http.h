/* http/http.h - the HTTP side: one port for the API, the page, and the way to WebSocket.
 *
 * A request walks: kernel -> a libevhtp listener on one of our threads (evhtp_adapter.c) -> our framing check (framing.h) -> libevhtp,
 * which gets a head that we wrote -> router.h, which finds the route and asks the session -> a handler (api_*.c), which
 * answers at once or starts blocking steps on storage threads (task.h) -> back to the connection's thread, which writes the
 * reply. A request that asks for Upgrade leaves through net/upgrade.h instead. */
#ifndef PIM_HTTP_HTTP_H
#define PIM_HTTP_HTTP_H
#include "http/framing.h"
#include "util/buf.h"
#include "util/err.h"

struct pim_http;
struct pim_im;
struct pim_upgrade_ops;

struct pim_http_listen {
    const char *address; /* numeric, IPv4 or IPv6 */
    uint16_t port;       /* 0: any, see pim_http_port */
    bool is_status;      /* serves /metrics, /healthz, /readyz and nothing else, always plain */
};

/* All borrowed until pim_http_stop. */
struct pim_http_config {
    const struct pim_http_listen *listens;
    uint32_t n_listens;
    uint32_t threads;
    const char *tls_cert, *tls_key; /* PEM files; both NULL: plain */
    const char *web_dir;            /* NULL: no page */
    struct pim_http_limits limits;
    uint32_t header_timeout_ms; /* for a whole head, and from the connection to the first one */
    uint32_t body_rate;         /* bytes a second that a body must come with, after 5 s */
    uint32_t idle_timeout_ms;   /* between two requests */
    uint32_t write_timeout_ms;  /* without progress of a reply */
    uint32_t max_connections, max_connections_per_address;
    const char *const *trusted_proxies; /* networks whose X-Forwarded-For is believed */
    uint32_t n_trusted_proxies;
    bool limit_loopback; /* the limit by address holds for loopback addresses too */
    uint32_t drain_ms;   /* how long pim_http_stop lets requests finish */
    /* May traffic come? @return true, or false with *why, static storage. Any HTTP thread; NULL: always. */
    bool (*ready)(void *ctx, const char **why);
    /* Add what the rest of the process counts, in Prometheus' text format. Any HTTP thread; may be NULL. */
    void (*metrics)(void *ctx, struct pim_buf *out);
    void *ctx;
};

/** The defaults of everything but listens, tls_*, web_dir and the callbacks. */
void pim_http_config_init(struct pim_http_config *config);

/**
 * Bind the listeners, load the page and the certificate, and start the threads.
 *
 * @param im   the rules; borrowed
 * @param ws   where upgrades go; borrowed; NULL: they are refused
 * @return PIM_OK, PIM_ERR_INVALID (certificate, address), PIM_ERR_UNAVAILABLE (address in use); text in err. Main thread.
 */
PIM_MUST_CHECK int pim_http_start(const struct pim_http_config *config, struct pim_im *im,
                                  const struct pim_upgrade_ops *ws, struct pim_http **out_http, struct pim_err *err);

/** Stop listening, let requests in hand finish, close, free. The storage threads must still run. NULL is fine. Main thread. */
void pim_http_stop(struct pim_http **http);

/** The port that a listener got. Any thread. */
uint16_t pim_http_port(const struct pim_http *http, uint32_t listen);

#endif
