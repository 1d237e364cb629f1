/* http/limits.h - how many connections there may be, in all and from one address. Any thread. */
#ifndef PIM_HTTP_LIMITS_H
#define PIM_HTTP_LIMITS_H
#include <stdbool.h>
#include <stdint.h>

struct pim_http_gate;

/** Make one; a limit of 0 is none. */
struct pim_http_gate *pim_http_gate_new(uint32_t max_connections, uint32_t max_per_address);
void pim_http_gate_free(struct pim_http_gate **gate);
/** Let one in. @param address  a number that stands for it; 0: exempt from the limit by address
 *  @return false: too many; nothing was counted. */
bool pim_http_gate_enter(struct pim_http_gate *gate, int64_t address);
/** One that was let in has gone, or is no longer HTTP. */
void pim_http_gate_leave(struct pim_http_gate *gate, int64_t address);
/** Connections now. */
uint32_t pim_http_gate_count(struct pim_http_gate *gate);

#endif
