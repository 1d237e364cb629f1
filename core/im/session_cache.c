#include "im/session_cache.h"

#include "im/account_priv.h"
#include "util/mem.h"
#include "util/rand.h"
#include "util/siphash.h"

#include <string.h>

#define ROWS 4096
#define WAYS 4

struct entry {
    char id[64]; /* "": free */
    int64_t user_id, found_ms;
};

struct pim_session_cache {
    pthread_mutex_t lock; /* guards all; nothing else is taken under it */
    uint8_t key[16];
    uint64_t era;
    struct entry entries[ROWS * WAYS];
};

struct pim_session_cache *
pim_session_cache_new(void)
{
    struct pim_session_cache *cache = pim_new0(sizeof *cache);

    pthread_mutex_init(&cache->lock, NULL);
    pim_rand_bytes(cache->key, sizeof cache->key);
    return cache;
}

void
pim_session_cache_free(struct pim_session_cache **cache)
{
    if (*cache == NULL)
        return;
    pthread_mutex_destroy(&(*cache)->lock);
    free(*cache);
    *cache = NULL;
}

static struct entry *
row_of(struct pim_session_cache *cache, const char *id)
{
    return &cache->entries[pim_siphash(cache->key, id, strlen(id)) % ROWS * WAYS];
}

bool
pim_session_cache_has(struct pim_session_cache *cache, const char *id, int64_t user_id, int64_t now_ms, int64_t max_age_ms)
{
    struct entry *row = row_of(cache, id);
    bool found = false;

    pthread_mutex_lock(&cache->lock);
    for (int i = 0; i < WAYS && !found; i++)
        found = strcmp(row[i].id, id) == 0 && row[i].user_id == user_id && now_ms - row[i].found_ms <= max_age_ms;
    pthread_mutex_unlock(&cache->lock);
    return found;
}

uint64_t
pim_session_cache_era(struct pim_session_cache *cache)
{
    uint64_t era;

    pthread_mutex_lock(&cache->lock);
    era = cache->era;
    pthread_mutex_unlock(&cache->lock);
    return era;
}

void
pim_session_cache_put(struct pim_session_cache *cache, const char *id, int64_t user_id, int64_t now_ms, uint64_t era)
{
    struct entry *row = row_of(cache, id), *to = NULL;

    if (id[0] == '\0' || strlen(id) >= sizeof row->id)
        return;
    pthread_mutex_lock(&cache->lock);
    if (cache->era == era) {
        for (int i = 0; i < WAYS; i++) {
            if (strcmp(row[i].id, id) == 0) {
                to = &row[i];
                break;
            }
            if (to == NULL || row[i].id[0] == '\0' || (to->id[0] != '\0' && row[i].found_ms < to->found_ms))
                to = &row[i];
        }
        strcpy(to->id, id);
        to->user_id = user_id;
        to->found_ms = now_ms;
    }
    pthread_mutex_unlock(&cache->lock);
}

void
pim_session_cache_drop(struct pim_session_cache *cache, int64_t user_id, const char *id, const char *except)
{
    pthread_mutex_lock(&cache->lock);
    cache->era++;
    if (id != NULL) {
        struct entry *row = row_of(cache, id);

        for (int i = 0; i < WAYS; i++) {
            if (strcmp(row[i].id, id) == 0)
                row[i].id[0] = '\0';
        }
    } else {
        for (struct entry *entry = cache->entries; entry < cache->entries + ROWS * WAYS; entry++) {
            if (entry->id[0] != '\0' && entry->user_id == user_id && (except == NULL || strcmp(entry->id, except) != 0))
                entry->id[0] = '\0';
        }
    }
    pthread_mutex_unlock(&cache->lock);
}

uint32_t
pim_session_cache_count(struct pim_session_cache *cache)
{
    uint32_t n = 0;

    pthread_mutex_lock(&cache->lock);
    for (struct entry *entry = cache->entries; entry < cache->entries + ROWS * WAYS; entry++)
        n += entry->id[0] != '\0';
    pthread_mutex_unlock(&cache->lock);
    return n;
}
