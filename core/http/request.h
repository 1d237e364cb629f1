/* http/request.h - one request and its reply, as handlers see them.
 *
 * Owned by whoever works on it: the connection's thread until a handler answers PIM_HTTP_LATER, then the jobs it went to,
 * until pim_http_request_done sends it home. It holds its own copies, so the connection may go away at any time. */
#ifndef PIM_HTTP_REQUEST_H
#define PIM_HTTP_REQUEST_H
#include "http/http.h"
#include "im/im.h"
#include "net/mailbox.h"

struct pim_http_conn;
struct pim_http_route;
struct pim_http_thread;

enum pim_http_verdict {
    PIM_HTTP_REPLY, /* the reply stands in the request */
    PIM_HTTP_LATER  /* the request is somebody else's now, who ends with pim_http_request_done */
};

struct pim_http_request {
    struct pim_mail mail; /* first */
    struct pim_http *http;
    struct pim_http_thread *thread;
    struct pim_http_conn *conn; /* that thread's alone; NULL: the client is gone */
    const struct pim_http_route *route;
    void *ctx; /* the handler's own; free()d with the request */
    void (*ctx_fini)(void *ctx);

    enum pim_http_method method;
    struct pim_buf head, body;
    struct pim_http_header *headers;
    uint32_t n_headers;
    char *path;        /* decoded */
    const char *query; /* raw, after '?', "" without */
    const char *param; /* last segment of the path, where the route has one */
    char address[48];
    bool is_loopback, is_tls, is_status;
    struct pim_caller caller; /* with an authenticated route */

    /* reply */
    int status;
    struct pim_buf out;
    const char *content_type; /* NULL: JSON */
    const void *file;         /* or the body is this, static */
    size_t file_len;
    const char *etag;
    uint32_t retry_after_s;   /* 0: no such header */
    const char *allow;        /* NULL: no such header; static */
    const char *extra_header; /* NULL, or "Name: value"; static */
    bool is_page;             /* the page's policy instead of the API's */
    bool close;
    void *ticket; /* status 101: for the WebSocket side */
};

/** Free; NULL is fine. Any thread. */
void pim_http_request_free(struct pim_http_request **request);

/** A header's value as a fresh string (free() it), repeated fields joined by ", "; NULL: there is none. */
char *pim_http_request_header_dup(const struct pim_http_request *request, const char *name);
/** A field of the query, decoded, fresh (free() it); NULL: not there, or not valid text. */
char *pim_http_request_query_dup(const struct pim_http_request *request, const char *name);
/** A whole number in the query: PIM_OK; PIM_NOT_FOUND; PIM_ERR_INVALID. */
int pim_http_request_query_int(const struct pim_http_request *request, const char *name, int64_t *out_value);

/** Decode %XX. @return false when that is malformed or the result is no valid text or holds a control character. */
bool pim_http_decode(const char *src, size_t src_len, bool plus_is_space, char **out_text);

/** The reply is an error: {"error": "..."}. @return PIM_HTTP_REPLY, for handlers to pass on. */
enum pim_http_verdict pim_http_fail(struct pim_http_request *request, int status, const char *fmt, ...) PIM_PRINTF(3, 4);
/** The same with Retry-After. */
enum pim_http_verdict pim_http_fail_retry(struct pim_http_request *request, int status, uint32_t after_s,
                                          const char *error);
/** Failures of the layers below become 503 (or 500 where it is a bug); logged once here. */
enum pim_http_verdict pim_http_fail_rc(struct pim_http_request *request, int rc, const struct pim_err *err);
/** Begin a JSON reply: the body goes into request->out. */
void pim_http_json(struct pim_http_request *request, int status);

/** Send a request with its reply home to its connection. Any thread; takes it over. */
void pim_http_request_done(struct pim_http_request *request);

#endif
