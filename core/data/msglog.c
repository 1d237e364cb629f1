/* The append threads: their loop, and what others may ask of them. */
#include "data/msglog.h"

#include "data/msglog_priv.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define UNSETTLED_WAIT_MS 50
#define REOPEN_PAUSE_MS 500
#define GROUP_JOBS 64          /* records' writes in one commit */
#define GROUP_TIMEOUT_MS 10000 /* of that commit */

struct rights_mail {
    struct pim_mail mail;
    struct pim_conv conv;
};
struct job_mail {
    struct pim_mail mail;
    struct pim_job *job;
};

uint32_t
pim_msglog_thread_of(const struct pim_msglog *log, const struct pim_conv *conv)
{
    return log->n_threads == 1 ? 0 : (uint32_t)(pim_msglog_conv_hash(conv) % log->n_threads);
}

bool
pim_msglog_connected(struct log_thread *t)
{
    struct pim_call call = {.struct_size = sizeof call, .flags = PIM_CALL_WRITER};
    struct pim_err err = PIM_ERR_INIT;
    int64_t now_ms = pim_clock_mono_ms();

    if (t->lease.lost && t->lease.conn != NULL)
        t->log->ops->conn_close(&t->lease.conn);
    t->lease.lost = false;
    if (t->lease.conn == NULL && now_ms - t->lease.tried_ms > REOPEN_PAUSE_MS) {
        /* one that was opened may be lost and opened again at once; the pause is for an engine that is away */
        t->lease.tried_ms = 0;
        if (t->log->ops->conn_open(t->log->store, &call, &t->lease.conn, &err) < 0) {
            t->lease.conn = NULL;
            t->lease.tried_ms = now_ms;
        }
    }
    return t->lease.conn != NULL;
}

static void
run_job(struct log_thread *t, struct pim_job *job)
{
    int failed = pim_clock_mono_ms() > job->deadline_ms ? PIM_ERR_TIMEOUT : !pim_msglog_connected(t) ? PIM_ERR_UNAVAILABLE : 0;

    t->lease.call.deadline_ms = job->deadline_ms;
    t->lease.call.flags = 0;
    job->run(job, failed != 0 ? NULL : &t->lease, failed);
}

/* Jobs that have gathered, in one commit if they are grouped. */
static void
run_group(struct log_thread *t, struct log_jobs *jobs, bool grouped)
{
    struct pim_err err = PIM_ERR_INIT;
    struct pim_job *job;
    int rc = PIM_OK;

    if (grouped) {
        t->lease.call.deadline_ms = STAILQ_FIRST(jobs)->deadline_ms;
        grouped = pim_msglog_connected(t) && t->log->ops->group_begin(t->lease.conn, &t->lease.call, &err) == PIM_OK;
    }
    STAILQ_FOREACH (job, jobs, link)
        run_job(t, job);
    if (grouped) {
        t->lease.call.deadline_ms = pim_clock_mono_ms() + GROUP_TIMEOUT_MS;
        rc = pim_lease_note(&t->lease, t->log->ops->group_end(t->lease.conn, &t->lease.call, &err));
    }
    while ((job = STAILQ_FIRST(jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(jobs, link);
        atomic_fetch_sub_explicit(&t->queued_jobs, 1, memory_order_relaxed);
        job->done(job, rc);
    }
}

static void
run_jobs(struct log_thread *t)
{
    while (!STAILQ_EMPTY(&t->jobs)) {
        struct log_jobs some = STAILQ_HEAD_INITIALIZER(some);
        struct pim_job *job;
        uint32_t n = 0;

        while (n < GROUP_JOBS && (job = STAILQ_FIRST(&t->jobs)) != NULL) {
            STAILQ_REMOVE_HEAD(&t->jobs, link);
            STAILQ_INSERT_TAIL(&some, job, link);
            n++;
        }
        run_group(t, &some, n > 1 && t->can_group);
    }
}

static void
dispatch(struct log_thread *t, struct pim_mail *mail)
{
    switch (mail->kind) {
    case MAIL_SEND: {
        struct pim_send *send = (struct pim_send *)mail;
        struct log_conv *conv = pim_msglog_conv_get(t, &send->conv);

        send->tick = t->tick;
        send->search = SEARCH_NONE;
        TAILQ_INSERT_TAIL(&conv->queue, send, wait);
        conv->queued++;
        pim_msglog_conv_ready(t, conv);
        break;
    }
    case MAIL_LOADED:
        pim_msglog_loaded(t, mail);
        break;
    case MAIL_SEARCHED:
        pim_msglog_searched(t, mail);
        break;
    case MAIL_RIGHTS: {
        struct log_conv *conv = pim_msglog_conv_find(t, &((struct rights_mail *)mail)->conv);

        if (conv != NULL)
            conv->rights_stale = true;
        free(mail);
        break;
    }
    case MAIL_JOB:
        STAILQ_INSERT_TAIL(&t->jobs, ((struct job_mail *)mail)->job, link);
        free(mail);
        break;
    default:
        break;
    }
}

void
pim_msglog_flush_ended(struct log_thread *t)
{
    struct pim_send *send;

    if (TAILQ_EMPTY(&t->ended))
        return;
    pim_failpoint("after-commit");
    while ((send = TAILQ_FIRST(&t->ended)) != NULL) {
        TAILQ_REMOVE(&t->ended, send, wait);
        send->done(send);
    }
    t->log->rules.flush(t->log->rules.ctx, t->number);
    pim_failpoint("after-flush");
}

static void
turn(struct log_thread *t, struct pim_mail_list *mails)
{
    struct pim_mail *mail;

    t->tick++;
    while ((mail = STAILQ_FIRST(mails)) != NULL) {
        STAILQ_REMOVE_HEAD(mails, link);
        dispatch(t, mail);
    }
    run_jobs(t);
    if (t->n_unsettled_convs > 0)
        pim_msglog_unsettled_retry(t, pim_clock_mono_ms());
    pim_msglog_batch_fill(t);
    pim_msglog_batch_append(t);
    pim_msglog_flush_ended(t);
    t->n_sends = 0;
    pim_msglog_conv_trim(t);
}

/* The daemon stops: what is still waiting is told to come again with the same id. */
static void
answer_the_rest(struct log_thread *t)
{
    struct log_conv *conv;

    TAILQ_FOREACH (conv, &t->lru, lru) {
        for (uint32_t i = 0; i < conv->n_unsettled; i++)
            pim_msglog_end(t, conv->unsettled[i], PIM_SENT_BUSY, PIM_ERR_UNCERTAIN);
        conv->n_unsettled = 0;
        pim_msglog_queue_fail(t, conv, PIM_ERR_UNAVAILABLE);
    }
    pim_msglog_flush_ended(t);
}

static void
count_in(struct log_thread *t, int rc, const struct pim_err *err)
{
    struct pim_msglog *log = t->log;

    pthread_mutex_lock(&log->start_lock);
    log->n_started++;
    if (rc < 0 && log->start_rc == PIM_OK) {
        log->start_rc = rc;
        log->start_err = *err;
    }
    pthread_cond_signal(&log->started);
    pthread_mutex_unlock(&log->start_lock);
}

static void *
thread_main(void *arg)
{
    struct log_thread *t = arg;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_call call = {.struct_size = sizeof call, .flags = PIM_CALL_WRITER};
    struct pim_mail_list mails;
    int rc = t->log->ops->conn_open(t->log->store, &call, &t->lease.conn, &err);

    count_in(t, rc, &err);
    if (rc < 0)
        return NULL;
    for (;;) {
        int timeout_ms = !TAILQ_EMPTY(&t->ready) ? 0 : t->n_unsettled_convs > 0 ? UNSETTLED_WAIT_MS : -1;
        size_t n = pim_mailbox_wait(&t->box, &mails, timeout_ms);

        if (n == 0 && TAILQ_EMPTY(&t->ready) && pim_mailbox_is_done(&t->box))
            break;
        turn(t, &mails);
    }
    answer_the_rest(t);
    if (t->lease.conn != NULL)
        t->log->ops->conn_close(&t->lease.conn);
    return NULL;
}

int
pim_msglog_start(struct pim_data *data, const struct pim_storage_ops *ops, struct pim_store *store,
              const struct pim_store_info *info, const struct pim_msglog_rules *rules, const struct pim_msglog_limits *limits,
              struct pim_msglog **out_log, struct pim_err *err)
{
    struct pim_msglog *log = pim_new0(sizeof *log);
    uint32_t max_items = limits->batch_items ? limits->batch_items : info->append_items_best;
    uint32_t n_created = 0;
    int rc;

    log->data = data;
    log->ops = ops;
    log->store = store;
    log->info = *info;
    log->rules = *rules;
    log->limits = *limits;
    log->n_threads = limits->threads < info->write_conns_max ? limits->threads : info->write_conns_max;
    if (log->n_threads == 0)
        log->n_threads = 1;
    if (max_items == 0 || max_items > info->append_items_max)
        max_items = info->append_items_max;
    pthread_mutex_init(&log->start_lock, NULL);
    pthread_cond_init(&log->started, NULL);
    log->start_err = PIM_ERR_INIT;
    log->threads = pim_new0(log->n_threads * sizeof *log->threads);
    for (uint32_t i = 0; i < log->n_threads; i++) {
        struct log_thread *t = &log->threads[i];
        char name[24];

        t->log = log;
        t->number = i;
        t->max_items = max_items;
        t->sends = pim_new0(2 * (size_t)max_items * sizeof *t->sends);
        t->items = pim_new0(2 * (size_t)max_items * sizeof *t->items);
        t->runs = pim_new0((size_t)max_items * sizeof *t->runs);
        t->lease = (struct pim_lease){.data = data, .ops = ops, .call = {.struct_size = sizeof(struct pim_call)}};
        TAILQ_INIT(&t->lru);
        TAILQ_INIT(&t->ready);
        TAILQ_INIT(&t->ended);
        STAILQ_INIT(&t->jobs);
        t->can_group = (info->caps & PIM_CAP_GROUP) != 0;
#ifdef PIM_FAILPOINTS
        t->ack_early = getenv("PIM_FAULT_ACK_EARLY") != NULL;
#endif
        rc = pim_mailbox_init(&t->box, NULL, NULL, NULL, 0);
        if (rc == PIM_OK && pthread_create(&t->thread, NULL, thread_main, t) != 0)
            rc = PIM_ERR_INTERNAL;
        if (rc != PIM_OK) {
            pim_err_set(err, rc, "an append thread cannot be started");
            goto fail;
        }
        n_created++;
        snprintf(name, sizeof name, "pim-append%u", i);
        pthread_setname_np(t->thread, name);
    }
    pthread_mutex_lock(&log->start_lock);
    while (log->n_started < n_created)
        pthread_cond_wait(&log->started, &log->start_lock);
    pthread_mutex_unlock(&log->start_lock);
    if (log->start_rc < 0) {
        rc = log->start_rc;
        if (err != NULL)
            *err = log->start_err;
        goto fail;
    }
    *out_log = log;
    return PIM_OK;
fail:
    for (uint32_t i = 0; i < n_created; i++) {
        pim_mailbox_close(&log->threads[i].box);
        pthread_join(log->threads[i].thread, NULL);
    }
    log->n_threads = n_created;
    pim_msglog_free(&log);
    return rc;
}

void
pim_msglog_stop(struct pim_msglog *log)
{
    for (uint32_t i = 0; i < log->n_threads; i++)
        pim_mailbox_close(&log->threads[i].box);
    for (uint32_t i = 0; i < log->n_threads; i++)
        pthread_join(log->threads[i].thread, NULL);
}

void
pim_msglog_free(struct pim_msglog **logp)
{
    struct pim_msglog *log = *logp;

    if (log == NULL)
        return;
    for (uint32_t i = 0; i < log->n_threads; i++) {
        struct log_thread *t = &log->threads[i];

        pim_msglog_convs_fini(t);
        pim_mailbox_fini(&t->box);
        free(t->sends);
        free(t->items);
        free(t->runs);
    }
    pthread_mutex_destroy(&log->start_lock);
    pthread_cond_destroy(&log->started);
    free(log->threads);
    free(log);
    *logp = NULL;
}

/* --- what others ask ---------------------------------------------------------------------------------------- */

static void
refuse(struct pim_mail_list *sends, int reason)
{
    struct pim_mail *mail;

    while ((mail = STAILQ_FIRST(sends)) != NULL) {
        struct pim_send *send = (struct pim_send *)mail;

        STAILQ_REMOVE_HEAD(sends, link);
        send->state = PIM_SENT_BUSY;
        send->reason = reason;
        send->done(send);
    }
}

static void
post_to(struct log_thread *t, struct pim_mail_list *sends, size_t count, uint64_t bytes)
{
    const struct pim_msglog_limits *limits = &t->log->limits;

    if (count == 0)
        return;
    if (atomic_load_explicit(&t->queued_items, memory_order_relaxed) + count > limits->queue_items ||
        atomic_load_explicit(&t->queued_bytes, memory_order_relaxed) + bytes > limits->queue_bytes) {
        refuse(sends, PIM_ERR_FULL);
        return;
    }
    atomic_fetch_add_explicit(&t->queued_items, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->queued_bytes, bytes, memory_order_relaxed);
    if (pim_mailbox_post_list(&t->box, sends, count) != PIM_OK) {
        atomic_fetch_sub_explicit(&t->queued_items, count, memory_order_relaxed);
        atomic_fetch_sub_explicit(&t->queued_bytes, bytes, memory_order_relaxed);
        refuse(sends, PIM_ERR_UNAVAILABLE);
    }
}

void
pim_msglog_post(struct pim_msglog *log, struct pim_mail_list *sends, size_t count)
{
    struct pim_mail *mail;
    uint64_t bytes = 0;

    (void)count;
    if (log->n_threads == 1) {
        STAILQ_FOREACH (mail, sends, link) {
            mail->kind = MAIL_SEND;
            bytes += ((struct pim_send *)mail)->body_len;
        }
        post_to(&log->threads[0], sends, count, bytes);
        return;
    }
    for (uint32_t i = 0; i < log->n_threads; i++) {
        struct pim_mail_list mine = STAILQ_HEAD_INITIALIZER(mine), rest = STAILQ_HEAD_INITIALIZER(rest);
        size_t n = 0;

        bytes = 0;
        while ((mail = STAILQ_FIRST(sends)) != NULL) {
            STAILQ_REMOVE_HEAD(sends, link);
            mail->kind = MAIL_SEND;
            if (pim_msglog_thread_of(log, &((struct pim_send *)mail)->conv) == i) {
                STAILQ_INSERT_TAIL(&mine, mail, link);
                bytes += ((struct pim_send *)mail)->body_len;
                n++;
            } else {
                STAILQ_INSERT_TAIL(&rest, mail, link);
            }
        }
        STAILQ_CONCAT(sends, &rest);
        post_to(&log->threads[i], &mine, n, bytes);
    }
}

void
pim_msglog_rights_changed(struct pim_msglog *log, const struct pim_conv *conv)
{
    struct rights_mail *mail = pim_new0(sizeof *mail);

    mail->mail.kind = MAIL_RIGHTS;
    mail->conv = *conv;
    if (pim_mailbox_post_always(&log->threads[pim_msglog_thread_of(log, conv)].box, &mail->mail) != PIM_OK)
        free(mail);
}

int
pim_msglog_post_job(struct pim_msglog *log, struct pim_job *job)
{
    struct log_thread *t = &log->threads[0];
    uint32_t waiting = atomic_fetch_add_explicit(&t->queued_jobs, 1, memory_order_relaxed);
    struct job_mail *mail;
    int rc = PIM_ERR_FULL;

    if (log->limits.jobs == 0 || waiting < log->limits.jobs) {
        mail = pim_new0(sizeof *mail);
        mail->mail.kind = MAIL_JOB;
        mail->job = job;
        rc = pim_mailbox_post_always(&t->box, &mail->mail);
        if (rc == PIM_OK)
            return PIM_OK;
        free(mail);
    }
    atomic_fetch_sub_explicit(&t->queued_jobs, 1, memory_order_relaxed);
    return rc;
}

void
pim_msglog_stats(struct pim_msglog *log, struct pim_msglog_stats *out_stats)
{
    struct pim_msglog_stats sum = {0};

    for (uint32_t i = 0; i < log->n_threads; i++) {
        struct log_thread *t = &log->threads[i];

        sum.stored += atomic_load_explicit(&t->stored, memory_order_relaxed);
        sum.batches += atomic_load_explicit(&t->batches, memory_order_relaxed);
        sum.resends += atomic_load_explicit(&t->resends, memory_order_relaxed);
        sum.searches += atomic_load_explicit(&t->searches, memory_order_relaxed);
        sum.denied += atomic_load_explicit(&t->denied, memory_order_relaxed);
        sum.busy += atomic_load_explicit(&t->busy, memory_order_relaxed);
        sum.uncertain += atomic_load_explicit(&t->uncertain, memory_order_relaxed);
        sum.moved += atomic_load_explicit(&t->moved, memory_order_relaxed);
        sum.queued += atomic_load_explicit(&t->queued_items, memory_order_relaxed);
        sum.conversations += atomic_load_explicit(&t->convs_now, memory_order_relaxed);
    }
    *out_stats = sum;
}
