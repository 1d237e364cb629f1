#include "http/reply.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

/* security.md 3. The page loads its own modules, styles and pictures and connects to its own server, nothing else. */
#define API_POLICY "default-src 'none'; frame-ancestors 'none'"
#define PAGE_POLICY                                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "               \
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

static const char *
reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}

static void
count(struct pim_http *http, int status)
{
    atomic_fetch_add(&http->counts.replies[status / 100 % 6], 1);
}

static void
head_write(struct pim_http *http, struct evbuffer *out, int status, bool is_page, const char *cache, bool close)
{
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\n"
                        "X-Content-Type-Options: nosniff\r\n"
                        "Referrer-Policy: no-referrer\r\n"
                        "Content-Security-Policy: %s\r\n"
                        "Cross-Origin-Resource-Policy: same-origin\r\n"
                        "Cache-Control: %s\r\n"
                        "%s%s",
                        status, reason(status), is_page ? PAGE_POLICY : API_POLICY, cache,
                        http->ssl_ctx != NULL ? "Strict-Transport-Security: max-age=31536000\r\n" : "",
                        close ? "Connection: close\r\n" : "");
}

void
pim_http_reply_write(struct pim_http *http, struct evbuffer *out, const struct pim_http_request *request)
{
    static const char too_large[] = "{\"error\":\"the answer would be too large\"}";
    int status = request->out.overflow ? 413 : request->status;
    const void *body = request->file != NULL ? request->file : request->out.data;
    size_t body_len = request->file != NULL ? request->file_len : request->out.len;
    const char *type = request->content_type != NULL ? request->content_type : "application/json; charset=utf-8";
    bool has_body = status != 204 && status != 304;

    if (request->out.overflow) {
        body = too_large;
        body_len = sizeof too_large - 1;
    }
    count(http, status);
    head_write(http, out, status, request->is_page, request->etag != NULL ? "no-cache" : "no-store", request->close);
    if (request->retry_after_s > 0)
        evbuffer_add_printf(out, "Retry-After: %u\r\n", request->retry_after_s);
    if (status == 401)
        evbuffer_add_printf(out, "WWW-Authenticate: Bearer\r\n");
    if (request->allow != NULL)
        evbuffer_add_printf(out, "Allow: %s\r\n", request->allow);
    if (request->etag != NULL)
        evbuffer_add_printf(out, "ETag: %s\r\n", request->etag);
    if (request->extra_header != NULL)
        evbuffer_add_printf(out, "%s\r\n", request->extra_header);
    if (has_body)
        evbuffer_add_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body_len);
    evbuffer_add(out, "\r\n", 2);
    if (!has_body || request->method == PIM_HTTP_HEAD || body_len == 0)
        return;
    if (request->file != NULL)
        evbuffer_add_reference(out, body, body_len, NULL, NULL);
    else
        evbuffer_add(out, body, body_len);
}

void
pim_http_reply_refusal(struct pim_http *http, struct evbuffer *out, int status, const char *error)
{
    count(http, status);
    head_write(http, out, status, false, "no-store", true);
    evbuffer_add_printf(out, "%sContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n\r\n{\"error\":\"%s\"}",
                        status == 503 ? "Retry-After: 2\r\n" : status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE\r\n" : "",
                        strlen(error) + 12, error);
}
