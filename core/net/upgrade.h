/* net/upgrade.h - how a connection leaves the HTTP side for the WebSocket side. The two know each other only by this table,
 * which main hands from one to the other.
 *
 * The HTTP side has read and framed one GET request that asks for `Upgrade`. It calls begin(); the answer comes once, on
 * any thread. 101: the HTTP side gives up the socket and calls adopt(), which writes the response; anything else: it answers
 * with that status as JSON itself. If the client has gone meanwhile it calls abandon(). */
#ifndef PIM_NET_UPGRADE_H
#define PIM_NET_UPGRADE_H
#include <stdbool.h>
#include <stddef.h>

typedef struct ssl_st SSL;

/* The request; all texts are borrowed for the call of begin(). NULL: no such header. Repeated headers are joined by ", ". */
struct pim_upgrade_request {
    const char *path; /* decoded, without the query */
    const char *host, *upgrade, *connection, *version, *key, *protocol, *origin;
    const char *authorization, *auth_token; /* headers */
    const char *query_token;                /* authToken= of the query, decoded */
    const char *user_agent;
    const char *address; /* of the peer, numeric */
    bool tls;
};

/**
 * The answer to begin(). Once, on any thread, also inside begin().
 *
 * @param status  101, or the status to answer with
 * @param error   with another status: the sentence; static storage
 * @param header  NULL or one further "Name: value" header; static storage
 * @param ticket  with 101: to be given to adopt() or abandon()
 */
typedef void (*pim_upgrade_answer_fn)(void *answer_ctx, int status, const char *error, const char *header, void *ticket);

struct pim_upgrade_ops {
    void *ctx;
    void (*begin)(void *ctx, const struct pim_upgrade_request *request, pim_upgrade_answer_fn answer, void *answer_ctx);
    /** Take over fd (non-blocking) and ssl (NULL: plain; both owned by the callee now) with the bytes that came after the request
     *  (copied). Any thread. */
    void (*adopt)(void *ctx, void *ticket, int fd, SSL *ssl, const void *early, size_t early_len);
    void (*abandon)(void *ctx, void *ticket);
};

#endif
