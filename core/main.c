/* privateimd: options, log, plugins, stores, rules, workers, HTTP, ready, run, the reverse. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "app/commands.h"
#include "app/metrics.h"
#include "app/settings.h"
#include "app/stores.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "http/http.h"
#include "im/im.h"
#include "plugin/loader.h"
#include "util/id.h"
#include "util/log.h"
#include "util/mem.h"
#include "ws/ws.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define EXIT_CONFIG 78      /* sysexits.h: the command line or the file is wrong; the unit does not restart on it */
#define EXIT_UNAVAILABLE 69 /* what it needs is not there */

struct server {
    struct pim_conf *conf;     /* in force */
    struct pim_conf *reloaded; /* NULL, or what the last reload made */
    int64_t stop_timeout_ms;
    struct pim_plugin_tree tree;
    struct pim_plugin_dirs dirs;
    struct pim_app_stores stores;
    struct pim_app_listens listens;
    struct pim_app app;
    struct pim_http *http;
    struct pim_ctl *ctl;
};

static int
failed(const char *what, const struct pim_err *err)
{
    pim_log(PIM_LOG_ERR, "%s: %s", what, err->msg);
    return EXIT_UNAVAILABLE;
}

static int
make_dir(const char *path, struct pim_err *err)
{
    char part[4096];

    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1;; at++) {
        char was = *at;

        if (was != '/' && was != '\0')
            continue;
        *at = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return pim_err_set(err, PIM_ERR_INTERNAL, "%s cannot be made: %s", part, strerror(errno));
        *at = was;
        if (was == '\0')
            return PIM_OK;
    }
}

/* As many descriptors as we may have: each connection is one. */
static void
raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    limit = (struct rlimit){0, 0};
    setrlimit(RLIMIT_CORE, &limit); /* keys and messages do not belong into a core dump */
}

static void
block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void
on_change(void *ctx, const char *name, bool applied)
{
    (void)ctx;
    pim_log(applied ? PIM_LOG_INFO : PIM_LOG_WARNING, "%s has changed%s", name,
            applied ? "" : ", which takes a restart");
}

/* Hand on what may change while we run: exactly what the table of options marks so. */
static void
apply(struct server *s, const struct pim_conf *fresh)
{
    struct pim_im_config im;
    struct pim_ws_config ws;
    struct pim_buf origins;
    struct pim_err err = PIM_ERR_INIT;

    pim_log_level_set((enum pim_log_level)fresh->log.level);
    pim_app_im_config(fresh, &im);
    if (!pim_im_config_set(s->app.im, &im))
        pim_log(PIM_LOG_WARNING, "too many reloads: the limits stay as they are until a restart");
    pim_app_ws_config(fresh, &ws, &origins);
    pim_ws_origins_set(s->app.ws, ws.allowed_origins);
    pim_buf_fini(&origins);
    if (pim_app_sign_in_reload(&s->stores, fresh, &err) < 0)
        pim_log(PIM_LOG_ERR, "auth: %s", err.msg);
    s->stop_timeout_ms = fresh->server.stop_timeout_ms;
}

static void
reload(struct server *s)
{
    char why[PIM_CONF_WHY_BYTES];
    struct pim_conf *fresh;

    sd_notify(0, "RELOADING=1");
    if (pim_conf_reload(s->conf, &fresh, on_change, NULL, why) != PIM_OK) {
        pim_log(PIM_LOG_ERR, "the configuration stays as it was: %s", why);
    } else {
        apply(s, fresh);
        if (s->reloaded != NULL)
            pim_conf_fini(s->reloaded);
        free(s->reloaded);
        s->reloaded = s->conf = fresh; /* the first one stays: others hold on to its text */
        pim_log(PIM_LOG_NOTICE, "the configuration was read again");
    }
    sd_notify(0, "READY=1");
}

static void
run(struct server *s, const sigset_t *set)
{
    for (;;) {
        int number = 0;

        if (sigwait(set, &number) != 0)
            continue;
        if (number == SIGHUP)
            reload(s);
        else
            break;
    }
}

static int
start(struct server *s)
{
    const struct pim_conf *conf = s->conf;
    struct pim_msglog_limits limits;
    struct pim_http_config http;
    struct pim_im_config im;
    struct pim_ws_config ws;
    struct pim_buf origins;
    struct pim_err err = PIM_ERR_INIT;
    int rc;

    s->stop_timeout_ms = conf->server.stop_timeout_ms;
    if (pim_app_http_config(conf, &http, &s->listens, &err) != PIM_OK) {
        failed("server.listen", &err);
        return EXIT_CONFIG;
    }
    if (make_dir(conf->server.data_dir, &err) != PIM_OK)
        return failed("server.data_dir", &err);
    if (pim_app_stores_open(&s->stores, conf, &s->dirs, &err) != PIM_OK)
        return failed("start", &err);
    s->app.data = s->stores.data;

    pim_app_im_config(conf, &im);
    pim_app_ws_config(conf, &ws, &origins);
    pim_app_log_limits(conf, &limits);
    im.workers = ws.workers;
    if (pim_im_new(&im, s->stores.data, &s->stores.auth, &s->app.im, &err) != PIM_OK)
        return failed("start", &err);
    rc = pim_ws_start(&ws, s->app.im, &s->app.ws, &err);
    pim_buf_fini(&origins);
    if (rc != PIM_OK)
        return failed("start", &err);
    if (pim_data_start(s->stores.data, pim_im_rules(s->app.im), &limits, &err) != PIM_OK)
        return failed("storage", &err);
    if (pim_im_start(s->app.im, &err) != PIM_OK)
        return failed("storage", &err);

    if (pim_ctl_open(conf->server.runtime_dir, &s->ctl, &err) != PIM_OK)
        return failed("server.runtime_dir", &err);
    pim_app_commands_add(s->ctl, &s->app);
    if (pim_ctl_start(s->ctl, &err) != PIM_OK)
        return failed("server.runtime_dir", &err);
    http.web_dir = conf->server.web_dir;
    http.ready = pim_app_ready;
    http.metrics = pim_app_metrics;
    http.ctx = &s->app;
    http.drain_ms = (uint32_t)conf->server.stop_timeout_ms / 2;
    s->app.ready = true;
    if (pim_http_start(&http, s->app.im, pim_ws_upgrade_ops(s->app.ws), &s->http, &err) != PIM_OK)
        return failed("server.listen", &err);
    return 0;
}

static void
stop(struct server *s)
{
    int64_t timeout_ms = s->stop_timeout_ms;

    s->app.ready = false;
    pim_ctl_stop(&s->ctl);
    pim_http_stop(&s->http);
    if (s->app.ws != NULL)
        pim_ws_stop(s->app.ws, timeout_ms);
    if (s->app.im != NULL)
        pim_im_stop(s->app.im);
    if (s->stores.data != NULL)
        pim_data_stop(s->stores.data);
    pim_ws_free(&s->app.ws);
    pim_im_free(&s->app.im);
    pim_app_stores_close(&s->stores);
    if (s->reloaded != NULL)
        pim_conf_fini(s->reloaded);
    free(s->reloaded);
}

static void
on_plugin(void *ctx, const struct pim_plugin_row *row)
{
    (void)ctx;
    pim_log(PIM_LOG_INFO, "plugin %s %s (%s), %s, %s", row->name, row->version, row->kind, row->licence, row->path);
}

static void
say_ready(const struct server *s)
{
    pim_plugin_list(on_plugin, NULL);
    if (s->conf->server.insecure_listen)
        pim_log(PIM_LOG_WARNING, "insecure_listen: passwords and messages may cross the network in clear text");
    for (uint32_t i = 0; i < s->listens.n; i++) {
        const struct pim_http_listen *listen = &s->listens.list[i];
        bool in6 = strchr(listen->address, ':') != NULL;

        pim_log(PIM_LOG_NOTICE, "%s %s://%s%s%s:%u", listen->is_status ? "metrics at" : "serving",
                !listen->is_status && s->conf->server.tls_cert[0] != '\0' ? "https" : "http", in6 ? "[" : "",
                listen->address, in6 ? "]" : "", (unsigned)listen->port);
    }
    sd_notify(0, "READY=1");
}

/* --print-config and its like. @return the exit status, or -1: go on. */
static int
answer_only(const struct pim_conf *conf, int action)
{
    switch (action) {
    case PIM_CONF_PRINT:
        pim_conf_print(conf, stdout);
        return 0;
    case PIM_CONF_SAMPLE:
        pim_conf_print_sample(stdout);
        return 0;
    case PIM_CONF_VERSION:
        puts("privateimd " PACKAGE_VERSION);
        return 0;
    case PIM_CONF_HELP:
        pim_conf_print_help(stdout);
        return 0;
    default:
        return -1;
    }
}

/* --check-config: what the options ask of each other was checked while they were read; here the addresses. */
static int
check_only(struct server *s)
{
    struct pim_http_config http;
    struct pim_err err = PIM_ERR_INIT;

    if (pim_app_http_config(s->conf, &http, &s->listens, &err) != PIM_OK) {
        failed("server.listen", &err);
        return EXIT_CONFIG;
    }
    puts("the configuration is good");
    return 0;
}

int
main(int argc, char **argv)
{
    static struct pim_conf conf;
    static struct server server = {.conf = &conf};
    char why[PIM_CONF_WHY_BYTES];
    sigset_t signals;
    int action, status;

    umask(0077);
    pim_conf_init(&conf);
    if (pim_plugin_tree_find(&server.tree)) {
        char web[PIM_COUNT(server.tree.source_dir) + 8];

        server.dirs.build_dir = server.tree.build_dir;
        snprintf(web, sizeof web, "%s/web", server.tree.source_dir);
        if (pim_conf_set(&conf, "server.web_dir", web, PIM_CONF_DERIVED, why) != PIM_OK)
            fprintf(stderr, "privateimd: %s\n", why);
    }
    action = pim_conf_args(&conf, argc, argv, PIM_CONFDIR "/privateim.conf", why);
    if (action < 0) {
        fprintf(stderr, "privateimd: %s\n", why);
        return EXIT_CONFIG;
    }
    status = answer_only(&conf, action);
    if (status >= 0) {
        pim_conf_fini(&conf);
        return status;
    }
    server.dirs.plugin_dir = conf.server.plugin_dir;
    if (action == PIM_CONF_CHECK) {
        status = check_only(&server);
        pim_conf_fini(&conf);
        return status;
    }

    raise_limits();
    block_signals(&signals);
    pim_id_node_set((uint32_t)conf.server.node_id);
    pim_log_level_set((enum pim_log_level)conf.log.level);
    pim_log_start();
    status = start(&server);
    if (status == 0) {
        say_ready(&server);
        run(&server, &signals);
        sd_notify(0, "STOPPING=1");
        pim_log(PIM_LOG_NOTICE, "stopping");
    }
    stop(&server);
    pim_log_stop();
    pim_conf_fini(&conf);
    return status;
}
