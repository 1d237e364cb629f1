/* The command line, and reading everything again. */
#include "conf/conf_priv.h"

#include "util/mem.h"

#include <string.h>
#include <unistd.h>

/* Short ways to say --set section.key=value. value NULL: the next word. */
static const struct {
    const char *word, *name, *value, *arg, *help;
} shortcuts[] = {
    {"--data", "server.data_dir", NULL, "DIR", "keep data in DIR, and the control socket in DIR/run"},
    {"--tls-cert", "server.tls_cert", NULL, "FILE", "certificate chain (PEM): serve TLS"},
    {"--tls-key", "server.tls_key", NULL, "FILE", "its private key"},
    {"--records", "storage.records", NULL, "URL", "where users and groups are kept"},
    {"--messages", "storage.messages", NULL, "URL", "where conversations are kept"},
    {"--log-level", "log.level", NULL, "LEVEL", "error, warning, notice, info or debug"},
    {"--insecure", "server.insecure_listen", "yes", "", "serve other machines without TLS"},
};

static const struct {
    const char *word;
    enum pim_conf_action action;
    const char *help;
} actions[] = {
    {"--check-config", PIM_CONF_CHECK, "read file and command line, say what is wrong, end"},
    {"--print-config", PIM_CONF_PRINT, "print all options as they are in force, end"},
    {"--print-sample", PIM_CONF_SAMPLE, "print the sample file, end"},
    {"--version", PIM_CONF_VERSION, "print the version, end"},
    {"--help", PIM_CONF_HELP, "print this, end"},
};

void
pim_conf_print_help(FILE *out)
{
    fputs("Usage: privateimd [OPTION...]\n"
          "The PrivateIM server. It stays in the foreground and ends on SIGTERM or SIGINT.\n\n"
          "  --config FILE            read FILE; without it the installed privateim.conf where there is one\n"
          "  --listen ADDRESS:PORT    serve HTTP and WebSocket there; up to four times\n"
          "  --set SECTION.KEY=VALUE  set any option of privateim.conf(5); may be repeated\n",
          out);
    for (size_t i = 0; i < PIM_COUNT(shortcuts); i++)
        fprintf(out, "  %s %-*s  %s\n", shortcuts[i].word, (int)(22 - strlen(shortcuts[i].word)), shortcuts[i].arg,
                shortcuts[i].help);
    for (size_t i = 0; i < PIM_COUNT(actions); i++)
        fprintf(out, "  %-23s  %s\n", actions[i].word, actions[i].help);
}

/* Is words[*at] the option `word`, as "--word value" or "--word=value"? Then *out_value is its value, NULL if missing.
 */
static bool
takes(int argc, char **argv, int *at, const char *word, const char **out_value)
{
    size_t len = strlen(word);

    if (strncmp(argv[*at], word, len) != 0)
        return false;
    if (argv[*at][len] == '=') {
        *out_value = argv[*at] + len + 1;
        return true;
    }
    if (argv[*at][len] != '\0')
        return false;
    *out_value = *at + 1 < argc ? argv[++*at] : NULL;
    return true;
}

static int
missing(const char *word, char out_why[PIM_CONF_WHY_BYTES])
{
    return pim_conf_fail(out_why, "%s needs a value; see --help", word);
}

static int
set_word(struct pim_conf *conf, const char *text, char out_why[PIM_CONF_WHY_BYTES])
{
    const char *equal = strchr(text, '=');
    char name[80];

    if (equal == NULL || (size_t)(equal - text) >= sizeof name)
        return pim_conf_fail(out_why, "--set %.80s: it takes SECTION.KEY=VALUE", text);
    memcpy(name, text, (size_t)(equal - text));
    name[equal - text] = '\0';
    return pim_conf_set(conf, name, equal + 1, PIM_CONF_COMMAND, out_why);
}

/* @return 1 it was one, 0 it was none, below 0 a failure */
static int
shortcut(struct pim_conf *conf, int argc, char **argv, int *at, char out_why[PIM_CONF_WHY_BYTES])
{
    for (size_t i = 0; i < PIM_COUNT(shortcuts); i++) {
        const char *value = shortcuts[i].value;
        int rc;

        if (value != NULL ? strcmp(argv[*at], shortcuts[i].word) != 0
                          : !takes(argc, argv, at, shortcuts[i].word, &value))
            continue;
        if (value == NULL)
            return missing(shortcuts[i].word, out_why);
        rc = pim_conf_set(conf, shortcuts[i].name, value, PIM_CONF_COMMAND, out_why);
        return rc == PIM_OK ? 1 : rc;
    }
    return 0;
}

/* One walk over the words; with conf NULL only the file and the action are taken. */
static int
walk(struct pim_conf *conf, int argc, char **argv, const char **file, enum pim_conf_action *action,
     char out_why[PIM_CONF_WHY_BYTES])
{
    struct pim_buf listens;
    struct pim_conf scratch;
    const char *value = NULL;
    bool first = conf == NULL;
    int rc = PIM_OK;

    pim_buf_init(&listens, 1024);
    if (first) {
        pim_conf_init(&scratch);
        conf = &scratch;
    }
    for (int i = 1; i < argc && rc == PIM_OK; i++) {
        size_t a;

        for (a = 0; a < PIM_COUNT(actions) && strcmp(argv[i], actions[a].word) != 0; a++)
            ;
        if (a < PIM_COUNT(actions)) {
            if (*action == PIM_CONF_RUN || actions[a].action == PIM_CONF_HELP)
                *action = actions[a].action;
        } else if (takes(argc, argv, &i, "--config", &value)) {
            *file = value;
            if (value == NULL)
                rc = missing("--config", out_why);
        } else if (takes(argc, argv, &i, "--listen", &value)) {
            if (value == NULL)
                rc = missing("--listen", out_why);
            else
                pim_buf_addf(&listens, "%s%s", listens.len > 0 ? "," : "", value);
        } else if (takes(argc, argv, &i, "--set", &value)) {
            rc = value == NULL ? missing("--set", out_why) : set_word(conf, value, out_why);
        } else {
            rc = shortcut(conf, argc, argv, &i, out_why);
            if (rc == 0)
                rc = pim_conf_fail(out_why, "%.80s is no option; see --help", argv[i]);
            else if (rc > 0)
                rc = PIM_OK;
        }
    }
    if (rc == PIM_OK && listens.overflow)
        rc = pim_conf_fail(out_why, "--listen is too long");
    if (rc == PIM_OK && listens.len > 0)
        rc = pim_conf_set(conf, "server.listen", pim_buf_cstr(&listens), PIM_CONF_COMMAND, out_why);
    if (first)
        pim_conf_fini(&scratch);
    pim_buf_fini(&listens);
    return rc;
}

int
pim_conf_args(struct pim_conf *conf, int argc, char **argv, const char *default_file, char out_why[PIM_CONF_WHY_BYTES])
{
    enum pim_conf_action action = PIM_CONF_RUN;
    const char *file = NULL;
    int rc;

    conf->argc = argc;
    conf->argv = argv;
    conf->default_file = default_file;
    rc = walk(NULL, argc, argv, &file, &action, out_why);
    if (rc != PIM_OK)
        return rc;
    if (action == PIM_CONF_HELP || action == PIM_CONF_VERSION || action == PIM_CONF_SAMPLE)
        return action;
    if (file == NULL && default_file != NULL && access(default_file, F_OK) == 0)
        file = default_file;
    if (file != NULL)
        rc = pim_conf_load(conf, file, out_why);
    if (rc == PIM_OK)
        rc = walk(conf, argc, argv, &file, &action, out_why);
    if (rc == PIM_OK)
        rc = pim_conf_finish(conf, out_why);
    return rc == PIM_OK ? (int)action : rc;
}

static int
keep_old(const struct pim_conf *old, struct pim_conf *conf, pim_conf_change_fn change, void *ctx,
         char out_why[PIM_CONF_WHY_BYTES])
{
    struct pim_buf was, is;
    char name[80];
    int rc = PIM_OK;

    pim_buf_init(&was, 16384);
    pim_buf_init(&is, 16384);
    for (size_t i = 0; i < pim_conf_n_options && rc == PIM_OK; i++) {
        const struct pim_conf_option *opt = &pim_conf_options[i];
        bool applied = (opt->flags & PIM_CONF_RELOAD) != 0;

        pim_buf_clear(&was);
        pim_buf_clear(&is);
        pim_conf_value_format(&was, old, opt);
        pim_conf_value_format(&is, conf, opt);
        if (strcmp(pim_buf_cstr(&was), pim_buf_cstr(&is)) == 0)
            continue;
        if (!applied) {
            rc = pim_conf_value_parse(conf, opt, pim_buf_cstr(&was), out_why);
            conf->origin[i] = old->origin[i];
        }
        snprintf(name, sizeof name, "%s.%s", opt->section, opt->key);
        change(ctx, name, applied);
    }
    pim_buf_fini(&was);
    pim_buf_fini(&is);
    return rc;
}

int
pim_conf_reload(const struct pim_conf *old, struct pim_conf **out_new, pim_conf_change_fn change, void *ctx,
                char out_why[PIM_CONF_WHY_BYTES])
{
    struct pim_conf *conf = pim_new0(sizeof *conf);
    int rc;

    pim_conf_init(conf);
    rc = pim_conf_args(conf, old->argc, old->argv, old->default_file, out_why);
    if (rc >= 0)
        rc = keep_old(old, conf, change, ctx, out_why);
    if (rc < 0) {
        pim_conf_fini(conf);
        free(conf);
        return rc;
    }
    *out_new = conf;
    return PIM_OK;
}
