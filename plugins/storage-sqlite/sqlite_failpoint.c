#include "sqlite_failpoint.h"

#ifdef PIM_FAILPOINTS
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
pim_sqlite_fault(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

void
pim_sqlite_failpoint(const char *name)
{
    static _Atomic long passed;
    const char *armed = getenv("PIM_FAILPOINT");
    size_t name_len = strlen(name);
    const char *action, *at;
    long n;

    if (armed == NULL || strncmp(armed, name, name_len) != 0 || armed[name_len] != '=')
        return;
    action = armed + name_len + 1;
    at = strchr(action, '@');
    n = at != NULL ? strtol(at + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 != n)
        return;
    if (strncmp(action, "kill", 4) == 0)
        kill(getpid(), SIGKILL);
    else if (strncmp(action, "abort", 5) == 0)
        abort();
    else if (strncmp(action, "sleep", 5) == 0)
        sleep(1);
}

/* The default VFS, but the database file's write passes the point. A file is the real one with another method table. */
static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;
static sqlite3_io_methods fault_methods;
static const sqlite3_io_methods *real_methods;

static int
fault_write(sqlite3_file *file, const void *src, int n, sqlite3_int64 at)
{
    pim_sqlite_failpoint("sqlite-mid-checkpoint");
    return real_methods->xWrite(file, src, n, at);
}

static int
fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    int rc = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);

    (void)vfs;
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0 && file->pMethods != NULL) {
        if (real_methods == NULL) {
            real_methods = file->pMethods;
            fault_methods = *real_methods;
            fault_methods.xWrite = fault_write;
        }
        if (file->pMethods == real_methods)
            file->pMethods = &fault_methods;
    }
    return rc;
}

const char *
pim_sqlite_fault_vfs(void)
{
    const char *armed = getenv("PIM_FAILPOINT");

    if (armed == NULL || strncmp(armed, "sqlite-mid-checkpoint=", 22) != 0)
        return NULL;
    if (real_vfs == NULL) {
        real_vfs = sqlite3_vfs_find(NULL);
        if (real_vfs == NULL)
            return NULL;
        fault_vfs = *real_vfs;
        fault_vfs.zName = "pim-fault";
        fault_vfs.pNext = NULL;
        fault_vfs.xOpen = fault_open;
        if (sqlite3_vfs_register(&fault_vfs, 0) != SQLITE_OK)
            return NULL;
    }
    return fault_vfs.zName;
}
#else
typedef int pim_sqlite_failpoint_unused; /* ISO C wants something in every file */
#endif
