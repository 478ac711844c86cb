/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/records.h"

#include <string.h>

#include "base/error.h"
#include "base/seams.h"

int records_init(struct records *records, uint64_t txn, size_t capacity)
{
    *records = (struct records){.txn = txn,
                                .edits = mem_array(capacity, sizeof(struct edit)),
                                .buffers = mem_array(capacity, sizeof(struct buffer))};
    return records->edits && records->buffers ? 0 : fail_memory();
}

void records_fini(struct records *records)
{
    for (size_t i = 0; records->buffers && i < records->count; i++)
        buffer_free(&records->buffers[i]);
    mem_free(records->edits);
    mem_free(records->buffers);
}

static struct buffer *next_buffer(struct records *records)
{
    struct buffer *buffer = &records->buffers[records->count];
    *buffer = BUFFER(RECORD_SIZE_TOP);
    return buffer;
}

/* What was put into the next buffer, with the status of that. */
static int add(struct records *records, enum edit_kind kind, const struct journal_key *key, int rc)
{
    const struct buffer *buffer = &records->buffers[records->count];
    records->edits[records->count++] = (struct edit){kind, *key, buffer->data, buffer->size};
    return rc;
}

int records_add_head(struct records *records, enum edit_kind kind, const struct head_record *head)
{
    struct journal_key key = journal_key(records->txn, RECORD_HEAD, 0);
    return add(records, kind, &key, head_write(&key, head, next_buffer(records)));
}

int records_add_member(struct records *records, size_t number, const char *json, const char *url)
{
    struct journal_key key = journal_key(records->txn, RECORD_MEMBER, number);
    const struct member_record record = {json, url};
    return add(records, EDIT_PUT, &key, member_write(&key, &record, next_buffer(records)));
}

int records_add_change(struct records *records, size_t member, const struct change *change, const char *token,
                       const char *conflict)
{
    struct journal_key key = journal_key(records->txn, RECORD_CHANGE, change->id);
    struct change_record record = {.member = (uint32_t)member,
                                   .kind = change->kind,
                                   .payload = change->payload.kind,
                                   .before = change->before,
                                   .create = change->create,
                                   .timed = change->timed,
                                   .mtime_ns = change->mtime_ns,
                                   .size = change->payload.size,
                                   .path = change->path,
                                   .if_match = change->if_match,
                                   .token = token,
                                   .conflict = conflict,
                                   .content_type = change->labels.content_type,
                                   .cache_control = change->labels.cache_control,
                                   .metadata = change->labels.metadata};
    memcpy(record.digest, change->payload.digest, sizeof record.digest);
    return add(records, EDIT_PUT, &key, change_write(&key, &record, next_buffer(records)));
}

int records_add_locks(struct records *records, const uint64_t bytes[], size_t count)
{
    struct journal_key key = journal_key(records->txn, RECORD_LOCKS, 0);
    return add(records, EDIT_PUT, &key, locks_write(&key, bytes, count, next_buffer(records)));
}

int records_add_staged(struct records *records, size_t member, const struct change *change)
{
    struct journal_key key = journal_key(records->txn, RECORD_STAGED, change->id);
    const struct stray_record record = {(uint32_t)member, change->path};
    return add(records, EDIT_PUT, &key, stray_write(&key, &record, next_buffer(records)));
}

void records_add_delete(struct records *records, enum record_kind kind, uint64_t number)
{
    struct journal_key key = journal_key(records->txn, kind, number);
    *next_buffer(records) = (struct buffer){0};
    add(records, EDIT_DELETE, &key, 0);
}
