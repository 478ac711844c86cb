/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the place, and keeping what it says. */
#include "cache/fetch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define KNOWN_LONG_MS 60000 /* what changes no answer is written again only after so long */
#define PATIENCE_MS   1000  /* that a large file waits for the writer, in all, before it is not kept */

bool same_version(const struct answer *a, const struct answer *b)
{
    return answer_is_strong(a) && answer_is_strong(b) && a->info.size == b->info.size &&
           strcmp(a->info.version, b->info.version) == 0;
}

static bool may_keep(const struct run *run)
{
    return run->seen_known && !(run->answer.flags & ANSWER_NO_STORE);
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- terms ---- */

static struct terms terms_for(struct reading *r, struct run *run, bool worth)
{
    struct terms terms = TERMS_NONE;
    if (r->pinned) {
        terms.if_match = r->pin.info.version;
    } else if (r->terms->if_match) {
        terms.if_match = r->terms->if_match;
    } else if (r->known.validator && !r->ignore_store && worth) {
        terms.if_none_match = r->known.validator;
        run->known_id = r->known_id;
    } else {
        terms.if_none_match = r->terms->if_none_match;
    }
    return terms;
}

static int note_answer(struct run *run, const struct answer *answer)
{
    answer_free(&run->answer);
    run->answered_ns = wall_ns();
    return answer_copy(&run->answer, answer);
}

/* ---- outcomes without bytes ---- */

static void take_unchanged(struct run *run, int rc, struct answer *said)
{
    if (rc == UNCHANGED) {
        answer_free(&run->answer);
        run->answer = *said;
    } else {
        answer_free(said);
    }
}

static bool is_worth_writing(const struct reading *r, enum fact fact, int64_t fresh_ms)
{
    int64_t lifetime = lifetime_of(&r->view->lifetimes, r->terms, r->path, fact, fresh_ms);
    return lifetime > 0 || r->known_age_ms < 0 || r->known_age_ms > KNOWN_LONG_MS;
}

static void finish_absent(struct reading *r, struct run *run)
{
    bool keep = run->seen_known && (!r->known_absent || is_worth_writing(r, FACT_ABSENT, -1));
    run->answer.fresh_ms = run->answer.stale_if_error_ms = -1;
    run->answered_ns = wall_ns();
    run_finish(run, -ENOENT, keep ? &run_put(run, r->view, RECORD_ABSENT)->op : NULL);
}

/* The record that was there is still right; `run->answer` says for how long. */
static void finish_unchanged(struct reading *r, struct run *run, int status)
{
    run->answered_ns = wall_ns();
    run->freshen = (struct freshen){.op = {.apply = edit_freshen},
                                    .type = KEY_RECORD,
                                    .place = run->place,
                                    .path = run->path,
                                    .id = run->known_id,
                                    .answered_ns = run->answered_ns,
                                    .fresh_ms = run->answer.fresh_ms,
                                    .stale_if_error_ms = run->answer.stale_if_error_ms};
    enum fact fact = r->known.info.type == LARDER_DIRECTORY ? FACT_DIRECTORY : FACT_FILE;
    bool keep = run->known_id && is_worth_writing(r, fact, run->answer.fresh_ms);
    run_finish(run, status, keep ? &run->freshen.op : NULL);
}

static void finish_without(struct reading *r, struct run *run, int rc)
{
    if (rc == -ENOENT)
        finish_absent(r, run);
    else if (rc == UNCHANGED)
        finish_unchanged(r, run, rc);
    else
        run_finish(run, rc, NULL);
}

/* ---- a part ---- */

struct part_sink {
    struct sink sink;
    struct run *run;
    size_t size_max;
    int64_t promised; /* -1: not */
};

static int part_begin(struct sink *base, const struct answer *answer, int64_t size)
{
    struct part_sink *sink = container_of(base, struct part_sink, sink);
    struct run *run = sink->run;
    size_t capacity = size < 0 ? sink->size_max : (size_t)size;
    run->size = 0;
    sink->promised = size;
    if (capacity > sink->size_max)
        return fail(-EPROTO, "%s: %lld bytes where %zu were asked for", run->path, (long long)size,
                    sink->size_max);
    char *data = mem_resize(run->data, capacity + 1);
    if (!data)
        return fail_memory();
    run->data = data;
    run->capacity = capacity;
    return note_answer(run, answer);
}

static int part_room(struct sink *base, size_t want, void **out, size_t *size)
{
    struct run *run = container_of(base, struct part_sink, sink)->run;
    if (run->size == run->capacity)
        return fail(-EPROTO, "%s: more than the %zu bytes that were asked for", run->path, run->capacity);
    *out = run->data + run->size;
    *size = run->capacity - run->size;
    return 0;
}

static int part_fill(struct sink *base, size_t size)
{
    struct run *run = container_of(base, struct part_sink, sink)->run;
    assert(size <= run->capacity - run->size);
    run->size += size;
    return 0;
}

/* A part that came: what of it are whole blocks may be kept, if its version is strong; else what is the whole
 * file. */
static void finish_part(struct reading *r, struct run *run)
{
    int64_t size = run->answer.info.size, end;
    if (run->start < 0 && size >= 0)
        run->start = size - (int64_t)run->size;
    end = run->start + (int64_t)run->size;
    run->whole = run->start == 0 && end == size;
    run->end = end;
    if (!may_keep(run) || size < 0 || !run->cost) {
        run_finish(run, 0, NULL);
        return;
    }
    struct put *put = run_put(run, r->view, RECORD_KNOWN);
    int64_t from = block_count(run->start) * BLOCK_SIZE,
            to = end == size ? end : end / BLOCK_SIZE * BLOCK_SIZE;
    if (to > from && (run->whole || answer_is_strong(&run->answer))) {
        put->data = run->data + (from - run->start);
        put->start = from;
        put->size = (size_t)(to - from);
    }
    put->whole = run->whole;
    run_finish(run, 0, &put->op);
}

/* Is what came as it was promised? */
static int check_part(const struct run *run, const struct part_sink *sink)
{
    int64_t size = run->answer.info.size, got = (int64_t)run->size;
    int64_t expected = sink->promised;
    if (expected < 0 && size >= 0 && run->start >= 0)
        expected = min(run->end, size) > run->start ? min(run->end, size) - run->start : 0;
    if ((expected >= 0 && got != expected) || (run->start < 0 && size >= 0 && got > size))
        return fail(-EPROTO, "%s: %lld bytes came, not %lld", run->path, (long long)got, (long long)expected);
    return 0;
}

int ask_part(struct reading *r, struct run *run)
{
    struct part_sink sink = {
        .sink = {.instant = true, .begin = part_begin, .room = part_room, .fill = part_fill}, .run = run};
    struct terms terms = terms_for(r, run, r->known_whole);
    struct larder_range range = {run->start, run->end};
    sink.size_max = (size_t)(run->start < 0 ? -run->start : run->end - run->start);
    if (r->wait)
        run->cost = writer_reserve_wait(r->store, sink.size_max) < 0 ? 0 : sink.size_max;
    else
        run->cost = writer_reserve(r->store, sink.size_max) ? sink.size_max : 0;
    struct answer said = {0};
    int rc = layer_read(view_next(r->view), r->path, &range, &terms, &sink.sink, &said);
    take_unchanged(run, rc, &said);
    if (rc == 0)
        rc = check_part(run, &sink);
    if (rc == 0) {
        store_count(r->store, COUNT_MISS_BYTES, run->size);
        r->fetched += run->size;
        finish_part(r, run);
    } else {
        run->size = 0;
        finish_without(r, run, rc);
    }
    return 0;
}

/* ---- the whole ---- */

/*
 * What goes through to the reader's sink is copied aside, chunk by chunk. Full chunks go to the writer as
 * blocks of a version that no record names yet; the last one brings the record. When there is no room,
 * nothing is kept.
 */
struct tee {
    struct sink sink;
    struct reading *r;
    struct run *run;
    int64_t promised, total;
    void *lent; /* by the reader's sink */
    bool keep, begun;
    char *chunk;
    size_t chunk_size, chunk_capacity;
    int64_t chunk_start;
    size_t cost;     /* of the chunk */
    uint64_t staged; /* 0: nothing is yet */
    int64_t patience_ms;
};

struct staged_chunk {
    struct stage stage;
    char *data;
};

static void staged_done(struct op *op, int status)
{
    struct staged_chunk *chunk = container_of(op, struct staged_chunk, stage.op);
    mem_free(chunk->data);
    mem_free(chunk);
}

static void give_up(struct tee *tee)
{
    struct store *store = tee->r->store;
    if (!tee->keep)
        return;
    tee->keep = false;
    writer_release(store, tee->cost);
    tee->cost = 0;
    edit_drop(store, tee->staged);
    tee->staged = 0;
    mem_free(take(tee->chunk));
    run_set_alone(tee->run);
}

/* Room in the budget: at once, or within what patience is left. */
static int CO_FN reserve(struct tee *tee, size_t size)
{
    struct store *store = tee->r->store;
    if (writer_reserve(store, size))
        return 0;
    if (tee->r->wait)
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

/* Room for `more` bytes of the chunk that grows, up to CHUNK_SIZE in all. */
static int CO_FN grow_chunk(struct tee *tee, size_t more)
{
    size_t need = tee->chunk_size + more, capacity = tee->chunk_capacity;
    int64_t left = tee->promised >= 0 ? tee->promised - tee->chunk_start : CHUNK_SIZE;
    if (need <= capacity && tee->chunk)
        return 0;
    capacity =
        tee->promised >= 0 ? (size_t)min(left, CHUNK_SIZE) : (capacity ? capacity * 2 : (size_t)BLOCK_SIZE);
    if (capacity < need)
        capacity = need;
    if (capacity > (size_t)CHUNK_SIZE)
        capacity = (size_t)CHUNK_SIZE;
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

static int hand_over_chunk(struct tee *tee)
{
    struct staged_chunk *chunk = mem_zero(sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    if (!tee->staged)
        tee->staged = store_number();
    chunk->data = tee->chunk;
    chunk->stage = (struct stage){
        .op = {.cost = tee->cost, .apply = edit_stage, .done = staged_done},
        .version = tee->staged,
        .data = tee->chunk,
        .start = tee->chunk_start,
        .size = tee->chunk_size,
        .level = tee->r->view->level,
    };
    if (writer_add(tee->r->store, &chunk->stage.op) < 0) {
        mem_free(chunk);
        return -EIO;
    }
    tee->chunk = NULL;
    tee->cost = tee->chunk_capacity = 0;
    tee->chunk_start += (int64_t)tee->chunk_size;
    tee->chunk_size = 0;
    return 0;
}

static int CO_FN copy_aside(struct tee *tee, const char *data, size_t size)
{
    while (tee->keep && size > 0) {
        int rc = tee->chunk_size == (size_t)CHUNK_SIZE ? hand_over_chunk(tee) : 0;
        size_t piece = (size_t)min((int64_t)size, CHUNK_SIZE - (int64_t)tee->chunk_size);
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

static int CO_FN tee_begin_in(struct tee *tee, const struct answer *answer, int64_t size)
{
    int rc = note_answer(tee->run, answer);
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
    tee->keep = tee->keep && may_keep(tee->run);
    if (tee->keep && tee->promised > 0 && grow_chunk(tee, 1) < 0)
        give_up(tee);
    if (!tee->keep)
        run_set_alone(tee->run);
    return sink_begin(tee->r->sink, answer, size);
}

static int CO_EDGE tee_begin(struct sink *base, const struct answer *answer, int64_t size)
{
    return tee_begin_in(container_of(base, struct tee, sink), answer, size);
}

static int CO_EDGE tee_room(struct sink *base, size_t want, void **out, size_t *size)
{
    struct tee *tee = container_of(base, struct tee, sink);
    int rc = sink_room(tee->r->sink, want, out, size);
    tee->lent = rc < 0 ? NULL : *out;
    return rc;
}

static int CO_EDGE tee_fill(struct sink *base, size_t size)
{
    struct tee *tee = container_of(base, struct tee, sink);
    int rc = copy_aside(tee, tee->lent, size);
    tee->total += (int64_t)size;
    return rc < 0 ? rc : sink_fill(tee->r->sink, size);
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
    run->streamed = tee->staged;
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
                      .patience_ms = PATIENCE_MS};
    struct terms terms = terms_for(r, run, r->known_whole);
    struct answer said = {0};
    int rc = layer_read(view_next(r->view), r->path, NULL, &terms, &tee.sink, &said);
    take_unchanged(run, rc, &said);
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
    give_up(&tee);
    run->alone = false;
    finish_without(r, run, rc);
    return 0;
}

/* ---- info ---- */

/* A place may say less on an info than with the bytes; that alone does not make the record wrong. */
static bool says_the_same(const struct answer *known, const struct answer *said)
{
    if (known->info.type != said->info.type || (said->info.size >= 0 && said->info.size != known->info.size))
        return false;
    if (said->validator || said->info.version)
        return said->validator && known->validator && strcmp(said->validator, known->validator) == 0;
    return said->info.mtime_ns && said->info.mtime_ns == known->info.mtime_ns;
}

int ask_info(struct reading *r, struct run *run)
{
    struct terms terms = terms_for(r, run, true);
    struct answer answer = {0};
    int rc = layer_info(view_next(r->view), r->path, &terms, &answer);
    if (rc >= 0)
        run->answer = answer;
    if (rc != 0) {
        finish_without(r, run, rc);
        return 0;
    }
    run->answered_ns = wall_ns();
    if (r->known_id && !r->known_absent && says_the_same(&r->known, &answer)) {
        run->known_id = r->known_id;
        finish_unchanged(r, run, 0);
    } else {
        run_finish(run, 0, may_keep(run) ? &run_put(run, r->view, RECORD_KNOWN)->op : NULL);
    }
    return 0;
}

int ask_past(struct reading *r, struct answer *out)
{
    struct terms terms = TERMS_NONE;
    terms.if_match = r->terms->if_match;
    terms.if_none_match = r->terms->if_none_match;
    return layer_read(view_next(r->view), r->path, r->range, &terms, r->sink, out);
}
