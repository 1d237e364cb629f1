/* http/handover.h - a connection's socket leaves its bufferevent for the WebSocket side. */
#ifndef PIM_HTTP_HANDOVER_H
#define PIM_HTTP_HANDOVER_H
#include "http/http_priv.h"

struct bufferevent;
struct evbuffer;
struct event_base;

/**
 * Take the descriptor (and the TLS state) out of a bufferevent, free the bufferevent and call the WebSocket side's adopt().
 *
 * @param ssl    NULL: plain; the bufferevent's own, no other reference is kept
 * @param early  bytes that came after the request; borrowed
 *
 * The request counts as in flight until adopt() was called, which with TLS is a turn of the loop later. The loop's thread.
 */
void pim_http_handover(struct pim_http *http, struct event_base *base, struct bufferevent *bev, SSL *ssl,
                       struct evbuffer *early, void *ticket);

#endif
