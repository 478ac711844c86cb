/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which loop NULL means: what larder_loop_use said here, else the running task's, else the default one. Each thread has
 * its own word for it, and each task. It holds a reference, so that a loop that was closed meanwhile says so, rather
 * than be memory that is gone.
 */
#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

/* So that a thread's reference ends with it. Where no key could be had, the loop's few bytes stay. */
static pthread_key_t at_exit_key;
static bool has_key;

static void at_thread_exit(void *loop)
{
    loop_unref(loop);
}

__attribute__((constructor)) static void make_key(void)
{
    has_key = pthread_key_create(&at_exit_key, at_thread_exit) == 0;
}

struct larder_loop *larder_loop_use(struct larder_loop *loop)
{
    struct here *now = here();
    struct larder_loop **used = now->task != NULL ? &now->task->used : &now->used;
    struct larder_loop *before = *used;
    *used = loop != NULL ? loop_ref(loop) : NULL;
    if (now->task == NULL && has_key)
        pthread_setspecific(at_exit_key, *used);
    loop_unref(before);
    return before;
}

struct larder_loop *loop_meant(struct larder_loop *loop)
{
    struct here *now = here();
    if (loop == NULL)
        loop = now->task != NULL ? now->task->used : now->used;
    if (loop == NULL && now->task != NULL)
        loop = now->task->loop;
    return loop != NULL && loop->is_default && loop->generation == process_generation() ? NULL : loop;
}

int loop_choose(struct larder_loop *loop, struct larder_loop **out)
{
    loop = loop_meant(loop);
    if (loop == NULL)
        loop = larder_loop_default();
    if (loop == NULL)
        return fail(-ENOMEM, "no loop could be made");
    if (loop->generation != process_generation())
        return fail(-ECHILD, "this loop stayed with the parent of a fork");
    *out = loop_ref(loop);
    return 0;
}
