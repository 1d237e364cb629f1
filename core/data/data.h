/* data/data.h - the stores that the two roles are bound to, and the threads that work on them.
 *
 * A role is bound to a plugin by a URL. The host opens the store, starts its threads, and gives each thread one
 * connection: writers (as many as the engine takes) and readers. Blocking work is posted as jobs (data/pool.h); messages
 * go through the append threads (data/msglog.h), which are the writers of the messages role. Where both roles are bound to
 * one URL they share the store, and the append thread runs the records' writes between two batches. */
#ifndef PIM_DATA_DATA_H
#define PIM_DATA_DATA_H
#include "data/pool.h"

struct pim_msglog;
struct pim_msglog_rules;
struct pim_msglog_limits;

/* One store to open; borrowed until pim_data_stop. */
struct pim_data_bind {
    const struct pim_storage_ops *ops;
    const struct pim_host *host;
    const struct pim_kv *opts;
    uint32_t n_opts;
    uint32_t pad;
};

struct pim_data_config {
    struct pim_data_bind records, messages;
    int shared;             /* both roles in one store: `records` says which, `messages` is not opened */
    uint32_t read_threads;  /* for each role */
    uint32_t work_threads;
    uint32_t queue_items;   /* of each pool */
    uint32_t work_items;    /* of the work pool */
    uint32_t job_timeout_ms;
    int allow_clock_behind; /* start although the wall clock is behind the newest message */
};

/* What is known of the two stores once they are open. */
struct pim_data_facts {
    struct pim_store_info records, messages;
};

/**
 * Open and migrate the stores. No thread runs yet.
 *
 * @return PIM_OK or why a store could not be opened. Main thread.
 */
PIM_MUST_CHECK int pim_data_open(const struct pim_data_config *config, struct pim_data **out_data, struct pim_err *err);

/**
 * Start the threads and wait until each has its connection. log_* configure the append threads (data/msglog.h).
 *
 * @return PIM_OK or the first connection's failure. Main thread.
 */
PIM_MUST_CHECK int pim_data_start(struct pim_data *data, const struct pim_msglog_rules *rules,
                                  const struct pim_msglog_limits *limits, struct pim_err *err);
/** Finish what is queued, stop all threads. Main thread. */
void pim_data_stop(struct pim_data *data);
/** Close the stores and free. NULL is fine. Main thread. */
void pim_data_close(struct pim_data **data);

/** Any thread, after pim_data_open. */
const struct pim_data_facts *pim_data_facts(const struct pim_data *data);
/** The append threads. Any thread, after pim_data_start. */
struct pim_msglog *pim_data_log(struct pim_data *data);
/* Clocks (storage-abi 3.3): one fast clock would push the times of conversations ahead, and make every search there long. While ours is
 * more than 30 s from the engine's (or, where that has none, has jumped so far against the clock that nobody sets), no message is
 * numbered. */

/** Ask the engine for its time. Every few seconds; does not block. Any thread. */
void pim_data_clock_ask(struct pim_data *data);
/** Is the wall clock, which says wall_ms, fit to number messages by? Any thread. */
bool pim_data_clock_is_good(struct pim_data *data, int64_t wall_ms);

/** Jobs waiting in a pool. Any thread. */
size_t pim_data_queued(struct pim_data *data, enum pim_pool_id pool);

#endif
