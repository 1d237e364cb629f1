/* storage-sqlite/sqlite_failpoint.h - places at which the fault tests stop the process; compiled in by
 * --enable-failpoints only. PIM_FAILPOINT="name=action[@n]" in the environment arms one: action kill (SIGKILL to
 * ourselves), abort, sleep (1 s), on the n-th time that the point is passed (default 1). PIM_FAULT_NO_FSYNC=1 plants a
 * fault: nothing is synced any more, which the power-loss tests must notice. */
#ifndef PIM_SQLITE_FAILPOINT_H
#define PIM_SQLITE_FAILPOINT_H
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <stdbool.h>
#ifdef PIM_FAILPOINTS
/** Pass the point of that name. Any thread. */
void pim_sqlite_failpoint(const char *name);
/** Is the environment variable set to something? */
bool pim_sqlite_fault(const char *name);
/** The name of a VFS that passes "sqlite-mid-checkpoint" before each write to the database file itself (in WAL mode only
 *  a checkpoint does that). Registers it on first use; NULL when it cannot. Main thread. */
const char *pim_sqlite_fault_vfs(void);
#else
#define pim_sqlite_failpoint(name) ((void)0)
#define pim_sqlite_fault(name) false
#define pim_sqlite_fault_vfs() NULL
#endif
#endif
