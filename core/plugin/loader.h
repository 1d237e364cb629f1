/* plugin/loader.h - the only place that loads plugins.
 *
 * A plugin is a shared library with one function, pim_plugin_entry (privateim/types.h). It is found by name in the
 * plugin directory or by absolute path, and loaded only if nobody but root and the server's own user could have written
 * it. Each refusal is one sentence. A loaded library stays loaded until the process ends: it may have threads or exit
 * handlers of its own.
 *
 * One pim_plugin_handle is one use of a plugin: it holds the host table that the plugin calls back through. */
#ifndef PIM_PLUGIN_LOADER_H
#define PIM_PLUGIN_LOADER_H
#include "util/err.h"

#include <privateim/auth.h>
#include <privateim/storage.h>
#include <stdbool.h>

struct pim_plugin_handle; /* opaque */

/* Where plugins are looked for; borrowed for the call. */
struct pim_plugin_dirs {
    const char *plugin_dir; /* NAME.so */
    const char *build_dir;  /* NULL, or a build tree: plugins/NAME/.libs/NAME.so; looked at first */
};

/* A build tree that the running program lies in. */
struct pim_plugin_tree {
    char build_dir[4096];
    char source_dir[4096];
};

/**
 * Is the running program one that was built and not installed? It is if its own directory has plugins/ and the file
 * build-tree, which names the source directory.
 *
 * @return true and *out_tree. Any thread. Source: proc(5), /proc/self/exe
 */
bool pim_plugin_tree_find(struct pim_plugin_tree *out_tree);

/**
 * Load a plugin and find in it the one of a kind.
 *
 * @param name  a name ([a-z0-9-]) or an absolute path
 * @param kind  PIM_KIND_*
 * @return PIM_OK
 *         PIM_NOT_FOUND        no such file
 *         PIM_ERR_DENIED       others could have written it
 *         PIM_ERR_UNSUPPORTED  it is no plugin, is of another version or has nothing of this kind
 *         each with a sentence in err
 *
 * *out_handle is the caller's, pim_plugin_close(). Main thread.
 */
PIM_MUST_CHECK int pim_plugin_open(const struct pim_plugin_dirs *dirs, const char *name, uint16_t kind,
                                   struct pim_plugin_handle **out_handle, struct pim_err *err);
/** Free a handle, once the plugin was closed with its own close(). NULL is fine. Main thread. */
void pim_plugin_close(struct pim_plugin_handle **handle);

/** What the plugin says of itself; static storage of the plugin. Any thread. */
const struct pim_plugin *pim_plugin_info(const struct pim_plugin_handle *handle);
/** The host table to open it with; lives as long as the handle. Any thread. */
const struct pim_host *pim_plugin_host(const struct pim_plugin_handle *handle);
/** The table of its kind, or NULL if it is of the other one. Any thread. */
const struct pim_storage_ops *pim_plugin_storage(const struct pim_plugin_handle *handle);
const struct pim_auth_ops *pim_plugin_auth(const struct pim_plugin_handle *handle);

/**
 * Check options against the plugin's own table: the name is known, a number is one and in its bounds, what is required
 * is there.
 *
 * @return PIM_OK, or PIM_ERR_INVALID with a sentence. Any thread.
 */
PIM_MUST_CHECK int pim_plugin_options_check(const struct pim_plugin_handle *handle, const struct pim_kv *opts,
                                            uint32_t n_opts, struct pim_err *err);

/** Does the plugin say that it is well? why: what it said last, at most 127 bytes and a NUL; may be NULL. Any thread.
 */
bool pim_plugin_healthy(const struct pim_plugin_handle *handle, char why[128]);

/* One loaded plugin for privateimctl and the metrics; borrowed for the call. */
struct pim_plugin_row {
    const char *name, *version, *licence, *about, *path, *kind;
    bool healthy;
    const char *why;
};
typedef void (*pim_plugin_row_fn)(void *ctx, const struct pim_plugin_row *row);
/** All open handles, in the order they were opened. Any thread; row must not open or close plugins. */
void pim_plugin_list(pim_plugin_row_fn row, void *ctx);

typedef void (*pim_plugin_count_fn)(void *ctx, const char *plugin, const char *metric, int64_t value);
/** All counters that plugins keep through the host table. Any thread; count must not open or close plugins. */
void pim_plugin_counts(pim_plugin_count_fn count, void *ctx);

#endif
