#include "im/batch.h"

#include "util/mem.h"

#include <string.h>

#define BATCH_BYTES 4096

struct pim_batch *
pim_batch_new(void)
{
    struct pim_batch *batch = pim_new0(sizeof *batch);

    batch->mail.kind = PIM_MAIL_BATCH;
    return batch;
}

void
pim_batch_free(struct pim_batch **batchp)
{
    struct pim_batch *batch = *batchp;

    *batchp = NULL;
    if (batch == NULL)
        return;
    free(batch->data);
    free(batch);
}

struct pim_entry *
pim_batch_add(struct pim_batch *batch, enum pim_entry_kind kind, uint32_t n_refs, size_t body_len)
{
    size_t bytes = sizeof(struct pim_entry) + n_refs * sizeof(struct pim_peer_ref) + body_len;
    struct pim_entry *entry;

    bytes = (bytes + 7) & ~(size_t)7;
    if (batch->cap - batch->len < bytes) {
        size_t cap = batch->cap ? batch->cap * 2 : BATCH_BYTES;

        while (cap - batch->len < bytes)
            cap *= 2;
        batch->data = pim_renew(batch->data, cap, 1);
        batch->cap = cap;
    }
    entry = (struct pim_entry *)(batch->data + batch->len);
    memset(entry, 0, sizeof *entry);
    entry->kind = (uint16_t)kind;
    entry->n_refs = (uint16_t)n_refs;
    entry->bytes = (uint32_t)bytes;
    batch->len += bytes;
    return entry;
}

struct pim_entry *
pim_batch_next(struct pim_batch *batch, size_t *at)
{
    struct pim_entry *entry;

    if (*at >= batch->len)
        return NULL;
    entry = (struct pim_entry *)(batch->data + *at);
    *at += entry->bytes;
    entry->row.body = pim_entry_body(entry);
    return entry;
}
