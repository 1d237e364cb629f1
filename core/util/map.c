#include "util/map.h"

#include "util/mem.h"
#include "util/rand.h"

#include <pthread.h>

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void
seed_make(void)
{
    pim_rand_bytes(&seed, sizeof seed);
}

uint64_t
pim_map_hash(int64_t key)
{
    uint64_t x;

    pthread_once(&seed_once, seed_make);
    /* two rounds of multiply and fold with a secret seed in between */
    x = (uint64_t)key ^ seed;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= (x >> 32) ^ (seed >> 17);
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    return x;
}

static struct pim_map_slot *
slot_find(const struct pim_map *map, int64_t key)
{
    size_t i = pim_map_hash(key) & (map->cap - 1);

    while (map->slots[i].value != NULL && map->slots[i].key != key)
        i = (i + 1) & (map->cap - 1);
    return &map->slots[i];
}

static void
resize(struct pim_map *map, size_t cap)
{
    struct pim_map old = *map;

    map->slots = pim_new0(cap * sizeof *map->slots);
    map->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            *slot_find(map, old.slots[i].key) = old.slots[i];
    free(old.slots);
}

void *
pim_map_find(const struct pim_map *map, int64_t key)
{
    return map->count == 0 ? NULL : slot_find(map, key)->value;
}

void *
pim_map_put(struct pim_map *map, int64_t key, void *value)
{
    struct pim_map_slot *slot;
    void *old;

    if (map->count * 4 >= map->cap * 3)
        resize(map, map->cap ? map->cap * 2 : 8);
    slot = slot_find(map, key);
    old = slot->value;
    slot->key = key;
    slot->value = value;
    map->count += old == NULL;
    return old;
}

void *
pim_map_steal(struct pim_map *map, int64_t key)
{
    struct pim_map_slot *slot;
    void *old;
    size_t hole, i;

    if (map->count == 0)
        return NULL;
    slot = slot_find(map, key);
    old = slot->value;
    if (old == NULL)
        return NULL;
    /* close the gap so that no run of probes is cut */
    hole = (size_t)(slot - map->slots);
    for (i = (hole + 1) & (map->cap - 1); map->slots[i].value != NULL; i = (i + 1) & (map->cap - 1)) {
        size_t home = pim_map_hash(map->slots[i].key) & (map->cap - 1);

        if (((i - home) & (map->cap - 1)) >= ((i - hole) & (map->cap - 1))) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct pim_map_slot){0};
    map->count--;
    if (map->count == 0)
        pim_map_fini(map);
    else if (map->cap > 64 && map->count * 8 < map->cap)
        resize(map, map->cap / 2); /* a crowd that has left gives its memory back */
    return old;
}

void *
pim_map_next(const struct pim_map *map, size_t *at, int64_t *out_key)
{
    while (*at < map->cap) {
        const struct pim_map_slot *slot = &map->slots[(*at)++];

        if (slot->value != NULL) {
            if (out_key != NULL)
                *out_key = slot->key;
            return slot->value;
        }
    }
    return NULL;
}

void
pim_map_fini(struct pim_map *map)
{
    free(map->slots);
    *map = (struct pim_map){0};
}
