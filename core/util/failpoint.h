/* util/failpoint.h - places at which the fault tests stop the server; compiled in by --enable-failpoints only.
 * PIM_FAILPOINT="name=action[@n]" in the environment arms one: action kill (SIGKILL to ourselves), abort, sleep
 * (1 s); on the n-th time that the point is passed (default 1). */
#ifndef PIM_UTIL_FAILPOINT_H
#define PIM_UTIL_FAILPOINT_H
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifdef PIM_FAILPOINTS
/** Pass the point of that name. Any thread. */
void pim_failpoint(const char *name);
#else
#define pim_failpoint(name) ((void)0)
#endif
#endif
