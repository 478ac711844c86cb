/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: who may come in, and which way it goes from there. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/file_object.h"
#include "task/loop.h"

void file_set_state(struct larder_file *file, enum file_state state)
{
    bool right = state == FILE_APPENDING ? file->state == FILE_WRITING
                 : state == FILE_WRITING ? file->state == FILE_APPENDING
                                         : state == FILE_FAILED && file->state != FILE_READING;
    assert(right && file->state != FILE_FAILED);
    file->state = state;
}

/* ---- coming in ---- */

static uint64_t word(uint32_t generation, uint32_t calls)
{
    return (uint64_t)generation << 32 | calls;
}

/* In a fork's child, for the first time. Who was in when it forked is not here, and what he did is half done. */
static void after_fork(struct larder_file *file, bool torn)
{
    if (file->inflating)
        file_inflate_after_fork(file, torn);
    file_read_after_fork(&file->reader, torn);
}

/* 0, -EBUSY, -ECHILD; no text. */
static int come_in(struct larder_file *file, bool alone)
{
    uint32_t generation = process_generation();
    uint64_t seen = atomic_load(&file->entered);
    for (;;) {
        uint32_t calls = (uint32_t)seen;
        bool inherited = seen >> 32 != generation;
        if (inherited && file->writes)
            return -ECHILD;
        if (!inherited && (calls == FILE_ALONE || (alone && calls > 0)))
            return -EBUSY;
        uint64_t next = word(generation, alone || inherited ? FILE_ALONE : calls + 1);
        if (!atomic_compare_exchange_weak(&file->entered, &seen, next))
            continue;
        if (!inherited)
            return 0;
        after_fork(file, calls != 0);
        seen = word(generation, 0);
        atomic_store(&file->entered, seen);
    }
}

void file_leave(struct larder_file *file, bool alone)
{
    atomic_fetch_sub(&file->entered, alone ? FILE_ALONE : 1);
}

/* Without a word on who calls. */
static int enter_anyhow(struct larder_file *file, bool alone, bool writes)
{
    if (file->writes != writes)
        return fail(-EBADF, "%s: open for %s", file->path, writes ? "reading" : "writing");
    int rc = come_in(file, alone);
    if (rc == -EBUSY)
        return fail(rc, "%s: another call on this open file is under way", file->path);
    return rc < 0 ? fail(rc, "%s: its writer stayed with the parent of a fork", file->path) : 0;
}

int file_enter(struct larder_file *file, bool alone, bool writes)
{
    error_clear();
    if (!file)
        return fail(-EINVAL, "no file");
    int rc = enter_check(file->fs, file->path);
    return rc < 0 ? rc : enter_anyhow(file, alone, writes);
}

/* ---- opening ---- */

/* r, w, x or a, and perhaps b. */
static int parse_mode(const char *mode, char *out)
{
    *out = mode && *mode && strchr("rwxa", *mode) ? *mode : 0;
    if (*out && (!mode[1] || strcmp(mode + 1, "b") == 0))
        return 0;
    return fail(-EINVAL, "mode \"%s\": r, w, x or a, and perhaps b behind it", mode ? mode : "NULL");
}

static void file_free(struct larder_file *file)
{
    if (!file)
        return;
    larder_fs_free(file->fs);
    mem_free(file->path);
    mem_free(file->full);
    mem_free(file);
}

static int open_reader(struct larder_file *file)
{
    int rc = file_read_open(&file->reader, file->fs, file->path, file->full, &file->options);
    if (rc < 0)
        return rc;
    rc = file_inflate_open(file);
    if (rc < 0)
        file_read_close(&file->reader);
    return rc;
}

static int open_as(struct larder_file *file, char mode)
{
    file->writes = mode != 'r';
    file->state = file->writes ? FILE_WRITING : FILE_READING;
    return file->writes ? file_write_open(file, mode) : open_reader(file);
}

int larder_file_open(struct larder_fs *fs, const char *path, const char *mode, const char *const options[],
                     struct larder_file **out)
{
    char which = 0;
    error_clear();
    int rc = enter_check(fs, path);
    if (rc == 0)
        rc = parse_mode(mode, &which);
    if (rc < 0)
        return rc;
    struct larder_file *file = mem_zero(sizeof *file);
    if (!file)
        return fail_memory();
    file->fs = larder_fs_ref(fs);
    atomic_init(&file->entered, word(process_generation(), 0));
    rc = path_resolve(fs->root, path, &file->full, NULL);
    if (rc == 0 && !(file->path = mem_dup(path)))
        rc = fail_memory();
    if (rc == 0)
        rc = file_options_take(options, &file->options);
    if (rc == 0)
        rc = open_as(file, which);
    if (rc < 0) {
        file_free(file);
        return rc;
    }
    *out = file;
    return 0;
}

/* ---- reading ---- */

/* How many of `size` bytes an offset may still have behind it. */
static size_t clip(size_t size, int64_t offset)
{
    uint64_t most = (uint64_t)(INT64_MAX - offset);
    return size < most ? size : (size_t)most;
}

int64_t larder_file_read(struct larder_file *file, void *buffer, size_t size)
{
    int rc = file_enter(file, true, false);
    if (rc < 0)
        return rc;
    size = clip(size, file->position);
    int64_t count = file->inflating ? file_inflate_get(file, buffer, size, file->position)
                                    : file_read_get(&file->reader, buffer, size, file->position, true);
    if (count > 0)
        file->position += count;
    file_leave(file, true);
    return count;
}

int64_t larder_file_pread(struct larder_file *file, void *buffer, size_t size, int64_t offset)
{
    int rc = file_enter(file, false, false);
    if (rc < 0)
        return rc;
    int64_t count;
    if (offset < 0)
        count = fail(-EINVAL, "%s: a negative offset", file->path);
    else if (file->inflating)
        count = fail(-ESPIPE, "%s: compressed data is read in order", file->path);
    else
        count = file_read_get(&file->reader, buffer, clip(size, offset), offset, false);
    file_leave(file, false);
    return count;
}

int larder_file_stats(struct larder_file *file, struct larder_file_stats *out)
{
    error_clear();
    int rc = file && out ? tuning_check(out) : fail(-EINVAL, "larder_file_stats: no file, or no struct");
    if (rc == 0 && file->writes)
        rc = fail(-EBADF, "%s: open for writing", file->path);
    if (rc < 0)
        return rc;
    struct larder_file_stats stats = {.hits =
                                          file->reader.hits, /* they are atomic: others may read meanwhile */
                                      .misses = file->reader.misses,
                                      .requests = file->reader.requests,
                                      .requested_bytes = file->reader.requested_bytes};
    tuning_give(out, &stats, sizeof stats);
    return 0;
}

/* ---- the position ---- */

static int64_t known_size(struct larder_file *file)
{
    int64_t size = LARDER_SIZE_UNKNOWN;
    int rc = 0;
    if (file->inflating)
        size = file_inflate_size(file);
    else if (!file->writes)
        rc = file_read_size(&file->reader, &size);
    else if (!file->writer.encoder)
        size = file->position;
    if (rc < 0)
        return rc;
    return size >= 0 ? size : fail(-ENODATA, "%s: its size is not known", file->path);
}

static int64_t resolve(struct larder_file *file, int64_t offset, int whence)
{
    int64_t from = whence == SEEK_CUR ? file->position : 0;
    if (whence == SEEK_END)
        from = known_size(file);
    else if (whence != SEEK_SET && whence != SEEK_CUR)
        return fail(-EINVAL, "%s: seek from where?", file->path);
    if (from < 0)
        return from == -ENODATA ? fail(-ESPIPE, "%s: its end is not known", file->path) : from;
    if (offset > INT64_MAX - from || from + offset < 0)
        return fail(-EINVAL, "%s: there is no such position", file->path);
    return from + offset;
}

int64_t larder_file_seek(struct larder_file *file, int64_t offset, int whence)
{
    int rc = file_enter(file, true, file && file->writes);
    if (rc < 0)
        return rc;
    int64_t position = resolve(file, offset, whence);
    if (position >= 0 && file->writes && position != file->position)
        position = fail(-ESPIPE, "%s: what is written goes to the end", file->path);
    if (position >= 0)
        file->position = position;
    file_leave(file, true);
    return position;
}

int64_t larder_file_tell(struct larder_file *file)
{
    error_clear();
    int rc = file ? enter_anyhow(file, true, file->writes) : fail(-EINVAL, "no file");
    if (rc < 0)
        return rc;
    int64_t position = file->position;
    file_leave(file, true);
    return position;
}

int64_t larder_file_size(struct larder_file *file)
{
    int rc = file_enter(file, true, file && file->writes);
    if (rc < 0)
        return rc;
    int64_t size = known_size(file);
    file_leave(file, true);
    return size;
}

/* ---- writing ---- */

int larder_file_write(struct larder_file *file, const void *data, size_t size)
{
    int rc = file_enter(file, true, true);
    if (rc < 0)
        return rc;
    if (!data && size > 0)
        rc = fail(-EINVAL, "%s: %zu bytes, and no memory that holds them", file->path, size);
    else if ((uint64_t)size > (uint64_t)(INT64_MAX - file->position))
        rc = fail(-EFBIG, "%s: larger than a file can be", file->path);
    else
        rc = file_write_bytes(file, data, size);
    file_leave(file, true);
    return rc;
}

int larder_file_flush(struct larder_file *file)
{
    int rc = file_enter(file, true, file && file->writes);
    if (rc < 0)
        return rc;
    rc = file->writes ? file_write_flush(file) : 0;
    file_leave(file, true);
    return rc;
}

/* ---- the end ---- */

static void reader_free(struct larder_file *file)
{
    file_inflate_free(file);
    file_read_close(&file->reader);
    file_free(file);
}

int larder_file_close(struct larder_file *file)
{
    error_clear();
    if (!file)
        return 0;
    int rc = file_enter(file, true, file->writes);
    if (rc == -EBUSY || rc == -EDEADLK)
        return rc;
    if (!file->writes) {
        reader_free(file);
        return error_finish(0, NULL);
    }
    if (rc < 0)
        file_write_forget(file);
    else
        rc = file_write_close(file);
    file_free(file);
    return rc;
}

static int discard_task(void *arg)
{
    struct larder_file *file = arg;
    file_write_discard(file);
    file_free(file);
    return 0;
}

/* On a loop's thread, where nobody may wait: soon. */
static void discard_soon(struct larder_file *file)
{
    struct larder_loop *loop = NULL;
    int rc = enter_loop(file->fs, &loop);
    if (rc == 0)
        rc = larder_spawn(loop, discard_task, file, NULL, NULL, NULL);
    loop_unref(loop);
    if (rc == 0)
        return;
    log_at(LARDER_LOG_WARNING, "%s: what was staged of it is left behind: %s", file->path, error_text());
    file_write_forget(file);
    file_free(file);
}

void larder_file_discard(struct larder_file *file)
{
    if (!file)
        return;
    struct error_slot words = *error_slot();
    bool inherited = atomic_load(&file->entered) >> 32 != process_generation();
    if (!file->writes)
        inherited ? (void)larder_file_close(file) : reader_free(file);
    else if (!inherited && enter_check(file->fs, file->path) < 0)
        discard_soon(file);
    else {
        if (inherited)
            file_write_forget(file);
        else
            file_write_discard(file);
        file_free(file);
    }
    *error_slot() = words;
}
