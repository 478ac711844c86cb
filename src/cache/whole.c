/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for a whole file, and keeping it. What goes through to the reader's sink is copied aside, chunk by
 * chunk. Full chunks go to the writer as blocks of a version that no record names yet; the last one brings the
 * record. When there is no room, nothing is kept.
 *
 * A mirror's file grows in the store instead, where its parts may be put together: the first chunk brings the record,
 * and however the mirror ends, the next one goes on with the blocks that are there. But what the store has whole of
 * another version stays until all of this one has come.
 */
#include "cache/fetch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define PATIENCE_MS 1000 /* that a large file waits for the writer, in all, before it is not kept */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct tee {
    struct sink sink;
    struct reading *r;
    struct run *run;
    int64_t promised, total;
    void *lent;  /* by the reader's sink */
    size_t paid; /* of it, to the throttle */
    bool keep, begun;
    char *chunk;
    size_t chunk_size, chunk_capacity;
    int64_t chunk_start, chunk_max;
    size_t cost;      /* of the chunk */
    uint64_t staged;  /* 0: nothing is yet */
    bool grows, grew; /* the record is first; some of it is on its way */
    int64_t patience_ms;
};

/* ---- chunks on their way to the writer ---- */

struct chunk {
    union {
        struct op op; /* the first of both */
        struct stage stage;
        struct put put;
    };
    char *data;
    /* of what grows */
    struct run *run; /* a reference: it has the strings */
    struct answer answer;
};
_Static_assert(offsetof(struct stage, op) == 0 && offsetof(struct put, op) == 0, "");

static void chunk_done(struct op *op, int status)
{
    struct chunk *chunk = container_of(op, struct chunk, op);
    answer_free(&chunk->answer);
    run_unref(chunk->run);
    mem_free(chunk->data);
    mem_free(chunk);
}

static void fill_stage(struct tee *tee, struct stage *stage)
{
    if (!tee->staged)
        tee->staged = store_number();
    *stage = (struct stage){
        .op = {.apply = edit_stage},
        .version = tee->staged,
        .data = tee->chunk,
        .start = tee->chunk_start,
        .size = tee->chunk_size,
        .packing = packing_of(tee->r->view->packing, &tee->run->place, tee->run->path),
    };
}

static int fill_put(struct tee *tee, struct chunk *chunk)
{
    int rc = answer_copy(&chunk->answer, &tee->run->answer);
    if (rc < 0)
        return rc;
    chunk->run = run_ref(tee->run);
    run_fill_put(tee->run, tee->r->view, RECORD_KNOWN, &chunk->answer, &chunk->put);
    chunk->put.data = tee->chunk;
    chunk->put.start = tee->chunk_start;
    chunk->put.size = tee->chunk_size;
    return 0;
}

static int hand_over_chunk(struct tee *tee)
{
    struct chunk *chunk = mem_zero(sizeof *chunk);
    int rc = chunk ? 0 : -ENOMEM;
    if (rc == 0 && tee->grows)
        rc = fill_put(tee, chunk);
    else if (rc == 0)
        fill_stage(tee, &chunk->stage);
    if (rc == 0) {
        chunk->data = tee->chunk;
        chunk->op.cost = tee->cost;
        chunk->op.done = chunk_done;
        rc = writer_add(tee->r->store, &chunk->op); /* from here on it is the writer's */
    }
    if (rc < 0) {
        if (chunk) {
            chunk->data = NULL;
            chunk_done(&chunk->op, rc);
        }
        return rc;
    }
    tee->chunk = NULL;
    tee->grew = tee->grows;
    tee->cost = tee->chunk_capacity = 0;
    tee->chunk_start += (int64_t)tee->chunk_size;
    tee->chunk_size = 0;
    return 0;
}

/* What came is not kept, but for whole blocks of what grows. */
static void drop(struct tee *tee)
{
    struct store *store = tee->r->store;
    tee->keep = false;
    tee->chunk_size -= tee->chunk_size % (size_t)BLOCK_SIZE;
    if (tee->grows && tee->chunk && tee->chunk_size > 0)
        hand_over_chunk(tee);
    writer_release(store, tee->cost);
    tee->cost = 0;
    edit_drop(store, tee->staged);
    tee->staged = 0;
    mem_free(take(tee->chunk));
}

/* Nor will what is still to come be: nobody need wait for it. */
static void give_up(struct tee *tee)
{
    drop(tee);
    run_set_alone(tee->run);
}

/* Room in the budget: at once, or within what patience is left. */
static int CO_FN reserve(struct tee *tee, size_t size)
{
    struct store *store = tee->r->store;
    if (writer_reserve(store, size))
        return 0;
    if (tee->r->keep)
        return writer_reserve_wait(store, size);
    if (tee->patience_ms <= 0 || tee->chunk_start == 0)
        return -EAGAIN;
    struct deadline deadline;
    uint64_t begun = now_ns();
    deadline_begin(&deadline, (uint64_t)tee->patience_ms);
    int rc = deadline_end(&deadline, writer_reserve_wait(store, size), "the cache's writer");
    tee->patience_ms -= (int64_t)((now_ns() - begun) / 1000000);
    return rc;
}

/* Room for `more` bytes of the chunk that grows, up to a whole one in all. */
static int CO_FN grow_chunk(struct tee *tee, size_t more)
{
    size_t need = tee->chunk_size + more, capacity = tee->chunk_capacity;
    int64_t left = tee->promised >= 0 ? tee->promised - tee->chunk_start : tee->chunk_max;
    if (need <= capacity && tee->chunk)
        return 0;
    capacity = tee->promised >= 0 ? (size_t)min(left, tee->chunk_max)
                                  : (capacity ? capacity * 2 : (size_t)BLOCK_SIZE);
    if (capacity < need)
        capacity = need;
    if (capacity > (size_t)tee->chunk_max)
        capacity = (size_t)tee->chunk_max;
    if (capacity > tee->cost) {
        int rc = reserve(tee, capacity - tee->cost);
        if (rc < 0)
            return rc;
        tee->cost = capacity;
    }
    char *chunk = mem_resize(tee->chunk, capacity + 1);
    if (!chunk)
        return -ENOMEM;
    tee->chunk = chunk;
    tee->chunk_capacity = capacity;
    return 0;
}

static int CO_FN copy_aside(struct tee *tee, const char *data, size_t size)
{
    while (tee->keep && size > 0) {
        int rc = tee->chunk_size == (size_t)tee->chunk_max ? hand_over_chunk(tee) : 0;
        size_t piece = (size_t)min((int64_t)size, tee->chunk_max - (int64_t)tee->chunk_size);
        if (rc == 0)
            rc = grow_chunk(tee, piece);
        if (rc == -ECANCELED)
            return rc;
        if (rc < 0) {
            give_up(tee);
            break;
        }
        memcpy(tee->chunk + tee->chunk_size, data, piece);
        tee->chunk_size += piece;
        data += piece;
        size -= piece;
    }
    return 0;
}

/* Is there another version of it, whole? */
static bool has_another(const struct tee *tee)
{
    const struct reading *r = tee->r;
    struct reader *reader;
    struct record record;
    struct answer answer;
    if (reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return false;
    record_answer(&record, &answer);
    bool file = record.head.state == RECORD_KNOWN && record.head.type == LARDER_FILE && record.head.size >= 0;
    bool another = file && !same_version(&answer, &tee->run->answer) &&
                   reader_has(r->store, reader, &record, 0, record.head.size) == 0;
    reader_end(r->store, reader);
    return another;
}

static bool may_grow(const struct tee *tee)
{
    const struct answer *answer = &tee->run->answer;
    return tee->r->keep && tee->keep && tee->promised > BLOCK_SIZE && tee->promised == answer->info.size &&
           answer_is_strong(answer) && !has_another(tee);
}

static int CO_FN tee_begin_in(struct tee *tee, const struct answer *answer, int64_t size)
{
    if (tee->grew && !same_version(answer, &tee->run->answer))
        return fail(-ESTALE, "%s: it changed while it was read", tee->r->path);
    int rc = ask_note_answer(tee->run, answer);
    if (rc < 0)
        return rc;
    if (tee->begun) { /* once more: what came is void */
        edit_drop(tee->r->store, tee->staged);
        tee->staged = 0;
        tee->chunk_size = 0;
        tee->chunk_start = 0;
    }
    tee->begun = true;
    tee->total = 0;
    tee->promised = size >= 0 ? size : answer->info.size;
    tee->keep = tee->keep && ask_may_keep(tee->run);
    tee->grows = may_grow(tee);
    if (tee->keep && tee->promised > 0 && grow_chunk(tee, 1) < 0)
        drop(tee);
    if (!tee->keep)
        run_set_alone(tee->run);
    return sink_begin(&tee->r->sink.sink, answer, size);
}

static int CO_EDGE tee_begin(struct sink *base, const struct answer *answer, int64_t size)
{
    return tee_begin_in(container_of(base, struct tee, sink), answer, size);
}

static int CO_EDGE tee_room(struct sink *base, size_t want, void **out, size_t *size)
{
    struct tee *tee = container_of(base, struct tee, sink);
    int rc = sink_room(&tee->r->sink.sink, want, out, size);
    if (rc == 0 && tee->r->throttle) {
        rc = throttle_take(tee->r->throttle, size);
        tee->paid = *size;
    }
    tee->lent = rc < 0 ? NULL : *out;
    return rc;
}

static int CO_EDGE tee_fill(struct sink *base, size_t size)
{
    struct tee *tee = container_of(base, struct tee, sink);
    if (tee->r->throttle)
        throttle_give_back(tee->r->throttle, tee->paid - size);
    tee->paid = 0;
    int rc = copy_aside(tee, tee->lent, size);
    tee->total += (int64_t)size;
    return rc < 0 ? rc : sink_fill(&tee->r->sink.sink, size);
}

/* All of it came: what is left of it, and the record. */
static void finish_whole(struct tee *tee)
{
    struct run *run = tee->run;
    run->answer.info.size = tee->total;
    run->start = run->end = tee->chunk_start;
    run->whole = tee->chunk_start == 0;
    if (!tee->keep) {
        run_finish(run, 0, NULL);
        return;
    }
    run->data = take(tee->chunk);
    run->size = tee->chunk_size;
    run->end += (int64_t)run->size;
    run->cost = tee->cost;
    struct put *put = run_put(run, tee->r->view, RECORD_KNOWN);
    put->data = run->data;
    put->start = tee->chunk_start;
    put->size = run->size;
    put->whole = true;
    put->staged = tee->staged;
    run->streamed = tee->chunk_start > 0;
    run_finish(run, 0, &put->op);
    if (run->state == RUN_ENDED)
        edit_drop(run->store, tee->staged);
}

int ask_whole(struct reading *r, struct run *run)
{
    struct tee tee = {.sink = {.begin = tee_begin, .room = tee_room, .fill = tee_fill},
                      .r = r,
                      .run = run,
                      .keep = true,
                      .chunk_max = store_piece_max(r->store),
                      .patience_ms = PATIENCE_MS};
    struct terms terms = ask_terms(r, run, r->known_whole || r->known_much);
    struct answer said = {0};
    int rc = layer_read(view_next(r->view), r->path, NULL, &terms, &tee.sink, &said);
    ask_take_unchanged(run, rc, &said);
    if (rc == 0 && !tee.begun)
        rc = fail(-EPROTO, "%s: nothing came", r->path);
    if (rc == 0 && tee.promised >= 0 && tee.total != tee.promised)
        rc = fail(-EPROTO, "%s: cut at %lld of %lld bytes", r->path, (long long)tee.total,
                  (long long)tee.promised);
    if (rc == 0) {
        store_count(r->store, COUNT_MISS_BYTES, (uint64_t)tee.total);
        r->fetched += (uint64_t)tee.total;
        r->gave_all = true;
        finish_whole(&tee);
        return 0;
    }
    drop(&tee);
    run->alone = false;
    if (r->sink.status == 0) {
        ask_finish_without(r, run, rc);
        return 0;
    }
    run_finish(run, -ECANCELED, NULL); /* nothing was learnt of the place: whoever waits asks for itself */
    return watched_failure(&r->sink);
}
