/* ctl/ctl_priv.h - shared by the socket and the built-in commands. */
#ifndef PIM_CTL_CTL_PRIV_H
#define PIM_CTL_CTL_PRIV_H
#include "ctl/ctl.h"

#include <pthread.h>
#include <stdbool.h>

struct pim_ctl_command {
    const char *name;
    pim_ctl_fn fn;
    void *ctx;
};

/* Main fills it in; read-only once the thread runs. */
struct pim_ctl {
    int listen_fd, stop_fd;
    char *path;
    struct pim_ctl_command *commands;
    size_t n_commands;
    struct pim_ctl_command facts[8];
    size_t n_facts;
    int64_t started_ms;
    pthread_t thread;
    bool running;
};

void pim_ctl_builtins_add(struct pim_ctl *ctl);

#endif
