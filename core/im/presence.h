/* im/presence.h - who is connected: a user's connections, newest first, at most connections_per_user. A sharded table under
 * short locks. */
#ifndef PIM_IM_PRESENCE_H
#define PIM_IM_PRESENCE_H
#include "im/batch.h"

#define PIM_PEERS_MAX 16 /* bound of the setting connections_per_user */

struct pim_im;
struct pim_presence;

struct pim_peer {
    struct pim_peer_ref ref;
    uint16_t worker;
    bool old; /* a client without the subprotocol */
};

struct pim_presence *pim_presence_new(void);
void pim_presence_free(struct pim_presence **presence);

/** A new connection takes the first place; one too many pushes the oldest out, which is told to close with 4003. session is
 * borrowed until the connection is removed, or pushed out. Worker. */
void pim_presence_add(struct pim_im *im, int64_t user_id, const struct pim_peer *peer, const char *session);
/** A connection has ended; those behind it move up. Nothing if it was pushed out before. Worker. */
void pim_presence_remove(struct pim_im *im, int64_t user_id, const struct pim_peer *peer);
/** The user's connections now, newest first. @return how many. Any thread. */
uint32_t pim_presence_list(struct pim_im *im, int64_t user_id, struct pim_peer out_peers[PIM_PEERS_MAX]);

/** Call fn for every user's connection in turn; fn must not call back into presence. Any thread. */
typedef void (*pim_presence_fn)(void *ctx, int64_t user_id, const struct pim_peer *peer, const char *session);
void pim_presence_walk(struct pim_im *im, pim_presence_fn fn, void *ctx);
/** Connections and users now. */
void pim_presence_count(struct pim_im *im, uint64_t *out_connections, uint64_t *out_users);

#endif
