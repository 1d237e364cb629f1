#include "plugin/url.h"

#include "util/mem.h"

#include <string.h>

static const struct {
    const char *scheme, *plugin;
    const char *option; /* what the text becomes; NULL: there is none */
    int whole;          /* the whole URL, which the client library reads itself */
} schemes[] = {
    {"sqlite:", "storage-sqlite", "path", 0},  {"memory:", "storage-memory", NULL, 0},
    {"mysql://", "storage-mysql", "url", 1},   {"postgresql://", "storage-pg", "url", 1},
    {"mongodb://", "storage-mongo", "url", 1}, {"plugin:", NULL, NULL, 0},
};

static int
hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* In place. @return 0, or -1 for a bad escape or one that means a NUL byte. */
static int
unescape(char *text)
{
    char *dst = text;

    for (; *text != '\0'; text++) {
        if (*text == '%') {
            int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);

            if (low < 0 || (high == 0 && low == 0))
                return -1;
            *dst++ = (char)(high * 16 + low);
            text += 2;
        } else {
            *dst++ = *text;
        }
    }
    *dst = '\0';
    return 0;
}

static int
options_parse(struct pim_plugin_url *url, char *text, struct pim_err *err)
{
    while (text != NULL && *text != '\0') {
        char *next = strchr(text, '&'), *value;

        if (next != NULL)
            *next++ = '\0';
        value = strchr(text, '=');
        if (value == NULL || value == text)
            return pim_err_set(err, PIM_ERR_INVALID, "the storage URL's option %.60s is not key=value", text);
        *value++ = '\0';
        if (unescape(text) < 0 || unescape(value) < 0)
            return pim_err_set(err, PIM_ERR_INVALID, "the storage URL's option %.60s has a bad %% escape", text);
        for (uint32_t i = 0; i < url->n_opts; i++)
            if (strcmp(url->opts[i].name, text) == 0)
                return pim_err_set(err, PIM_ERR_INVALID, "the storage URL has the option %.60s twice", text);
        if (url->n_opts == PIM_PLUGIN_URL_OPTS)
            return pim_err_set(err, PIM_ERR_INVALID, "the storage URL has more than %d options", PIM_PLUGIN_URL_OPTS);
        url->opts[url->n_opts++] = (struct pim_kv){text, value};
        text = next;
    }
    return PIM_OK;
}

int
pim_plugin_url_parse(const char *url, struct pim_plugin_url *out_url, struct pim_err *err)
{
    struct pim_plugin_url got = {0};
    size_t i;
    char *rest, *query;
    int rc = PIM_OK;

    for (i = 0; i < PIM_COUNT(schemes) && strncmp(url, schemes[i].scheme, strlen(schemes[i].scheme)) != 0; i++)
        ;
    if (i == PIM_COUNT(schemes))
        return pim_err_set(err, PIM_ERR_INVALID,
                           "%.60s is no storage URL: allowed are sqlite:PATH, memory:, mysql://, "
                           "postgresql://, mongodb:// and plugin:PATH?key=value",
                           url);
    got.text = pim_strdup(url);
    rest = got.text + strlen(schemes[i].scheme);
    if (schemes[i].whole) {
        got.plugin = pim_strdup(schemes[i].plugin);
        got.opts[got.n_opts++] = (struct pim_kv){schemes[i].option, got.text};
        goto out;
    }
    query = strchr(rest, '?');
    if (query != NULL)
        *query++ = '\0';
    got.plugin = pim_strdup(schemes[i].plugin != NULL ? schemes[i].plugin : rest);
    if (schemes[i].option != NULL)
        got.opts[got.n_opts++] = (struct pim_kv){schemes[i].option, rest};
    if (*rest == '\0' && (schemes[i].option != NULL || schemes[i].plugin == NULL))
        rc = pim_err_set(err, PIM_ERR_INVALID, "the storage URL %.60s has no path", url);
    else if (*rest != '\0' && schemes[i].option == NULL && schemes[i].plugin != NULL)
        rc = pim_err_set(err, PIM_ERR_INVALID, "the storage URL %.60s takes no path", url);
    else
        rc = options_parse(&got, query, err);
out:
    if (rc == PIM_OK)
        *out_url = got;
    else
        pim_plugin_url_fini(&got);
    return rc;
}

void
pim_plugin_url_fini(struct pim_plugin_url *url)
{
    free(url->plugin);
    free(url->text);
    *url = (struct pim_plugin_url){0};
}
