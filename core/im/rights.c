/* The rights of a conversation, held by its append thread: who may say something there. storage-abi.md 3.6. */
#include "im/im_priv.h"
#include "data/rec.h"
#include "data/schema.h"
#include "util/map.h"
#include "util/mem.h"

#include <string.h>

struct pim_rights {
    int32_t kind;
    bool exists[2]; /* the users a and b, or the group in [0] */
    bool black[2];  /* a has blacklisted b, b has a */
    bool friend[2]; /* a counts b among his friends, b counts a */
    struct pim_map members; /* of a group: user id -> anything */
};

int64_t
pim_event_number(const char *body, size_t body_len, const char *name)
{
    size_t name_len = strlen(name);
    int64_t value = 0;

    for (size_t i = 0; i + name_len + 3 < body_len; i++) {
        if (body[i] != '"' || memcmp(body + i + 1, name, name_len) != 0 || body[i + 1 + name_len] != '"' ||
            body[i + 2 + name_len] != ':')
            continue;
        for (i += name_len + 3; i < body_len && body[i] >= '0' && body[i] <= '9'; i++)
            value = value * 10 + (body[i] - '0');
        break;
    }
    return value;
}

static int32_t
on_user(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_rights *rights = ctx;

    (void)n_vals;
    rights->exists[item] = vals[0].u.i == 0 && vals[1].u.i == 0;
    return 0;
}

struct relation_ctx {
    struct pim_rights *rights;
    int way;
};

static int32_t
on_relation(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct relation_ctx *c = ctx;

    (void)item;
    (void)n_vals;
    c->rights->friend[c->way] = vals[0].u.i != 0 && vals[2].u.i == 0;
    c->rights->black[c->way] = vals[1].u.i != 0;
    return 0;
}

static int
load_users(struct pim_rights *rights, struct pim_lease *lease, const struct pim_conv *conv, struct pim_err *err)
{
    int64_t ids[2] = {conv->a, conv->b};
    uint32_t n = conv->a == conv->b ? 1 : 2;
    int rc = pim_rec_get_many(lease, PIM_K_USER, ids, n, PIM_COL(PIM_USER_IS_DELETE) | PIM_COL(PIM_USER_DISABLED), on_user,
                              rights, err);

    if (n == 1) {
        rights->exists[1] = rights->exists[0];
        rights->friend[0] = rights->friend[1] = true;
        return rc;
    }
    for (int way = 0; way < 2 && rc >= 0; way++) {
        struct relation_ctx ctx = {rights, way};
        struct pim_val key[2] = {pim_v_int(ids[way]), pim_v_int(ids[1 - way])};

        rc = pim_rec_get(lease, PIM_K_RELATION, PIM_REL_BY_PAIR, key, 2,
                         PIM_COL(PIM_REL_IS_ACCEPT) | PIM_COL(PIM_REL_IS_BLACK) | PIM_COL(PIM_REL_IS_DELETE), on_relation,
                         &ctx, err);
    }
    return rc;
}

static int32_t
on_group(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_rights *rights = ctx;

    (void)item;
    (void)n_vals;
    rights->exists[0] = vals[0].u.i == 0;
    return 0;
}

static int32_t
on_member(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_rights *rights = ctx;

    (void)item;
    (void)n_vals;
    pim_map_put(&rights->members, vals[0].u.i, rights);
    return 0;
}

static int
load_group(struct pim_rights *rights, struct pim_lease *lease, const struct pim_conv *conv, struct pim_err *err)
{
    struct pim_val id = pim_v_int(conv->a);
    struct pim_cond alive = pim_cond(PIM_MEMBER_IS_DELETE, PIM_EQ, pim_v_int(0));
    struct pim_query query = {.kind = PIM_K_MEMBER,
                              .index = PIM_MEMBER_BY_PAIR,
                              .prefix = &id,
                              .n_prefix = 1,
                              .conds = &alive,
                              .n_conds = 1,
                              .cols = PIM_COL(PIM_MEMBER_USER)};
    int rc = pim_rec_get(lease, PIM_K_GROUP, PIM_GROUP_BY_ID, &id, 1, PIM_COL(PIM_GROUP_IS_DELETE), on_group, rights, err);

    return rc < 0 ? rc : pim_rec_list(lease, &query, on_member, rights, err);
}

int
pim_rights_load(void *ctx, struct pim_lease *lease, const struct pim_conv *conv, struct pim_rights **out_rights,
                struct pim_err *err)
{
    struct pim_rights *rights = pim_new0(sizeof *rights);
    int rc = PIM_OK;

    (void)ctx;
    rights->kind = conv->kind;
    if (conv->kind == 'u')
        rc = load_users(rights, lease, conv, err);
    else if (conv->kind == 'g')
        rc = load_group(rights, lease, conv, err);
    if (rc < 0) {
        pim_rights_free(&rights);
        return rc;
    }
    *out_rights = rights;
    return PIM_OK;
}

void
pim_rights_free(struct pim_rights **rightsp)
{
    struct pim_rights *rights = *rightsp;

    *rightsp = NULL;
    if (rights == NULL)
        return;
    pim_map_fini(&rights->members);
    free(rights);
}

int
pim_rights_check(void *ctx, const struct pim_rights *rights, const struct pim_send *send)
{
    int other;

    (void)ctx;
    if (rights->kind == 'g') {
        if (!rights->exists[0])
            return PIM_DENY_NO_GROUP;
        return pim_map_find(&rights->members, send->sender_id) != NULL ? 0 : PIM_DENY_NOT_MEMBER;
    }
    if (rights->kind != 'u')
        return PIM_DENY_NOT_MEMBER; /* event conversations are written by the server alone */
    other = send->sender_id == send->conv.a ? 1 : 0;
    if (!rights->exists[other])
        return PIM_DENY_NO_USER;
    if (rights->black[other])
        return PIM_DENY_BLACK;
    return rights->friend[0] && rights->friend[1] ? 0 : PIM_DENY_NOT_FRIEND;
}

bool
pim_rights_row(void *ctx, struct pim_rights *rights, const struct pim_conv *conv, uint32_t type, int64_t sender_id,
               const void *body, uint32_t body_len)
{
    (void)ctx;
    (void)conv;
    (void)sender_id;
    switch (type) {
    case PIM_ROW_UNFRIENDED:
    case PIM_ROW_BLOCKED:
        return true;
    case PIM_ROW_MEMBER_LEFT: /* a group may be large: no reading anew for one who left */
        pim_map_steal(&rights->members, pim_event_number(body, body_len, "user_id"));
        return false;
    case PIM_ROW_GROUP_DISMISSED:
        rights->exists[0] = false;
        return false;
    default:
        return false;
    }
}
