/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_FLIGHT_H
#define CACHE_FLIGHT_H
/*
 * Flights: what is being asked for, or has come and is not in the store yet. A flight is a path of a place,
 * as seen by one loop; its runs are requests.
 *
 *   run_new            run_landed: it is kept                      the writer's batch is on the disk
 *   ──────▶ ASKING ─────────────────────────▶ LANDED ───────────────────────────────▶ ENDED
 *              │  run_ended: a failure, or not kept                                     ▲
 *              └────────────────────────────────────────────────────────────────────────┘
 *
 * Who needs what an ASKING run will bring waits for it; a LANDED one is read in memory, so that a second read
 * neither asks again nor waits for a disk; an ENDED one is in no flight, and lives as long as somebody holds
 * it. Between loops and processes a run holds a lock (lock.h) from before it asks until it has ENDED.
 *
 * All of it belongs to the loop's thread, but for `references` and what the writer reads of a LANDED run
 * (const then).
 */
#include "cache/edit.h"
#include "cache/lock.h"
#include "cache/view.h"

enum run_kind { RUN_INFO, RUN_DATA };
enum run_state { RUN_ASKING, RUN_LANDED, RUN_ENDED };

struct run {
    struct list node; /* of the flight's runs */
    struct flight *flight;
    atomic_uint references;
    enum run_kind kind;
    enum run_state state;
    struct waiters changed; /* the state did, or `alone` */
    bool alone;             /* it will not be kept in memory: others had better ask for themselves */

    /* what is asked for */
    int64_t start, end; /* bytes of the file; end LARDER_TO_END: all the rest; start <0: a suffix */
    struct seen seen;
    bool seen_known;   /* else nothing may be kept */
    uint64_t known_id; /* of the record whose validator is asked about; 0: no condition */
    bool directory;    /* an info, of the directory if there is one beside a file */

    /* what came; const from LANDED on */
    int status; /* 0, UNCHANGED, or the failure */
    char *text; /* its text; mem */
    struct answer answer;
    int64_t answered_ns;
    char *data; /* bytes [start, start + size), or NULL when they went elsewhere; mem */
    size_t size, capacity;
    size_t cost;   /* reserved of the writer's budget */
    bool whole;    /* it is the whole file */
    bool kept;     /* the writer has it, or had */
    bool streamed; /* it went to the writer in pieces: only the last is in memory */

    /* while nobody else is to ask for the same (run_lock), until it is ENDED */
    struct lock lock;
    struct lock_beat beat;

    /* on its way into the store */
    struct store *store;
    struct larder_loop *loop;
    struct post post;
    union {
        struct put put;
        struct freshen freshen;
    };
    struct place place;
    const char *path;
    char strings[];
};

/* The flight's runs of a path: iterate with run = flight_next(…, NULL). */
struct run *flight_next(struct larder_loop *loop, struct view *view, struct store *store, const char *path,
                        struct run *after);
/* A new ASKING run, with a reference for the caller. NULL: no memory. */
struct run *run_new(struct larder_loop *loop, struct view *view, struct store *store, const char *path,
                    enum run_kind kind);
struct run *run_ref(struct run *run);
void run_unref(struct run *run);
/* Until it is not ASKING any more, or `alone`. */
int CO_FN run_wait(struct run *run);
/* Until it is ENDED, for at most `timeout_ms`. */
int CO_FN run_wait_stored(struct run *run, uint64_t timeout_ms);

/* Before it asks: as lock_wait, for its bytes; it ends with the run, or before. Then look into the store again. */
int CO_FN run_lock(struct run *run, uint64_t patience_ms);
void run_unlock(struct run *run);
/* It will not be shared. */
void run_set_alone(struct run *run);
/* The request is over; status and text are set. `op`: what is to be stored, NULL for nothing. */
void run_finish(struct run *run, int status, struct op *op);
/* A record for `put` out of what came; the bytes are the caller's to add. */
struct put *run_put(struct run *run, const struct view *view, enum record_state state);
/* The same for one of several: `answer` and the run's strings stay as they are until it is done. */
void run_fill_put(const struct run *run, const struct view *view, enum record_state state,
                  const struct answer *answer, struct put *put);

#endif
