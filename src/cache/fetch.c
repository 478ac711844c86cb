/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read that the store could not answer at once. Piece by piece the bytes are looked for
 *
 *   in the store            of the pinned version; or fresh; or just found to be still right
 *   in the flight's runs    waited for, or in memory on their way to the store
 *   at the place            which makes a run
 *
 * until all are given. The first piece pins the version (V1).
 */
#include "cache/ahead.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define LOOK_SIZE_MAX  (256 * 1024) /* a hit that is copied on the loop, before anything else is tried */
#define STORED_WAIT_MS 2000
#define SCRATCH_SIZE   65536
#define IDLE_MAX       8 /* steps that bring nothing (others were cancelled), before the cache is passed by */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- out of a run ---- */

static bool run_covers(const struct reading *r, const struct run *run)
{
    return run->start >= 0 && r->pos >= run->start && r->pos < run->end;
}

/* Will what an ASKING run brings be of use here? */
static bool run_will_serve(const struct reading *r, const struct run *run)
{
    uint64_t known = r->ignore_store || r->pinned ? 0 : r->known_id;
    return !run->alone && run_covers(r, run) && (run->known_id == 0 || run->known_id == known);
}

/* Is what a LANDED run brought? */
static bool run_has_served(const struct reading *r, const struct run *run)
{
    if (r->pinned)
        return run->status == 0 && same_version(&r->pin, &run->answer) &&
               (run->streamed || run_covers(r, run));
    if (r->ignore_store || !reading_run_is_fresh(r, run))
        return false;
    if (run->status == UNCHANGED)
        return run->known_id == r->known_id && run->known_id != r->valid_id;
    return run->status < 0 || run->whole || run->streamed ||
           (run_covers(r, run) && answer_is_strong(&run->answer));
}

static bool run_serves(const struct reading *r, const struct run *run, const struct seen *seen)
{
    bool conditions = r->terms->if_match || r->terms->if_none_match || r->terms->age_max_ms == 0;
    if (run->kind != RUN_DATA || !run->seen_known || run->seen.id != seen->id ||
        run->seen.epoch != seen->epoch)
        return false;
    if (conditions && !r->pinned)
        return false;
    return run->state == RUN_ASKING ? run_will_serve(r, run) : run_has_served(r, run);
}

/* STEP_ON: what a run brought came into the store since that was looked at. */
static int find_run(struct reading *r, struct run **out)
{
    struct larder_loop *loop = task_loop(task_current());
    struct run *run = flight_next(loop, r->view, r->store, r->path, NULL);
    struct seen seen;
    *out = r->alone ? NULL : ahead_find(r);
    if (*out || !run || r->alone || store_seen(r->store, KEY_RECORD, &r->view->place, r->path, &seen) < 0)
        return STEP_DONE;
    while (run && !run_serves(r, run, &seen))
        run = flight_next(loop, r->view, r->store, r->path, run);
    if (run)
        *out = run_ref(run);
    return run || !reading_is_behind(r, &seen) ? STEP_DONE : STEP_ON;
}

/* Bytes of its memory. */
static int CO_FN give_run(struct reading *r, struct run *run)
{
    int64_t end = run->start + (int64_t)run->size;
    int rc = reading_begin(r);
    if (rc == 0 && r->pos >= run->start && r->pos < end && run->data) {
        int64_t count = min(end, r->end) - r->pos;
        rc = sink_pour(&r->sink.sink, run->data + (r->pos - run->start), (size_t)count);
        r->pos += count;
    }
    if (rc < 0)
        return rc;
    return r->pos == r->end ? STEP_DONE : STEP_ON;
}

/* It went to the writer piece by piece: soon it is in the store. */
static int CO_FN await_stored(struct reading *r, struct run *run)
{
    int rc = 0;
    if (!r->pinned && answer_is_strong(&run->answer))
        rc = reading_pin(r, &run->answer);
    if (rc == 0 && run->state == RUN_LANDED)
        rc = run_wait_stored(run, STORED_WAIT_MS);
    if (rc < 0 && rc != -ETIMEDOUT)
        return rc;
    r->alone = r->alone || rc == -ETIMEDOUT;
    return STEP_ON;
}

/* A run with bytes that is over. */
static int CO_FN use_bytes(struct reading *r, struct run *run)
{
    if (r->gave_all) {
        answer_free(&r->pin);
        r->pinned = true;
        return answer_copy(&r->pin, &run->answer);
    }
    if (run->alone || run->answer.info.size < 0) {
        r->alone = true;
        return STEP_ON;
    }
    if (r->pinned && !same_version(&r->pin, &run->answer)) {
        r->ignore_store = true;
        if (r->begun)
            return STEP_OVER;
        reading_unpin(r);
    }
    if (run->streamed)
        return await_stored(r, run);
    if (!r->pinned) {
        int rc = reading_pin(r, &run->answer);
        if (rc < 0)
            return rc;
        bool all = run->whole || (r->pos >= run->start && r->end <= run->start + (int64_t)run->size);
        if (!answer_is_strong(&run->answer) && !all) {
            reading_unpin(r); /* parts of it cannot be put together: V2 */
            r->alone = true;
            return STEP_ON;
        }
    }
    int64_t before = r->pos;
    int rc = give_run(r, run);
    if (r->pos > before)
        r->idle = 0;
    return rc;
}

/* ---- at the place ---- */

static void note_asked(struct reading *r)
{
    if (!r->asked)
        store_count(r->store, COUNT_MISSES, 1);
    r->asked = true;
}

/* All that is wanted is there, and is asked about: has what one hears no lifetime, or is of use to nobody else, each asks
 * for itself. */
static bool asks_for_itself(const struct reading *r)
{
    if (!r->known_whole || r->pinned || r->ignore_store)
        return false;
    return r->terms->age_max_ms == 0 ||
           lifetime_of(&r->view->lifetimes, r->terms, r->path, FACT_FILE, r->known.fresh_ms) <= 0;
}

/*
 * Nobody else of this store asks for the same meanwhile. What they asked for is in the store by now, if there was
 * anybody: between the look and the lock, too. What each asks for itself is not worth standing in line for.
 */
static int CO_FN lock(struct reading *r, struct run *run, bool whole)
{
    if (asks_for_itself(r))
        return 0;
    int rc = run_lock(run, whole ? UINT64_MAX : PART_PATIENCE_MS);
    if (rc == 0 && reading_can_go_on(r))
        return STEP_ON;
    if (rc == 0 && asks_for_itself(r))
        run_unlock(run);
    return rc;
}

/* STEP_ON: there was no need to ask. */
static int CO_FN request(struct reading *r)
{
    struct run *run = run_new(task_loop(task_current()), r->view, r->store, r->path, RUN_DATA);
    if (!run)
        return fail_memory();
    bool whole = !r->range && r->pos == 0 && !r->begun && !reading_has_much(r);
    run->end = LARDER_TO_END;
    run_unref(r->joined);
    r->joined = run;
    if (!whole && !reading_choose_part(r, run)) {
        run_finish(run, -ECANCELED, NULL);
        r->alone = true;
        return 0;
    }
    int rc = lock(r, run, whole);
    if (rc != 0) {
        run_finish(run, rc < 0 ? rc : -ECANCELED, NULL);
        return rc;
    }
    note_asked(r);
    if (whole)
        return ask_whole(r, run);
    reading_choose_part(r, run); /* the others may have brought some of what lies behind */
    return ask_part(r, run);
}

/* Past the cache: what it cannot keep, or not ask for in parts. */
static int CO_FN go_past(struct reading *r)
{
    struct answer answer = {0};
    note_asked(r);
    reading_unpin(r);
    int rc = ask_past(r, &answer);
    if (rc == 0)
        r->pin = answer;
    else
        answer_free(&answer);
    r->pinned = rc == 0;
    return reading_is_failure_to_ask(r, rc) ? reading_fall_back(r, rc) : rc;
}

/* Of no bytes, but only if there is such a file. */
static int CO_FN read_nothing(struct reading *r)
{
    struct answer answer = {0};
    struct terms terms = *r->terms;
    terms.if_none_match = NULL;
    int rc = fetch_info(&r->view->instance, r->path, &terms, &answer);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s: a directory", r->path);
    r->alone = !answer_is_strong(&answer);
    if (rc == 0 && !r->alone)
        rc = reading_pin(r, &answer);
    answer_free(&answer);
    if (rc < 0)
        return reading_is_failure_to_ask(r, rc) ? reading_fall_back(r, rc) : rc;
    if (r->alone || r->pos < r->end)
        return STEP_ON;
    return reading_begin(r);
}

static int CO_FN step(struct reading *r)
{
    int rc = reading_give_stored(r);
    if (rc != STEP_ON)
        return rc;
    if (r->view->mode == MODE_OFFLINE)
        return view_offline(r->view, r->path, "not (all) in the cache");
    if (r->stale_ok) {
        error_set_text(r->failure_text);
        return r->failure;
    }
    if (!r->alone && !r->pinned && range_is_empty(r->range))
        return read_nothing(r);
    if (r->alone || ++r->idle > IDLE_MAX)
        return go_past(r);
    struct run *run;
    if (r->pinned && answer_is_strong(&r->pin))
        ahead_begin(r);
    rc = find_run(r, &run);
    if (rc == STEP_ON)
        return rc;
    bool ours = !run;
    if (run) {
        run_unref(r->joined);
        r->joined = run;
        rc = run_wait(run);
    } else {
        rc = request(r);
    }
    if (rc != 0)
        return rc;
    if (r->alone)
        return STEP_ON;
    run = r->joined;
    return run->status == 0 ? use_bytes(r, run) : reading_use_outcome(r, run, ours);
}

static int CO_FN read_all(struct reading *r)
{
    int rc = STEP_ON;
    bool over = false;
    while (rc == STEP_ON || (rc == STEP_OVER && !over)) {
        if (rc == STEP_OVER)
            ahead_end(r);
        if (rc == STEP_OVER)
            reading_unpin(r);
        over = over || rc == STEP_OVER;
        rc = step(r);
    }
    ahead_end(r);
    if (rc == STEP_OVER)
        return fail(-ESTALE, "%s: it changed while it was read", r->path);
    if (rc == STEP_DONE && !r->asked)
        store_count(r->store, COUNT_HITS, 1);
    if (rc == STEP_DONE && r->stale_ok)
        store_count(r->store, COUNT_STALE, 1);
    return rc;
}

/* Offline, of a file without a record: missing, a directory, or not known. */
static int why_not(struct reading *r)
{
    struct answer answer = {0};
    int rc = offline_info(r->view, r->store, r->path, r->terms, &answer);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s: a directory", r->path);
    else if (rc == 0)
        rc = view_offline(r->view, r->path, "not in the cache");
    answer_free(&answer);
    return rc;
}

int fetch_read(struct instance *instance, const char *path, const struct larder_range *range,
               const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    struct store *store = view_store(view);
    struct reading r = {.view = view, .store = store, .path = path, .range = range, .terms = terms};
    if (!store)
        return view->mode == MODE_OFFLINE ? view_offline(view, path, "there is no cache")
                                          : layer_read(view_next(view), path, range, terms, sink, out);
    int rc = sink->instant ? hit_read(view, store, path, range, terms, sink, out, LOOK_SIZE_MAX) : -EAGAIN;
    if (rc != -EAGAIN)
        return rc;
    if (range && range->start == 0 && range->end == LARDER_TO_END)
        r.range = NULL;
    watched_init(&r.sink, sink);
    reading_unpin(&r);
    r.known_age_ms = -1;
    rc = read_all(&r);
    if (rc == -ENONET && view->mode == MODE_OFFLINE && !r.pinned)
        rc = why_not(&r);
    if (rc >= 0 && out) {
        struct answer *said = rc == 0 ? &r.pin : r.known_id ? &r.known : &r.joined->answer;
        int copied = answer_copy(out, said);
        rc = copied < 0 ? copied : rc;
    }
    reading_fini(&r);
    return rc;
}

/* ---- for the store only ---- */

struct drop_sink {
    struct sink sink;
    char *room;
};

static int drop_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return 0;
}

static int drop_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    *out = container_of(sink, struct drop_sink, sink)->room;
    *size = SCRATCH_SIZE;
    return 0;
}

static int drop_fill(struct sink *sink, size_t size)
{
    return 0;
}

/* What was only given, and neither is in the store nor on its way there? */
static bool was_lost(const struct reading *r)
{
    return r->alone || (r->joined && r->joined->status == 0 && !r->joined->kept);
}

/* Of what changed on the way, the store has blocks that the next attempt has to find there. */
static int CO_FN keep_all(struct reading *r)
{
    int rc = read_all(r);
    if (rc != -ESTALE)
        return rc;
    reading_unpin(r);
    r->ignore_store = false;
    rc = writer_flush_wait(r->store);
    return rc < 0 ? rc : read_all(r);
}

int fetch_keep(struct view *view, const char *path, const struct terms *terms, struct throttle *throttle,
               int64_t *size, uint64_t *fetched)
{
    struct store *store = view_store(view);
    struct drop_sink sink = {.sink = {.begin = drop_begin, .room = drop_room, .fill = drop_fill}};
    struct reading r = {
        .view = view, .store = store, .path = path, .terms = terms, .keep = true, .throttle = throttle};
    sink.room = mem_alloc(SCRATCH_SIZE);
    if (!sink.room || !store) {
        mem_free(sink.room);
        return store ? fail_memory() : fail(-EROFS, "%s: the cache cannot be written", view->hold.dir);
    }
    watched_init(&r.sink, &sink.sink);
    reading_unpin(&r);
    r.known_age_ms = -1;
    int rc = keep_all(&r);
    if (rc == 0 && was_lost(&r))
        rc = fail(-EIO, "%s: it could not be kept", path);
    *size = rc == 0 ? r.pin.info.size : 0;
    *fetched = r.fetched;
    mem_free(sink.room);
    reading_fini(&r);
    return rc;
}
