/* conf/conf_priv.h - the table of options, shared by the files of this folder. */
#ifndef PIM_CONF_CONF_PRIV_H
#define PIM_CONF_CONF_PRIV_H
#include "conf/conf.h"

#include "util/buf.h"

#include <stddef.h>

enum pim_conf_type {
    PIM_CONF_T_BOOL,     /* bool */
    PIM_CONF_T_INT,      /* int64_t */
    PIM_CONF_T_SIZE,     /* int64_t, bytes */
    PIM_CONF_T_DURATION, /* int64_t, milliseconds; min and max in the table are milliseconds too */
    PIM_CONF_T_LEVEL,    /* int64_t, enum pim_log_level */
    PIM_CONF_T_TEXT,     /* char *, max = characters */
    PIM_CONF_T_PATH,     /* char *, absolute; relative ones are made absolute */
    PIM_CONF_T_STORE,    /* char *, a storage URL */
    PIM_CONF_T_LISTEN,   /* char *, ADDRESS:PORT or empty */
    PIM_CONF_T_LISTENS,  /* struct pim_conf_list, 1 .. max of them */
    PIM_CONF_T_NETS,     /* struct pim_conf_list of ADDRESS[/BITS] */
    PIM_CONF_T_ORIGINS   /* struct pim_conf_list of scheme://host[:port] */
};

enum { PIM_CONF_RELOAD = 1 }; /* may change while the server runs */

struct pim_conf_option {
    const char *section, *key;
    enum pim_conf_type type;
    uint32_t flags;
    size_t offset; /* into struct pim_conf */
    const char *def;
    int64_t min, max;
    const char *unit; /* "" or what a number counts */
    const char *help; /* one or two sentences */
};

extern const struct pim_conf_option pim_conf_options[];
extern const size_t pim_conf_n_options;

struct pim_conf_section {
    const char *name, *help;
};
extern const struct pim_conf_section pim_conf_sections[];
extern const size_t pim_conf_n_sections;

/** The option of that name, or NULL. */
const struct pim_conf_option *pim_conf_option_find(const char *section, const char *key);

/** Write a sentence and return PIM_ERR_INVALID. */
int pim_conf_fail(char out_why[PIM_CONF_WHY_BYTES], const char *fmt, ...) PIM_PRINTF(2, 3);

/** Read text into the option's field. @return PIM_OK or PIM_ERR_INVALID with a sentence that begins with "section.key".
 */
PIM_MUST_CHECK int pim_conf_value_parse(struct pim_conf *conf, const struct pim_conf_option *opt, const char *text,
                                        char out_why[PIM_CONF_WHY_BYTES]);
/** Append the field's value as the file would have it. */
void pim_conf_value_format(struct pim_buf *buf, const struct pim_conf *conf, const struct pim_conf_option *opt);
/** Append what is allowed, e.g. "1s to 1h". */
void pim_conf_allowed_format(struct pim_buf *buf, const struct pim_conf_option *opt);
/** Free the field's memory and zero it. */
void pim_conf_value_fini(struct pim_conf *conf, const struct pim_conf_option *opt);

/** Can a network be read? */
bool pim_conf_net_valid(const char *net);

/** After file and command line: derive and cross-check. */
PIM_MUST_CHECK int pim_conf_finish(struct pim_conf *conf, char out_why[PIM_CONF_WHY_BYTES]);

#endif
