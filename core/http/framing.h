/* http/framing.h - what stands between the wire and libevhtp: one HTTP/1.1 request at a time, read strictly.
 *
 * libevhtp takes half of the known malformed requests for good ones (request smuggling). So no byte of a peer reaches its
 * parser: this machine reads each byte once, keeps head and body apart, and refuses what RFC 9112 says must be refused.
 * The adapter then gives libevhtp a head of its own making.
 *
 * Owned by one connection. */
#ifndef PIM_HTTP_FRAMING_H
#define PIM_HTTP_FRAMING_H
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pim_http_method {
    PIM_HTTP_GET,
    PIM_HTTP_HEAD,
    PIM_HTTP_POST,
    PIM_HTTP_PUT,
    PIM_HTTP_DELETE,
    PIM_HTTP_OPTIONS,
    PIM_HTTP_PATCH,
    PIM_HTTP_METHODS
};

struct pim_http_limits {
    uint32_t head_bytes; /* request line and header lines */
    uint32_t headers;    /* their number */
    uint32_t uri_bytes;
    uint32_t body_bytes;
};

/* A piece of the head. */
struct pim_http_span {
    uint32_t at, len;
};
struct pim_http_header {
    struct pim_http_span name, value; /* value without white space around it */
};

enum pim_http_framing_state {
    PIM_HTTP_AT_START, /* nothing of a request seen yet (empty lines before one do not count) */
    PIM_HTTP_IN_HEAD,
    PIM_HTTP_IN_BODY,
    PIM_HTTP_COMPLETE, /* feed no more before the reset */
    PIM_HTTP_BROKEN    /* answer status and close */
};

struct pim_http_framing {
    const struct pim_http_limits *limits; /* borrowed */
    enum pim_http_framing_state state;
    int at; /* the machine's own: where in the head */
    struct pim_buf head, body;
    struct pim_http_header *headers;
    uint32_t n_headers, cap_headers;
    enum pim_http_method method;
    struct pim_http_span target;
    struct pim_http_header line; /* being read */
    uint32_t mark, skipped;
    uint32_t hosts, lengths;
    uint64_t content_length;
    int minor; /* HTTP/1.minor */
    bool chunked, close, expects_continue;
    int status;        /* with BROKEN */
    const char *error; /* static */
};

/** Begin; limits are borrowed. */
void pim_http_framing_init(struct pim_http_framing *framing, const struct pim_http_limits *limits);
void pim_http_framing_fini(struct pim_http_framing *framing);
/** Be ready for the next request of the connection. */
void pim_http_framing_reset(struct pim_http_framing *framing);

/**
 * Read bytes of the request.
 *
 * @return how many were taken: all, or fewer when the request is complete (the rest belongs to the next one) or broken;
 *         look at state afterwards
 *
 * Source: RFC 9112 2 to 7, RFC 9110 5.
 */
size_t pim_http_framing_feed(struct pim_http_framing *framing, const char *src, size_t src_len);

/** May the connection be used again after this request? Only when COMPLETE. HTTP/1.0 may not. */
bool pim_http_framing_keeps_alive(const struct pim_http_framing *framing);

/** Is token in a comma-separated list? Case does not matter. */
bool pim_http_list_has(const char *list, size_t list_len, const char *token);

/** "GET", ...; static. */
const char *pim_http_method_name(enum pim_http_method method);

#endif
