#include "data/schema.h"

#include "util/err.h"

#define I(n) {.name = n, .type = PIM_INT, .since = 1}
#define T(n, chars) {.name = n, .type = PIM_TEXT, .max_chars = chars, .since = 1}
#define B(n, bytes) {.name = n, .type = PIM_BYTES, .max_chars = bytes, .since = 1}
#define KEY(n, ...)                                                                                                     \
    {.name = n, .cols = (const uint16_t[]){__VA_ARGS__},                                                                \
     .n_cols = sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t), .flags = PIM_INDEX_UNIQUE, .since = 1}
#define INDEX(n, ...)                                                                                                   \
    {.name = n, .cols = (const uint16_t[]){__VA_ARGS__},                                                                \
     .n_cols = sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t), .since = 1}

static const struct pim_col meta_cols[] = {T("name", 60), I("num"), B("data", 1024)};
static const struct pim_index meta_indexes[] = {KEY("pk", PIM_META_NAME)};

static const struct pim_col user_cols[] = {
    I("id"),          T("email", 254),     T("name", 100),     T("password", 255), T("mobile", 32),    I("gender"),
    T("avatar", 255), T("qr_code", 255),   I("is_delete"),     I("disabled"),      I("created_ms"),
};
static const struct pim_index user_indexes[] = {KEY("pk", PIM_USER_ID), KEY("by_email", PIM_USER_EMAIL)};

static const struct pim_col session_cols[] = {
    T("id", 64), I("user_id"), I("created_ms"), I("expires_ms"), I("seen_ms"), T("agent", 256), T("address", 64),
};
static const struct pim_index session_indexes[] = {KEY("pk", PIM_SESSION_ID),
                                                   INDEX("by_user", PIM_SESSION_USER, PIM_SESSION_CREATED_MS)};

static const struct pim_col relation_cols[] = {
    I("user_id"),  I("peer_id"),   T("note", 100), I("is_accept"),
    I("is_black"), I("is_delete"), I("asked"),     I("changed_ms"),
};
static const struct pim_index relation_indexes[] = {KEY("pk", PIM_REL_USER, PIM_REL_PEER)};

static const struct pim_col group_cols[] = {
    I("id"), T("name", 100), I("manager_id"), T("avatar", 255), T("qr_code", 255), I("is_delete"), I("created_ms"),
};
static const struct pim_index group_indexes[] = {KEY("pk", PIM_GROUP_ID),
                                                 INDEX("by_manager", PIM_GROUP_MANAGER, PIM_GROUP_NAME)};

static const struct pim_col member_cols[] = {
    I("group_id"),   I("user_id"),  T("note", 100),  I("is_delete"),
    I("joined_seq"), I("left_seq"), I("changed_ms"),
};
static const struct pim_index member_indexes[] = {KEY("pk", PIM_MEMBER_GROUP, PIM_MEMBER_USER),
                                                  INDEX("by_user", PIM_MEMBER_USER, PIM_MEMBER_GROUP)};

static const struct pim_col position_cols[] = {
    I("user_id"), T("device", 64), I("conv_kind"), I("conv_a"),   I("conv_b"),
    I("seq"),     I("ord"),        I("read_seq"),  I("read_ord"), I("epoch"),
};
static const struct pim_index position_indexes[] = {
    KEY("pk", PIM_POS_USER, PIM_POS_DEVICE, PIM_POS_KIND, PIM_POS_A, PIM_POS_B)};

static const struct pim_col outbox_cols[] = {
    I("id"),        I("conv_kind"), I("conv_a"),      I("conv_b"),    B("cid", 16),
    I("sender_id"), I("type"),      B("body", 65536), I("created_ms"),
};
static const struct pim_index outbox_indexes[] = {KEY("pk", PIM_OUT_ID)};

static const struct pim_col throttle_cols[] = {T("name", 254), I("fails"), I("last_ms")};
static const struct pim_index throttle_indexes[] = {KEY("pk", PIM_THROTTLE_KEY)};

#define KIND(k, n, stem)                                                                                                \
    {.struct_size = sizeof(struct pim_kind),                                                                            \
     .id = k,                                                                                                           \
     .roles = PIM_ROLE_RECORDS,                                                                                         \
     .since = 1,                                                                                                        \
     .name = n,                                                                                                         \
     .cols = stem##_cols,                                                                                               \
     .n_cols = PIM_COUNT(stem##_cols),                                                                                  \
     .col_size = sizeof(struct pim_col),                                                                                \
     .indexes = stem##_indexes,                                                                                         \
     .n_indexes = PIM_COUNT(stem##_indexes),                                                                            \
     .index_size = sizeof(struct pim_index)}

static const struct pim_kind kinds[] = {
    KIND(PIM_K_META, "meta", meta),           KIND(PIM_K_USER, "user", user),
    KIND(PIM_K_SESSION, "session", session),  KIND(PIM_K_RELATION, "relation", relation),
    KIND(PIM_K_GROUP, "chat_group", group),   KIND(PIM_K_MEMBER, "member", member),
    KIND(PIM_K_POSITION, "position", position), KIND(PIM_K_OUTBOX, "outbox", outbox),
    KIND(PIM_K_THROTTLE, "throttle", throttle),
};

#define SCHEMA(r, k, n)                                                                                                 \
    {.struct_size = sizeof(struct pim_schema),                                                                          \
     .version = PIM_SCHEMA_VERSION,                                                                                     \
     .min_reader = PIM_SCHEMA_MIN_READER,                                                                               \
     .roles = r,                                                                                                        \
     .kinds = k,                                                                                                        \
     .n_kinds = n,                                                                                                      \
     .kind_size = sizeof(struct pim_kind)}

_Static_assert(PIM_COUNT(user_cols) == PIM_USER_COLS, "user columns");
_Static_assert(PIM_COUNT(session_cols) == PIM_SESSION_COLS, "session columns");
_Static_assert(PIM_COUNT(relation_cols) == PIM_REL_COLS, "relation columns");
_Static_assert(PIM_COUNT(group_cols) == PIM_GROUP_COLS, "group columns");
_Static_assert(PIM_COUNT(member_cols) == PIM_MEMBER_COLS, "member columns");
_Static_assert(PIM_COUNT(position_cols) == PIM_POS_COLS, "position columns");
_Static_assert(PIM_COUNT(outbox_cols) == PIM_OUT_COLS, "outbox columns");
_Static_assert(PIM_COUNT(throttle_cols) == PIM_THROTTLE_COLS, "throttle columns");
_Static_assert(PIM_COUNT(meta_cols) == PIM_META_COLS, "meta columns");

const struct pim_schema *
pim_schema_for(uint32_t roles)
{
    static const struct pim_schema both = SCHEMA(PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES, kinds, PIM_COUNT(kinds));
    static const struct pim_schema records = SCHEMA(PIM_ROLE_RECORDS, kinds, PIM_COUNT(kinds));
    static const struct pim_schema messages = SCHEMA(PIM_ROLE_MESSAGES, NULL, 0);

    if (roles == (PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES))
        return &both;
    return roles == PIM_ROLE_RECORDS ? &records : &messages;
}
