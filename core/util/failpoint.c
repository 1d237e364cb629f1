#include "util/failpoint.h"

#ifdef PIM_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
pim_failpoint(const char *name)
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
#else
typedef int pim_failpoint_unused; /* ISO C wants something in every file */
#endif
