/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/flight.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/loop.h"

struct flights { /* of a loop */
    struct loop_part part;
    struct table table;
};
struct flight {
    struct table_entry entry;
    struct flights *flights;
    struct list runs; /* ASKING and LANDED ones, each with a reference; never empty */
    char key[];
};

static const char flights_kind; /* its address */

/* ---- finding ---- */

static void leave(struct run *run)
{
    struct flight *flight = run->flight;
    lock_beat_stop(&run->beat);
    if (!flight)
        return;
    list_remove(&run->node);
    run->flight = NULL;
    if (list_empty(&flight->runs)) {
        table_remove(&flight->flights->table, &flight->entry);
        mem_free(flight);
    }
    run_unref(run);
}

/* Every task has ended; what remains waits for the writer, and is its own from now on. */
static void close_flights(struct loop_part *part)
{
    struct flights *flights = container_of(part, struct flights, part);
    struct table_entry *entry;
    while ((entry = table_next(&flights->table, NULL))) {
        struct flight *flight = container_of(entry, struct flight, entry);
        struct run *run = container_of(flight->runs.next, struct run, node);
        lock_last(&run->lock);
        leave(run);
    }
    table_fini(&flights->table);
    mem_free(flights);
}

static struct flights *flights_of(struct larder_loop *loop, bool make)
{
    struct loop_part *part = loop_part_find(loop, &flights_kind);
    if (part || !make)
        return part ? container_of(part, struct flights, part) : NULL;
    struct flights *flights = mem_zero(sizeof *flights);
    if (flights)
        loop_part_add(loop, &flights->part, &flights_kind, close_flights);
    return flights;
}

/* Store, place, path. */
static char *flight_key(struct store *store, const struct place *place, const char *path, size_t *size)
{
    size_t path_size = strlen(path);
    *size = sizeof store + place->size + 1 + path_size;
    char *key = mem_alloc(*size);
    if (!key)
        return NULL;
    memcpy(key, &store, sizeof store);
    memcpy(key + sizeof store, place->identity, place->size + 1);
    memcpy(key + sizeof store + place->size + 1, path, path_size);
    return key;
}

static struct flight *find(struct flights *flights, const char *key, size_t size)
{
    struct table_entry *entry = table_find(&flights->table, key, size);
    return entry ? container_of(entry, struct flight, entry) : NULL;
}

struct run *flight_next(struct larder_loop *loop, struct view *view, struct store *store, const char *path,
                        struct run *after)
{
    struct flights *flights = flights_of(loop, false);
    struct flight *flight = NULL;
    struct list *next;
    size_t size;
    if (after) {
        flight = after->flight;
        next = after->node.next;
    } else if (flights && flights->table.count > 0) {
        autofree char *key = flight_key(store, &view->place, path, &size);
        flight = key ? find(flights, key, size) : NULL;
        next = flight ? flight->runs.next : NULL;
    }
    return flight && next != &flight->runs ? container_of(next, struct run, node) : NULL;
}

static struct flight *join(struct flights *flights, const char *key, size_t size)
{
    struct flight *flight = find(flights, key, size);
    if (flight)
        return flight;
    flight = mem_zero(sizeof *flight + size);
    if (!flight)
        return NULL;
    memcpy(flight->key, key, size);
    flight->flights = flights;
    list_init(&flight->runs);
    if (table_add(&flights->table, &flight->entry, flight->key, size) == 0)
        return flight;
    mem_free(flight);
    return NULL;
}

/* ---- runs ---- */

static void run_see(struct run *run)
{
    run->seen_known = store_seen(run->store, KEY_RECORD, &run->place, run->path, &run->seen) == 0;
}

struct run *run_new(struct larder_loop *loop, struct view *view, struct store *store, const char *path,
                    enum run_kind kind)
{
    struct flights *flights = flights_of(loop, true);
    size_t key_size, path_size = strlen(path) + 1;
    autofree char *key = flight_key(store, &view->place, path, &key_size);
    struct run *run = mem_zero(sizeof *run + view->place.size + 1 + path_size);
    struct flight *flight = flights && key && run ? join(flights, key, key_size) : NULL;
    if (!flight) {
        mem_free(run);
        return NULL;
    }
    run->flight = flight;
    list_push(&flight->runs, &run->node);
    atomic_init(&run->references, 2); /* the flight's and the caller's */
    waiters_init(&run->changed);
    run->kind = kind;
    run->store = store_ref(store);
    run->loop = loop_ref(loop);
    run->place = view->place;
    run->place.identity = memcpy(run->strings, view->place.identity, view->place.size + 1);
    run->path = memcpy(run->strings + view->place.size + 1, path, path_size);
    lock_init(&run->lock, store, KEY_RECORD, &run->place, path);
    run_see(run);
    return run;
}

struct run *run_ref(struct run *run)
{
    atomic_fetch_add_explicit(&run->references, 1, memory_order_relaxed);
    return run;
}

void run_unref(struct run *run)
{
    if (!run || atomic_fetch_sub_explicit(&run->references, 1, memory_order_acq_rel) > 1)
        return;
    lock_end(&run->lock, true);
    store_unref(run->store);
    answer_free(&run->answer);
    loop_unref(run->loop);
    mem_free(run->data);
    mem_free(run->text);
    mem_free(run);
}

int run_wait(struct run *run)
{
    int rc = 0;
    while (rc == 0 && run->state == RUN_ASKING && !run->alone)
        rc = waiters_wait(&run->changed);
    return rc;
}

int run_wait_stored(struct run *run, uint64_t timeout_ms)
{
    struct deadline deadline;
    int rc = 0;
    deadline_begin(&deadline, timeout_ms);
    while (rc == 0 && run->state != RUN_ENDED)
        rc = waiters_wait(&run->changed);
    return deadline_end(&deadline, rc, "the cache's writer");
}

/* ---- between processes and loops ---- */

int run_lock(struct run *run, uint64_t patience_ms)
{
    uint64_t first = run->start < 0 ? 0 : (uint64_t)run->start / BLOCK_SIZE;
    uint64_t count = run->end == LARDER_TO_END ? LOCK_BLOCKS : (uint64_t)block_count(run->end) - first;
    int rc = lock_wait(&run->lock, first, count, patience_ms);
    run_see(run);
    lock_beat_start(&run->beat, run->loop, &run->lock);
    return rc;
}

void run_unlock(struct run *run)
{
    lock_end(&run->lock, true);
}

void run_set_alone(struct run *run)
{
    run->alone = true;
    lock_end(&run->lock, false);
    waiters_wake(&run->changed);
}

/* ---- the end of one ---- */

static void end(struct run *run)
{
    run->state = RUN_ENDED;
    lock_end(&run->lock, run->kept || run->status == -ECANCELED || run->status == UNCHANGED);
    waiters_wake(&run->changed);
    leave(run);
}

static void stored(struct post *post)
{
    struct run *run = container_of(post, struct run, post);
    end(run);
    run_unref(run);
}

/* On the writer's thread. */
static void written(struct op *op, int status)
{
    struct run *run = op->apply == edit_freshen ? container_of(op, struct run, freshen.op)
                                                : container_of(op, struct run, put.op);
    run->post.run = stored;
    if (loop_post(run->loop, &run->post) < 0)
        run_unref(run); /* the loop has closed its flights */
}

void run_finish(struct run *run, int status, struct op *op)
{
    assert(run->state == RUN_ASKING);
    run->status = status;
    if (status < 0)
        run->text = mem_dup(error_text());
    if (op) {
        op->cost = run->cost;
        op->done = written;
        run_ref(run);
        if (writer_add(run->store, op) == 0) {
            run->cost = 0;
            run->state = RUN_LANDED;
            run->kept = true;
            waiters_wake(&run->changed);
            return;
        }
        run_unref(run);
    }
    writer_release(run->store, run->cost);
    run->cost = 0;
    end(run);
}

void run_fill_put(const struct run *run, const struct view *view, enum record_state state,
                  const struct answer *answer, struct put *put)
{
    *put = (struct put){.op = {.apply = edit_put},
                        .type = KEY_RECORD,
                        .place = run->place,
                        .path = run->path,
                        .seen = run->seen,
                        .packing = packing_of(view->packing, &run->place, run->path)};
    record_from_answer(&put->record, answer);
    put->record.head.state = (uint8_t)state;
    put->record.head.answered_ns = run->answered_ns;
}

struct put *run_put(struct run *run, const struct view *view, enum record_state state)
{
    run_fill_put(run, view, state, &run->answer, &run->put);
    return &run->put;
}
