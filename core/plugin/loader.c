#include "plugin/loader.h"

#include "plugin/host_priv.h"
#include "util/mem.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 16 /* plugins in one library */

/* A loaded library; never unloaded, so its entry function is called once. Main thread. */
struct library {
    SLIST_ENTRY(library) link;
    char *path;
    uint32_t n;
    const struct pim_plugin *plugins[ENTRIES_MAX];
};

static SLIST_HEAD(, library) libraries = SLIST_HEAD_INITIALIZER(libraries);
static TAILQ_HEAD(, pim_plugin_handle) handles = TAILQ_HEAD_INITIALIZER(handles);
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER; /* above each handle's own lock */

/* --- finding it --- */

bool
pim_plugin_tree_find(struct pim_plugin_tree *out_tree)
{
    struct pim_plugin_tree tree;
    char path[PATH_MAX + 32], *slash;
    ssize_t len = readlink("/proc/self/exe", tree.build_dir, sizeof tree.build_dir - 1);
    int fd;

    if (len <= 0)
        return false;
    tree.build_dir[len] = '\0';
    slash = strrchr(tree.build_dir, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    if (slash - tree.build_dir > 6 && strcmp(slash - 6, "/.libs") == 0) /* behind libtool's wrapper */
        slash[-6] = '\0';
    snprintf(path, sizeof path, "%s/plugins", tree.build_dir);
    if (access(path, X_OK) != 0)
        return false;
    snprintf(path, sizeof path, "%s/build-tree", tree.build_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    len = read(fd, tree.source_dir, sizeof tree.source_dir - 1);
    close(fd);
    while (len > 0 && isspace((unsigned char)tree.source_dir[len - 1]))
        len--;
    if (len <= 0 || tree.source_dir[0] != '/')
        return false;
    tree.source_dir[len] = '\0';
    *out_tree = tree;
    return true;
}

static bool
name_valid(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* The file's real path: what is checked is what is loaded. */
static int
path_find(const struct pim_plugin_dirs *dirs, const char *name, char out_path[PATH_MAX], struct pim_err *err)
{
    char path[PATH_MAX];

    if (name[0] == '/') {
        if (realpath(name, out_path) != NULL)
            return PIM_OK;
        pim_err_set(err, PIM_NOT_FOUND, "plugin %.150s: %s", name, strerror(errno));
        return PIM_NOT_FOUND;
    }
    if (!name_valid(name))
        return pim_err_set(err, PIM_ERR_INVALID, "%.60s is neither a plugin's name (a-z, 0-9, -) nor an absolute path",
                           name);
    if (dirs->build_dir != NULL) {
        snprintf(path, sizeof path, "%.3900s/plugins/%s/.libs/%s.so", dirs->build_dir, name, name);
        if (realpath(path, out_path) != NULL)
            return PIM_OK;
    }
    snprintf(path, sizeof path, "%.4000s/%s.so", dirs->plugin_dir, name);
    if (realpath(path, out_path) != NULL)
        return PIM_OK;
    pim_err_set(err, PIM_NOT_FOUND, "there is no plugin %s in %.140s", name, dirs->plugin_dir);
    return PIM_NOT_FOUND;
}

static int
owner_check(const char *path, struct pim_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return pim_err_set(err, PIM_NOT_FOUND, "%.150s: %s", path, strerror(errno));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return pim_err_set(err, PIM_ERR_DENIED,
                           "%.150s belongs to user %u; a plugin and its directory must belong to root or to "
                           "the server's user",
                           path, (unsigned)st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return pim_err_set(err, PIM_ERR_DENIED,
                           "%.150s can be written by %s; a plugin and its directory must be writable by "
                           "their owner alone (chmod go-w)",
                           path, (st.st_mode & S_IWOTH) != 0 ? "everybody" : "its group");
    return PIM_OK;
}

static int
writers_check(const char *path, struct pim_err *err)
{
    char dir[PATH_MAX];
    char *slash;
    int rc;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    rc = owner_check(dir, err);
    return rc == PIM_OK ? owner_check(path, err) : rc;
}

/* --- what it is --- */

static const char *
kind_name(uint16_t kind)
{
    static const char *const names[] = {"unknown", "storage", "auth", "bus", "search"};

    return names[kind < PIM_COUNT(names) ? kind : 0];
}

static int
plugin_check(const char *path, const struct pim_plugin *p, struct pim_err *err)
{
    if (p->magic != PIM_MAGIC)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                           "%.120s: pim_plugin_entry gives no PrivateIM plugin (magic %08" PRIx32 ", not %08" PRIx32
                           ")",
                           path, p->magic, (uint32_t)PIM_MAGIC);
    if (p->abi_major != PIM_ABI_MAJOR)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "%.120s was made for plugin ABI %u.%u and this server has %d.%d",
                           path, p->abi_major, p->abi_minor, PIM_ABI_MAJOR, PIM_ABI_MINOR);
    if (!PIM_IN(struct pim_plugin, p, ops))
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "%.120s: its pim_plugin has %" PRIu32 " bytes, ABI %d.0 has %zu",
                           path, p->struct_size, PIM_ABI_MAJOR, offsetof(struct pim_plugin, ops) + sizeof p->ops);
    if (p->host_minor_min > PIM_ABI_MINOR)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                           "%.120s needs a server with plugin ABI %u.%u and this one has %d.%d", path, p->abi_major,
                           p->host_minor_min, PIM_ABI_MAJOR, PIM_ABI_MINOR);
    if (p->name == NULL || !name_valid(p->name) || p->version == NULL || p->licence == NULL || p->about == NULL)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                           "%.120s: a plugin in it lacks its name (a-z, 0-9, -), version, licence or "
                           "about",
                           path);
    if (p->n_options > 0 && (p->options == NULL || !PIM_ITEM_HAS(struct pim_option, p->option_size, flags)))
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "%.120s: the options of plugin %s are no options", path, p->name);
    return PIM_OK;
}

/* Functions that every plugin of a kind must have; what a role asks beyond that, core/data says. */
static const struct {
    uint16_t kind;
    size_t at;
    const char *name;
} needed[] = {
#define STORAGE(f)                                                                                                     \
    {                                                                                                                  \
        PIM_KIND_STORAGE, offsetof(struct pim_storage_ops, f), #f                                                      \
    }
#define AUTH(f)                                                                                                        \
    {                                                                                                                  \
        PIM_KIND_AUTH, offsetof(struct pim_auth_ops, f), #f                                                            \
    }
    STORAGE(open),       STORAGE(close), STORAGE(migrate), STORAGE(conn_open),
    STORAGE(conn_close), STORAGE(ping),  AUTH(open),       AUTH(close),
};

static int
kind_check(const char *path, const struct pim_plugin *p, struct pim_err *err)
{
    int major = p->kind == PIM_KIND_STORAGE ? PIM_STORAGE_MAJOR : p->kind == PIM_KIND_AUTH ? PIM_AUTH_MAJOR : 0;
    int minor = p->kind == PIM_KIND_STORAGE ? PIM_STORAGE_MINOR : PIM_AUTH_MINOR;
    uint32_t size;

    if (p->kind_major != major)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                           "%.120s: plugin %s was made for %s interface %u.%u and this server has "
                           "%d.%d",
                           path, p->name, kind_name(p->kind), p->kind_major, p->kind_minor, major, minor);
    if (p->ops == NULL)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "%.120s: plugin %s has no functions", path, p->name);
    size = *(const uint32_t *)p->ops; /* every table begins with its struct_size */
    for (size_t i = 0; i < PIM_COUNT(needed); i++) {
        void *fn = NULL;

        if (needed[i].kind != p->kind)
            continue;
        if (needed[i].at + sizeof fn <= size)
            memcpy(&fn, (const char *)p->ops + needed[i].at, sizeof fn);
        if (fn == NULL)
            return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                               "%.120s: plugin %s lacks the function %s, which every %s plugin must "
                               "have",
                               path, p->name, needed[i].name, kind_name(p->kind));
    }
    return PIM_OK;
}

static int
library_open(const char *path, struct library **out_lib, struct pim_err *err)
{
    const struct pim_plugin *(*entry)(uint32_t) = NULL;
    struct library *lib;
    void *so, *symbol;
    int rc;

    SLIST_FOREACH (lib, &libraries, link) {
        if (strcmp(lib->path, path) == 0) {
            *out_lib = lib;
            return PIM_OK;
        }
    }
    rc = writers_check(path, err);
    if (rc != PIM_OK)
        return rc;
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (so == NULL)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "cannot load the plugin: %.200s", dlerror());
    symbol = dlsym(so, "pim_plugin_entry");
    if (symbol == NULL) {
        dlclose(so);
        return pim_err_set(err, PIM_ERR_UNSUPPORTED,
                           "%.120s lacks the symbol pim_plugin_entry: it is no PrivateIM plugin", path);
    }
    memcpy(&entry, &symbol, sizeof entry);
    lib = pim_new0(sizeof *lib);
    while (lib->n < ENTRIES_MAX && (lib->plugins[lib->n] = entry(lib->n)) != NULL) {
        rc = plugin_check(path, lib->plugins[lib->n], err);
        if (rc != PIM_OK) {
            free(lib);
            dlclose(so);
            return rc;
        }
        lib->n++;
    }
    lib->path = pim_strdup(path);
    SLIST_INSERT_HEAD(&libraries, lib, link);
    *out_lib = lib;
    return PIM_OK;
}

int
pim_plugin_open(const struct pim_plugin_dirs *dirs, const char *name, uint16_t kind,
                struct pim_plugin_handle **out_handle, struct pim_err *err)
{
    char path[PATH_MAX];
    struct library *lib = NULL;
    struct pim_plugin_handle *handle;
    uint32_t i = 0;
    int rc;

    rc = path_find(dirs, name, path, err);
    if (rc == PIM_OK)
        rc = library_open(path, &lib, err);
    if (rc != PIM_OK || lib == NULL)
        return rc;
    while (i < lib->n && lib->plugins[i]->kind != kind)
        i++;
    if (i == lib->n)
        return pim_err_set(err, PIM_ERR_UNSUPPORTED, "%.120s has no %s plugin%s%s", path, kind_name(kind),
                           lib->n > 0 ? " but one of kind " : "", lib->n > 0 ? kind_name(lib->plugins[0]->kind) : "");
    rc = kind_check(path, lib->plugins[i], err);
    if (rc != PIM_OK)
        return rc;
    handle = pim_new0(sizeof *handle);
    handle->plugin = lib->plugins[i];
    handle->path = lib->path;
    pim_plugin_host_init(handle);
    pthread_mutex_lock(&handles_lock);
    TAILQ_INSERT_TAIL(&handles, handle, link);
    pthread_mutex_unlock(&handles_lock);
    *out_handle = handle;
    return PIM_OK;
}

void
pim_plugin_close(struct pim_plugin_handle **handle)
{
    if (*handle == NULL)
        return;
    pthread_mutex_lock(&handles_lock);
    TAILQ_REMOVE(&handles, *handle, link);
    pthread_mutex_unlock(&handles_lock);
    pthread_mutex_destroy(&(*handle)->lock);
    free(*handle);
    *handle = NULL;
}

const struct pim_plugin *
pim_plugin_info(const struct pim_plugin_handle *handle)
{
    return handle->plugin;
}

const struct pim_host *
pim_plugin_host(const struct pim_plugin_handle *handle)
{
    return &handle->host;
}

const struct pim_storage_ops *
pim_plugin_storage(const struct pim_plugin_handle *handle)
{
    return handle->plugin->kind == PIM_KIND_STORAGE ? handle->plugin->ops : NULL;
}

const struct pim_auth_ops *
pim_plugin_auth(const struct pim_plugin_handle *handle)
{
    return handle->plugin->kind == PIM_KIND_AUTH ? handle->plugin->ops : NULL;
}

/* --- its options --- */

static bool
int_parse(const char *text, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && !isspace((unsigned char)text[0]);
}

static int
option_check(const struct pim_plugin *p, const struct pim_option *opt, const char *value, struct pim_err *err)
{
    int64_t n, bound;

    if (opt->type == NULL || strcmp(opt->type, "int") != 0)
        return PIM_OK;
    if (int_parse(value, &n) && (opt->min == NULL || !int_parse(opt->min, &bound) || n >= bound) &&
        (opt->max == NULL || !int_parse(opt->max, &bound) || n <= bound))
        return PIM_OK;
    return pim_err_set(err, PIM_ERR_INVALID, "plugin %s: option %s = %.40s: allowed is a number from %s to %s", p->name,
                       opt->name, value, opt->min == NULL ? "any" : opt->min, opt->max == NULL ? "any" : opt->max);
}

int
pim_plugin_options_check(const struct pim_plugin_handle *handle, const struct pim_kv *opts, uint32_t n_opts,
                         struct pim_err *err)
{
    const struct pim_plugin *p = handle->plugin;

    for (uint32_t i = 0; i < n_opts; i++) {
        const struct pim_option *opt = NULL;
        uint32_t j;
        int rc;

        for (j = 0; j < p->n_options; j++) {
            opt = PIM_AT(const struct pim_option, p->options, p->option_size, j);
            if (strcmp(opt->name, opts[i].name) == 0)
                break;
        }
        if (j == p->n_options) {
            char names[160] = "";

            for (j = 0; j < p->n_options && strlen(names) + 40 < sizeof names; j++)
                snprintf(names + strlen(names), sizeof names - strlen(names), "%s%.36s", j > 0 ? ", " : "",
                         PIM_AT(const struct pim_option, p->options, p->option_size, j)->name);
            return pim_err_set(err, PIM_ERR_INVALID, "plugin %s has no option %.40s; it has %s", p->name, opts[i].name,
                               p->n_options > 0 ? names : "none");
        }
        rc = option_check(p, opt, opts[i].value, err);
        if (rc != PIM_OK)
            return rc;
    }
    for (uint32_t j = 0; j < p->n_options; j++) {
        const struct pim_option *opt = PIM_AT(const struct pim_option, p->options, p->option_size, j);
        uint32_t i = 0;

        while (i < n_opts && strcmp(opts[i].name, opt->name) != 0)
            i++;
        if (i == n_opts && (opt->flags & PIM_OPT_REQUIRED) != 0)
            return pim_err_set(err, PIM_ERR_INVALID, "plugin %s needs the option %s (%s)", p->name, opt->name,
                               opt->help == NULL ? "" : opt->help);
    }
    return PIM_OK;
}

/* --- who is there --- */

bool
pim_plugin_healthy(const struct pim_plugin_handle *handle, char why[128])
{
    struct pim_plugin_handle *h = (struct pim_plugin_handle *)(uintptr_t)handle; /* for its lock */
    bool up;

    pthread_mutex_lock(&h->lock);
    up = h->up;
    if (why != NULL)
        memcpy(why, h->why, sizeof h->why);
    pthread_mutex_unlock(&h->lock);
    return up;
}

void
pim_plugin_list(pim_plugin_row_fn row, void *ctx)
{
    const struct pim_plugin_handle *handle;

    pthread_mutex_lock(&handles_lock);
    TAILQ_FOREACH (handle, &handles, link) {
        char why[128];
        bool healthy = pim_plugin_healthy(handle, why);
        const struct pim_plugin *p = handle->plugin;

        row(ctx, &(struct pim_plugin_row){p->name, p->version, p->licence, p->about, handle->path, kind_name(p->kind),
                                          healthy, why});
    }
    pthread_mutex_unlock(&handles_lock);
}

void
pim_plugin_counts(pim_plugin_count_fn count, void *ctx)
{
    struct pim_plugin_handle *handle;

    pthread_mutex_lock(&handles_lock);
    TAILQ_FOREACH (handle, &handles, link) {
        uint32_t n = atomic_load_explicit(&handle->n_metrics, memory_order_acquire);

        for (uint32_t i = 0; i < n; i++)
            count(ctx, handle->plugin->name, handle->metrics[i].name,
                  atomic_load_explicit(&handle->metrics[i].value, memory_order_relaxed));
    }
    pthread_mutex_unlock(&handles_lock);
}
