/* util/log.h - one line per event. The caller formats into its own thread's ring and goes on; the log thread writes to
 * the sink (standard error with syslog priorities when under systemd). Drops are counted and reported, nobody waits.
 * Before pim_log_start and after pim_log_stop lines are written at once. Any thread. */
#ifndef PIM_UTIL_LOG_H
#define PIM_UTIL_LOG_H
#include "util/err.h"

#include <stdint.h>

enum pim_log_level { /* syslog's numbers */
    PIM_LOG_ERR = 3,
    PIM_LOG_WARNING = 4,
    PIM_LOG_NOTICE = 5,
    PIM_LOG_INFO = 6,
    PIM_LOG_DEBUG = 7
};

/** Start the log thread. */
void pim_log_start(void);
/** Write out what is left and stop the thread. */
void pim_log_stop(void);
/** Lines above this level are not written; may change at any time. */
void pim_log_level_set(enum pim_log_level level);
enum pim_log_level pim_log_level_get(void);
/** "error", "warning", ...; @return -1 for another word. */
int pim_log_level_parse(const char *name);
/** One event: printf text; control characters are escaped, long lines cut at 1,000 bytes. Never a token or message text. */
void pim_log(enum pim_log_level level, const char *fmt, ...) PIM_PRINTF(2, 3);
/** Lines dropped because a ring was full, since the start. */
uint64_t pim_log_dropped(void);

#endif
