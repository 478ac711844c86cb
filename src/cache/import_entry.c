/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/import.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/edit.h"

#define CHUNK_SIZE (64LL * BLOCK_SIZE)
#define COST_MIN   1024 /* of the writer's budget, of what has no bytes */

/* ---- into the store ---- */

struct import_op {
    union {
        struct put put;
        struct stage stage;
    };
    char *data;
    struct listing names;
    struct archive_texts texts;
    char *identity;
};

static void op_free(struct import_op *op)
{
    mem_free(op->data);
    listing_free(&op->names);
    texts_free(&op->texts);
    mem_free(op->identity);
    mem_free(op);
}

static void put_done(struct op *op, int status)
{
    op_free(container_of(op, struct import_op, put.op));
}

static void stage_done(struct op *op, int status)
{
    op_free(container_of(op, struct import_op, stage.op));
}

/* Waits for room in the writer's queue. `op` is the writer's then; freed if it fails. */
static int add(struct importer *import, struct import_op *op, struct op *base, size_t size)
{
    struct store *store = import->store;
    size_t cost = size < COST_MIN ? COST_MIN : size;
    int rc = 0;
    while (rc == 0 && !writer_reserve(store, cost))
        rc = writer_flush(store, -1);
    base->cost = cost;
    if (rc == 0 && writer_add(store, base) < 0) {
        writer_release(store, cost);
        rc = fail(-EIO, "cache %s: it cannot be written", store->dir);
    }
    if (rc < 0)
        op_free(op);
    return rc;
}

/* With texts of its own. */
static struct import_op *op_new(const struct importer *import)
{
    struct import_op *op = mem_zero(sizeof *op);
    if (!op)
        return NULL;
    const struct archive_texts *texts = &import->texts;
    op->identity = mem_dup(import->identity);
    op->texts.path = mem_dup(texts->path);
    op->texts.version = texts->version ? mem_dup(texts->version) : NULL;
    op->texts.validator = texts->validator ? mem_dup(texts->validator) : NULL;
    if (op->identity && op->texts.path && !op->texts.version == !texts->version &&
        !op->texts.validator == !texts->validator)
        return op;
    op_free(op);
    return NULL;
}

static struct packing pack_as(const struct importer *import)
{
    return packing_of(import->cache->packing, &import->place, import->texts.path);
}

static void fill_put(const struct importer *import, struct import_op *op)
{
    struct answer answer = import->entry.answer;
    answer.info.version = op->texts.version;
    answer.validator = op->texts.validator;
    op->put = (struct put){.op = {.apply = edit_put, .done = put_done},
                           .type = import->listing ? KEY_LISTING : KEY_RECORD,
                           .place = place_of(op->identity),
                           .path = op->texts.path,
                           .seen = import->seen,
                           .old = true,
                           .packing = pack_as(import)};
    record_from_answer(&op->put.record, &answer);
    op->put.record.head.state = import->entry.state;
    op->put.record.head.answered_ns = import->entry.answered_ns;
}

/* Of the chunk, `size` bytes, whose buffer goes with it. */
static int put_chunk(struct importer *import, size_t size, bool whole)
{
    struct import_op *op = op_new(import);
    if (!op)
        return fail_memory();
    fill_put(import, op);
    op->data = take(import->chunk);
    op->put.data = op->data;
    op->put.start = import->start;
    op->put.size = size;
    op->put.whole = whole;
    op->put.staged = import->staged;
    import->start += (int64_t)size;
    import->chunk_size = 0;
    import->staged = 0;
    return add(import, op, &op->put.op, size);
}

static int stage_chunk(struct importer *import)
{
    struct import_op *op = mem_zero(sizeof *op);
    if (!op)
        return fail_memory();
    if (!import->staged)
        import->staged = store_number();
    op->data = take(import->chunk);
    op->stage = (struct stage){.op = {.apply = edit_stage, .done = stage_done},
                               .version = import->staged,
                               .data = op->data,
                               .start = import->start,
                               .size = import->chunk_size,
                               .packing = pack_as(import)};
    size_t size = import->chunk_size;
    import->start += (int64_t)size;
    import->chunk_size = 0;
    return add(import, op, &op->stage.op, size);
}

static int put_names(struct importer *import)
{
    struct import_op *op = op_new(import);
    if (!op)
        return fail_memory();
    fill_put(import, op);
    op->names = import->names;
    import->names = (struct listing){0};
    op->put.record.head.type = LARDER_DIRECTORY;
    op->put.record.head.size = (int64_t)op->names.size;
    op->put.data = op->names.data;
    op->put.size = op->names.size;
    op->put.whole = true;
    return add(import, op, &op->put.op, op->names.size);
}

/* ---- an entry ---- */

void import_drop_entry(struct importer *import)
{
    edit_drop(import->store, import->staged);
    import->staged = 0;
    listing_free(&import->names);
    texts_free(&import->texts);
    import->open = false;
    import->chunk_size = 0;
}

static bool is_strong(const struct importer *import)
{
    return answer_is_strong(&import->entry.answer);
}

/* What of the chunk is whole blocks, or reaches the file's end. */
static int flush_run(struct importer *import)
{
    size_t whole = import->chunk_size / (size_t)BLOCK_SIZE * (size_t)BLOCK_SIZE;
    if (import->start + (int64_t)import->chunk_size == import->entry.answer.info.size)
        whole = import->chunk_size;
    if (whole > 0)
        return put_chunk(import, whole, false);
    import->chunk_size = 0;
    return 0;
}

static int end_file(struct importer *import)
{
    int64_t size = import->entry.answer.info.size;
    bool file = import->entry.state == RECORD_KNOWN && import->entry.answer.info.type == LARDER_FILE;
    bool whole = file && !import->gaps && import->pos == size;
    if (whole)
        return put_chunk(import, import->chunk_size, import->start == 0 || import->staged);
    if (file && import->pos > 0 && is_strong(import))
        return flush_run(import);
    import->chunk_size = 0;
    if (import->pos > 0 || import->staged) { /* parts of what cannot be put together */
        edit_drop(import->store, import->staged);
        import->staged = 0;
        return 0;
    }
    import->start = 0;
    return put_chunk(import, 0, false); /* what is known without bytes */
}

int import_end_entry(struct importer *import)
{
    if (!import->open)
        return 0;
    import->entries++;
    int rc = import->skip ? 0 : import->listing ? put_names(import) : end_file(import);
    bool file = !import->listing && import->entry.state == RECORD_KNOWN &&
                import->entry.answer.info.type == LARDER_FILE;
    import->stats.entries++;
    import->stats.files += file;
    import->stats.listings += import->listing;
    import->stats.known += import->skip;
    import_drop_entry(import);
    return rc;
}

/* Does the store know it as well already? Of the same version it may still lack bytes. */
static bool is_known_better(const struct importer *import, const struct record *record)
{
    const struct answer *answer = &import->entry.answer;
    if (record->head.state == RECORD_CHANGED || record->head.answered_ns < import->entry.answered_ns)
        return false;
    if (record->head.body_there || record->head.size < 0 || record->head.size != answer->info.size)
        return true;
    bool strong =
        is_strong(import) && record_is_strong(record) && strcmp(record->version, answer->info.version) == 0;
    if (!strong && record->head.answered_ns != import->entry.answered_ns)
        return true;
    struct reader *reader = record->head.version ? reader_begin(import->store) : NULL;
    bool whole = reader && reader_has(import->store, reader, record, 0, record->head.size) == 0;
    if (reader)
        reader_end(import->store, reader);
    return whole || import->listing || record->head.type != LARDER_FILE;
}

int import_begin_entry(struct importer *import, struct span *body, bool listing)
{
    struct reader *reader;
    struct record record;
    enum key_type type = listing ? KEY_LISTING : KEY_RECORD;
    take_entry(body, &import->entry, &import->texts);
    import->open = true;
    import->listing = listing;
    import->skip = import->gaps = false;
    import->pos = import->start = 0;
    if (!import->identity)
        return import_broken("an entry before a place");
    if (body->broken || (listing && import->entry.answer.info.type != LARDER_DIRECTORY))
        return import_broken("an entry that makes no sense");
    int rc = store_seen(import->store, type, &import->place, import->entry.path, &import->seen);
    if (rc < 0)
        return fail(rc, "cache %s: it cannot be read now", import->store->dir);
    if (reader_find(import->store, type, &import->place, import->entry.path, &reader, &record) < 0)
        return 0;
    import->skip = is_known_better(import, &record);
    reader_end(import->store, reader);
    return 0;
}

/* ---- bytes ---- */

static int take_bytes(struct importer *import, const unsigned char *data, size_t size)
{
    int rc = 0;
    while (rc == 0 && size > 0) {
        size_t room = (size_t)CHUNK_SIZE - import->chunk_size, piece = size < room ? size : room;
        if (!import->chunk)
            import->chunk = mem_alloc((size_t)CHUNK_SIZE);
        if (!import->chunk)
            return fail_memory();
        memcpy(import->chunk + import->chunk_size, data, piece);
        import->chunk_size += piece;
        data += piece;
        size -= piece;
        if (import->chunk_size == (size_t)CHUNK_SIZE && size > 0)
            rc = is_strong(import) ? put_chunk(import, import->chunk_size, false) : stage_chunk(import);
    }
    return rc;
}

/* After a gap what counts begins with the next whole block. */
static int skip_gap(struct importer *import, int64_t offset, struct span *body)
{
    int64_t at = block_count(offset) * BLOCK_SIZE, before = at - offset;
    int rc = is_strong(import) ? flush_run(import) : 0;
    import->gaps = true;
    import->chunk_size = 0;
    import->start = at;
    if (before > (int64_t)body->left)
        before = (int64_t)body->left;
    body->at += before;
    body->left -= (size_t)before;
    return rc;
}

int import_data(struct importer *import, struct span *body)
{
    int64_t offset = (int64_t)take_u64(body), size = import->entry.answer.info.size;
    if (!import->open || import->listing || body->broken || body->left > DATA_SIZE_MAX ||
        offset < import->pos || offset > size || (int64_t)body->left > size - offset)
        return import_broken("data that is out of place");
    import->stats.bytes += body->left;
    int64_t end = offset + (int64_t)body->left;
    int rc = offset > import->pos ? skip_gap(import, offset, body) : 0;
    import->pos = end;
    if (import->skip || (import->gaps && !is_strong(import)))
        return rc;
    return rc < 0 ? rc : take_bytes(import, body->at, body->left);
}
