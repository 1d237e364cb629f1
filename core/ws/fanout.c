/* From a batch to the connections: who listens to which group, what goes to whom, each row encoded once. */
#include "ws/fanout.h"

#include "util/failpoint.h"
#include "util/mem.h"
#include "wire/writer.h"
#include "ws/chat.h"
#include "ws/old.h"

#include <string.h>

#define RUN_MAX 512 /* entries of one group that are encoded together */
#define TEXT_BYTES (64u << 20)

/* --- groups ----------------------------------------------------------------------------------------------------------- */

void
ws_group_join(struct ws_conn *conn, int64_t group_id)
{
    struct ws_worker *w = conn->worker;
    struct ws_group *group = pim_map_find(&w->groups, group_id);

    for (uint32_t i = 0; i < conn->n_memberships; i++)
        if (conn->memberships[i].group->id == group_id)
            return;
    if (conn->n_memberships == UINT16_MAX)
        return;
    if (group == NULL) {
        group = pim_new0(sizeof *group);
        group->id = group_id;
        pim_map_put(&w->groups, group_id, group);
    }
    if (group->n == group->cap) {
        group->cap = group->cap ? group->cap * 2 : 4;
        group->conns = pim_renew(group->conns, group->cap, sizeof *group->conns);
    }
    if (conn->n_memberships == conn->cap_memberships) {
        conn->cap_memberships = (uint16_t)(conn->cap_memberships ? conn->cap_memberships * 2 : 2);
        if (conn->cap_memberships < conn->n_memberships)
            conn->cap_memberships = UINT16_MAX;
        conn->memberships = pim_renew(conn->memberships, conn->cap_memberships, sizeof *conn->memberships);
    }
    conn->memberships[conn->n_memberships++] = (struct ws_membership){group, group->n};
    group->conns[group->n++] = conn;
}

void
ws_group_leave(struct ws_conn *conn, int64_t group_id)
{
    struct ws_worker *w = conn->worker;

    for (uint32_t i = 0; i < conn->n_memberships; i++) {
        struct ws_group *group = conn->memberships[i].group;
        uint32_t index = conn->memberships[i].index;
        struct ws_conn *moved;

        if (group->id != group_id)
            continue;
        moved = group->conns[--group->n];
        if (moved != conn) {
            group->conns[index] = moved;
            for (uint32_t k = 0; k < moved->n_memberships; k++)
                if (moved->memberships[k].group == group)
                    moved->memberships[k].index = index;
        }
        conn->memberships[i] = conn->memberships[--conn->n_memberships];
        if (group->n == 0) {
            pim_map_steal(&w->groups, group_id);
            free(group->conns);
            free(group);
        }
        return;
    }
}

static bool
is_member(const struct ws_conn *conn, const struct ws_group *group)
{
    for (uint32_t i = 0; i < conn->n_memberships; i++)
        if (conn->memberships[i].group == group)
            return true;
    return false;
}

/* --- batches ---------------------------------------------------------------------------------------------------------- */

static void
encode(struct ws_worker *w, const struct pim_row *row)
{
    pim_buf_clear(&w->scratch);
    pim_wire_put_row(&w->scratch, row);
}

static void
on_row(struct ws_worker *w, struct pim_entry *entry)
{
    bool encoded = false;

    for (uint32_t i = 0; i < entry->n_refs; i++) {
        struct ws_conn *conn = ws_worker_find(w, entry->refs[i]);

        if (conn == NULL)
            continue;
        if (conn->is_old) {
            ws_old_row(conn, &entry->row);
            continue;
        }
        if (!encoded) {
            encode(w, &entry->row);
            encoded = true;
        }
        if (conn->state == WS_OPEN)
            ws_conn_put(conn, PIM_WS_OP_TEXT, w->scratch.data, w->scratch.len);
    }
}

/* A run of rows of one group, with the results of its senders between them. */
struct group_run {
    struct pim_entry *entries[RUN_MAX];
    uint32_t from[RUN_MAX + 1]; /* where an entry's frame stands in the blob */
    struct ws_conn *special[RUN_MAX]; /* those who do not get everything: senders */
    uint32_t n, n_special;
};

static void
special_add(struct group_run *run, struct ws_conn *conn)
{
    for (uint32_t i = 0; i < run->n_special; i++)
        if (run->special[i] == conn)
            return;
    run->special[run->n_special++] = conn;
}

/* All frames of the run, one behind the other, in one shared buffer. */
static struct pim_frame *
run_encode(struct ws_worker *w, struct group_run *run)
{
    struct pim_frame *blob;
    struct pim_buf *all = &w->scratch;
    struct pim_buf text;

    pim_buf_init(&text, TEXT_BYTES);
    pim_buf_clear(all);
    for (uint32_t i = 0; i < run->n; i++) {
        uint8_t header[10];

        run->from[i] = (uint32_t)all->len;
        if (run->entries[i]->kind != PIM_ENTRY_GROUP_ROW)
            continue;
        pim_buf_clear(&text);
        pim_wire_put_row(&text, &run->entries[i]->row);
        pim_buf_add(all, header, pim_ws_frame_encode(header, PIM_WS_OP_TEXT, text.len));
        pim_buf_add(all, text.data, text.len);
    }
    run->from[run->n] = (uint32_t)all->len;
    pim_buf_fini(&text);
    blob = pim_new(sizeof *blob + all->len);
    blob->refs = 1;
    blob->len = (uint32_t)all->len;
    memcpy(blob->data, all->data, all->len);
    return blob;
}

/* One connection that does not simply get it all: results in their place, no row that it sent itself. */
static void
run_to_one(struct ws_conn *conn, struct group_run *run, struct pim_frame *blob, bool member)
{
    for (uint32_t i = 0; i < run->n; i++) {
        struct pim_entry *entry = run->entries[i];

        if (entry->kind == PIM_ENTRY_RESULT) {
            if (ws_worker_find(conn->worker, entry->u.send->from) == conn)
                ws_chat_result(conn, entry->u.send);
        } else if (member && !(entry->n_refs > 0 && entry->refs[0].slot == conn->slot && entry->refs[0].gen == conn->gen)) {
            if (conn->is_old)
                ws_old_row(conn, &entry->row);
            else if (blob != NULL)
                ws_conn_put_shared(conn, blob, run->from[i], run->from[i + 1]);
        }
    }
}

static void
run_work(struct ws_worker *w, struct group_run *run, int64_t group_id)
{
    struct ws_group *group = pim_map_find(&w->groups, group_id);
    struct pim_frame *blob = NULL;

    for (uint32_t i = 0; i < run->n; i++) {
        struct pim_entry *entry = run->entries[i];
        struct ws_conn *conn = NULL;

        if (entry->kind == PIM_ENTRY_RESULT)
            conn = ws_worker_find(w, entry->u.send->from);
        else if (entry->n_refs > 0)
            conn = ws_worker_find(w, entry->refs[0]);
        if (conn != NULL)
            special_add(run, conn);
    }
    if (group != NULL) {
        blob = run_encode(w, run);
        /* backwards: a connection that is closed by its output leaves the group, and the last one takes its place */
        for (uint32_t i = group->n; i-- > 0;) {
            struct ws_conn *conn = group->conns[i];
            bool special = false;

            for (uint32_t k = 0; k < run->n_special && !special; k++)
                special = run->special[k] == conn;
            if (special)
                continue;
            if (conn->is_old)
                run_to_one(conn, run, blob, true);
            else
                ws_conn_put_shared(conn, blob, 0, blob->len);
        }
        group = pim_map_find(&w->groups, group_id); /* it goes with its last member */
    }
    for (uint32_t i = 0; i < run->n_special; i++)
        run_to_one(run->special[i], run, blob, group != NULL && is_member(run->special[i], group));
    for (uint32_t i = 0; i < run->n; i++)
        if (run->entries[i]->kind == PIM_ENTRY_RESULT)
            free(run->entries[i]->u.send);
    pim_frame_unref(&blob);
}

static bool
belongs_to_run(const struct pim_entry *entry, const struct pim_conv *conv)
{
    if (entry->kind == PIM_ENTRY_GROUP_ROW)
        return pim_conv_equal(&entry->row.conv, conv);
    return entry->kind == PIM_ENTRY_RESULT && pim_conv_equal(&entry->u.send->send.conv, conv);
}

static void
on_dismiss(struct ws_worker *w, int64_t group_id)
{
    struct ws_group *group;

    while ((group = pim_map_find(&w->groups, group_id)) != NULL)
        ws_group_leave(group->conns[group->n - 1], group_id);
}

static void
left_while_starting(struct ws_conn *conn, int64_t group_id)
{
    conn->left = pim_renew(conn->left, conn->n_left + 1, sizeof *conn->left);
    conn->left[conn->n_left++] = group_id;
}

static void
on_read_mark(struct ws_worker *w, struct ws_conn *conn, const struct pim_row *row)
{
    char name[48];

    if (conn->is_old || conn->state != WS_OPEN)
        return;
    pim_conv_format(name, &row->conv);
    pim_buf_clear(&w->scratch);
    pim_buf_addf(&w->scratch, "{\"op\":\"read\",\"conversation\":\"%s\",\"seq\":%lld,\"read_ord\":%lld}", name,
                 (long long)row->seq, (long long)row->ord);
    ws_conn_put(conn, PIM_WS_OP_TEXT, w->scratch.data, w->scratch.len);
}

static void
on_entry(struct ws_worker *w, struct pim_entry *entry)
{
    struct ws_conn *conn = entry->n_refs > 0 ? ws_worker_find(w, entry->refs[0]) : NULL;

    switch (entry->kind) {
    case PIM_ENTRY_RESULT:
        conn = ws_worker_find(w, entry->u.send->from);
        if (conn != NULL)
            ws_chat_result(conn, entry->u.send);
        free(entry->u.send);
        return;
    case PIM_ENTRY_ROW:
        on_row(w, entry);
        return;
    case PIM_ENTRY_DISMISS:
        on_dismiss(w, entry->u.group_id);
        return;
    default:
        break;
    }
    if (conn == NULL || conn->state == WS_CLOSING || conn->state == WS_DEAD)
        return;
    switch (entry->kind) {
    case PIM_ENTRY_JOIN:
        for (uint32_t i = 0; i < conn->n_left; i++)
            if (conn->left[i] == entry->u.group_id)
                conn->left[i] = 0;
        ws_group_join(conn, entry->u.group_id);
        break;
    case PIM_ENTRY_LEAVE:
        ws_group_leave(conn, entry->u.group_id);
        if (conn->state == WS_STARTING)
            left_while_starting(conn, entry->u.group_id);
        break;
    case PIM_ENTRY_READ:
        on_read_mark(w, conn, &entry->row);
        break;
    case PIM_ENTRY_CLOSE:
        ws_conn_close(conn, (unsigned)entry->u.code,
                      entry->u.code == 4003 ? "replaced by a newer connection" : "the session has ended");
        break;
    default:
        break;
    }
}

void
ws_fanout_batch(struct ws_worker *w, struct pim_batch *batch)
{
    struct group_run run;
    struct pim_entry *entry;
    size_t at = 0;

    pim_failpoint("before-delivery");
    entry = pim_batch_next(batch, &at);
    while (entry != NULL) {
        struct pim_conv conv = entry->kind == PIM_ENTRY_RESULT ? entry->u.send->send.conv : entry->row.conv;

        if (conv.kind != 'g' || !belongs_to_run(entry, &conv)) {
            on_entry(w, entry);
            entry = pim_batch_next(batch, &at);
            continue;
        }
        run.n = run.n_special = 0;
        while (entry != NULL && run.n < RUN_MAX && belongs_to_run(entry, &conv)) {
            run.entries[run.n++] = entry;
            entry = pim_batch_next(batch, &at);
        }
        run_work(w, &run, conv.a);
    }
    pim_batch_free(&batch);
}
