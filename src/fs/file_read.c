/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/file_read.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"
#include "fs/file_object.h"

/* ---- the pin ---- */

static bool differs(const struct file_reader *reader, const struct answer *answer)
{
    if (reader->version && answer->info.version)
        return strcmp(reader->version, answer->info.version) != 0;
    if (reader->validator && answer->validator)
        return strcmp(reader->validator, answer->validator) != 0;
    return reader->size >= 0 && answer->info.size >= 0 && reader->size != answer->info.size;
}

static int pin(struct file_reader *reader, const struct answer *answer)
{
    char *version = answer->info.version ? mem_dup(answer->info.version) : NULL;
    char *validator = answer->validator ? mem_dup(answer->validator) : NULL;
    if ((answer->info.version && !version) || (answer->validator && !validator)) {
        mem_free(version);
        mem_free(validator);
        return fail_memory();
    }
    mem_free(reader->version);
    mem_free(reader->validator);
    reader->version = version;
    reader->validator = validator;
    reader->size = answer->info.size;
    reader->pinned = true;
    reader->epoch++;
    return 0;
}

static int learn(struct file_reader *reader, const struct answer *answer)
{
    if (answer->flags & ANSWER_UNRANGED)
        reader->unranged = true;
    if (!reader->pinned)
        return pin(reader, answer);
    if (differs(reader, answer))
        return reader->options->follow ? pin(reader, answer)
                                       : fail(-ESTALE, "%s: it changed while it was read", reader->path);
    if (reader->size < 0)
        reader->size = answer->info.size;
    return 0;
}

int file_read_learn(struct file_reader *reader, const struct answer *answer, unsigned *epoch)
{
    pthread_mutex_lock(&reader->lock);
    int rc = learn(reader, answer);
    if (epoch)
        *epoch = reader->epoch;
    pthread_mutex_unlock(&reader->lock);
    return rc;
}

struct terms file_read_terms(const struct file_reader *reader)
{
    struct terms terms = reader->fs->terms;
    if (!reader->options->follow)
        terms.if_match = reader->version;
    return terms;
}

/* ---- requests ---- */

int64_t file_read_add(int64_t offset, size_t size)
{
    return size < (uint64_t)(INT64_MAX - offset) ? offset + (int64_t)size : INT64_MAX;
}

int64_t file_read_end(const struct file_reader *reader, int64_t end)
{
    int64_t size = reader->size;
    return size >= 0 && end > size && !reader->options->follow ? size : end;
}

void file_read_count_request(struct file_reader *reader, int64_t start, int64_t end)
{
    reader->requests++;
    reader->requested_bytes += (uint64_t)(end - start);
}

int file_read_check_count(struct file_reader *reader, int64_t start, int64_t end, size_t got)
{
    if (got == (uint64_t)(end - start))
        return 0;
    if (reader->size < 0 && (got > 0 || start == 0))
        reader->size = start + (int64_t)got;
    return reader->size <= start + (int64_t)got
               ? 0
               : fail(-ESTALE, "%s: it became shorter while it was read", reader->path);
}

static int ask(struct file_reader *reader, struct layer_call *call, unsigned *epoch)
{
    struct answer answer = {0};
    struct terms terms = file_read_terms(reader);
    call->terms = &terms;
    call->out = &answer;
    int rc = reader->epoch ? enter_call_full(reader->fs, reader->full, call) /* a file: an answer came */
                           : enter_call(reader->fs, reader->path, call);
    assert(rc <= 0);
    if (rc == 0 && call->operation == LAYER_INFO && answer.info.type == LARDER_DIRECTORY)
        rc = fail_at(reader->fs->instance, reader->full, -EISDIR, "a directory");
    if (rc == 0)
        rc = file_read_learn(reader, &answer, epoch);
    answer_free(&answer);
    return rc;
}

int file_read_fetch(struct file_reader *reader, int64_t start, int64_t end, struct sink *sink,
                    unsigned *epoch)
{
    struct larder_range range = {start, end};
    struct layer_call call = {LAYER_READ, .range = &range, .sink = sink};
    file_read_count_request(reader, start, end);
    return ask(reader, &call, epoch);
}

int64_t file_read_direct(struct file_reader *reader, struct get *get)
{
    struct span_sink sink;
    int64_t end = file_read_end(reader, file_read_add(get->offset, get->size));
    if (end <= get->offset)
        return 0;
    get->missed = true;
    span_sink_init(&sink, get->buffer, (size_t)(end - get->offset));
    int rc = file_read_fetch(reader, get->offset, end, &sink.sink, NULL);
    if (rc == 0)
        rc = file_read_check_count(reader, get->offset, end, sink.size);
    return rc < 0 ? rc : (int64_t)sink.size;
}

static int open_by_info(struct file_reader *reader)
{
    struct layer_call call = {LAYER_INFO};
    reader->requests++;
    return ask(reader, &call, NULL);
}

int file_read_size(struct file_reader *reader, int64_t *size)
{
    int rc = reader->size < 0 || reader->options->follow ? open_by_info(reader) : 0;
    if (rc == 0)
        *size = reader->size;
    return rc;
}

int64_t file_read_stream(struct file_reader *reader, struct get *get)
{
    reader->strategy->close(reader, false);
    reader->strategy = &strategy_stream;
    return reader->strategy->get(reader, get);
}

/* ---- none: straight through ---- */

static int64_t none_get(struct file_reader *reader, struct get *get)
{
    return get->alone && reader->unranged ? file_read_stream(reader, get) : file_read_direct(reader, get);
}

static void none_close(struct file_reader *reader, bool torn)
{
}

const struct strategy strategy_none = {"none", open_by_info, none_get, none_close};

/* ---- whole: all of it, at once ---- */

static int whole_open(struct file_reader *reader)
{
    struct bytes_sink sink;
    struct layer_call call = {LAYER_READ, .sink = &sink.sink};
    struct larder_bytes *whole = mem_zero(sizeof *whole);
    if (!whole)
        return fail_memory();
    bytes_sink_init(&sink);
    int rc = ask(reader, &call, NULL);
    if (rc == 0) {
        file_read_count_request(reader, 0, (int64_t)sink.size);
        reader->size = (int64_t)sink.size;
        *whole = bytes_sink_take(&sink);
        reader->state = take(whole);
    }
    bytes_sink_fini(&sink);
    mem_free(whole);
    return rc;
}

static int64_t whole_get(struct file_reader *reader, struct get *get)
{
    const struct larder_bytes *whole = reader->state;
    if ((uint64_t)get->offset >= whole->size)
        return 0;
    size_t count = whole->size - (size_t)get->offset;
    if (count > get->size)
        count = get->size;
    memcpy(get->buffer, (const char *)whole->data + get->offset, count);
    return (int64_t)count;
}

/* Nothing changes it: it is not torn. */
static void whole_close(struct file_reader *reader, bool torn)
{
    larder_bytes_free(reader->state);
    mem_free(take(reader->state));
}

const struct strategy strategy_whole = {"whole", whole_open, whole_get, whole_close};

/* ---- what a file asks for ---- */

int64_t file_read_get(struct file_reader *reader, void *buffer, size_t size, int64_t offset, bool alone)
{
    struct get get = {buffer, size, offset, alone, false};
    int64_t count = 1;
    while (get.size > 0 && count > 0) {
        count = reader->strategy->get(reader, &get);
        if (count < 0)
            return count;
        get.buffer += count;
        get.offset += count;
        get.size -= (size_t)count;
    }
    (get.missed ? &reader->misses : &reader->hits)[0]++;
    return get.offset - offset;
}

int file_read_open(struct file_reader *reader, struct larder_fs *fs, const char *path, const char *full,
                   const struct file_options *options)
{
    *reader = (struct file_reader){.fs = fs,
                                   .path = path,
                                   .full = full,
                                   .options = options,
                                   .strategy = options->strategy,
                                   .size = LARDER_SIZE_UNKNOWN};
    pthread_mutex_init(&reader->lock, NULL);
    int rc = reader->strategy->open(reader);
    if (rc < 0)
        file_read_close(reader);
    return rc;
}

void file_read_close(struct file_reader *reader)
{
    reader->strategy->close(reader, false);
    pthread_mutex_destroy(&reader->lock);
    mem_free(reader->version);
    mem_free(reader->validator);
}

void file_read_after_fork(struct file_reader *reader, bool torn)
{
    pthread_mutex_init(&reader->lock, NULL);
    if (torn && reader->options->follow) {
        reader->pinned = false;
        reader->version = reader->validator = NULL;
    }
    if (reader->strategy != &strategy_whole)
        reader->strategy->close(reader, torn);
}
