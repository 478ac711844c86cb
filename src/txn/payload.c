/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/payload.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/seams.h"
#include "txn/pending.h"
#include "txn/staged.h"
#include "txn/vault.h"

#define PIECE_SIZE ((size_t)1 << 20)
#define DROP_MS    60000

static struct vault vault_of(const struct member *member)
{
    return (struct vault){member->txn->journal, member->txn->id};
}

/* ---- small ones, and those of places that do not outlive the process ---- */

/* Takes over `bytes`. */
static int CO_FN hold(struct member *member, struct change *change, struct larder_bytes bytes)
{
    struct payload *payload = &change->payload;
    payload->kind = member->persistent ? PAYLOAD_JOURNAL : PAYLOAD_MEMORY;
    payload->size = (int64_t)bytes.size;
    payload->bytes = bytes;
    hash128_bytes(bytes.data ? bytes.data : "", bytes.size, payload->digest);
    return member->persistent ? pending_add(member->txn, change) : 0;
}

/* Up to `limit` bytes of the source, or all: then *ended. */
static int CO_FN take_in(struct source *source, size_t limit, struct buffer *out, bool *ended)
{
    *ended = false;
    while (out->size < limit) {
        size_t want = limit - out->size < PIECE_SIZE ? limit - out->size : PIECE_SIZE;
        void *room = buffer_room(out, want);
        int64_t count = room ? source_read(source, room, want) : out->status;
        if (count <= 0) {
            *ended = count == 0;
            return (int)count;
        }
        buffer_grew(out, (size_t)count);
    }
    return 0;
}

static int CO_FN write_data(struct member *member, struct change *change, const struct source *source)
{
    char *copy = mem_dup_n(source->data, (size_t)source->size);
    return copy ? hold(member, change, bytes_own(copy, (size_t)source->size)) : fail_memory();
}

/* ---- files ---- */

struct file_step {
    struct vault vault;
    struct change *change;
    int fd;
    const void *data;
    size_t size;
    int64_t offset;
};

static int fail_write(const struct file_step *step, int rc)
{
    return fail_errno(-rc, "%s: in the journal", step->change->path);
}

static int create_file(void *arg)
{
    struct file_step *step = arg;
    step->fd = vault_create(&step->vault, step->change->id);
    CRASH_POINT("txn.payload_file");
    return step->fd < 0 ? step->fd : 0;
}

static int write_piece(void *arg)
{
    struct file_step *step = arg;
    int rc = file_write(step->fd, step->data, step->size, step->offset);
    return rc < 0 ? fail_write(step, rc) : 0;
}

static int close_file(void *arg)
{
    struct file_step *step = arg;
    spool_close(step->fd);
    return 0;
}

static int write_part(void *arg)
{
    struct file_step *step = arg;
    step->fd = vault_open(&step->vault, step->change->id);
    if (step->fd < 0)
        return step->fd;
    int rc = write_piece(step);
    close_file(step);
    return rc;
}

/* It is on the disk when its transaction is sealed, which comes later. */
static int finish_file(void *arg)
{
    struct file_step *step = arg;
    struct payload *payload = &step->change->payload;
    step->fd = vault_open(&step->vault, step->change->id);
    if (step->fd < 0)
        return step->fd;
    int rc = vault_measure(step->fd, step->change->path, payload->size, payload->digest);
    if (rc == 0 && file_seam.fsync(step->fd) < 0)
        rc = fail_write(step, -errno);
    close_file(step);
    return rc;
}

static int remove_file(void *arg)
{
    struct file_step *step = arg;
    vault_remove(&step->vault, step->change->id);
    return 0;
}

static int CO_FN on_worker(struct member *member, struct change *change, work_fn *fn, struct file_step *step)
{
    step->vault = vault_of(member);
    step->change = change;
    return offload(fn, step);
}

/* What was taken in of the source already, and all that follows; or all of source->data. */
static int CO_FN write_parts(struct member *member, struct change *change, const void *first,
                             size_t first_size, struct source *source)
{
    autofree char *piece = source->data ? NULL : mem_alloc(PIECE_SIZE);
    int64_t at = (int64_t)first_size, count = 0;
    int rc = piece || source->data ? payload_stage(member, change) : fail_memory();
    if (rc == 0)
        rc = payload_stage_part(member, change, 0, 0, first, first_size);
    for (uint32_t part = 1; rc == 0 && piece && (count = source_read(source, piece, PIECE_SIZE)) > 0;
         part++) {
        rc = payload_stage_part(member, change, part, at, piece, (size_t)count);
        at += count;
    }
    if (rc == 0 && count < 0)
        rc = (int)count;
    return rc < 0 ? rc : payload_finish(member, change, at);
}

/* ---- all at once ---- */

static int CO_FN write_stream(struct member *member, struct change *change, struct source *source)
{
    size_t limit = member->persistent ? (size_t)PAYLOAD_SMALL_MAX + 1 : SIZE_MAX;
    struct buffer head = BUFFER(SIZE_MAX / 2);
    bool ended;
    int rc = take_in(source, limit, &head, &ended);
    if (rc == 0 && ended)
        rc = hold(member, change, buffer_take_bytes(&head));
    else if (rc == 0)
        rc = write_parts(member, change, head.data, head.size, source);
    buffer_free(&head);
    return rc;
}

int CO_FN payload_write(struct member *member, struct change *change, struct source *source)
{
    if (!source->data)
        return write_stream(member, change, source);
    if (!member->persistent || source->size <= PAYLOAD_SMALL_MAX)
        return write_data(member, change, source);
    return write_parts(member, change, source->data, (size_t)source->size, source);
}

/* ---- in parts ---- */

int CO_FN payload_stage(struct member *member, struct change *change)
{
    struct file_step step = {.fd = -1};
    if (member_stages(member))
        return staged_begin(member, change);
    change->payload.kind = member->persistent ? PAYLOAD_FILE : PAYLOAD_MEMORY;
    if (!member->persistent)
        return 0;
    int rc = on_worker(member, change, create_file, &step);
    if (step.fd >= 0)
        close_file(&step);
    return rc;
}

/* Room for the part, with zeros in front where others are still to come. */
static int put_in_memory(struct larder_bytes *bytes, int64_t offset, const void *data, size_t size)
{
    size_t end = (size_t)offset + size;
    if (end > bytes->size) {
        char *longer = mem_resize((void *)(uintptr_t)bytes->data, end);
        if (!longer)
            return fail_memory();
        memset(longer + bytes->size, 0, end - bytes->size);
        *bytes = bytes_own(longer, end);
    }
    memcpy((char *)(uintptr_t)bytes->data + offset, data, size);
    return 0;
}

int CO_FN payload_stage_part(struct member *member, struct change *change, uint32_t part, int64_t offset,
                             const void *data, size_t size)
{
    struct file_step step = {.data = data, .size = size, .offset = offset};
    if (change->payload.kind == PAYLOAD_STAGED)
        return staged_part(member, change, part, offset, data, size);
    if (change->payload.kind == PAYLOAD_MEMORY)
        return size > 0 ? put_in_memory(&change->payload.bytes, offset, data, size) : 0;
    return on_worker(member, change, write_part, &step);
}

int CO_FN payload_finish(struct member *member, struct change *change, int64_t size)
{
    struct payload *payload = &change->payload;
    struct file_step step = {0};
    payload->size = size;
    if (payload->kind == PAYLOAD_STAGED)
        return staged_finish(member, change);
    if (payload->kind == PAYLOAD_FILE)
        return on_worker(member, change, finish_file, &step);
    if ((int64_t)payload->bytes.size != size)
        return fail(-EINVAL, "%s: %zu bytes were written, not %lld", change->path, payload->bytes.size,
                    (long long)size);
    hash128_bytes(payload->bytes.data ? payload->bytes.data : "", payload->bytes.size, payload->digest);
    return 0;
}

static int CO_FN remove_payload(struct member *member, struct change *change)
{
    struct file_step step = {0};
    return change->payload.kind == PAYLOAD_STAGED ? staged_drop(member, change)
                                                  : on_worker(member, change, remove_file, &step);
}

/* Also for a task that was cancelled. */
void CO_FN payload_drop(struct member *member, struct change *change)
{
    struct deadline deadline;
    if (change->payload.kind == PAYLOAD_JOURNAL)
        pending_drop(member->txn, change);
    if (change->payload.kind != PAYLOAD_FILE && change->payload.kind != PAYLOAD_STAGED)
        return;
    struct error_slot words = *error_slot();
    deadline_begin_shielded(&deadline, DROP_MS);
    int rc = deadline_end(&deadline, remove_payload(member, change), change->path);
    if (rc < 0)
        log_at(LARDER_LOG_WARNING, "%s: what was staged of it is still there: %s", change->path,
               error_text());
    *error_slot() = words;
}

/* ---- reading ---- */

/* Borrowed, or `own`ed: then to be freed. */
static int load(struct member *member, const struct change *change, struct larder_bytes *out)
{
    struct vault vault = vault_of(member);
    if (change->payload.kind == PAYLOAD_JOURNAL) {
        int rc = pending_copy(member->txn, change, out);
        if (rc != -ENOENT)
            return rc;
    }
    return vault_get(&vault, change, out);
}

struct loading {
    struct member *member;
    const struct change *change;
    struct larder_bytes *out;
};

static int load_on_worker(void *arg)
{
    struct loading *loading = arg;
    return load(loading->member, loading->change, loading->out);
}

static int CO_FN pour(const struct change *change, const char *data, int64_t start, int64_t count,
                      const struct answer *answer, struct sink *sink)
{
    int rc = sink_begin(sink, answer, count);
    return rc == 0 && count > 0 ? sink_pour(sink, data + start, (size_t)count) : rc;
}

struct file_read_step {
    int fd;
    void *room;
    size_t size;
    int64_t at, got;
    const char *path;
};

static int read_some(void *arg)
{
    struct file_read_step *step = arg;
    step->got = file_read(step->fd, step->room, step->size, step->at);
    if (step->got == 0)
        return fail(-EIO, "%s: its file in the journal became shorter", step->path);
    return step->got < 0 ? fail_errno((int)-step->got, "%s: in the journal", step->path) : 0;
}

static int CO_FN read_file(int fd, const struct change *change, int64_t start, int64_t count,
                           const struct answer *answer, struct sink *sink)
{
    struct file_read_step step = {.fd = fd, .at = start, .path = change->path};
    int rc = sink_begin(sink, answer, count);
    while (rc == 0 && count > 0) {
        rc =
            sink_room(sink, count < (int64_t)PIECE_SIZE ? (size_t)count : PIECE_SIZE, &step.room, &step.size);
        if (rc == 0 && (int64_t)step.size > count)
            step.size = (size_t)count;
        if (rc == 0)
            rc = offload(read_some, &step);
        if (rc == 0)
            rc = sink_fill(sink, (size_t)step.got);
        step.at += step.got;
        count -= step.got;
    }
    return rc;
}

int CO_FN payload_read(struct member *member, const struct change *change, const struct larder_range *range,
                       const struct answer *answer, struct sink *sink)
{
    const struct payload *payload = &change->payload;
    struct larder_bytes bytes = {0};
    int64_t start, count;
    range_resolve(range, payload->size, &start, &count);
    if (payload->kind == PAYLOAD_MEMORY)
        return pour(change, payload->bytes.data, start, count, answer, sink);
    if (payload->kind == PAYLOAD_STAGED)
        return staged_read(member, change, start, count, answer, sink);
    if (payload->kind == PAYLOAD_FILE) {
        struct vault vault = vault_of(member);
        int fd = vault_open(&vault, change->id);
        if (fd < 0)
            return fd;
        int rc = read_file(fd, change, start, count, answer, sink);
        spool_close(fd);
        return rc;
    }
    struct loading loading = {member, change, &bytes};
    int rc = offload(load_on_worker, &loading);
    if (rc == 0)
        rc = pour(change, bytes.data, start, count, answer, sink);
    larder_bytes_free(&bytes);
    return rc;
}

int payload_look(struct member *member, const struct change *change, const struct larder_range *range,
                 const struct answer *answer, struct sink *sink)
{
    const struct payload *payload = &change->payload;
    struct larder_bytes bytes = {0};
    int64_t start, count;
    if (payload->kind == PAYLOAD_FILE || payload->kind == PAYLOAD_STAGED)
        return -EAGAIN;
    range_resolve(range, payload->size, &start, &count);
    bool lent = payload->kind == PAYLOAD_MEMORY;
    int rc = lent ? 0 : load(member, change, &bytes);
    if (rc < 0)
        return rc;
    const char *data = lent ? payload->bytes.data : bytes.data;
    rc = sink_begin_now(sink, answer, count);
    if (rc == 0 && count > 0)
        rc = sink_put(sink, data + start, (size_t)count);
    larder_bytes_free(&bytes);
    return rc;
}
