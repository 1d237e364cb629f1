/* data/msglog.h - the append batcher: storage-abi.md section 3 lives here.
 *
 * One message walks so: an io worker fills a struct pim_send and posts it. The conversation's hash chooses the append
 * thread, so one thread numbers a conversation and needs no lock. That thread looks the conversation up (cold: it is read
 * first, 3.1), asks the rules for the right, settles whether the client id is new (3.2), numbers it, and hands all that
 * has gathered to the plugin's append in one call: group commit without a timer. After the commit it calls the rules'
 * committed() for the rows of the batch, in order, then done() for each send: results and deliveries go out from there.
 *
 * Names: a *row* is stored; a *send* wants to become one; a *run* is the sends of one conversation in one append. */
#ifndef PIM_DATA_MSGLOG_H
#define PIM_DATA_MSGLOG_H
#include "data/pool.h"
#include "net/mailbox.h"

struct pim_msglog;

enum pim_send_flags {
    PIM_SEND_SERVER_ID = 1, /* the client id was made by us just now: no search before the first try */
    PIM_SEND_EXEMPT = 2,    /* outbox, schedules: no window, no budget; rights are not asked */
    PIM_SEND_COUNTABLE = 4  /* raises ord */
};

/* How a send ended. */
enum pim_send_state {
    PIM_SENT_NONE = 0,
    PIM_SENT_STORED,    /* durable now; seq, ord, msg_id, created_ms are set */
    PIM_SENT_BEFORE,    /* an earlier try is durable; the same fields are that row's */
    PIM_SENT_DENIED,    /* the rules said no: reason is theirs */
    PIM_SENT_CONFLICT,  /* the client id was used for another body */
    PIM_SENT_TOO_OLD,   /* client id before the resend window */
    PIM_SENT_TOO_NEW,   /* client id's time ahead of the server's by more than skew */
    PIM_SENT_INVALID,   /* the engine cannot store this item */
    PIM_SENT_TOO_LARGE,
    PIM_SENT_BUSY       /* queue full, budget used up, storage away or full: try again with the same id */
};

/* One message on its way into the log. Owned by the poster until posted, by the append thread until done(). */
struct pim_send {
    struct pim_mail mail;
    TAILQ_ENTRY(pim_send) wait; /* the append thread's own: in the queue of its conversation */
    struct pim_conv conv;
    int64_t sender_id;
    uint8_t cid[16];
    uint64_t body_hash;
    int64_t expire_ms;
    const void *body;
    uint32_t body_len, type;
    uint32_t flags; /* enum pim_send_flags */
    /* out */
    uint32_t tick, search; /* the append thread's own: when it arrived; what is known of its client id */
    uint32_t state; /* enum pim_send_state */
    int32_t reason; /* of the rules with DENIED; a PIM_ERR_* with BUSY */
    int32_t day;
    int64_t seq, ord, msg_id, created_ms;
    /* Once, on the append thread (or in pim_msglog_post when it cannot be queued); the send is the callee's again. If it was
     * stored, committed() has been called before; flush() follows. */
    void (*done)(struct pim_send *send);
};

/* The rights of one conversation, and what the rules want to keep with it. Opaque to the log; owned by its append
 * thread. */
struct pim_rights;

/* What the layer above decides. Blocking ones run on RECORDS_READ threads, the others on the append thread. */
struct pim_msglog_rules {
    void *ctx;
    /* Read a conversation's rights from the records. Blocks. *out_rights is freed by rights_free. */
    int (*rights_load)(void *ctx, struct pim_lease *lease, const struct pim_conv *conv, struct pim_rights **out_rights,
                       struct pim_err *err);
    void (*rights_free)(struct pim_rights **rights);
    /* May this be sent? 0 or the reason to deny. asked_again: the rights have just been read. */
    int (*check)(void *ctx, const struct pim_rights *rights, const struct pim_send *send);
    /* A row of the log takes effect on the rights (ours or another node's).
     * @return true when the rights must be read anew before the next check */
    bool (*row)(void *ctx, struct pim_rights *rights, const struct pim_conv *conv, uint32_t type, int64_t sender_id,
                const void *body, uint32_t body_len);
    /* Rows of a batch are durable: n sends in log order, state STORED. Deliver them. */
    void (*committed)(void *ctx, uint32_t append_thread, struct pim_send *const *sends, uint32_t n);
    /* After the done() calls of one turn: hand on what they have gathered. */
    void (*flush)(void *ctx, uint32_t append_thread);
};

#define PIM_SKEW_MS 60000 /* how far a client id's time may be ahead: a constant of all stores, what is stored rests on it */

struct pim_msglog_limits {
    uint32_t threads;             /* append threads wanted; never more than the engine's write_conns_max */
    uint32_t queue_items;         /* sends waiting, all threads together, per thread */
    uint64_t queue_bytes;
    uint32_t batch_items;         /* 0: what the engine likes best */
    uint32_t conversations;       /* kept in memory per thread */
    uint32_t senders;             /* client-id memory per conversation */
    uint32_t search_rows_per_s;   /* budget of each sender */
    int64_t resend_window_ms, skew_ms;
    uint32_t jobs;                /* records' writes waiting, where both roles share a store; 0: no limit */
};

/** Post a list of sends (linked by mail.link; all with conv, done and so on filled in), count long, grouped by the
 *  log itself. Those that cannot be queued are done() at once on this thread with BUSY. Threads: any; never blocks. */
void pim_msglog_post(struct pim_msglog *log, struct pim_mail_list *sends, size_t count);

/** The rights of a conversation have changed for the better (a gain): read them anew before the next check. Any thread. */
void pim_msglog_rights_changed(struct pim_msglog *log, const struct pim_conv *conv);

struct pim_msglog_stats {
    uint64_t stored, batches, resends, searches, denied, busy, uncertain, moved;
    uint64_t queued;
    uint64_t conversations;
};
/** Sums over the threads, read without a lock. Any thread. */
void pim_msglog_stats(struct pim_msglog *log, struct pim_msglog_stats *out_stats);

/** The append thread number of a conversation. Any thread. */
uint32_t pim_msglog_thread_of(const struct pim_msglog *log, const struct pim_conv *conv);

/* --- for data.c --- */
PIM_MUST_CHECK int pim_msglog_start(struct pim_data *data, const struct pim_storage_ops *ops, struct pim_store *store,
                                 const struct pim_store_info *info, const struct pim_msglog_rules *rules,
                                 const struct pim_msglog_limits *limits, struct pim_msglog **out_log, struct pim_err *err);
/** Settle what can be settled, answer the rest with BUSY, stop the threads. */
void pim_msglog_stop(struct pim_msglog *log);
/** After the reader threads have ended too: they may have answers for the append threads in hand. */
void pim_msglog_free(struct pim_msglog **log);
/** Run a job on the first append thread, between two batches (both roles in one store). PIM_ERR_FULL when too many wait. */
PIM_MUST_CHECK int pim_msglog_post_job(struct pim_msglog *log, struct pim_job *job);

#endif
