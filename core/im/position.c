#include "im/position.h"

#include "data/rec.h"
#include "data/schema.h"
#include "im/im_priv.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/mem.h"

#include <string.h>
#include <time.h>

/* One mark that has changed. It stays here until what was written is durable, so that a reader in between sees it. */
struct dirty {
    struct pim_mark mark;
    struct dirty *next; /* of the same hash */
    bool changed, writing;
};

struct pim_positions {
    pthread_mutex_t lock; /* guards all below; nothing else is taken under it */
    struct pim_map table; /* hash of (user, device, conversation) -> struct dirty */
    uint32_t jobs;        /* under way */
};

struct write_job {
    struct pim_job job;
    struct pim_im *im;
    uint32_t n;
    int rc;
    struct pim_mark marks[PIM_WRITES_MAX];
};

struct pim_positions *
pim_positions_new(void)
{
    struct pim_positions *positions = pim_new0(sizeof *positions);

    pthread_mutex_init(&positions->lock, NULL);
    return positions;
}

void
pim_positions_free(struct pim_positions **positionsp)
{
    struct pim_positions *positions = *positionsp;
    struct dirty *dirty;
    size_t at = 0;

    *positionsp = NULL;
    if (positions == NULL)
        return;
    while ((dirty = pim_map_next(&positions->table, &at, NULL)) != NULL) {
        struct dirty *next;

        for (; dirty != NULL; dirty = next) {
            next = dirty->next;
            free(dirty);
        }
    }
    pim_map_fini(&positions->table);
    pthread_mutex_destroy(&positions->lock);
    free(positions);
}

static int64_t
hash_of(const struct pim_mark *mark)
{
    uint64_t hash = pim_map_hash(mark->user_id);

    for (const char *c = mark->device; *c != '\0'; c++)
        hash = hash * 31 + (uint8_t)*c;
    return (int64_t)(pim_map_hash(mark->conv.a ^ (int64_t)hash) ^ (uint64_t)mark->conv.kind) ^ (mark->conv.b << 1);
}

static bool
same_key(const struct pim_mark *x, const struct pim_mark *y)
{
    return x->user_id == y->user_id && pim_conv_equal(&x->conv, &y->conv) && strcmp(x->device, y->device) == 0;
}

static struct dirty *
find_locked(struct pim_positions *positions, const struct pim_mark *mark, int64_t hash)
{
    struct dirty *dirty = pim_map_find(&positions->table, hash);

    while (dirty != NULL && !same_key(&dirty->mark, mark))
        dirty = dirty->next;
    return dirty;
}

static bool
rise(struct pim_mark *mark, const struct pim_mark *to)
{
    bool changed = false;

    if (to->seq > mark->seq) {
        mark->seq = to->seq;
        mark->ord = to->ord;
        changed = true;
    }
    if (to->read_seq > mark->read_seq) {
        mark->read_seq = to->read_seq;
        mark->read_ord = to->read_ord;
        changed = true;
    }
    return changed;
}

void
pim_position_raise(struct pim_im *im, const struct pim_mark *mark)
{
    struct pim_positions *positions = im->positions;
    int64_t hash = hash_of(mark);
    struct dirty *dirty;

    pthread_mutex_lock(&positions->lock);
    dirty = find_locked(positions, mark, hash);
    if (dirty == NULL) {
        dirty = pim_new0(sizeof *dirty);
        dirty->mark = *mark;
        dirty->changed = true;
        dirty->next = pim_map_find(&positions->table, hash);
        pim_map_put(&positions->table, hash, dirty);
    } else if (rise(&dirty->mark, mark)) {
        dirty->changed = true;
    }
    pthread_mutex_unlock(&positions->lock);
}

void
pim_position_overlay(struct pim_im *im, struct pim_mark *mark)
{
    struct pim_positions *positions = im->positions;
    struct dirty *dirty;

    pthread_mutex_lock(&positions->lock);
    dirty = find_locked(positions, mark, hash_of(mark));
    if (dirty != NULL)
        rise(mark, &dirty->mark);
    pthread_mutex_unlock(&positions->lock);
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static void
write_run(struct pim_job *job, struct pim_lease *lease, int failed)
{
    struct write_job *w = (struct write_job *)job;
    int64_t epoch = pim_data_facts(w->im->data)->messages.epoch;
    struct pim_changes *changes;
    struct pim_err err = PIM_ERR_INIT;

    w->rc = failed;
    if (failed != 0)
        return;
    changes = pim_new(sizeof *changes);
    pim_changes_init(changes);
    for (uint32_t i = 0; i < w->n; i++) {
        const struct pim_mark *mark = &w->marks[i];

        pim_changes_add(changes, PIM_W_UPSERT, PIM_K_POSITION, PIM_POS_BY_KEY, 0);
        pim_changes_key(changes, pim_v_int(mark->user_id));
        pim_changes_key(changes, pim_v_text(mark->device));
        pim_changes_key(changes, pim_v_int(mark->conv.kind));
        pim_changes_key(changes, pim_v_int(mark->conv.a));
        pim_changes_key(changes, pim_v_int(mark->conv.b));
        pim_changes_cell(changes, PIM_POS_USER, PIM_SET, pim_v_int(mark->user_id));
        pim_changes_cell(changes, PIM_POS_DEVICE, PIM_SET, pim_v_text(mark->device));
        pim_changes_cell(changes, PIM_POS_KIND, PIM_SET, pim_v_int(mark->conv.kind));
        pim_changes_cell(changes, PIM_POS_A, PIM_SET, pim_v_int(mark->conv.a));
        pim_changes_cell(changes, PIM_POS_B, PIM_SET, pim_v_int(mark->conv.b));
        pim_changes_cell(changes, PIM_POS_SEQ, PIM_MAX, pim_v_int(mark->seq));
        pim_changes_cell(changes, PIM_POS_ORD, PIM_MAX, pim_v_int(mark->ord));
        pim_changes_cell(changes, PIM_POS_READ_SEQ, PIM_MAX, pim_v_int(mark->read_seq));
        pim_changes_cell(changes, PIM_POS_READ_ORD, PIM_MAX, pim_v_int(mark->read_ord));
        pim_changes_cell(changes, PIM_POS_EPOCH, PIM_SET, pim_v_int(epoch));
        pim_changes_on_dup(changes, PIM_COL(PIM_POS_SEQ) | PIM_COL(PIM_POS_ORD) | PIM_COL(PIM_POS_READ_SEQ) |
                                        PIM_COL(PIM_POS_READ_ORD) | PIM_COL(PIM_POS_EPOCH));
    }
    w->rc = pim_changes_run(changes, lease, &err);
    free(changes);
}

static void
write_end(struct write_job *w, int rc)
{
    struct pim_positions *positions = w->im->positions;

    pthread_mutex_lock(&positions->lock);
    for (uint32_t i = 0; i < w->n; i++) {
        int64_t hash = hash_of(&w->marks[i]);
        struct dirty *dirty = find_locked(positions, &w->marks[i], hash);
        struct dirty *first = pim_map_find(&positions->table, hash), **at = &first;

        dirty->writing = false;
        if (rc < 0)
            dirty->changed = true; /* the next flush tries again */
        if (dirty->changed)
            continue;
        while (*at != dirty)
            at = &(*at)->next;
        *at = dirty->next;
        free(dirty);
        if (first == NULL)
            pim_map_steal(&positions->table, hash);
        else
            pim_map_put(&positions->table, hash, first);
    }
    positions->jobs--;
    pthread_mutex_unlock(&positions->lock);
    free(w);
}

static void
write_done(struct pim_job *job, int rc)
{
    struct write_job *w = (struct write_job *)job;

    write_end(w, rc < 0 ? rc : w->rc);
}

static struct write_job *
gather(struct pim_im *im, size_t *at)
{
    struct pim_positions *positions = im->positions;
    struct write_job *w = pim_new0(sizeof *w);
    struct dirty *dirty;

    w->im = im;
    w->job.run = write_run;
    w->job.done = write_done;
    pthread_mutex_lock(&positions->lock);
    while (w->n < PIM_COUNT(w->marks) && (dirty = pim_map_next(&positions->table, at, NULL)) != NULL) {
        for (; dirty != NULL && w->n < PIM_COUNT(w->marks); dirty = dirty->next) {
            if (!dirty->changed || dirty->writing)
                continue;
            dirty->changed = false;
            dirty->writing = true;
            w->marks[w->n++] = dirty->mark;
        }
    }
    if (w->n > 0)
        positions->jobs++;
    pthread_mutex_unlock(&positions->lock);
    if (w->n == 0) {
        free(w);
        return NULL;
    }
    return w;
}

void
pim_positions_flush(struct pim_im *im)
{
    struct write_job *w;
    size_t at = 0; /* the table may move between two jobs: what is missed is written by the next flush */

    while ((w = gather(im, &at)) != NULL) {
        int rc = pim_data_post(im->data, PIM_POOL_RECORDS_WRITE, &w->job);

        if (rc != PIM_OK) {
            write_end(w, rc);
            break;
        }
    }
}

void
pim_positions_drain(struct pim_im *im, int64_t timeout_ms)
{
    int64_t until_ms = pim_clock_mono_ms() + timeout_ms;
    bool busy = true;

    while (busy && pim_clock_mono_ms() < until_ms) {
        pim_positions_flush(im);
        pthread_mutex_lock(&im->positions->lock);
        busy = im->positions->jobs > 0 || im->positions->table.count > 0;
        pthread_mutex_unlock(&im->positions->lock);
        if (busy)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}
