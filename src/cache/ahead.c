/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/ahead.h"

#include <errno.h>

#include "base/error.h"
#include "base/seams.h"

struct ahead_part {
    struct reading part; /* of the same version; its own task's */
    struct reading *r;
    struct run *run; /* a reference of the reading's; NULL: free */
};
struct ahead {
    struct group group;
    int64_t pos; /* up to there it was begun */
    struct ahead_part parts[AHEAD_MAX];
};

/* ---- a part ---- */

static int CO_FN fetch(struct ahead_part *ahead)
{
    struct reading *part = &ahead->part;
    struct run *run = run_ref(ahead->run);
    int rc = run_lock(run, PART_PATIENCE_MS);
    if (rc == 0 && !reading_can_go_on(part) && reading_choose_part(part, run))
        rc = ask_part(part, run);
    else /* others have brought it, or it is not wanted any more */
        run_finish(run, rc < 0 ? rc : -ECANCELED, NULL);
    ahead->r->fetched += part->fetched;
    run_unref(run);
    return 0;
}

static int CO_EDGE fetch_task(void *arg)
{
    return fetch(arg);
}

static int begin_part(struct reading *r, struct ahead_part *ahead, int64_t start)
{
    ahead->r = r;
    ahead->part = (struct reading){.view = r->view,
                                   .store = r->store,
                                   .path = r->path,
                                   .terms = r->terms,
                                   .keep = r->keep,
                                   .throttle = r->throttle,
                                   .pinned = true,
                                   .pos = start,
                                   .end = r->end,
                                   .known_age_ms = -1};
    int rc = answer_copy(&ahead->part.pin, &r->pin);
    ahead->run = rc == 0 ? run_new(task_loop(task_current()), r->view, r->store, r->path, RUN_DATA) : NULL;
    if (!ahead->run)
        return -ENOMEM;
    if (reading_choose_part(&ahead->part, ahead->run))
        return 0;
    run_finish(ahead->run, -ECANCELED, NULL);
    return -EAGAIN;
}

static void end_part(struct ahead_part *ahead)
{
    reading_fini(&ahead->part);
    run_unref(ahead->run);
    *ahead = (struct ahead_part){0};
}

/* ---- all of them ---- */

static struct ahead *make(struct reading *r)
{
    if (!r->ahead && (r->ahead = mem_zero(sizeof *r->ahead)))
        group_init(&r->ahead->group, GROUP_ALL, 0);
    return r->ahead;
}

/* A slot whose part the reading has come by, or never will. */
static struct ahead_part *free_slot(struct ahead *ahead, int64_t pos)
{
    for (unsigned i = 0; i < AHEAD_MAX; i++) {
        struct ahead_part *part = &ahead->parts[i];
        if (!part->run)
            return part;
        if (part->run->state != RUN_ASKING && part->run->end <= pos) {
            end_part(part);
            return part;
        }
    }
    return NULL;
}

void ahead_begin(struct reading *r)
{
    int64_t first = r->pos / BLOCK_SIZE * BLOCK_SIZE + run_size_max(r);
    struct ahead *ahead = first < r->end ? make(r) : NULL;
    struct ahead_part *part;
    if (ahead && ahead->pos < first)
        ahead->pos = first;
    while (ahead && (part = free_slot(ahead, r->pos))) {
        int64_t start = reading_next_gap(r, ahead->pos);
        if (start >= r->end)
            return;
        int rc = begin_part(r, part, start);
        ahead->pos = rc == 0 ? part->run->end : start + BLOCK_SIZE;
        if (rc == 0)
            rc = group_add(&ahead->group, fetch_task, part);
        if (rc < 0 && part->run && part->run->state == RUN_ASKING)
            run_finish(part->run, rc, NULL); /* it was not begun */
        if (rc < 0)
            end_part(part);
        if (rc == -ENOMEM || rc == -ECANCELED || rc == -ETIMEDOUT)
            return;
    }
}

struct run *ahead_find(struct reading *r)
{
    for (unsigned i = 0; r->ahead && i < AHEAD_MAX; i++) {
        struct run *run = r->ahead->parts[i].run;
        if (!run || r->pos < run->start || r->pos >= run->end)
            continue;
        if (run->state == RUN_ASKING || (run->status == 0 && run->data))
            return run_ref(run);
    }
    return NULL;
}

void ahead_end(struct reading *r)
{
    struct ahead *ahead = r->ahead;
    if (!ahead)
        return;
    group_cancel(&ahead->group);
    group_join(&ahead->group);
    for (unsigned i = 0; i < AHEAD_MAX; i++)
        end_part(&ahead->parts[i]);
    mem_free(ahead);
    r->ahead = NULL;
}
