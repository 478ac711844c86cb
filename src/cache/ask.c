/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the place, and keeping what it says. */
#include "cache/fetch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define KNOWN_LONG_MS 60000 /* what changes no answer is written again only after so long */

bool same_version(const struct answer *a, const struct answer *b)
{
    return answer_is_strong(a) && answer_is_strong(b) && a->info.size == b->info.size &&
           strcmp(a->info.version, b->info.version) == 0;
}

bool ask_may_keep(const struct run *run)
{
    return run->seen_known && !(run->answer.flags & ANSWER_NO_STORE);
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- terms ---- */

struct terms ask_terms(struct reading *r, struct run *run, bool worth)
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

int ask_note_answer(struct run *run, const struct answer *answer)
{
    answer_free(&run->answer);
    run->answered_ns = wall_ns();
    return answer_copy(&run->answer, answer);
}

/* ---- outcomes without bytes ---- */

void ask_take_unchanged(struct run *run, int rc, struct answer *said)
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

void ask_finish_without(struct reading *r, struct run *run, int rc)
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
    struct throttle *throttle;
    size_t paid; /* to it */
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
    return ask_note_answer(run, answer);
}

static int CO_EDGE part_room(struct sink *base, size_t want, void **out, size_t *size)
{
    struct part_sink *sink = container_of(base, struct part_sink, sink);
    struct run *run = sink->run;
    if (run->size == run->capacity)
        return fail(-EPROTO, "%s: more than the %zu bytes that were asked for", run->path, run->capacity);
    *size = run->capacity - run->size;
    int rc = sink->throttle ? throttle_take(sink->throttle, size) : 0;
    sink->paid = *size;
    *out = run->data + run->size;
    return rc;
}

static int part_fill(struct sink *base, size_t size)
{
    struct part_sink *sink = container_of(base, struct part_sink, sink);
    struct run *run = sink->run;
    assert(size <= run->capacity - run->size);
    if (sink->throttle)
        throttle_give_back(sink->throttle, sink->paid - size);
    sink->paid = 0;
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
    if (!ask_may_keep(run) || size < 0 || !run->cost) {
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
        .sink = {.instant = !r->throttle, .begin = part_begin, .room = part_room, .fill = part_fill},
        .run = run,
        .throttle = r->throttle};
    struct terms terms = ask_terms(r, run, r->known_whole);
    struct larder_range range = {run->start, run->end};
    sink.size_max = (size_t)(run->start < 0 ? -run->start : run->end - run->start);
    if (r->keep)
        run->cost = writer_reserve_wait(r->store, sink.size_max) < 0 ? 0 : sink.size_max;
    else
        run->cost = writer_reserve(r->store, sink.size_max) ? sink.size_max : 0;
    struct answer said = {0};
    int rc = layer_read(view_next(r->view), r->path, &range, &terms, &sink.sink, &said);
    ask_take_unchanged(run, rc, &said);
    if (rc == 0)
        rc = check_part(run, &sink);
    if (rc == 0) {
        store_count(r->store, COUNT_MISS_BYTES, run->size);
        r->fetched += run->size;
        finish_part(r, run);
    } else {
        run->size = 0;
        ask_finish_without(r, run, rc);
    }
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

/* The bytes of a file do not go for what is said of a directory beside it. */
static bool may_keep_info(const struct reading *r, const struct run *run)
{
    return ask_may_keep(run) &&
           !(run->answer.flags & ANSWER_SLASH && r->known_id && r->known.info.type == LARDER_FILE);
}

int ask_info(struct reading *r, struct run *run)
{
    struct terms terms = ask_terms(r, run, true);
    struct answer answer = {0};
    terms.directory = r->terms->directory;
    int rc = layer_info(view_next(r->view), r->path, &terms, &answer);
    if (rc >= 0)
        run->answer = answer;
    if (rc != 0) {
        ask_finish_without(r, run, rc);
        return 0;
    }
    run->answered_ns = wall_ns();
    if (r->known_id && !r->known_absent && says_the_same(&r->known, &answer)) {
        run->known_id = r->known_id;
        finish_unchanged(r, run, 0);
    } else {
        run_finish(run, 0, may_keep_info(r, run) ? &run_put(run, r->view, RECORD_KNOWN)->op : NULL);
    }
    return 0;
}

int ask_past(struct reading *r, struct answer *out)
{
    struct terms terms = TERMS_NONE;
    terms.if_match = r->terms->if_match;
    terms.if_none_match = r->terms->if_none_match;
    return layer_read(view_next(r->view), r->path, r->range, &terms, &r->sink.sink, out);
}
