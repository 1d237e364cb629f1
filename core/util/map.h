/* util/map.h - a hash table from a 64-bit id to a pointer, seeded so that peers cannot aim at one bucket.
 * Open addressing, linear probing. Owned by whoever owns the struct; not locked. */
#ifndef PIM_UTIL_MAP_H
#define PIM_UTIL_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pim_map_slot {
    int64_t key;
    void *value; /* NULL: free */
};

struct pim_map {
    struct pim_map_slot *slots; /* NULL until the first put */
    size_t cap, count;
};

/** The seeded hash that all our tables of ids use. Any thread. */
uint64_t pim_map_hash(int64_t key);
/** The value, or NULL. */
void *pim_map_find(const struct pim_map *map, int64_t key);
/** Put or replace; value must not be NULL. @return the value that stood there, or NULL. */
void *pim_map_put(struct pim_map *map, int64_t key, void *value);
/** Take out. @return what stood there, or NULL. */
void *pim_map_steal(struct pim_map *map, int64_t key);
/** Walk: begin with *at = 0; @return the next value and its key, or NULL at the end. No change of the map meanwhile. */
void *pim_map_next(const struct pim_map *map, size_t *at, int64_t *out_key);
/** Free the table, not the values. */
void pim_map_fini(struct pim_map *map);

#endif
