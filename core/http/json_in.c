#include "http/json_in.h"

#include "http/http_priv.h"
#include "util/utf8.h"

#include <string.h>
#include <strings.h>

/* jansson's own limit is far above ours. */
static bool
is_shallow(const char *text, size_t text_len)
{
    bool in_text = false;
    int depth = 0;

    for (size_t i = 0; i < text_len; i++) {
        char c = text[i];

        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > PIM_HTTP_JSON_DEPTH)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

static bool
is_json(const struct pim_http_request *request)
{
    char *type = pim_http_request_header_dup(request, "Content-Type");
    bool is = false;

    if (type != NULL) {
        size_t len = strcspn(type, "; \t");

        is = len == 16 && strncasecmp(type, "application/json", 16) == 0;
    }
    free(type);
    return is;
}

json_t *
pim_http_body(struct pim_http_request *request)
{
    json_error_t error;
    json_t *body;

    if (!is_json(request)) {
        pim_http_fail(request, 415, "the body must be application/json");
        return NULL;
    }
    if (!is_shallow(request->body.data, request->body.len)) {
        pim_http_fail(request, 400, "the body is nested too deeply");
        return NULL;
    }
    body = json_loadb(request->body.data != NULL ? request->body.data : "", request->body.len, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL) {
        if (json_error_code(&error) == json_error_duplicate_key)
            pim_http_fail(request, 400, "a key is there twice in the body");
        else if (json_error_code(&error) == json_error_null_character)
            pim_http_fail(request, 400, "a text in the body holds NUL");
        else
            pim_http_fail(request, 400, "the body is not valid JSON");
        return NULL;
    }
    if (!json_is_object(body)) {
        json_decref(body);
        pim_http_fail(request, 400, "the body must be a JSON object");
        return NULL;
    }
    return body;
}

static bool
text_of(struct pim_http_request *request, const json_t *value, const char *name, const char **out_text, size_t *out_len)
{
    if (!json_is_string(value)) {
        pim_http_fail(request, 400, "'%s' must be text", name);
        return false;
    }
    *out_text = json_string_value(value);
    *out_len = json_string_length(value);
    return true;
}

static bool
is_there(struct pim_http_request *request, const json_t *value, const char *name)
{
    if (value == NULL)
        pim_http_fail(request, 400, "'%s' is missing", name);
    return value != NULL;
}

bool
pim_http_text(struct pim_http_request *request, const json_t *body, const char *name, const char **out_text, size_t *out_len)
{
    const json_t *value = json_object_get(body, name);

    return is_there(request, value, name) && text_of(request, value, name, out_text, out_len);
}

bool
pim_http_text_or_empty(struct pim_http_request *request, const json_t *body, const char *name, const char **out_text,
                       size_t *out_len)
{
    const json_t *value = json_object_get(body, name);

    *out_text = "";
    *out_len = 0;
    return value == NULL || text_of(request, value, name, out_text, out_len);
}

bool
pim_http_int(struct pim_http_request *request, const json_t *body, const char *name, int64_t *out_value)
{
    const json_t *value = json_object_get(body, name);

    if (!is_there(request, value, name))
        return false;
    if (!json_is_integer(value)) {
        pim_http_fail(request, 400, "'%s' must be a whole number", name);
        return false;
    }
    *out_value = json_integer_value(value);
    return true;
}

bool
pim_http_id(struct pim_http_request *request, const json_t *body, const char *name, int64_t *out_id)
{
    if (!pim_http_int(request, body, name, out_id))
        return false;
    if (*out_id <= 0) {
        pim_http_fail(request, 400, "'%s' is no id", name);
        return false;
    }
    return true;
}

bool
pim_http_bool(struct pim_http_request *request, const json_t *body, const char *name, bool *out_value)
{
    const json_t *value = json_object_get(body, name);

    if (!is_there(request, value, name))
        return false;
    if (!json_is_boolean(value)) {
        pim_http_fail(request, 400, "'%s' must be true or false", name);
        return false;
    }
    *out_value = json_is_true(value);
    return true;
}

bool
pim_http_note(struct pim_http_request *request, const json_t *body, char out_note[401])
{
    const char *note;
    size_t note_len;

    if (!pim_http_text_or_empty(request, body, "note", &note, &note_len))
        return false;
    if (!pim_utf8_is_line(note, note_len)) {
        pim_http_fail(request, 400, "the note may not hold control characters");
        return false;
    }
    if (note_len > 400 || pim_utf8_chars(note, note_len) > pim_im_config(request->http->im)->note_chars) {
        pim_http_fail(request, 400, "the note is too long");
        return false;
    }
    memcpy(out_note, note, note_len);
    out_note[note_len] = '\0';
    return true;
}
