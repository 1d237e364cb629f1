#include "http/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int64_t
pim_http_peer_read(const struct sockaddr *sa, char out_address[48], bool *out_is_loopback)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;
    struct in_addr mapped;
    int64_t key;

    if (sa->sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET6, &v6->sin6_addr, out_address, 48);
        *out_is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        memcpy(&key, &v6->sin6_addr, sizeof key);
        return key != 0 ? key : 1; /* ::1 */
    }
    if (sa->sa_family == AF_INET6)
        memcpy(&mapped, &v6->sin6_addr.s6_addr[12], sizeof mapped);
    else
        mapped = v4->sin_addr;
    inet_ntop(AF_INET, &mapped, out_address, 48);
    *out_is_loopback = (ntohl(mapped.s_addr) >> 24) == 127;
    return ((int64_t)1 << 32) | ntohl(mapped.s_addr);
}

int
pim_http_socket_bind(const struct pim_http_listen *listen_on, int *out_fd, uint16_t *out_port, struct pim_err *err)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (void *)&ss;
    struct sockaddr_in6 *v6 = (void *)&ss;
    socklen_t ss_len;
    int fd, on = 1;

    if (inet_pton(AF_INET, listen_on->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(listen_on->port);
        ss_len = sizeof *v4;
    } else if (inet_pton(AF_INET6, listen_on->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(listen_on->port);
        ss_len = sizeof *v6;
    } else {
        return pim_err_set(err, PIM_ERR_INVALID, "http: %s is no IPv4 or IPv6 address", listen_on->address);
    }
    fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pim_err_set(err, PIM_ERR_UNAVAILABLE, "http: socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&ss, ss_len) < 0 || listen(fd, PIM_HTTP_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&ss, &ss_len) < 0) {
        int why = errno;

        close(fd);
        return pim_err_set(err, PIM_ERR_UNAVAILABLE, "http: %s port %u: %s", listen_on->address, listen_on->port,
                           strerror(why));
    }
    *out_port = ntohs(ss.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    *out_fd = fd;
    return PIM_OK;
}
