/* http/router.h - which handler serves a path: exact matches only, one table for all that there is. */
#ifndef PIM_HTTP_ROUTER_H
#define PIM_HTTP_ROUTER_H
#include "http/request.h"

/* Any thread; must not block. */
typedef enum pim_http_verdict (*pim_http_handler_fn)(struct pim_http_request *request);

struct pim_http_route {
    const char *path; /* ends in '/': one more segment follows, request->param */
    bool open;        /* no token needed; default deny */
    pim_http_handler_fn get, post, put, del;
};

/* The routes of each area, ended by a NULL path. */
extern const struct pim_http_route pim_http_routes_account[], pim_http_routes_session[], pim_http_routes_friend[],
    pim_http_routes_group[], pim_http_routes_message[], pim_http_routes_public_status[];
/* What the status listener serves. */
extern const struct pim_http_route pim_http_routes_status[];

#endif
