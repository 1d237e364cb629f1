#include "http/out.h"

#include "util/clock.h"

#include <string.h>

static void
put_name(struct pim_buf *out, const char *name)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        pim_buf_addc(out, ',');
    pim_buf_addf(out, "\"%s\":", name);
}

void
pim_http_put_text(struct pim_buf *out, const char *name, const char *text)
{
    put_name(out, name);
    pim_buf_add_json(out, text, strlen(text));
}

void
pim_http_put_int(struct pim_buf *out, const char *name, int64_t value)
{
    put_name(out, name);
    pim_buf_add_int(out, value);
}

void
pim_http_put_bool(struct pim_buf *out, const char *name, bool value)
{
    put_name(out, name);
    pim_buf_adds(out, value ? "true" : "false");
}

void
pim_http_put_time(struct pim_buf *out, const char *name, int64_t wall_ms)
{
    char text[32];

    pim_clock_rfc3339(text, wall_ms);
    pim_http_put_text(out, name, text);
}

void
pim_http_put_user(struct pim_buf *out, const struct pim_user *user)
{
    pim_buf_addc(out, '{');
    pim_http_put_int(out, "id", user->id);
    pim_http_put_text(out, "email", user->email);
    pim_http_put_text(out, "name", user->name);
    pim_http_put_text(out, "mobile", user->mobile);
    pim_http_put_int(out, "gender", user->gender);
    pim_http_put_text(out, "avatar", user->avatar);
    pim_http_put_text(out, "qr_code", user->qr_code);
    pim_http_put_bool(out, "is_delete", user->is_delete);
    pim_http_put_time(out, "create_time", user->created_ms);
    pim_buf_addc(out, '}');
}

void
pim_http_put_group(struct pim_buf *out, const struct pim_group *group)
{
    pim_buf_addc(out, '{');
    pim_http_put_int(out, "id", group->id);
    pim_http_put_text(out, "name", group->name);
    pim_http_put_int(out, "manager_id", group->manager_id);
    pim_http_put_text(out, "avatar", group->avatar);
    pim_http_put_text(out, "qr_code", group->qr_code);
    pim_http_put_bool(out, "is_delete", group->is_delete);
    pim_http_put_time(out, "create_time", group->created_ms);
    pim_buf_addc(out, '}');
}
