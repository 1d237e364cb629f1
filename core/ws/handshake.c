#include "ws/handshake.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The next token of a comma-separated list. */
static bool
next_token(const char **at, const char **out_token, size_t *out_len)
{
    const char *p = *at;

    while (*p == ' ' || *p == '\t' || *p == ',')
        p++;
    if (*p == '\0')
        return false;
    *out_token = p;
    while (*p != '\0' && *p != ',')
        p++;
    *at = p;
    while (p > *out_token && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    *out_len = (size_t)(p - *out_token);
    return true;
}

bool
pim_ws_has_token(const char *list, const char *name)
{
    const char *token;
    size_t len;

    while (list != NULL && next_token(&list, &token, &len))
        if (len == strlen(name) && strncasecmp(token, name, len) == 0)
            return true;
    return false;
}

bool
pim_ws_find_token(const char *list, const char *prefix, const char **out_rest, size_t *out_rest_len)
{
    size_t prefix_len = strlen(prefix), len;
    const char *token;

    while (list != NULL && next_token(&list, &token, &len))
        if (len > prefix_len && strncmp(token, prefix, prefix_len) == 0) {
            *out_rest = token + prefix_len;
            *out_rest_len = len - prefix_len;
            return true;
        }
    return false;
}

/* 16 bytes in base64: 22 digits and two pads. */
static bool
key_is_valid(const char *key)
{
    if (key == NULL || strlen(key) != 24 || key[22] != '=' || key[23] != '=')
        return false;
    for (int i = 0; i < 22; i++) {
        char c = key[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

static int
refuse(struct pim_ws_refusal *out, int status, const char *error, const char *header)
{
    *out = (struct pim_ws_refusal){status, error, header};
    return PIM_REFUSED;
}

int
pim_ws_handshake_check(const struct pim_upgrade_request *request, struct pim_ws_refusal *out)
{
    if (!pim_ws_has_token(request->upgrade, "websocket"))
        return refuse(out, 400, "the server upgrades to websocket only", NULL);
    if (!pim_ws_has_token(request->connection, "upgrade"))
        return refuse(out, 400, "a WebSocket handshake needs 'Connection: Upgrade'", NULL);
    if (request->version == NULL || strcmp(request->version, "13") != 0)
        return refuse(out, 426, "the WebSocket version must be 13", "Sec-WebSocket-Version: 13");
    if (!key_is_valid(request->key))
        return refuse(out, 400, "'Sec-WebSocket-Key' must be 16 bytes in base64", NULL);
    return PIM_OK;
}

void
pim_ws_handshake_accept(const char *key, char out_accept[PIM_WS_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    char both[128];
    unsigned n = 0;
    int len = snprintf(both, sizeof both, "%.64s%s", key, guid);

    EVP_Digest(both, (size_t)len, digest, &n, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)out_accept, digest, (int)n);
}

bool
pim_ws_origin_is_allowed(const char *origin, const char *host, bool tls, const char *allowed)
{
    const char *token;
    size_t len;

    if (origin == NULL)
        return true;
    if (host != NULL && strncasecmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0)
        return true; /* also where a proxy in front of us ends the TLS */
    if (host != NULL && !tls && strncasecmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0)
        return true;
    while (allowed != NULL && next_token(&allowed, &token, &len))
        if (strlen(origin) == len && strncasecmp(origin, token, len) == 0)
            return true;
    return false;
}
