/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edge: who calls, the way onto the loop for a thread, and the letters that come back.
 *
 *     the calling thread                     the loop's thread
 *     edge_run: post, sleep                  the inbox: start a task for the call
 *                            edge_mail_send  the task and its children: the letters of a turn …
 *     open letters       ◀── edge_hand_over  … go together, so that the thread is woken once for all of them
 *     the last one open  ──▶ drained         edge_mail_serve goes on
 *     take the status    ◀──────── ended     the task has returned
 *
 * A call lives in its thread's frame, and stays until `ended`, which the loop says last.
 */
#include "task/loop.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

struct edge_call {
    /* const after the post */
    struct larder_loop *loop;
    larder_task_fn *fn;
    void *arg;
    unsigned epoch;
    bool always;
    struct post begin;
    /* the loop's thread */
    struct list node; /* in loop->letters, while there are `sent` ones */
    struct letter *sent, **sent_last;
    /* the thread */
    struct edge_call *outer; /* one of whose letters this thread is opening */
    struct post drained;
    struct wait *drained_wait;
    /* under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct letter *first, **last;
    bool asleep, opening, ended, abandoned;
    struct wait *drain; /* of a task that waits for the last letter, until it is posted */
    int status;
    struct error_slot text;
};

/* ---- who calls ---- */

enum edge edge_where(const struct larder_loop *loop)
{
    struct here *now = here();
    if (now->task != NULL) {
        const struct larder_loop *ours = now->task->loop;
        return ours == loop || (loop == NULL && ours->is_default) ? EDGE_TASK : EDGE_FOREIGN;
    }
    return now->loops > 0 ? EDGE_CALLBACK : EDGE_THREAD;
}

int edge_refuse(enum edge where, const char *what)
{
    assert(where == EDGE_FOREIGN || where == EDGE_CALLBACK);
    if (where == EDGE_FOREIGN)
        return fail(-EDEADLK, "%s: called by a task of another loop", what);
    return fail(-EDEADLK, "%s: called on a loop's thread outside a task", what);
}

/* ---- the loop's side of a call ---- */

/* The thread may return, and its frame be gone, as soon as the lock is free. */
static void end_call(struct edge_call *call, int status, const char *text)
{
    pthread_mutex_lock(&call->lock);
    call->status = status;
    if (status < 0)
        memcpy(call->text.text, text, strlen(text) + 1);
    call->ended = true;
    pthread_cond_signal(&call->wake);
    pthread_mutex_unlock(&call->lock);
}

static void call_ended(struct larder_task *task)
{
    struct edge_call *call = task->call;
    int status = task->status;
    char *text = task->slot->text;
    mem_free(task);
    end_call(call, status, text);
}

static void begin_call(struct post *post)
{
    struct edge_call *call = container_of(post, struct edge_call, begin);
    struct larder_loop *loop = call->loop;
    if (atomic_load(&loop->closing) && !call->always) {
        end_call(call, -EBADF, "the loop was closed");
        return;
    }
    struct larder_task *task = task_new(loop, call->fn, call->arg, call_ended);
    if (task == NULL || task_start(task) < 0) {
        mem_free(task);
        end_call(call, -ENOMEM, "out of memory");
        return;
    }
    task->call = call;
    task->epoch = call->epoch;
    if (loop_cancels(loop, task))
        task_cancel(task);
}

/* ---- the thread's side ---- */

static void on_drained(struct post *post)
{
    struct edge_call *call = container_of(post, struct edge_call, drained);
    wait_done(call->drained_wait, 0);
}

/* With the lock. */
static void say_drained(struct edge_call *call)
{
    if (call->drain == NULL)
        return;
    call->drained_wait = call->drain;
    call->drain = NULL;
    loop_post(call->loop, &call->drained);
}

/* Called with the lock, and gives it back: open what is there. */
static void open_letters(struct edge_call *call)
{
    struct letter *letter = call->first;
    call->first = NULL;
    call->last = &call->first;
    call->opening = true;
    pthread_mutex_unlock(&call->lock);
    for (struct letter *next; letter != NULL; letter = next) {
        next = letter->next;
        letter->open(letter);
    }
    pthread_mutex_lock(&call->lock);
    call->opening = false;
    if (call->first == NULL)
        say_drained(call);
}

static void serve_call(struct edge_call *call)
{
    pthread_mutex_lock(&call->lock);
    while (!call->ended || call->first != NULL) {
        if (call->first != NULL) {
            open_letters(call);
            continue;
        }
        call->asleep = true;
        pthread_cond_wait(&call->wake, &call->lock);
        call->asleep = false;
    }
    pthread_mutex_unlock(&call->lock);
}

static int run_call(struct larder_loop *loop, larder_task_fn *fn, void *arg, bool always)
{
    struct here *now = here();
    assert(edge_where(loop) == EDGE_THREAD && now->no_suspend == 0);
    struct edge_call call; /* its text is left as it is */
    memset(&call, 0, offsetof(struct edge_call, text));
    call.loop = loop;
    call.fn = fn;
    call.arg = arg;
    call.epoch = atomic_load(&loop->cancels);
    call.always = always;
    call.begin.run = begin_call;
    call.drained.run = on_drained;
    call.last = &call.first;
    call.sent_last = &call.sent;
    call.outer = now->call;
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.wake, NULL);

    int rc = loop_post(loop, &call.begin);
    if (rc == 0) {
        now->call = &call;
        serve_call(&call);
        now->call = call.outer;
        rc = call.status;
        if (rc < 0)
            error_set_text(call.text.text);
    } else if (rc == -ECHILD) {
        fail(rc, "this loop stayed with the parent of a fork");
    } else {
        rc = fail(-EBADF, "the loop was closed");
    }
    pthread_cond_destroy(&call.wake);
    pthread_mutex_destroy(&call.lock);
    return rc;
}

int edge_run(struct larder_loop *loop, larder_task_fn *fn, void *arg)
{
    return run_call(loop, fn, arg, false);
}

int edge_run_always(struct larder_loop *loop, larder_task_fn *fn, void *arg)
{
    return run_call(loop, fn, arg, true);
}

void edge_abandon_calls(void)
{
    for (struct edge_call *call = here()->call; call != NULL; call = call->outer) {
        pthread_mutex_lock(&call->lock);
        call->abandoned = true;
        call->opening = false;
        call->first = NULL;
        call->last = &call->first;
        say_drained(call);
        pthread_mutex_unlock(&call->lock);
    }
}

/* ---- letters ---- */

void edge_mail_open(struct edge_mail *mail)
{
    struct larder_task *task = task_current();
    struct edge_call *call = task->own_letters ? NULL : task->call;
    *mail = (struct edge_mail){.call = call, .opener = call ? NULL : task};
    mail->last = &mail->first;
}

bool task_own_letters(bool own)
{
    struct larder_task *task = task_current();
    bool before = task->own_letters;
    task->own_letters = own;
    return before;
}

static void send_to_thread(struct edge_call *call, struct letter *letter)
{
    if (call->sent == NULL)
        list_push(&call->loop->letters, &call->node);
    *call->sent_last = letter;
    call->sent_last = &letter->next;
}

static void hand_over(struct edge_call *call)
{
    list_remove(&call->node);
    pthread_mutex_lock(&call->lock);
    if (!call->abandoned) {
        *call->last = call->sent;
        call->last = call->sent_last;
        if (call->asleep) {
            call->asleep = false;
            pthread_cond_signal(&call->wake);
        }
    }
    pthread_mutex_unlock(&call->lock);
    call->sent = NULL;
    call->sent_last = &call->sent;
}

void edge_hand_over(struct larder_loop *loop)
{
    while (!list_empty(&loop->letters))
        hand_over(container_of(loop->letters.next, struct edge_call, node));
}

void edge_mail_send(struct edge_mail *mail, struct letter *letter)
{
    letter->next = NULL;
    if (mail->call != NULL) {
        send_to_thread(mail->call, letter);
        return;
    }
    *mail->last = letter;
    mail->last = &letter->next;
    if (mail->reader != NULL)
        waiters_wake(mail->reader);
}

/* After the group: whatever its tasks sent has been opened. */
static CO_FN void wait_drained(struct edge_call *call)
{
    struct wait drain = WAIT_INIT;
    if (call->sent != NULL)
        hand_over(call);
    pthread_mutex_lock(&call->lock);
    bool busy = (call->opening || call->first != NULL) && !call->abandoned;
    assert(call->drain == NULL);
    if (busy)
        call->drain = &drain;
    pthread_mutex_unlock(&call->lock);
    if (busy)
        wait_on_deaf(&drain);
}

struct turn {
    struct post post;
    struct wait wait;
};

static void turn_over(struct post *post)
{
    wait_done(&container_of(post, struct turn, post)->wait, 0);
}

/* Those of the last letters are in the queue already, and so run before this. */
static CO_FN void wait_replies(struct edge_mail *mail, struct larder_loop *loop)
{
    struct turn turn = {.post.run = turn_over};
    if (mail->replied && edge_mail_reply(mail, loop, &turn.post) == 0)
        wait_on_deaf(&turn.wait);
}

/* The calling task's own letters. False: there is none. */
static bool open_next(struct edge_mail *mail)
{
    struct letter *letter = mail->first;
    if (letter == NULL)
        return false;
    mail->first = letter->next;
    if (mail->first == NULL)
        mail->last = &mail->first;
    letter->open(letter);
    return true;
}

int edge_mail_wait(struct edge_mail *mail, struct waiters *waiters)
{
    if (mail->opener != task_current())
        return waiters_wait(waiters);
    if (open_next(mail))
        return 0;
    struct waiters *reader = mail->reader;
    mail->reader = waiters;
    int rc = waiters_wait(waiters);
    mail->reader = reader;
    return rc;
}

int edge_mail_serve(struct edge_mail *mail, struct group *group)
{
    if (mail->call != NULL) {
        int rc = group_join(group);
        wait_drained(mail->call);
        wait_replies(mail, mail->call->loop);
        return rc;
    }
    mail->reader = &group->changed;
    while (open_next(mail) || group->live > 0)
        if (mail->first == NULL && group->live > 0)
            group_wait(group);
    mail->reader = NULL;
    wait_replies(mail, task_current()->loop);
    return group_join(group);
}

int edge_mail_reply(struct edge_mail *mail, struct larder_loop *loop, struct post *post)
{
    mail->replied = true;
    if (mail->call != NULL)
        return loop_post(loop, post);
    loop_later(loop, post);
    return 0;
}

/* ---- sync ---- */

struct sync {
    larder_task_fn *fn;
    void *arg;
    uint64_t timeout_ms;
};

static CO_FN int sync_here(const struct sync *sync)
{
    struct deadline deadline;
    deadline_begin(&deadline, sync->timeout_ms);
    int rc = sync->fn(sync->arg);
    bool late = deadline.passed && !task_current()->cancelled;
    return deadline_end(&deadline, late ? -ETIMEDOUT : rc, "larder_sync");
}

/* The caller's function is the caller now: calls that it makes bring their letters to this task, not to the thread. */
static CO_EDGE int sync_task(void *arg)
{
    task_current()->own_letters = true;
    return sync_here(arg);
}

CO_EDGE int larder_sync(struct larder_loop *loop, larder_task_fn *fn, void *arg, uint64_t timeout_ms)
{
    error_clear();
    if (fn == NULL)
        return fail(-EINVAL, "larder_sync: no function");
    int rc = loop_choose(loop, &loop);
    if (rc < 0)
        return rc;
    struct sync sync = {.fn = fn, .arg = arg, .timeout_ms = timeout_ms};
    enum edge where = edge_where(loop);
    if (where == EDGE_TASK)
        rc = sync_here(&sync);
    else if (where == EDGE_THREAD)
        rc = edge_run(loop, sync_task, &sync);
    else
        rc = edge_refuse(where, "larder_sync");
    loop_unref(loop);
    return error_finish(rc, NULL);
}
