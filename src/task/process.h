/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_PROCESS_H
#define TASK_PROCESS_H
/*
 * The process's edges: what must have been done before the first thread, and what ends the threads before exit().
 *
 * A library's exit handlers (OpenSSL's) must not run while a loop's thread is inside that library. Handlers run in the
 * reverse order of their registration, so ours is registered after the library was initialised: libraries are
 * initialised by `before_threads` functions, and the first loop calls those, then registers.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct larder_loop;

/* Call `fn` once, before the first loop is made. To be called by a constructor; 8 at most. */
void process_before_threads(void (*fn)(void));
/* The first loop of the process: call the functions, register the exit handler. Later: nothing. */
void process_exit_arm(void);

/* The loops of the process; those that have a thread are ended at exit(). Who gets `true` from process_loop_forget is
 * the one to end the loop. */
void process_loop_keep(struct larder_loop *loop);
bool process_loop_forget(struct larder_loop *loop);

/*
 * What a process has of a kind: `*current` is NULL at first, and a fork's child gets its own, empty. Its parent's is left
 * as it is, its lock perhaps taken for ever. NULL: no memory.
 */
struct process_list {
    uint32_t generation;
    pthread_mutex_t lock;
    struct list list; /* under `lock` */
};
struct process_list *process_list_get(struct process_list *_Atomic *current);

#endif
