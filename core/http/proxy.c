#include "http/proxy.h"

#include "conf/conf.h"
#include "http/socket.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool
address_read(const char *text, size_t text_len, struct sockaddr_storage *out)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    char copy[INET6_ADDRSTRLEN];

    if (text_len == 0 || text_len >= sizeof copy)
        return false;
    memcpy(copy, text, text_len);
    copy[text_len] = '\0';
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, copy, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        return true;
    }
    in6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, copy, &in6->sin6_addr) == 1;
}

bool
pim_http_proxy_is_trusted(const struct sockaddr *addr, const char *const *nets, uint32_t n_nets)
{
    for (uint32_t i = 0; i < n_nets; i++)
        if (pim_conf_net_contains(nets[i], addr))
            return true;
    return false;
}

static void
resolve(struct pim_http_request *request, const char *list, const char *const *nets, uint32_t n_nets)
{
    const char *end = list + strlen(list), *begin;
    struct sockaddr_storage addr;

    for (; end > list; end = begin > list ? begin - 1 : list) { /* from the last entry to the first */
        const char *first;
        size_t len;

        for (begin = end; begin > list && begin[-1] != ','; begin--)
            ;
        for (first = begin; first < end && (*first == ' ' || *first == '\t'); first++)
            ;
        for (len = (size_t)(end - first); len > 0 && (first[len - 1] == ' ' || first[len - 1] == '\t'); len--)
            ;
        if (!address_read(first, len, &addr))
            return;
        pim_http_peer_read((const struct sockaddr *)&addr, request->address, &request->is_loopback);
        if (!pim_http_proxy_is_trusted((const struct sockaddr *)&addr, nets, n_nets))
            return;
    }
}

void
pim_http_proxy_resolve(struct pim_http_request *request, const char *const *nets, uint32_t n_nets)
{
    struct sockaddr_storage addr;
    char *list;

    if (n_nets == 0 || !address_read(request->address, strlen(request->address), &addr) ||
        !pim_http_proxy_is_trusted((const struct sockaddr *)&addr, nets, n_nets))
        return;
    list = pim_http_request_header_dup(request, "X-Forwarded-For");
    if (list != NULL)
        resolve(request, list, nets, n_nets);
    free(list);
}
