/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readahead: one window of the file, and those that are being fetched ahead of it.
 *
 *     ├──── window ────┤├──── ahead[0] ────┤├──── ahead[1] ────┤      they lie against each other
 *            ▲ the last get ended here: `expected`
 *
 * A get that goes on where the last one ended is in order, and a window that is then needed is twice as large as the one
 * before; any other begins again with block_size. When a caller who reads in order has come to the middle of the
 * window, the next ones are fetched, each by a task of its own. What one of them brings becomes the window when it is
 * needed; if it failed, it is asked for again, and that failure is the caller's.
 *
 * A request for a window asks for what the caller wants and a window more, so that it is never more requests than
 * windows; where little would be left to the end of the file, it goes on to there.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/file_object.h"
#include "fs/file_read.h"
#include "fs/layer.h"

#define PROBE_SIZE \
    ((size_t)64 << 10) /* asked for when a file is opened: what a HEAD would say, and some bytes */

/* What is fetched ahead. The file's and the task's, whoever is done with it last. */
struct ahead {
    /* const */
    struct larder_fs *fs; /* a reference */
    char *full, *version; /* mem */
    struct terms terms;
    int64_t start, end;
    struct larder_task *task;
    atomic_uint owners;
    atomic_bool over;
    /* the task's, until it is joined */
    struct bytes_sink bytes;
    struct answer answer;
};

struct windows {
    int64_t start;
    char *data; /* mem */
    size_t size;
    unsigned epoch;
    struct ahead *ahead[FILE_PREFETCH_MAX];
    unsigned ahead_count;
    size_t grown; /* of the last window; 0: none yet */
    int64_t expected;
};

/* ---- ahead ---- */

static void ahead_unref(struct ahead *ahead)
{
    if (atomic_fetch_sub(&ahead->owners, 1) > 1)
        return;
    bytes_sink_fini(&ahead->bytes);
    answer_free(&ahead->answer);
    larder_fs_free(ahead->fs);
    mem_free(ahead->full);
    mem_free(ahead->version);
    mem_free(ahead);
}

static int CO_FN fetch_ahead(struct ahead *ahead)
{
    struct larder_range range = {ahead->start, ahead->end};
    struct deadline deadline;
    deadline_begin(&deadline, (uint64_t)ahead->fs->timeout_ms);
    int rc = layer_read(ahead->fs->instance, ahead->full, &range, &ahead->terms, &ahead->bytes.sink,
                        &ahead->answer);
    return deadline_end(&deadline, rc, ahead->full);
}

static int CO_EDGE ahead_task(void *arg)
{
    struct ahead *ahead = arg;
    int rc = fetch_ahead(ahead);
    enter_end(ahead->fs);
    ahead->over = true;
    ahead_unref(ahead);
    return rc;
}

static struct ahead *ahead_new(struct file_reader *reader, int64_t start, int64_t end)
{
    struct ahead *ahead = mem_zero(sizeof *ahead);
    if (!ahead)
        return NULL;
    *ahead = (struct ahead){.fs = larder_fs_ref(reader->fs),
                            .full = mem_dup(reader->full),
                            .terms = file_read_terms(reader),
                            .start = start,
                            .end = end};
    atomic_init(&ahead->owners, 1);
    bytes_sink_init(&ahead->bytes);
    if (ahead->terms.if_match)
        ahead->terms.if_match = ahead->version = mem_dup(ahead->terms.if_match);
    if (ahead->full && (ahead->version || !file_read_terms(reader).if_match))
        return ahead;
    ahead_unref(ahead);
    return NULL;
}

/* Best effort: what cannot be started is read when it is needed. */
static bool ahead_start(struct file_reader *reader, struct windows *windows, int64_t start, int64_t end)
{
    struct ahead *ahead = ahead_new(reader, start, end);
    if (!ahead)
        return false;
    atomic_store(&ahead->owners, 2);
    if (enter_spawn(reader->fs, reader->path, ahead_task, ahead, &ahead->task) < 0) {
        ahead_unref(ahead);
        ahead_unref(ahead);
        error_clear();
        return false;
    }
    file_read_count_request(reader, start, end);
    windows->ahead[windows->ahead_count++] = ahead;
    return true;
}

static struct ahead *ahead_take_first(struct windows *windows)
{
    struct ahead *first = windows->ahead[0];
    windows->ahead_count--;
    memmove(windows->ahead, windows->ahead + 1, windows->ahead_count * sizeof windows->ahead[0]);
    return first;
}

static void ahead_drop(struct windows *windows, unsigned count)
{
    while (count-- > 0) {
        struct ahead *ahead = ahead_take_first(windows);
        larder_cancel(ahead->task);
        larder_task_free(ahead->task);
        ahead_unref(ahead);
    }
}

/* ---- the window ---- */

static void set_window(struct file_reader *reader, struct windows *windows, int64_t start,
                       struct bytes_sink *bytes)
{
    mem_free(windows->data);
    windows->start = start;
    windows->size = bytes->size;
    windows->data = take(bytes->data);
    windows->epoch = reader->epoch;
}

static bool in_window(const struct file_reader *reader, const struct windows *windows, int64_t offset)
{
    return windows->epoch == reader->epoch && offset >= windows->start &&
           offset - windows->start < (int64_t)windows->size;
}

static int64_t copy(const struct windows *windows, struct get *get)
{
    size_t at = (size_t)(get->offset - windows->start), count = windows->size - at;
    if (count > get->size)
        count = get->size;
    memcpy(get->buffer, windows->data + at, count);
    return (int64_t)count;
}

/* What was fetched ahead and has byte `offset` becomes the window. False: nothing has. */
static bool adopt(struct file_reader *reader, struct windows *windows, struct get *get)
{
    unsigned i = 0;
    while (i < windows->ahead_count &&
           (get->offset < windows->ahead[i]->start || get->offset >= windows->ahead[i]->end))
        i++;
    ahead_drop(windows, i);
    if (windows->ahead_count == 0)
        return false;
    struct ahead *ahead = ahead_take_first(windows);
    get->missed |= !ahead->over;
    int rc = larder_join(ahead->task);
    if (rc == 0)
        rc = file_read_learn(reader, &ahead->answer, NULL);
    if (rc == 0)
        rc = file_read_check_count(reader, ahead->start, ahead->end, ahead->bytes.size);
    if (rc == 0)
        set_window(reader, windows, ahead->start, &ahead->bytes);
    ahead_unref(ahead);
    if (rc < 0 || !in_window(reader, windows, get->offset)) {
        ahead_drop(windows, windows->ahead_count);
        error_clear();
        return false;
    }
    return true;
}

/* ---- how far ---- */

static size_t grow(const struct file_reader *reader, struct windows *windows)
{
    size_t max = reader->options->window_max, first = reader->options->block_size;
    if (windows->grown == 0)
        windows->grown = first;
    else if (windows->grown < max)
        windows->grown = windows->grown < max / 2 ? windows->grown * 2 : max;
    return windows->grown;
}

/* Up to `end`, or to the end of the file if that is near. */
static int64_t end_of_request(const struct file_reader *reader, const struct windows *windows, int64_t end)
{
    int64_t size = reader->size;
    return size >= 0 && size > end && size - end <= (int64_t)windows->grown / 4 ? size
                                                                                : file_read_end(reader, end);
}

static void plan_ahead(struct file_reader *reader, struct windows *windows)
{
    unsigned ahead_max = reader->options->prefetch;
    int64_t end = windows->start + (int64_t)windows->size, size = reader->size;
    if (reader->fs->instance->backend->kind != ASYNC || reader->unranged)
        return;
    if (windows->expected < end - (int64_t)windows->size / 2)
        return;
    if (windows->expected > end) /* it was read past the window */
        end = windows->expected;
    if (windows->ahead_count > 0)
        end = windows->ahead[windows->ahead_count - 1]->end;
    while (windows->ahead_count < ahead_max && end < size) {
        int64_t start = end;
        end = end_of_request(reader, windows, file_read_add(start, grow(reader, windows)));
        if (!ahead_start(reader, windows, start, end))
            break;
    }
}

/* ---- the strategy ---- */

static int fetch_window(struct file_reader *reader, struct windows *windows, int64_t start, int64_t end)
{
    struct bytes_sink bytes;
    bytes_sink_init(&bytes);
    int rc = file_read_fetch(reader, start, end, &bytes.sink, NULL);
    if (rc == 0)
        rc = file_read_check_count(reader, start, end, bytes.size);
    if (rc == 0)
        set_window(reader, windows, start, &bytes);
    bytes_sink_fini(&bytes);
    return rc;
}

static int64_t fetch_missing(struct file_reader *reader, struct windows *windows, struct get *get)
{
    if (reader->unranged)
        return file_read_stream(reader, get);
    if (get->offset != windows->expected)
        windows->grown = 0;
    if (get->size >= reader->options->window_max)
        return file_read_direct(reader, get);
    get->missed = true;
    size_t more = grow(reader, windows);
    int64_t end = end_of_request(reader, windows, file_read_add(get->offset, get->size + more));
    int rc = fetch_window(reader, windows, get->offset, end);
    if (rc < 0 || !in_window(reader, windows, get->offset))
        return rc;
    return copy(windows, get);
}

static int64_t read_alone(struct file_reader *reader, struct windows *windows, struct get *get)
{
    bool in_order = get->offset == windows->expected;
    int64_t count;
    if (in_window(reader, windows, get->offset))
        count = copy(windows, get);
    else if (file_read_end(reader, file_read_add(get->offset, 1)) <= get->offset)
        return 0;
    else if (adopt(reader, windows, get))
        count = copy(windows, get);
    else
        count = fetch_missing(reader, windows, get);
    if (count <= 0)
        return count;
    if (reader->strategy != &strategy_readahead)
        return count;
    windows->expected = get->offset + count;
    if (in_order)
        plan_ahead(reader, windows);
    return count;
}

static struct windows *windows_of(struct file_reader *reader)
{
    if (!reader->state)
        reader->state = mem_zero(sizeof(struct windows));
    return reader->state;
}

static int64_t readahead_get(struct file_reader *reader, struct get *get)
{
    struct windows *windows = get->alone ? windows_of(reader) : reader->state;
    if (get->alone)
        return windows ? read_alone(reader, windows, get) : fail_memory();
    return windows && in_window(reader, windows, get->offset) ? copy(windows, get)
                                                              : file_read_direct(reader, get);
}

static int readahead_open(struct file_reader *reader)
{
    size_t size = reader->options->block_size < PROBE_SIZE ? reader->options->block_size : PROBE_SIZE;
    struct windows *windows = windows_of(reader);
    return windows ? fetch_window(reader, windows, 0, (int64_t)size) : fail_memory();
}

static void readahead_close(struct file_reader *reader, bool torn)
{
    struct windows *windows = take(reader->state);
    if (!windows || torn)
        return;
    ahead_drop(windows, windows->ahead_count);
    mem_free(windows->data);
    mem_free(windows);
}

const struct strategy strategy_readahead = {"readahead", readahead_open, readahead_get, readahead_close};
