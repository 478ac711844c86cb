/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_INTERNAL_H
#define TASK_INTERNAL_H
/* What the files of this floor share, and nobody else includes. */
#include <pthread.h>
#include <stdatomic.h>

#include <uv.h>

#include "base/error.h"
#include "task/loop.h"
#include "task/switch.h"
#include "task/task.h"

#define TASKS_MAX 4096 /* live ones, of a loop */

/* ---- this thread ---- */
/* Blocking work is to stop when `asked` is no longer what it was. */
struct stop {
    const atomic_uint *asked;
    unsigned before;
};
struct here {
    struct larder_task *task; /* that runs now */
    unsigned loops;           /* that belong to this thread */
    unsigned no_suspend;
    struct edge_call *call;   /* in which this thread is blocked */
    struct larder_loop *used; /* larder_loop_use: a reference; NULL: the default one */
    const struct stop *stop;  /* of the blocking work that this thread does */
    uint32_t generation;      /* of the process: a fork's child starts with none of the above */
};
struct here *here(void);

/* ---- tasks ---- */
enum task_state { TASK_NEW, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_ENDED };

struct larder_task {
    /* const once started */
    struct larder_loop *loop;
    larder_task_fn *fn;
    void *arg;
    void (*ended)(struct larder_task *task); /* outside any task; the task is the starter's again */
    struct group *group;                     /* whose child it is */
    struct edge_call *call;                  /* whose task it is */
    unsigned epoch;                          /* of the loop's cancels, when it was asked for */

    /* the loop's thread */
    enum task_state state;
    bool cancelled, deaf;
    bool own_letters; /* its mail is not for the thread of `call` */
    int status;
    struct fiber *fiber;
    struct error_slot *slot; /* on its stack */
    struct deadline *deadline;
    struct larder_loop *used; /* larder_loop_use: a reference; NULL: its own */
    struct list node;         /* in the run queue, or among the pending */
    struct list all;          /* in loop->tasks */
    struct list sibling;      /* in group->children */

    /* of a spawned one (spawn.c) */
    larder_done_fn *done;
    void *done_arg;
    char *text;            /* mem; const once `over` */
    struct waiters joined; /* the loop's thread */
    struct post post, cancel_post;
    atomic_bool over, cancel_asked;
    atomic_uint refs;
};

/* NULL: no memory, no text. */
struct larder_task *task_new(struct larder_loop *loop, larder_task_fn *fn, void *arg,
                             void (*ended)(struct larder_task *task));
/* Give it a stack and queue it. -ENOMEM: there is none; the task is still NEW. */
int task_start(struct larder_task *task);
/* End a NEW task without running it. */
void task_never_ran(struct larder_task *task, int status);
/* Run it until it waits or ends; from the run queue only. */
void task_resume(struct larder_task *task);
void task_cancel(struct larder_task *task);
/* 0, -ECANCELED or -ETIMEDOUT, with text: what the running task's next wait would say. */
int task_interrupted(struct larder_task *task);
int CO_FN waiters_wait_deaf(struct waiters *waiters);
/* Wait for a change of the group; when the caller is interrupted, cancel the children and go on, deaf. */
void CO_FN group_wait(struct group *group);

/* ---- blocking work (offload.c) ---- */
#define DRAINERS_MAX 64
struct drainer {
    uv_work_t request;
    struct larder_loop *loop; /* const */
    bool busy;                /* the loop's thread */
};
struct works {
    unsigned drainer_count; /* const */
    struct post post;

    /* under the lock */
    pthread_mutex_t lock;
    struct list queued, done;
    unsigned waiting; /* are in `queued` */
    unsigned taken;   /* out of it, so far */
    unsigned busy;    /* drainers */
    unsigned by_all;  /* so many works are for all drainers; 0: one does them, and is measured */
    uint64_t mean_ns; /* that a work took it */
    bool posted;      /* the loop will look at `done` ... */
    bool ticks;       /* ... and does so each tick */

    /* the loop's thread */
    struct drainer drainers[DRAINERS_MAX];
    struct loop_timer tick;
    unsigned taken_seen; /* at the last one */
};
void works_init(struct larder_loop *loop);
void works_fini(struct larder_loop *loop);

/* ---- loops ---- */
struct larder_loop {
    /* const after start */
    uv_loop_t *uv;
    bool attached, is_default;
    uint32_t generation;
    pthread_t thread;

    /* any thread */
    atomic_uint refs, cancels; /* how often larder_loop_cancel was called */
    atomic_bool closing, parked;

    /* under `lock` */
    pthread_mutex_t lock;
    struct post *inbox, **inbox_last;
    bool shut;           /* the inbox takes no more */
    pthread_cond_t gone; /* says that the thread has ended, or has parked */
    bool ended, has_parked;

    /* the loop's thread */
    struct fiber host;
    struct fiber_pool fibers;
    struct list tasks, ready, pending;
    unsigned live;
    unsigned cancels_done;
    struct heap timers;
    struct post *later, **later_last;
    struct list letters; /* the calls that have some */
    struct list parts;
    unsigned holds, handles;
    bool awake, tasks_over, handles_closing;
    uv_async_t async;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t timer;
    larder_done_fn *closed;
    void *closed_arg;

    struct works works;
    uv_loop_t own;          /* unless attached */
    struct list node;       /* in process.c */
    struct post close_post; /* of whoever ends it */
};

int loop_new(bool is_default, struct larder_loop **out);
/* The loop's thread has something to do soon. */
void loop_wake(struct larder_loop *loop);
/* All tasks, or those asked for before the larder_loop_cancel that was seen last. */
void loop_cancel_tasks(struct larder_loop *loop, bool all);
/* The next step of its end, if that can be taken. */
void loop_advance_end(struct larder_loop *loop);
/* A task began or ended. */
void loop_count_task(struct larder_loop *loop, struct larder_task *task, bool began);
/* Was it asked for before a larder_loop_cancel that has been seen? */
static inline bool loop_cancels(const struct larder_loop *loop, const struct larder_task *task)
{
    return (int)(task->epoch - loop->cancels_done) < 0;
}
/* A place may have become free. */
void loop_start_pending(struct larder_loop *loop);
/* Begin to end an own loop, from any other thread; wait for that until `until_ns` (0: for ever). False: it did not
 * end, and its thread was put to sleep for good, where it touches no library. */
bool loop_end(struct larder_loop *loop, uint64_t until_ns);

/* ---- the edge ---- */
/* As edge_run, also while the loop is closing. */
int edge_run_always(struct larder_loop *loop, larder_task_fn *fn, void *arg);
/* The letters of this turn to the threads that wait for them. */
void edge_hand_over(struct larder_loop *loop);
/* The blocked thread leaves for exit() from inside a letter: nobody will open the others. */
void edge_abandon_calls(void);

/* libuv's own exit handler joins its worker threads. In a fork's child those are the parent's, which aborts or hangs:
 * so it is given workers of this process, if the parent had any. */
void workers_before_exit(void);

/* ---- signals ---- */
/* Block all signals but those that a thread raises by its own fault, and put the mask back: around whatever makes a
 * thread. A handler of the host would run on a task's stack. */
void signals_block(sigset_t *before);
void signals_restore(const sigset_t *before);

#endif
