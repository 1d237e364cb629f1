/* privateim/types.h - what every plugin kind shares. C99 and C++. Only fixed-width integers, pointers and
 * pointer+length cross the line. MIT licence for include/ (plugins of any licence may include it). */
#ifndef PIM_TYPES_H
#define PIM_TYPES_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define PIM_ABI_MAJOR 1
#define PIM_ABI_MINOR 0
#define PIM_MAGIC 0x314d4950u /* "PIM1" */
/* Is field f inside what the other side compiled?  Is it there and not NULL?  Item i of a strided array. */
#define PIM_IN(T, p, f)  ((p)->struct_size >= offsetof(T, f) + sizeof((p)->f))
#define PIM_HAS(T, p, f) (PIM_IN(T, p, f) && (p)->f != NULL)
#define PIM_AT(T, base, stride, i) ((T *)((uintptr_t)(base) + (size_t)(stride) * (i)))
/* Does an item of a strided array have field f?  Frozen for ever (never strided): pim_val, pim_kv, pim_conv, pim_cond, pim_cell. */
#define PIM_ITEM_HAS(T, stride, f) ((size_t)(stride) >= offsetof(T, f) + sizeof(((T *)0)->f))

enum { /* answers: 0 and above; not failures, not logged */
    PIM_OK = 0, PIM_NOT_FOUND = 1, PIM_EXISTS = 2, PIM_AGAIN = 3, PIM_UNCHANGED = 4,
    PIM_REFUSED = 5, /* a guard did not hold; nothing was changed */
    PIM_DEFER = 6,   /* auth: not mine, ask the next */
    PIM_MORE = 7,    /* list: limit reached, rows are left; auth: another step */
    /* failures: below 0, text in pim_err. "void" = nothing was changed, "maybe" = may have been */
    PIM_ERR_INTERNAL = -1, PIM_ERR_UNSUPPORTED = -2, PIM_ERR_INVALID = -3, PIM_ERR_NOMEM = -4,
    PIM_ERR_TIMEOUT = -5, PIM_ERR_CANCELLED = -6, PIM_ERR_PROTOCOL = -7, PIM_ERR_TOO_LARGE = -8,
    PIM_ERR_UNAVAILABLE = -9, /* void; connection is dead: close it, open another */
    PIM_ERR_UNCERTAIN = -10,  /* maybe: the commit was sent, its answer never came */
    PIM_ERR_DENIED = -11,
    PIM_ERR_RETRY = -12,      /* void: deadlock or serialisation loser, run the same call again */
    PIM_ERR_FULL = -13, PIM_ERR_READONLY = -14, PIM_ERR_SCHEMA = -15, PIM_ERR_CORRUPT = -16
};
struct pim_err { /* the caller's memory; the callee writes what fits struct_size */
    uint32_t struct_size;
    int32_t code, native_code; /* PIM_ERR_*, errno or the client library's number */
    char state[8];             /* SQLSTATE or "" */
    char msg[236];             /* for operators, UTF-8, never secrets */
};
struct pim_kv { const char *name, *value; };
struct pim_val { /* one value; text is UTF-8 without NUL byte, bytes are anything; borrowed for the call */
    uint32_t type; /* PIM_NULL .. */
    uint32_t len;
    union { int64_t i; const char *p; } u;
};
enum { PIM_NULL = 0, PIM_INT = 1, PIM_TEXT = 2, PIM_BYTES = 3 };

struct pim_call { /* with every op; borrowed */
    uint32_t struct_size, flags;
    int64_t deadline_ms;                /* host->now_ms clock, 0 none. Past it: TIMEOUT (void) or UNCERTAIN */
    const uint32_t *cancelled;          /* NULL, or becomes 1 = stop soon; read it atomically, between rows; never inside a COMMIT */
    uint64_t trace_id;
};
enum {
    PIM_CALL_REPEATABLE = 1u, /* the host will repeat this after UNCERTAIN; it is written to be harmless */
    PIM_CALL_WRITER = 2u      /* conn_open: a connection that will write (append, apply, trim, redact, maintain) */
};

struct pim_host { /* one per plugin instance; every function: any thread, never blocks */
    uint32_t struct_size, abi_minor;
    void *ctx;
    void (*log)(const struct pim_host *host, int32_t syslog_level, const char *msg, const struct pim_kv *facts, uint32_t n_facts);
    int64_t (*now_ms)(const struct pim_host *host);
    void (*health)(const struct pim_host *host, int32_t up, const char *why);
    void (*count)(const struct pim_host *host, const char *metric, int64_t add);
    void (*fatal)(const struct pim_host *host, const char *why); /* the data cannot be trusted any more (a failed fsync):
                                    ends the process at once, nothing is acknowledged after it; does not return */
};
struct pim_option { const char *name, *type, *def, *min, *max, *help; uint64_t flags; };
enum { PIM_OPT_SECRET = 1, PIM_OPT_RELOAD = 2, PIM_OPT_REQUIRED = 4 };
enum { PIM_KIND_STORAGE = 1, PIM_KIND_AUTH = 2, PIM_KIND_BUS = 3, PIM_KIND_SEARCH = 4 };
struct pim_plugin { /* static const in the plugin */
    uint32_t struct_size, magic;
    uint16_t abi_major, abi_minor;   /* of this file */
    uint16_t kind, kind_major, kind_minor; /* of storage.h, auth.h, ... : each counts for itself */
    uint16_t host_minor_min;         /* refuse me politely if the host is older */
    const char *name, *version, *licence, *about;
    const struct pim_option *options;
    uint32_t n_options, option_size;
    const void *ops;                 /* struct pim_storage_ops, pim_auth_ops, ... */
};
#if defined(__GNUC__)
#define PIM_EXPORT __attribute__((visibility("default")))
#else
#define PIM_EXPORT
#endif
/* The only symbol. index 0, 1, ...: one library may hold several plugins (storage-pg: storage, bus, search).
 * NULL: no more. Called once, main thread; must not allocate, connect or log. */
PIM_EXPORT const struct pim_plugin *pim_plugin_entry(uint32_t index);
#ifdef __cplusplus
}
#endif
#endif
