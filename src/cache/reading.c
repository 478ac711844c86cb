/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reading: what it pins and what it learns on the way, its bytes out of the store, and what a run's outcome
 * means for it.
 */
#include "cache/fetch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define LOOP_SIZE_MAX   (256 * 1024) /* more is copied on a worker */
#define WORKER_SIZE_MAX (16 << 20)
#define PIECE_SIZE_MAX  (1 << 20)    /* at a time, into a sink that may suspend */
#define MUCH_SIZE       (256 * 1024) /* for which a mirror rather asks once more than fetches it again */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void reading_fini(struct reading *r)
{
    answer_free(&r->pin);
    answer_free(&r->known);
    run_unref(r->joined);
    mem_free(r->failure_text);
    watched_fini(&r->sink);
}

/* ---- what is pinned ---- */

int reading_pin(struct reading *r, const struct answer *answer)
{
    int64_t count;
    int rc = answer_copy(&r->pin, answer);
    if (rc < 0)
        return rc;
    range_resolve(r->range, answer->info.size, &r->pos, &count);
    r->end = r->pos + count;
    r->pinned = true;
    return 0;
}

void reading_unpin(struct reading *r)
{
    answer_free(&r->pin);
    r->pinned = r->begun = false;
    r->pin_id = 0;
    r->pos = r->range ? r->range->start : 0;
    r->end = r->range ? r->range->end : LARDER_TO_END;
}

int CO_FN reading_begin(struct reading *r)
{
    if (r->begun)
        return 0;
    r->begun = true;
    return sink_begin(&r->sink.sink, &r->pin, r->end - r->pos);
}

/* ---- out of the store ---- */

static bool has_much(const struct reading *r, struct reader *reader, const struct record *record)
{
    return r->keep && reader && record_is_strong(record) &&
           reader_amount(r->store, reader, record) >= MUCH_SIZE;
}

bool reading_has_much(struct reading *r)
{
    struct reader *reader;
    struct record record;
    if (!r->pinned || !r->keep ||
        reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return false;
    bool much = reading_is_pinned(r, &record) && has_much(r, reader, &record);
    reader_end(r->store, reader);
    return much;
}

int reading_know(struct reading *r, struct reader *reader, const struct record *record)
{
    struct answer answer;
    int64_t start, count;
    range_resolve(r->range, record->head.size, &start, &count);
    r->known_whole = record->head.size >= 0 && reader && r->sink.into &&
                     (record->head.body_there || record->head.version) &&
                     reader_has(r->store, reader, record, start, count) == 0;
    r->known_much = has_much(r, reader, record);
    record_answer(record, &answer);
    answer_free(&r->known);
    r->known_id = record->head.id;
    r->known_absent = record->head.state == RECORD_ABSENT;
    r->known_age_ms = (wall_ns() - record->head.answered_ns) / 1000000;
    return record->head.state == RECORD_KNOWN ? answer_copy(&r->known, &answer) : 0;
}

bool reading_may_use(struct reading *r, const struct record *record)
{
    return (r->valid_id && record->head.id == r->valid_id) ||
           hit_is_fresh(r->view, r->path, record, r->terms) ||
           (r->stale_ok && hit_may_be_stale(r->view, record, r->terms));
}

bool reading_is_pinned(const struct reading *r, const struct record *record)
{
    struct answer answer;
    record_answer(record, &answer);
    return record->head.state == RECORD_KNOWN &&
           (same_version(&r->pin, &answer) || (r->pin_id && r->pin_id == record->head.id));
}

/* May this record's bytes be given? -EAGAIN: not without asking; else the answer of the whole read. */
static int consider(struct reading *r, struct reader *reader, const struct record *record)
{
    if (r->pinned)
        return reading_is_pinned(r, record) ? 0 : -EAGAIN;
    if (record->head.state == RECORD_CHANGED || r->ignore_store || hit_is_of_other(r->view, record, r->terms))
        return -EAGAIN;
    if (!reading_may_use(r, record)) {
        int rc = reading_know(r, reader, record);
        return rc < 0 ? rc : -EAGAIN;
    }
    if (record->head.state == RECORD_ABSENT)
        return fail(-ENOENT, "%s: no such file (as the cache knows)", r->path);
    if (record->head.type == LARDER_DIRECTORY)
        return fail(-EISDIR, "%s: a directory", r->path);
    if (r->terms->if_match && !(record_is_strong(record) && strcmp(record->version, r->terms->if_match) == 0))
        return -EAGAIN;
    if (r->terms->if_none_match && record->validator &&
        strcmp(record->validator, r->terms->if_none_match) == 0) {
        int rc = reading_know(r, reader, record);
        return rc < 0 ? rc : UNCHANGED;
    }
    return 0;
}

/* Pins the version if it may be given, and says how many bytes of it are there from `pos` on. */
static int peek_record(struct reading *r, struct reader *reader, const struct record *record, int64_t *there)
{
    struct answer answer;
    int rc = consider(r, reader, record);
    if (rc != 0)
        return rc;
    if (record->head.size < 0) { /* it is known only, without bytes */
        r->ignore_store = true;
        return -EAGAIN;
    }
    record_answer(record, &answer);
    bool first = !r->pinned;
    if (first)
        rc = reading_pin(r, &answer);
    if (rc < 0)
        return rc;
    if (first)
        r->pin_id = record->head.id;
    bool strong = record_is_strong(record);
    int64_t count = r->end - r->pos;
    *there = reader_extent(r->store, reader, record, r->pos, strong ? min(count, WORKER_SIZE_MAX) : count);
    if (*there == count || strong)
        return 0;
    reading_unpin(r); /* of such a version only the whole is of use: V2 */
    r->ignore_store = true;
    r->alone = r->alone || r->range;
    return -EAGAIN;
}

static int peek(struct reading *r, int64_t *there)
{
    struct reader *reader;
    struct record record;
    if (reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return -EAGAIN;
    int rc = peek_record(r, reader, &record, there);
    reader_end(r->store, reader);
    return rc;
}

bool reading_can_go_on(struct reading *r)
{
    int64_t there = 0;
    int rc = peek(r, &there);
    return rc != -EAGAIN && (rc != 0 || there > 0 || r->pos == r->end);
}

struct copy {
    struct reading *r;
    struct sink *sink;
    int64_t count;
};

/* On a worker when it is much. */
static int copy_stored(void *arg)
{
    struct copy *copy = arg;
    struct reading *r = copy->r;
    struct reader *reader;
    struct record record;
    if (reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return -EAGAIN;
    int rc = reading_is_pinned(r, &record) ? 0 : -EAGAIN;
    if (rc == 0 && reader_has(r->store, reader, &record, r->pos, copy->count) < 0)
        rc = -EAGAIN;
    if (rc == 0)
        rc = reader_put(r->store, reader, &record, r->pos, copy->count, copy->sink);
    reader_end(r->store, reader);
    return rc;
}

static int CO_FN copy_piece(struct copy *copy)
{
    return copy->count > LOOP_SIZE_MAX ? offload(copy_stored, copy) : copy_stored(copy);
}

static int CO_FN give_piece(struct reading *r, int64_t *count)
{
    struct copy copy = {.r = r, .sink = &r->sink.sink, .count = *count};
    if (r->keep)
        return 0;
    if (r->sink.sink.instant) {
        if (copy.count > WORKER_SIZE_MAX)
            *count = copy.count = WORKER_SIZE_MAX;
        return copy_piece(&copy);
    }
    struct bytes_sink piece;
    if (copy.count > PIECE_SIZE_MAX)
        *count = copy.count = PIECE_SIZE_MAX;
    bytes_sink_init(&piece);
    copy.sink = &piece.sink;
    int rc = sink_begin_now(&piece.sink, &r->pin, copy.count);
    if (rc == 0)
        rc = copy_piece(&copy);
    if (rc == 0)
        rc = sink_pour(&r->sink.sink, piece.data, piece.size);
    bytes_sink_fini(&piece);
    return rc;
}

/* As much as is there. STEP_ON: something is missing. */
int CO_FN reading_give_stored(struct reading *r)
{
    while (true) {
        int64_t there = 0;
        int rc = peek(r, &there);
        if (rc == -EAGAIN)
            return STEP_ON;
        if (rc == 0 && there == 0 && r->pos < r->end)
            return STEP_ON;
        if (rc == 0)
            rc = reading_begin(r);
        if (rc == 0 && there > 0)
            rc = give_piece(r, &there);
        if (rc < 0 && r->sink.status < 0)
            return rc;
        if (rc == -EBADMSG)
            r->ignore_store = true;
        if (rc == -EBADMSG)
            return STEP_OVER;
        if (rc == -EAGAIN)
            return STEP_ON; /* it went meanwhile */
        if (rc != 0)
            return rc;
        r->pos += there;
        r->idle = 0;
        if (r->pos == r->end)
            return STEP_DONE;
    }
}

/* ---- what is missing ---- */

/* The run that fetches the byte at `at`. */
static struct run *find_fetching(struct reading *r, int64_t at)
{
    struct larder_loop *loop = task_loop(task_current());
    struct run *run = NULL;
    while ((run = flight_next(loop, r->view, r->store, r->path, run)))
        if (run->kind == RUN_DATA && run->start >= 0 && at >= run->start && at < run->end)
            return run;
    return NULL;
}

int64_t reading_next_gap(struct reading *r, int64_t start)
{
    struct reader *reader;
    struct record record;
    bool there = reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) == 0;
    int64_t before;
    do {
        struct run *run = find_fetching(r, start);
        before = start;
        if (run)
            start = run->end == LARDER_TO_END ? r->end : run->end;
        else if (there && reading_is_pinned(r, &record) && start < r->end)
            start += reader_extent(r->store, reader, &record, start, r->end - start);
    } while (start < r->end && start > before);
    if (there)
        reader_end(r->store, reader);
    return start;
}

/* Up to where nobody has, or fetches, the bytes from `start` on. */
static int64_t gap_end(struct reading *r, int64_t start, int64_t end)
{
    struct reader *reader;
    struct record record;
    struct larder_loop *loop = task_loop(task_current());
    struct run *run = NULL;
    while ((run = flight_next(loop, r->view, r->store, r->path, run)))
        if (run->kind == RUN_DATA && run->start > start && run->start < end)
            end = run->start;
    if (reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return end;
    int64_t at = start + BLOCK_SIZE;
    while (reading_is_pinned(r, &record) && at < end && reader_extent(r->store, reader, &record, at, 1) == 0)
        at += BLOCK_SIZE;
    reader_end(r->store, reader);
    return at < end ? at : end;
}

bool reading_choose_part(struct reading *r, struct run *run)
{
    if (!r->pinned && r->pos < 0) {
        bool fits = r->pos >= BLOCK_SIZE - run_size_max(r);
        run->start = (fits ? r->pos : 0) - BLOCK_SIZE; /* so that the block in which it begins is whole */
        run->end = LARDER_TO_END;
        return true;
    }
    run->start = r->pos / BLOCK_SIZE * BLOCK_SIZE;
    run->end = run->start + run_size_max(r);
    if (r->end >= 0 && r->end < run->end)
        run->end = block_count(r->end) * BLOCK_SIZE;
    if (r->pinned && run->end > r->pin.info.size)
        run->end = r->pin.info.size;
    if (r->pinned)
        run->end = gap_end(r, run->start, run->end);
    return run->end > run->start;
}

/* ---- what a run's outcome means ---- */

bool reading_is_behind(struct reading *r, const struct seen *now)
{
    bool behind = r->looked.id != now->id || r->looked.epoch != now->epoch;
    r->looked = *now;
    return behind;
}

bool reading_run_is_fresh(const struct reading *r, const struct run *run)
{
    int64_t age = (wall_ns() - run->answered_ns) / 1000000;
    enum fact fact = run->status == -ENOENT                      ? FACT_ABSENT
                     : run->answer.info.type == LARDER_DIRECTORY ? FACT_DIRECTORY
                                                                 : FACT_FILE;
    return age >= 0 && hit_is_young(run->answered_ns, r->terms) &&
           age < lifetime_of(&r->view->lifetimes, r->terms, r->path, fact, run->answer.fresh_ms);
}

bool reading_is_failure_to_ask(const struct reading *r, int status)
{
    if (r->sink.status < 0)
        return false;
    switch (status) {
    case -ENOENT:
    case -EISDIR:
    case -ENOTDIR:
    case -EACCES:
    case -EPERM:
    case -ECANCELED:
    case -ESTALE:
    case -EINVAL:
    case -ENOMEM:
    case -ENOTSUP:
    case -ECHILD:
    case -EBADF:
    case -EDEADLK:
        return false;
    default:
        return status < 0;
    }
}

/* To what is stale, if that may be used; the failure comes back if not. */
int reading_fall_back(struct reading *r, int status)
{
    if (r->stale_ok)
        return status;
    r->stale_ok = true;
    r->failure = status;
    r->failure_text = mem_dup(error_text());
    r->ignore_store = r->alone = false;
    reading_unpin(r);
    return STEP_ON;
}

int reading_use_outcome(struct reading *r, struct run *run, bool ours)
{
    if (run->status == UNCHANGED) {
        if (!run->known_id)
            return STEP_UNCHANGED; /* the caller's own condition */
        r->valid_id = run->known_id;
        return STEP_ON;
    }
    if (run->status == -ECANCELED && !ours)
        return STEP_ON; /* one of those who waited asks now */
    if (run->status == -ETIMEDOUT && !ours && r->timeouts++ == 0)
        return STEP_ON; /* it may have been the other's deadline */
    if (run->status == -ESTALE && r->pinned && !r->terms->if_match) {
        r->ignore_store = true;
        return STEP_OVER;
    }
    error_set_text(run->text);
    return reading_is_failure_to_ask(r, run->status) && !r->begun ? reading_fall_back(r, run->status)
                                                                  : run->status;
}
