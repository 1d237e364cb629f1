/* data/msglog_priv.h - shared by the files of the append batcher; see data/msglog.h. Everything here is owned by one append
 * thread unless said. */
#ifndef PIM_DATA_MSGLOG_PRIV_H
#define PIM_DATA_MSGLOG_PRIV_H
#include "data/data.h"
#include "data/msglog.h"
#include "util/map.h"

#include <stdatomic.h>

#define SEARCH_IDS 64 /* client ids of one sender that are looked up in one walk */

/* A walk that may go on: these ids are not among the rows from lowest_seq on. */
struct log_resume {
    uint32_t n;
    uint8_t cids[SEARCH_IDS][16];
    uint8_t max_cid[16]; /* of the sender, among the rows walked */
    int64_t lowest_seq;
};

/* What is remembered of a sender in one conversation (3.2). */
struct log_sender {
    int64_t id; /* 0: free slot */
    uint8_t max_cid[16]; /* highest client id among the rows since known_from_ms (or the conversation's), stored or numbered */
    int64_t last_ms;       /* his newest row is not younger */
    int64_t known_from_ms; /* a search has read his rows from here on; 0: only what the conversation knows */
    uint32_t in_batch; /* the turn in which a send of his was numbered last */
    uint64_t search; /* number of the search that is under way, 0 none: his later sends wait */
    struct log_resume *resume; /* where a search that ran out of budget stopped, or NULL */
    int64_t budget_ms; /* the second that budget_rows counts */
    uint32_t budget_rows;
};

enum log_conv_state {
    CONV_LOADING,   /* cold: tail and rights are being read */
    CONV_READY,
    CONV_RIGHTS,    /* the rights alone are being read again */
    CONV_UNSETTLED  /* the outcome of a run is unknown: the same numbers are tried until it is (3.4) */
};

TAILQ_HEAD(log_queue, pim_send);
STAILQ_HEAD(log_jobs, pim_job);

struct log_conv {
    struct pim_conv id;
    struct log_conv *hash_next;
    TAILQ_ENTRY(log_conv) lru;
    TAILQ_ENTRY(log_conv) ready; /* while is_ready */
    enum log_conv_state state;
    bool is_ready, rights_stale, alone; /* alone: it has moved; its next run goes into an append of its own */
    struct log_queue queue; /* sends not numbered yet, in order of arrival */
    uint32_t queued;
    uint32_t rights_tick; /* the rights were asked for at this turn */
    /* the applied head (3.1) */
    int64_t head_seq, head_ord, last_ms;
    int32_t last_day;
    uint32_t n_unsettled;
    int64_t complete_from_ms; /* the senders' max_cid know every row with created_ms from here on */
    struct log_sender first[2];
    struct pim_map more; /* further senders: id -> struct log_sender */
    struct pim_rights *rights;
    struct pim_send **unsettled; /* numbered, outcome unknown */
    int64_t retry_at_ms;
};
TAILQ_HEAD(log_conv_list, log_conv);

enum log_search { /* struct pim_send.search */
    SEARCH_NONE = 0,
    SEARCH_NOT_FOUND, /* looked up: not there */
    SEARCH_GONE       /* what lies before the floor cannot be known */
};

enum { MAIL_SEND = 0, MAIL_LOADED, MAIL_SEARCHED, MAIL_RIGHTS, MAIL_JOB };

struct log_run { /* consecutive sends of one conversation in the batch */
    struct log_conv *conv;
    uint32_t first, n;
};

struct log_thread {
    struct pim_msglog *log;
    uint32_t number;
    pthread_t thread;
    struct pim_mailbox box;
    struct pim_lease lease; /* its connection */
    uint32_t tick; /* turns of the loop */
    /* conversations */
    struct log_conv **table;
    size_t table_cap, n_convs;
    struct log_conv_list lru; /* idle ones first */
    struct log_conv_list ready;
    uint32_t n_unsettled_convs;
    /* the batch that is put together */
    struct pim_send **sends; /* in order of runs */
    struct pim_append_item *items;
    struct log_run *runs;
    uint32_t n_sends, n_runs, max_items;
    uint64_t bytes;
    /* records' writes that came in this turn (both roles in one store) */
    struct log_jobs jobs;
    bool can_group;
    _Atomic uint32_t queued_jobs;
    /* sends that ended in this turn, in order */
    struct log_queue ended;
    uint64_t n_search; /* searches get rising numbers: an answer that nobody waits for any more is told by it */
    bool ack_early; /* a planted fault, for the test of the tests */
    _Atomic uint64_t queued_items, queued_bytes;
    /* statistics: one writer, so relaxed loads and stores do */
    _Atomic uint64_t stored, batches, resends, searches, denied, busy, uncertain, moved, convs_now;
};

struct pim_msglog {
    struct pim_data *data;
    const struct pim_storage_ops *ops;
    struct pim_store *store;
    struct pim_store_info info;
    struct pim_msglog_rules rules;
    struct pim_msglog_limits limits;
    uint32_t n_threads;
    struct log_thread *threads;
    pthread_mutex_t start_lock; /* threads count themselves in */
    pthread_cond_t started;
    uint32_t n_started;
    int start_rc;
    struct pim_err start_err;
};

/* msglog.c: the done() calls of what has ended, then the rules' flush() */
void pim_msglog_flush_ended(struct log_thread *t);
bool pim_msglog_connected(struct log_thread *t); /* opens the connection anew where it was lost; pauses between tries */
/* msglog_conv.c */
uint64_t pim_msglog_conv_hash(const struct pim_conv *conv);
struct log_conv *pim_msglog_conv_find(struct log_thread *t, const struct pim_conv *id);
struct log_conv *pim_msglog_conv_get(struct log_thread *t, const struct pim_conv *id); /* finds or makes; a new one is LOADING */
void pim_msglog_conv_ready(struct log_thread *t, struct log_conv *conv); /* look at its queue in this turn */
void pim_msglog_conv_trim(struct log_thread *t); /* keep the table within its limit */
void pim_msglog_convs_fini(struct log_thread *t);
struct log_sender *pim_msglog_sender_find(struct log_conv *conv, int64_t id);
struct log_sender *pim_msglog_sender_get(struct log_thread *t, struct log_conv *conv, int64_t id);
void pim_msglog_senders_clear(struct log_conv *conv);
/* msglog_read.c: what is read for the append thread by the reader threads */
struct log_load;
void pim_msglog_load_begin(struct log_thread *t, struct log_conv *conv);
void pim_msglog_rights_begin(struct log_thread *t, struct log_conv *conv);
void pim_msglog_loaded(struct log_thread *t, struct pim_mail *mail);
void pim_msglog_search_begin(struct log_thread *t, struct log_conv *conv, struct log_sender *sender, struct pim_send *send);
void pim_msglog_searched(struct log_thread *t, struct pim_mail *mail);
/* msglog_number.c */
void pim_msglog_batch_fill(struct log_thread *t);
void pim_msglog_unsettled_retry(struct log_thread *t, int64_t now_ms);
/* msglog_settle.c */
void pim_msglog_batch_append(struct log_thread *t);
void pim_msglog_end(struct log_thread *t, struct pim_send *send, enum pim_send_state state, int reason);
void pim_msglog_queue_fail(struct log_thread *t, struct log_conv *conv, int reason);

#endif
