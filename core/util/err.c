#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>

int
pim_err_set(struct pim_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return code;
    err->code = code;
    err->native_code = 0;
    err->state[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return code;
}

const char *
pim_err_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {PIM_OK, "OK"},
        {PIM_NOT_FOUND, "NOT_FOUND"},
        {PIM_EXISTS, "EXISTS"},
        {PIM_AGAIN, "AGAIN"},
        {PIM_UNCHANGED, "UNCHANGED"},
        {PIM_REFUSED, "REFUSED"},
        {PIM_DEFER, "DEFER"},
        {PIM_MORE, "MORE"},
        {PIM_ERR_INTERNAL, "INTERNAL"},
        {PIM_ERR_UNSUPPORTED, "UNSUPPORTED"},
        {PIM_ERR_INVALID, "INVALID"},
        {PIM_ERR_NOMEM, "NOMEM"},
        {PIM_ERR_TIMEOUT, "TIMEOUT"},
        {PIM_ERR_CANCELLED, "CANCELLED"},
        {PIM_ERR_PROTOCOL, "PROTOCOL"},
        {PIM_ERR_TOO_LARGE, "TOO_LARGE"},
        {PIM_ERR_UNAVAILABLE, "UNAVAILABLE"},
        {PIM_ERR_UNCERTAIN, "UNCERTAIN"},
        {PIM_ERR_DENIED, "DENIED"},
        {PIM_ERR_RETRY, "RETRY"},
        {PIM_ERR_FULL, "FULL"},
        {PIM_ERR_READONLY, "READONLY"},
        {PIM_ERR_SCHEMA, "SCHEMA"},
        {PIM_ERR_CORRUPT, "CORRUPT"},
    };

    for (size_t i = 0; i < PIM_COUNT(names); i++)
        if (names[i].code == code)
            return names[i].name;
    return "UNKNOWN";
}
