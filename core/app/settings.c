#include "app/settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

void
pim_app_im_config(const struct pim_conf *conf, struct pim_im_config *out)
{
    *out = (struct pim_im_config){
        .name_chars = (uint32_t)conf->im.name_chars,
        .note_chars = (uint32_t)conf->im.note_chars,
        .email_chars = (uint32_t)conf->im.email_chars,
        .password_min = (uint32_t)conf->im.password_min,
        .password_max = (uint32_t)conf->im.password_max,
        .token_life_s = (uint32_t)(conf->auth.token_life_ms / 1000),
        .session_check_ms = (uint32_t)conf->auth.session_check_ms,
        .sign_in_free_tries = (uint32_t)conf->auth.sign_in_free_tries,
        .sign_in_max_delay_s = (uint32_t)(conf->auth.sign_in_max_delay_ms / 1000),
        .sign_in_hard_stop = (uint32_t)conf->auth.sign_in_hard_stop,
        .sign_ups_per_hour_per_address = (uint32_t)conf->auth.sign_ups_per_hour_per_address,
        .limit_loopback = conf->http.limit_loopback,
        .friend_requests_per_day = (uint32_t)conf->im.friend_requests_per_day,
        .groups_per_user = (uint32_t)conf->im.groups_per_user,
        .group_members = (uint32_t)conf->im.group_members,
        .show_joins_up_to = (uint32_t)conf->im.show_joins_up_to,
        .history_before_join = conf->im.history_before_join,
        .connections_per_user = (uint32_t)conf->ws.connections_per_user,
        .messages_per_s = (uint32_t)conf->ws.messages_per_s,
        .messages_burst = (uint32_t)conf->ws.messages_burst,
        .sync_rows = (uint32_t)conf->ws.sync_rows,
        .resend_window_s = (uint32_t)(conf->storage.resend_window_ms / 1000),
    };
}

void
pim_app_log_limits(const struct pim_conf *conf, struct pim_msglog_limits *out)
{
    *out = (struct pim_msglog_limits){
        .threads = UINT32_MAX, /* as many as the engine takes */
        .queue_items = (uint32_t)conf->storage.queue_items,
        .queue_bytes = (uint64_t)conf->storage.queue_bytes,
        .batch_items = (uint32_t)conf->storage.batch_items,
        .conversations = (uint32_t)conf->storage.conversations,
        .senders = (uint32_t)conf->storage.senders,
        .search_rows_per_s = (uint32_t)conf->storage.search_rows_per_s,
        .resend_window_ms = conf->storage.resend_window_ms,
        .skew_ms = PIM_SKEW_MS,
        .jobs = (uint32_t)conf->storage.job_queue,
    };
}

void
pim_app_ws_config(const struct pim_conf *conf, struct pim_ws_config *out, struct pim_buf *origins)
{
    pim_buf_init(origins, 1u << 20);
    for (uint32_t i = 0; i < conf->http.allowed_origins.n; i++) {
        if (i > 0)
            pim_buf_addc(origins, ',');
        pim_buf_adds(origins, conf->http.allowed_origins.items[i]);
    }
    *out = (struct pim_ws_config){
        .workers = (uint32_t)conf->server.io_workers,
        .connections = (uint32_t)conf->http.connections,
        .frame_bytes = (uint32_t)conf->ws.frame_bytes,
        .message_bytes = (uint32_t)conf->ws.message_bytes,
        .heartbeat_s = (uint32_t)(conf->ws.heartbeat_ms / 1000),
        .output_bytes = (uint32_t)conf->ws.output_bytes,
        .output_timeout_s = (uint32_t)(conf->ws.output_timeout_ms / 1000),
        .flood_per_s = (uint32_t)conf->ws.flood_per_s,
        .in_flight = (uint32_t)conf->ws.in_flight,
        .raw_message_bytes = (uint32_t)conf->ws.raw_message_bytes,
        .restart_wait_s = 3,
        .query_token = conf->ws.query_token,
        .allowed_origins = pim_buf_cstr(origins),
    };
}

static int
listen_add(struct pim_app_listens *listens, const char *text, bool is_status, bool must_be_loopback, struct pim_err *err)
{
    struct pim_http_listen *listen = &listens->list[listens->n];
    char *address = listens->addresses[listens->n];
    struct sockaddr_storage addr;
    socklen_t len;

    if (!pim_conf_address_parse(text, &addr, &len))
        return pim_err_set(err, PIM_ERR_INVALID, "'%s' is no ADDRESS:PORT", text);
    if (must_be_loopback && !pim_conf_address_is_loopback((struct sockaddr *)&addr))
        return pim_err_set(err, PIM_ERR_DENIED,
                           "plain HTTP on %s, which others can reach: give tls_cert and tls_key, or allow it with "
                           "insecure_listen = yes (--insecure)",
                           text);
    if (addr.ss_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

        inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof listens->addresses[0]);
        listen->port = ntohs(in6->sin6_port);
    } else {
        struct sockaddr_in *in4 = (struct sockaddr_in *)&addr;

        inet_ntop(AF_INET, &in4->sin_addr, address, sizeof listens->addresses[0]);
        listen->port = ntohs(in4->sin_port);
    }
    listen->address = address;
    listen->is_status = is_status;
    listens->n++;
    return PIM_OK;
}

int
pim_app_http_config(const struct pim_conf *conf, struct pim_http_config *out, struct pim_app_listens *listens,
                    struct pim_err *err)
{
    bool plain = conf->server.tls_cert[0] == '\0';
    int rc = PIM_OK;

    listens->n = 0;
    for (uint32_t i = 0; i < conf->server.listen.n && rc == PIM_OK; i++)
        rc = listen_add(listens, conf->server.listen.items[i], false, plain && !conf->server.insecure_listen, err);
    if (rc == PIM_OK && conf->server.metrics_listen[0] != '\0')
        rc = listen_add(listens, conf->server.metrics_listen, true, false, err);
    if (rc != PIM_OK)
        return rc;
    pim_http_config_init(out);
    out->listens = listens->list;
    out->n_listens = listens->n;
    out->threads = (uint32_t)conf->server.http_threads;
    out->tls_cert = plain ? NULL : conf->server.tls_cert;
    out->tls_key = plain ? NULL : conf->server.tls_key;
    out->limits.head_bytes = (uint32_t)conf->http.header_bytes;
    out->limits.headers = (uint32_t)conf->http.header_fields;
    out->limits.uri_bytes = (uint32_t)conf->http.uri_bytes;
    out->limits.body_bytes = (uint32_t)conf->http.body_bytes;
    out->header_timeout_ms = (uint32_t)conf->http.header_timeout_ms;
    out->body_rate = (uint32_t)conf->http.body_rate_bytes_per_s;
    out->idle_timeout_ms = (uint32_t)conf->http.idle_timeout_ms;
    out->max_connections = (uint32_t)conf->http.connections;
    out->max_connections_per_address = (uint32_t)conf->http.connections_per_address;
    out->limit_loopback = conf->http.limit_loopback;
    out->trusted_proxies = (const char *const *)conf->server.trusted_proxies.items;
    out->n_trusted_proxies = conf->server.trusted_proxies.n;
    return PIM_OK;
}
