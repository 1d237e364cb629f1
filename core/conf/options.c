/* The one table of options. To add one: a field in conf.h, a row here. */
#include "conf/conf_priv.h"

#include <string.h>

#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define S 1000LL
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)
#define R PIM_CONF_RELOAD
#define AT(field) offsetof(struct pim_conf, field)

const struct pim_conf_section pim_conf_sections[] = {
    {"server", "Sockets, directories and threads."},
    {"storage", "Where users, groups and messages are kept."},
    {"http", "Limits of the HTTP side."},
    {"ws", "Limits of the WebSocket side."},
    {"auth", "Passwords, tokens, guessing."},
    {"im", "The rules of chat."},
    {"log", "What is logged."},
};
const size_t pim_conf_n_sections = PIM_COUNT(pim_conf_sections);

/* clang-format off */
const struct pim_conf_option pim_conf_options[] = {
    /* --- server --- */
    {"server", "listen", PIM_CONF_T_LISTENS, 0, AT(server.listen), "127.0.0.1:8080", 1, PIM_CONF_LISTENS, "",
     "Where HTTP and WebSocket are served: one to four addresses with their ports, separated by commas. An address that other machines can reach needs tls_cert and tls_key, or insecure_listen."},
    {"server", "metrics_listen", PIM_CONF_T_LISTEN, 0, AT(server.metrics_listen), "127.0.0.1:8081", 0, 0, "",
     "Where /metrics is served, without sign-in. Empty: nowhere."},
    {"server", "data_dir", PIM_CONF_T_PATH, 0, AT(server.data_dir), PIM_STATEDIR, 1, 4095, "",
     "Where the database, the token key and uploads are kept. Only the server's user may have access."},
    {"server", "runtime_dir", PIM_CONF_T_PATH, 0, AT(server.runtime_dir), "", 0, 90, "",
     "Where the control socket of privateimctl is made. Empty: " PIM_RUNSTATEDIR "/privateim, or DATA/run where --data is given on the command line."},
    {"server", "web_dir", PIM_CONF_T_PATH, 0, AT(server.web_dir), PIM_WEBDIR, 0, 4095, "",
     "The files of the page at /."},
    {"server", "plugin_dir", PIM_CONF_T_PATH, 0, AT(server.plugin_dir), PIM_PLUGINDIR, 1, 4095, "",
     "Where plugins are looked for by name. Only root, or the server's user, may have write access."},
    {"server", "insecure_listen", PIM_CONF_T_BOOL, 0, AT(server.insecure_listen), "no", 0, 1, "",
     "Serve other machines without TLS. For use behind a proxy that has TLS, or in a test network: passwords and messages can be read on the way."},
    {"server", "tls_cert", PIM_CONF_T_PATH, 0, AT(server.tls_cert), "", 0, 4095, "",
     "Certificate chain, PEM. With tls_key, all addresses of listen speak TLS 1.2 and 1.3."},
    {"server", "tls_key", PIM_CONF_T_PATH, 0, AT(server.tls_key), "", 0, 4095, "",
     "Private key of tls_cert, PEM."},
    {"server", "io_workers", PIM_CONF_T_INT, 0, AT(server.io_workers), "0", 0, 256, "threads",
     "Threads that serve WebSockets. 0: one for each core."},
    {"server", "http_threads", PIM_CONF_T_INT, 0, AT(server.http_threads), "2", 1, 64, "threads",
     "Threads that serve HTTP."},
    {"server", "read_threads", PIM_CONF_T_INT, 0, AT(server.read_threads), "2", 1, 64, "threads",
     "Threads, and connections to the database, that read, for each of records and messages."},
    {"server", "work_threads", PIM_CONF_T_INT, 0, AT(server.work_threads), "0", 0, 64, "threads",
     "Threads that hash passwords. 0: one less than there are cores, at least one."},
    {"server", "node_id", PIM_CONF_T_INT, 0, AT(server.node_id), "0", 0, 63, "",
     "Number of this server among those that share a database; it goes into the ids that are made."},
    {"server", "stop_timeout", PIM_CONF_T_DURATION, R, AT(server.stop_timeout_ms), "10s", 1 * S, 10 * M, "",
     "How long a stop waits for clients to go and for work in hand."},
    {"server", "trusted_proxies", PIM_CONF_T_NETS, 0, AT(server.trusted_proxies), "", 0, PIM_CONF_LIST_ITEMS, "",
     "Addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed, separated by commas."},

    /* --- storage --- */
    {"storage", "records", PIM_CONF_T_STORE, 0, AT(storage.records), "sqlite:", 1, 4095, "",
     "Where users, relations, groups and sessions are kept: sqlite:PATH, memory:, mysql://, postgresql://, mongodb:// or plugin:PATH?key=value. sqlite: without a path is DATA/privateim.db."},
    {"storage", "messages", PIM_CONF_T_STORE, 0, AT(storage.messages), "", 0, 4095, "",
     "Where conversations are kept. Empty: with the records."},
    {"storage", "queue_items", PIM_CONF_T_INT, 0, AT(storage.queue_items), "65536", 16, 16777216, "messages",
     "Messages that may wait to be written. More are answered with 503."},
    {"storage", "queue_bytes", PIM_CONF_T_SIZE, 0, AT(storage.queue_bytes), "64MiB", 1 * MIB, 64 * GIB, "",
     "Bytes of messages that may wait to be written."},
    {"storage", "batch_items", PIM_CONF_T_INT, 0, AT(storage.batch_items), "0", 0, 65536, "messages",
     "Most messages in one commit. 0: what the plugin says is best."},
    {"storage", "conversations", PIM_CONF_T_INT, 0, AT(storage.conversations), "100000", 16, 100000000, "conversations",
     "Conversations whose end is kept in memory."},
    {"storage", "senders", PIM_CONF_T_INT, 0, AT(storage.senders), "4096", 1, 65536, "senders",
     "Senders of a conversation whose latest messages are kept in memory to find repeats."},
    {"storage", "search_rows", PIM_CONF_T_INT, 0, AT(storage.search_rows_per_s), "10000", 100, 100000000, "rows/s",
     "Stored rows that may be read to find out whether messages are repeats."},
    {"storage", "resend_window", PIM_CONF_T_DURATION, 0, AT(storage.resend_window_ms), "7d", 1 * M, 365 * D, "",
     "How long a client may repeat a message that had no answer."},
    {"storage", "allow_clock_behind", PIM_CONF_T_BOOL, 0, AT(storage.allow_clock_behind), "no", 0, 1, "",
     "Start although the clock is more than a minute behind the newest message."},
    {"storage", "job_timeout", PIM_CONF_T_DURATION, 0, AT(storage.job_timeout_ms), "10s", 100, 10 * M, "",
     "How long one piece of database work may take."},
    {"storage", "job_queue", PIM_CONF_T_INT, 0, AT(storage.job_queue), "4096", 16, 1048576, "jobs",
     "Pieces of database work that may wait, for each kind of thread."},
    {"storage", "work_queue", PIM_CONF_T_INT, 0, AT(storage.work_queue), "64", 1, 65536, "jobs",
     "Password hashes that may wait. More are answered with 429."},

    /* --- http --- */
    {"http", "header_bytes", PIM_CONF_T_SIZE, 0, AT(http.header_bytes), "16KiB", 1 * KIB, 1 * MIB, "",
     "Largest head of a request."},
    {"http", "header_fields", PIM_CONF_T_INT, 0, AT(http.header_fields), "100", 8, 1000, "fields",
     "Most header fields of a request."},
    {"http", "uri_bytes", PIM_CONF_T_SIZE, 0, AT(http.uri_bytes), "8KiB", 256, 64 * KIB, "",
     "Longest path with query."},
    {"http", "body_bytes", PIM_CONF_T_SIZE, 0, AT(http.body_bytes), "64KiB", 1 * KIB, 64 * MIB, "",
     "Largest body of a request."},
    {"http", "header_timeout", PIM_CONF_T_DURATION, 0, AT(http.header_timeout_ms), "10s", 1 * S, 10 * M, "",
     "How long the head of a request may take to arrive."},
    {"http", "body_rate", PIM_CONF_T_SIZE, 0, AT(http.body_rate_bytes_per_s), "500", 1, 1 * GIB, "/s",
     "Slowest rate at which a body may arrive."},
    {"http", "idle_timeout", PIM_CONF_T_DURATION, 0, AT(http.idle_timeout_ms), "75s", 1 * S, 1 * H, "",
     "How long a connection may rest between two requests."},
    {"http", "connections", PIM_CONF_T_INT, 0, AT(http.connections), "20000", 16, 10000000, "connections",
     "Most HTTP connections at once, and as many WebSockets. The limit of open files (LimitNOFILE) must be larger."},
    {"http", "connections_per_address", PIM_CONF_T_INT, 0, AT(http.connections_per_address), "1000", 1, 10000000, "connections",
     "Most connections at once from one address (IPv6: one /64)."},
    {"http", "limit_loopback", PIM_CONF_T_BOOL, 0, AT(http.limit_loopback), "no", 0, 1, "",
     "Do limits by address count for 127.0.0.0/8 and ::1 too?"},
    {"http", "allowed_origins", PIM_CONF_T_ORIGINS, R, AT(http.allowed_origins), "", 0, PIM_CONF_LIST_ITEMS, "",
     "Other web pages that may use the server from a browser, https://chat.example.org, separated by commas. The server's own page always may."},

    /* --- ws --- */
    {"ws", "frame_bytes", PIM_CONF_T_SIZE, 0, AT(ws.frame_bytes), "64KiB", 1 * KIB, 16 * MIB, "",
     "Largest frame from a client."},
    {"ws", "message_bytes", PIM_CONF_T_SIZE, 0, AT(ws.message_bytes), "64KiB", 1 * KIB, 16 * MIB, "",
     "Largest WebSocket message from a client, all its frames together."},
    {"ws", "raw_message_bytes", PIM_CONF_T_SIZE, 0, AT(ws.raw_message_bytes), "4KiB", 64, 1 * MIB, "",
     "Longest message that an old client gets back with its result; of a longer one it gets none of it."},
    {"ws", "heartbeat", PIM_CONF_T_DURATION, 0, AT(ws.heartbeat_ms), "60s", 5 * S, 1 * H, "",
     "A client that was silent so long is asked for a sign of life, and closed after as long again."},
    {"ws", "output_bytes", PIM_CONF_T_SIZE, 0, AT(ws.output_bytes), "1MiB", 64 * KIB, 1 * GIB, "",
     "Bytes that may wait for a slow client. More: it is closed with 1013 and catches up later."},
    {"ws", "output_timeout", PIM_CONF_T_DURATION, 0, AT(ws.output_timeout_ms), "10s", 1 * S, 10 * M, "",
     "How long a client may take nothing of what waits for it."},
    {"ws", "flood_per_s", PIM_CONF_T_INT, 0, AT(ws.flood_per_s), "2000", 10, 1000000, "frames/s",
     "Pings and refused frames of one connection in a second. One that sends more is closed with 1008."},
    {"ws", "in_flight", PIM_CONF_T_INT, 0, AT(ws.in_flight), "256", 1, 65536, "messages",
     "Messages of one connection that may be without an answer. More are answered with 429."},
    {"ws", "connections_per_user", PIM_CONF_T_INT, 0, AT(ws.connections_per_user), "3", 1, 16, "connections",
     "Devices of a user that may be connected at once. One more ends the oldest."},
    {"ws", "sync_rows", PIM_CONF_T_INT, 0, AT(ws.sync_rows), "100", 1, 10000, "messages",
     "Most messages of a conversation in one page of a sync."},
    {"ws", "messages_per_s", PIM_CONF_T_INT, R, AT(ws.messages_per_s), "2000", 0, 1000000, "messages/s",
     "Rate at which one connection may send for long. 0: no limit."},
    {"ws", "messages_burst", PIM_CONF_T_INT, R, AT(ws.messages_burst), "4000", 1, 1000000, "messages",
     "Messages that a connection may send at once before messages_per_s counts."},
    {"ws", "query_token", PIM_CONF_T_BOOL, 0, AT(ws.query_token), "yes", 0, 1, "",
     "May a client give its token in the address (?authToken=)? Old clients need it; tokens then stand in the logs of proxies."},

    /* --- auth --- */
    {"auth", "token_life", PIM_CONF_T_DURATION, R, AT(auth.token_life_ms), "7d", 1 * M, 366 * D, "",
     "How long a sign-in holds without renewal."},
    {"auth", "secret_file", PIM_CONF_T_PATH, 0, AT(auth.secret_file), "", 0, 4095, "",
     "The key that signs tokens; made at the first start. Empty: DATA/token.key. To end all sessions, stop the server and remove the file."},
    {"auth", "issuer", PIM_CONF_T_TEXT, 0, AT(auth.issuer), "privateim", 1, 100, "",
     "Name of the issuer in tokens."},
    {"auth", "audience", PIM_CONF_T_TEXT, 0, AT(auth.audience), "privateim", 1, 100, "",
     "Name of the audience in tokens."},
    {"auth", "argon2_memory", PIM_CONF_T_SIZE, R, AT(auth.argon2_memory_bytes), "19456KiB", 8 * MIB, 4 * GIB, "",
     "Memory for one password hash (argon2id). Existing hashes are renewed when their owners sign in."},
    {"auth", "argon2_time", PIM_CONF_T_INT, R, AT(auth.argon2_time), "2", 1, 100, "passes",
     "Passes over that memory."},
    {"auth", "argon2_lanes", PIM_CONF_T_INT, R, AT(auth.argon2_lanes), "1", 1, 16, "lanes",
     "Lanes of that memory."},
    {"auth", "legacy_salt_file", PIM_CONF_T_PATH, 0, AT(auth.legacy_salt_file), "", 0, 4095, "",
     "File with the salt of imported HMAC-MD5 hashes. Empty: such hashes match no password."},
    {"auth", "sign_in_free_tries", PIM_CONF_T_INT, R, AT(auth.sign_in_free_tries), "5", 1, 1000, "tries",
     "Wrong passwords for an account before each further try has to wait, twice as long each time."},
    {"auth", "sign_in_max_delay", PIM_CONF_T_DURATION, R, AT(auth.sign_in_max_delay_ms), "900s", 1 * S, 1 * D, "",
     "The longest such wait."},
    {"auth", "sign_in_hard_stop", PIM_CONF_T_INT, R, AT(auth.sign_in_hard_stop), "100", 10, 100000, "tries",
     "Wrong passwords in a row after which only privateimctl can open the account again."},
    {"auth", "sign_ups_per_hour_per_address", PIM_CONF_T_INT, R, AT(auth.sign_ups_per_hour_per_address), "100", 1, 1000000,
     "accounts/h", "New accounts from one address (IPv6: one /64). See limit_loopback."},
    {"auth", "session_check", PIM_CONF_T_DURATION, R, AT(auth.session_check_ms), "5s", 1 * S, 5 * M, "",
     "How long an ended session may go on being used."},

    /* --- im --- */
    {"im", "friend_requests_per_day", PIM_CONF_T_INT, R, AT(im.friend_requests_per_day), "100", 1, 1000000, "requests/day",
     "Friend requests that a user may send."},
    {"im", "groups_per_user", PIM_CONF_T_INT, R, AT(im.groups_per_user), "500", 1, 100000, "groups",
     "Groups that a user may be in."},
    {"im", "group_members", PIM_CONF_T_INT, R, AT(im.group_members), "100000", 2, 10000000, "members",
     "Members that a group may have."},
    {"im", "show_joins_up_to", PIM_CONF_T_INT, R, AT(im.show_joins_up_to), "200", 0, 10000000, "members",
     "Groups with more members do not show who joins and leaves."},
    {"im", "history_before_join", PIM_CONF_T_BOOL, R, AT(im.history_before_join), "no", 0, 1, "",
     "May a member read what was said in the group before they joined?"},
    {"im", "name_chars", PIM_CONF_T_INT, R, AT(im.name_chars), "10", 10, 100, "characters",
     "Longest name of a user or group."},
    {"im", "note_chars", PIM_CONF_T_INT, R, AT(im.note_chars), "10", 10, 100, "characters",
     "Longest note on a friend."},
    {"im", "password_min", PIM_CONF_T_INT, R, AT(im.password_min), "8", 8, 64, "characters",
     "Shortest password."},
    {"im", "password_max", PIM_CONF_T_INT, R, AT(im.password_max), "128", 12, 1024, "characters",
     "Longest password."},
    {"im", "email_chars", PIM_CONF_T_INT, R, AT(im.email_chars), "100", 50, 254, "characters",
     "Longest e-mail address."},

    /* --- log --- */
    {"log", "level", PIM_CONF_T_LEVEL, R, AT(log.level), "info", 0, 0, "",
     "What is logged: this and what is worse."},
};
/* clang-format on */
const size_t pim_conf_n_options = PIM_COUNT(pim_conf_options);
_Static_assert(PIM_COUNT(pim_conf_options) <= PIM_CONF_OPTIONS_MAX, "struct pim_conf.origin is too small");

const struct pim_conf_option *
pim_conf_option_find(const char *section, const char *key)
{
    for (size_t i = 0; i < pim_conf_n_options; i++)
        if (strcmp(pim_conf_options[i].section, section) == 0 && strcmp(pim_conf_options[i].key, key) == 0)
            return &pim_conf_options[i];
    return NULL;
}
