/* ws/handshake.h - the opening handshake. Any thread. Source: RFC 6455 4.2. */
#ifndef PIM_WS_HANDSHAKE_H
#define PIM_WS_HANDSHAKE_H
#include "net/upgrade.h"
#include "util/err.h"

#include <stddef.h>

#define PIM_WS_ACCEPT_BYTES 29 /* Sec-WebSocket-Accept with NUL */

struct pim_ws_refusal {
    int status;
    const char *error;  /* static storage */
    const char *header; /* NULL or one further header; static storage */
};

/** What RFC 6455 asks of the request. @return PIM_OK, or PIM_REFUSED and out_refusal says what to answer. */
PIM_MUST_CHECK int pim_ws_handshake_check(const struct pim_upgrade_request *request, struct pim_ws_refusal *out_refusal);

/** Sec-WebSocket-Accept of a key. */
void pim_ws_handshake_accept(const char *key, char out_accept[PIM_WS_ACCEPT_BYTES]);

/** Is `name` among the comma-separated tokens of a header (case matters not)? list may be NULL. */
bool pim_ws_has_token(const char *list, const char *name);

/** Find the token that begins with `prefix`; *out_rest points behind the prefix into list. @return false if there is none. */
bool pim_ws_find_token(const char *list, const char *prefix, const char **out_rest, size_t *out_rest_len);

/** May a page from `origin` connect? NULL (no browser) may; its own host may; those in `allowed` (comma-separated origins) may. */
bool pim_ws_origin_is_allowed(const char *origin, const char *host, bool tls, const char *allowed);

#endif
