/* SPDX-License-Identifier: Apache-2.0 */
/* An info that the store could not answer at once. */
#include "cache/fetch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

/* ---- info ---- */

static int info_of_record(struct reading *r, struct answer *out)
{
    struct reader *reader;
    struct record record;
    struct answer answer;
    if (reader_find(r->store, KEY_RECORD, &r->view->place, r->path, &reader, &record) < 0)
        return -EAGAIN;
    bool useful = record.head.state != RECORD_CHANGED && !hit_is_of_other(r->view, &record, r->terms);
    int rc = useful && reading_may_use(r, &record) ? 0 : -EAGAIN;
    if (rc < 0 && record.head.state != RECORD_CHANGED && reading_know(r, NULL, &record) < 0)
        rc = -ENOMEM;
    if (rc == 0 && record.head.state == RECORD_ABSENT)
        rc = fail(-ENOENT, "%s: no such file (as the cache knows)", r->path);
    record_answer(&record, &answer);
    if (rc == 0)
        rc = answer_copy(out, &answer);
    reader_end(r->store, reader);
    return rc;
}

/* As find_run of a read. */
static int find_info(struct reading *r, struct run **out)
{
    struct larder_loop *loop = task_loop(task_current());
    struct run *run = flight_next(loop, r->view, r->store, r->path, NULL);
    struct seen seen;
    *out = NULL;
    if (!run || store_seen(r->store, KEY_RECORD, &r->view->place, r->path, &seen) < 0)
        return STEP_DONE;
    for (; run; run = flight_next(loop, r->view, r->store, r->path, run)) {
        bool same = run->kind == RUN_INFO && run->directory == r->terms->directory &&
                    run->seen.id == seen.id && run->seen.epoch == seen.epoch;
        bool useful = run->state == RUN_ASKING ? r->terms->age_max_ms != 0 && run->known_id == r->known_id
                                               : reading_run_is_fresh(r, run) && run->status != UNCHANGED;
        if (same && useful) {
            *out = run_ref(run);
            return STEP_DONE;
        }
    }
    return reading_is_behind(r, &seen) ? STEP_ON : STEP_DONE;
}

static int CO_FN request_info(struct reading *r)
{
    struct run *run = run_new(task_loop(task_current()), r->view, r->store, r->path, RUN_INFO);
    if (!run)
        return fail_memory();
    run->directory = r->terms->directory;
    store_count(r->store, COUNT_MISSES, 1);
    r->joined = run;
    return ask_info(r, run);
}

static int CO_FN info_step(struct reading *r, struct answer *out)
{
    int rc = info_of_record(r, out);
    if (rc != -EAGAIN)
        return rc;
    if (r->stale_ok) {
        error_set_text(r->failure_text);
        return r->failure;
    }
    struct run *run;
    rc = find_info(r, &run);
    if (rc == STEP_ON)
        return rc;
    bool ours = !run;
    run_unref(r->joined);
    r->joined = run;
    rc = run ? run_wait(run) : request_info(r);
    if (rc < 0)
        return rc;
    run = r->joined;
    if (run->status == 0)
        return answer_copy(out, &run->answer);
    rc = reading_use_outcome(r, run, ours);
    if (rc == STEP_ON && run->status == UNCHANGED && r->known.info.type)
        return answer_copy(out, &r->known); /* as it was known when we asked */
    return rc;
}

int fetch_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    struct store *store = view_store(view);
    struct reading r = {.view = view, .store = store, .path = path, .terms = terms, .known_age_ms = -1};
    struct answer answer = {0};
    if (!store)
        return view->mode == MODE_OFFLINE ? view_offline(view, path, "there is no cache")
                                          : layer_info(view_next(view), path, terms, out);
    int rc = hit_info(view, store, path, terms, out);
    if (rc != -EAGAIN)
        return rc;
    if (view->mode == MODE_OFFLINE)
        return offline_info(view, store, path, terms, out);
    do
        rc = info_step(&r, &answer);
    while (rc == STEP_ON);
    if (rc == 0 && r.stale_ok)
        store_count(store, COUNT_STALE, 1);
    if (rc == 0 && terms->if_none_match && answer.validator &&
        strcmp(answer.validator, terms->if_none_match) == 0)
        rc = UNCHANGED;
    if (rc == UNCHANGED && !answer.info.type)
        rc = answer_copy(&answer, &r.joined->answer) < 0 ? -ENOMEM : UNCHANGED;
    if (rc >= 0)
        *out = answer;
    else
        answer_free(&answer);
    reading_fini(&r);
    return rc;
}

/* ---- properties, of which nothing is kept ---- */

int CO_FN fetch_properties(struct instance *instance, const char *path, struct larder_properties *out)
{
    struct view *view = container_of(instance, struct view, instance);
    if (view->mode == MODE_OFFLINE)
        return view_offline(view, path, "its properties are never in the cache");
    return layer_properties(view_next(view), path, out);
}
