/* im/session_cache.h - sessions that were found good a moment ago. Bounded: a newcomer pushes out the oldest of its row.
 * Any thread; one short lock. */
#ifndef PIM_IM_SESSION_CACHE_H
#define PIM_IM_SESSION_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pim_session_cache;

/** Is the session of that user remembered, since no longer than max_age_ms ago? */
bool pim_session_cache_has(struct pim_session_cache *cache, const char *id, int64_t user_id, int64_t now_ms,
                           int64_t max_age_ms);
/** A number that changes whenever something is dropped: take it before a look-up ... */
uint64_t pim_session_cache_era(struct pim_session_cache *cache);
/** ... and remember what was found good only if nothing was dropped meanwhile. */
void pim_session_cache_put(struct pim_session_cache *cache, const char *id, int64_t user_id, int64_t now_ms, uint64_t era);
/** Forget one session (id), or all of a user but one (except), or all of a user (both NULL). */
void pim_session_cache_drop(struct pim_session_cache *cache, int64_t user_id, const char *id, const char *except);
uint32_t pim_session_cache_count(struct pim_session_cache *cache);

#endif
