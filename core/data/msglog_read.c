/* What the append thread needs to read and must not wait for: jobs on the reader threads, answers by mail. */
#include "data/msglog_priv.h"
#include "util/clock.h"
#include "util/id.h"
#include "util/mem.h"

#include <string.h>

#define LOAD_ROWS 1000000 /* of a conversation read cold: more than two minutes of a busy one hold */
#define LOAD_SENDERS 65536 /* whose highest client ids are kept while it is read */
#define SEARCH_PAGE 1000

struct load_sender { /* somebody who spoke in the tail */
    uint8_t max_cid[16];
    int64_t last_ms;
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
    struct pim_map senders; /* id -> struct load_sender */
    uint32_t n_rows;
    int64_t oldest_ms; /* of the rows read */
    struct pim_rights *rights;
    uint32_t tick;
};

struct wanted { /* one client id that is looked for */
    uint8_t cid[16];
    struct pim_send *send; /* compared only: it may be gone when the answer comes */
    bool found;
    int64_t seq, ord, msg_id, created_ms;
    uint64_t hash;
};

/* Looking for client ids of one sender: one walk for all that wait. */
struct log_searching {
    struct pim_mail mail;
    struct pim_job job;
    struct log_thread *thread;
    struct pim_conv conv;
    uint64_t number;
    int64_t sender_id, since_ms, resume_seq, budget;
    uint8_t max_cid[16];
    uint32_t n_wanted, n_found;
    struct wanted wanted[SEARCH_IDS];
    /* out */
    int rc;
    bool floor_met, out_of_budget;
    uint32_t rows_read;
    int64_t lowest_seq;
    bool below_since; /* the walk has passed `since_ms` */
};

static void
load_free(struct log_load *load)
{
    struct load_sender *sender;
    size_t at = 0;

    while ((sender = pim_map_next(&load->senders, &at, NULL)) != NULL)
        free(sender);
    pim_map_fini(&load->senders);
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
    struct load_sender *sender;

    (void)item;
    sender = pim_map_find(&load->senders, msg->sender_id);
    if (load->n_rows == LOAD_ROWS || (sender == NULL && load->senders.count == LOAD_SENDERS))
        return 1;
    if (sender == NULL) {
        sender = pim_new0(sizeof *sender);
        sender->last_ms = msg->created_ms; /* newest first */
        pim_map_put(&load->senders, msg->sender_id, sender);
    }
    if (memcmp(msg->cid, sender->max_cid, 16) > 0)
        memcpy(sender->max_cid, msg->cid, 16);
    load->oldest_ms = msg->created_ms;
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
    struct load_sender *spoke;
    struct pim_send *send;
    int64_t id;
    size_t at = 0;

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
        else if (load->tail.result == PIM_MORE || load->n_rows == LOAD_ROWS || load->senders.count == LOAD_SENDERS)
            conv->complete_from_ms = load->oldest_ms + 1;
        else
            conv->complete_from_ms = load->tail.since_ms;
        if (load->tail.head_seq == 0)
            conv->complete_from_ms = 0; /* no row has ever been there */
        while ((spoke = pim_map_next(&load->senders, &at, &id)) != NULL) {
            struct log_sender *sender = pim_msglog_sender_get(t, conv, id);

            memcpy(sender->max_cid, spoke->max_cid, 16);
            sender->last_ms = spoke->last_ms;
        }
        /* what was looked up before is to be looked up again against the rows that came */
        TAILQ_FOREACH (send, &conv->queue, wait)
            send->search = SEARCH_NONE;
    }
    load_free(load);
    pim_msglog_conv_ready(t, conv);
}

/* --- looking for client ids, backwards in number order --------------------------------------------------- */

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
    for (uint32_t i = 0; i < s->n_wanted; i++) {
        struct wanted *wanted = &s->wanted[i];

        if (wanted->found || memcmp(msg->cid, wanted->cid, 16) != 0)
            continue;
        wanted->found = true;
        wanted->seq = msg->seq;
        wanted->ord = msg->ord;
        wanted->msg_id = msg->msg_id;
        wanted->created_ms = msg->created_ms;
        wanted->hash = msg->body_hash;
        s->n_found++;
        break;
    }
    return s->n_found == s->n_wanted;
}

static bool
walk_is_over(const struct log_searching *s, const struct pim_tail *tail)
{
    return s->n_found == s->n_wanted || s->below_since || s->lowest_seq <= tail->floor_seq + 1;
}

static void
search_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct log_searching *s = (struct log_searching *)((char *)job - offsetof(struct log_searching, job));
    struct pim_tail tail = {.conv = s->conv, .since_ms = s->since_ms, .limit = SEARCH_PAGE, .flags = PIM_TAIL_DURABLE};
    struct pim_head head = {.conv = s->conv};
    struct pim_err err = PIM_ERR_INIT;
    int rc;

    s->rc = failed;
    if (failed != 0)
        return;
    if (s->resume_seq > 0) { /* the rows above were walked before */
        rc = pim_lease_note(lease, lease->ops->heads(lease->conn, &lease->call, &head, 1, sizeof head, &err));
        tail.floor_seq = head.floor_seq;
        tail.floor_ms = head.floor_ms;
        tail.result = PIM_MORE;
        s->lowest_seq = s->resume_seq;
    } else {
        rc = pim_lease_note(lease,
                            lease->ops->tails(lease->conn, &lease->call, &tail, 1, sizeof tail, on_search_row, s, &err));
        if (rc >= 0 && tail.result < 0)
            rc = tail.result;
    }
    while (rc >= 0 && tail.result == PIM_MORE && !walk_is_over(s, &tail)) {
        struct pim_history page = {.struct_size = sizeof page,
                                   .flags = PIM_H_DESC,
                                   .conv = s->conv,
                                   .from_seq = tail.floor_seq + 1,
                                   .to_seq = s->lowest_seq - 1,
                                   .limit = SEARCH_PAGE};
        int64_t before = s->lowest_seq;

        if (s->rows_read >= s->budget) {
            s->out_of_budget = true;
            break;
        }
        rc = pim_lease_note(lease, lease->ops->history(lease->conn, &lease->call, &page, on_search_row, s, &err));
        if (s->lowest_seq == before)
            break;
    }
    if (rc >= 0 && !s->out_of_budget && tail.floor_seq > 0 && tail.floor_ms >= s->since_ms)
        s->floor_met = true; /* what was not found may have stood among the rows that are gone */
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

static bool
is_wanted(const struct log_searching *s, const uint8_t cid[16])
{
    for (uint32_t i = 0; i < s->n_wanted; i++)
        if (memcmp(s->wanted[i].cid, cid, 16) == 0)
            return true;
    return false;
}

static bool
is_resumed(const struct log_resume *resume, const uint8_t cid[16])
{
    for (uint32_t i = 0; i < resume->n; i++)
        if (memcmp(resume->cids[i], cid, 16) == 0)
            return true;
    return false;
}

/* All ids of this sender that wait: of equal ones the first, the others are looked up when that one is settled. */
static void
want_all(struct log_searching *s, struct log_conv *conv, const struct log_resume *resume, int64_t skew_ms)
{
    struct pim_send *send;

    TAILQ_FOREACH (send, &conv->queue, wait) {
        int64_t since_ms = pim_uuid7_ms(send->cid) - skew_ms;

        if (s->n_wanted == SEARCH_IDS)
            break;
        if (send->sender_id != s->sender_id || send->search != SEARCH_NONE || (send->flags & PIM_SEND_SERVER_ID) != 0 ||
            is_wanted(s, send->cid) || (resume != NULL && !is_resumed(resume, send->cid)))
            continue;
        if (s->n_wanted == 0 || since_ms < s->since_ms)
            s->since_ms = since_ms;
        memcpy(s->wanted[s->n_wanted].cid, send->cid, 16);
        s->wanted[s->n_wanted++].send = send;
    }
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
    s->budget = (send->flags & PIM_SEND_EXEMPT) ? INT64_MAX : t->log->limits.search_rows_per_s - sender->budget_rows;
    if (sender->resume != NULL) {
        want_all(s, conv, sender->resume, t->log->limits.skew_ms);
        if (s->n_wanted > 0) {
            s->resume_seq = sender->resume->lowest_seq;
            memcpy(s->max_cid, sender->resume->max_cid, 16);
        }
        free(sender->resume);
        sender->resume = NULL;
    }
    if (s->n_wanted == 0)
        want_all(s, conv, NULL, t->log->limits.skew_ms);
    s->job.run = search_run;
    s->job.done = search_done;
    s->number = sender->search = ++t->n_search;
    atomic_fetch_add_explicit(&t->searches, 1, memory_order_relaxed);
    rc = pim_data_post(t->log->data, PIM_POOL_MESSAGES_READ, &s->job);
    if (rc < 0) {
        s->rc = rc;
        search_answer(s);
    }
}

static struct pim_send *
find_waiting(struct log_conv *conv, const struct wanted *wanted)
{
    struct pim_send *send;

    TAILQ_FOREACH (send, &conv->queue, wait)
        if (send == wanted->send && memcmp(send->cid, wanted->cid, 16) == 0)
            return send;
    return NULL;
}

/* One id's answer. */
static void
settle_wanted(struct log_thread *t, struct log_conv *conv, const struct log_searching *s, const struct wanted *wanted)
{
    struct pim_send *send = find_waiting(conv, wanted);

    if (send == NULL)
        return;
    if (s->rc >= 0 && !wanted->found && !s->out_of_budget) {
        send->search = s->floor_met ? SEARCH_GONE : SEARCH_NOT_FOUND;
        return;
    }
    TAILQ_REMOVE(&conv->queue, send, wait);
    conv->queued--;
    if (s->rc < 0) {
        pim_msglog_end(t, send, PIM_SENT_BUSY, s->rc);
    } else if (!wanted->found) {
        pim_msglog_end(t, send, PIM_SENT_BUSY, PIM_ERR_FULL);
    } else if (wanted->hash != send->body_hash && (send->flags & PIM_SEND_EXEMPT) == 0) {
        pim_msglog_end(t, send, PIM_SENT_CONFLICT, 0);
    } else {
        send->seq = wanted->seq;
        send->ord = wanted->ord;
        send->msg_id = wanted->msg_id;
        send->created_ms = wanted->created_ms;
        atomic_fetch_add_explicit(&t->resends, 1, memory_order_relaxed);
        pim_msglog_end(t, send, PIM_SENT_BEFORE, 0);
    }
}

static void
remember(const struct log_conv *conv, struct log_sender *sender, const struct log_searching *s)
{
    if (s->out_of_budget) { /* the next try of these goes on from here */
        sender->resume = pim_new0(sizeof *sender->resume);
        for (uint32_t i = 0; i < s->n_wanted; i++)
            if (!s->wanted[i].found)
                memcpy(sender->resume->cids[sender->resume->n++], s->wanted[i].cid, 16);
        memcpy(sender->resume->max_cid, s->max_cid, 16);
        sender->resume->lowest_seq = s->lowest_seq;
    } else if (s->n_found < s->n_wanted && !s->floor_met) {
        /* all of his rows since then have been seen: larger ids need no search of their own */
        if (sender->known_from_ms == 0 || s->since_ms < sender->known_from_ms)
            sender->known_from_ms = s->since_ms;
        if (memcmp(s->max_cid, sender->max_cid, 16) > 0)
            memcpy(sender->max_cid, s->max_cid, 16);
        sender->last_ms = conv->last_ms; /* none of his can be younger */
    }
}

void
pim_msglog_searched(struct log_thread *t, struct pim_mail *mail)
{
    struct log_searching *s = (struct log_searching *)mail;
    struct log_conv *conv = pim_msglog_conv_find(t, &s->conv);
    struct log_sender *sender = conv != NULL ? pim_msglog_sender_find(conv, s->sender_id) : NULL;

    if (sender == NULL || sender->search != s->number) {
        free(s); /* the conversation was read anew meanwhile: this search may not have seen the rows that came. It is made anew */
        return;
    }
    sender->search = 0;
    sender->budget_rows += s->rows_read;
    if (conv->state != CONV_LOADING) { /* else rows have come that it has not seen, and they are being read */
        for (uint32_t i = 0; i < s->n_wanted; i++)
            settle_wanted(t, conv, s, &s->wanted[i]);
        if (s->rc >= 0)
            remember(conv, sender, s);
    }
    free(s);
    pim_msglog_conv_ready(t, conv);
}
