/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_LOOP_H
#define LARDER_LOOP_H
/*
 * Loops and tasks.
 *
 * A loop carries the tasks of the async filesystems that were opened on it. A task is a coroutine: plain C that
 * suspends inside a Larder call and lets the others run. The same functions serve everybody:
 *
 *   the caller is                                a call marked LARDER_WAITS
 *   an ordinary thread                           blocks; a local or cached read is done right there, without the loop
 *   a task of the filesystem's loop              suspends; thousands of tasks run at once
 *   a task, of a memory or local filesystem      suspends, whatever its loop
 *   a loop's thread outside a task               returns -EDEADLK and does nothing, cached or not
 *   a task of another loop                       returns -EDEADLK and does nothing
 *
 * Code in a task must not block in other ways (sleep, read a pipe, take a lock that is held for long): it would stop
 * every task of its loop. A task has 256 KiB of stack.
 *
 * After fork() the child has a default loop of its own, made when first used, and filesystems that were opened on the
 * default loop (NULL) go on there. All other loops that it inherited are unusable (-ECHILD), and are not to be closed.
 */
#include <stdint.h>

#include "larder/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_loop;
struct larder_task;
struct uv_loop_s; /* uv_loop_t */

typedef int larder_task_fn(void *arg);
/* Runs on the loop's thread, outside any task (that of larder_loop_close where that says): it may start things, and must
 * not wait. */
typedef void larder_done_fn(void *arg, int status);

/*
 * Where a loop is asked for, NULL means the one in use: what larder_loop_use said on this thread, or in this task; else
 * the running task's own loop; else the default one. larder_loop_close and larder_loop_cancel of NULL do nothing.
 */

/* The process's loop, on a thread of its own with every signal blocked (but those of its own faults); made on first
 * use. NULL: no memory or no thread could be had. It is never closed by the caller: exit() cancels and joins its tasks,
 * as those of every loop with a thread; what has not ended after 2 seconds is left behind. */
LARDER_API struct larder_loop *larder_loop_default(void);

/* A loop with a thread of its own, to be ended with larder_loop_close. */
LARDER_API int larder_loop_new(struct larder_loop **out);

/*
 * Run on the caller's libuv loop. Call it on the thread that runs `uv`; from then on this thread is that loop's, also
 * before and after uv_run(). An idle attached loop does not keep uv_run() from returning; one with live tasks does.
 * -EBUSY: `uv` carries a Larder loop already.
 */
LARDER_API int larder_loop_attach(struct uv_loop_s *uv, struct larder_loop **out);

/*
 * Cancel every task, wait for their ends, close every handle, free the loop. Filesystems opened on it answer -EBADF
 * from then on.
 *   a loop of larder_loop_new    blocks until the thread has ended, then calls `closed` (may be NULL) on the caller's
 *                                thread. -EDEADLK on a loop's thread.
 *   an attached loop             on its own thread only; returns at once. `closed` runs on the loop when the last
 *                                handle is gone: after it uv_loop_close() succeeds.
 *   the default loop             -EINVAL
 */
LARDER_API LARDER_WAITS int larder_loop_close(struct larder_loop *loop, larder_done_fn *closed, void *arg);

/*
 * Use `loop` from now on where NULL is given: on this thread, or in a task in this task alone; what was opened before
 * stays where it is. NULL: as at first. Returns what was said before, to be said again when this is over:
 *
 *     struct larder_loop *before = larder_loop_use(loop);
 *     …
 *     larder_loop_use(before);
 *
 * A loop may be closed while it is in use; what is opened on it then answers -EBADF. A fork's child begins with NULL.
 * (fsspec: loop=, fsspec_loop)
 */
LARDER_API struct larder_loop *larder_loop_use(struct larder_loop *loop);

/* Ask every task of the loop, and every call that is blocked on it, to stop with -ECANCELED; also what a thread that uses
 * this loop reads, writes or copies of local files by itself. Later calls are not touched. What is under way in the
 * kernel (a sync, a piece of 16 MiB) ends first. Any thread, and async-signal-safe. */
LARDER_API void larder_loop_cancel(struct larder_loop *loop);

/*
 * Run fn(arg) as a task of `loop` (NULL: the one in use). Any thread. `done` (may be NULL) runs when it has ended.
 * `out` (may be NULL) is set before the task runs, and given back with larder_join or larder_task_free. Once this has
 * returned 0, fn is run in any case (cancelled already, if the loop is closed meanwhile), unless there is no memory for
 * its stack: then `done` gets -ENOMEM. Above 4,096 live tasks new ones wait for their turn. -ECANCELED: the loop is
 * being closed.
 */
LARDER_API int larder_spawn(struct larder_loop *loop, larder_task_fn *fn, void *arg, larder_done_fn *done,
                            void *done_arg, struct larder_task **out);

/* Wait for a task's end and take its status and its error text. Consumes `task`, but when it returns -EDEADLK (on a
 * loop's thread outside a task, in a task of another loop, or a task that joins itself). A task that is cancelled while
 * it joins gets -ECANCELED; the one that it joined runs on. */
LARDER_API LARDER_WAITS int larder_join(struct larder_task *task);

/* Ask a task to stop: its waits end with -ECANCELED, this one and all that follow, and what it started is joined. Any
 * thread. Does not wait. */
LARDER_API void larder_cancel(struct larder_task *task);

/* Give a task back without waiting; it runs on. NULL is fine. */
LARDER_API void larder_task_free(struct larder_task *task);

/*
 * How a task waits for what is not Larder's: a callback of another library, another thread. It is set once, with the
 * status that every wait then returns, before or after (a positive one is given back as it is). Set it on any thread,
 * in callbacks and tasks; a task that waits suspends, a thread blocks. A cancel or a deadline ends a task's wait; the
 * event may still be set then. Freed when nobody waits and nobody will set it.
 */
struct larder_event;
LARDER_API int larder_event_new(struct larder_event **out);
LARDER_API void larder_event_set(struct larder_event *event, int status);
LARDER_API LARDER_WAITS int larder_event_wait(struct larder_event *event);
LARDER_API void larder_event_free(struct larder_event *event); /* NULL is fine */

/* Run fn(arg) as a task of `loop` (NULL: the one in use) and wait for its status; in a task of that loop just call it.
 * After `timeout_ms` (0: never) it is cancelled, and when it has ended the status is -ETIMEDOUT. (fsspec: sync) */
LARDER_API LARDER_WAITS int larder_sync(struct larder_loop *loop, larder_task_fn *fn, void *arg,
                                        uint64_t timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
