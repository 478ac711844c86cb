/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file to the caller, piece by piece. Two pieces take turns: while the caller has one, the other is
 * filled. A caller who takes his time stops the reading, not the loop.
 *
 *     piece    filled by the reader ──▶ lent to the caller ──▶ given back by his reply ──▶ filled …
 *
 * What was lent cannot be taken back (fs/resume.h).
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/resume.h"
#include "task/loop.h"

#define PIECE_SIZE ((size_t)1 << 20)

struct stream;

struct piece {
    struct letter letter;
    struct post reply;
    struct stream *stream;
    char *data; /* mem; NULL before its first use */
    size_t size;
    bool lent; /* the loop's */
    bool last; /* the caller wants no more; the loop's once the reply came */
};

struct stream {
    struct sink sink;
    /* const */
    struct larder_fs *fs;
    const char *path; /* full */
    struct terms terms;
    const struct larder_range *range;
    larder_take_fn *fn;
    void *arg;
    struct larder_loop *loop;

    /* the caller's side */
    int stop; /* what `fn` returned */

    /* loop */
    struct piece pieces[2];
    unsigned current;
    struct resume resume;
    bool sent;
    struct edge_mail mail;
    struct group group;
    struct waiters returned;
};

/* ---- the caller's side ---- */

static void piece_open(struct letter *letter)
{
    struct piece *piece = container_of(letter, struct piece, letter);
    struct stream *stream = piece->stream;
    if (stream->stop == 0)
        stream->stop = stream->fn(stream->arg, piece->data, piece->size);
    piece->last = stream->stop != 0;
    edge_mail_reply(&stream->mail, stream->loop, &piece->reply);
}

/* ---- the reader ---- */

static void piece_returned(struct post *post)
{
    struct piece *piece = container_of(post, struct piece, reply);
    piece->lent = false;
    if (piece->last)
        group_cancel(&piece->stream->group);
    waiters_wake(&piece->stream->returned);
}

static void lend(struct stream *stream)
{
    struct piece *piece = &stream->pieces[stream->current];
    piece->lent = true;
    stream->sent = true;
    stream->current ^= 1;
    edge_mail_send(&stream->mail, &piece->letter);
}

static int CO_FN turn(struct stream *stream)
{
    lend(stream);
    struct piece *piece = &stream->pieces[stream->current];
    while (piece->lent) {
        int rc = edge_mail_wait(&stream->mail, &stream->returned);
        if (rc < 0)
            return rc;
    }
    if (stream->group.cancelled)
        return fail(-ECANCELED, "%s: stopped", stream->path);
    piece->size = 0;
    return 0;
}

static int stream_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct stream *stream = (struct stream *)sink;
    if (!stream->sent)
        stream->pieces[stream->current].size = 0;
    return resume_begin(&stream->resume, answer, stream->sent, stream->path);
}

static int CO_EDGE stream_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct stream *stream = (struct stream *)sink;
    if (stream->pieces[stream->current].size == PIECE_SIZE) {
        int rc = turn(stream);
        if (rc < 0)
            return rc;
    }
    struct piece *piece = &stream->pieces[stream->current];
    if (!piece->data && !(piece->data = mem_alloc(PIECE_SIZE)))
        return fail_memory();
    *out = piece->data + piece->size;
    *size = PIECE_SIZE - piece->size;
    return 0;
}

static int stream_fill(struct sink *sink, size_t size)
{
    struct stream *stream = (struct stream *)sink;
    struct piece *piece = &stream->pieces[stream->current];
    piece->size += resume_fill(&stream->resume, piece->data + piece->size, size);
    return 0;
}

static int CO_FN read_all(struct stream *stream)
{
    int rc =
        layer_read(stream->fs->instance, stream->path, stream->range, &stream->terms, &stream->sink, NULL);
    if (rc == 0 && stream->pieces[stream->current].size > 0)
        lend(stream);
    return rc;
}

static int CO_EDGE read_child(void *arg)
{
    return read_all(arg);
}

/* ---- the call ---- */

/* The reader is a child, so that this task can open its letters. When they are served every reply has run. */
static int CO_FN read_with_mail(struct stream *stream)
{
    stream->loop = task_loop(task_current());
    edge_mail_open(&stream->mail);
    waiters_init(&stream->returned);
    group_init(&stream->group, GROUP_FIRST, 0);
    int rc = group_add(&stream->group, read_child, stream);
    int served = edge_mail_serve(&stream->mail, &stream->group);
    return served < 0 ? served : rc;
}

static int CO_EDGE read_task(void *arg)
{
    return read_with_mail(arg);
}

int64_t larder_cat_to(struct larder_fs *fs, const char *path, const struct larder_range *range,
                      larder_take_fn *take, void *arg)
{
    autofree char *full = NULL;
    struct terms terms;
    int rc = enter_resolve(fs, path, &full, &terms);
    if (rc < 0)
        return rc;
    struct stream stream = {.sink = {.begin = stream_begin, .room = stream_room, .fill = stream_fill},
                            .fs = fs,
                            .path = full,
                            .terms = terms,
                            .range = range,
                            .fn = take,
                            .arg = arg};
    for (unsigned i = 0; i < 2; i++) {
        struct piece *piece = &stream.pieces[i];
        piece->letter.open = piece_open;
        piece->reply.run = piece_returned;
        piece->stream = &stream;
    }
    rc = enter_task_untimed(fs, path, read_task, &stream);
    mem_free(stream.pieces[0].data);
    mem_free(stream.pieces[1].data);
    int64_t count = stream.resume.count;
    resume_fini(&stream.resume);
    if (stream.stop < 0)
        return fail(stream.stop, "%s: stopped by its reader", path);
    if (stream.stop > 0)
        error_clear();
    return stream.stop > 0 ? stream.stop : rc < 0 ? rc : count;
}
