/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_CREW_H
#define FS_CREW_H
/*
 * What calls that do many things at once have in common, whatever is done: up to jobs_max tasks take one step after the
 * other until there is nothing left; on_error says which failure ends it; letters go to the caller's side
 * (task/loop.h), whose callbacks may stop it; and what is held in memory for them is bounded.
 *
 *     the caller's side                                    the loop
 *     crew_init, then in a task of the loop: crew_run ──▶  step, step, …       until none is left
 *     a letter is opened                              ◀──  edge_mail_send
 *     crew_stop: a callback had enough                ──▶  tasks are cancelled
 *     crew_give_back: what was held is free           ──▶  who waits for room looks again
 *     crew_result                                     ◀──  (all tasks have ended, every letter was opened)
 */
#include <stdatomic.h>

#include "fs/fs.h"
#include "task/loop.h"

struct crew;
/* CO_FN: take the next thing and do it, to its end. 1; 0: there is none left; negative: nobody can go on. */
typedef int step_fn(struct crew *crew);

struct crew {
    /* const */
    step_fn *step;
    enum larder_on_error on_error;
    uint64_t bytes_max;

    /* the caller's side */
    int stop; /* what a callback returned */

    /* the calling thread before the tasks begin, then the loop's */
    struct group group;
    struct edge_mail mail;
    size_t failed;
    int status; /* of the first failure that counts */
    char *text; /* its words; mem */

    /* both */
    atomic_bool stopped;
    _Atomic uint64_t held; /* bytes */
    atomic_uint waiting;   /* tasks for which they are too many */
    struct waiters room;   /* loop */
    struct larder_loop *loop;
    struct post wake; /* from the caller's side to the tasks */
    atomic_bool wake_posted;
};
/* -EINVAL: no such on_error. */
int crew_init(struct crew *crew, step_fn *step, enum larder_on_error on_error, uint64_t bytes_max);
/* In the call's task: at least one and at most `jobs` take steps. */
int CO_FN crew_run(struct crew *crew, size_t jobs);
/* The call's status, after crew_run returned `rc` or nobody had to run. */
int crew_result(struct crew *crew, int rc);
void crew_fini(struct crew *crew);

/* Something has ended with `status`, whose words are the current error text. Does it count as a failure? */
bool crew_note(struct crew *crew, int status);
bool crew_must_stop(const struct crew *crew);

/* The caller's side. A callback returned `rc`; 0 is fine. */
void crew_stop(struct crew *crew, int rc);
/* So many bytes of what was held by crew_hold are free again, or none. */
void crew_give_back(struct crew *crew, uint64_t size);

/* The loop's thread. From here on what counts its bytes in `*held` holds `size` of them. */
void crew_hold(struct crew *crew, uint64_t *held, uint64_t size);
/* The same once there is room: as long as others hold too much, wait, with nothing held. */
int CO_FN crew_wait_and_hold(struct crew *crew, uint64_t *held, uint64_t size);

#endif
