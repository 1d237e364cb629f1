/* Values of options: text to field and back. */
#include "conf/conf_priv.h"

#include "util/log.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

int
pim_conf_fail(char out_why[PIM_CONF_WHY_BYTES], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(out_why, PIM_CONF_WHY_BYTES, fmt, ap);
    va_end(ap);
    return PIM_ERR_INVALID;
}

static void *
field(struct pim_conf *conf, const struct pim_conf_option *opt)
{
    return (char *)conf + opt->offset;
}

static const void *
field_const(const struct pim_conf *conf, const struct pim_conf_option *opt)
{
    return (const char *)conf + opt->offset;
}

struct suffix {
    const char *name;
    int64_t factor;
};
/* largest first: the first that divides a number is how it is written */
static const struct suffix durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct suffix sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};

/* Digits, then perhaps a space and one of the suffixes. bare: the factor of a number without suffix. */
static bool
number_parse(const char *text, const struct suffix *suffixes, size_t n_suffixes, int64_t bare, int64_t *out)
{
    char *end;
    long long n;
    int64_t factor = bare;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    while (*end == ' ')
        end++;
    if (*end != '\0') {
        size_t i;

        for (i = 0; i < n_suffixes && strcasecmp(end, suffixes[i].name) != 0; i++)
            ;
        if (i == n_suffixes)
            return false;
        factor = suffixes[i].factor;
    }
    return !__builtin_mul_overflow((int64_t)n, factor, out);
}

static void
number_format(struct pim_buf *buf, int64_t n, const struct suffix *suffixes, size_t n_suffixes)
{
    size_t i = 0;

    while (i + 1 < n_suffixes && (n < suffixes[i].factor || n % suffixes[i].factor != 0))
        i++;
    pim_buf_addf(buf, "%" PRId64 "%s", n / suffixes[i].factor,
                 strcmp(suffixes[i].name, "B") == 0 ? "" : suffixes[i].name);
}

static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};

static bool
bool_parse(const char *text, bool *out)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (size_t i = 0; i < PIM_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* What browsers send as Origin: scheme://host[:port], nothing after it. */
static bool
origin_valid(const char *text)
{
    const char *host = strncmp(text, "https://", 8) == 0 ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7 : "";

    if (*host == '\0' || strlen(text) > 255)
        return false;
    for (; *host != '\0'; host++)
        if (!islower((unsigned char)*host) && !isdigit((unsigned char)*host) && strchr(".-:[]", *host) == NULL)
            return false;
    return true;
}

static bool
store_valid(const char *text)
{
    static const char *const schemes[] = {"sqlite:", "memory:", "mysql://", "postgresql://", "mongodb://", "plugin:"};

    for (size_t i = 0; i < PIM_COUNT(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static bool
item_valid(enum pim_conf_type type, const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len;

    if (type == PIM_CONF_T_LISTENS)
        return pim_conf_address_parse(text, &addr, &len);
    return type == PIM_CONF_T_NETS ? pim_conf_net_valid(text) : origin_valid(text);
}

static void
list_fini(struct pim_conf_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        free(list->items[i]);
    *list = (struct pim_conf_list){0};
}

static bool
list_parse(const struct pim_conf_option *opt, const char *text, struct pim_conf_list *out_list)
{
    struct pim_conf_list list = {0};

    for (;;) {
        size_t len;
        const char *end;

        text += strspn(text, " \t");
        len = strcspn(text, ",");
        end = text + len;
        while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
            len--;
        if (len == 0 && list.n == 0 && *end == '\0')
            break; /* an empty list */
        if (len == 0 || list.n == opt->max)
            goto bad;
        list.items[list.n++] = pim_strndup(text, len);
        if (!item_valid(opt->type, list.items[list.n - 1]))
            goto bad;
        if (*end == '\0')
            break;
        text = end + 1;
    }
    if (list.n < opt->min)
        goto bad;
    list_fini(out_list);
    *out_list = list;
    return true;
bad:
    list_fini(&list);
    return false;
}

static char *
path_absolute(const char *text)
{
    struct pim_buf buf;
    char cwd[4096], *path;

    if (text[0] == '/' || text[0] == '\0' || getcwd(cwd, sizeof cwd) == NULL)
        return pim_strdup(text);
    if (strncmp(text, "./", 2) == 0)
        text += 2;
    pim_buf_init(&buf, 8192 + strlen(text));
    pim_buf_addf(&buf, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, text);
    path = pim_strdup(pim_buf_cstr(&buf));
    pim_buf_fini(&buf);
    return path;
}

static bool
text_valid(const struct pim_conf_option *opt, const char *text)
{
    size_t len = strlen(text);
    struct sockaddr_storage addr;
    socklen_t addr_len;

    if (!pim_utf8_is_line(text, len))
        return false;
    switch (opt->type) {
    case PIM_CONF_T_LISTEN:
        return len == 0 || pim_conf_address_parse(text, &addr, &addr_len);
    case PIM_CONF_T_STORE:
        return (int64_t)len <= opt->max && ((len == 0 && opt->min == 0) || store_valid(text));
    default:
        return (int64_t)len >= opt->min && (int64_t)len <= opt->max;
    }
}

int
pim_conf_value_parse(struct pim_conf *conf, const struct pim_conf_option *opt, const char *text,
                     char out_why[PIM_CONF_WHY_BYTES])
{
    void *at = field(conf, opt);
    struct pim_buf allowed;
    int64_t n = 0;
    bool ok = false;

    switch (opt->type) {
    case PIM_CONF_T_BOOL:
        ok = bool_parse(text, at);
        break;
    case PIM_CONF_T_INT:
        ok = number_parse(text, NULL, 0, 1, &n) && n >= opt->min && n <= opt->max;
        break;
    case PIM_CONF_T_SIZE:
        ok = number_parse(text, sizes, PIM_COUNT(sizes), 1, &n) && n >= opt->min && n <= opt->max;
        break;
    case PIM_CONF_T_DURATION:
        ok = number_parse(text, durations, PIM_COUNT(durations), 1000, &n) && n >= opt->min && n <= opt->max;
        break;
    case PIM_CONF_T_LEVEL:
        n = pim_log_level_parse(text);
        ok = n >= 0;
        break;
    case PIM_CONF_T_LISTENS:
    case PIM_CONF_T_NETS:
    case PIM_CONF_T_ORIGINS:
        ok = list_parse(opt, text, at);
        break;
    default:
        ok = text_valid(opt, text);
    }
    if (!ok) {
        pim_buf_init(&allowed, 512);
        pim_conf_allowed_format(&allowed, opt);
        pim_conf_fail(out_why, "%s.%s = %.80s%s: allowed is %s", opt->section, opt->key, text,
                      strlen(text) > 80 ? "..." : "", pim_buf_cstr(&allowed));
        pim_buf_fini(&allowed);
        return PIM_ERR_INVALID;
    }
    switch (opt->type) {
    case PIM_CONF_T_INT:
    case PIM_CONF_T_SIZE:
    case PIM_CONF_T_DURATION:
    case PIM_CONF_T_LEVEL:
        *(int64_t *)at = n;
        break;
    case PIM_CONF_T_TEXT:
    case PIM_CONF_T_STORE:
    case PIM_CONF_T_LISTEN:
    case PIM_CONF_T_PATH: {
        char *copy = opt->type == PIM_CONF_T_PATH ? path_absolute(text) : pim_strdup(text);

        free(*(char **)at);
        *(char **)at = copy;
        break;
    }
    default:
        break; /* written above */
    }
    return PIM_OK;
}

void
pim_conf_value_format(struct pim_buf *buf, const struct pim_conf *conf, const struct pim_conf_option *opt)
{
    const void *at = field_const(conf, opt);

    switch (opt->type) {
    case PIM_CONF_T_BOOL:
        pim_buf_adds(buf, *(const bool *)at ? "yes" : "no");
        break;
    case PIM_CONF_T_INT:
        pim_buf_add_int(buf, *(const int64_t *)at);
        break;
    case PIM_CONF_T_SIZE:
        number_format(buf, *(const int64_t *)at, sizes, PIM_COUNT(sizes));
        break;
    case PIM_CONF_T_DURATION:
        number_format(buf, *(const int64_t *)at, durations, PIM_COUNT(durations));
        break;
    case PIM_CONF_T_LEVEL:
        pim_buf_adds(buf, levels[*(const int64_t *)at - PIM_LOG_ERR]);
        break;
    case PIM_CONF_T_LISTENS:
    case PIM_CONF_T_NETS:
    case PIM_CONF_T_ORIGINS: {
        const struct pim_conf_list *list = at;

        for (uint32_t i = 0; i < list->n; i++)
            pim_buf_addf(buf, "%s%s", i > 0 ? ", " : "", list->items[i]);
        break;
    }
    default:
        pim_buf_adds(buf, *(char *const *)at);
    }
}

void
pim_conf_allowed_format(struct pim_buf *buf, const struct pim_conf_option *opt)
{
    switch (opt->type) {
    case PIM_CONF_T_BOOL:
        pim_buf_adds(buf, "yes or no");
        break;
    case PIM_CONF_T_INT:
        pim_buf_addf(buf, "%" PRId64 " to %" PRId64, opt->min, opt->max);
        break;
    case PIM_CONF_T_SIZE:
        number_format(buf, opt->min, sizes, PIM_COUNT(sizes));
        pim_buf_adds(buf, " to ");
        number_format(buf, opt->max, sizes, PIM_COUNT(sizes));
        pim_buf_adds(buf, " (bytes, or with KiB, MiB, GiB)");
        break;
    case PIM_CONF_T_DURATION:
        number_format(buf, opt->min, durations, PIM_COUNT(durations));
        pim_buf_adds(buf, " to ");
        number_format(buf, opt->max, durations, PIM_COUNT(durations));
        pim_buf_adds(buf, " (seconds, or with ms, s, m, h, d)");
        break;
    case PIM_CONF_T_LEVEL:
        for (size_t i = 0; i < PIM_COUNT(levels); i++)
            pim_buf_addf(buf, "%s%s", i == 0 ? "" : i + 1 < PIM_COUNT(levels) ? ", " : " or ", levels[i]);
        break;
    case PIM_CONF_T_TEXT:
        pim_buf_addf(buf, "text of %" PRId64 " to %" PRId64 " bytes", opt->min, opt->max);
        break;
    case PIM_CONF_T_PATH:
        pim_buf_addf(buf, "a path of at most %" PRId64 " bytes%s", opt->max, opt->min == 0 ? ", or empty" : "");
        break;
    case PIM_CONF_T_STORE:
        pim_buf_addf(buf,
                     "sqlite:PATH, memory:, mysql://..., postgresql://..., mongodb://... or plugin:PATH?key=value%s",
                     opt->min == 0 ? ", or empty" : "");
        break;
    case PIM_CONF_T_LISTEN:
        pim_buf_adds(buf, "ADDRESS:PORT (192.0.2.1:8080, [2001:db8::1]:8080 or localhost:8080), or empty");
        break;
    case PIM_CONF_T_LISTENS:
        pim_buf_addf(buf,
                     "one to %" PRId64 " of ADDRESS:PORT (192.0.2.1:8080, [2001:db8::1]:8080 or localhost:8080) with "
                     "commas between them",
                     opt->max);
        break;
    case PIM_CONF_T_NETS:
        pim_buf_addf(buf, "up to %" PRId64 " of ADDRESS or ADDRESS/BITS with commas between them", opt->max);
        break;
    case PIM_CONF_T_ORIGINS:
        pim_buf_addf(buf,
                     "up to %" PRId64
                     " of https://host[:port] or http://host[:port], in lower case, with commas between "
                     "them",
                     opt->max);
        break;
    }
}

void
pim_conf_value_fini(struct pim_conf *conf, const struct pim_conf_option *opt)
{
    void *at = field(conf, opt);

    switch (opt->type) {
    case PIM_CONF_T_TEXT:
    case PIM_CONF_T_PATH:
    case PIM_CONF_T_STORE:
    case PIM_CONF_T_LISTEN:
        free(*(char **)at);
        *(char **)at = NULL;
        break;
    case PIM_CONF_T_LISTENS:
    case PIM_CONF_T_NETS:
    case PIM_CONF_T_ORIGINS:
        list_fini(at);
        break;
    default:
        break;
    }
}
