#include "im/outbox.h"

#include "data/schema.h"
#include "im/im_priv.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/id.h"
#include "util/log.h"
#include "util/mem.h"

#include <string.h>

#define REPLAY_ROWS 200

/* Owed rows on their way into the log. Owned by whoever counts `left` down to 0. */
struct pim_settle {
    struct pim_job job;
    struct pim_im *im;
    struct pim_owed_list owed;
    _Atomic uint32_t left;
    _Atomic int rc;
    pim_settled_fn on_settled;
    void *ctx;
};

void
pim_outbox_owe(struct pim_changes *changes, struct pim_owed_list *list, const struct pim_conv *conv, int64_t sender_id,
               enum pim_row_type type, const char *body, size_t body_len)
{
    struct pim_owed *owed = pim_new0(sizeof *owed);
    int64_t now_ms = pim_clock_wall_ms();

    owed->out_id = pim_id_make();
    owed->conv = *conv;
    owed->sender_id = sender_id;
    owed->type = type;
    owed->body = pim_strndup(body, body_len);
    owed->body_len = (uint32_t)body_len;
    pim_uuid7_make(owed->cid, now_ms);
    owed->send.flags = PIM_SEND_SERVER_ID;
    STAILQ_INSERT_TAIL(list, owed, link);

    pim_changes_add(changes, PIM_W_INSERT, PIM_K_OUTBOX, PIM_OUT_BY_ID, 0);
    pim_changes_cell(changes, PIM_OUT_ID, PIM_SET, pim_v_int(owed->out_id));
    pim_changes_cell(changes, PIM_OUT_KIND, PIM_SET, pim_v_int(conv->kind));
    pim_changes_cell(changes, PIM_OUT_A, PIM_SET, pim_v_int(conv->a));
    pim_changes_cell(changes, PIM_OUT_B, PIM_SET, pim_v_int(conv->b));
    pim_changes_cell(changes, PIM_OUT_CID, PIM_SET, pim_v_bytes(owed->cid, 16));
    pim_changes_cell(changes, PIM_OUT_SENDER, PIM_SET, pim_v_int(sender_id));
    pim_changes_cell(changes, PIM_OUT_TYPE, PIM_SET, pim_v_int(type));
    pim_changes_cell(changes, PIM_OUT_BODY, PIM_SET, pim_v_bytes(owed->body, owed->body_len));
    pim_changes_cell(changes, PIM_OUT_CREATED_MS, PIM_SET, pim_v_int(now_ms));
}

void
pim_owed_list_fini(struct pim_owed_list *list)
{
    struct pim_owed *owed;

    while ((owed = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, link);
        free(owed->body);
        free(owed);
    }
}

static bool
is_stored(const struct pim_owed *owed)
{
    return owed->send.state == PIM_SENT_STORED || owed->send.state == PIM_SENT_BEFORE;
}

/* Take one settled entry out of the outbox, with what is only known now: where a member's reading ends. */
static int
close_one(const struct pim_owed *owed, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_changes changes;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_DELETE, PIM_K_OUTBOX, PIM_OUT_BY_ID, 0);
    pim_changes_key(&changes, pim_v_int(owed->out_id));
    if (owed->type == PIM_ROW_MEMBER_LEFT) {
        pim_changes_add(&changes, PIM_W_UPDATE, PIM_K_MEMBER, PIM_MEMBER_BY_PAIR, 0);
        pim_changes_key(&changes, pim_v_int(owed->conv.a));
        pim_changes_key(&changes, pim_v_int(pim_event_number(owed->body, owed->body_len, "user_id")));
        pim_changes_cell(&changes, PIM_MEMBER_LEFT_SEQ, PIM_SET, pim_v_int(owed->send.seq));
        pim_changes_cond(&changes, PIM_MEMBER_LEFT_SEQ, PIM_EQ, pim_v_int(-1)); /* not one who came back meanwhile */
    }
    return pim_changes_run(&changes, lease, err);
}

static void
close_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct pim_settle *settle = (struct pim_settle *)job;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_owed *owed;

    if (failed != 0)
        return; /* the entries are done again later, harmlessly */
    pim_failpoint("owed-before-close");
    STAILQ_FOREACH (owed, &settle->owed, link) {
        int rc = is_stored(owed) ? close_one(owed, lease, &err) : PIM_OK;

        if (rc == PIM_REFUSED || rc == PIM_NOT_FOUND) { /* the member is back, or gone for good: the entry alone */
            struct pim_owed plain = *owed;

            plain.type = PIM_ROW_HIDDEN;
            close_one(&plain, lease, &err);
        }
    }
}

static void
settle_end(struct pim_settle *settle)
{
    pim_settled_fn on_settled = settle->on_settled;
    void *ctx = settle->ctx;
    int rc = settle->rc;

    pim_owed_list_fini(&settle->owed);
    free(settle);
    on_settled(ctx, rc);
}

static void
close_done(struct pim_job *job, int rc)
{
    (void)rc;
    settle_end((struct pim_settle *)job);
}

static void
on_owed_done(struct pim_send *send)
{
    struct pim_owed *owed = (struct pim_owed *)send;
    struct pim_settle *settle = owed->settle;

    if (!is_stored(owed)) {
        settle->rc = PIM_ERR_UNAVAILABLE;
        if (send->state != PIM_SENT_BUSY)
            pim_log(PIM_LOG_ERR, "an owed row cannot be stored: type %u, state %u", owed->type, send->state);
    }
    if (--settle->left > 0)
        return;
    settle->job.run = close_run;
    settle->job.done = close_done;
    if (pim_data_post(settle->im->data, PIM_POOL_RECORDS_WRITE, &settle->job) != PIM_OK)
        settle_end(settle);
}

void
pim_im_settle(struct pim_im *im, struct pim_owed_list *list, pim_settled_fn on_settled, void *ctx)
{
    struct pim_mail_list mails = STAILQ_HEAD_INITIALIZER(mails);
    struct pim_settle *settle;
    struct pim_owed *owed;
    uint32_t n = 0;

    if (STAILQ_EMPTY(list)) {
        on_settled(ctx, PIM_OK);
        return;
    }
    settle = pim_new0(sizeof *settle);
    settle->im = im;
    settle->on_settled = on_settled;
    settle->ctx = ctx;
    STAILQ_INIT(&settle->owed);
    STAILQ_CONCAT(&settle->owed, list);
    STAILQ_FOREACH (owed, &settle->owed, link) {
        struct pim_send *send = &owed->send;

        owed->settle = settle;
        send->conv = owed->conv;
        send->sender_id = owed->sender_id;
        memcpy(send->cid, owed->cid, 16);
        send->type = owed->type;
        send->body = owed->body;
        send->body_len = owed->body_len;
        send->flags |= PIM_SEND_EXEMPT | (pim_row_is_countable(owed->type) ? PIM_SEND_COUNTABLE : 0);
        send->done = on_owed_done;
        STAILQ_INSERT_TAIL(&mails, &send->mail, link);
        n++;
    }
    settle->left = n;
    pim_failpoint("owed-before-append");
    pim_msglog_post(pim_data_log(im->data), &mails, n);
}

/* --- what an earlier run or a store that was away has left ------------------------------------------------------- */

struct replay {
    struct pim_job job;
    struct pim_im *im;
    int64_t before_ms;
    struct pim_owed_list owed;
};

static int32_t
on_entry(void *ctx, uint32_t item, const struct pim_val *v, uint32_t n_vals)
{
    struct replay *replay = ctx;
    struct pim_owed *owed;

    (void)item;
    (void)n_vals;
    if (v[PIM_OUT_CREATED_MS].u.i > replay->before_ms || v[PIM_OUT_CID].len != 16)
        return 0;
    owed = pim_new0(sizeof *owed);
    owed->out_id = v[PIM_OUT_ID].u.i;
    owed->conv =
        (struct pim_conv){.kind = (int32_t)v[PIM_OUT_KIND].u.i, .a = v[PIM_OUT_A].u.i, .b = v[PIM_OUT_B].u.i};
    owed->sender_id = v[PIM_OUT_SENDER].u.i;
    memcpy(owed->cid, v[PIM_OUT_CID].u.p, 16);
    owed->type = (uint32_t)v[PIM_OUT_TYPE].u.i;
    owed->body = pim_strndup(v[PIM_OUT_BODY].u.p, v[PIM_OUT_BODY].len);
    owed->body_len = v[PIM_OUT_BODY].len;
    STAILQ_INSERT_TAIL(&replay->owed, owed, link);
    return 0;
}

static void
replay_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct replay *replay = (struct replay *)job;
    struct pim_query query = {.kind = PIM_K_OUTBOX,
                              .index = PIM_OUT_BY_ID,
                              .limit = REPLAY_ROWS,
                              .cols = PIM_COLS_ALL(PIM_OUT_COLS)};
    struct pim_err err = PIM_ERR_INIT;

    if (failed == 0 && pim_rec_list(lease, &query, on_entry, replay, &err) < 0)
        pim_owed_list_fini(&replay->owed);
}

static void
on_replayed(void *ctx, int rc)
{
    (void)ctx;
    (void)rc;
}

static void
replay_done(struct pim_job *job, int rc)
{
    struct replay *replay = (struct replay *)job;

    (void)rc;
    pim_im_settle(replay->im, &replay->owed, on_replayed, NULL);
    free(replay);
}

void
pim_outbox_replay(struct pim_im *im, int64_t age_ms)
{
    struct replay *replay = pim_new0(sizeof *replay);

    replay->im = im;
    replay->before_ms = pim_clock_wall_ms() - age_ms;
    STAILQ_INIT(&replay->owed);
    replay->job.run = replay_run;
    replay->job.done = replay_done;
    if (pim_data_post(im->data, PIM_POOL_RECORDS_READ, &replay->job) != PIM_OK)
        free(replay);
}
