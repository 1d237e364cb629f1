/* Random histories: the plugin and the model are asked the same, and must answer the same, step by step. */
#include "suite.h"

#define STEPS 3000

/* --- records
 * -------------------------------------------------------------------------------------------------------------- */

/* One random apply list; what its pointers point at is here. */
struct changes {
    struct pim_write writes[4];
    struct pim_cell cells[4][7];
    struct pim_cond conds[4][2];
    struct pim_val keys[4][2];
    char mails[4][12], names[4][8];
    uint32_t n;
};

static const char *const notes[] = {"", "a", "B", "zz", "\xc3\xa4"};

static void
random_person(struct chance *c, struct changes *ch, uint32_t i)
{
    struct pim_write *w = &ch->writes[i];
    struct pim_cell *cells = ch->cells[i];
    uint32_t n = 0, index = conf_below(c, 2);

    *w = WRITE((uint16_t)(PIM_W_GUARD + conf_below(c, 5)), K_PERSON, index);
    snprintf(ch->mails[i], sizeof ch->mails[i], "m%u", conf_below(c, 12));
    snprintf(ch->names[i], sizeof ch->names[i], "n%u", conf_below(c, 5));
    if (w->verb == PIM_W_INSERT || w->verb == PIM_W_UPSERT) {
        cells[n++] = SET(P_ID, V_INT(conf_below(c, 12)));
        cells[n++] = SET(P_EMAIL, V_TEXT(ch->mails[i]));
    } else {
        ch->keys[i][0] = index == P_BY_ID ? V_INT(conf_below(c, 12)) : V_TEXT(ch->mails[i]);
        w->key = ch->keys[i];
        w->n_key = 1;
    }
    if (w->verb == PIM_W_UPDATE && conf_below(c, 8) == 0 && index == P_BY_ID)
        cells[n++] = SET(P_EMAIL, V_TEXT(ch->mails[i])); /* may clash */
    if (w->verb != PIM_W_GUARD && w->verb != PIM_W_DELETE) {
        if (conf_below(c, 2))
            cells[n++] = SET(P_NAME, V_TEXT(ch->names[i]));
        if (conf_below(c, 2))
            cells[n++] = (struct pim_cell){.col = P_AGE,
                                           .verb = w->verb == PIM_W_INSERT ? PIM_SET : (uint16_t)conf_below(c, 3),
                                           .val = V_INT(conf_below(c, 9))};
        if (conf_below(c, 2))
            cells[n++] = SET(P_NOTE, conf_below(c, 3) ? V_TEXT(notes[conf_below(c, 5)]) : V_NULL);
        if (conf_below(c, 3) == 0)
            cells[n++] = (struct pim_cell){.col = P_DATA, .verb = PIM_SET, .val = V_BYTES(notes[3], conf_below(c, 3))};
    }
    w->cells = cells;
    w->n_cells = n;
    if (w->verb == PIM_W_UPSERT)
        w->on_dup = conf_chance(c) & (COL(P_NAME) | COL(P_AGE) | COL(P_NOTE) | COL(P_DATA));
    if (w->verb != PIM_W_INSERT) {
        if (conf_below(c, 3) == 0)
            ch->conds[i][w->n_conds++] = COND(P_AGE, (uint16_t)conf_below(c, 6), V_INT(conf_below(c, 9)));
        if (conf_below(c, 5) == 0)
            ch->conds[i][w->n_conds++] =
                COND(P_NOTE, (uint16_t)conf_below(c, 6), conf_below(c, 2) ? V_NULL : V_TEXT(notes[conf_below(c, 5)]));
        w->conds = ch->conds[i];
        w->flags = conf_below(c, 4) == 0 ? PIM_W_MUST_EXIST : conf_below(c, 8) == 0 ? PIM_W_MUST_NOT_EXIST : 0;
    }
    if (conf_below(c, 2))
        w->returning = conf_chance(c) & (COL(P_BORN) - 1);
}

static void
random_place(struct chance *c, struct changes *ch, uint32_t i)
{
    static const char *const devices[] = {"", "a", "A", "ab"};
    struct pim_cell *cells = ch->cells[i];

    cells[0] = SET(L_USER, V_INT(conf_below(c, 4)));
    cells[1] = SET(L_DEVICE, V_TEXT(devices[conf_below(c, 4)]));
    cells[2] = (struct pim_cell){.col = L_SEQ, .verb = PIM_MAX, .val = V_INT(conf_below(c, 1000))};
    cells[3] = (struct pim_cell){.col = L_ORD, .verb = PIM_ADD, .val = V_INT((int64_t)conf_below(c, 9) - 4)};
    ch->writes[i] = WRITE(PIM_W_UPSERT, K_PLACE, 0, .cells = cells, .n_cells = 4, .on_dup = COL(L_SEQ) | COL(L_ORD),
                          .returning = COL(L_SEQ) | COL(L_ORD));
}

static void
apply_on(struct side *s, const struct changes *ch, struct text *out)
{
    struct changes copy = *ch;
    struct text rows = {0};
    uint32_t failed = 0;
    int rc = conf_apply(s, copy.writes, copy.n, &failed, &rows);

    conf_add(out, "apply: %s", conf_rc_name(rc));
    if (rc != PIM_OK)
        conf_add(out, " at %u: %s\n", failed, conf_rc_name(copy.writes[failed].result));
    for (uint32_t i = 0; rc == PIM_OK && i < copy.n; i++) {
        conf_add(out, ", %s", conf_rc_name(copy.writes[i].result));
        if (copy.writes[i].verb != PIM_W_INSERT)
            conf_add(out, " %u", copy.writes[i].matched);
    }
    if (rc == PIM_OK)
        conf_add(out, "\n%s", rows.p != NULL ? rows.p : "");
    conf_clear(&rows);
}

static void
list_on(struct side *s, const struct pim_query *query, struct text *out)
{
    struct text rows = {0};
    int rc = conf_list(s, s->r, query, &rows);

    conf_add(out, "list: %s\n%s", conf_rc_name(rc), rows.p != NULL ? rows.p : "");
    conf_clear(&rows);
}

static void
get_on(struct side *s, uint32_t index, const struct pim_val *keys, uint32_t n, uint64_t cols, struct text *out)
{
    struct text rows = {0};
    int rc = conf_get(s, s->r, K_PERSON, index, keys, n, 1, cols, &rows);

    conf_add(out, "get: %s\n%s", conf_rc_name(rc), rows.p != NULL ? rows.p : "");
    conf_clear(&rows);
}

static void
record_reads(struct chance *c, struct side *sides, struct text *outs)
{
    struct pim_val vals[4] = {V_INT(conf_below(c, 9)), V_TEXT("n2"), V_INT(conf_below(c, 12))}, keys[3];
    struct pim_cond cond =
        COND(P_NOTE, (uint16_t)conf_below(c, 6), conf_below(c, 3) ? V_TEXT(notes[conf_below(c, 5)]) : V_NULL);
    struct pim_query query = {.kind = K_PERSON, .index = P_BY_AGE, .conds = &cond, .n_conds = conf_below(c, 2)};
    uint32_t index = conf_below(c, 2), n_keys = 1 + conf_below(c, 3);
    uint64_t cols = conf_chance(c) & (COL(P_BORN) - 1);

    for (uint32_t i = 0; i < n_keys; i++)
        keys[i] = index == P_BY_ID ? V_INT(conf_below(c, 12)) : V_TEXT(((const char *const[]){"m1", "m5", "m11"})[i]);
    query.cols = conf_chance(c) & (COL(P_BORN) - 1);
    query.limit = conf_below(c, 3) ? conf_below(c, 8) : 0;
    query.flags = (conf_below(c, 2) ? PIM_Q_DESC : 0) | (conf_below(c, 5) == 0 ? PIM_Q_COUNT : 0);
    query.prefix = vals;
    query.n_prefix = conf_below(c, 3);
    query.after = vals + query.n_prefix;
    query.n_after = conf_below(c, 2) ? 3 - query.n_prefix : 0;
    for (int i = 0; i < 2; i++) {
        list_on(&sides[i], &query, &outs[i]);
        get_on(&sides[i], index, keys, n_keys, cols, &outs[i]);
    }
}

static void
all_records(struct side *s, struct text *out)
{
    struct pim_query persons = {.kind = K_PERSON, .cols = COL(P_BORN) - 1}, places = {.kind = K_PLACE, .cols = 15};

    list_on(s, &persons, out);
    list_on(s, &places, out);
}

static void
random_records(void)
{
    struct chance c = {suite.seed};
    struct side sides[2];

    conf_open(&sides[0], conf_schema(1));
    conf_open_model(&sides[1], conf_schema(1));
    for (uint32_t step = 0; step < STEPS; step++) {
        struct text outs[2] = {{0}, {0}};
        struct changes ch;
        char what[60];

        snprintf(what, sizeof what, "step %u of seed %llu", step, (unsigned long long)suite.seed);
        if (conf_below(&c, 3) > 0) {
            ch.n = 1 + conf_below(&c, 4);
            for (uint32_t i = 0; i < ch.n; i++)
                if (conf_below(&c, 4))
                    random_person(&c, &ch, i);
                else
                    random_place(&c, &ch, i);
            for (int i = 0; i < 2; i++)
                apply_on(&sides[i], &ch, &outs[i]);
        } else {
            record_reads(&c, sides, outs);
        }
        if (step % 500 == 499)
            conf_reopen(&sides[0], conf_schema(1));
        if (step % 50 == 49)
            for (int i = 0; i < 2; i++)
                all_records(&sides[i], &outs[i]);
        conf_same(&outs[0], &outs[1], what);
        conf_clear(&outs[0]);
        conf_clear(&outs[1]);
    }
    conf_close(&sides[0]);
    conf_close(&sides[1]);
}

/* --- messages
 * ------------------------------------------------------------------------------------------------------------- */

#define CONVS 6

struct world {
    struct chance c;
    struct side sides[2];
    struct text outs[2];
    struct pim_conv convs[CONVS];
    int64_t heads[CONVS], ms;
};

static void
random_append(struct world *w)
{
    struct pim_append_item items[24], copy[24];
    char bodies[24][64];
    uint32_t n = 0;

    for (uint32_t k = 0; k < CONVS && n < 16; k++) { /* the conversations are in the order of the ABI */
        int64_t at = w->heads[k] + 1;
        uint32_t len = 1 + conf_below(&w->c, conf_below(&w->c, 10) ? 4 : 8);
        bool off = conf_below(&w->c, 6) == 0;

        if (conf_below(&w->c, 2))
            continue;
        if (off)
            at += (int64_t)conf_below(&w->c, 5) - 3;
        for (uint32_t i = 0; i < len; i++, n++) {
            if (conf_below(&w->c, 40) == 0)
                at++; /* a hole */
            items[n] = conf_item(w->convs[k], at++, bodies[n]);
            items[n].created_ms = w->ms += conf_below(&w->c, 3000);
            items[n].day = 20260101 + (int32_t)(w->ms / 400000 % 1000000);
            items[n].msg_id = (int64_t)(conf_chance(&w->c) >> 12);
        }
    }
    for (int s = 0; s < 2; s++) {
        int rc;

        memcpy(copy, items, sizeof items);
        rc = conf_append(&w->sides[s], w->sides[s].w, copy, n);
        conf_add(&w->outs[s], "append: %s\n", conf_rc_name(rc));
        for (uint32_t i = 0; i < n; i++)
            conf_add(
                &w->outs[s], "%lld %lld: %s, head %lld\n", (long long)copy[i].conv.a, (long long)copy[i].seq,
                conf_rc_name(copy[i].result),
                (long long)(copy[i].result == PIM_EXISTS || copy[i].result == PIM_NOT_FOUND ? copy[i].head_seq : 0));
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < CONVS; k++)
            if (copy[i].result == PIM_OK && memcmp(&w->convs[k], &copy[i].conv, sizeof copy[i].conv) == 0)
                w->heads[k] = copy[i].seq;
}

static void
random_trim_or_redact(struct world *w)
{
    uint32_t k = conf_below(&w->c, CONVS);
    bool trim = conf_below(&w->c, 2);
    int64_t seq = (int64_t)conf_below(&w->c, (uint32_t)w->heads[k] + 3) - 1;

    if (trim && conf_below(&w->c, 3))
        seq /= 4;
    for (int s = 0; s < 2; s++) {
        struct side *side = &w->sides[s];
        uint64_t count = 0;
        int rc = trim ? side->ops->trim(side->w, &conf_call, &w->convs[k], seq, &count, &conf_err)
                      : side->ops->redact(side->w, &conf_call, &w->convs[k], seq, &conf_err);

        conf_add(&w->outs[s], "%s %lld: %s %llu\n", trim ? "trim" : "redact", (long long)seq, conf_rc_name(rc),
                 (unsigned long long)count);
    }
}

static void
random_history(struct world *w)
{
    uint32_t k = conf_below(&w->c, CONVS), room = (uint32_t)w->heads[k] + 4;
    struct pim_history q = {.struct_size = sizeof q,
                            .conv = w->convs[k],
                            .from_seq = (int64_t)conf_below(&w->c, room) - 1,
                            .flags = conf_below(&w->c, 2) ? PIM_H_DESC : 0,
                            .limit = conf_below(&w->c, 4) ? conf_below(&w->c, 30) : 0};

    q.to_seq = q.from_seq + conf_below(&w->c, 40);
    if ((w->sides[0].info.caps & PIM_CAP_DAY_INDEX) != 0 && conf_below(&w->c, 3) == 0) {
        q.from_day = conf_below(&w->c, 3)
                         ? 20260101 + (int32_t)(conf_below(&w->c, (uint32_t)(w->ms / 400000 % 1000000) + 2))
                         : 0;
        q.to_day = conf_below(&w->c, 3)
                       ? 20260101 + (int32_t)(conf_below(&w->c, (uint32_t)(w->ms / 400000 % 1000000) + 2))
                       : 0;
        q.from_seq = 0;
        q.to_seq = INT64_MAX;
    }
    for (int s = 0; s < 2; s++) {
        struct text rows = {0};
        int rc = w->sides[s].ops->history(w->sides[s].r, &conf_call, &q, conf_on_msg, &rows, &conf_err);

        conf_add(&w->outs[s], "history: %s\n%s", conf_rc_name(rc), rows.p != NULL ? rows.p : "");
        conf_clear(&rows);
    }
}

static void
random_tails(struct world *w)
{
    struct pim_tail tails[3], copy[3];
    struct text rows[2] = {{0}, {0}};

    for (int i = 0; i < 3; i++) {
        uint32_t k = conf_below(&w->c, CONVS);

        tails[i] =
            (struct pim_tail){.conv = w->convs[k],
                              .limit = conf_below(&w->c, 20),
                              .since_ms = conf_below(&w->c, 2) ? w->ms - conf_below(&w->c, 300000) : 0,
                              .after_seq = conf_below(&w->c, 2) ? conf_below(&w->c, (uint32_t)w->heads[k] + 2) : 0,
                              .flags = conf_below(&w->c, 4)};
    }
    for (int s = 0; s < 2; s++) {
        int rc;

        memcpy(copy, tails, sizeof tails);
        rc = w->sides[s].ops->tails(w->sides[s].r, &conf_call, copy, 3, sizeof copy[0], conf_on_msg, &rows[s],
                                    &conf_err);
        conf_add(&w->outs[s], "tails: %s\n%s", conf_rc_name(rc), rows[s].p != NULL ? rows[s].p : "");
        for (int i = 0; i < 3; i++)
            conf_add(&w->outs[s], "%s head %lld ord %lld id %lld floor %lld at %lld last %lld day %d\n",
                     conf_rc_name(copy[i].result), (long long)copy[i].head_seq, (long long)copy[i].head_ord,
                     (long long)copy[i].head_msg_id, (long long)copy[i].floor_seq, (long long)copy[i].floor_ms,
                     (long long)copy[i].last_ms, copy[i].last_day);
        conf_clear(&rows[s]);
    }
}

static void
all_heads(struct world *w)
{
    for (int s = 0; s < 2; s++) {
        struct text heads = {0};
        int rc = w->sides[s].ops->convs(w->sides[s].r, &conf_call, NULL, 0, conf_on_head, &heads, &conf_err);

        conf_add(&w->outs[s], "convs: %s\n%s", conf_rc_name(rc), heads.p != NULL ? heads.p : "");
        conf_clear(&heads);
        for (uint32_t k = 0; k < CONVS; k++) {
            struct pim_head head = conf_head(&w->sides[s], w->sides[s].r, w->convs[k]);

            conf_on_head(&w->outs[s], &head);
        }
    }
}

static void
random_messages(void)
{
    struct world w = {.c = {suite.seed + 1}, .ms = 1700000000000};
    static const struct pim_conv convs[CONVS] = {
        /* in the order kind, a, b */
        {.kind = 'g', .a = 1},         {.kind = 'g', .a = 2},
        {.kind = 's', .a = -5},        {.kind = 'u', .a = INT64_MIN, .b = INT64_MAX},
        {.kind = 'u', .a = 1, .b = 1}, {.kind = 'u', .a = 1, .b = 2}};

    memcpy(w.convs, convs, sizeof convs);
    conf_open(&w.sides[0], conf_schema(1));
    conf_open_model(&w.sides[1], conf_schema(1));
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t dice = conf_below(&w.c, 20);
        char what[60];

        snprintf(what, sizeof what, "step %u of seed %llu", step, (unsigned long long)suite.seed);
        if (dice < 9)
            random_append(&w);
        else if (dice < 10)
            random_trim_or_redact(&w);
        else if (dice < 15)
            random_history(&w);
        else
            random_tails(&w);
        if (step % 50 == 49)
            all_heads(&w);
        if (step % 500 == 499)
            conf_reopen(&w.sides[0], conf_schema(1));
        conf_same(&w.outs[0], &w.outs[1], what);
        conf_clear(&w.outs[0]);
        conf_clear(&w.outs[1]);
    }
    conf_close(&w.sides[0]);
    conf_close(&w.sides[1]);
}

const struct check conf_random_checks[] = {
    {"random histories of records equal the model", PIM_ROLE_RECORDS, random_records},
    {"random histories of messages equal the model", PIM_ROLE_MESSAGES, random_messages},
    {0},
};
