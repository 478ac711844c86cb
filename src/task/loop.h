/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_LOOP_H
#define TASK_LOOP_H
/*
 * What carries the tasks: a uv loop, its inbox, its run queue, its timers; and the edge, by which everybody else
 * enters.
 */
#include "task/task.h"

/* ---- the inbox: from any thread to the loop ---- */
/* Memory of the sender; in the inbox until `run` is called on the loop's thread, outside any task. */
struct post {
    struct post *next;
    void (*run)(struct post *post);
};
/* Never waits. -ECHILD: the loop is a fork's parent's; -ECANCELED: the loop has ended its tasks. No text. */
int loop_post(struct larder_loop *loop, struct post *post);
bool loop_here(const struct larder_loop *loop); /* is this the loop's thread? */
/* Loop's thread: will another task run before the next poll? Then what can be done for many at once may wait for it. */
bool loop_is_busy(const struct larder_loop *loop);
struct uv_loop_s *loop_uv(struct larder_loop *loop);

/* References keep the memory, not the loop's life. */
struct larder_loop *loop_ref(struct larder_loop *loop);
bool loop_is_same(const struct larder_loop *a, const struct larder_loop *b); /* NULL: the default */
void loop_unref(struct larder_loop *loop);                                   /* NULL is fine; any thread */
/* The loop that an argument means: NULL is the one in use (larder_loop_use). NULL: the default loop, which is not made
 * for that, and which a fork's child has anew. Borrowed. */
struct larder_loop *loop_meant(struct larder_loop *loop);
struct larder_loop *loop_default_made(void); /* NULL: there is none yet */
/* The same, made and with a reference. A loop of another process: -ECHILD. */
int loop_choose(struct larder_loop *loop, struct larder_loop **out);

/* ---- what hangs off a loop: an HTTP client, the flights of a cache ---- */
struct loop_part {
    struct list node;
    const void *kind; /* whose part it is: the address of something static */
    /* Called when every task has ended: start closing uv handles (counted by loop_hold). Frees the part, at once or
     * from the last close callback. */
    void (*close)(struct loop_part *part);
};
/* Loop's thread only. NULL: none yet. */
struct loop_part *loop_part_find(struct larder_loop *loop, const void *kind);
void loop_part_add(struct larder_loop *loop, struct loop_part *part, const void *kind,
                   void (*close)(struct loop_part *));
/* The loop is not gone before each hold was dropped: for uv handles that are still closing. */
void loop_hold(struct larder_loop *loop);
void loop_drop(struct larder_loop *loop);
/* Outside any task, soon, on the loop's thread: as loop_post, without the lock. */
void loop_later(struct larder_loop *loop, struct post *post);

/* ---- the edge ---- */
/*
 * Who calls, and what may be done for him. The only function that asks where it runs.
 *
 *   where                                        EDGE_…    a call of an ASYNC filesystem     of a memory or local one
 *   an ordinary thread                           THREAD    looked up, else edge_run          done right there
 *   a task of `loop`                             TASK      called                            called (on a worker)
 *   a task of another loop                       FOREIGN   -EDEADLK                          called (on a worker)
 *   a loop's thread outside a task               CALLBACK  -EDEADLK                          -EDEADLK
 */
enum edge { EDGE_THREAD, EDGE_TASK, EDGE_FOREIGN, EDGE_CALLBACK };
enum edge edge_where(const struct larder_loop *loop); /* NULL: the default one */
/* -EDEADLK with a text that says why, for `what`. */
int edge_refuse(enum edge where, const char *what);

/*
 * Run fn(arg) as a task of `loop` and block this thread until it has ended; run the callbacks that it sends here
 * meanwhile. Returns its status, with its error text. From EDGE_THREAD only. larder_loop_cancel cancels it.
 */
int edge_run(struct larder_loop *loop, larder_task_fn *fn, void *arg);

/*
 * The caller's side of a call, for callbacks: the thread that is blocked in edge_run, or the calling task.
 *
 *     struct edge_mail mail;                        in the calling task's frame, or made by edge_run
 *     edge_mail_open(&mail)                         in the task that the call runs in
 *     edge_mail_send(&mail, &letter)                any task of the loop; never waits
 *     edge_mail_serve(&mail, group)                 the calling task: open letters until the group is empty. On a
 *                                                   thread's call the thread opens them. It joins the group.
 *                                                   When it returns, on either side, every letter was opened and
 *                                                   every reply has run
 * A letter is opened once, in the order sent; `open` may call any public function.
 */
struct letter {
    struct letter *next;
    void (*open)(struct letter *letter);
};
struct edge_mail {
    struct edge_call *call;     /* a thread's; NULL when the calling task opens its own letters */
    struct larder_task *opener; /* that task */
    struct letter *first, **last;
    struct waiters *reader; /* whom a letter wakes, while edge_mail_serve or _wait runs */
    bool replied;           /* the opener's, then edge_mail_serve's */
};
void CO_FN edge_mail_open(struct edge_mail *mail);
/* For a program's code that this task runs: what is opened from now on is the task's own, though a thread waits for it.
 * Returns what it was before. */
bool CO_FN task_own_letters(bool own);
void edge_mail_send(struct edge_mail *mail, struct letter *letter);
int CO_FN edge_mail_serve(struct edge_mail *mail, struct group *group);
/* As waiters_wait, in a task of the group, for what a letter brings about. At the cap of live tasks a child runs in the
 * calling task itself: then nobody else opens letters, and this does. */
int CO_FN edge_mail_wait(struct edge_mail *mail, struct waiters *waiters);
/* In a letter's open, on either side: run `post` on the loop. Fails as loop_post does. */
int edge_mail_reply(struct edge_mail *mail, struct larder_loop *loop, struct post *post);

#endif
