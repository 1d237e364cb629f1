/* privateim/types.h - what all kinds of plugin share: results, errors, values, the call, the host, the entry.
 * C99 and C++11. This folder is MIT licensed, so a plugin may have any licence.
 *
 * What a plugin is
 *
 * A plugin is a shared library with one exported function, pim_plugin_entry(). It gives out tables of type
 * struct pim_plugin: who the plugin is, which options it takes, and a table of functions of its kind: storage.h for
 * stores, auth.h for sign-in. The server finds a library by its name in the plugin directory (or by absolute path) and
 * refuses one that anybody but root or the server's own user could have written. `pkg-config --cflags privateim` finds
 * these headers, `pkg-config --variable=plugindir privateim` the directory. A plugin includes <privateim/...> and no
 * other file of the server, and links to nothing of it: all that it may call comes in struct pim_host.
 *
 *     cc -shared -fPIC -fvisibility=hidden $(pkg-config --cflags privateim) my.c -o my.so
 *
 * Its life
 *
 *  1. dlopen (RTLD_NOW, RTLD_LOCAL), then pim_plugin_entry(0), (1), ... until NULL, once, on the main thread. Magic and
 *     versions are compared; a plugin that does not fit is refused with a sentence that names both numbers.
 *  2. The operator's options are held against the plugin's own table. Then open() of its kind makes an instance. There
 *     may be several instances of one plugin at the same time, each with its own options and its own struct pim_host:
 *     keep nothing in static variables.
 *  3. The functions of the kind, from the threads that each names.
 *  4. close() of the instance, when no other function runs in it. The library stays loaded until the process ends.
 *
 * Two versions that meet
 *
 * Both sides may be compiled from different minor versions of these files. Within a major number fields are appended
 * only, never moved or changed. Each table begins with struct_size, which its maker sets to sizeof; the other side
 * looks at a field only if it lies inside that size: PIM_IN, and for a pointer that may be missing PIM_HAS. Arrays
 * come with their item's size: step through them with PIM_AT. A function that is not there is the same as one that
 * answers PIM_ERR_UNSUPPORTED. Reserved fields named pad or reserved are 0.
 *
 * Memory
 *
 * Memory never changes hands. What the host passes in is borrowed for the call, and so is what a plugin passes to a
 * callback: copy what you keep. Results go into the caller's structs. The few things that last longer: struct pim_host
 * until close() has returned, and what pim_plugin_entry returns for ever.
 *
 * Results
 *
 * 0 is done. Above 0 are answers, which are no failures and are not logged. Below 0 are failures, with a sentence in
 * struct pim_err. For whatever writes, each failure is either void, nothing was changed, or maybe, it may have been.
 * Only PIM_ERR_UNCERTAIN is maybe. The promise to users, that an acknowledged message is never lost or doubled, rests
 * on this: a plugin that does not know says UNCERTAIN and nothing else. Unless a function says otherwise, its out
 * parameters are written on PIM_OK alone.
 *
 * Threads
 *
 * Functions block; the host calls them on threads that may wait. Each function of a kind says from where it is
 * called. Callbacks that a function is given (rows, text) are called on the same thread, before it returns. A plugin
 * may start threads of its own and ends them in close(); the functions of struct pim_host may be called from those
 * too. Signals are the host's: a plugin sets no handlers, and its threads block all signals. It must not change the
 * process's locale, working directory, umask or environment, and must not write to standard output or standard error.
 *
 * Text is UTF-8. Times are 64-bit: _ms milliseconds, _s seconds, both since 1970 UTC unless a field says otherwise. */
#ifndef PIM_TYPES_H
#define PIM_TYPES_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* The version of this file: it goes into pim_plugin.abi_major and abi_minor. */
#define PIM_ABI_MAJOR 1
#define PIM_ABI_MINOR 0
#define PIM_MAGIC 0x314d4950u /* "PIM1" in memory, low byte first */

/** Is field f inside what the other side compiled? p: pointer to a T with struct_size. */
#define PIM_IN(T, p, f) ((p)->struct_size >= offsetof(T, f) + sizeof((p)->f))
/** Is it there and not NULL? For pointers and functions. */
#define PIM_HAS(T, p, f) (PIM_IN(T, p, f) && (p)->f != NULL)
/** Item i of an array whose items are stride bytes apart, as a T *. */
#define PIM_AT(T, base, stride, i) ((T *)((uintptr_t)(base) + (size_t)(stride) * (i)))
/** Does an item of such an array have field f? Frozen for ever, so never strided: pim_val, pim_kv, pim_conv, pim_cond,
 *  pim_cell. */
#define PIM_ITEM_HAS(T, stride, f) ((size_t)(stride) >= offsetof(T, f) + sizeof(((T *)0)->f))

/* Results of all functions. */
enum {
    /* Answers. */
    PIM_OK = 0,        /* done */
    PIM_NOT_FOUND = 1, /* no such row, conversation, message */
    PIM_EXISTS = 2,    /* it is there already: a key, a number */
    PIM_AGAIN = 3,     /* append: an earlier item of the same run was not stored, so this one was not tried */
    PIM_UNCHANGED = 4, /* reserved: done before, nothing was to be changed */
    PIM_REFUSED = 5,   /* apply: a condition did not hold, nothing was changed; auth: no */
    PIM_DEFER = 6,     /* auth: not mine, ask the next plugin */
    PIM_MORE = 7,      /* the limit was reached and more is left; auth: the sign-in needs another step */
    /* Failures, void except for UNCERTAIN. */
    PIM_ERR_INTERNAL = -1,    /* a bug, or what has no better number */
    PIM_ERR_UNSUPPORTED = -2, /* this plugin, engine or build cannot do that */
    PIM_ERR_INVALID = -3,     /* the caller asked for what cannot be: wrong kind, shape, type, option */
    PIM_ERR_NOMEM = -4,
    PIM_ERR_TIMEOUT = -5,     /* the deadline passed before anything was changed */
    PIM_ERR_CANCELLED = -6,   /* stopped as asked before anything was changed */
    PIM_ERR_PROTOCOL = -7,    /* the engine's or the peer's answer makes no sense */
    PIM_ERR_TOO_LARGE = -8,   /* over a limit of the engine; smaller pieces may pass */
    PIM_ERR_UNAVAILABLE = -9, /* the connection is dead, or the engine is away: the host closes the connection and opens
                                 another, with a pause between tries */
    PIM_ERR_UNCERTAIN = -10,  /* maybe: the commit was sent and its answer never came; the connection counts as dead */
    PIM_ERR_DENIED = -11,     /* the engine, or a rule of the plugin, does not allow it */
    PIM_ERR_RETRY = -12,      /* lost a deadlock or a serialisation race: the same call may be made again at once */
    PIM_ERR_FULL = -13,       /* no room: disk, quota. May pass later */
    PIM_ERR_READONLY = -14,   /* this connection or engine does not take writes */
    PIM_ERR_SCHEMA = -15,     /* the stored data and the schema do not fit; the text says which versions */
    PIM_ERR_CORRUPT = -16     /* the stored data contradict themselves */
};

/* The sentence of a failure. The caller's memory, may be NULL, may be shorter than ours: write a field only if PIM_IN
 * says that it is there. Written for failures; what it holds after an answer means nothing. */
struct pim_err {
    uint32_t struct_size; /* the caller sets it */
    int32_t code;         /* PIM_ERR_*, the same as the result */
    int32_t native_code;  /* errno or the client library's number; 0 none */
    char state[8];        /* SQLSTATE (ISO 9075), NUL-terminated; "" none */
    char msg[236];        /* one sentence for the operator, NUL-terminated UTF-8 without line ends. Never a password,
                             token or text of a message */
};

/* A name and a value, both NUL-terminated, not NULL: options, facts of a log line. Frozen. */
struct pim_kv {
    const char *name;
    const char *value;
};

/* One value of a record. Frozen. Borrowed for the call. */
struct pim_val {
    uint32_t type; /* PIM_NULL, PIM_INT, PIM_TEXT, PIM_BYTES; of a column: the type it is declared with */
    uint32_t len;  /* bytes at u.p; 0 for NULL and INT */
    union {
        int64_t i;     /* INT */
        const char *p; /* TEXT: valid UTF-8 without NUL byte and not NUL-terminated. BYTES: anything. May be NULL where
                          len is 0: that is an empty value, not NULL */
    } u;
};
enum {
    PIM_NULL = 0, /* no value; a column's type is never this */
    PIM_INT = 1,  /* 64 bits, signed */
    PIM_TEXT = 2, /* compared bytewise: case, accents and trailing spaces count */
    PIM_BYTES = 3 /* compared bytewise */
};

/* Comes with every call that may block. Borrowed. NULL: no deadline, no cancel, no flags. */
struct pim_call {
    uint32_t struct_size;
    uint32_t flags;            /* PIM_CALL_* */
    int64_t deadline_ms;       /* by host->now_ms, 0 none. Look at it before starting and now and then. Past it: TIMEOUT
                                  if nothing was changed, UNCERTAIN if a commit is under way and its outcome is not
                                  known */
    const uint32_t *cancelled; /* NULL, or another thread makes it 1: stop soon with CANCELLED. Read it atomically,
                                  between rows; never break off a COMMIT for it */
    uint64_t trace_id;         /* 0 none; the same in all calls for one request, for logs and query comments */
};
enum {
    PIM_CALL_REPEATABLE = 1u, /* after UNCERTAIN the host makes this call again, written so that this does no harm */
    PIM_CALL_WRITER = 2u      /* conn_open: this connection will write: append, apply, groups, trim, redact, maintain */
};

/* What the host offers to an instance. One for each instance, valid from open until close has returned. All functions:
 * any thread, never block, keep no pointer; pass the table itself as `host`. Fields up to fatal have been there
 * since 1.0; look with PIM_HAS at any that come after. */
struct pim_host {
    uint32_t struct_size;
    uint32_t abi_minor; /* the server's PIM_ABI_MINOR */
    void *ctx;          /* the host's own */
    /* One event for the operator. syslog_level: 3 error, 4 warning, 5 notice, 6 info, 7 debug (syslog(3)); 0 to 2 are
     * taken as 3. msg: NUL-terminated, one line of at most 300 bytes, the host puts the plugin's name before it and
     * escapes control characters. facts: n_facts pairs, written behind it, may be NULL if n_facts is 0. Never a
     * password, token or text of a message. */
    void (*log)(const struct pim_host *host, int32_t syslog_level, const char *msg, const struct pim_kv *facts,
                uint32_t n_facts);
    /* The clock of deadlines: milliseconds, never goes back, no relation to the time of day. */
    int64_t (*now_ms)(const struct pim_host *host);
    /* The instance is well (up not 0) or not; an instance that was opened begins as well. why: a sentence, at most 127
     * bytes are kept, may be NULL. privateimctl shows it; a change is logged. */
    void (*health)(const struct pim_host *host, int32_t up, const char *why);
    /* Add to a counter in the server's /metrics. metric: a short name ([a-z0-9_]) from a small, fixed set: one instance
     * has room for some dozens, more are dropped. */
    void (*count)(const struct pim_host *host, const char *metric, int64_t add);
    /* The data cannot be trusted any more (a failed fsync, a second writer): ends the process at once, so that nothing
     * is acknowledged after it. Does not return. */
    void (*fatal)(const struct pim_host *host, const char *why);
};

/* An option of a plugin: what the operator may write in the section of its role. Texts NUL-terminated, static. */
struct pim_option {
    const char *name; /* [a-z][a-z0-9_]* */
    const char *type; /* "int" is checked by the host: a decimal number within min and max. "text", "string", "path": as
                         it stands, for the reader of the manual; the plugin checks them */
    const char *def; /* the default as text, for the manual and for the plugin; NULL none. The host does not pass it: an
                        option that the operator did not write is not in opts */
    const char *min; /* "int": smallest and largest as text; NULL no limit */
    const char *max;
    const char *help; /* one sentence, with the unit */
    uint64_t flags;   /* PIM_OPT_* */
};
enum {
    PIM_OPT_SECRET = 1,  /* the value is never shown or logged */
    PIM_OPT_RELOAD = 2,  /* may change while the server runs (reload of the kind); the others need a restart */
    PIM_OPT_REQUIRED = 4 /* without it the plugin is not opened */
};

enum { PIM_KIND_STORAGE = 1, PIM_KIND_AUTH = 2, PIM_KIND_BUS = 3, PIM_KIND_SEARCH = 4 }; /* 3, 4: reserved */

/* Who a plugin is. Static and constant in the plugin, valid for ever. */
struct pim_plugin {
    uint32_t struct_size; /* sizeof (struct pim_plugin) */
    uint32_t magic;       /* PIM_MAGIC */
    uint16_t abi_major;   /* PIM_ABI_MAJOR and PIM_ABI_MINOR, of this file. Another major is refused */
    uint16_t abi_minor;
    uint16_t kind;           /* PIM_KIND_* */
    uint16_t kind_major;     /* PIM_STORAGE_MAJOR and _MINOR, PIM_AUTH_MAJOR and _MINOR: each kind counts for itself. */
    uint16_t kind_minor;     /* Another major is refused */
    uint16_t host_minor_min; /* a server whose PIM_ABI_MINOR is smaller does not load this; 0: all do */
    const char *name;        /* [a-z0-9-]{1,63}; what the operator writes, and the file's name without .so */
    const char *version;     /* of the plugin, for people. This and the next two: not NULL */
    const char *licence;     /* SPDX name */
    const char *about;       /* one sentence */
    const struct pim_option *options;
    uint32_t n_options;
    uint32_t option_size; /* sizeof (struct pim_option) */
    const void *ops;      /* struct pim_storage_ops or pim_auth_ops, by kind; static */
};

#if defined(__GNUC__)
#define PIM_EXPORT __attribute__((visibility("default")))
#else
#define PIM_EXPORT
#endif

/**
 * The one symbol that a plugin exports.
 *
 * @param index  0, 1, ...: one library may hold several plugins, at most 16 (one for storage and one for sign-in, say)
 * @return its table, static and constant; NULL: there are no more
 *
 * Called once for each index, on the main thread, before anything else. It must not allocate, connect, log or start
 * threads: the server may only want to know what is there.
 */
PIM_EXPORT const struct pim_plugin *pim_plugin_entry(uint32_t index);

#ifdef __cplusplus
}
#endif
#endif
