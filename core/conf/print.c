/* The table of options as text: what is in force, the sample file, the manual's section. */
#include "conf/conf_priv.h"

#include <string.h>

static const char *
origin_name(uint8_t origin)
{
    static const char *const names[] = {"default", "derived", "file", "command line"};

    return names[origin % PIM_COUNT(names)];
}

/* A URL's password is nobody's business: scheme://user:PASSWORD@host */
static void
url_mask(struct pim_buf *buf, const char *url)
{
    const char *user = strstr(url, "://"), *at, *colon;

    at = user == NULL ? NULL : strchr(user + 3, '@');
    colon = at == NULL ? NULL : memchr(user + 3, ':', (size_t)(at - user - 3));
    if (colon == NULL)
        pim_buf_adds(buf, url);
    else
        pim_buf_addf(buf, "%.*s:***%s", (int)(colon - url), url, at);
}

void
pim_conf_print(const struct pim_conf *conf, FILE *out)
{
    struct pim_buf value, line;
    const char *section = "";

    pim_buf_init(&value, 16384);
    pim_buf_init(&line, 32768);
    fprintf(out, "# read from %s, then the command line\n", conf->file == NULL ? "no file" : conf->file);
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        const struct pim_conf_option *opt = &pim_conf_options[i];

        if (strcmp(section, opt->section) != 0)
            fprintf(out, "\n[%s]\n", opt->section);
        section = opt->section;
        pim_buf_clear(&value);
        pim_buf_clear(&line);
        pim_conf_value_format(&value, conf, opt);
        pim_buf_addf(&line, "%s = ", opt->key);
        if (opt->type == PIM_CONF_T_STORE)
            url_mask(&line, pim_buf_cstr(&value));
        else
            pim_buf_adds(&line, pim_buf_cstr(&value));
        fprintf(out, "%-44s ; %s\n", pim_buf_cstr(&line), origin_name(conf->origin[i]));
    }
    pim_buf_fini(&value);
    pim_buf_fini(&line);
}

/* Words of text in lines of at most 96 bytes behind "# ". */
static void
wrap(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column == 0)
            column = (size_t)fprintf(out, "# %.*s", (int)len, text);
        else if (column + 1 + len > 98) {
            column = 0;
            fputc('\n', out);
            continue;
        } else
            column += (size_t)fprintf(out, " %.*s", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void
pim_conf_print_sample(FILE *out)
{
    struct pim_buf allowed;
    const char *section = "";

    pim_buf_init(&allowed, 1024);
    fputs("# Options of the PrivateIM server, all at their defaults; privateim.conf(5) explains the file.\n"
          "# Take the # away from a line to change it, then try `privateimd --check-config`.\n"
          "# A comment begins with # or ; at the begin of a line or after a space.\n"
          "# (reload): takes effect on SIGHUP or `privateimctl reload`; all others at the next start.\n",
          out);
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        const struct pim_conf_option *opt = &pim_conf_options[i];

        if (strcmp(section, opt->section) != 0) {
            size_t s = 0;

            while (strcmp(pim_conf_sections[s].name, opt->section) != 0)
                s++;
            fprintf(out, "\n\n[%s]\n# %s\n", opt->section, pim_conf_sections[s].help);
        }
        section = opt->section;
        fputc('\n', out);
        wrap(out, opt->help);
        pim_buf_clear(&allowed);
        pim_buf_adds(&allowed, "Allowed: ");
        pim_conf_allowed_format(&allowed, opt);
        if (opt->unit[0] != '\0')
            pim_buf_addf(&allowed, ", %s", opt->unit);
        pim_buf_adds(&allowed, (opt->flags & PIM_CONF_RELOAD) != 0 ? ". (reload)" : ".");
        wrap(out, pim_buf_cstr(&allowed));
        fprintf(out, "#%s =%s%s\n", opt->key, opt->def[0] == '\0' ? "" : " ", opt->def);
    }
    pim_buf_fini(&allowed);
}

/* Text for roff: no backslash is read as an escape, no line begins with a dot or quote. */
static void
roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

void
pim_conf_print_man(FILE *out)
{
    struct pim_buf allowed;
    const char *section = "";

    pim_buf_init(&allowed, 1024);
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        const struct pim_conf_option *opt = &pim_conf_options[i];

        if (strcmp(section, opt->section) != 0) {
            size_t s = 0;

            while (strcmp(pim_conf_sections[s].name, opt->section) != 0)
                s++;
            fprintf(out, ".SS [%s]\n", opt->section);
            roff(out, pim_conf_sections[s].help);
            fputc('\n', out);
        }
        section = opt->section;
        fprintf(out, ".TP\n.B %s\n", opt->key);
        roff(out, opt->help);
        fputs("\n.br\nDefault: ", out);
        if (opt->def[0] == '\0') {
            fputs("empty", out);
        } else {
            fputs("\\fB", out);
            roff(out, opt->def);
            fputs("\\fR", out);
        }
        pim_buf_clear(&allowed);
        pim_conf_allowed_format(&allowed, opt);
        fputs(". Allowed: ", out);
        roff(out, pim_buf_cstr(&allowed));
        if (opt->unit[0] != '\0')
            fprintf(out, ", %s", opt->unit);
        fputs((opt->flags & PIM_CONF_RELOAD) != 0 ? ". Takes effect on reload.\n" : ".\n", out);
    }
    pim_buf_fini(&allowed);
}
