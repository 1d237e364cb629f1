/* http/pages.h - the page: files read once at the start and served from memory. */
#ifndef PIM_HTTP_PAGES_H
#define PIM_HTTP_PAGES_H
#include "http/request.h"

struct pim_http_pages;

/** Read index.html and every *.js, *.css, *.svg, *.png of a directory. @return PIM_OK or PIM_ERR_INVALID. Main thread. */
PIM_MUST_CHECK int pim_http_pages_load(const char *dir, struct pim_http_pages **out_pages, struct pim_err *err);
void pim_http_pages_free(struct pim_http_pages **pages);
/** Is the request's path one of the files? Then its reply is put into the request. GET and HEAD only. Any thread. */
bool pim_http_pages_serve(const struct pim_http_pages *pages, struct pim_http_request *request);

#endif
