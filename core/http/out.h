/* http/out.h - users, groups and the rest as JSON in a reply. */
#ifndef PIM_HTTP_OUT_H
#define PIM_HTTP_OUT_H
#include "im/friend.h"
#include "im/group.h"
#include "util/buf.h"

/** "name":"text" with a comma before it unless it is the first of its object. */
void pim_http_put_text(struct pim_buf *out, const char *name, const char *text);
void pim_http_put_int(struct pim_buf *out, const char *name, int64_t value);
void pim_http_put_bool(struct pim_buf *out, const char *name, bool value);
/** RFC 3339. */
void pim_http_put_time(struct pim_buf *out, const char *name, int64_t wall_ms);
/** A whole user, never a password. */
void pim_http_put_user(struct pim_buf *out, const struct pim_user *user);
void pim_http_put_group(struct pim_buf *out, const struct pim_group *group);

#endif
