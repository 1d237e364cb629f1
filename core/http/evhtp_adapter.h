/* http/evhtp_adapter.h - the only place that knows libevhtp: listeners, threads, connections, timers, replies, and how a
 * connection leaves for the WebSocket side. */
#ifndef PIM_HTTP_EVHTP_ADAPTER_H
#define PIM_HTTP_EVHTP_ADAPTER_H
#include "http/http.h"

struct pim_http_request;

/** Bind and start. Main thread. */
PIM_MUST_CHECK int pim_http_adapter_start(struct pim_http *http, struct pim_err *err);
/** Stop listening, drain for config.drain_ms, close, join, free. Main thread. NULL is fine. */
void pim_http_adapter_stop(struct pim_http *http);
/** Send a request with its reply to its connection's thread. Any thread. */
void pim_http_adapter_post(struct pim_http_request *request);

#endif
