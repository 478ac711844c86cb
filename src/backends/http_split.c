/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large file as several requests at once, for where one connection is slower than the wire. Each piece is a range of
 * the version that the first answer named, and waits in memory until those before it were given: the sink gets its bytes
 * in order. Those of the first piece of all it gets as they come, so that the piece is soon asked for anew. A steady sink
 * has the memory already: there each byte is where it belongs when it comes, and giving it is but to say so.
 *
 *     at ──▶ given to the sink | of pieces that are here or on their way | next ──▶ not asked for yet | end
 */
#include <errno.h>

#include "backends/http_split.h"
#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "fs/chain.h"

struct piece {
    struct sink sink; /* of its reading: into `buffer` */
    struct split *split;
    char *buffer; /* mem, part_size; or in of.place */
    int64_t at;   /* of the file */
    size_t size;
    size_t there; /* of it; a reading that begins anew brings the same bytes once more */
    bool done;
    int status;
};

struct split {
    struct split_of of;
    int64_t at, next;
    unsigned count; /* of the pieces */
    struct piece pieces[HTTP_PARTS_MAX];
    const struct piece *first; /* whose bytes are waited for */
    struct group group;
    struct waiters fetched;
};

static int piece_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    container_of(sink, struct piece, sink)->there = 0;
    return 0;
}

static int piece_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct piece *piece = container_of(sink, struct piece, sink);
    const struct split_of *of = &piece->split->of;
    if (piece->there == piece->size)
        return fail_at(&of->http->instance, of->path, -EPROTO, "more bytes than were asked for");
    *out = piece->buffer + piece->there;
    *size = piece->size - piece->there;
    return 0;
}

static int piece_fill(struct sink *sink, size_t size)
{
    struct piece *piece = container_of(sink, struct piece, sink);
    piece->there += size;
    if (piece == piece->split->first)
        waiters_wake(&piece->split->fetched);
    return 0;
}

static int CO_FN fetch(struct piece *piece)
{
    const struct split_of *of = &piece->split->of;
    struct larder_range range = {piece->at, piece->at + (int64_t)piece->size};
    struct terms terms = TERMS_NONE;
    terms.if_match = of->version;
    piece->sink =
        (struct sink){.instant = true, .begin = piece_begin, .room = piece_room, .fill = piece_fill};
    int rc = http_read_file(&of->http->instance, of->path, &range, &terms, &piece->sink, NULL);
    if (rc == 0 && piece->there != piece->size)
        rc = fail_at(&of->http->instance, of->path, -ESTALE, "it changed while it was read");
    piece->status = rc;
    piece->done = true;
    waiters_wake(&piece->split->fetched);
    return rc;
}

static int CO_EDGE fetch_task(void *arg)
{
    return fetch(arg);
}

/* Ask for the next piece, into `piece`. Where there are too many tasks it is fetched right here. */
static int CO_FN start(struct split *split, struct piece *piece)
{
    int64_t left = split->of.end - split->next;
    piece->size = left < split->of.part_size ? (size_t)left : (size_t)split->of.part_size;
    piece->at = split->next;
    piece->done = false;
    piece->there = 0;
    if (left == 0)
        return 0;
    if (split->of.place)
        piece->buffer = split->of.place + (piece->at - split->of.start);
    else if (!piece->buffer && !(piece->buffer = mem_alloc((size_t)split->of.part_size)))
        return fail_memory();
    split->next += (int64_t)piece->size;
    return group_add(&split->group, fetch_task, piece);
}

int CO_FN split_begin(const struct split_of *of, unsigned count, struct split **out)
{
    struct split *split = mem_zero(sizeof *split);
    if (!split)
        return fail_memory();
    split->of = *of;
    split->at = split->next = of->start;
    split->count = count;
    group_init(&split->group, GROUP_FIRST, 0);
    waiters_init(&split->fetched);
    for (unsigned i = 0; i < count; i++)
        split->pieces[i].split = split;
    *out = split;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i + 1 < count; i++) /* who begins is reading a part himself */
        rc = start(split, &split->pieces[i]);
    return rc;
}

static int CO_FN give(struct split *split, struct piece *piece, struct sink *sink)
{
    size_t given = 0;
    int rc = 0;
    split->first = piece;
    while (rc == 0 && (given < piece->size || !piece->done)) {
        size_t there = piece->there;
        if (there > given) {
            rc = split->of.place ? sink_fill(sink, there - given)
                                 : sink_pour(sink, piece->buffer + given, there - given);
            given = there;
        } else {
            rc = piece->done ? piece->status : waiters_wait(&split->fetched);
        }
    }
    if (rc == 0)
        rc = piece->status;
    split->at += (int64_t)piece->size;
    return rc < 0 ? rc : start(split, piece);
}

int CO_FN split_end(struct split *split, int rc, struct sink *sink)
{
    if (rc == 0)
        rc = start(split, &split->pieces[split->count - 1]);
    for (unsigned i = 0; rc == 0 && split->at < split->of.end; i = (i + 1) % split->count)
        rc = give(split, &split->pieces[i], sink);
    struct error_slot words = *error_slot();
    if (rc < 0)
        group_cancel(&split->group);
    int joined = group_join(&split->group);
    if (joined < 0 && joined != -ECANCELED)
        rc = joined; /* the piece that failed, not one that was cancelled for it */
    else if (rc < 0)
        *error_slot() = words;
    else
        rc = joined;
    for (unsigned i = 0; !split->of.place && i < split->count; i++)
        mem_free(split->pieces[i].buffer);
    mem_free(split);
    return rc;
}
