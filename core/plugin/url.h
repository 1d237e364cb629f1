/* plugin/url.h - which storage plugin a role is bound to, as one line of text. */
#ifndef PIM_PLUGIN_URL_H
#define PIM_PLUGIN_URL_H
#include "util/err.h"

#define PIM_PLUGIN_URL_OPTS 32

/* Owned by whoever parsed it, pim_plugin_url_fini(). */
struct pim_plugin_url {
    char *plugin;                            /* name or absolute path, for pim_plugin_open */
    struct pim_kv opts[PIM_PLUGIN_URL_OPTS]; /* names and values are inside `text` */
    uint32_t n_opts, pad;
    char *text;
};

/**
 * Read a storage URL.
 *
 *     sqlite:PATH[?key=value&...]   plugin storage-sqlite, option path
 *     memory:[?key=value&...]       plugin storage-memory
 *     mysql://...                   plugin storage-mysql, option url
 *     postgresql://...              plugin storage-pg, option url
 *     mongodb://...                 plugin storage-mongo, option url
 *     plugin:PATH[?key=value&...]   the library at PATH (absolute) or of that name
 *
 * In keys and values of the ?key=value form %XX is a byte; a path is taken as it is, up to the first ?.
 *
 * @return PIM_OK, or PIM_ERR_INVALID with a sentence. Any thread.
 */
PIM_MUST_CHECK int pim_plugin_url_parse(const char *url, struct pim_plugin_url *out_url, struct pim_err *err);
/** Free; zeroed is fine. */
void pim_plugin_url_fini(struct pim_plugin_url *url);

#endif
