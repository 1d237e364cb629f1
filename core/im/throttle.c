#include "im/throttle.h"

#include "im/account_priv.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/rand.h"
#include "util/siphash.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 8192          /* addresses remembered; a newcomer takes the place of whoever stands there */
#define STOP_MS 86400000ll  /* how long a hard stop lasts after the last failure */
#define FORGET_MS 86400000ll
#define HOUR_MS 3600000ll
#define MINUTE_MS 60000ll

struct slot {
    int64_t network; /* or a user's id; 0: free */
    int64_t fails, last_ms;     /* sign-in; monotonic */
    int64_t sign_ups, hour_ms;  /* since hour_ms */
    int64_t requests, day_ms;   /* of a user */
    int64_t changes, minute_ms;
    int64_t trying; /* sign-ins of an account being checked now */
};

struct pim_throttle_table {
    pthread_mutex_t lock; /* guards slots; nothing else is taken under it */
    uint8_t key[16];      /* of hashes of e-mail addresses */
    struct slot slots[SLOTS];
};

struct pim_throttle_table *
pim_throttle_table_new(void)
{
    struct pim_throttle_table *table = pim_new0(sizeof *table);

    pthread_mutex_init(&table->lock, NULL);
    pim_rand_bytes(table->key, sizeof table->key);
    return table;
}

void
pim_throttle_table_free(struct pim_throttle_table **table)
{
    if (*table == NULL)
        return;
    pthread_mutex_destroy(&(*table)->lock);
    free(*table);
    *table = NULL;
}

int64_t
pim_address_network(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;
    int64_t network = 0;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ((int64_t)1 << 40) | (ntohl(v4.s_addr) & 0xffffff00u);
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return 0;
    memcpy(&network, &v6, sizeof network);
    return network != 0 ? network : 1; /* ::1 */
}

uint32_t
pim_throttle_wait_s(const struct pim_im_config *config, int64_t fails, int64_t since_ms)
{
    int64_t over = fails - (int64_t)config->sign_in_free_tries, longest_ms = (int64_t)config->sign_in_max_delay_s * 1000;
    int64_t wait_ms;

    if (config->sign_in_hard_stop > 0 && fails >= (int64_t)config->sign_in_hard_stop)
        wait_ms = STOP_MS;
    else if (over < 0)
        return 0;
    else
        wait_ms = over >= 20 || (int64_t)1000 << over > longest_ms ? longest_ms : (int64_t)1000 << over;
    if (since_ms < 0)
        since_ms = 0;
    return since_ms >= wait_ms ? 0 : (uint32_t)((wait_ms - since_ms + 999) / 1000);
}

static bool
is_exempt(struct pim_accounts *accounts, bool is_loopback)
{
    return is_loopback && !pim_im_config(accounts->im)->limit_loopback;
}

/* Lock held. */
static struct slot *
slot_locked(struct pim_throttle_table *table, int64_t network)
{
    struct slot *slot = &table->slots[pim_map_hash(network) % SLOTS];

    if (slot->network != network)
        *slot = (struct slot){.network = network};
    return slot;
}

uint32_t
pim_throttle_address(struct pim_accounts *accounts, const char *address, bool is_loopback)
{
    struct pim_throttle_table *table = accounts->addresses;
    uint32_t wait_s;
    struct slot *slot;

    if (is_exempt(accounts, is_loopback))
        return 0;
    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, pim_address_network(address));
    wait_s = pim_throttle_wait_s(pim_im_config(accounts->im), slot->fails, pim_clock_mono_ms() - slot->last_ms);
    pthread_mutex_unlock(&table->lock);
    return wait_s;
}

void
pim_throttle_address_result(struct pim_accounts *accounts, const char *address, bool is_loopback, bool good)
{
    struct pim_throttle_table *table = accounts->addresses;
    int64_t now_ms = pim_clock_mono_ms();
    struct slot *slot;

    if (is_exempt(accounts, is_loopback))
        return;
    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, pim_address_network(address));
    if (good || now_ms - slot->last_ms > FORGET_MS)
        slot->fails = 0;
    if (!good) {
        slot->fails++;
        slot->last_ms = now_ms;
    }
    pthread_mutex_unlock(&table->lock);
}

/* Count one in a window. @return false: the limit is reached, nothing was counted */
static bool
window_count(int64_t *count, int64_t *since_ms, int64_t window_ms, uint32_t limit)
{
    int64_t now_ms = pim_clock_mono_ms();

    if (*count == 0 || now_ms - *since_ms >= window_ms) {
        *count = 0;
        *since_ms = now_ms;
    }
    if (*count >= (int64_t)limit)
        return false;
    (*count)++;
    return true;
}

uint32_t
pim_throttle_sign_up(struct pim_accounts *accounts, const char *address, bool is_loopback)
{
    struct pim_throttle_table *table = accounts->addresses;
    uint32_t limit = pim_im_config(accounts->im)->sign_ups_per_hour_per_address, wait_s = 0;
    int64_t now_ms = pim_clock_mono_ms();
    struct slot *slot;

    if (limit == 0 || is_exempt(accounts, is_loopback))
        return 0;
    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, pim_address_network(address));
    if (!window_count(&slot->sign_ups, &slot->hour_ms, HOUR_MS, limit))
        wait_s = (uint32_t)((HOUR_MS - (now_ms - slot->hour_ms) + 999) / 1000);
    pthread_mutex_unlock(&table->lock);
    return wait_s;
}

bool
pim_throttle_daily(struct pim_accounts *accounts, int64_t user_id, uint32_t limit)
{
    struct pim_throttle_table *table = accounts->addresses;
    struct slot *slot;
    bool fits;

    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, user_id);
    fits = window_count(&slot->requests, &slot->day_ms, 24 * HOUR_MS, limit);
    pthread_mutex_unlock(&table->lock);
    return fits;
}

bool
pim_throttle_change(struct pim_accounts *accounts, int64_t user_id)
{
    struct pim_throttle_table *table = accounts->addresses;
    uint32_t limit = pim_im_config(accounts->im)->friend_requests_per_day;
    struct slot *slot;
    bool fits;

    if (limit == 0)
        return true;
    if (limit < PIM_CHANGES_PER_MINUTE)
        limit = PIM_CHANGES_PER_MINUTE;
    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, user_id);
    fits = window_count(&slot->changes, &slot->minute_ms, MINUTE_MS, limit);
    pthread_mutex_unlock(&table->lock);
    return fits;
}

static int64_t
email_key(const struct pim_throttle_table *table, const char *email)
{
    return (int64_t)(pim_siphash(table->key, email, strlen(email)) | (uint64_t)1 << 63);
}

bool
pim_throttle_enter(struct pim_accounts *accounts, const char *email)
{
    struct pim_throttle_table *table = accounts->addresses;
    struct slot *slot;
    bool fits;

    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, email_key(table, email));
    fits = slot->trying < PIM_TRIES_AT_ONCE;
    if (fits)
        slot->trying++;
    pthread_mutex_unlock(&table->lock);
    return fits;
}

void
pim_throttle_leave(struct pim_accounts *accounts, const char *email)
{
    struct pim_throttle_table *table = accounts->addresses;
    struct slot *slot;

    pthread_mutex_lock(&table->lock);
    slot = slot_locked(table, email_key(table, email));
    if (slot->trying > 0) /* another one may have taken the place meanwhile */
        slot->trying--;
    pthread_mutex_unlock(&table->lock);
}

/* --- by account ------------------------------------------------------------------------------------------- */

static int32_t
on_throttle_row(void *ctx, uint32_t item, const struct pim_val *vals, uint32_t n_vals)
{
    struct pim_throttle *throttle = ctx;

    (void)item;
    (void)n_vals;
    throttle->fails = vals[0].u.i;
    throttle->last_ms = vals[1].u.i;
    return 0;
}

int
pim_throttle_load(struct pim_lease *lease, const char *email, int64_t user_id, const char *address,
                  struct pim_throttle *out_throttle, struct pim_err *err)
{
    struct pim_throttle throttle = {.fails = 0};
    int64_t network = pim_address_network(address);
    struct pim_val key;
    int rc;

    snprintf(throttle.key, sizeof throttle.key, "%s", email);
    if (user_id != 0 && network != 0) {
        struct pim_session *sessions = pim_new(PIM_SESSIONS_ROOM * sizeof *sessions);
        uint32_t n = 0;

        rc = pim_session_list(lease, user_id, sessions, PIM_SESSIONS_ROOM, &n, err);
        for (uint32_t i = 0; rc == PIM_OK && i < n; i++) {
            if (pim_address_network(sessions[i].address) != network)
                continue;
            snprintf(throttle.key, sizeof throttle.key, "%lld/%016llx", (long long)user_id, (unsigned long long)network);
            break;
        }
        free(sessions);
        if (rc < 0)
            return rc;
    }
    key = pim_v_text(throttle.key);
    rc = pim_rec_get(lease, PIM_K_THROTTLE, PIM_THROTTLE_BY_KEY, &key, 1,
                     PIM_COL(PIM_THROTTLE_FAILS) | PIM_COL(PIM_THROTTLE_LAST_MS), on_throttle_row, &throttle, err);
    if (rc < 0)
        return rc;
    if (pim_clock_wall_ms() - throttle.last_ms > FORGET_MS)
        throttle.fails = 0;
    *out_throttle = throttle;
    return PIM_OK;
}

int
pim_throttle_fail(struct pim_lease *lease, const struct pim_throttle *throttle, struct pim_err *err)
{
    struct pim_changes changes;
    int rc;

    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_UPDATE, PIM_K_THROTTLE, PIM_THROTTLE_BY_KEY, PIM_W_MUST_EXIST);
    pim_changes_key(&changes, pim_v_text(throttle->key));
    /* what was read as forgotten begins anew; else tries that ran side by side are all counted */
    if (throttle->fails == 0)
        pim_changes_cell(&changes, PIM_THROTTLE_FAILS, PIM_SET, pim_v_int(1));
    else
        pim_changes_cell(&changes, PIM_THROTTLE_FAILS, PIM_ADD, pim_v_int(1));
    pim_changes_cell(&changes, PIM_THROTTLE_LAST_MS, PIM_SET, pim_v_int(pim_clock_wall_ms()));
    rc = pim_changes_run(&changes, lease, err);
    if (rc != PIM_NOT_FOUND)
        return rc;
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_INSERT, PIM_K_THROTTLE, PIM_THROTTLE_BY_KEY, 0);
    pim_changes_cell(&changes, PIM_THROTTLE_KEY, PIM_SET, pim_v_text(throttle->key));
    pim_changes_cell(&changes, PIM_THROTTLE_FAILS, PIM_SET, pim_v_int(1));
    pim_changes_cell(&changes, PIM_THROTTLE_LAST_MS, PIM_SET, pim_v_int(pim_clock_wall_ms()));
    rc = pim_changes_run(&changes, lease, err);
    return rc == PIM_EXISTS ? PIM_OK : rc;
}

int
pim_throttle_clear(struct pim_lease *lease, const struct pim_throttle *throttle, struct pim_err *err)
{
    struct pim_changes changes;
    int rc;

    if (throttle->fails == 0 && throttle->last_ms == 0)
        return PIM_OK;
    pim_changes_init(&changes);
    pim_changes_add(&changes, PIM_W_DELETE, PIM_K_THROTTLE, PIM_THROTTLE_BY_KEY, 0);
    pim_changes_key(&changes, pim_v_text(throttle->key));
    rc = pim_changes_run(&changes, lease, err);
    return rc > 0 ? PIM_OK : rc;
}
