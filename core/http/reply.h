/* http/reply.h - replies as bytes: status line, the headers that every reply carries, body. */
#ifndef PIM_HTTP_REPLY_H
#define PIM_HTTP_REPLY_H
#include "http/http_priv.h"

struct evbuffer;

#define PIM_HTTP_REPLY_MAX_BYTES (8u << 20)

/** Write the reply that stands in a request; a HEAD request gets no body. */
void pim_http_reply_write(struct pim_http *http, struct evbuffer *out, const struct pim_http_request *request);
/** Write an error for bytes that never became a request; closes. error is static. */
void pim_http_reply_refusal(struct pim_http *http, struct evbuffer *out, int status, const char *error);

#endif
