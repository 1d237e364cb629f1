/* app/stores.h - from the configuration to opened plugins: the stores of both roles, and sign-in. Main thread. */
#ifndef PIM_APP_STORES_H
#define PIM_APP_STORES_H
#include "conf/conf.h"
#include "data/data.h"
#include "im/im.h"
#include "plugin/loader.h"
#include "plugin/url.h"

struct pim_app_stores {
    struct pim_plugin_url records_url, messages_url;
    struct pim_plugin_handle *records, *messages, *sign_in;
    struct pim_data *data;
    struct pim_auth_bind auth;
};

/**
 * Load the plugins that the configuration names, open the stores and sign-in.
 *
 * @param stores  zeroed; whatever the result, pim_app_stores_close
 * @return PIM_OK, or a failure whose sentence names the setting
 */
PIM_MUST_CHECK int pim_app_stores_open(struct pim_app_stores *stores, const struct pim_conf *conf,
                                       const struct pim_plugin_dirs *dirs, struct pim_err *err);
/** Give the sign-in plugin its settings anew. @return PIM_OK or why it keeps the old ones. */
PIM_MUST_CHECK int pim_app_sign_in_reload(struct pim_app_stores *stores, const struct pim_conf *conf, struct pim_err *err);
/** The reverse, after pim_data_stop. */
void pim_app_stores_close(struct pim_app_stores *stores);

#endif
