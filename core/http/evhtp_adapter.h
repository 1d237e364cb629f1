/* http/evhtp_adapter.h - the only place that knows libevhtp: listeners, connections, timers, replies, and how a connection
 * leaves for the WebSocket side. All on the thread that owns the connections, unless said. */
#ifndef PIM_HTTP_EVHTP_ADAPTER_H
#define PIM_HTTP_EVHTP_ADAPTER_H
#include "http/http.h"

struct pim_http_request;
struct pim_http_thread;

/** Accept from the listening sockets (one for each of the config's listens, duplicated). Before the thread runs. */
PIM_MUST_CHECK int pim_http_adapter_listen(struct pim_http_thread *thread, const int *fds, struct pim_err *err);
/** Accept no more. */
void pim_http_adapter_unlisten(struct pim_http_thread *thread);
/** Close connections: all, or those that have no request in hand. */
void pim_http_adapter_close(struct pim_http_thread *thread, bool idle_only);
/** Free the listeners; the thread does not run (any more). */
void pim_http_adapter_fini(struct pim_http_thread *thread);
/** A request has come home: write its reply, or hand its connection over. Takes it over. */
void pim_http_adapter_reply(struct pim_http_request *request);

#endif
