/* Sample client: client URL EMAIL PASSWORD PEER (plain http:// URLs). Lines from stdin go to PEER (a user id, or g:ID),
 * each thing that comes is one line of JSON on stdout. The loop is section 8 of docs/protocol.md.
 * Build: cc -O2 -D_GNU_SOURCE -o client client.c $(pkg-config --cflags --libs jansson) */
#include "ws.h"
#include <err.h>
#include <jansson.h>
#include <poll.h>

static char host[256], port[8] = "80", token[4096];
static int sock = -1, greeted, syncing, missing, pause_s = 1; /* greeted: this connection's hello came */
static json_t *have, *queue, *epochs; /* conversation -> [newest seq without a hole, its id]; messages without answer */
static json_int_t last_ms;            /* time in the newest client id */

static void
sign_in(const char *path, json_t *body) /* fills token if the server agrees */
{
    char *text = json_dumps(body, 0), *answer = net_post(host, port, path, text);
    if (json_unpack(json_loads(answer, 0, NULL), "{s:s}", "auth_token", &path) == 0)
        snprintf(token, sizeof token, "%s", path);
    free(text), free(answer);
}

static void
send_json(json_t *frame) /* takes frame */
{
    char *text = json_dumps(frame, JSON_COMPACT);
    if (greeted && text)
        ws_send(sock, 1, text, strlen(text));
    free(text), json_decref(frame);
}

static void
send_first(void) /* one unanswered message at a time: the order holds even over a 429 or 503 */
{
    if (json_array_size(queue) > 0)
        send_json(json_incref(json_array_get(queue, 0)));
}

static void
enqueue(const char *peer, const char *line)
{
    json_int_t receiver = atoll(peer + (*peer == 'g' ? 2 : 0));
    unsigned long long r[2], ms = ++last_ms; /* near the server's time, and rising */
    char id[48];
    if (getrandom(r, sizeof r, 0) != sizeof r)
        err(1, "getrandom");
    snprintf(id, sizeof id, "%08llx-%04llx-7%03llx-8%03llx-%012llx", ms >> 16, ms & 0xffff, r[0] & 0xfff,
             r[0] >> 12 & 0xfff, r[1] >> 16);
    json_array_append_new(queue, json_pack("{s:i, s:I, s:s, s:i, s:s}", "type_id", *peer == 'g', "receiver_id",
                                           receiver, "client_id", id, "content_type", 0, "content", line));
    if (json_array_size(queue) == 1)
        send_first();
}

static void
ask(json_t *after) /* sync of all conversations; of those not named the newest rows come */
{
    json_t *known = json_array(), *mark;
    const char *name;
    json_object_foreach(have, name, mark)
        json_array_append_new(known, json_pack("[s, O, O]", name, json_array_get(mark, 0), json_array_get(mark, 1)));
    send_json(json_pack("{s:s, s:i, s:o, s:O*}", "op", "sync", "limit", 100, "conversations", known, "after", after));
    syncing = 1, missing = 0;
}

static void
on_frame(json_t *frame) /* also each conversation of a sync, and each row in it */
{
    json_int_t seq = 0, old = 0, from = 0, code = 0, retry_s = 1, server_ms = 0;
    const char *op = "", *name = "", *event = "";
    json_t *id = NULL, *client_id = NULL, *rows = NULL, *parts = NULL, *next = NULL, *now = NULL, *part;
    json_t *first = json_array_get(queue, 0);
    int reset = 0, more = 0, say = 0;
    size_t i;
    json_unpack(frame, "{s?s, s?s, s?s, s?o, s?o, s?I, s?I, s?I, s?I, s?I, s?b, s?b, s?o, s?o, s?o, s?o}", "op", &op,
                "conversation", &name, "event", &event, "id", &id, "client_id", &client_id, "seq", &seq, "from", &from,
                "code", &code, "retry_after", &retry_s, "server_time", &server_ms, "reset", &reset, "more", &more,
                "messages", &rows, "conversations", &parts, "next", &next, "epochs", &now);
    if (json_unpack(json_object_get(have, name), "[I]", &old)) old = 0;
    if (strcmp(op, "hello") == 0) {
        if (!json_equal(epochs, now)) /* restored from a backup: what we know is of another past */
            json_object_clear(have);
        epochs = json_incref(now), greeted = pause_s = 1, last_ms = server_ms > last_ms ? server_ms : last_ms;
        ask(NULL), send_first();
    } else if (strcmp(op, "result") == 0 && json_equal(client_id, json_object_get(first, "client_id"))) {
        if (code == 429 || code == 503)
            sleep(retry_s);
        else if ((say = !json_object_set(frame, "content", json_object_get(first, "content"))))
            json_array_remove(queue, 0);
        send_first();
    } else if (rows) { /* one conversation of a sync */
        if (reset || from > old)
            json_object_set_new(have, name, json_pack("[I, s]", from - 1, "0"));
        json_array_foreach(rows, i, part)
            on_frame(part);
        missing |= more;
    } else if (parts) {
        json_array_foreach(parts, i, part)
            on_frame(part);
        if ((syncing = next != NULL))
            ask(next);
    }
    if (id && seq == old + 1) { /* section 5: the next number and nothing else; a result is a row of ours */
        json_object_set_new(have, name, json_pack("[I, O]", seq, id));
        send_json(json_pack("{s:s, s:s, s:I}", "op", "ack", "conversation", name, "seq", seq));
        say |= strcmp(op, "result") != 0 && strcmp(event, "hidden") != 0;
    } else
        missing |= id && seq > old; /* a later one shows that some are missing */
    if (say)
        json_dumpf(frame, stdout, JSON_COMPACT), puts("");
    if (missing && !syncing)
        ask(NULL);
}

int
main(int argc, char **argv)
{
    char reason[126] = "", line[16384], *text;
    if (argc != 5 || sscanf(argv[1], "http://%255[^:/]:%7[0-9]", host, port) < 1)
        errx(2, "usage: client http://HOST:PORT EMAIL PASSWORD PEER   (PEER: a user id, or g:ID)");
    sign_in("/auth/profile", json_pack("{s:s, s:s}", "email", argv[2], "password", argv[3]));
    if (!*token) /* no such account yet: make it */
        sign_in("/auth/user", json_pack("{s:s%, s:s, s:s, s:s}", "name", argv[2], strnlen(argv[2], 10), "email",
                                        argv[2], "password", argv[3], "confirm_password", argv[3]));
    if (!*token)
        errx(1, "cannot sign in");
    have = json_object(), queue = json_array(), setvbuf(stdout, NULL, _IOLBF, 0), setvbuf(stdin, NULL, _IONBF, 0);
    for (int code = 0, eof = 0; !eof || json_array_size(queue) > 0;) {
        if (sock < 0) {
            sock = ws_connect(host, port, token, &code);
            greeted = syncing = 0;
        }
        struct pollfd fds[2] = {{sock, POLLIN, 0}, {epochs && !eof ? 0 : -1, POLLIN, 0}};
        if (code == 101 && poll(fds, 2, -1) > 0 && fds[1].revents && !(eof = !fgets(line, sizeof line, stdin)))
            line[strcspn(line, "\n")] = 0, enqueue(argv[4], line);
        if (code == 101 && fds[0].revents && (text = ws_recv(sock, &code, reason))) {
            json_t *frame = json_loads(text, 0, NULL);
            on_frame(frame), json_decref(frame), free(text);
        }
        if (code == 4001 || code == 4003 || code == 401)
            errx(1, "closed: %d %s", code, reason);
        if (code != 101) {
            close(sock), sock = -1;
            sleep(code == 1012 && atoi(reason) > 0 ? atoi(reason) : pause_s + random() % 2);
            pause_s = pause_s < 15 ? pause_s * 2 : 30;
        }
    }
}
