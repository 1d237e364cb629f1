/* plugin/host_priv.h - what the loader and the host table share. */
#ifndef PIM_PLUGIN_HOST_PRIV_H
#define PIM_PLUGIN_HOST_PRIV_H
#include "plugin/loader.h"

#include <pthread.h>
#include <sys/queue.h>

#define PIM_PLUGIN_METRICS 32

struct pim_plugin_metric {
    char name[64]; /* written under the handle's lock, before n_metrics counts it */
    _Atomic int64_t value;
};

/* Main makes and frees it; the plugin's threads come through the host table. */
struct pim_plugin_handle {
    TAILQ_ENTRY(pim_plugin_handle) link;
    const struct pim_plugin *plugin;
    char *path;
    struct pim_host host;
    pthread_mutex_t lock; /* a leaf: guards the two below and new metrics */
    bool up;
    char why[128];
    _Atomic uint32_t n_metrics;
    struct pim_plugin_metric metrics[PIM_PLUGIN_METRICS];
};

/** Fill in the host table. */
void pim_plugin_host_init(struct pim_plugin_handle *handle);

#endif
