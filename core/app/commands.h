/* app/commands.h - what privateimctl can ask beyond the built-in commands. */
#ifndef PIM_APP_COMMANDS_H
#define PIM_APP_COMMANDS_H
#include "app/metrics.h"
#include "ctl/ctl.h"

/** Add the commands; app lives as long as ctl. Main thread, before pim_ctl_start. */
void pim_app_commands_add(struct pim_ctl *ctl, struct pim_app *app);

#endif
