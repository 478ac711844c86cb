/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/transfer.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"

#define TELL_EVERY (1 << 20)

/* ---- within one place ---- */

static int CO_FN ask_size(struct transfer *transfer, struct instance *instance, const char *path)
{
    struct answer answer = {0};
    int rc = layer_info(instance, path, transfer->terms, &answer);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail_at(instance, path, -EISDIR, "a directory");
    if (rc == 0)
        transfer->total = answer.info.size;
    answer_free(&answer);
    return rc;
}

/* -ENOENT is the source's, or the target's directory is missing. */
static int CO_FN copy_with_parents(struct transfer *transfer)
{
    unsigned flags = transfer->flags & ~(unsigned)LARDER_PARENTS;
    int rc = layer_copy(transfer->to, transfer->path, transfer->target, flags, transfer->labels);
    if (!dirs_are_missing(transfer->to, rc, transfer->flags))
        return rc;
    rc = ask_size(transfer, transfer->to, transfer->path);
    if (rc == 0)
        rc = dirs_make_parents(transfer->to, transfer->target, transfer->flags);
    return rc < 0 ? rc : layer_copy(transfer->to, transfer->path, transfer->target, flags, transfer->labels);
}

static int keep_info(struct transfer *transfer, const struct larder_info *info)
{
    struct larder_info copied;
    if (!transfer->copied)
        return 0;
    int rc = info_copy(&copied, info);
    if (rc < 0)
        return rc;
    larder_info_free(transfer->copied);
    *transfer->copied = copied;
    return 0;
}

/* Who changes it behind this look is found out, who changes it before is copied. */
static int CO_FN look_at_source(struct transfer *transfer)
{
    struct answer answer = {0};
    if (!transfer->copied)
        return 0;
    int rc = layer_info(transfer->from, transfer->path, transfer->terms, &answer);
    if (rc == 0)
        rc = keep_info(transfer, &answer.info);
    answer_free(&answer);
    return rc;
}

static int CO_FN copy_in_place(struct transfer *transfer)
{
    int rc = look_at_source(transfer);
    if (rc == 0)
        rc = copy_with_parents(transfer);
    if (rc == 0 && transfer->moved && transfer->total < 0)
        rc = ask_size(transfer, transfer->to, transfer->target);
    if (rc == 0 && transfer->total > 0)
        transfer->done = transfer->total;
    return rc;
}

static int CO_FN onto_itself(struct transfer *transfer)
{
    int rc = ask_size(transfer, transfer->to, transfer->path);
    if (rc == 0 && (transfer->flags & LARDER_CREATE))
        rc = fail_at(transfer->to, transfer->target, -EEXIST, "it exists");
    return rc;
}

/* ---- streamed ---- */

/* What would fail in the end should fail before all the bytes have come. */
static int CO_FN check_target(const struct transfer *transfer)
{
    struct answer answer = {0};
    struct terms terms = TERMS_NONE;
    terms.age_max_ms = 0; /* what a cache believes decides nothing here */
    if (transfer->flags & LARDER_CREATE) {
        int rc = layer_info(transfer->to, transfer->target, &terms, &answer);
        answer_free(&answer);
        if (rc == 0)
            return fail_at(transfer->to, transfer->target, -EEXIST, "it exists");
        if (rc != -ENOENT && rc != -ENOTDIR)
            return rc;
    }
    if (!transfer->to->can.parents_required)
        return 0;
    if (transfer->flags & LARDER_PARENTS)
        return dirs_make_parents(transfer->to, transfer->target, transfer->flags);
    autofree char *parent = mem_dup_n(transfer->target, path_parent_size(transfer->target));
    int rc = parent ? layer_info(transfer->to, parent, &terms, &answer) : fail_memory();
    answer_free(&answer);
    return rc;
}

/* Small files are one write with all their bytes at hand, and so are those of nobody knows what size, if they can. */
static struct sink *choose_way(struct transfer *transfer, int64_t size)
{
    bool staged = layer_has(transfer->to, LAYER_STAGE_PART) || transfer->to->backend->kind != ASYNC;
    return staged || transfer->spooled || size <= (int64_t)PIPE_PIECE_SIZE ? &transfer->stager.sink
                                                                           : &transfer->pipe.sink;
}

static uint64_t memory_of(const struct transfer *transfer, int64_t size)
{
    uint64_t most = transfer->into == &transfer->pipe.sink
                        ? 2 * PIPE_PIECE_SIZE
                        : (transfer->stager.flight_max + 1) * (uint64_t)transfer->stager.part_size;
    return size >= 0 && (uint64_t)size < most ? (uint64_t)size : most;
}

static struct instance *leaf_of(struct instance *instance)
{
    while (instance->next)
        instance = instance->next->instance;
    return instance;
}

/*
 * A stream holds a connection of the place that it reads from while it waits for one of the place that it writes to. If
 * streams in both directions held all of both, nobody would go on. So they hold all but one of each: on that one some
 * request always ends, and a write whose reading goes on needs no other. Who may not stream spools.
 */
static bool may_stream(struct transfer *transfer, int64_t size)
{
    struct instance *from = leaf_of(transfer->from);
    bool waits = transfer->to->backend->kind == ASYNC && (size < 0 || size > (int64_t)PIPE_PIECE_SIZE);
    if (!waits || transfer->spooled || from->connections_max == 0)
        return true;
    if (atomic_fetch_add(&from->streams, 1) + 1 < from->connections_max) {
        transfer->streams = from;
        return true;
    }
    atomic_fetch_sub(&from->streams, 1);
    return false;
}

static void end_stream(struct transfer *transfer)
{
    if (transfer->streams)
        atomic_fetch_sub(&take(transfer->streams)->streams, 1);
}

/* What is on its way: a writer may read all of it for a digest first. */
static void count_done(struct transfer *transfer, int64_t came)
{
    transfer->done = transfer->into == &transfer->pipe.sink ? transfer->pipe.sent : came;
}

static int CO_FN begin(struct transfer *transfer, const struct answer *answer, int64_t size)
{
    int rc = 0;
    if (!transfer->into) {
        if (!may_stream(transfer, size)) {
            transfer->spooled = true;
            stager_spool(&transfer->stager);
        }
        transfer->into = choose_way(transfer, size);
        if (!transfer->spooled && (size < 0 || size > (int64_t)PIPE_PIECE_SIZE))
            rc = check_target(transfer);
    }
    if (rc == 0)
        rc = sink_begin(transfer->into, answer, size);
    if (rc == 0 && transfer->hold)
        rc = transfer->hold(transfer, memory_of(transfer, size));
    if (rc < 0)
        return rc;
    rc = keep_info(transfer, &answer->info);
    if (rc < 0)
        return rc;
    transfer->begun = true;
    transfer->mtime_ns = answer->info.mtime_ns;
    transfer->total = size;
    count_done(transfer, 0);
    if (transfer->moved)
        transfer->moved(transfer);
    return 0;
}

static int CO_EDGE transfer_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return begin(container_of(sink, struct transfer, sink), answer, size);
}

static int CO_EDGE transfer_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    return sink_room(container_of(sink, struct transfer, sink)->into, want, out, size);
}

static int CO_FN fill(struct transfer *transfer, size_t size)
{
    count_done(transfer, transfer->done + (int64_t)size);
    if (transfer->moved && transfer->done - transfer->told >= TELL_EVERY) {
        transfer->told = transfer->done;
        transfer->moved(transfer);
    }
    return sink_fill(transfer->into, size);
}

static int CO_EDGE transfer_fill(struct sink *sink, size_t size)
{
    return fill(container_of(sink, struct transfer, sink), size);
}

static int CO_FN stream_once(struct transfer *transfer)
{
    transfer->told = 0;
    transfer->begun = false;
    int rc = layer_read(transfer->from, transfer->path, NULL, transfer->terms, &transfer->sink, NULL);
    if (rc < 0)
        return rc;
    if (transfer->into == &transfer->pipe.sink) {
        rc = pipe_finish(&transfer->pipe);
        count_done(transfer, 0);
        return rc;
    }
    return stager_publish(&transfer->stager, transfer->flags, NULL, NULL);
}

static int CO_FN stream(struct transfer *transfer)
{
    unsigned flight_max = transfer->to->backend->kind == ASYNC ? 2 : 1;
    transfer->sink = (struct sink){.begin = transfer_begin, .room = transfer_room, .fill = transfer_fill};
    stager_init(&transfer->stager, transfer->to, transfer->target, 0, flight_max);
    pipe_init(&transfer->pipe, transfer->to, transfer->target, transfer->flags & ~(unsigned)LARDER_PARENTS);
    transfer->stager.labels = transfer->pipe.source.labels = transfer->labels;
    int rc;
    do
        rc = stream_once(transfer);
    while (rc < 0 && transfer->begun && pipe_wants_again(&transfer->pipe));
    end_stream(transfer);
    stager_fini(&transfer->stager);
    pipe_fini(&transfer->pipe);
    return rc;
}

static int CO_FN transfer_known(struct transfer *transfer)
{
    bool same = layer_same_place(transfer->from, transfer->to);
    if (same && layer_has(transfer->to, LAYER_COPY)) {
        int rc = copy_in_place(transfer);
        if (rc != -EXDEV && rc != -ENOTSUP)
            return rc;
        error_clear();
    }
    if (same && strcmp(transfer->path, transfer->target) == 0)
        return onto_itself(transfer);
    transfer->spooled = same && !layer_has(transfer->to, LAYER_STAGE_PART);
    return stream(transfer);
}

int CO_FN transfer_file(struct transfer *transfer)
{
    const struct terms *given = transfer->terms;
    int rc = layer_refuse_directory(transfer->from, transfer->path, given, false);
    if (rc < 0)
        return rc;
    struct terms terms = *given; /* of a file, which is not to be found out again */
    terms.directory = false;
    transfer->terms = &terms;
    rc = transfer_known(transfer);
    transfer->terms = given;
    return rc;
}
