#include "util/mem.h"

#include <stdio.h>
#include <string.h>

static void
out_of_memory(void)
{
    fputs("privateim: out of memory\n", stderr);
    abort();
}

void *
pim_new0(size_t size_bytes)
{
    void *mem = calloc(1, size_bytes ? size_bytes : 1);

    if (mem == NULL)
        out_of_memory();
    return mem;
}

void *
pim_new(size_t size_bytes)
{
    void *mem = malloc(size_bytes ? size_bytes : 1);

    if (mem == NULL)
        out_of_memory();
    return mem;
}

void *
pim_renew(void *old, size_t count, size_t item_bytes)
{
    void *mem = reallocarray(old, count ? count : 1, item_bytes);

    if (mem == NULL)
        out_of_memory();
    return mem;
}

char *
pim_strndup(const char *text, size_t text_len)
{
    char *copy = pim_new(text_len + 1);

    if (text_len > 0)
        memcpy(copy, text, text_len);
    copy[text_len] = '\0';
    return copy;
}

char *
pim_strdup(const char *text)
{
    return pim_strndup(text, strlen(text));
}
