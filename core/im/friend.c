#include "im/friend.h"

#include "im/throttle.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"

#include <string.h>

#define TRIES 8
#define DAY_MS 86400000ll

/* --- deciding ------------------------------------------------------------------------------------------------ */

static bool
stands(const struct pim_relation *relation)
{
    return relation->exists && !relation->is_delete;
}

static bool
are_friends(const struct pim_relation *x, const struct pim_relation *y)
{
    return stands(x) && stands(y) && x->is_accept && y->is_accept;
}

/* Has the owner of `from` asked, without an answer yet? */
static bool
is_pending(const struct pim_relation *from, const struct pim_relation *to)
{
    return stands(from) && stands(to) && from->asked && !from->is_accept && !to->asked && !to->is_accept;
}

static enum pim_friend_answer
plan_ask(struct pim_friend_plan *plan, const char *note, int64_t now_ms)
{
    struct pim_relation *mine = &plan->mine, *theirs = &plan->theirs;

    mine->is_accept = mine->is_delete = false;
    mine->asked = true;
    mine->changed_ms = now_ms;
    strcpy(mine->note, note);
    theirs->is_accept = theirs->is_delete = theirs->asked = false;
    theirs->changed_ms = now_ms;
    plan->write_mine = plan->write_theirs = plan->tell_self = true;
    plan->tell_peer = PIM_ROW_FRIEND_REQUEST;
    return PIM_FRIEND_DONE;
}

static enum pim_friend_answer
plan_accept(struct pim_friend_plan *plan, const char *note, int64_t now_ms)
{
    plan->mine.is_accept = plan->theirs.is_accept = true;
    plan->mine.changed_ms = now_ms;
    if (note[0] != '\0')
        strcpy(plan->mine.note, note);
    plan->write_mine = plan->write_theirs = plan->tell_self = plan->gained = true;
    plan->tell_peer = PIM_ROW_FRIEND_ACCEPTED;
    return PIM_FRIEND_DONE;
}

/* An open request, either way, falls away: nobody can answer it any more. */
static void
plan_withdraw(struct pim_friend_plan *plan)
{
    plan->mine.is_delete = plan->theirs.is_delete = true;
    plan->write_mine = plan->write_theirs = true;
}

enum pim_friend_answer
pim_friend_plan(enum pim_friend_action action, const char *note, int64_t now_ms, const struct pim_relation *mine,
                const struct pim_relation *theirs, struct pim_friend_plan *out_plan)
{
    bool friends = are_friends(mine, theirs);
    bool i_asked = is_pending(mine, theirs), they_asked = is_pending(theirs, mine);
    struct pim_friend_plan *plan = out_plan;

    *plan = (struct pim_friend_plan){.mine = *mine, .theirs = *theirs};
    switch (action) {
    case PIM_FRIEND_ASK:
        if (mine->is_black)
            return PIM_FRIEND_BLACK_MINE;
        if (theirs->is_black)
            return PIM_FRIEND_BLACK_THEIRS;
        if (friends)
            return PIM_FRIEND_ALREADY;
        if (i_asked)
            return PIM_FRIEND_UNCHANGED;
        return they_asked ? plan_accept(plan, note, now_ms) : plan_ask(plan, note, now_ms);
    case PIM_FRIEND_ACCEPT:
        if (friends)
            return PIM_FRIEND_UNCHANGED;
        if (!they_asked)
            return PIM_FRIEND_NO_REQUEST;
        return plan_accept(plan, note, now_ms);
    case PIM_FRIEND_REFUSE:
        if (!they_asked)
            return PIM_FRIEND_NO_REQUEST;
        plan_withdraw(plan);
        plan->mine.is_black = plan->tell_self = true;
        plan->mine.changed_ms = now_ms;
        plan->tell_peer = PIM_ROW_FRIEND_REFUSED;
        return PIM_FRIEND_DONE;
    case PIM_FRIEND_NOTE:
        if (!stands(mine) && !mine->is_black)
            return PIM_FRIEND_NOT_LISTED;
        strcpy(plan->mine.note, note);
        plan->write_mine = plan->tell_self = true;
        return PIM_FRIEND_DONE;
    case PIM_FRIEND_BLOCK:
        if (mine->is_black)
            return PIM_FRIEND_UNCHANGED;
        if (!mine->exists) {
            plan->mine.is_delete = true; /* a stranger stays one: no friend, no request */
            plan->mine.changed_ms = now_ms;
        } else if (i_asked || they_asked) {
            plan_withdraw(plan);
        }
        plan->mine.is_black = plan->write_mine = plan->tell_self = true;
        plan->lost = friends ? PIM_ROW_BLOCKED : 0;
        return PIM_FRIEND_DONE;
    case PIM_FRIEND_UNBLOCK:
        if (!mine->exists)
            return PIM_FRIEND_NOT_LISTED;
        if (!mine->is_black)
            return PIM_FRIEND_UNCHANGED;
        plan->mine.is_black = false;
        plan->write_mine = plan->tell_self = true;
        plan->gained = friends;
        return PIM_FRIEND_DONE;
    default: /* PIM_FRIEND_DELETE */
        if (!stands(mine))
            return PIM_FRIEND_NOT_LISTED;
        if (i_asked || they_asked)
            plan_withdraw(plan);
        plan->mine.is_delete = true;
        plan->mine.is_accept = false;
        plan->write_mine = plan->tell_self = true;
        plan->lost = friends ? PIM_ROW_UNFRIENDED : 0;
        return PIM_FRIEND_DONE;
    }
}

/* --- reading and writing ------------------------------------------------------------------------------------ */

static void
relation_read(struct pim_relation *relation, const struct pim_val *vals)
{
    *relation = (struct pim_relation){.exists = true,
                                      .is_accept = vals[PIM_REL_IS_ACCEPT].u.i != 0,
                                      .is_black = vals[PIM_REL_IS_BLACK].u.i != 0,
                                      .is_delete = vals[PIM_REL_IS_DELETE].u.i != 0,
                                      .asked = vals[PIM_REL_ASKED].u.i != 0,
                                      .changed_ms = vals[PIM_REL_CHANGED_MS].u.i};
    pim_v_copy(relation->note, sizeof relation->note, &vals[PIM_REL_NOTE]);
}

static int32_t
on_relation(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    relation_read(ctx, vals);
    return 0;
}

static int
relation_load(struct pim_lease *lease, int64_t user_id, int64_t peer_id, struct pim_relation *out, struct pim_err *err)
{
    struct pim_val key[2] = {pim_v_int(user_id), pim_v_int(peer_id)};
    int rc;

    *out = (struct pim_relation){0};
    rc = pim_rec_get(lease, PIM_K_RELATION, PIM_REL_BY_PAIR, key, 2, PIM_COLS_ALL(PIM_REL_COLS), on_relation, out, err);
    return rc < 0 ? rc : PIM_OK;
}

/* One step: the record as it was read must still stand; then it is as `to` says (NULL: it is only looked at). */
static void
relation_step(struct pim_changes *changes, int64_t user_id, int64_t peer_id, const struct pim_relation *was,
              const struct pim_relation *to)
{
    if (to == NULL || was->exists) {
        pim_changes_add(changes, to == NULL ? PIM_W_GUARD : PIM_W_UPDATE, PIM_K_RELATION, PIM_REL_BY_PAIR,
                        was->exists ? PIM_W_MUST_EXIST : PIM_W_MUST_NOT_EXIST);
        pim_changes_key(changes, pim_v_int(user_id));
        pim_changes_key(changes, pim_v_int(peer_id));
    } else {
        pim_changes_add(changes, PIM_W_INSERT, PIM_K_RELATION, PIM_REL_BY_PAIR, 0);
        pim_changes_cell(changes, PIM_REL_USER, PIM_SET, pim_v_int(user_id));
        pim_changes_cell(changes, PIM_REL_PEER, PIM_SET, pim_v_int(peer_id));
    }
    if (was->exists) {
        pim_changes_cond(changes, PIM_REL_IS_ACCEPT, PIM_EQ, pim_v_int(was->is_accept));
        pim_changes_cond(changes, PIM_REL_IS_BLACK, PIM_EQ, pim_v_int(was->is_black));
        pim_changes_cond(changes, PIM_REL_IS_DELETE, PIM_EQ, pim_v_int(was->is_delete));
        pim_changes_cond(changes, PIM_REL_ASKED, PIM_EQ, pim_v_int(was->asked));
    }
    if (to == NULL)
        return;
    pim_changes_cell(changes, PIM_REL_NOTE, PIM_SET, pim_v_text(to->note));
    pim_changes_cell(changes, PIM_REL_IS_ACCEPT, PIM_SET, pim_v_int(to->is_accept));
    pim_changes_cell(changes, PIM_REL_IS_BLACK, PIM_SET, pim_v_int(to->is_black));
    pim_changes_cell(changes, PIM_REL_IS_DELETE, PIM_SET, pim_v_int(to->is_delete));
    pim_changes_cell(changes, PIM_REL_ASKED, PIM_SET, pim_v_int(to->asked));
    pim_changes_cell(changes, PIM_REL_CHANGED_MS, PIM_SET, pim_v_int(to->changed_ms));
}

static const char *
event_name(enum pim_row_type type)
{
    switch (type) {
    case PIM_ROW_FRIEND_REQUEST:
        return "friend_request";
    case PIM_ROW_FRIEND_ACCEPTED:
        return "friend_accepted";
    case PIM_ROW_FRIEND_REFUSED:
        return "friend_refused";
    case PIM_ROW_FRIEND_CHANGED:
        return "friend_changed";
    case PIM_ROW_UNFRIENDED:
        return "unfriended";
    default:
        return "blocked";
    }
}

/* name and note: NULL where the event has no such field */
static void
owe(struct pim_changes *changes, struct pim_owed_list *owed, const struct pim_conv *conv, int64_t sender_id,
    enum pim_row_type type, int64_t user_id, const char *name, const char *note)
{
    struct pim_buf body;

    pim_buf_init(&body, 8192);
    pim_buf_addf(&body, "{\"event\":\"%s\",\"user_id\":%lld", event_name(type), (long long)user_id);
    if (name != NULL) {
        pim_buf_adds(&body, ",\"name\":");
        pim_buf_add_json(&body, name, strlen(name));
    }
    if (note != NULL) {
        pim_buf_adds(&body, ",\"note\":");
        pim_buf_add_json(&body, note, strlen(note));
    }
    pim_buf_addc(&body, '}');
    pim_outbox_owe(changes, owed, conv, sender_id, type, body.data, body.len);
    pim_buf_fini(&body);
}

/* @return above 0: somebody was faster, nothing was changed */
static int
plan_run(struct pim_lease *lease, const struct pim_friend_change *change, const struct pim_relation *mine,
         const struct pim_relation *theirs, const struct pim_friend_plan *plan, const char *name,
         struct pim_owed_list *owed, struct pim_err *err)
{
    struct pim_conv conv = pim_conv_users(change->user_id, change->peer_id);
    struct pim_conv own = pim_conv_events(change->user_id), peers = pim_conv_events(change->peer_id);
    struct pim_changes changes;
    int rc;

    pim_changes_init(&changes);
    relation_step(&changes, change->user_id, change->peer_id, mine, plan->write_mine ? &plan->mine : NULL);
    relation_step(&changes, change->peer_id, change->user_id, theirs, plan->write_theirs ? &plan->theirs : NULL);
    if (plan->lost != 0)
        owe(&changes, owed, &conv, change->user_id, plan->lost, change->user_id, NULL, NULL);
    if (plan->tell_peer != 0)
        owe(&changes, owed, &peers, change->user_id, plan->tell_peer, change->user_id, name,
            plan->tell_peer == PIM_ROW_FRIEND_REQUEST ? change->note : NULL);
    if (plan->tell_self)
        owe(&changes, owed, &own, change->user_id, PIM_ROW_FRIEND_CHANGED, change->peer_id, NULL, NULL);
    rc = pim_changes_run(&changes, lease, err);
    if (rc != PIM_OK)
        pim_owed_list_fini(owed);
    return rc;
}

static int32_t
on_count(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    (void)item;
    (void)n_vals;
    *(uint32_t *)ctx = (uint32_t)vals[0].u.i;
    return 0;
}

/* Has the user asked as many people today as he may? */
static int
asked_enough(struct pim_accounts *accounts, struct pim_lease *lease, int64_t user_id, bool *out_enough, struct pim_err *err)
{
    uint32_t limit = pim_im_config(pim_accounts_im(accounts))->friend_requests_per_day, n = 0;
    struct pim_val user = pim_v_int(user_id);
    struct pim_cond conds[2] = {pim_cond(PIM_REL_ASKED, PIM_EQ, pim_v_int(1)),
                                pim_cond(PIM_REL_CHANGED_MS, PIM_GT, pim_v_int(pim_clock_wall_ms() - DAY_MS))};
    struct pim_query query = {.kind = PIM_K_RELATION,
                              .index = PIM_REL_BY_PAIR,
                              .prefix = &user,
                              .n_prefix = 1,
                              .conds = conds,
                              .n_conds = 2,
                              .limit = limit,
                              .cols = PIM_COL(PIM_REL_PEER),
                              .flags = PIM_Q_COUNT};
    int rc;

    *out_enough = false;
    if (limit == 0)
        return PIM_OK;
    rc = pim_rec_list(lease, &query, on_count, &n, err);
    if (rc < 0)
        return rc;
    /* the records count people; the same one asked, let go and asked again counts in memory */
    *out_enough = n >= limit || !pim_throttle_daily(accounts, user_id, limit);
    return PIM_OK;
}

int
pim_friend_change(struct pim_accounts *accounts, struct pim_lease *lease, struct pim_friend_change *change,
                  struct pim_owed_list *owed, struct pim_err *err)
{
    struct pim_relation mine, theirs;
    struct pim_friend_plan plan;
    char name[PIM_NAME_MAX_BYTES], peer_name[PIM_NAME_MAX_BYTES];
    bool was_counted = false;
    int rc;

    change->gained = false;
    change->answer = PIM_FRIEND_SELF;
    if (change->user_id == change->peer_id)
        return PIM_OK;
    change->answer = PIM_FRIEND_NO_USER;
    rc = pim_user_name(lease, change->user_id, name, err);
    if (rc == PIM_OK && (change->action == PIM_FRIEND_ASK || change->action == PIM_FRIEND_ACCEPT ||
                         change->action == PIM_FRIEND_BLOCK))
        rc = pim_user_name(lease, change->peer_id, peer_name, err);
    if (rc != PIM_OK)
        return rc < 0 ? rc : PIM_OK;

    for (int try = 0; try < TRIES; try++) {
        rc = relation_load(lease, change->user_id, change->peer_id, &mine, err);
        if (rc == PIM_OK)
            rc = relation_load(lease, change->peer_id, change->user_id, &theirs, err);
        if (rc < 0)
            return rc;
        change->answer = pim_friend_plan(change->action, change->note, pim_clock_wall_ms(), &mine, &theirs, &plan);
        if (change->answer != PIM_FRIEND_DONE)
            return PIM_OK;
        if (plan.tell_peer == PIM_ROW_FRIEND_REQUEST && !was_counted) {
            bool enough;

            rc = asked_enough(accounts, lease, change->user_id, &enough, err);
            if (rc < 0)
                return rc;
            if (enough) {
                change->answer = PIM_FRIEND_TOO_MANY;
                return PIM_OK;
            }
            was_counted = true;
        }
        rc = plan_run(lease, change, &mine, &theirs, &plan, name, owed, err);
        if (rc <= 0) {
            change->gained = rc == PIM_OK && plan.gained;
            return rc;
        }
    }
    return pim_err_set(err, PIM_ERR_RETRY, "friend: others changed the same records %d times", TRIES);
}

void
pim_friend_gained(struct pim_accounts *accounts, const struct pim_friend_change *change)
{
    struct pim_conv conv = pim_conv_users(change->user_id, change->peer_id);

    if (change->gained)
        pim_msglog_rights_changed(pim_data_log(pim_im_data(pim_accounts_im(accounts))), &conv);
}

/* --- the list ------------------------------------------------------------------------------------------------ */

#define PAGE 64

struct page {
    struct pim_friend *entries; /* room for PAGE */
    uint32_t n;
    int64_t last_id;
};

static int32_t
on_entry(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct page *page = ctx;
    struct pim_friend *entry = &page->entries[page->n];

    (void)item;
    (void)n_vals;
    page->last_id = vals[PIM_REL_PEER].u.i;
    if (vals[PIM_REL_IS_DELETE].u.i != 0 && vals[PIM_REL_IS_BLACK].u.i == 0)
        return 0;
    *entry = (struct pim_friend){.id = page->last_id};
    relation_read(&entry->relation, vals);
    page->n++;
    return 0;
}

static int32_t
on_entry_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_friend *page = ctx;
    struct pim_user *user = &page[item].user;

    (void)n_vals; /* in column order */
    pim_v_copy(user->email, sizeof user->email, &vals[0]);
    pim_v_copy(user->name, sizeof user->name, &vals[1]);
    pim_v_copy(user->mobile, sizeof user->mobile, &vals[2]);
    user->gender = vals[3].u.i;
    pim_v_copy(user->avatar, sizeof user->avatar, &vals[4]);
    return 0;
}

static int32_t
on_back(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_friend *entry = ctx;
    struct pim_relation theirs = {.exists = true, .is_accept = vals[0].u.i != 0, .is_delete = vals[1].u.i != 0};

    (void)item;
    (void)n_vals;
    entry->is_friend = are_friends(&entry->relation, &theirs);
    return 0;
}

/* Fill in what is known of the other side. */
static int
page_fill(struct pim_lease *lease, int64_t user_id, struct pim_friend *page, uint32_t n, struct pim_err *err)
{
    int64_t ids[PAGE];
    int rc;

    for (uint32_t i = 0; i < n; i++)
        ids[i] = page[i].id;
    rc = pim_rec_get_many(lease, PIM_K_USER, ids, n,
                          PIM_COL(PIM_USER_EMAIL) | PIM_COL(PIM_USER_NAME) | PIM_COL(PIM_USER_MOBILE) |
                              PIM_COL(PIM_USER_GENDER) | PIM_COL(PIM_USER_AVATAR),
                          on_entry_user, page, err);
    for (uint32_t i = 0; i < n && rc >= 0; i++) {
        struct pim_val key[2] = {pim_v_int(page[i].id), pim_v_int(user_id)};

        rc = pim_rec_get(lease, PIM_K_RELATION, PIM_REL_BY_PAIR, key, 2,
                         PIM_COL(PIM_REL_IS_ACCEPT) | PIM_COL(PIM_REL_IS_DELETE), on_back, &page[i], err);
    }
    return rc < 0 ? rc : PIM_OK;
}

int
pim_friend_list(struct pim_lease *lease, int64_t user_id, void (*fn)(void *ctx, const struct pim_friend *entry), void *ctx,
                struct pim_err *err)
{
    struct pim_val user = pim_v_int(user_id), after;
    struct pim_query query = {.kind = PIM_K_RELATION,
                              .index = PIM_REL_BY_PAIR,
                              .prefix = &user,
                              .n_prefix = 1,
                              .after = &after,
                              .limit = PAGE,
                              .cols = PIM_COLS_ALL(PIM_REL_COLS)};
    struct page page = {.entries = pim_new(PAGE * sizeof *page.entries)};
    int rc, rc_fill;

    do {
        page.n = 0;
        rc = pim_rec_list(lease, &query, on_entry, &page, err);
        rc_fill = rc < 0 ? rc : page_fill(lease, user_id, page.entries, page.n, err);
        for (uint32_t i = 0; i < page.n && rc_fill == PIM_OK; i++)
            fn(ctx, &page.entries[i]);
        after = pim_v_int(page.last_id);
        query.n_after = 1;
    } while (rc == PIM_MORE && rc_fill == PIM_OK);
    free(page.entries);
    return rc < 0 ? rc : rc_fill;
}
