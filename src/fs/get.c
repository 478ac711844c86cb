/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file to a local one. Two buffers take turns: while one is written on a worker, the other is filled, so that a
 * file of any size costs their memory. The local name appears, whole, when everything was there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "task/loop.h"

#define BUFFER_SIZE ((size_t)1 << 20)

/* ---- a write on a worker ---- */

struct file_buffer {
    char *data;
    size_t size;
    int64_t offset;
    int fd;
    struct work *work; /* under way; NULL: the buffer is free */
};

static int write_buffer(void *arg)
{
    struct file_buffer *buffer = arg;
    int rc = file_write(buffer->fd, buffer->data, buffer->size, buffer->offset);
    return rc < 0 ? fail_errno(-rc, "write") : 0;
}

static int CO_FN buffer_settle(struct file_buffer *buffer)
{
    int rc = work_finish(take(buffer->work));
    buffer->size = 0;
    return rc;
}

/* ---- the sink ---- */

struct progress_letter {
    struct letter letter;
    larder_progress_fn *fn;
    void *arg;
    int64_t done, total;
};

struct file_sink {
    struct sink sink;
    struct file_buffer buffers[2];
    unsigned current;
    int64_t done, total;
    larder_progress_fn *progress;
    void *arg;
    struct edge_mail *mail;
};

static void progress_open(struct letter *letter)
{
    struct progress_letter *news = container_of(letter, struct progress_letter, letter);
    news->fn(news->arg, news->done, news->total);
    mem_free(news);
}

/* Best effort: without memory for the news there is none. */
static void tell_progress(struct file_sink *into)
{
    struct progress_letter *news = into->progress ? mem_zero(sizeof *news) : NULL;
    if (!news)
        return;
    *news =
        (struct progress_letter){{.open = progress_open}, into->progress, into->arg, into->done, into->total};
    edge_mail_send(into->mail, &news->letter);
}

/* Hands the current buffer to a worker and turns to the other one, which must have come back. */
static int CO_FN turn(struct file_sink *into)
{
    struct file_buffer *full = &into->buffers[into->current];
    full->offset = into->done - (int64_t)full->size;
    int rc = full->size ? work_start(write_buffer, full, &full->work) : 0;
    if (rc < 0)
        return rc;
    into->current ^= 1;
    tell_progress(into);
    return buffer_settle(&into->buffers[into->current]);
}

static int CO_FN settle_all(struct file_sink *into)
{
    int rc = buffer_settle(&into->buffers[0]);
    int other = buffer_settle(&into->buffers[1]);
    return rc < 0 ? rc : other;
}

static int CO_EDGE file_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct file_sink *into = (struct file_sink *)sink;
    into->done = 0;
    into->total = size;
    return settle_all(into);
}

static int CO_EDGE file_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct file_sink *into = (struct file_sink *)sink;
    struct file_buffer *buffer = &into->buffers[into->current];
    if (buffer->size == BUFFER_SIZE) {
        int rc = turn(into);
        if (rc < 0)
            return rc;
        buffer = &into->buffers[into->current];
    }
    if (!buffer->data && !(buffer->data = mem_alloc(BUFFER_SIZE)))
        return fail_memory();
    *out = buffer->data + buffer->size;
    *size = BUFFER_SIZE - buffer->size;
    return 0;
}

static int file_fill(struct sink *sink, size_t size)
{
    struct file_sink *into = (struct file_sink *)sink;
    into->buffers[into->current].size += size;
    into->done += (int64_t)size;
    return 0;
}

/* ---- the call ---- */

struct get_call {
    struct larder_fs *fs;
    const char *path;  /* full */
    const char *local; /* the final name */
    char *temporary;   /* mem */
    int fd;
    struct file_sink into;
    struct edge_mail mail;
    struct group group;
};

static int open_temporary(void *arg)
{
    struct get_call *call = arg;
    struct stat st;
    if (file_seam.stat(call->local, &st) == 0 && !S_ISREG(st.st_mode))
        return fail(S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: not a regular file", call->local);
    call->fd = file_seam.open(call->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    return call->fd < 0 ? fail_errno(errno, "%s", call->local) : 0;
}

/* What arrived is shorter than an older try's start would be long only if the file began again: cut it there. */
static int publish(void *arg)
{
    struct get_call *call = arg;
    CRASH_POINT("get.before_rename");
    if (ftruncate(call->fd, call->into.done) < 0)
        return fail_errno(errno, "%s", call->local);
    return file_seam.rename(call->temporary, call->local) < 0 ? fail_errno(errno, "%s", call->local) : 0;
}

static int give_up(void *arg)
{
    struct get_call *call = arg;
    return file_seam.unlink(call->temporary);
}

static int close_file(void *arg)
{
    struct get_call *call = arg;
    int fd = call->fd;
    call->fd = -1;
    return file_seam.close(fd) < 0 ? fail_errno(errno, "%s", call->local) : 0;
}

/* On a worker, whatever became of the task: it has to be done, if memory is out right here. */
static int CO_FN must(work_fn *fn, struct get_call *call)
{
    struct work *work = NULL;
    return work_start(fn, call, &work) < 0 ? fn(call) : work_finish(work);
}

static int CO_FN fetch(struct get_call *call)
{
    int rc = layer_read(call->fs->instance, call->path, NULL, &call->fs->terms, &call->into.sink, NULL);
    if (rc == 0)
        rc = turn(&call->into);
    int settled = settle_all(&call->into);
    return rc < 0 ? rc : settled;
}

static int CO_FN get(struct get_call *call)
{
    int rc = must(open_temporary, call);
    if (rc < 0)
        return rc;
    call->into.buffers[0].fd = call->into.buffers[1].fd = call->fd;
    rc = fetch(call);
    if (rc == 0)
        rc = must(publish, call);
    struct error_slot words = *error_slot();
    if (rc < 0)
        must(give_up, call);
    int closed = must(close_file, call);
    if (rc < 0)
        *error_slot() = words;
    mem_free(call->into.buffers[0].data);
    mem_free(call->into.buffers[1].data);
    return rc < 0 ? rc : closed;
}

static int CO_EDGE get_child(void *arg)
{
    return get(arg);
}

/* The fetch is a child, so that this task can open its letters. */
static int CO_FN get_with_mail(struct get_call *call)
{
    edge_mail_open(&call->mail);
    call->into.mail = &call->mail;
    group_init(&call->group, GROUP_FIRST, 0);
    int rc = group_add(&call->group, get_child, call);
    int served = edge_mail_serve(&call->mail, &call->group);
    return served < 0 ? served : rc;
}

static int CO_EDGE get_task(void *arg)
{
    return get_with_mail(arg);
}

int64_t larder_get_file(struct larder_fs *fs, const char *path, const char *local_path,
                        larder_progress_fn *progress, void *arg)
{
    autofree char *full = NULL;
    int rc = local_path ? path_resolve(fs->root, path, &full, NULL) : fail(-EINVAL, "no local path");
    if (rc < 0)
        return rc;
    struct get_call call = {.fs = fs, .path = full, .local = local_path, .fd = -1};
    const char *slash = strrchr(local_path, '/'); /* the name alone may be as long as names can be */
    autofree char *temporary = mem_format("%.*s.larder-%016llx", slash ? (int)(slash + 1 - local_path) : 0,
                                          local_path, (unsigned long long)random_u64());
    if (!temporary)
        return fail_memory();
    call.temporary = temporary;
    call.into = (struct file_sink){.sink = {.begin = file_begin, .room = file_room, .fill = file_fill},
                                   .total = -1,
                                   .progress = progress,
                                   .arg = arg};
    rc = enter_task(fs, path, get_task, &call);
    return rc < 0 ? rc : call.into.done;
}
