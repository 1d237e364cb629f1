/* Any bytes as HTTP requests: the verdict does not depend on how they are cut, what is taken keeps the rules, nothing grows
 * beyond its limit. */
#include "http/framing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pim_http_limits limits = {.head_bytes = 2048, .headers = 16, .uri_bytes = 512, .body_bytes = 256};

/* What was said about a run of requests: one letter each, then how it ended. */
struct verdict {
    char kinds[64];
    size_t n, used;
    int status;
};

static void
check(const struct pim_http_framing *framing)
{
    uint32_t hosts = 0;

    if (framing->head.len > limits.head_bytes || framing->body.len > limits.body_bytes || framing->n_headers > limits.headers)
        abort();
    if (framing->state != PIM_HTTP_COMPLETE)
        return;
    if (framing->body.len != framing->content_length || framing->target.len == 0 ||
        framing->target.at + framing->target.len > framing->head.len || memchr(framing->head.data, '\0', framing->head.len) ||
        memchr(framing->head.data, '\n', framing->head.len) || memchr(framing->head.data, '\r', framing->head.len))
        abort();
    for (uint32_t i = 0; i < framing->n_headers; i++) {
        const struct pim_http_header *header = &framing->headers[i];
        const char *name = framing->head.data + header->name.at;

        if (header->name.len == 0 || header->name.at + header->name.len > framing->head.len ||
            header->value.at + header->value.len > framing->head.len)
            abort();
        hosts += header->name.len == 4 && strncasecmp(name, "host", 4) == 0;
        if (header->name.len == 17 && strncasecmp(name, "transfer-encoding", 17) == 0)
            abort();
    }
    if (hosts > 1 || (hosts == 0 && framing->minor > 0))
        abort();
}

static void
read_all(const uint8_t *data, size_t size, size_t piece, struct verdict *verdict)
{
    struct pim_http_framing framing;
    size_t at = 0;

    *verdict = (struct verdict){.n = 0};
    pim_http_framing_init(&framing, &limits);
    while (at < size && verdict->n < sizeof verdict->kinds) {
        size_t len = size - at < piece ? size - at : piece;
        size_t used = pim_http_framing_feed(&framing, (const char *)data + at, len);

        if (used > len)
            abort();
        at += used;
        check(&framing);
        if (framing.state == PIM_HTTP_COMPLETE) {
            verdict->kinds[verdict->n++] = (char)('a' + framing.method);
            pim_http_framing_reset(&framing);
        } else if (framing.state == PIM_HTTP_BROKEN) {
            verdict->status = framing.status;
            break;
        } else if (used != len) {
            abort();
        }
    }
    verdict->used = at;
    pim_http_framing_fini(&framing);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verdict whole, cut;

    read_all(data, size, size, &whole);
    for (size_t piece = 1; piece < 8; piece += 3) {
        read_all(data, size, piece, &cut);
        if (memcmp(&whole, &cut, sizeof whole) != 0)
            abort();
    }
    return 0;
}
