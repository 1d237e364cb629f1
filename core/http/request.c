#include "http/request.h"

#include "http/threads.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void
pim_http_request_free(struct pim_http_request **request)
{
    struct pim_http_request *r = *request;

    if (r == NULL)
        return;
    if (r->ctx_fini != NULL)
        r->ctx_fini(r->ctx);
    free(r->ctx);
    if (r->body.data != NULL) /* it may hold a password */
        explicit_bzero(r->body.data, r->body.len);
    pim_buf_fini(&r->head);
    pim_buf_fini(&r->body);
    pim_buf_fini(&r->out);
    free(r->headers);
    free(r->path);
    free(r);
    *request = NULL;
}

char *
pim_http_request_header_dup(const struct pim_http_request *request, const char *name)
{
    size_t name_len = strlen(name), text_len = 0;
    char *text = NULL;

    for (uint32_t i = 0; i < request->n_headers; i++) {
        const struct pim_http_header *header = &request->headers[i];
        const char *value = request->head.data + header->value.at;

        if (header->name.len != name_len || strncasecmp(request->head.data + header->name.at, name, name_len) != 0)
            continue;
        if (text == NULL) {
            text = pim_strndup(value, header->value.len);
            text_len = header->value.len;
            continue;
        }
        text = pim_renew(text, text_len + header->value.len + 3, 1);
        memcpy(text + text_len, ", ", 2);
        memcpy(text + text_len + 2, value, header->value.len);
        text_len += header->value.len + 2;
        text[text_len] = '\0';
    }
    return text;
}

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
pim_http_decode(const char *src, size_t src_len, bool plus_is_space, char **out_text)
{
    char *text = pim_new(src_len + 1);
    size_t n = 0;

    for (size_t i = 0; i < src_len; i++) {
        char c = src[i];

        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < src_len ? hex(src[i + 1]) : -1;
            int low = i + 2 < src_len ? hex(src[i + 2]) : -1;

            if (high < 0 || low < 0)
                goto bad;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if ((uint8_t)c < 0x20 || c == 0x7f)
            goto bad;
        text[n++] = c;
    }
    text[n] = '\0';
    if (!pim_utf8_valid(text, n))
        goto bad;
    *out_text = text;
    return true;
bad:
    free(text);
    return false;
}

char *
pim_http_request_query_dup(const struct pim_http_request *request, const char *name)
{
    size_t name_len = strlen(name);

    for (const char *at = request->query; *at != '\0';) {
        size_t len = strcspn(at, "&");
        char *text;

        if (len > name_len && memcmp(at, name, name_len) == 0 && at[name_len] == '=')
            return pim_http_decode(at + name_len + 1, len - name_len - 1, true, &text) ? text : NULL;
        at += len;
        if (*at == '&')
            at++;
    }
    return NULL;
}

int
pim_http_request_query_int(const struct pim_http_request *request, const char *name, int64_t *out_value)
{
    char *text = pim_http_request_query_dup(request, name);
    size_t len = text != NULL ? strlen(text) : 0;
    int64_t value = 0;
    int rc = PIM_OK;

    if (text == NULL)
        return PIM_NOT_FOUND;
    if (len == 0 || len > 18)
        rc = PIM_ERR_INVALID;
    for (size_t i = 0; i < len && rc == PIM_OK; i++) {
        if (text[i] < '0' || text[i] > '9')
            rc = PIM_ERR_INVALID;
        else
            value = value * 10 + (text[i] - '0');
    }
    free(text);
    if (rc == PIM_OK)
        *out_value = value;
    return rc;
}

void
pim_http_json(struct pim_http_request *request, int status)
{
    request->status = status;
    request->content_type = NULL;
    request->file = NULL;
    request->out.overflow = false;
    pim_buf_clear(&request->out);
}

enum pim_http_verdict
pim_http_fail(struct pim_http_request *request, int status, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pim_http_json(request, status);
    pim_buf_adds(&request->out, "{\"error\":");
    pim_buf_add_json(&request->out, text, strlen(text));
    pim_buf_addc(&request->out, '}');
    return PIM_HTTP_REPLY;
}

enum pim_http_verdict
pim_http_fail_retry(struct pim_http_request *request, int status, uint32_t after_s, const char *error)
{
    request->retry_after_s = after_s > 0 ? after_s : 1;
    return pim_http_fail(request, status, "%s", error);
}

enum pim_http_verdict
pim_http_fail_rc(struct pim_http_request *request, int rc, const struct pim_err *err)
{
    pim_log(PIM_LOG_WARNING, "http: %s %s: %s%s%s", pim_http_method_name(request->method), request->path,
            pim_err_name(rc), err != NULL && err->msg[0] != '\0' ? ": " : "", err != NULL ? err->msg : "");
    switch (rc) {
    case PIM_ERR_TOO_LARGE:
        return pim_http_fail(request, 413, "the answer would be too large");
    case PIM_ERR_UNCERTAIN:
        return pim_http_fail_retry(request, 503, 2, "the storage did not say whether it was done; look before you try again");
    case PIM_ERR_FULL:
    case PIM_ERR_UNAVAILABLE:
    case PIM_ERR_TIMEOUT:
    case PIM_ERR_CANCELLED:
    case PIM_ERR_RETRY:
    case PIM_ERR_READONLY:
        return pim_http_fail_retry(request, 503, 2, "the storage is not available now");
    default:
        return pim_http_fail(request, 500, "the server failed");
    }
}

void
pim_http_request_done(struct pim_http_request *request)
{
    pim_http_threads_post(request);
}
