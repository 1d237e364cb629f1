#include "http/router.h"

#include "http/http_priv.h"
#include "http/pages.h"
#include "util/mem.h"

#include <string.h>
#include <strings.h>

static const struct pim_http_route *const areas[] = {pim_http_routes_account,      pim_http_routes_session,
                                                     pim_http_routes_friend,       pim_http_routes_group,
                                                     pim_http_routes_message,      pim_http_routes_public_status};

static const struct pim_http_route *
find_in(const struct pim_http_route *route, struct pim_http_request *request)
{
    for (; route->path != NULL; route++) {
        size_t len = strlen(route->path);

        if (strcmp(route->path, request->path) == 0 && route->path[len - 1] != '/')
            return route;
        if (route->path[len - 1] == '/' && strncmp(route->path, request->path, len) == 0 &&
            request->path[len] != '\0' && strchr(request->path + len, '/') == NULL) {
            request->param = request->path + len;
            return route;
        }
    }
    return NULL;
}

static const struct pim_http_route *
route_find(struct pim_http_request *request)
{
    const struct pim_http_route *route = NULL;

    if (request->is_status)
        return find_in(pim_http_routes_status, request);
    for (size_t i = 0; i < PIM_COUNT(areas) && route == NULL; i++)
        route = find_in(areas[i], request);
    return route;
}

/* request->path holds the raw target: make it the decoded path, keep the query. An encoded slash is none of ours. */
static bool
target_split(struct pim_http_request *request, const char **out_query)
{
    char *target = request->path, *path;
    const char *from = target;
    size_t len;

    if (strncasecmp(from, "http", 4) == 0) { /* absolute form: the authority is ours or nobody's */
        from = strstr(from, "://") + 3;
        from += strcspn(from, "/?");
    }
    len = strcspn(from, "?");
    *out_query = from[len] == '?' ? from + len + 1 : from + len;
    for (const char *at = from; (at = strchr(at, '%')) != NULL && at < from + len; at++) {
        if (strncasecmp(at, "%2f", 3) == 0)
            return false;
    }
    if (!pim_http_decode(from, len, false, &path))
        return false;
    if (path[0] == '\0') {
        free(path);
        path = pim_strdup("/");
    }
    /* the query stays behind the path in one block, so that it has the same life */
    {
        size_t path_len = strlen(path), query_len = strlen(*out_query);

        path = pim_renew(path, path_len + query_len + 2, 1);
        memcpy(path + path_len + 1, *out_query, query_len + 1);
        *out_query = path + path_len + 1;
    }
    request->path = path;
    free(target);
    return true;
}

static pim_http_handler_fn
handler_of(const struct pim_http_route *route, enum pim_http_method method)
{
    switch (method) {
    case PIM_HTTP_GET:
    case PIM_HTTP_HEAD:
        return route->get;
    case PIM_HTTP_POST:
        return route->post;
    case PIM_HTTP_PUT:
        return route->put;
    case PIM_HTTP_DELETE:
        return route->del;
    default:
        return NULL;
    }
}

static const char *
allowed(const struct pim_http_route *route)
{
    static const char *const texts[16] = {
        "OPTIONS",       "OPTIONS, GET, HEAD",       "OPTIONS, POST",         "OPTIONS, GET, HEAD, POST",
        "OPTIONS, PUT",  "OPTIONS, GET, HEAD, PUT",  "OPTIONS, POST, PUT",    "OPTIONS, GET, HEAD, POST, PUT",
        "OPTIONS, DELETE", "OPTIONS, GET, HEAD, DELETE", "OPTIONS, POST, DELETE", "OPTIONS, GET, HEAD, POST, DELETE",
        "OPTIONS, PUT, DELETE", "OPTIONS, GET, HEAD, PUT, DELETE", "OPTIONS, POST, PUT, DELETE",
        "OPTIONS, GET, HEAD, POST, PUT, DELETE"};

    return texts[(route->get != NULL) | (route->post != NULL) << 1 | (route->put != NULL) << 2 | (route->del != NULL) << 3];
}

/* --- who is calling ------------------------------------------------------------------------------------- */

/* "Authorization: Bearer T" counts before "Auth-Token: T". */
static char *
token_dup(const struct pim_http_request *request)
{
    char *header = pim_http_request_header_dup(request, "Authorization");

    if (header != NULL) {
        size_t skip = 6;

        if (strncasecmp(header, "Bearer", 6) != 0 || header[6] != ' ') {
            free(header);
            return pim_strdup("");
        }
        skip += strspn(header + skip, " ");
        memmove(header, header + skip, strlen(header + skip) + 1);
        return header;
    }
    return pim_http_request_header_dup(request, "Auth-Token");
}

static enum pim_http_verdict
handler_call(struct pim_http_request *request)
{
    return handler_of(request->route, request->method)(request);
}

static void
on_session(void *ctx, int rc, const struct pim_caller *caller)
{
    struct pim_http_request *request = ctx;
    enum pim_http_verdict verdict;

    if (rc == PIM_OK) {
        request->caller = *caller;
        verdict = handler_call(request);
    } else if (rc == PIM_REFUSED) {
        verdict = pim_http_fail(request, 401, "the login token is not valid");
    } else {
        verdict = pim_http_fail_rc(request, rc, NULL);
    }
    if (verdict == PIM_HTTP_REPLY)
        pim_http_request_done(request);
}

static enum pim_http_verdict
authenticate(struct pim_http_request *request)
{
    char *token = token_dup(request);

    if (token == NULL)
        return pim_http_fail(request, 401, "a login token is needed");
    pim_im_session_check(request->http->im, token, strlen(token), on_session, request);
    explicit_bzero(token, strlen(token));
    free(token);
    return PIM_HTTP_LATER;
}

/* --- upgrades ------------------------------------------------------------------------------------------- */

static void
on_upgrade_answer(void *answer_ctx, int status, const char *error, const char *header, void *ticket)
{
    struct pim_http_request *request = answer_ctx;

    if (status == 101) {
        request->status = 101;
        request->ticket = ticket;
    } else {
        pim_http_fail(request, status, "%s", error);
        request->extra_header = header;
        if (status == 503 || status == 429)
            request->retry_after_s = 2;
        request->close = true; /* what follows may be frames */
    }
    pim_http_request_done(request);
}

static enum pim_http_verdict
upgrade(struct pim_http_request *request, char *asked)
{
    char *host = pim_http_request_header_dup(request, "Host");
    char *connection = pim_http_request_header_dup(request, "Connection");
    char *version = pim_http_request_header_dup(request, "Sec-WebSocket-Version");
    char *key = pim_http_request_header_dup(request, "Sec-WebSocket-Key");
    char *protocol = pim_http_request_header_dup(request, "Sec-WebSocket-Protocol");
    char *origin = pim_http_request_header_dup(request, "Origin");
    char *authorization = pim_http_request_header_dup(request, "Authorization");
    char *auth_token = pim_http_request_header_dup(request, "Auth-Token");
    char *query_token = pim_http_request_query_dup(request, "authToken");
    char *user_agent = pim_http_request_header_dup(request, "User-Agent");
    char *path = pim_strdup(request->path);
    char address[sizeof request->address];
    struct pim_upgrade_request what = {.path = path,
                                       .host = host,
                                       .upgrade = asked,
                                       .connection = connection,
                                       .version = version,
                                       .key = key,
                                       .protocol = protocol,
                                       .origin = origin,
                                       .authorization = authorization,
                                       .auth_token = auth_token,
                                       .query_token = query_token,
                                       .user_agent = user_agent,
                                       .address = address,
                                       .tls = request->is_tls};
    const struct pim_upgrade_ops *ws = request->http->ws;

    /* copies: the answer may come, and the request go home, before begin() returns */
    memcpy(address, request->address, sizeof address);
    ws->begin(ws->ctx, &what, on_upgrade_answer, request);
    free(path);
    free(host);
    free(connection);
    free(version);
    free(key);
    free(protocol);
    free(origin);
    free(authorization);
    free(auth_token);
    free(query_token);
    free(user_agent);
    return PIM_HTTP_LATER;
}

enum pim_http_verdict
pim_http_dispatch(struct pim_http_request *request)
{
    bool is_asterisk = strcmp(request->path, "*") == 0;
    char *asked;

    request->query = "";
    request->param = "";
    if (is_asterisk) {
        request->allow = "OPTIONS, GET, HEAD, POST, PUT, DELETE";
        pim_http_json(request, 204);
        return PIM_HTTP_REPLY;
    }
    if (!target_split(request, &request->query)) {
        request->query = "";
        return pim_http_fail(request, 400, "the path is malformed");
    }
    asked = pim_http_request_header_dup(request, "Upgrade");
    /* h2c is an offer of HTTP/2 that every client lives without */
    if (asked != NULL && strcasecmp(asked, "h2c") != 0 && !request->is_status && request->method == PIM_HTTP_GET && request->http->ws != NULL &&
        request->body.len == 0) {
        enum pim_http_verdict verdict = upgrade(request, asked);

        free(asked);
        return verdict;
    }
    free(asked);
    if (!request->is_status && pim_http_pages_serve(request->http->pages, request))
        return PIM_HTTP_REPLY;
    request->route = route_find(request);
    if (request->route == NULL)
        return pim_http_fail(request, 404, "there is nothing at this path");
    if (request->method == PIM_HTTP_OPTIONS) {
        request->allow = allowed(request->route);
        pim_http_json(request, 204);
        return PIM_HTTP_REPLY;
    }
    if (handler_of(request->route, request->method) == NULL) {
        request->allow = allowed(request->route);
        return pim_http_fail(request, 405, "the method is not allowed");
    }
    return request->route->open ? handler_call(request) : authenticate(request);
}
