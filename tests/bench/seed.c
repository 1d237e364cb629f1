/* seed: fills a data directory for the benches and prints the tokens of its users, without hashing a password for each.
 *
 *   seed BUILD DATA users N              N users, their sessions; 2i and 2i+1 are friends
 *   seed BUILD DATA group N GROUP        the same, and all are members of a group with that id
 *   seed BUILD DATA messages CONVS EACH  EACH messages in each of CONVS conversations of users who do not exist
 *
 * The server must not run. Prints one "token user_id" a line. */
#include "data/rec.h"
#include "plugin/loader.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_USER 1000
#define BATCH 500

static struct pim_lease lease = {.call = {.struct_size = sizeof(struct pim_call)}};
static struct pim_store *store;
static const struct pim_storage_ops *storage;
static const struct pim_auth_ops *auth_ops;
static struct pim_auth *auth;
static struct pim_err err = PIM_ERR_INIT;

static void
must(int rc, const char *what)
{
    if (rc == PIM_OK)
        return;
    fprintf(stderr, "seed: %s: %s %s\n", what, pim_err_name(rc), err.msg);
    exit(1);
}

static struct pim_plugin_handle *
plugin(const char *build, const char *name, uint16_t kind)
{
    struct pim_plugin_dirs dirs = {.plugin_dir = build, .build_dir = build};
    struct pim_plugin_handle *handle;

    must(pim_plugin_open(&dirs, name, kind, &handle, &err), name);
    return handle;
}

static void
open_all(const char *build, const char *data)
{
    struct pim_plugin_handle *sqlite = plugin(build, "storage-sqlite", PIM_KIND_STORAGE);
    struct pim_plugin_handle *sign_in = plugin(build, "auth", PIM_KIND_AUTH);
    struct pim_store_info info = {.struct_size = sizeof info};
    struct pim_call call = {.struct_size = sizeof call, .flags = PIM_CALL_WRITER};
    char path[4096], key[4096];
    struct pim_kv path_opt = {"path", path}, key_opt = {"secret_file", key};
    uint64_t caps;

    snprintf(path, sizeof path, "%s/privateim.db", data);
    snprintf(key, sizeof key, "%s/token.key", data);
    storage = lease.ops = pim_plugin_storage(sqlite);
    must(storage->open(pim_plugin_host(sqlite), pim_schema_for(PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES), &path_opt, 1, 0, &store,
                       &info, &err),
         "open");
    must(storage->migrate(store, &call, PIM_MIGRATE_APPLY, NULL, NULL, &err), "migrate");
    must(storage->conn_open(store, &call, &lease.conn, &err), "connect");
    auth_ops = pim_plugin_auth(sign_in);
    must(auth_ops->open(pim_plugin_host(sign_in), &key_opt, 1, &auth, &caps, &err), "sign-in");
}

static void
on_token(void *ctx, const char *name, const char *value, uint32_t value_len)
{
    (void)name;
    printf("%.*s %lld\n", (int)value_len, value, *(const long long *)ctx);
}

static void
set(struct pim_changes *c, uint16_t col, struct pim_val val)
{
    pim_changes_cell(c, col, PIM_SET, val);
}

static void
user(long long id)
{
    struct pim_subject subject = {.struct_size = sizeof subject, .user_id = id};
    int64_t now_ms = pim_clock_wall_ms();
    struct pim_changes c;
    char email[64], session[64];

    snprintf(email, sizeof email, "bench%lld@example.org", id);
    snprintf(session, sizeof session, "bench%lld", id);
    pim_changes_init(&c);
    pim_changes_add(&c, PIM_W_INSERT, PIM_K_USER, PIM_USER_BY_ID, 0);
    set(&c, PIM_USER_ID, pim_v_int(id));
    set(&c, PIM_USER_EMAIL, pim_v_text(email));
    set(&c, PIM_USER_NAME, pim_v_text("bench"));
    set(&c, PIM_USER_PASSWORD, pim_v_text("none"));
    set(&c, PIM_USER_MOBILE, pim_v_text(""));
    set(&c, PIM_USER_GENDER, pim_v_int(0));
    set(&c, PIM_USER_AVATAR, pim_v_text(""));
    set(&c, PIM_USER_QR_CODE, pim_v_text(""));
    set(&c, PIM_USER_IS_DELETE, pim_v_int(0));
    set(&c, PIM_USER_DISABLED, pim_v_int(0));
    set(&c, PIM_USER_CREATED_MS, pim_v_int(now_ms));
    pim_changes_add(&c, PIM_W_INSERT, PIM_K_SESSION, PIM_SESSION_BY_ID, 0);
    set(&c, PIM_SESSION_ID, pim_v_text(session));
    set(&c, PIM_SESSION_USER, pim_v_int(id));
    set(&c, PIM_SESSION_CREATED_MS, pim_v_int(now_ms));
    set(&c, PIM_SESSION_EXPIRES_MS, pim_v_int(now_ms + 86400000));
    set(&c, PIM_SESSION_SEEN_MS, pim_v_int(now_ms));
    set(&c, PIM_SESSION_AGENT, pim_v_text(""));
    set(&c, PIM_SESSION_ADDRESS, pim_v_text(""));
    pim_changes_add(&c, PIM_W_INSERT, PIM_K_RELATION, PIM_REL_BY_PAIR, 0);
    set(&c, PIM_REL_USER, pim_v_int(id));
    set(&c, PIM_REL_PEER, pim_v_int(id ^ 1));
    set(&c, PIM_REL_NOTE, pim_v_text(""));
    set(&c, PIM_REL_IS_ACCEPT, pim_v_int(1));
    set(&c, PIM_REL_IS_BLACK, pim_v_int(0));
    set(&c, PIM_REL_IS_DELETE, pim_v_int(0));
    set(&c, PIM_REL_ASKED, pim_v_int(1));
    set(&c, PIM_REL_CHANGED_MS, pim_v_int(now_ms));
    must(pim_changes_run(&c, &lease, &err), "user");
    subject.issued_s = now_ms / 1000;
    subject.expires_s = subject.issued_s + 86400;
    memcpy(subject.session, session, sizeof session);
    must(auth_ops->token_make(auth, &lease.call, &subject, "login", on_token, &id, &err), "token");
}

static void
member(long long group, long long id)
{
    struct pim_changes c;

    pim_changes_init(&c);
    pim_changes_add(&c, PIM_W_INSERT, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, 0);
    set(&c, PIM_MEMBER_GROUP, pim_v_int(group));
    set(&c, PIM_MEMBER_USER, pim_v_int(id));
    set(&c, PIM_MEMBER_NOTE, pim_v_text(""));
    set(&c, PIM_MEMBER_IS_DELETE, pim_v_int(0));
    set(&c, PIM_MEMBER_JOINED_SEQ, pim_v_int(0));
    set(&c, PIM_MEMBER_LEFT_SEQ, pim_v_int(0));
    set(&c, PIM_MEMBER_CHANGED_MS, pim_v_int(pim_clock_wall_ms()));
    must(pim_changes_run(&c, &lease, &err), "member");
}

static void
group(long long id)
{
    struct pim_changes c;

    pim_changes_init(&c);
    pim_changes_add(&c, PIM_W_INSERT, PIM_K_GROUP, PIM_GROUP_BY_ID, 0);
    set(&c, PIM_GROUP_ID, pim_v_int(id));
    set(&c, PIM_GROUP_NAME, pim_v_text("bench"));
    set(&c, PIM_GROUP_MANAGER, pim_v_int(FIRST_USER));
    set(&c, PIM_GROUP_AVATAR, pim_v_text(""));
    set(&c, PIM_GROUP_QR_CODE, pim_v_text(""));
    set(&c, PIM_GROUP_IS_DELETE, pim_v_int(0));
    set(&c, PIM_GROUP_CREATED_MS, pim_v_int(pim_clock_wall_ms()));
    must(pim_changes_run(&c, &lease, &err), "group");
}

static void
users(long n, long long group_id)
{
    if (group_id != 0)
        group(group_id);
    for (long first = 0; first < n; first += BATCH) {
        must(storage->group_begin(lease.conn, &lease.call, &err), "begin");
        for (long i = first; i < n && i < first + BATCH; i++) {
            user(FIRST_USER + i);
            if (group_id != 0)
                member(group_id, FIRST_USER + i);
        }
        must(storage->group_end(lease.conn, &lease.call, &err), "commit");
    }
}

static void
messages(long convs, long each)
{
    static const char body[] = "{\"content_type\":0,\"content\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";
    struct pim_append_item *items = pim_new0(BATCH * sizeof *items);

    for (long round = 1; round <= each; round++)
        for (long first = 0; first < convs; first += BATCH) {
            struct pim_append append = {.struct_size = sizeof append, .item_size = sizeof *items, .items = items};
            int64_t now_ms = pim_clock_wall_ms();

            for (long i = first; i < convs && i < first + BATCH; i++) {
                struct pim_append_item *item = &items[append.n_items++];

                *item = (struct pim_append_item){.conv = {.kind = 'u', .a = 100000000 + i, .b = 200000000 + i},
                                                 .seq = round,
                                                 .ord = round,
                                                 .msg_id = pim_id_make(),
                                                 .sender_id = 100000000 + i,
                                                 .created_ms = now_ms,
                                                 .body = body,
                                                 .body_len = sizeof body - 1,
                                                 .day = pim_clock_day(now_ms)};
                pim_uuid7_make(item->cid, now_ms);
            }
            must(storage->append(lease.conn, &lease.call, &append, &err), "append");
        }
    free(items);
}

int
main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: seed BUILD DATA users N | group N GROUP | messages CONVS EACH\n");
        return 64;
    }
    open_all(argv[1], argv[2]);
    if (strcmp(argv[3], "messages") == 0 && argc > 5)
        messages(atol(argv[4]), atol(argv[5]));
    else
        users(atol(argv[4]), argc > 5 ? atoll(argv[5]) : 0);
    auth_ops->close(&auth);
    storage->conn_close(&lease.conn);
    storage->close(&store);
    return 0;
}
