/* Any frame text: the one-pass reader against jansson. Both must take or refuse the same texts, but for the reader's own
 * rules, which are spelled out here:
 *
 *   - objects of more than PIM_WIRE_KEYS_MAX members and values deeper than PIM_WIRE_DEPTH_MAX are refused;
 *   - the fields of the protocol must have their type;
 *   - a client id must be a UUID of version 7, written without escapes;
 *   - an array is no message, though jansson reads one;
 *   - jansson refuses reals beyond a double; the reader does not look at the value of what it skips;
 *   - jansson overlooks a NUL byte behind a number, the reader refuses it wherever it stands.
 *
 * What was read must have jansson's values, and the stored body must hold the same texts, in one form however they were
 * written. */
#include "util/id.h"
#include "util/utf8.h"
#include "wire/reader.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: " #condition "\n", __LINE__);                                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char *const numbers[] = {"type_id",     "sender_id",     "receiver_id",
                                      "create_time", "delivery_time", "content_type"};
static const char *const texts[] = {"content",      "title",       "abstract",  "preview_pic",
                                    "resource_url", "description", "additional"};

/* Does a value break one of the reader's own limits? */
static bool
is_beyond_limits(json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;

    if (depth > PIM_WIRE_DEPTH_MAX || json_object_size(value) > PIM_WIRE_KEYS_MAX)
        return true;
    json_object_foreach (value, key, item)
        if (is_beyond_limits(item, depth + 1))
            return true;
    json_array_foreach (value, i, item)
        if (is_beyond_limits(item, depth + 1))
            return true;
    return false;
}

static bool
has_wrong_type(json_t *root)
{
    json_t *cid = json_object_get(root, "client_id");

    for (size_t i = 0; i < PIM_COUNT(numbers); i++) {
        json_t *value = json_object_get(root, numbers[i]);

        if (value != NULL && !json_is_integer(value))
            return true;
    }
    for (size_t i = 0; i < PIM_COUNT(texts); i++) {
        json_t *value = json_object_get(root, texts[i]);

        if (value != NULL && !json_is_string(value))
            return true;
    }
    return cid != NULL && !json_is_string(cid);
}

/* @return 1 a good client id, 0 none, -1 a bad one */
static int
client_id(json_t *root, uint8_t out_cid[16])
{
    json_t *cid = json_object_get(root, "client_id");

    if (cid == NULL)
        return 0;
    return json_is_string(cid) && pim_uuid7_parse(json_string_value(cid), json_string_length(cid), out_cid) ? 1 : -1;
}

static void
check_number(json_t *root, const char *name, int64_t value)
{
    MUST(json_integer_value(json_object_get(root, name)) == value);
}

static void
check_text(json_t *root, const char *name, size_t len)
{
    MUST((json_string_length(json_object_get(root, name)) == 0) == (len == 0));
}

static bool
has(json_t *root, const char *name)
{
    return json_object_get(root, name) != NULL;
}

static void
check_values(json_t *root, const struct pim_message *msg)
{
    uint8_t cid[16] = {0};

    check_number(root, "type_id", msg->type_id);
    check_number(root, "sender_id", msg->sender_id);
    check_number(root, "receiver_id", msg->receiver_id);
    check_number(root, "content_type", msg->content_type);
    check_number(root, "delivery_time", msg->delivery_time);
    check_text(root, "content", msg->content_len);
    check_text(root, "preview_pic", msg->preview_pic_len);
    check_text(root, "resource_url", msg->resource_url_len);
    check_text(root, "title", msg->title_len);
    check_text(root, "abstract", msg->abstract_len);
    MUST(msg->has == ((has(root, "type_id") ? PIM_HAS_TYPE_ID : 0u) | (has(root, "sender_id") ? PIM_HAS_SENDER_ID : 0u) |
                      (has(root, "receiver_id") ? PIM_HAS_RECEIVER_ID : 0u) |
                      (has(root, "content_type") ? PIM_HAS_CONTENT_TYPE : 0u) |
                      (has(root, "delivery_time") ? PIM_HAS_DELIVERY_TIME : 0u) |
                      (has(root, "client_id") ? PIM_HAS_CLIENT_ID : 0u)));
    client_id(root, cid);
    MUST(memcmp(cid, msg->cid, 16) == 0);
}

/* The body holds the content fields that are not empty, and nothing else. */
static void
check_body(json_t *root, const struct pim_message *msg)
{
    json_t *body = json_loadb(msg->body, msg->body_len, JSON_REJECT_DUPLICATES, NULL);
    size_t n = 0;

    MUST(body != NULL);
    if (has(root, "content_type")) {
        check_number(body, "content_type", msg->content_type);
        MUST(has(body, "content_type"));
        n++;
    }
    for (size_t i = 0; i < PIM_COUNT(texts); i++) {
        json_t *text = json_object_get(root, texts[i]);

        if (json_string_length(text) == 0)
            continue;
        MUST(json_equal(text, json_object_get(body, texts[i])));
        n++;
    }
    MUST(json_object_size(body) == n);
    json_decref(body);
}

/* Another writing of the same message must be stored as the same bytes. */
static void
check_same_body(const char *text, size_t text_len, const struct pim_message *want)
{
    char *body = malloc(text_len + 64);
    struct pim_message msg;
    const char *why;

    MUST(pim_wire_read(text, text_len, body, &msg, &why) == PIM_OK);
    MUST(msg.body_len == want->body_len && memcmp(msg.body, want->body, msg.body_len) == 0);
    free(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t error = {.text = ""};
    struct pim_message msg;
    const char *why = NULL;
    uint8_t cid[16];
    char *src, *body;
    json_t *root;
    int rc;

    if (size == 0 || !pim_utf8_valid(data, size))
        return 0;
    src = malloc(size); /* exact, so that a byte too far is seen */
    body = malloc(size + 64);
    memcpy(src, data, size);
    rc = pim_wire_read(src, size, body, &msg, &why);
    MUST(rc >= 0 || (why != NULL && strlen(why) > 0));
    root = json_loadb(src, size, JSON_REJECT_DUPLICATES, &error);
    if (memchr(src, '\0', size) != NULL) {
        MUST(rc < 0);
    } else if (root == NULL) {
        MUST(rc < 0 || strstr(error.text, "real number overflow") != NULL);
    } else if (!json_is_object(root)) {
        MUST(rc == PIM_ERR_PROTOCOL);
    } else if (is_beyond_limits(root, 1) || has_wrong_type(root)) {
        MUST(rc == PIM_ERR_INVALID);
    } else if (has(root, "op")) {
        MUST(rc == PIM_DEFER);
    } else if (client_id(root, cid) < 0) {
        MUST(rc == PIM_ERR_INVALID);
    } else if (rc != PIM_OK) {
        MUST(rc == PIM_ERR_INVALID && strstr(why, "client_id") != NULL && memchr(src, '\\', size) != NULL);
    } else {
        char *ascii = json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);

        check_values(root, &msg);
        check_body(root, &msg);
        check_same_body(msg.body, msg.body_len, &msg);
        check_same_body(ascii, strlen(ascii), &msg);
        free(ascii);
    }
    json_decref(root);
    free(body);
    free(src);
    return 0;
}
