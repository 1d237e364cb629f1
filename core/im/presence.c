#include "im/presence.h"

#include "im/im_priv.h"
#include "util/map.h"
#include "util/mem.h"

#include <string.h>

#define SHARDS 64

struct place {
    struct pim_peer peer;
    const char *session; /* the connection's: it takes its place away before it ends */
};

struct node { /* a user who is connected; the newest first */
    uint32_t n;
    struct place places[];
};

struct shard {
    pthread_mutex_t lock; /* guards nodes; nothing else is taken under it */
    struct pim_map nodes; /* user id -> struct node */
};

struct pim_presence {
    struct shard shards[SHARDS];
};

struct pim_presence *
pim_presence_new(void)
{
    struct pim_presence *presence = pim_new0(sizeof *presence);

    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&presence->shards[i].lock, NULL);
    return presence;
}

void
pim_presence_free(struct pim_presence **presencep)
{
    struct pim_presence *presence = *presencep;

    *presencep = NULL;
    if (presence == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct node *node;
        size_t at = 0;

        while ((node = pim_map_next(&presence->shards[i].nodes, &at, NULL)) != NULL)
            free(node);
        pim_map_fini(&presence->shards[i].nodes);
        pthread_mutex_destroy(&presence->shards[i].lock);
    }
    free(presence);
}

static struct shard *
shard_of(struct pim_im *im, int64_t user_id)
{
    return &im->presence->shards[(pim_map_hash(user_id) >> 32) % SHARDS];
}

static size_t
node_bytes(uint32_t n)
{
    return sizeof(struct node) + n * sizeof(struct place);
}

void
pim_presence_add(struct pim_im *im, int64_t user_id, const struct pim_peer *peer, const char *session)
{
    struct shard *shard = shard_of(im, user_id);
    struct place pushed_out = {.session = NULL};
    struct node *old, *node;
    uint32_t n;

    pthread_mutex_lock(&shard->lock);
    old = pim_map_find(&shard->nodes, user_id);
    n = old != NULL ? old->n : 0;
    if (n >= pim_im_config(im)->connections_per_user) {
        pushed_out = old->places[--n];
        old->n = n;
    }
    node = pim_new(node_bytes(n + 1));
    node->n = n + 1;
    node->places[0] = (struct place){.peer = *peer, .session = session};
    if (n > 0)
        memcpy(&node->places[1], old->places, n * sizeof(struct place));
    pim_map_put(&shard->nodes, user_id, node);
    free(old);
    pthread_mutex_unlock(&shard->lock);

    if (pushed_out.session != NULL)
        pim_delivery_close(im, &pushed_out.peer, 4003);
}

void
pim_presence_remove(struct pim_im *im, int64_t user_id, const struct pim_peer *peer)
{
    struct shard *shard = shard_of(im, user_id);
    struct node *node;

    pthread_mutex_lock(&shard->lock);
    node = pim_map_find(&shard->nodes, user_id);
    for (uint32_t i = 0; node != NULL && i < node->n; i++) {
        const struct pim_peer *it = &node->places[i].peer;

        if (it->worker != peer->worker || it->ref.slot != peer->ref.slot || it->ref.gen != peer->ref.gen)
            continue;
        node->n--;
        memmove(&node->places[i], &node->places[i + 1], (node->n - i) * sizeof(struct place));
        break;
    }
    if (node != NULL && node->n == 0) {
        pim_map_steal(&shard->nodes, user_id);
        free(node);
    }
    pthread_mutex_unlock(&shard->lock);
}

uint32_t
pim_presence_list(struct pim_im *im, int64_t user_id, struct pim_peer out_peers[PIM_PEERS_MAX])
{
    struct shard *shard = shard_of(im, user_id);
    struct node *node;
    uint32_t n = 0;

    pthread_mutex_lock(&shard->lock);
    node = pim_map_find(&shard->nodes, user_id);
    for (; node != NULL && n < node->n && n < PIM_PEERS_MAX; n++)
        out_peers[n] = node->places[n].peer;
    pthread_mutex_unlock(&shard->lock);
    return n;
}

void
pim_presence_walk(struct pim_im *im, pim_presence_fn fn, void *ctx)
{
    for (size_t s = 0; s < SHARDS; s++) {
        struct shard *shard = &im->presence->shards[s];
        struct node *node;
        int64_t user_id;
        size_t at = 0;

        pthread_mutex_lock(&shard->lock);
        while ((node = pim_map_next(&shard->nodes, &at, &user_id)) != NULL)
            for (uint32_t i = 0; i < node->n; i++)
                fn(ctx, user_id, &node->places[i].peer, node->places[i].session);
        pthread_mutex_unlock(&shard->lock);
    }
}

void
pim_presence_count(struct pim_im *im, uint64_t *out_connections, uint64_t *out_users)
{
    uint64_t connections = 0, users = 0;

    for (size_t s = 0; s < SHARDS; s++) {
        struct shard *shard = &im->presence->shards[s];
        struct node *node;
        size_t at = 0;

        pthread_mutex_lock(&shard->lock);
        users += shard->nodes.count;
        while ((node = pim_map_next(&shard->nodes, &at, NULL)) != NULL)
            connections += node->n;
        pthread_mutex_unlock(&shard->lock);
    }
    *out_connections = connections;
    *out_users = users;
}

void
pim_im_disconnect(struct pim_im *im, int64_t user_id, const char *session, const char *except)
{
    struct shard *shard = shard_of(im, user_id);
    struct pim_peer ended[PIM_PEERS_MAX];
    struct node *node;
    uint32_t n = 0;

    pthread_mutex_lock(&shard->lock);
    node = pim_map_find(&shard->nodes, user_id);
    for (uint32_t i = 0; node != NULL && i < node->n && n < PIM_PEERS_MAX; i++) {
        const struct place *place = &node->places[i];

        if ((session == NULL || strcmp(place->session, session) == 0) &&
            (except == NULL || strcmp(place->session, except) != 0))
            ended[n++] = place->peer;
    }
    pthread_mutex_unlock(&shard->lock);
    for (uint32_t i = 0; i < n; i++)
        pim_delivery_close(im, &ended[i], 4001);
    if (n > 0)
        pim_delivery_flush(im);
}

bool
pim_im_is_online(struct pim_im *im, int64_t user_id)
{
    struct pim_peer peers[PIM_PEERS_MAX];

    return pim_presence_list(im, user_id, peers) > 0;
}
