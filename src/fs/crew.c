/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/crew.h"

#include <errno.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"

/* ---- how things end ---- */

bool crew_note(struct crew *crew, int status)
{
    if (status >= 0 || (status == -ENOENT && crew->on_error == LARDER_OMIT))
        return false;
    crew->failed++;
    if (crew->status == 0) {
        crew->status = status;
        crew->text = mem_dup(error_text());
    }
    return true;
}

bool crew_must_stop(const struct crew *crew)
{
    return atomic_load(&crew->stopped) || (crew->status < 0 && crew->on_error != LARDER_RETURN);
}

/* ---- from the caller's side ---- */

static void wake_tasks(struct post *post)
{
    struct crew *crew = container_of(post, struct crew, wake);
    atomic_store(&crew->wake_posted, false);
    if (atomic_load(&crew->stopped))
        group_cancel(&crew->group);
    waiters_wake(&crew->room);
}

/* A reply that cannot be sent is not missed: the loop is ending its tasks itself. Before there are tasks there is
 * nobody to wake. */
static void wake(struct crew *crew)
{
    if (crew->loop && !atomic_exchange(&crew->wake_posted, true))
        edge_mail_reply(&crew->mail, crew->loop, &crew->wake);
}

void crew_stop(struct crew *crew, int rc)
{
    if (rc == 0)
        return;
    if (crew->stop == 0)
        crew->stop = rc;
    atomic_store(&crew->stopped, true);
    wake(crew);
}

void crew_give_back(struct crew *crew, uint64_t size)
{
    atomic_fetch_sub(&crew->held, size);
    if (atomic_load(&crew->waiting) > 0 || atomic_load(&crew->stopped))
        wake(crew);
}

/* ---- bytes that are held ---- */

void crew_hold(struct crew *crew, uint64_t *held, uint64_t size)
{
    bool less = size < *held;
    atomic_fetch_add(&crew->held, size - *held); /* modulo 2^64 */
    *held = size;
    if (less)
        waiters_wake(&crew->room);
}

static bool is_too_much(struct crew *crew, uint64_t more)
{
    uint64_t held = atomic_load(&crew->held);
    return held > 0 && (held > crew->bytes_max || more > crew->bytes_max - held);
}

/* `waiting` is raised before the look at `held`: a letter that is opened in between lowers `held`, then sees it. Who
 * holds something does not wait, so that it comes to an end and lets the others go on. */
int CO_FN crew_wait_and_hold(struct crew *crew, uint64_t *held, uint64_t size)
{
    int rc = 0;
    crew_hold(crew, held, 0);
    atomic_fetch_add(&crew->waiting, 1);
    while (rc == 0 && is_too_much(crew, size))
        rc = edge_mail_wait(&crew->mail, &crew->room);
    atomic_fetch_sub(&crew->waiting, 1);
    if (rc == 0)
        crew_hold(crew, held, size);
    return rc;
}

/* ---- the tasks ---- */

static int CO_FN step(struct crew *crew)
{
    return crew->step(crew);
}

static int CO_FN work(struct crew *crew)
{
    int rc = task_check();
    int more = 1;
    while (rc == 0 && more > 0 && !crew_must_stop(crew)) {
        more = step(crew);
        rc = more < 0 ? more : 0;
    }
    if (crew_must_stop(crew))
        group_cancel(&crew->group);
    return rc;
}

static int CO_EDGE work_task(void *arg)
{
    return work(arg);
}

int CO_FN crew_run(struct crew *crew, size_t jobs)
{
    int rc = 0;
    crew->wake.run = wake_tasks;
    edge_mail_open(&crew->mail);
    group_init(&crew->group, GROUP_FIRST, 0);
    waiters_init(&crew->room);
    crew->loop = task_loop(task_current());
    for (size_t i = 0; rc == 0 && i < jobs; i++)
        rc = group_add(&crew->group, work_task, crew);
    int served = edge_mail_serve(&crew->mail, &crew->group);
    if (crew_must_stop(crew))
        return 0; /* its own status says why */
    return served < 0 ? served : rc;
}

/* ---- its life ---- */

int crew_init(struct crew *crew, step_fn *fn, enum larder_on_error on_error, uint64_t bytes_max)
{
    *crew = (struct crew){.step = fn, .on_error = on_error, .bytes_max = bytes_max};
    return on_error > LARDER_RETURN ? fail(-EINVAL, "on_error %d: not RAISE, OMIT or RETURN", (int)on_error)
                                    : 0;
}

int crew_result(struct crew *crew, int rc)
{
    if (crew->stop < 0)
        return fail(crew->stop, "a batch: stopped by its callback");
    if (crew->stop > 0)
        return error_finish(crew->stop, NULL);
    if (rc < 0)
        return rc;
    if (crew->on_error == LARDER_RETURN)
        return error_finish(crew->failed > INT32_MAX ? INT32_MAX : (int)crew->failed, NULL);
    error_set_text(crew->text); /* NULL: nothing failed */
    return error_finish(crew->status, NULL);
}

void crew_fini(struct crew *crew)
{
    mem_free(crew->text);
}
