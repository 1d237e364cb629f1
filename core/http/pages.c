#include "http/pages.h"

#include "util/mem.h"
#include "util/siphash.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES (1u << 20)
#define FILES_MAX 128

struct page {
    char path[128];
    const char *type;
    char etag[20];
    struct pim_buf bytes;
};

struct pim_http_pages {
    struct page *pages;
    size_t n;
};

static const char *
type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"}};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < PIM_COUNT(types); i++) {
        if (strcmp(dot, types[i].ending) == 0)
            return types[i].type;
    }
    return NULL;
}

static int
file_read(const char *path, struct pim_buf *out, struct pim_err *err)
{
    FILE *file = fopen(path, "re");
    char piece[8192];
    size_t n;
    int rc = PIM_OK;

    if (file == NULL)
        return pim_err_set(err, PIM_ERR_INVALID, "http: %s: %s", path, strerror(errno));
    while (rc == PIM_OK && (n = fread(piece, 1, sizeof piece, file)) > 0)
        rc = pim_buf_add(out, piece, n);
    if (rc < 0)
        pim_err_set(err, PIM_ERR_INVALID, "http: %s is too large", path);
    else if (ferror(file))
        rc = pim_err_set(err, PIM_ERR_INVALID, "http: %s cannot be read", path);
    fclose(file);
    return rc < 0 ? PIM_ERR_INVALID : PIM_OK;
}

int
pim_http_pages_load(const char *dir, struct pim_http_pages **out_pages, struct pim_err *err)
{
    static const uint8_t key[16]; /* an ETag tells versions of a file apart, no more */
    struct pim_http_pages *pages;
    struct dirent *entry;
    DIR *handle = opendir(dir);
    int rc = PIM_OK;

    if (handle == NULL)
        return pim_err_set(err, PIM_ERR_INVALID, "http: %s: %s", dir, strerror(errno));
    pages = pim_new0(sizeof *pages);
    while (rc == PIM_OK && (entry = readdir(handle)) != NULL) {
        const char *type = type_of(entry->d_name);
        struct page *page;
        char path[4096];

        if (entry->d_name[0] == '.' || type == NULL || strlen(entry->d_name) > 100 || pages->n == FILES_MAX)
            continue;
        pages->pages = pim_renew(pages->pages, pages->n + 1, sizeof *pages->pages);
        page = &pages->pages[pages->n++];
        *page = (struct page){.type = type};
        pim_buf_init(&page->bytes, FILE_MAX_BYTES);
        if (strcmp(entry->d_name, "index.html") == 0)
            strcpy(page->path, "/");
        else
            snprintf(page->path, sizeof page->path, "/web/%s", entry->d_name);
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        rc = file_read(path, &page->bytes, err);
        snprintf(page->etag, sizeof page->etag, "\"%016llx\"",
                 (unsigned long long)pim_siphash(key, page->bytes.data, page->bytes.len));
    }
    closedir(handle);
    if (rc == PIM_OK)
        *out_pages = pages;
    else
        pim_http_pages_free(&pages);
    return rc;
}

void
pim_http_pages_free(struct pim_http_pages **pages)
{
    if (*pages == NULL)
        return;
    for (size_t i = 0; i < (*pages)->n; i++)
        pim_buf_fini(&(*pages)->pages[i].bytes);
    free((*pages)->pages);
    free(*pages);
    *pages = NULL;
}

bool
pim_http_pages_serve(const struct pim_http_pages *pages, struct pim_http_request *request)
{
    for (size_t i = 0; pages != NULL && i < pages->n; i++) {
        const struct page *page = &pages->pages[i];
        char *have;

        if (strcmp(page->path, request->path) != 0)
            continue;
        if (request->method != PIM_HTTP_GET && request->method != PIM_HTTP_HEAD) {
            request->allow = "GET, HEAD";
            pim_http_fail(request, 405, "the method is not allowed");
            return true;
        }
        request->status = 200;
        request->content_type = page->type;
        request->etag = page->etag;
        request->file = page->bytes.data != NULL ? page->bytes.data : "";
        request->file_len = page->bytes.len;
        request->is_page = true;
        have = pim_http_request_header_dup(request, "If-None-Match");
        if (have != NULL && (pim_http_list_has(have, strlen(have), page->etag) || strcmp(have, "*") == 0))
            request->status = 304;
        free(have);
        return true;
    }
    return false;
}
