#include "im/group.h"

#include "util/buf.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"

#include <string.h>

#define PAGE 64

/* --- reading ------------------------------------------------------------------------------------------------ */

static void
group_read(struct pim_group *group, const struct pim_val *vals)
{
    *group = (struct pim_group){.id = vals[PIM_GROUP_ID].u.i,
                                .manager_id = vals[PIM_GROUP_MANAGER].u.i,
                                .created_ms = vals[PIM_GROUP_CREATED_MS].u.i,
                                .is_delete = vals[PIM_GROUP_IS_DELETE].u.i != 0};
    pim_v_copy(group->name, sizeof group->name, &vals[PIM_GROUP_NAME]);
    pim_v_copy(group->avatar, sizeof group->avatar, &vals[PIM_GROUP_AVATAR]);
    pim_v_copy(group->qr_code, sizeof group->qr_code, &vals[PIM_GROUP_QR_CODE]);
}

static int32_t
on_group(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    group_read(ctx, vals);
    return 0;
}

int
pim_group_load(struct pim_lease *lease, int64_t group_id, struct pim_group *out_group, struct pim_err *err)
{
    struct pim_val key = pim_v_int(group_id);
    int rc = pim_rec_get(lease, PIM_K_GROUP, PIM_GROUP_BY_ID, &key, 1, PIM_COLS_ALL(PIM_GROUP_COLS), on_group, out_group,
                         err);

    return rc == PIM_OK && out_group->is_delete ? PIM_NOT_FOUND : rc;
}

struct ids {
    int64_t *list;
    uint32_t n, cap;
};

static int32_t
on_group_of_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct ids *ids = ctx;

    (void)item;
    (void)n_vals;
    if (ids->n == ids->cap) {
        ids->cap = ids->cap == 0 ? 16 : ids->cap * 2;
        ids->list = pim_renew(ids->list, ids->cap, sizeof *ids->list);
    }
    ids->list[ids->n++] = vals[0].u.i;
    return 0;
}

static int32_t
on_count(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    *(uint32_t *)ctx = (uint32_t)vals[0].u.i;
    return 0;
}

/* Living memberships: of a group (PIM_MEMBER_BY_PAIR) or of a user (PIM_MEMBER_BY_USER). */
static int
members_list(struct pim_lease *lease, uint32_t index, int64_t of, uint64_t cols, uint32_t flags, uint32_t limit,
             pim_row_fn row, void *ctx, struct pim_err *err)
{
    struct pim_val prefix = pim_v_int(of);
    struct pim_cond alive = pim_cond(PIM_MEMBER_IS_DELETE, PIM_EQ, pim_v_int(0));
    struct pim_query query = {.kind = PIM_K_MEMBER,
                              .index = index,
                              .prefix = &prefix,
                              .n_prefix = 1,
                              .conds = &alive,
                              .n_conds = 1,
                              .limit = limit,
                              .cols = cols,
                              .flags = flags};
    int rc = pim_rec_list(lease, &query, row, ctx, err);

    return rc < 0 ? rc : PIM_OK;
}

int
pim_group_count(struct pim_lease *lease, int64_t group_id, uint32_t *out_members, struct pim_err *err)
{
    *out_members = 0;
    return members_list(lease, PIM_MEMBER_BY_PAIR, group_id, PIM_COL(PIM_MEMBER_USER), PIM_Q_COUNT, 0, on_count, out_members,
                        err);
}

struct membership {
    bool exists, is_delete;
    bool leaving; /* he has left, but the row that says so is not in the log yet */
};

static int32_t
on_membership(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct membership *membership = ctx;

    (void)item;
    (void)n_vals;
    *membership = (struct membership){
        .exists = true, .is_delete = vals[0].u.i != 0, .leaving = vals[1].u.i == -1};
    return 0;
}

static int
membership_load(struct pim_lease *lease, int64_t group_id, int64_t user_id, struct membership *out, struct pim_err *err)
{
    struct pim_val key[2] = {pim_v_int(group_id), pim_v_int(user_id)};
    int rc;

    *out = (struct membership){0};
    rc = pim_rec_get(lease, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, key, 2, PIM_COL(PIM_MEMBER_IS_DELETE) | PIM_COL(PIM_MEMBER_LEFT_SEQ),
                     on_membership, out, err);
    return rc < 0 ? rc : PIM_OK;
}

int
pim_group_head(struct pim_lease *lease, int64_t group_id, int64_t *out_head_seq, struct pim_err *err)
{
    struct pim_head head = {.conv = pim_conv_group(group_id)};
    int rc = pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, &head, 1, sizeof head, err));

    *out_head_seq = head.head_seq;
    return rc < 0 ? rc : PIM_OK;
}

/* --- changes ------------------------------------------------------------------------------------------------- */

/* joined_seq below 0: the event has no such field. group_id 0: nor that. */
static void
owe(struct pim_changes *changes, struct pim_owed_list *owed, const struct pim_conv *conv, enum pim_row_type type,
    const char *event, int64_t user_id, int64_t group_id, const char *name, int64_t joined_seq)
{
    struct pim_buf body;

    pim_buf_init(&body, 8192);
    pim_buf_addf(&body, "{\"event\":\"%s\",\"user_id\":%lld", event, (long long)user_id);
    if (group_id != 0)
        pim_buf_addf(&body, ",\"group_id\":%lld", (long long)group_id);
    pim_buf_adds(&body, ",\"name\":");
    pim_buf_add_json(&body, name, strlen(name));
    if (joined_seq >= 0)
        pim_buf_addf(&body, ",\"joined_seq\":%lld", (long long)joined_seq);
    pim_buf_addc(&body, '}');
    pim_outbox_owe(changes, owed, conv, user_id, type, body.data, body.len);
    pim_buf_fini(&body);
}

static void
member_insert(struct pim_changes *changes, int64_t group_id, int64_t user_id, const char *note, int64_t joined_seq)
{
    pim_changes_add(changes, PIM_W_INSERT, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, 0);
    pim_changes_cell(changes, PIM_MEMBER_GROUP, PIM_SET, pim_v_int(group_id));
    pim_changes_cell(changes, PIM_MEMBER_USER, PIM_SET, pim_v_int(user_id));
    pim_changes_cell(changes, PIM_MEMBER_NOTE, PIM_SET, pim_v_text(note));
    pim_changes_cell(changes, PIM_MEMBER_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(changes, PIM_MEMBER_JOINED_SEQ, PIM_SET, pim_v_int(joined_seq));
    pim_changes_cell(changes, PIM_MEMBER_LEFT_SEQ, PIM_SET, pim_v_int(0));
    pim_changes_cell(changes, PIM_MEMBER_CHANGED_MS, PIM_SET, pim_v_int(pim_clock_wall_ms()));
}

static void
member_update(struct pim_changes *changes, int64_t group_id, int64_t user_id, bool was_deleted)
{
    pim_changes_add(changes, PIM_W_UPDATE, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, PIM_W_MUST_EXIST);
    pim_changes_key(changes, pim_v_int(group_id));
    pim_changes_key(changes, pim_v_int(user_id));
    pim_changes_cond(changes, PIM_MEMBER_IS_DELETE, PIM_EQ, pim_v_int(was_deleted));
}

/* Run; an answer above 0 means that somebody was faster: the caller reads anew. */
static int
run(struct pim_changes *changes, struct pim_lease *lease, struct pim_owed_list *owed, struct pim_err *err)
{
    int rc = pim_changes_run(changes, lease, err);

    if (rc != PIM_OK && owed != NULL)
        pim_owed_list_fini(owed);
    return rc > 0 ? pim_err_set(err, PIM_ERR_RETRY, "group: somebody else changed the same records") : rc;
}

static int
too_many_groups(struct pim_accounts *accounts, struct pim_lease *lease, int64_t user_id, bool *out_many, struct pim_err *err)
{
    uint32_t limit = pim_im_config(pim_accounts_im(accounts))->groups_per_user, n = 0;
    int rc = PIM_OK;

    if (limit > 0)
        rc = members_list(lease, PIM_MEMBER_BY_USER, user_id, PIM_COL(PIM_MEMBER_GROUP), PIM_Q_COUNT, limit, on_count, &n, err);
    *out_many = limit > 0 && n >= limit;
    return rc;
}

int
pim_group_create(struct pim_accounts *accounts, struct pim_lease *lease, struct pim_group *group,
                 struct pim_owed_list *owed, enum pim_group_answer *out_answer, struct pim_err *err)
{
    struct pim_val prefix[2] = {pim_v_int(group->manager_id), pim_v_text(group->name)};
    struct pim_cond alive = pim_cond(PIM_GROUP_IS_DELETE, PIM_EQ, pim_v_int(0));
    struct pim_query query = {.kind = PIM_K_GROUP,
                              .index = PIM_GROUP_BY_MANAGER_NAME,
                              .prefix = prefix,
                              .n_prefix = 2,
                              .conds = &alive,
                              .n_conds = 1,
                              .limit = 1,
                              .cols = PIM_COL(PIM_GROUP_ID),
                              .flags = PIM_Q_COUNT};
    struct pim_conv own = pim_conv_events(group->manager_id);
    struct pim_changes changes;
    uint32_t n = 0;
    bool many;
    int rc = pim_rec_list(lease, &query, on_count, &n, err);

    if (rc < 0)
        return rc;
    *out_answer = PIM_GROUP_NAME_TAKEN;
    if (n > 0)
        return PIM_OK;
    rc = too_many_groups(accounts, lease, group->manager_id, &many, err);
    if (rc < 0)
        return rc;
    *out_answer = PIM_GROUP_TOO_MANY;
    if (many)
        return PIM_OK;

    group->id = pim_id_make();
    group->created_ms = pim_clock_wall_ms();
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_GROUP, PIM_GROUP_BY_ID, 0);
    pim_changes_cell(&changes, PIM_GROUP_ID, PIM_SET, pim_v_int(group->id));
    pim_changes_cell(&changes, PIM_GROUP_NAME, PIM_SET, pim_v_text(group->name));
    pim_changes_cell(&changes, PIM_GROUP_MANAGER, PIM_SET, pim_v_int(group->manager_id));
    pim_changes_cell(&changes, PIM_GROUP_AVATAR, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_GROUP_QR_CODE, PIM_SET, pim_v_text(""));
    pim_changes_cell(&changes, PIM_GROUP_IS_DELETE, PIM_SET, pim_v_int(0));
    pim_changes_cell(&changes, PIM_GROUP_CREATED_MS, PIM_SET, pim_v_int(group->created_ms));
    member_insert(&changes, group->id, group->manager_id, "", 0);
    owe(&changes, owed, &own, PIM_ROW_GROUP_JOINED, "group_joined", group->manager_id, group->id, group->name, 0);
    rc = run(&changes, lease, owed, err);
    if (rc == PIM_OK)
        *out_answer = PIM_GROUP_DONE;
    return rc;
}

int
pim_group_join(struct pim_accounts *accounts, struct pim_lease *lease, int64_t group_id, int64_t user_id, const char *note,
               int64_t head_seq, uint32_t members, struct pim_owed_list *owed, enum pim_group_answer *out_answer,
               struct pim_err *err)
{
    const struct pim_im_config *config = pim_im_config(pim_accounts_im(accounts));
    struct pim_conv conv = pim_conv_group(group_id), own = pim_conv_events(user_id);
    char name[PIM_NAME_MAX_BYTES];
    struct membership membership;
    struct pim_changes changes;
    struct pim_group group;
    bool many;
    int rc = pim_group_load(lease, group_id, &group, err);

    *out_answer = PIM_GROUP_NO_GROUP;
    if (rc == PIM_OK)
        rc = pim_user_name(lease, user_id, name, err);
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_OK;
    rc = membership_load(lease, group_id, user_id, &membership, err);
    if (rc < 0)
        return rc;
    *out_answer = PIM_GROUP_ALREADY;
    if (membership.exists && !membership.is_delete)
        return PIM_OK;
    if (membership.leaving) /* announced after the joining it would take him out again */
        return pim_err_set(err, PIM_ERR_UNAVAILABLE, "the leaving of user %lld is not announced yet", (long long)user_id);
    rc = too_many_groups(accounts, lease, user_id, &many, err);
    if (rc < 0)
        return rc;
    *out_answer = PIM_GROUP_TOO_MANY;
    if (many)
        return PIM_OK;
    *out_answer = PIM_GROUP_FULL;
    if (config->group_members > 0 && members >= config->group_members)
        return PIM_OK;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_GUARD, PIM_K_GROUP, PIM_GROUP_BY_ID, PIM_W_MUST_EXIST);
    pim_changes_key(&changes, pim_v_int(group_id));
    pim_changes_cond(&changes, PIM_GROUP_IS_DELETE, PIM_EQ, pim_v_int(0));
    if (!membership.exists) {
        member_insert(&changes, group_id, user_id, note, head_seq);
    } else {
        member_update(&changes, group_id, user_id, true);
        pim_changes_cell(&changes, PIM_MEMBER_NOTE, PIM_SET, pim_v_text(note));
        pim_changes_cell(&changes, PIM_MEMBER_IS_DELETE, PIM_SET, pim_v_int(0));
        pim_changes_cell(&changes, PIM_MEMBER_JOINED_SEQ, PIM_SET, pim_v_int(head_seq));
        pim_changes_cell(&changes, PIM_MEMBER_LEFT_SEQ, PIM_SET, pim_v_int(0));
        pim_changes_cell(&changes, PIM_MEMBER_CHANGED_MS, PIM_SET, pim_v_int(pim_clock_wall_ms()));
    }
    owe(&changes, owed, &own, PIM_ROW_GROUP_JOINED, "group_joined", user_id, group_id, group.name, head_seq);
    if (members < config->show_joins_up_to)
        owe(&changes, owed, &conv, PIM_ROW_MEMBER_JOINED, "member_joined", user_id, 0, name, -1);
    rc = run(&changes, lease, owed, err);
    if (rc == PIM_OK)
        *out_answer = PIM_GROUP_DONE;
    return rc;
}

int
pim_group_quit(struct pim_lease *lease, int64_t group_id, int64_t user_id, struct pim_owed_list *owed,
               enum pim_group_answer *out_answer, struct pim_err *err)
{
    struct pim_conv conv = pim_conv_group(group_id), own = pim_conv_events(user_id);
    char name[PIM_NAME_MAX_BYTES];
    struct membership membership;
    struct pim_changes changes;
    struct pim_group group;
    int rc = pim_group_load(lease, group_id, &group, err);

    *out_answer = PIM_GROUP_NO_GROUP;
    if (rc == PIM_OK)
        rc = pim_user_name(lease, user_id, name, err);
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_OK;
    *out_answer = PIM_GROUP_IS_MANAGER;
    if (group.manager_id == user_id)
        return PIM_OK;
    rc = membership_load(lease, group_id, user_id, &membership, err);
    if (rc < 0)
        return rc;
    *out_answer = PIM_GROUP_NOT_MEMBER;
    if (!membership.exists || membership.is_delete)
        return PIM_OK;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_GUARD, PIM_K_GROUP, PIM_GROUP_BY_ID, PIM_W_MUST_EXIST);
    pim_changes_key(&changes, pim_v_int(group_id));
    pim_changes_cond(&changes, PIM_GROUP_MANAGER, PIM_NE, pim_v_int(user_id));
    member_update(&changes, group_id, user_id, false);
    pim_changes_cell(&changes, PIM_MEMBER_IS_DELETE, PIM_SET, pim_v_int(1));
    pim_changes_cell(&changes, PIM_MEMBER_LEFT_SEQ, PIM_SET, pim_v_int(-1)); /* until the row below has its number */
    pim_changes_cell(&changes, PIM_MEMBER_CHANGED_MS, PIM_SET, pim_v_int(pim_clock_wall_ms()));
    owe(&changes, owed, &conv, PIM_ROW_MEMBER_LEFT, "member_left", user_id, 0, name, -1);
    owe(&changes, owed, &own, PIM_ROW_GROUP_LEFT, "group_left", user_id, group_id, group.name, -1);
    rc = run(&changes, lease, owed, err);
    if (rc == PIM_OK)
        *out_answer = PIM_GROUP_DONE;
    return rc;
}

int
pim_group_put_note(struct pim_lease *lease, int64_t group_id, int64_t user_id, const char *note,
                   enum pim_group_answer *out_answer, struct pim_err *err)
{
    struct pim_changes changes;
    struct pim_group group;
    int rc = pim_group_load(lease, group_id, &group, err);

    *out_answer = PIM_GROUP_NO_GROUP;
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_OK;
    pim_changes_init(&changes);
    member_update(&changes, group_id, user_id, false);
    pim_changes_cell(&changes, PIM_MEMBER_NOTE, PIM_SET, pim_v_text(note));
    rc = pim_changes_run(&changes, lease, err);
    *out_answer = rc == PIM_OK ? PIM_GROUP_DONE : PIM_GROUP_NOT_MEMBER;
    return rc < 0 ? rc : PIM_OK;
}

/* --- lists --------------------------------------------------------------------------------------------------- */

struct page {
    struct pim_group_member *members; /* room for PAGE */
    int64_t ids[PAGE];
    uint32_t n;
};

static int32_t
on_member(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct page *page = ctx;
    struct pim_group_member *member = &page->members[page->n];

    (void)item;
    (void)n_vals; /* user, note */
    page->ids[page->n++] = vals[0].u.i;
    *member = (struct pim_group_member){.user_id = vals[0].u.i};
    pim_v_copy(member->note, sizeof member->note, &vals[1]);
    return 0;
}

static int32_t
on_member_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_group_member *member = &((struct page *)ctx)->members[item];

    (void)n_vals; /* in column order */
    pim_v_copy(member->name, sizeof member->name, &vals[0]);
    member->gender = vals[1].u.i;
    pim_v_copy(member->avatar, sizeof member->avatar, &vals[2]);
    return 0;
}

/* The next members above *after_id. @return PIM_OK: that was all; PIM_MORE; or a failure */
static int
page_read(struct pim_lease *lease, int64_t group_id, int64_t after_id, uint32_t limit, struct page *page, struct pim_err *err)
{
    struct pim_val prefix = pim_v_int(group_id), after = pim_v_int(after_id);
    struct pim_cond alive = pim_cond(PIM_MEMBER_IS_DELETE, PIM_EQ, pim_v_int(0));
    struct pim_query query = {.kind = PIM_K_MEMBER,
                              .index = PIM_MEMBER_BY_PAIR,
                              .prefix = &prefix,
                              .n_prefix = 1,
                              .after = &after,
                              .n_after = 1,
                              .conds = &alive,
                              .n_conds = 1,
                              .limit = limit,
                              .cols = PIM_COL(PIM_MEMBER_USER) | PIM_COL(PIM_MEMBER_NOTE)};
    int rc, rc_users;

    page->n = 0;
    rc = pim_rec_list(lease, &query, on_member, page, err);
    if (rc < 0)
        return rc;
    rc_users = pim_rec_get_many(lease, PIM_K_USER, page->ids, page->n,
                                PIM_COL(PIM_USER_NAME) | PIM_COL(PIM_USER_GENDER) | PIM_COL(PIM_USER_AVATAR), on_member_user,
                                page, err);
    return rc_users < 0 ? rc_users : rc;
}

int
pim_group_members(struct pim_lease *lease, int64_t group_id, int64_t asker_id, int64_t after_id, uint32_t limit,
                  void (*fn)(void *ctx, const struct pim_group_member *member), void *ctx,
                  enum pim_group_answer *out_answer, struct pim_err *err)
{
    struct membership membership;
    struct pim_group group;
    struct page page;
    int rc = pim_group_load(lease, group_id, &group, err);

    *out_answer = PIM_GROUP_NO_GROUP;
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_OK;
    rc = membership_load(lease, group_id, asker_id, &membership, err);
    *out_answer = PIM_GROUP_NOT_MEMBER;
    if (rc < 0 || !membership.exists || membership.is_delete)
        return rc;
    *out_answer = PIM_GROUP_DONE;
    page.members = pim_new(PAGE * sizeof *page.members);
    do {
        uint32_t want = limit == 0 || limit > PAGE ? PAGE : limit;

        rc = page_read(lease, group_id, after_id, want, &page, err);
        for (uint32_t i = 0; i < page.n && rc >= 0; i++)
            fn(ctx, &page.members[i]);
        if (page.n > 0)
            after_id = page.ids[page.n - 1];
        if (limit > 0 && (limit -= page.n) == 0)
            break;
    } while (rc == PIM_MORE);
    free(page.members);
    return rc < 0 ? rc : PIM_OK;
}

struct joined {
    void (*fn)(void *ctx, const struct pim_group *group);
    void *ctx;
};

static int32_t
on_joined(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct joined *joined = ctx;
    struct pim_group group;

    (void)item;
    (void)n_vals;
    group_read(&group, vals);
    if (!group.is_delete)
        joined->fn(joined->ctx, &group);
    return 0;
}

int
pim_group_joined(struct pim_lease *lease, int64_t user_id, void (*fn)(void *ctx, const struct pim_group *group), void *ctx,
                 struct pim_err *err)
{
    struct joined joined = {fn, ctx};
    struct ids ids = {0};
    int rc = members_list(lease, PIM_MEMBER_BY_USER, user_id, PIM_COL(PIM_MEMBER_GROUP), 0, 0, on_group_of_user, &ids, err);

    if (rc >= 0)
        rc = pim_rec_get_many(lease, PIM_K_GROUP, ids.list, ids.n, PIM_COLS_ALL(PIM_GROUP_COLS), on_joined, &joined, err);
    free(ids.list);
    return rc < 0 ? rc : PIM_OK;
}
