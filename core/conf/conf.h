/* conf/conf.h - what the operator can set.
 *
 * One table (conf/options.c) says for each option its section, key, type, default, bounds, unit and help. From it come
 * the defaults, the reader of `[section] key = value` files, the command line's --set, --print-config, the sample file
 * (--print-sample, installed as privateim.conf) and the options section of privateim.conf(5).
 *
 * One start: pim_conf_init fills in the defaults, pim_conf_args reads the file and then the command line over it,
 * checks what options ask of each other and derives those that were left empty. Any mistake is fatal and has its
 * sentence: file, line, and what is allowed. A reload makes a second struct, so nobody reads a value while it changes.
 *
 * Owned by main, read-only after pim_conf_args: any thread may read it. */
#ifndef PIM_CONF_CONF_H
#define PIM_CONF_CONF_H
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#define PIM_CONF_LISTENS 4
#define PIM_CONF_LIST_ITEMS 16
#define PIM_CONF_OPTIONS_MAX 128
#define PIM_CONF_WHY_BYTES 1024 /* the sentence of a failure */

struct pim_conf_list {
    uint32_t n;
    char *items[PIM_CONF_LIST_ITEMS];
};

/* Numbers are int64_t, durations milliseconds, sizes bytes; text is "" when not set, never NULL. */
struct pim_conf {
    struct {
        struct pim_conf_list listen; /* ADDRESS:PORT, at most PIM_CONF_LISTENS; pim_conf_address_parse */
        char *metrics_listen;        /* "" off */
        char *data_dir, *runtime_dir, *web_dir, *plugin_dir;
        bool insecure_listen;
        char *tls_cert, *tls_key;                                     /* both or neither */
        int64_t io_workers, http_threads, read_threads, work_threads; /* at least 1: 0 was replaced */
        int64_t node_id;
        int64_t stop_timeout_ms;
        struct pim_conf_list trusted_proxies; /* ADDRESS or ADDRESS/BITS; pim_conf_net_contains */
    } server;
    struct {
        char *records, *messages; /* URLs; equal text: one store for both */
        int64_t queue_items, queue_bytes, batch_items;
        int64_t conversations, senders;
        int64_t search_rows_per_s;
        int64_t resend_window_ms, job_timeout_ms;
        bool allow_clock_behind;
        int64_t job_queue, work_queue;
    } storage;
    struct {
        int64_t header_bytes, header_fields, uri_bytes, body_bytes;
        int64_t header_timeout_ms, body_rate_bytes_per_s, idle_timeout_ms;
        int64_t connections, connections_per_address;
        bool limit_loopback;
        struct pim_conf_list allowed_origins;
    } http;
    struct {
        int64_t frame_bytes, message_bytes, raw_message_bytes;
        int64_t heartbeat_ms;
        int64_t output_bytes, output_timeout_ms;
        int64_t flood_per_s, in_flight, connections_per_user, sync_rows;
        int64_t messages_per_s, messages_burst; /* messages_per_s 0: no limit */
        bool query_token;
    } ws;
    struct {
        int64_t token_life_ms;
        char *secret_file, *issuer, *audience;
        int64_t argon2_memory_bytes, argon2_time, argon2_lanes;
        char *legacy_salt_file;
        int64_t sign_in_free_tries, sign_in_max_delay_ms, sign_in_hard_stop;
        int64_t sign_ups_per_hour_per_address;
        int64_t session_check_ms;
    } auth;
    struct {
        int64_t friend_requests_per_day, groups_per_user, group_members, show_joins_up_to;
        bool history_before_join;
        int64_t name_chars, note_chars, password_min, password_max, email_chars;
    } im;
    struct {
        int64_t level; /* enum pim_log_level */
    } log;

    char *file; /* the file that was read, or NULL */
    int argc;   /* for a reload; argv is borrowed for good */
    char **argv;
    const char *default_file;
    uint8_t origin[PIM_CONF_OPTIONS_MAX]; /* enum pim_conf_origin of each row of the table */
};

enum pim_conf_origin { PIM_CONF_DEFAULT = 0, PIM_CONF_DERIVED, PIM_CONF_FILE, PIM_CONF_COMMAND };

/* What the command line asks for. */
enum pim_conf_action {
    PIM_CONF_RUN = 0,
    PIM_CONF_CHECK,   /* --check-config: all is well when pim_conf_args got here */
    PIM_CONF_PRINT,   /* --print-config */
    PIM_CONF_SAMPLE,  /* --print-sample */
    PIM_CONF_VERSION, /* --version */
    PIM_CONF_HELP     /* --help */
};

/** All options at their defaults. Main thread. */
void pim_conf_init(struct pim_conf *conf);
/** Free what is inside. Zeroed and half-filled structs are fine. */
void pim_conf_fini(struct pim_conf *conf);

/**
 * Read a file over what is there.
 *
 * @return PIM_OK, or PIM_ERR_INVALID with a sentence in out_why (file, line, what is allowed); then conf is
 * half-changed and only good for pim_conf_fini. The same for a file that cannot be read.
 *
 * Main thread: inih's settings are global.
 */
PIM_MUST_CHECK int pim_conf_load(struct pim_conf *conf, const char *path, char out_why[PIM_CONF_WHY_BYTES]);
/** The same for text in memory; name stands in the sentences. */
PIM_MUST_CHECK int pim_conf_load_text(struct pim_conf *conf, const char *name, const char *text, size_t text_len,
                                      char out_why[PIM_CONF_WHY_BYTES]);

/**
 * Set one option, as --set does.
 *
 * @param name  "section.key"
 * @return PIM_OK, or PIM_ERR_INVALID with a sentence
 */
PIM_MUST_CHECK int pim_conf_set(struct pim_conf *conf, const char *name, const char *value, enum pim_conf_origin origin,
                                char out_why[PIM_CONF_WHY_BYTES]);
/** Where an option's value comes from; PIM_CONF_DEFAULT for a name that is none. */
enum pim_conf_origin pim_conf_origin_of(const struct pim_conf *conf, const char *name);

/**
 * Read the file (--config, else default_file where that exists), then the command line over it, then finish: check what
 * options ask of each other and derive what was left empty (runtime_dir, records, messages, secret_file, thread
 * counts).
 *
 * @param conf          after pim_conf_init
 * @param default_file  NULL: none
 * @return an enum pim_conf_action, or PIM_ERR_INVALID with a sentence in out_why
 *
 * Keeps argv and default_file for a reload. Main thread.
 */
PIM_MUST_CHECK int pim_conf_args(struct pim_conf *conf, int argc, char **argv, const char *default_file,
                                 char out_why[PIM_CONF_WHY_BYTES]);

/** An option whose value differs after a reload. applied: it may change while the server runs, and did. */
typedef void (*pim_conf_change_fn)(void *ctx, const char *name, bool applied);

/**
 * Read file and command line again into a new struct. Options that only a restart can change keep the old value there.
 *
 * @param out_new  pim_conf_fini and free() it; old is still the caller's
 * @return PIM_OK, or PIM_ERR_INVALID with a sentence: go on with old
 *
 * Main thread.
 */
PIM_MUST_CHECK int pim_conf_reload(const struct pim_conf *old, struct pim_conf **out_new, pim_conf_change_fn change,
                                   void *ctx, char out_why[PIM_CONF_WHY_BYTES]);

/** Write all options with their values and where each comes from; passwords in URLs are masked. */
void pim_conf_print(const struct pim_conf *conf, FILE *out);
/** Write the sample file: every option with help, default, unit, what is allowed; commented out. */
void pim_conf_print_sample(FILE *out);
/** Write the options section of privateim.conf(5). */
void pim_conf_print_man(FILE *out);
/** Write what --help says. */
void pim_conf_print_help(FILE *out);

/**
 * Read "ADDRESS:PORT": IPv4, [IPv6] or localhost, port 1 .. 65535.
 *
 * @return false if it is none. Any thread; asks no name server.
 */
bool pim_conf_address_parse(const char *text, struct sockaddr_storage *out_addr, socklen_t *out_len);
/** Is that a loopback address? */
bool pim_conf_address_is_loopback(const struct sockaddr *addr);
/** Is addr in net, "ADDRESS" or "ADDRESS/BITS"? IPv4 inside IPv6 (::ffff:a.b.c.d) counts as IPv4. */
bool pim_conf_net_contains(const char *net, const struct sockaddr *addr);

#endif
