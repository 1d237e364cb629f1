/* What the append thread needs to read and must not wait for: jobs on the reader threads, answers by mail. */
#include "data/msglog_priv.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"

#include <string.h>

#define LOAD_ROWS 1000
#define SEARCH_PAGE 1000

struct load_row {
    int64_t sender_id, created_ms;
    uint8_t cid[16];
};

/* Reading a conversation cold: its tail from the messages, then its rights from the records. */
struct log_load {
    struct pim_mail mail;
    struct pim_job job;
    struct log_thread *thread;
    struct pim_conv conv;
    bool rights_only;
    int rc;
    struct pim_tail tail;
    struct load_row *rows;
    uint32_t n_rows;
    struct pim_rights *rights;
    uint32_t tick;
};

struct log_searching {
    struct pim_mail mail;
    struct pim_job job;
    struct log_thread *thread;
    struct pim_conv conv;
    int64_t sender_id, since_ms, resume_seq, budget;
    uint8_t cid[16], max_cid[16];
    struct pim_send *send;
    /* out */
    int rc;
    bool found, floor_met, out_of_budget;
    uint32_t rows_read;
    int64_t lowest_seq, found_seq, found_ord, found_id, found_ms;
    uint64_t found_hash;
    bool below_since; /* the walk has passed `since_ms` */
};

static void
load_free(struct log_load *load)
{
    free(load->rows);
    free(load);
}

static void
load_answer(struct log_load *load, int rc)
{
    load->rc = rc;
    load->mail.kind = MAIL_LOADED;
    if (pim_mailbox_post_always(&load->thread->box, &load->mail) != PIM_OK) {
        load->thread->log->rules.rights_free(&load->rights);
        load_free(load); /* stopped meanwhile */
    }
}

static int32_t
on_load_row(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct log_load *load = ctx;

    (void)item;
    if (load->n_rows == LOAD_ROWS)
        return 1;
    load->rows[load->n_rows].sender_id = msg->sender_id;
    load->rows[load->n_rows].created_ms = msg->created_ms;
    memcpy(load->rows[load->n_rows].cid, msg->cid, 16);
    load->n_rows++;
    return 0;
}

static void
rights_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct log_load *load = (struct log_load *)((char *)job - offsetof(struct log_load, job));
    struct pim_msglog *log = load->thread->log;
    struct pim_err err = PIM_ERR_INIT;

    load->rc = failed != 0 ? failed : log->rules.rights_load(log->rules.ctx, lease, &load->conv, &load->rights, &err);
}

static void
rights_done(struct pim_job *job, int rc)
{
    struct log_load *load = (struct log_load *)((char *)job - offsetof(struct log_load, job));

    load_answer(load, rc < 0 ? rc : load->rc);
}

static void
tail_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct log_load *load = (struct log_load *)((char *)job - offsetof(struct log_load, job));
    struct pim_err err = PIM_ERR_INIT;

    if (failed != 0) {
        load->rc = failed;
        return;
    }
    load->rows = pim_new(LOAD_ROWS * sizeof *load->rows);
    load->tail = (struct pim_tail){.conv = load->conv,
                                   .since_ms = pim_clock_wall_ms() - 2 * load->thread->log->limits.skew_ms,
                                   .limit = LOAD_ROWS,
                                   .flags = PIM_TAIL_DURABLE};
    load->rc = lease->ops->tails(lease->conn, &lease->call, &load->tail, 1, sizeof load->tail, on_load_row, load, &err);
    if (load->rc >= 0 && load->tail.result < 0)
        load->rc = load->tail.result;
}

static void
tail_done(struct pim_job *job, int rc)
{
    struct log_load *load = (struct log_load *)((char *)job - offsetof(struct log_load, job));

    if (rc < 0 || load->rc < 0) {
        load_answer(load, rc < 0 ? rc : load->rc);
        return;
    }
    load->job.run = rights_run;
    load->job.done = rights_done;
    rc = pim_data_post(load->thread->log->data, PIM_POOL_RECORDS_READ, &load->job);
    if (rc < 0)
        load_answer(load, rc);
}

static struct log_load *
load_new(struct log_thread *t, struct log_conv *conv)
{
    struct log_load *load = pim_new0(sizeof *load);

    load->thread = t;
    load->conv = conv->id;
    load->tick = t->tick;
    return load;
}

void
pim_msglog_load_begin(struct log_thread *t, struct log_conv *conv)
{
    struct log_load *load = load_new(t, conv);
    int rc;

    conv->state = CONV_LOADING;
    load->job.run = tail_run;
    load->job.done = tail_done;
    rc = pim_data_post(t->log->data, PIM_POOL_MESSAGES_READ, &load->job);
    if (rc < 0)
        load_answer(load, rc);
}

void
pim_msglog_rights_begin(struct log_thread *t, struct log_conv *conv)
{
    struct log_load *load = load_new(t, conv);
    int rc;

    conv->state = CONV_RIGHTS;
    load->rights_only = true;
    load->job.run = rights_run;
    load->job.done = rights_done;
    rc = pim_data_post(t->log->data, PIM_POOL_RECORDS_READ, &load->job);
    if (rc < 0)
        load_answer(load, rc);
}

void
pim_msglog_loaded(struct log_thread *t, struct pim_mail *mail)
{
    struct log_load *load = (struct log_load *)mail;
    struct log_conv *conv = pim_msglog_conv_find(t, &load->conv);
    struct pim_send *send;

    if (conv == NULL || (conv->state != CONV_LOADING && conv->state != CONV_RIGHTS)) {
        t->log->rules.rights_free(&load->rights);
        load_free(load);
        return;
    }
    conv->state = CONV_READY;
    if (load->rc < 0) {
        /* nothing is known of it: answer those who wait, and read again when the next one comes */
        pim_msglog_queue_fail(t, conv, load->rc);
        conv->rights_stale = true;
        if (!load->rights_only)
            conv->head_seq = -1;
        load_free(load);
        return;
    }
    t->log->rules.rights_free(&conv->rights);
    conv->rights = load->rights;
    conv->rights_tick = load->tick;
    conv->rights_stale = false;
    if (!load->rights_only) {
        conv->head_seq = load->tail.head_seq;
        conv->head_ord = load->tail.head_ord;
        conv->last_ms = load->tail.last_ms;
        conv->last_day = load->tail.last_day;
        pim_msglog_senders_clear(conv);
        /* everything since the oldest row read is known; where the walk was cut short, only what is younger than that row */
        if (load->n_rows == 0)
            conv->complete_from_ms = conv->last_ms + 1;
        else if (load->tail.result == PIM_MORE || load->n_rows == LOAD_ROWS)
            conv->complete_from_ms = load->rows[load->n_rows - 1].created_ms + 1;
        else
            conv->complete_from_ms = load->tail.since_ms;
        if (load->tail.head_seq == 0)
            conv->complete_from_ms = 0; /* no row has ever been there */
        for (uint32_t i = 0; i < load->n_rows; i++) {
            struct log_sender *sender = pim_msglog_sender_get(t, conv, load->rows[i].sender_id);

            if (memcmp(load->rows[i].cid, sender->max_cid, 16) > 0)
                memcpy(sender->max_cid, load->rows[i].cid, 16);
        }
        /* what was looked up before is to be looked up again against the rows that came */
        TAILQ_FOREACH (send, &conv->queue, wait)
            send->search = SEARCH_NONE;
    }
    load_free(load);
    pim_msglog_conv_ready(t, conv);
}

/* --- looking for a client id, backwards in number order ------------------------------------------------- */

static int32_t
on_search_row(void *ctx, uint32_t item, const struct pim_msg *msg)
{
    struct log_searching *s = ctx;

    (void)item;
    if (msg->created_ms < s->since_ms) {
        s->below_since = true;
        return 1;
    }
    s->rows_read++;
    s->lowest_seq = msg->seq;
    if (msg->sender_id != s->sender_id)
        return 0;
    if (memcmp(msg->cid, s->max_cid, 16) > 0)
        memcpy(s->max_cid, msg->cid, 16);
    if (memcmp(msg->cid, s->cid, 16) != 0)
        return 0;
    s->found = true;
    s->found_seq = msg->seq;
    s->found_ord = msg->ord;
    s->found_id = msg->msg_id;
    s->found_ms = msg->created_ms;
    s->found_hash = msg->body_hash;
    return 1;
}

static void
search_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct log_searching *s = (struct log_searching *)((char *)job - offsetof(struct log_searching, job));
    struct pim_tail tail = {.conv = s->conv, .since_ms = s->since_ms, .limit = SEARCH_PAGE, .flags = PIM_TAIL_DURABLE};
    struct pim_err err = PIM_ERR_INIT;
    int rc;

    s->rc = failed;
    if (failed != 0)
        return;
    if (s->resume_seq > 0)
        tail.limit = 1; /* the head and the floor; the walk goes on below */
    rc = lease->ops->tails(lease->conn, &lease->call, &tail, 1, sizeof tail, on_search_row, s, &err);
    if (rc >= 0 && tail.result < 0)
        rc = tail.result;
    if (rc >= 0 && tail.head_seq == 0)
        goto out;
    if (s->resume_seq > 0)
        s->lowest_seq = s->resume_seq;
    if (rc >= 0 && !s->found && s->rows_read == 0 && s->resume_seq == 0)
        goto out; /* the newest row is older than any copy could be */
    while (rc >= 0 && !s->found && !s->below_since && s->lowest_seq > tail.floor_seq + 1) {
        struct pim_history page = {.struct_size = sizeof page,
                                   .flags = PIM_H_DESC,
                                   .conv = s->conv,
                                   .from_seq = tail.floor_seq + 1,
                                   .to_seq = s->lowest_seq - 1,
                                   .limit = SEARCH_PAGE};
        int64_t before = s->lowest_seq;

        if (tail.result != PIM_MORE && s->resume_seq == 0 && s->rows_read < SEARCH_PAGE)
            break; /* the tail went to its end */
        if (s->rows_read >= s->budget) {
            s->out_of_budget = true;
            break;
        }
        rc = lease->ops->history(lease->conn, &lease->call, &page, on_search_row, s, &err);
        if (s->lowest_seq == before)
            break;
    }
    if (rc >= 0 && !s->found && !s->out_of_budget && tail.floor_seq > 0 && tail.floor_ms >= s->since_ms)
        s->floor_met = true; /* it may have stood among the rows that are gone */
out:
    s->rc = rc < 0 ? rc : PIM_OK;
}

static void
search_answer(struct log_searching *s)
{
    s->mail.kind = MAIL_SEARCHED;
    if (pim_mailbox_post_always(&s->thread->box, &s->mail) != PIM_OK)
        free(s);
}

static void
search_done(struct pim_job *job, int rc)
{
    struct log_searching *s = (struct log_searching *)((char *)job - offsetof(struct log_searching, job));

    if (rc < 0)
        s->rc = rc;
    search_answer(s);
}

void
pim_msglog_search_begin(struct log_thread *t, struct log_conv *conv, struct log_sender *sender, struct pim_send *send)
{
    int64_t now_ms = pim_clock_mono_ms();
    struct log_searching *s;
    int rc;

    if (sender->budget_ms / 1000 != now_ms / 1000)
        sender->budget_rows = 0;
    sender->budget_ms = now_ms;
    if (sender->budget_rows >= t->log->limits.search_rows_per_s && (send->flags & PIM_SEND_EXEMPT) == 0) {
        TAILQ_REMOVE(&conv->queue, send, wait);
        conv->queued--;
        pim_msglog_end(t, send, PIM_SENT_BUSY, PIM_ERR_FULL);
        return;
    }
    s = pim_new0(sizeof *s);
    s->thread = t;
    s->conv = conv->id;
    s->sender_id = send->sender_id;
    s->since_ms = pim_uuid7_ms(send->cid) - t->log->limits.skew_ms;
    s->budget = (send->flags & PIM_SEND_EXEMPT) ? INT64_MAX : t->log->limits.search_rows_per_s - sender->budget_rows;
    memcpy(s->cid, send->cid, 16);
    if (sender->resume_seq > 0 && memcmp(sender->resume_cid, send->cid, 16) == 0) {
        s->resume_seq = sender->resume_seq;
        memcpy(s->max_cid, sender->resume_max, 16);
    }
    s->send = send;
    s->job.run = search_run;
    s->job.done = search_done;
    sender->searching = true;
    atomic_fetch_add_explicit(&t->searches, 1, memory_order_relaxed);
    rc = pim_data_post(t->log->data, PIM_POOL_MESSAGES_READ, &s->job);
    if (rc < 0) {
        s->rc = rc;
        search_answer(s);
    }
}

void
pim_msglog_searched(struct log_thread *t, struct pim_mail *mail)
{
    struct log_searching *s = (struct log_searching *)mail;
    struct log_conv *conv = pim_msglog_conv_find(t, &s->conv);
    struct log_sender *sender = conv != NULL ? pim_msglog_sender_find(conv, s->sender_id) : NULL;
    struct pim_send *send;

    if (conv == NULL) {
        free(s);
        return;
    }
    TAILQ_FOREACH (send, &conv->queue, wait)
        if (send == s->send && memcmp(send->cid, s->cid, 16) == 0)
            break;
    if (sender != NULL) {
        sender->searching = false;
        sender->budget_rows += s->rows_read;
        sender->resume_seq = 0;
    }
    if (send == NULL || sender == NULL || conv->state == CONV_LOADING) {
        free(s); /* the conversation was read anew meanwhile; the send is looked up again if it must be */
        pim_msglog_conv_ready(t, conv);
        return;
    }
    if (s->rc < 0 || s->found || s->out_of_budget) {
        TAILQ_REMOVE(&conv->queue, send, wait);
        conv->queued--;
    }
    if (s->rc < 0) {
        pim_msglog_end(t, send, PIM_SENT_BUSY, s->rc);
    } else if (s->found && s->found_hash != send->body_hash && (send->flags & PIM_SEND_EXEMPT) == 0) {
        pim_msglog_end(t, send, PIM_SENT_CONFLICT, 0);
    } else if (s->found) {
        send->seq = s->found_seq;
        send->ord = s->found_ord;
        send->msg_id = s->found_id;
        send->created_ms = s->found_ms;
        atomic_fetch_add_explicit(&t->resends, 1, memory_order_relaxed);
        pim_msglog_end(t, send, PIM_SENT_BEFORE, 0);
    } else if (s->out_of_budget) {
        memcpy(sender->resume_cid, s->cid, 16);
        memcpy(sender->resume_max, s->max_cid, 16);
        sender->resume_seq = s->lowest_seq;
        pim_msglog_end(t, send, PIM_SENT_BUSY, PIM_ERR_FULL);
    } else {
        send->search = s->floor_met ? SEARCH_GONE : SEARCH_NOT_FOUND;
        if (!s->floor_met) {
            /* all of his rows since then have been seen: larger ids need no search of their own */
            if (sender->known_from_ms == 0 || s->since_ms < sender->known_from_ms)
                sender->known_from_ms = s->since_ms;
            if (memcmp(s->max_cid, sender->max_cid, 16) > 0)
                memcpy(sender->max_cid, s->max_cid, 16);
        }
    }
    free(s);
    pim_msglog_conv_ready(t, conv);
}
