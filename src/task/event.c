/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_event: a task, or a thread, waits for what is not Larder's. Whoever waits takes the lock once more when it was
 * told, so that the event may be freed as soon as the wait returns: who told it has let go by then.
 */
#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

struct larder_event {
    pthread_mutex_t lock;
    pthread_cond_t told; /* threads that wait */
    /* under `lock` */
    bool set;
    int status;
    struct list waiting; /* tasks that wait, until their posts are sent */
};

/* A task that waits: in its frame. */
struct event_wait {
    struct list node;
    struct post post;
    struct wait wait;
    struct larder_loop *loop;
    struct larder_event *event;
};

int larder_event_new(struct larder_event **out)
{
    struct larder_event *event = mem_zero(sizeof *event);
    error_clear();
    if (event == NULL)
        return fail_memory();
    pthread_mutex_init(&event->lock, NULL);
    pthread_cond_init(&event->told, NULL);
    list_init(&event->waiting);
    *out = event;
    return 0;
}

void larder_event_free(struct larder_event *event)
{
    if (event == NULL)
        return;
    pthread_cond_destroy(&event->told);
    pthread_mutex_destroy(&event->lock);
    mem_free(event);
}

/* A loop takes posts as long as one of its tasks lives. */
void larder_event_set(struct larder_event *event, int status)
{
    pthread_mutex_lock(&event->lock);
    if (!event->set) {
        event->set = true;
        event->status = status;
        for (struct list *node; (node = list_pop(&event->waiting)) != NULL;) {
            struct event_wait *waiting = container_of(node, struct event_wait, node);
            loop_post(waiting->loop, &waiting->post);
        }
        pthread_cond_broadcast(&event->told);
    }
    pthread_mutex_unlock(&event->lock);
}

static int wait_as_thread(struct larder_event *event)
{
    pthread_mutex_lock(&event->lock);
    while (!event->set)
        pthread_cond_wait(&event->told, &event->lock);
    int status = event->status;
    pthread_mutex_unlock(&event->lock);
    return status;
}

static void end_wait(struct post *post)
{
    wait_done(&container_of(post, struct event_wait, post)->wait, 0);
}

static void stop_waiting(struct wait *wait)
{
    struct event_wait *waiting = container_of(wait, struct event_wait, wait);
    pthread_mutex_lock(&waiting->event->lock);
    bool untold = !list_empty(&waiting->node);
    list_remove(&waiting->node);
    pthread_mutex_unlock(&waiting->event->lock);
    if (untold) /* else its post is on the way */
        wait_done(wait, -ECANCELED);
}

static int CO_EDGE wait_as_task(struct larder_event *event)
{
    struct event_wait waiting = {.post.run = end_wait, .loop = task_current()->loop, .event = event};
    list_init(&waiting.node);
    pthread_mutex_lock(&event->lock);
    bool set = event->set;
    if (!set)
        list_push(&event->waiting, &waiting.node);
    pthread_mutex_unlock(&event->lock);
    int rc = set ? 0 : wait_on(&waiting.wait, stop_waiting);
    pthread_mutex_lock(&event->lock);
    int status = event->status;
    pthread_mutex_unlock(&event->lock);
    return rc < 0 ? rc : status;
}

int larder_event_wait(struct larder_event *event)
{
    enum edge where = edge_where(NULL);
    error_clear();
    if (where == EDGE_CALLBACK)
        return edge_refuse(where, "larder_event_wait");
    int rc = where == EDGE_THREAD ? wait_as_thread(event) : wait_as_task(event);
    return error_finish(rc, "larder_event_wait");
}
