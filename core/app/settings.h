/* app/settings.h - from what the operator set to what each part asks for. Main thread. */
#ifndef PIM_APP_SETTINGS_H
#define PIM_APP_SETTINGS_H
#include "conf/conf.h"
#include "http/http.h"
#include "im/im.h"
#include "ws/ws.h"

void pim_app_im_config(const struct pim_conf *conf, struct pim_im_config *out_config);
void pim_app_log_limits(const struct pim_conf *conf, struct pim_msglog_limits *out_limits);
/** origins is begun here and holds the list's text: pim_buf_fini() it after out_config was used. */
void pim_app_ws_config(const struct pim_conf *conf, struct pim_ws_config *out_config, struct pim_buf *origins);

/* The addresses of the listeners, as text that lives here. */
struct pim_app_listens {
    struct pim_http_listen list[PIM_CONF_LISTENS + 1];
    char addresses[PIM_CONF_LISTENS + 1][64];
    uint32_t n;
};
/** @return PIM_OK or why a listener may not be: plain HTTP outside loopback needs insecure_listen */
PIM_MUST_CHECK int pim_app_http_config(const struct pim_conf *conf, struct pim_http_config *out_config,
                                       struct pim_app_listens *out_listens, struct pim_err *err);

#endif
