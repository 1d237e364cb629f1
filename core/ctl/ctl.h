/* ctl/ctl.h - the control socket, which privateimctl talks to.
 *
 * RUNTIME_DIR/control is a Unix stream socket for the server's own user and root (mode 0600, and the kernel says who
 * calls). A connection carries one request and one reply, each one line of JSON:
 *
 *     {"cmd": ["user", "disable", "42"], "secret": "only where a command takes one"}
 *     {"ok": true, "result": {...}}    or    {"ok": false, "error": "a sentence"}
 *
 * A thread of its own serves one request after the other, so a handler may block: it may post work to a pool and wait
 * for it. It must not wait for the main thread, which waits for this one in pim_ctl_stop.
 *
 * Built in: status, plugins, log level, reload (SIGHUP to ourselves). Others are added before the start; a command
 * added under a built-in's name replaces it. */
#ifndef PIM_CTL_CTL_H
#define PIM_CTL_CTL_H
#include "util/err.h"

#include <jansson.h>

struct pim_ctl; /* opaque; owned by main */

/* One request; borrowed for the call. */
struct pim_ctl_request {
    const json_t *args; /* array of strings: the words after the command's own */
    const char *secret; /* NULL if none was sent; never to be logged */
};

/**
 * A command.
 *
 * @param result  an object to fill in; privateimctl prints scalars as lines and arrays of objects as tables
 * @return PIM_OK, or an answer or failure whose sentence is in err
 *
 * Threads: the control thread.
 */
typedef int (*pim_ctl_fn)(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err);

/**
 * Make the socket. The directory is made (0700) if it is not there; a socket that a dead server left is replaced.
 *
 * @return PIM_OK, PIM_EXISTS when another server answers there, or a failure; each with a sentence
 *
 * *out_ctl is the caller's, pim_ctl_stop(). Main thread.
 */
PIM_MUST_CHECK int pim_ctl_open(const char *runtime_dir, struct pim_ctl **out_ctl, struct pim_err *err);

/** Add a command, "word" or "word word"; name is borrowed for good. Main thread, before pim_ctl_start. */
void pim_ctl_command_add(struct pim_ctl *ctl, const char *name, pim_ctl_fn fn, void *ctx);
/** Add facts to what `status` says; up to 8. Main thread, before pim_ctl_start. */
void pim_ctl_status_add(struct pim_ctl *ctl, pim_ctl_fn fn, void *ctx);

/** Begin to serve. Main thread. */
PIM_MUST_CHECK int pim_ctl_start(struct pim_ctl *ctl, struct pim_err *err);
/** Finish the request in hand, remove the socket, free. NULL and one that never started are fine. Main thread. */
void pim_ctl_stop(struct pim_ctl **ctl);

/** The i-th word of the arguments, or NULL. */
const char *pim_ctl_arg(const struct pim_ctl_request *request, size_t i);

#endif
