/* Message history. */
#include "http/http_priv.h"
#include "http/router.h"
#include "wire/writer.h"

#include <string.h>

#define ROWS_DEFAULT 50

static void
on_page(void *ctx, const struct pim_im_page *page)
{
    struct pim_http_request *request = ctx;
    struct pim_buf *out = &request->out;
    char *name;

    if (page->rc == PIM_REFUSED) {
        pim_http_fail(request, 403, "the conversation is not yours to read");
        pim_http_request_done(request);
        return;
    }
    if (page->rc != PIM_OK) {
        pim_http_fail_rc(request, page->rc < 0 ? page->rc : PIM_ERR_INTERNAL, NULL);
        pim_http_request_done(request);
        return;
    }
    name = pim_http_request_query_dup(request, "conversation");
    pim_http_json(request, 200);
    pim_buf_adds(out, "{\"conversation\":");
    pim_buf_add_json(out, name, strlen(name));
    pim_buf_adds(out, ",\"messages\":[");
    for (uint32_t i = 0; i < page->n_rows; i++) {
        if (i > 0)
            pim_buf_addc(out, ',');
        if (pim_wire_put_row(out, &page->rows[i]) != PIM_OK)
            out->overflow = true;
    }
    pim_buf_addf(out, "],\"more\":%s,\"floor\":%lld}", page->more ? "true" : "false", (long long)page->floor_seq);
    free(name);
    pim_http_request_done(request);
}

static enum pim_http_verdict
messages_get(struct pim_http_request *request)
{
    uint32_t most = pim_im_config(request->http->im)->sync_rows;
    char *name = pim_http_request_query_dup(request, "conversation");
    int64_t before = 0, after = 0, limit = ROWS_DEFAULT;
    struct pim_conv conv;
    bool good;

    if (name == NULL)
        return pim_http_fail(request, 400, "'conversation' is missing");
    good = pim_conv_parse(name, strlen(name), &conv);
    free(name);
    if (!good)
        return pim_http_fail(request, 400, "'conversation' is no conversation");
    if (pim_http_request_query_int(request, "before", &before) < 0 ||
        pim_http_request_query_int(request, "after", &after) < 0 ||
        pim_http_request_query_int(request, "limit", &limit) < 0)
        return pim_http_fail(request, 400, "'before', 'after' and 'limit' must be whole numbers");
    if (limit < 1)
        limit = ROWS_DEFAULT;
    if (limit > (int64_t)most)
        limit = most;
    pim_im_history(request->http->im, request->caller.user_id, &conv, before, after, (uint32_t)limit, on_page, request);
    return PIM_HTTP_LATER;
}

const struct pim_http_route pim_http_routes_message[] = {
    {.path = "/messages", .get = messages_get},
    {.path = NULL},
};
