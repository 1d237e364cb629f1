#include "http/limits.h"

#include "util/map.h"
#include "util/mem.h"

#include <pthread.h>

struct pim_http_gate {
    pthread_mutex_t lock; /* guards all; nothing else is taken under it */
    struct pim_map by_address; /* the value is the count */
    uint32_t count, max, max_per_address;
};

struct pim_http_gate *
pim_http_gate_new(uint32_t max_connections, uint32_t max_per_address)
{
    struct pim_http_gate *gate = pim_new0(sizeof *gate);

    pthread_mutex_init(&gate->lock, NULL);
    gate->max = max_connections;
    gate->max_per_address = max_per_address;
    return gate;
}

void
pim_http_gate_free(struct pim_http_gate **gate)
{
    if (*gate == NULL)
        return;
    pim_map_fini(&(*gate)->by_address);
    pthread_mutex_destroy(&(*gate)->lock);
    free(*gate);
    *gate = NULL;
}

bool
pim_http_gate_enter(struct pim_http_gate *gate, int64_t address)
{
    bool fits;

    pthread_mutex_lock(&gate->lock);
    fits = gate->max == 0 || gate->count < gate->max;
    if (fits && address != 0) {
        uintptr_t n = (uintptr_t)pim_map_find(&gate->by_address, address);

        fits = gate->max_per_address == 0 || n < gate->max_per_address;
        if (fits)
            pim_map_put(&gate->by_address, address, (void *)(n + 1));
    }
    if (fits)
        gate->count++;
    pthread_mutex_unlock(&gate->lock);
    return fits;
}

void
pim_http_gate_leave(struct pim_http_gate *gate, int64_t address)
{
    pthread_mutex_lock(&gate->lock);
    gate->count--;
    if (address != 0) {
        uintptr_t n = (uintptr_t)pim_map_find(&gate->by_address, address);

        if (n > 1)
            pim_map_put(&gate->by_address, address, (void *)(n - 1));
        else
            pim_map_steal(&gate->by_address, address);
    }
    pthread_mutex_unlock(&gate->lock);
}

uint32_t
pim_http_gate_count(struct pim_http_gate *gate)
{
    uint32_t count;

    pthread_mutex_lock(&gate->lock);
    count = gate->count;
    pthread_mutex_unlock(&gate->lock);
    return count;
}
