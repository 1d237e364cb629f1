/* util/id.h - the ids we make. Any thread. */
#ifndef PIM_UTIL_ID_H
#define PIM_UTIL_ID_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Set the node number, 0 .. 63, before the first id is made. */
void pim_id_node_set(uint32_t node);

/**
 * Make a snowflake for users, groups and messages: 41 bits of milliseconds since 2024-01-01, 6 of node,
 * 6 of counter; so below 2^53 and exact in every JSON reader.
 *
 * A clock that steps back, or more than 64 ids in one millisecond, take from the milliseconds to come, so an id is
 * never made twice by one process; across a restart that holds while the clock has not gone back.
 */
int64_t pim_id_make(void);

/** Make a UUID version 7 that rises within the process. Source: RFC 9562 5.7, 6.2 method 3. */
void pim_uuid7_make(uint8_t out_uuid[16], int64_t wall_ms);
/** The milliseconds in a version 7 UUID. */
int64_t pim_uuid7_ms(const uint8_t uuid[16]);
/** Read the 36-character form, either case. @return false if it is not a UUID of version 7, variant 10. */
bool pim_uuid7_parse(const char *text, size_t text_len, uint8_t out_uuid[16]);
/** Write the 36-character form, lower case, with NUL. */
void pim_uuid_format(char dst[37], const uint8_t uuid[16]);

#endif
