/* http/json_in.h - JSON bodies of requests, read strictly. Every function that answers false or NULL has put a 400 (or 415)
 * that names the field into the request. Any thread. */
#ifndef PIM_HTTP_JSON_IN_H
#define PIM_HTTP_JSON_IN_H
#include "http/request.h"

#include <jansson.h>

#define PIM_HTTP_JSON_DEPTH 16

/** The body as an object: application/json, UTF-8, no key twice, not deeper than PIM_HTTP_JSON_DEPTH. json_decref it. */
json_t *pim_http_body(struct pim_http_request *request);

/** A text that must be there; borrowed from body. */
bool pim_http_text(struct pim_http_request *request, const json_t *body, const char *name, const char **out_text,
                   size_t *out_len);
/** A text that may be missing: then "". */
bool pim_http_text_or_empty(struct pim_http_request *request, const json_t *body, const char *name, const char **out_text,
                            size_t *out_len);
/** A whole number that must be there. */
bool pim_http_int(struct pim_http_request *request, const json_t *body, const char *name, int64_t *out_value);
/** An id: a whole number above 0. */
bool pim_http_id(struct pim_http_request *request, const json_t *body, const char *name, int64_t *out_id);
/** A truth value that must be there. */
bool pim_http_bool(struct pim_http_request *request, const json_t *body, const char *name, bool *out_value);
/** A note that may be missing: one line of at most note_chars characters. */
bool pim_http_note(struct pim_http_request *request, const json_t *body, char out_note[401]);

#endif
