/* Addresses as operators write them. No name server is asked. */
#include "conf/conf_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool
digits_parse(const char *text, long max, long *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    *out = strtol(text, NULL, 10);
    return *out <= max;
}

bool
pim_conf_address_parse(const char *text, struct sockaddr_storage *out_addr, socklen_t *out_len)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const char *colon = strrchr(text, ':');
    char host[64];
    size_t len;
    long port;

    if (colon == NULL || !digits_parse(colon + 1, 65535, &port) || port == 0)
        return false;
    len = (size_t)(colon - text);
    if (len == 0 || len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    memset(out_addr, 0, sizeof *out_addr);
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1)
            return false;
        in6.sin6_port = htons((uint16_t)port);
        memcpy(out_addr, &in6, sizeof in6);
        *out_len = sizeof in6;
        return true;
    }
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &in4.sin_addr) != 1)
        return false;
    in4.sin_port = htons((uint16_t)port);
    memcpy(out_addr, &in4, sizeof in4);
    *out_len = sizeof in4;
    return true;
}

/* The bytes of an address; IPv4 inside IPv6 is IPv4. @return 4, 16 or 0. */
static size_t
address_bytes(const struct sockaddr *addr, uint8_t out[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (addr->sa_family == AF_INET) {
        memcpy(out, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
        return 4;
    }
    if (addr->sa_family != AF_INET6)
        return 0;
    memcpy(out, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
    if (memcmp(out, mapped, sizeof mapped) != 0)
        return 16;
    memmove(out, out + 12, 4);
    return 4;
}

bool
pim_conf_address_is_loopback(const struct sockaddr *addr)
{
    uint8_t bytes[16];
    size_t n = address_bytes(addr, bytes);

    return (n == 4 && bytes[0] == 127) || (n == 16 && memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0);
}

/* "ADDRESS" or "ADDRESS/BITS". @return its bytes' count, 0 for what is none. */
static size_t
net_parse(const char *net, uint8_t out[16], long *out_bits)
{
    const char *slash = strchr(net, '/');
    size_t len = slash == NULL ? strlen(net) : (size_t)(slash - net), n;
    char host[64];

    if (len >= sizeof host)
        return 0;
    memcpy(host, net, len);
    host[len] = '\0';
    n = inet_pton(AF_INET, host, out) == 1 ? 4 : inet_pton(AF_INET6, host, out) == 1 ? 16 : 0;
    *out_bits = (long)n * 8;
    if (n > 0 && slash != NULL && !digits_parse(slash + 1, (long)n * 8, out_bits))
        return 0;
    return n;
}

bool
pim_conf_net_valid(const char *net)
{
    uint8_t bytes[16];
    long bits;

    return net_parse(net, bytes, &bits) != 0;
}

bool
pim_conf_net_contains(const char *net, const struct sockaddr *addr)
{
    uint8_t want[16], have[16];
    long bits = 0;
    size_t n = net_parse(net, want, &bits), whole;

    if (n == 0 || address_bytes(addr, have) != n)
        return false;
    whole = (size_t)bits / 8;
    if (memcmp(want, have, whole) != 0)
        return false;
    return bits % 8 == 0 || ((want[whole] ^ have[whole]) >> (8 - bits % 8)) == 0;
}
