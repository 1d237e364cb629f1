/* Defaults, the file, what follows from both. */
#include "conf/conf.h"

#include "conf/conf_priv.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20)
#define LINE_BYTES_MAX 4608 /* a path of 4095 bytes fits */

void
pim_conf_init(struct pim_conf *conf)
{
    char why[PIM_CONF_WHY_BYTES];

    memset(conf, 0, sizeof *conf);
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        if (pim_conf_value_parse(conf, &pim_conf_options[i], pim_conf_options[i].def, why) != PIM_OK) {
            fprintf(stderr, "the table of options is wrong: %s\n", why);
            abort(); /* a unit test would have found it; a prefix of 4,096 bytes may do it too */
        }
    }
}

void
pim_conf_fini(struct pim_conf *conf)
{
    for (size_t i = 0; i < pim_conf_n_options; i++)
        pim_conf_value_fini(conf, &pim_conf_options[i]);
    free(conf->file);
    conf->file = NULL;
}

/* --- one option --- */

static const struct pim_conf_section *
section_find(const char *name)
{
    for (size_t i = 0; i < pim_conf_n_sections; i++)
        if (strcmp(pim_conf_sections[i].name, name) == 0)
            return &pim_conf_sections[i];
    return NULL;
}

static int
section_unknown(const char *name, char out_why[PIM_CONF_WHY_BYTES])
{
    struct pim_buf names;

    pim_buf_init(&names, 512);
    for (size_t i = 0; i < pim_conf_n_sections; i++)
        pim_buf_addf(&names, "%s%s", i > 0 ? ", " : "", pim_conf_sections[i].name);
    if (name[0] == '\0')
        pim_conf_fail(out_why, "an option stands before the first [section]; sections are %s", pim_buf_cstr(&names));
    else
        pim_conf_fail(out_why, "there is no section [%.60s]; sections are %s", name, pim_buf_cstr(&names));
    pim_buf_fini(&names);
    return PIM_ERR_INVALID;
}

/* Levenshtein's distance of two short words. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);

    if (n >= PIM_COUNT(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

static int
key_unknown(const char *section, const char *key, char out_why[PIM_CONF_WHY_BYTES])
{
    struct pim_buf names;
    const char *near = NULL, *home = NULL;
    size_t near_by = 3;

    pim_buf_init(&names, 800);
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        const struct pim_conf_option *opt = &pim_conf_options[i];

        if (strcmp(opt->section, section) != 0) {
            if (strcmp(opt->key, key) == 0)
                home = opt->section;
            continue;
        }
        pim_buf_addf(&names, "%s%s", names.len > 0 ? ", " : "", opt->key);
        if (strlen(key) < 64 && distance(key, opt->key) < near_by) {
            near_by = distance(key, opt->key);
            near = opt->key;
        }
    }
    if (near != NULL)
        pim_conf_fail(out_why, "there is no option %.60s in [%s]; is %s meant? Options there are %s", key, section,
                      near, pim_buf_cstr(&names));
    else if (home != NULL)
        pim_conf_fail(out_why, "there is no option %.60s in [%s], it belongs into [%s]. Options there are %s", key,
                      section, home, pim_buf_cstr(&names));
    else
        pim_conf_fail(out_why, "there is no option %.60s in [%s]; options there are %s", key, section,
                      pim_buf_cstr(&names));
    pim_buf_fini(&names);
    return PIM_ERR_INVALID;
}

static int
option_set(struct pim_conf *conf, const char *section, const char *key, const char *value, enum pim_conf_origin origin,
           char out_why[PIM_CONF_WHY_BYTES])
{
    const struct pim_conf_option *opt = pim_conf_option_find(section, key);
    int rc;

    if (section_find(section) == NULL)
        return section_unknown(section, out_why);
    if (opt == NULL)
        return key_unknown(section, key, out_why);
    rc = pim_conf_value_parse(conf, opt, value, out_why);
    if (rc == PIM_OK)
        conf->origin[opt - pim_conf_options] = (uint8_t)origin;
    return rc;
}

int
pim_conf_set(struct pim_conf *conf, const char *name, const char *value, enum pim_conf_origin origin,
             char out_why[PIM_CONF_WHY_BYTES])
{
    const char *dot = strchr(name, '.');
    char section[32];

    if (dot == NULL || (size_t)(dot - name) >= sizeof section)
        return pim_conf_fail(out_why, "%.60s is no section.key", name);
    memcpy(section, name, (size_t)(dot - name));
    section[dot - name] = '\0';
    return option_set(conf, section, dot + 1, value, origin, out_why);
}

enum pim_conf_origin
pim_conf_origin_of(const struct pim_conf *conf, const char *name)
{
    for (size_t i = 0; i < pim_conf_n_options; i++) {
        size_t len = strlen(pim_conf_options[i].section);

        if (strncmp(pim_conf_options[i].section, name, len) == 0 && name[len] == '.' &&
            strcmp(pim_conf_options[i].key, name + len + 1) == 0)
            return (enum pim_conf_origin)conf->origin[i];
    }
    return PIM_CONF_DEFAULT;
}

/* --- the file --- */

struct reader {
    struct pim_conf *conf;
    const char *name, *text;
    size_t text_len, at;
    int line;
    int seen[PIM_CONF_OPTIONS_MAX]; /* the line that set an option in this file */
    bool failed;
    char *why;
};

static void
reader_fail(struct reader *r, const char *what)
{
    char text[PIM_CONF_WHY_BYTES];

    snprintf(text, sizeof text, "%s", what);
    snprintf(r->why, PIM_CONF_WHY_BYTES, "%.300s:%d: %.700s", r->name, r->line, text);
    r->failed = true;
}

/* "[name]", spaces around it, perhaps a comment after it. inih does not tell us of a section without options. */
static void
reader_section(struct reader *r, const char *line)
{
    char name[64], why[PIM_CONF_WHY_BYTES];
    size_t len;

    line += strspn(line, " \t");
    if (line[0] != '[')
        return;
    len = strcspn(line + 1, "]");
    if (line[1 + len] == '\0') {
        reader_fail(r, "a section has no ]");
        return;
    }
    if (len >= sizeof name)
        len = sizeof name - 1;
    memcpy(name, line + 1, len);
    name[len] = '\0';
    if (section_find(name) == NULL) {
        section_unknown(name, why);
        reader_fail(r, why);
        return;
    }
    len = strcspn(line, "]") + 1;
    len += strspn(line + len, " \t\r\n");
    if (line[len] != '\0' && line[len] != ';' && line[len] != '#')
        reader_fail(r, "something stands after the section");
}

/* For inih: the next line. It never sees one that it would cut. */
static char *
reader_line(char *dst, int dst_bytes, void *arg)
{
    struct reader *r = arg;
    const char *line = r->text + r->at, *end;
    size_t len;

    if (r->failed || r->at == r->text_len)
        return NULL;
    r->line++;
    end = memchr(line, '\n', r->text_len - r->at);
    len = end != NULL ? (size_t)(end - line) + 1 : r->text_len - r->at;
    if (len >= LINE_BYTES_MAX || (int)len >= dst_bytes) {
        reader_fail(r, "the line is too long");
        return NULL;
    }
    if (memchr(line, '\0', len) != NULL) {
        reader_fail(r, "the line has a NUL byte");
        return NULL;
    }
    memcpy(dst, line, len);
    dst[len] = '\0';
    r->at += len;
    reader_section(r, dst);
    return r->failed ? NULL : dst;
}

static int
reader_option(void *arg, const char *section, const char *key, const char *value)
{
    struct reader *r = arg;
    char why[PIM_CONF_WHY_BYTES];
    const struct pim_conf_option *opt = pim_conf_option_find(section, key);

    if (r->failed)
        return 0;
    if (opt != NULL && r->seen[opt - pim_conf_options] != 0) {
        snprintf(why, sizeof why, "%s.%s is set twice, first in line %d", section, key,
                 r->seen[opt - pim_conf_options]);
        reader_fail(r, why);
        return 0;
    }
    if (option_set(r->conf, section, key, value == NULL ? "" : value, PIM_CONF_FILE, why) != PIM_OK) {
        reader_fail(r, why);
        return 0;
    }
    r->seen[opt - pim_conf_options] = r->line;
    return 1;
}

int
pim_conf_load_text(struct pim_conf *conf, const char *name, const char *text, size_t text_len,
                   char out_why[PIM_CONF_WHY_BYTES])
{
    static char comments[] = ";#"; /* "key = value # why" is a comment, not a part of the value */
    struct reader r = {.conf = conf, .name = name, .text = text, .text_len = text_len, .why = out_why};
    int rc;

    ini_allow_multiline = false;
    ini_allow_no_value = false;
    ini_stop_on_first_error = true;
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_max_line = LINE_BYTES_MAX;
    ini_initial_alloc = LINE_BYTES_MAX;
    ini_inline_comment_prefixes = comments;
    rc = ini_parse_stream(reader_line, &r, reader_option, &r);
    if (rc != 0 && !r.failed)
        reader_fail(&r, rc < 0 ? "out of memory" : "the line is neither [section], key = value nor a comment");
    return r.failed ? PIM_ERR_INVALID : PIM_OK;
}

/* scheme://user:password@host */
static bool
has_password(const char *url)
{
    const char *user = strstr(url, "://"), *at = user == NULL ? NULL : strchr(user + 3, '@');

    return at != NULL && memchr(user + 3, ':', (size_t)(at - user - 3)) != NULL;
}

/* A password in a file that everybody can read is no secret. */
static int
secrecy_check(const struct pim_conf *conf, const char *path, int fd, char out_why[PIM_CONF_WHY_BYTES])
{
    struct stat st;

    if (fstat(fd, &st) != 0 || (st.st_mode & S_IROTH) == 0)
        return PIM_OK;
    if (!has_password(conf->storage.records) && !has_password(conf->storage.messages))
        return PIM_OK;
    return pim_conf_fail(
        out_why, "%.300s: everybody can read this file and it has a database's password in it; chmod 640 it", path);
}

int
pim_conf_load(struct pim_conf *conf, const char *path, char out_why[PIM_CONF_WHY_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = PIM_ERR_INVALID;
    char *text = NULL;
    size_t len = 0;

    if (fd < 0)
        return pim_conf_fail(out_why, "%.300s: %s", path, strerror(errno));
    text = pim_new(FILE_BYTES_MAX + 1);
    for (;;) {
        ssize_t n = read(fd, text + len, FILE_BYTES_MAX + 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            pim_conf_fail(out_why, "%.300s: %s", path, strerror(errno));
            goto out;
        }
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > FILE_BYTES_MAX) {
            pim_conf_fail(out_why, "%.300s: larger than 1 MiB", path);
            goto out;
        }
    }
    rc = pim_conf_load_text(conf, path, text, len, out_why);
    if (rc == PIM_OK)
        rc = secrecy_check(conf, path, fd, out_why);
    if (rc == PIM_OK) {
        free(conf->file);
        conf->file = pim_strdup(path);
    }
out:
    free(text);
    close(fd);
    return rc;
}

/* --- what follows --- */

static int64_t
cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Fill in what was left empty. */
PIM_PRINTF(4, 5)
static void
derive_text(struct pim_conf *conf, const char *name, char **at, const char *fmt, ...)
{
    char why[PIM_CONF_WHY_BYTES];
    va_list ap;
    char text[8192];

    if (**at != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (pim_conf_set(conf, name, text, PIM_CONF_DERIVED, why) == PIM_OK)
        return;
    free(*at); /* longer than the option may be: found where it is used */
    *at = pim_strdup(text);
}

static int
derive(struct pim_conf *conf, char out_why[PIM_CONF_WHY_BYTES])
{
    int64_t n = cores();
    char number[24];

    if (pim_conf_origin_of(conf, "server.data_dir") == PIM_CONF_COMMAND)
        derive_text(conf, "server.runtime_dir", &conf->server.runtime_dir, "%s/run", conf->server.data_dir);
    else
        derive_text(conf, "server.runtime_dir", &conf->server.runtime_dir, "%s", PIM_RUNSTATEDIR "/privateim");
    if (strlen(conf->server.runtime_dir) > 90)
        return pim_conf_fail(out_why,
                             "server.runtime_dir = %.300s: longer than 90 bytes, which a Unix socket's path cannot be; "
                             "set server.runtime_dir",
                             conf->server.runtime_dir);
    derive_text(conf, "auth.secret_file", &conf->auth.secret_file, "%s/token.key", conf->server.data_dir);
    if (strcmp(conf->storage.records, "sqlite:") == 0) {
        conf->storage.records[0] = '\0';
        derive_text(conf, "storage.records", &conf->storage.records, "sqlite:%s/privateim.db", conf->server.data_dir);
    }
    if (strcmp(conf->storage.messages, "sqlite:") == 0)
        return pim_conf_fail(
            out_why, "storage.messages = sqlite: needs a path; leave it empty to keep messages with the records");
    derive_text(conf, "storage.messages", &conf->storage.messages, "%s", conf->storage.records);
    if (conf->server.io_workers == 0) {
        snprintf(number, sizeof number, "%lld", (long long)(n > 256 ? 256 : n));
        if (pim_conf_set(conf, "server.io_workers", number, PIM_CONF_DERIVED, out_why) != PIM_OK)
            return PIM_ERR_INVALID;
    }
    if (conf->server.work_threads == 0) {
        snprintf(number, sizeof number, "%lld", (long long)(n > 65 ? 64 : n > 1 ? n - 1 : 1));
        return pim_conf_set(conf, "server.work_threads", number, PIM_CONF_DERIVED, out_why);
    }
    return PIM_OK;
}

static bool
reachable(const char *listen)
{
    struct sockaddr_storage addr;
    socklen_t len;

    return listen[0] != '\0' && pim_conf_address_parse(listen, &addr, &len) &&
           !pim_conf_address_is_loopback((const struct sockaddr *)&addr);
}

int
pim_conf_finish(struct pim_conf *conf, char out_why[PIM_CONF_WHY_BYTES])
{
    bool tls = conf->server.tls_cert[0] != '\0';

    if (tls != (conf->server.tls_key[0] != '\0'))
        return pim_conf_fail(out_why, "server.tls_%s is set and server.tls_%s is not: TLS needs both",
                             tls ? "cert" : "key", tls ? "key" : "cert");
    for (uint32_t i = 0; i < conf->server.listen.n; i++) {
        if (reachable(conf->server.listen.items[i]) && !tls && !conf->server.insecure_listen)
            return pim_conf_fail(
                out_why,
                "server.listen = %s: other machines can reach this address, and passwords would cross "
                "the network in the clear; set server.tls_cert and server.tls_key, or, behind a proxy that has "
                "TLS or in a test network, server.insecure_listen = yes (--insecure)",
                conf->server.listen.items[i]);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(conf->server.listen.items[i], conf->server.listen.items[j]) == 0)
                return pim_conf_fail(out_why, "server.listen has %s twice", conf->server.listen.items[i]);
    }
    if (reachable(conf->server.metrics_listen) && !conf->server.insecure_listen)
        return pim_conf_fail(out_why,
                             "server.metrics_listen = %s: other machines can reach this address and /metrics has no "
                             "sign-in; take a loopback address, or server.insecure_listen = yes",
                             conf->server.metrics_listen);
    if (conf->im.password_min > conf->im.password_max)
        return pim_conf_fail(out_why, "im.password_min is larger than im.password_max");
    if (conf->ws.frame_bytes > conf->ws.message_bytes)
        return pim_conf_fail(out_why, "ws.frame_bytes is larger than ws.message_bytes");
    if (conf->ws.raw_message_bytes > conf->ws.message_bytes)
        return pim_conf_fail(out_why, "ws.raw_message_bytes is larger than ws.message_bytes");
    if (conf->ws.output_bytes < 2 * conf->ws.message_bytes)
        return pim_conf_fail(out_why, "ws.output_bytes is less than twice ws.message_bytes");
    if (conf->auth.argon2_memory_bytes / 1024 < 8 * conf->auth.argon2_lanes)
        return pim_conf_fail(out_why, "auth.argon2_memory is less than 8 KiB for each of auth.argon2_lanes");
    return derive(conf, out_why);
}
