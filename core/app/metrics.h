/* app/metrics.h - what /metrics says and what /readyz asks, gathered from all parts. Any thread. */
#ifndef PIM_APP_METRICS_H
#define PIM_APP_METRICS_H
#include "im/im.h"
#include "ws/ws.h"

struct pim_app {
    struct pim_data *data;
    struct pim_im *im;
    struct pim_ws *ws;
    _Atomic bool ready;
};

/** Append the counters of the whole process in Prometheus' text form (ctx: struct pim_app). */
void pim_app_metrics(void *ctx, struct pim_buf *buf);
/** May traffic come? (ctx: struct pim_app) */
bool pim_app_ready(void *ctx, const char **out_why);

#endif
