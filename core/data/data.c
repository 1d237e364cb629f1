#include "data/data.h"

#include "data/clock_guard.h"
#include "data/msglog.h"
#include "data/schema.h"
#include "util/clock.h"
#include "util/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GROUP_JOBS 64        /* records' writes in one commit */
#define REOPEN_PAUSE_MS 200  /* between tries to get a connection again */

STAILQ_HEAD(job_list, pim_job);

struct pool {
    struct pim_data *data;
    enum pim_pool_id id;
    pthread_mutex_t lock; /* guards jobs, count, stopping */
    pthread_cond_t more;
    struct job_list jobs;
    size_t count, max_count;
    bool stopping;
    uint32_t n_threads, n_ready;
    pthread_t *threads;
    /* where its connections come from; NULL ops for the work pool */
    const struct pim_storage_ops *ops;
    struct pim_store *store;
    bool writer;
    int start_rc;
    struct pim_err start_err;
    pthread_cond_t ready;
};

struct pim_data {
    struct pim_data_config config;
    struct pim_data_facts facts;
    struct pim_store *records, *messages;
    const struct pim_storage_ops *messages_ops;
    struct pool pools[PIM_POOLS];
    struct pim_msglog *log;
    struct pim_clock_guard clock;
    bool started;
};

static int
store_open(const struct pim_data_bind *bind, uint32_t roles, struct pim_store **out_store, struct pim_store_info *out_info,
           struct pim_err *err)
{
    struct pim_call call = {.struct_size = sizeof call};
    int rc;

    *out_info = (struct pim_store_info){.struct_size = sizeof *out_info};
    rc = bind->ops->open(bind->host, pim_schema_for(roles), bind->opts, bind->n_opts, 0, out_store, out_info, err);
    if (rc < 0)
        return rc;
    rc = bind->ops->migrate(*out_store, &call, PIM_MIGRATE_APPLY, NULL, NULL, err);
    if (rc < 0) {
        bind->ops->close(out_store);
        return rc;
    }
    return PIM_OK;
}

/* A clock that is behind the log would give new messages the times of old ones. */
static int
clock_check(const struct pim_data *data, struct pim_err *err)
{
    int64_t behind_ms = data->facts.messages.newest_ms - pim_clock_wall_ms();

    if (behind_ms < PIM_CLOCK_BEHIND_MS || data->config.allow_clock_behind)
        return PIM_OK;
    return pim_err_set(err, PIM_ERR_INVALID,
                       "the clock is %lld s behind the newest message: set it, or allow it with storage.allow_clock_behind",
                       (long long)behind_ms / 1000);
}

int
pim_data_open(const struct pim_data_config *config, struct pim_data **out_data, struct pim_err *err)
{
    struct pim_data *data = pim_new0(sizeof *data);
    int rc;

    data->config = *config;
    rc = store_open(&config->records, config->shared ? PIM_ROLE_RECORDS | PIM_ROLE_MESSAGES : PIM_ROLE_RECORDS,
                    &data->records, &data->facts.records, err);
    if (rc < 0)
        goto fail;
    if (config->shared) {
        data->messages = data->records;
        data->messages_ops = config->records.ops;
        data->facts.messages = data->facts.records;
    } else {
        rc = store_open(&config->messages, PIM_ROLE_MESSAGES, &data->messages, &data->facts.messages, err);
        if (rc < 0)
            goto fail;
        data->messages_ops = config->messages.ops;
    }
    rc = clock_check(data, err);
    if (rc < 0)
        goto fail;
    pim_clock_guard_init(&data->clock, pim_clock_wall_ms(), pim_clock_boot_ms());
    *out_data = data;
    return PIM_OK;
fail:
    pim_data_close(&data);
    return rc;
}

const struct pim_data_facts *
pim_data_facts(const struct pim_data *data)
{
    return &data->facts;
}

struct pim_msglog *
pim_data_log(struct pim_data *data)
{
    return data->log;
}

/* --- pool threads --------------------------------------------------------------------------------------------- */

/* Up to max jobs; waits while there are none. @return how many; 0 = the pool stops */
static uint32_t
take(struct pool *pool, struct job_list *out, uint32_t max)
{
    uint32_t n = 0;

    STAILQ_INIT(out);
    pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->stopping)
        pthread_cond_wait(&pool->more, &pool->lock);
    while (n < max && pool->count > 0) {
        struct pim_job *job = STAILQ_FIRST(&pool->jobs);

        STAILQ_REMOVE_HEAD(&pool->jobs, link);
        STAILQ_INSERT_TAIL(out, job, link);
        pool->count--;
        n++;
    }
    pthread_mutex_unlock(&pool->lock);
    return n;
}

static void
run_one(struct pool *pool, struct pim_job *job, struct pim_lease *lease)
{
    int failed = 0;

    if (pim_clock_mono_ms() > job->deadline_ms)
        failed = PIM_ERR_TIMEOUT;
    else if (pool->ops != NULL && lease->conn == NULL)
        failed = PIM_ERR_UNAVAILABLE;
    lease->call.deadline_ms = job->deadline_ms;
    job->run(job, failed != 0 || pool->ops == NULL ? NULL : lease, failed);
}

static void
run_group(struct pool *pool, struct job_list *jobs, uint32_t n, struct pim_lease *lease, bool can_group)
{
    const struct pim_storage_ops *ops = pool->ops;
    struct pim_err err = PIM_ERR_INIT;
    struct pim_job *job, *next;
    int rc = PIM_OK;
    bool grouped = false;

    if (n > 1 && can_group && lease->conn != NULL) {
        lease->call.deadline_ms = STAILQ_FIRST(jobs)->deadline_ms;
        grouped = ops->group_begin(lease->conn, &lease->call, &err) == PIM_OK;
    }
    STAILQ_FOREACH (job, jobs, link)
        run_one(pool, job, lease);
    if (grouped) {
        lease->call.deadline_ms = pim_clock_mono_ms() + pool->data->config.job_timeout_ms;
        rc = ops->group_end(lease->conn, &lease->call, &err);
    }
    for (job = STAILQ_FIRST(jobs); job != NULL; job = next) {
        next = STAILQ_NEXT(job, link);
        job->done(job, rc);
    }
}

static int
connect_store(struct pool *pool, struct pim_lease *lease, struct pim_err *err)
{
    struct pim_call call = {.struct_size = sizeof call, .flags = pool->writer ? PIM_CALL_WRITER : 0};

    return pool->ops->conn_open(pool->store, &call, &lease->conn, err);
}

static void
count_in(struct pool *pool, int rc, const struct pim_err *err)
{
    pthread_mutex_lock(&pool->lock);
    pool->n_ready++;
    if (rc < 0 && pool->start_rc == PIM_OK) {
        pool->start_rc = rc;
        pool->start_err = *err;
    }
    pthread_cond_signal(&pool->ready);
    pthread_mutex_unlock(&pool->lock);
}

static void *
pool_main(void *arg)
{
    struct pool *pool = arg;
    struct pim_lease lease = {
        .data = pool->data, .ops = pool->ops, .call = {.struct_size = sizeof(struct pim_call)}};
    struct pim_err err = PIM_ERR_INIT;
    bool can_group = pool->writer && (pool->data->facts.records.caps & PIM_CAP_GROUP) != 0;
    struct job_list jobs;
    uint32_t n;
    int rc = PIM_OK;

    if (pool->ops != NULL)
        rc = connect_store(pool, &lease, &err);
    count_in(pool, rc, &err);
    while ((n = take(pool, &jobs, pool->writer ? GROUP_JOBS : 1)) > 0) {
        if (lease.lost && lease.conn != NULL)
            pool->ops->conn_close(&lease.conn);
        if (pool->ops != NULL && lease.conn == NULL) {
            int64_t now_ms = pim_clock_mono_ms();

            /* one try for all who wait, then a pause: they are answered UNAVAILABLE meanwhile */
            if (now_ms - lease.tried_ms > REOPEN_PAUSE_MS) {
                lease.tried_ms = now_ms;
                if (connect_store(pool, &lease, &err) < 0)
                    lease.conn = NULL;
            }
            lease.lost = false;
        }
        run_group(pool, &jobs, n, &lease, can_group);
    }
    if (lease.conn != NULL)
        pool->ops->conn_close(&lease.conn);
    return NULL;
}

static int
pool_start(struct pim_data *data, enum pim_pool_id id, uint32_t n_threads, size_t max_count,
           const struct pim_storage_ops *ops, struct pim_store *store, bool writer, struct pim_err *err)
{
    static const char *const names[PIM_POOLS] = {"pim-rec-read", "pim-rec-write", "pim-msg-read", "pim-work"};
    struct pool *pool = &data->pools[id];

    pool->data = data;
    pool->id = id;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    pthread_cond_init(&pool->ready, NULL);
    STAILQ_INIT(&pool->jobs);
    pool->max_count = max_count;
    pool->ops = ops;
    pool->store = store;
    pool->writer = writer;
    pool->start_err = PIM_ERR_INIT;
    pool->threads = pim_new0(n_threads * sizeof *pool->threads);
    for (uint32_t i = 0; i < n_threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, pool_main, pool) != 0)
            return pim_err_set(err, PIM_ERR_INTERNAL, "a storage thread cannot be started");
        pthread_setname_np(pool->threads[i], names[id]);
        pool->n_threads++;
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->n_ready < pool->n_threads)
        pthread_cond_wait(&pool->ready, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    if (pool->start_rc < 0 && err != NULL)
        *err = pool->start_err;
    return pool->start_rc;
}

static void
pool_stop(struct pool *pool)
{
    if (pool->threads == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pool->threads = NULL;
}

int
pim_data_start(struct pim_data *data, const struct pim_msglog_rules *rules, const struct pim_msglog_limits *limits,
               struct pim_err *err)
{
    const struct pim_data_config *config = &data->config;
    const struct pim_storage_ops *records_ops = config->records.ops;
    uint32_t readers = config->read_threads ? config->read_threads : 1;
    int rc;

    data->started = true;
    /* writers before readers: an embedded engine makes its files with the first */
    rc = pim_msglog_start(data, data->messages_ops, data->messages, &data->facts.messages, rules, limits, &data->log, err);
    if (rc == PIM_OK && !config->shared)
        rc = pool_start(data, PIM_POOL_RECORDS_WRITE, 1, config->queue_items, records_ops, data->records, true, err);
    if (rc == PIM_OK)
        rc = pool_start(data, PIM_POOL_RECORDS_READ, readers, config->queue_items, records_ops, data->records, false, err);
    if (rc == PIM_OK)
        rc = pool_start(data, PIM_POOL_MESSAGES_READ, readers, config->queue_items, data->messages_ops, data->messages,
                        false, err);
    if (rc == PIM_OK)
        rc = pool_start(data, PIM_POOL_WORK, config->work_threads ? config->work_threads : 1, config->work_items, NULL,
                        NULL, false, err);
    if (rc != PIM_OK)
        pim_data_stop(data);
    return rc;
}

void
pim_data_stop(struct pim_data *data)
{
    if (!data->started)
        return;
    data->started = false;
    if (data->log != NULL)
        pim_msglog_stop(data->log);
    /* work may post to write, write to read: in the order in which requests walk */
    pool_stop(&data->pools[PIM_POOL_WORK]);
    pool_stop(&data->pools[PIM_POOL_RECORDS_WRITE]);
    pool_stop(&data->pools[PIM_POOL_RECORDS_READ]);
    pool_stop(&data->pools[PIM_POOL_MESSAGES_READ]);
}

void
pim_data_close(struct pim_data **datap)
{
    struct pim_data *data = *datap;

    if (data == NULL)
        return;
    pim_data_stop(data);
    pim_msglog_free(&data->log);
    if (data->messages != NULL && !data->config.shared)
        data->messages_ops->close(&data->messages);
    if (data->records != NULL)
        data->config.records.ops->close(&data->records);
    free(data);
    *datap = NULL;
}

int
pim_data_post(struct pim_data *data, enum pim_pool_id id, struct pim_job *job)
{
    struct pool *pool = &data->pools[id];
    int rc = PIM_OK;

    job->deadline_ms =
        pim_clock_mono_ms() + (job->timeout_ms > 0 ? job->timeout_ms : (int64_t)data->config.job_timeout_ms);
    if (id == PIM_POOL_RECORDS_WRITE && data->config.shared)
        return pim_msglog_post_job(data->log, job);
    pthread_mutex_lock(&pool->lock);
    if (pool->stopping || pool->n_threads == 0) {
        rc = PIM_ERR_UNAVAILABLE;
    } else if (pool->count >= pool->max_count) {
        rc = PIM_ERR_FULL;
    } else {
        STAILQ_INSERT_TAIL(&pool->jobs, job, link);
        pool->count++;
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* --- the clock -------------------------------------------------------------------------------------------------- */

struct clock_job {
    struct pim_job job;
    struct pim_data *data;
};

static void
clock_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct pim_data *data = ((struct clock_job *)job)->data;
    struct pim_err err = PIM_ERR_INIT;
    int64_t engine_ms = 0;

    if (failed == 0 && pim_lease_note(lease, lease->ops->ping(lease->conn, &lease->call, &engine_ms, &err)) == PIM_OK)
        pim_clock_guard_engine(&data->clock, pim_clock_wall_ms(), engine_ms);
}

static void
clock_done(struct pim_job *job, int rc)
{
    (void)rc;
    free(job);
}

void
pim_data_clock_ask(struct pim_data *data)
{
    struct clock_job *ask = pim_new0(sizeof *ask);

    ask->data = data;
    ask->job.run = clock_run;
    ask->job.done = clock_done;
    if (pim_data_post(data, PIM_POOL_MESSAGES_READ, &ask->job) != PIM_OK)
        free(ask);
}

bool
pim_data_clock_is_good(struct pim_data *data, int64_t wall_ms)
{
    return pim_clock_guard_is_good(&data->clock, wall_ms, pim_clock_boot_ms());
}

size_t
pim_data_queued(struct pim_data *data, enum pim_pool_id id)
{
    struct pool *pool = &data->pools[id];
    size_t count;

    if (pool->threads == NULL)
        return 0;
    pthread_mutex_lock(&pool->lock);
    count = pool->count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}
