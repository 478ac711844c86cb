/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pipe.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "fs/layer.h"

/* ---- the writer ---- */

static void give_back(struct pipe *pipe, struct pipe_piece *piece)
{
    piece->lent = false;
    piece->size = 0;
    pipe->reading ^= 1;
    pipe->at = 0;
    waiters_wake(&pipe->changed);
}

static int64_t CO_FN take_bytes(struct pipe *pipe, void *buffer, size_t size)
{
    while (!pipe->pieces[pipe->reading].lent && !pipe->whole) {
        int rc = waiters_wait(&pipe->changed);
        if (rc < 0)
            return rc;
    }
    struct pipe_piece *piece = &pipe->pieces[pipe->reading];
    if (!piece->lent)
        return 0;
    if (size > piece->size - pipe->at)
        size = piece->size - pipe->at;
    memcpy(buffer, piece->data + pipe->at, size);
    pipe->at += size;
    if (!pipe->source.looks)
        pipe->sent += (int64_t)size;
    if (pipe->at == piece->size)
        give_back(pipe, piece);
    return (int64_t)size;
}

static int64_t CO_EDGE pipe_read(struct source *source, void *buffer, size_t size)
{
    return take_bytes(container_of(source, struct pipe, source), buffer, size);
}

static int CO_FN ask_again(struct pipe *pipe)
{
    int rc = 0;
    pipe->again = true;
    waiters_wake(&pipe->changed);
    while (rc == 0 && pipe->again)
        rc = waiters_wait(&pipe->changed);
    return rc;
}

static int CO_EDGE pipe_rewind(struct source *source)
{
    return ask_again(container_of(source, struct pipe, source));
}

static int CO_FN write_all(struct pipe *pipe)
{
    int rc = layer_write(pipe->to, pipe->path, &pipe->source, pipe->flags, NULL, NULL);
    pipe->again = false;
    pipe->ended = true;
    waiters_wake(&pipe->changed);
    return rc;
}

static int CO_EDGE writer_task(void *arg)
{
    return write_all(arg);
}

/* ---- the reader ---- */

static int CO_FN start_writer(struct pipe *pipe)
{
    group_init(&pipe->group, GROUP_FIRST, 0);
    int rc = group_add_partner(&pipe->group, writer_task, pipe);
    pipe->open = rc == 0;
    return rc;
}

/* Of a writer who returned. Before he had everything it is a failure in any case. */
static int CO_FN writer_status(struct pipe *pipe)
{
    bool all = pipe->whole && !pipe->pieces[0].lent && !pipe->pieces[1].lent;
    pipe->open = false;
    int rc = group_join(&pipe->group);
    return rc == 0 && !all ? fail(-EIO, "%s: its write ended before all was there", pipe->path) : rc;
}

/* Lend what was filled, and wait for the other piece or, with `whole`, for the writer's end. */
static int CO_FN lend(struct pipe *pipe, bool whole)
{
    struct pipe_piece *piece = &pipe->pieces[pipe->filling], *other = &pipe->pieces[pipe->filling ^ 1];
    int rc = pipe->open ? 0 : start_writer(pipe);
    piece->lent = piece->size > 0;
    pipe->filling ^= piece->lent;
    pipe->whole = whole;
    waiters_wake(&pipe->changed);
    while (rc == 0 && !pipe->ended && !pipe->again && (whole || other->lent))
        rc = waiters_wait(&pipe->changed);
    if (rc < 0)
        return rc;
    if (pipe->ended)
        return writer_status(pipe);
    return pipe->again ? fail(-EAGAIN, "%s: to be written once more", pipe->path) : 0;
}

static void start_over(struct pipe *pipe, int64_t size)
{
    for (unsigned i = 0; i < 2; i++) {
        pipe->pieces[i].lent = false;
        pipe->pieces[i].size = 0;
    }
    pipe->source.size = size;
    pipe->reading = pipe->filling;
    pipe->at = 0;
    if (!pipe->source.looks)
        pipe->sent = 0;
    pipe->whole = pipe->again = false;
    waiters_wake(&pipe->changed);
}

static int pipe_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct pipe *pipe = container_of(sink, struct pipe, sink);
    bool passed_on = pipe->open && !pipe->again;
    int rc = resume_begin(&pipe->resume, answer, passed_on, pipe->path);
    if (rc == 0 && !passed_on)
        start_over(pipe, size);
    return rc;
}

static int CO_FN room(struct pipe *pipe, void **out, size_t *size)
{
    if (pipe->pieces[pipe->filling].size == PIPE_PIECE_SIZE) {
        int rc = lend(pipe, false);
        if (rc < 0)
            return rc;
    }
    struct pipe_piece *piece = &pipe->pieces[pipe->filling];
    if (!piece->data && !(piece->data = mem_alloc(PIPE_PIECE_SIZE)))
        return fail_memory();
    *out = piece->data + piece->size;
    *size = PIPE_PIECE_SIZE - piece->size;
    return 0;
}

static int CO_EDGE pipe_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    return room(container_of(sink, struct pipe, sink), out, size);
}

static int pipe_fill(struct sink *sink, size_t size)
{
    struct pipe *pipe = container_of(sink, struct pipe, sink);
    struct pipe_piece *piece = &pipe->pieces[pipe->filling];
    piece->size += resume_fill(&pipe->resume, piece->data + piece->size, size);
    return 0;
}

/* ---- its life ---- */

void pipe_init(struct pipe *pipe, struct instance *to, const char *path, unsigned flags)
{
    *pipe = (struct pipe){
        .sink = {.begin = pipe_begin, .room = pipe_room, .fill = pipe_fill},
        .source = {.read = pipe_read, .rewind = pipe_rewind},
        .to = to,
        .path = path,
        .flags = flags,
    };
    waiters_init(&pipe->changed);
}

int CO_FN pipe_finish(struct pipe *pipe)
{
    return lend(pipe, true);
}

bool pipe_wants_again(const struct pipe *pipe)
{
    return pipe->again;
}

void CO_FN pipe_fini(struct pipe *pipe)
{
    struct error_slot words = *error_slot();
    if (pipe->open) {
        group_cancel(&pipe->group);
        group_join(&pipe->group);
    }
    mem_free(pipe->pieces[0].data);
    mem_free(pipe->pieces[1].data);
    resume_fini(&pipe->resume);
    *error_slot() = words;
}
