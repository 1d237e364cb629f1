/* http/socket.h - listening sockets and the addresses of peers. Any thread. */
#ifndef PIM_HTTP_SOCKET_H
#define PIM_HTTP_SOCKET_H
#include "http/http.h"

struct sockaddr;

#define PIM_HTTP_BACKLOG 4096

/** Bind and listen. @return PIM_OK, PIM_ERR_INVALID (no address), PIM_ERR_UNAVAILABLE (in use, ...); text in err. */
PIM_MUST_CHECK int pim_http_socket_bind(const struct pim_http_listen *listen_on, int *out_fd, uint16_t *out_port,
                                        struct pim_err *err);

/** A peer's numeric address, whether it is loopback, and the key of the limit by address: an IPv4 address, or the /64 of an
 *  IPv6 one. @return the key */
int64_t pim_http_peer_read(const struct sockaddr *sa, char out_address[48], bool *out_is_loopback);

#endif
