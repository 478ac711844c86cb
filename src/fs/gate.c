/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/gate.h"

#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/instance.h"
#include "task/loop.h"

/* The task that waits for the last call to leave. */
struct drain {
    struct post post;
    struct wait wait;
    struct larder_loop *loop;
    struct gate *gate;
};

struct gate {
    uint32_t generation; /* const */
    pthread_mutex_t lock;
    /* under `lock` */
    enum gate_state state;
    unsigned connects, calls;
    struct drain *drain; /* NULL: nobody waits, or he was told */
};

struct gate *gate_new(void)
{
    struct gate *gate = mem_zero(sizeof *gate);
    if (!gate)
        return NULL;
    gate->generation = process_generation();
    pthread_mutex_init(&gate->lock, NULL);
    return gate;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    pthread_mutex_destroy(&gate->lock);
    mem_free(gate);
}

static int refuse(const struct instance *instance)
{
    return fail(-ENOTCONN,
                "%s: it was opened with asynchronous=true, and is not connected (larder_fs_connect)",
                instance->backend->name);
}

static int gate_lock(struct gate *gate)
{
    if (gate->generation != process_generation())
        return fail(-ECHILD, "a filesystem opened with asynchronous=true stayed with the parent of a fork");
    pthread_mutex_lock(&gate->lock);
    return 0;
}

static void gate_unlock(struct gate *gate)
{
    pthread_mutex_unlock(&gate->lock);
}

/* ---- calls ---- */

int gate_enter(struct instance *instance)
{
    struct gate *gate = instance->gate;
    int rc = gate ? gate_lock(gate) : 0;
    if (rc < 0 || !gate)
        return rc;
    if (gate->state == GATE_OPEN)
        gate->calls++;
    else
        rc = refuse(instance);
    gate_unlock(gate);
    return rc;
}

void gate_follow(struct instance *instance)
{
    struct gate *gate = instance->gate;
    if (!gate)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->calls++;
    pthread_mutex_unlock(&gate->lock);
}

static void drained(struct post *post)
{
    wait_done(&container_of(post, struct drain, post)->wait, 0);
}

void gate_leave(struct instance *instance)
{
    struct gate *gate = instance->gate;
    if (!gate)
        return;
    pthread_mutex_lock(&gate->lock);
    if (--gate->calls == 0 && gate->drain) {
        struct drain *drain = take(gate->drain);
        loop_post(drain->loop, &drain->post); /* which takes posts as long as that task lives */
    }
    pthread_mutex_unlock(&gate->lock);
}

/* ---- opening ---- */

/* What is behind was connected for nothing. Calls that others have inside keep it open, until it is freed. */
static void disconnect_again(struct instance *instance)
{
    struct gate *gate = instance->gate;
    if (!gate)
        return;
    pthread_mutex_lock(&gate->lock);
    if (--gate->connects == 0 && gate->calls == 0) {
        gate->state = GATE_SHUT;
        instance_stop(instance);
    }
    pthread_mutex_unlock(&gate->lock);
}

static int open_shut(struct gate *gate, struct instance *instance)
{
    struct instance *next = instance->next ? instance->next->instance : NULL;
    int rc = next ? gate_connect(next) : 0;
    if (rc < 0)
        return rc;
    rc = instance_start(instance);
    if (rc == 0)
        gate->state = GATE_OPEN;
    else if (next)
        disconnect_again(next);
    return rc;
}

int gate_connect(struct instance *instance)
{
    struct gate *gate = instance->gate;
    int rc = gate ? gate_lock(gate) : 0;
    if (rc < 0 || !gate)
        return rc;
    if (gate->state == GATE_DRAINING)
        rc = fail(-EBUSY, "%s: it is being disconnected", instance->backend->name);
    else if (gate->state == GATE_SHUT)
        rc = open_shut(gate, instance);
    if (rc == 0)
        gate->connects++;
    gate_unlock(gate);
    return rc;
}

int larder_fs_connect(struct larder_fs *fs)
{
    error_clear();
    return error_finish(gate_connect(fs->instance), "larder_fs_connect");
}

/* ---- closing ---- */

static void stop_draining(struct wait *wait)
{
    struct drain *drain = container_of(wait, struct drain, wait);
    struct gate *gate = drain->gate;
    pthread_mutex_lock(&gate->lock);
    bool waiting = gate->drain == drain;
    gate->drain = NULL;
    pthread_mutex_unlock(&gate->lock);
    if (waiting) /* else its post is on the way */
        wait_done(wait, -ECANCELED);
}

/* Until no call is inside. With the lock, which is given up meanwhile. */
static int CO_FN drain(struct gate *gate, bool deaf)
{
    struct drain drain = {.post.run = drained, .loop = task_loop(task_current()), .gate = gate};
    bool busy = gate->calls > 0;
    gate->state = GATE_DRAINING;
    gate->drain = busy ? &drain : NULL;
    gate_unlock(gate);
    int rc = !busy ? 0 : deaf ? wait_on_deaf(&drain.wait) : wait_on(&drain.wait, stop_draining);
    pthread_mutex_lock(&gate->lock);
    return rc;
}

/* Does what was posted to this loop before. */
static void CO_FN let_posts_run(void)
{
    struct drain turn = {.post.run = drained};
    if (loop_post(task_loop(task_current()), &turn.post) == 0)
        wait_on_deaf(&turn.wait);
}

/* With the lock: who connected it last closes it. */
static int CO_FN shut(struct gate *gate, struct instance *instance, bool deaf)
{
    int rc = drain(gate, deaf);
    gate->state = rc == 0 ? GATE_SHUT : GATE_OPEN;
    if (rc < 0)
        return rc;
    gate->connects = 0;
    instance_stop(instance);
    return 1;
}

/* 1: it is closed; 0: others have connected it too. */
static int CO_FN disconnect_layer(struct instance *instance, bool deaf)
{
    struct gate *gate = instance->gate;
    int rc = gate_lock(gate);
    if (rc < 0)
        return rc;
    if (gate->state != GATE_OPEN)
        rc = refuse(instance);
    else if (gate->connects > 1)
        gate->connects--;
    else
        rc = shut(gate, instance, deaf);
    gate_unlock(gate);
    return rc;
}

/* Once the outermost is closed, a cancel comes too late. */
static int CO_FN disconnect(struct instance *outermost)
{
    struct instance *instance = outermost;
    int rc = 1;
    while (rc > 0 && instance) {
        rc = disconnect_layer(instance, instance != outermost);
        instance = instance->next ? instance->next->instance : NULL;
    }
    let_posts_run(); /* connections are closed on their loop */
    return rc < 0 ? rc : 0;
}

static int CO_EDGE disconnect_task(void *arg)
{
    return disconnect(arg);
}

int larder_fs_disconnect(struct larder_fs *fs)
{
    if (!fs->instance->gate) {
        error_clear();
        return 0;
    }
    return enter_inside(fs, "larder_fs_disconnect", disconnect_task, fs->instance);
}
