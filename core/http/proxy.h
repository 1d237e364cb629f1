/* http/proxy.h - who is behind a proxy that the operator trusts. Any thread. */
#ifndef PIM_HTTP_PROXY_H
#define PIM_HTTP_PROXY_H
#include "http/request.h"

#include <sys/socket.h>

/**
 * If the peer is a trusted proxy, the request's address becomes that of the client it names: the last entry of X-Forwarded-For
 * that is not itself a trusted proxy. Anything that is no address ends the search: what stands left of it is hearsay.
 *
 * @param nets    networks as pim_conf_net_contains reads them; borrowed
 * @param n_nets  0: nobody is trusted
 */
void pim_http_proxy_resolve(struct pim_http_request *request, const char *const *nets, uint32_t n_nets);

/** Is this the address of a trusted proxy? nets, n_nets as above. */
bool pim_http_proxy_is_trusted(const struct sockaddr *addr, const char *const *nets, uint32_t n_nets);

#endif
