/* The table of conversations of one append thread, and what each remembers of its senders. */
#include "data/msglog_priv.h"
#include "util/mem.h"

#include <string.h>

uint64_t
pim_msglog_conv_hash(const struct pim_conv *conv)
{
    return pim_map_hash(conv->a ^ (int64_t)((uint64_t)conv->b * 0x9e3779b97f4a7c15ull) ^ ((int64_t)conv->kind << 56));
}

static bool
same(const struct pim_conv *x, const struct pim_conv *y)
{
    return x->a == y->a && x->b == y->b && x->kind == y->kind;
}

struct log_conv *
pim_msglog_conv_find(struct log_thread *t, const struct pim_conv *id)
{
    struct log_conv *conv;

    if (t->table_cap == 0)
        return NULL;
    for (conv = t->table[(pim_msglog_conv_hash(id) >> 8) & (t->table_cap - 1)]; conv != NULL; conv = conv->hash_next)
        if (same(&conv->id, id))
            break;
    return conv;
}

static void
grow(struct log_thread *t)
{
    size_t cap = t->table_cap ? t->table_cap * 2 : 256;
    struct log_conv **table = pim_new0(cap * sizeof *table);

    for (size_t i = 0; i < t->table_cap; i++) {
        struct log_conv *conv = t->table[i], *next;

        for (; conv != NULL; conv = next) {
            struct log_conv **bucket = &table[(pim_msglog_conv_hash(&conv->id) >> 8) & (cap - 1)];

            next = conv->hash_next;
            conv->hash_next = *bucket;
            *bucket = conv;
        }
    }
    free(t->table);
    t->table = table;
    t->table_cap = cap;
}

struct log_conv *
pim_msglog_conv_get(struct log_thread *t, const struct pim_conv *id)
{
    struct log_conv *conv = pim_msglog_conv_find(t, id);
    struct log_conv **bucket;

    if (conv != NULL) {
        TAILQ_REMOVE(&t->lru, conv, lru);
        TAILQ_INSERT_TAIL(&t->lru, conv, lru);
        return conv;
    }
    if (t->n_convs >= t->table_cap)
        grow(t);
    conv = pim_new0(sizeof *conv);
    conv->id = *id;
    conv->id.reserved = 0;
    TAILQ_INIT(&conv->queue);
    bucket = &t->table[(pim_msglog_conv_hash(id) >> 8) & (t->table_cap - 1)];
    conv->hash_next = *bucket;
    *bucket = conv;
    TAILQ_INSERT_TAIL(&t->lru, conv, lru);
    t->n_convs++;
    atomic_store_explicit(&t->convs_now, t->n_convs, memory_order_relaxed);
    conv->state = CONV_LOADING;
    pim_msglog_load_begin(t, conv);
    return conv;
}

static void
conv_free(struct log_thread *t, struct log_conv *conv)
{
    struct log_conv **at = &t->table[(pim_msglog_conv_hash(&conv->id) >> 8) & (t->table_cap - 1)];

    while (*at != conv)
        at = &(*at)->hash_next;
    *at = conv->hash_next;
    TAILQ_REMOVE(&t->lru, conv, lru);
    if (conv->is_ready)
        TAILQ_REMOVE(&t->ready, conv, ready);
    pim_msglog_senders_clear(conv);
    t->log->rules.rights_free(&conv->rights);
    free(conv->unsettled);
    free(conv);
    t->n_convs--;
    atomic_store_explicit(&t->convs_now, t->n_convs, memory_order_relaxed);
}

void
pim_msglog_conv_ready(struct log_thread *t, struct log_conv *conv)
{
    if (conv->is_ready || conv->state != CONV_READY || TAILQ_EMPTY(&conv->queue))
        return;
    conv->is_ready = true;
    TAILQ_INSERT_TAIL(&t->ready, conv, ready);
}

static bool
is_idle(const struct log_conv *conv)
{
    /* while one is being read, an answer is on its way to it */
    return conv->state == CONV_READY && TAILQ_EMPTY(&conv->queue) && !conv->is_ready;
}

void
pim_msglog_conv_trim(struct log_thread *t)
{
    struct log_conv *conv = TAILQ_FIRST(&t->lru);
    size_t tries = 16; /* a few a turn: busy ones at the front must not make this a walk */

    while (t->n_convs > t->log->limits.conversations && conv != NULL && tries-- > 0) {
        struct log_conv *next = TAILQ_NEXT(conv, lru);

        if (is_idle(conv))
            conv_free(t, conv);
        conv = next;
    }
}

void
pim_msglog_convs_fini(struct log_thread *t)
{
    while (!TAILQ_EMPTY(&t->lru))
        conv_free(t, TAILQ_FIRST(&t->lru));
    free(t->table);
    t->table = NULL;
    t->table_cap = 0;
}

struct log_sender *
pim_msglog_sender_find(struct log_conv *conv, int64_t id)
{
    for (size_t i = 0; i < PIM_COUNT(conv->first); i++)
        if (conv->first[i].id == id)
            return &conv->first[i];
    return pim_map_find(&conv->more, id);
}

static void
sender_free(struct log_sender *sender)
{
    free(sender->resume);
    free(sender);
}

void
pim_msglog_senders_clear(struct log_conv *conv)
{
    struct log_sender *sender;
    size_t at = 0;

    for (size_t i = 0; i < PIM_COUNT(conv->first); i++)
        free(conv->first[i].resume);
    memset(conv->first, 0, sizeof conv->first);
    while ((sender = pim_map_next(&conv->more, &at, NULL)) != NULL)
        sender_free(sender);
    pim_map_fini(&conv->more);
}

/* Too many to remember: forget those who are not being looked up and have not spoken since since_ms. */
static void
forget(struct log_conv *conv, int64_t since_ms)
{
    struct log_sender *sender;
    struct pim_map kept = {0};
    int64_t id;
    size_t at = 0;

    for (size_t i = 0; i < PIM_COUNT(conv->first); i++)
        if (conv->first[i].search == 0 && conv->first[i].last_ms < since_ms) {
            free(conv->first[i].resume);
            memset(&conv->first[i], 0, sizeof conv->first[i]);
        }
    while ((sender = pim_map_next(&conv->more, &at, &id)) != NULL) {
        if (sender->search != 0 || sender->last_ms >= since_ms)
            pim_map_put(&kept, id, sender);
        else
            sender_free(sender);
    }
    pim_map_fini(&conv->more);
    conv->more = kept;
    if (conv->complete_from_ms < since_ms)
        conv->complete_from_ms = since_ms;
}

struct log_sender *
pim_msglog_sender_get(struct log_thread *t, struct log_conv *conv, int64_t id)
{
    struct log_sender *sender = pim_msglog_sender_find(conv, id);

    if (sender != NULL)
        return sender;
    for (size_t i = 0; i < PIM_COUNT(conv->first); i++)
        if (conv->first[i].id == 0) {
            conv->first[i].id = id;
            return &conv->first[i];
        }
    if (conv->more.count >= t->log->limits.senders && t->n_sends == 0) {
        /* only between batches: what is numbered now must stay known until it is settled */
        forget(conv, conv->last_ms - 2 * t->log->limits.skew_ms); /* who says something new needs no more than that */
        if (conv->more.count >= t->log->limits.senders)
            forget(conv, conv->last_ms + 1); /* all but those who are being looked up */
    }
    sender = pim_new0(sizeof *sender);
    sender->id = id;
    pim_map_put(&conv->more, id, sender);
    return sender;
}
