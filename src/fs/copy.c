/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/copy.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "fs/copy_file.h"
#include "fs/enter.h"

#define JOBS_DEFAULT  64
#define BYTES_DEFAULT ((uint64_t)64 << 20)
#define QUEUE_MAX     1024 /* steps known, and not ended or not told yet, twice at most */
#define QUEUE_LOW     256

/* ---- the caller's side: what there is to do ---- */

static void file_free(struct copy_file *file)
{
    larder_info_free(&file->copied);
    mem_free(file->text);
    mem_free(file);
}

static struct copy_file *file_new(struct copy *copy, const struct copy_step *step)
{
    const char *from = step->from ? step->from : "";
    size_t from_size = strlen(from) + 1, to_size = step->to ? strlen(step->to) + 1 : 0;
    struct copy_file *file = mem_zero(sizeof *file + from_size + to_size);
    if (!file)
        return NULL;
    file->copy = copy;
    file->step = *step;
    file->type = step->type;
    file->step.from = memcpy(file->names, from, from_size);
    file->step.to = step->to ? memcpy(file->names + from_size, step->to, to_size) : NULL;
    atomic_init(&file->size, step->size);
    return file;
}

int copy_tell(struct copy_job *job, const struct larder_copy_news *about)
{
    struct larder_copy_news news = job->news;
    struct crew *crew = job->copy ? &job->copy->crew : NULL;
    news.event = about->event;
    news.from = about->from;
    news.to = about->to;
    news.type = about->type;
    news.done = about->done;
    news.size = about->size;
    news.status = about->status;
    if (!job->options.told || (crew && atomic_load(&crew->stopped)))
        return 0;
    int rc = job->options.told(job->options.arg, &news);
    job->stopped = job->stopped || rc != 0;
    if (crew)
        crew_stop(crew, rc);
    return rc;
}

static void tell(struct copy *copy, const struct copy_file *file, enum larder_copy_event event)
{
    struct larder_copy_news about = {.event = event};
    if (file) {
        bool ended = event != LARDER_COPY_BEGUN && event != LARDER_COPY_MOVED;
        about.from = file->step.from;
        about.to = file->step.to;
        about.type = ended ? file->type : file->step.type;
        about.size = atomic_load(&file->size);
        about.done = file->told;
        about.status = ended ? file->status : 0;
    }
    copy_tell(copy->job, &about);
}

static void count_planned(struct copy *copy, const struct copy_step *step)
{
    copy->job->news.files_planned++;
    if (step->size > 0)
        copy->job->news.bytes_planned += step->size;
}

/* One more is found; as the job's `next`, but negative: there is no going on. */
static int find_one(struct copy *copy)
{
    struct copy_step step = {.size = LARDER_SIZE_UNKNOWN};
    int rc = copy->job->next(copy->job, &step);
    if (rc == 0 || rc == COPY_PAUSE || rc == -ECANCELED || (rc < 0 && !step.from))
        return rc;
    struct copy_file *file = file_new(copy, &step);
    if (!file)
        return fail_memory();
    if (rc < 0) {
        file->status = rc;
        file->text = mem_dup(error_text());
    }
    if (rc < 0 || !step.check)
        count_planned(copy, &step);
    list_push(&copy->found, &file->node);
    copy->found_count++;
    return 1;
}

/* Ends the call, as no single file's failure does. */
static void give_up(struct copy *copy, int status)
{
    static const struct copy_step nothing = {.size = LARDER_SIZE_UNKNOWN};
    struct copy_file *file = file_new(copy, &nothing);
    if (file) {
        file->last = true;
        file->status = status;
        file->text = mem_dup(error_text());
        list_push(&copy->found, &file->node);
        copy->found_count++;
    } else {
        crew_stop(&copy->crew, status);
    }
}

static void find_more(struct copy *copy)
{
    int rc = 1;
    while (rc == 1 && copy->found_count < QUEUE_MAX && !atomic_load(&copy->crew.stopped))
        rc = find_one(copy);
    if (rc < 0)
        give_up(copy, rc);
    copy->found_all = rc <= 0;
    copy->job->news.planned = copy->found_all;
    if (copy->found_count > 0 || copy->found_all)
        tell(copy, NULL, LARDER_COPY_PLANNED);
}

/* ---- the caller's side: what became of it ---- */

static void begun_open(struct letter *letter)
{
    struct copy_file *file = container_of(letter, struct copy_file, begun);
    error_clear();
    if (file->step.check)
        count_planned(file->copy, &file->step);
    tell(file->copy, file, LARDER_COPY_BEGUN);
}

/* Bytes may become fewer again: a read began anew. */
static void take_done(struct copy_file *file)
{
    int64_t done = atomic_load(&file->done);
    file->copy->job->news.bytes_done += done - file->told;
    file->told = done;
}

static void moved_open(struct letter *letter)
{
    struct copy_file *file = container_of(letter, struct copy_file, moved);
    atomic_store(&file->moved_posted, false);
    take_done(file);
    tell(file->copy, file, LARDER_COPY_MOVED);
}

static void ended_open(struct letter *letter)
{
    struct copy_file *file = container_of(letter, struct copy_file, ended);
    struct copy *copy = file->copy;
    struct larder_copy_news *news = &copy->job->news;
    take_done(file);
    news->files_same += file->same;
    if (!file->skipped && !file->deferred && !file->same) {
        news->files_done++;
        news->files_failed += file->status < 0;
    }
    error_set_text(file->text);
    if (copy->job->ended)
        copy->job->ended(copy->job, &file->step, file->skipped ? 0 : file->status, &file->copied);
    if (!file->deferred)
        tell(copy, file,
             file->skipped ? LARDER_COPY_SKIPPED
             : file->same  ? LARDER_COPY_SAME
                           : LARDER_COPY_DONE);
    file_free(file);
}

/* ---- asking for more ---- */

static void take_found(struct copy *copy)
{
    struct list *node;
    while ((node = list_pop(&copy->found)))
        list_push(&copy->todo, node);
    copy->todo_count += copy->found_count;
    copy->found_count = 0;
    copy->all_known = copy->found_all;
}

static void answer_run(struct post *post)
{
    struct copy *copy = container_of(post, struct copy, answer);
    take_found(copy);
    copy->asking = false;
    waiters_wake(&copy->more);
}

static void ask_open(struct letter *letter)
{
    struct copy *copy = container_of(letter, struct copy, ask);
    if (!atomic_load(&copy->crew.stopped))
        find_more(copy);
    edge_mail_reply(&copy->crew.mail, copy->crew.loop, &copy->answer);
}

static void ask_when_few(struct copy *copy)
{
    if (copy->asking || copy->all_known || copy->todo_count > QUEUE_LOW)
        return;
    copy->asking = true;
    edge_mail_send(&copy->crew.mail, &copy->ask);
}

/* The next one; NULL and 0: there are no more. */
static int CO_FN take_next(struct copy *copy, struct copy_file **out)
{
    *out = NULL;
    for (;;) {
        ask_when_few(copy);
        if (!list_empty(&copy->todo) || copy->all_known)
            break;
        int rc = edge_mail_wait(&copy->crew.mail, &copy->more);
        if (rc < 0)
            return rc;
    }
    struct list *node = list_pop(&copy->todo);
    if (node) {
        *out = container_of(node, struct copy_file, node);
        copy->todo_count--;
    }
    return 0;
}

/* ---- one step, in a task ---- */

/* What was only cancelled is no failure of its own. */
static void settle(struct copy_file *file, int status, bool cancelled)
{
    struct copy *copy = file->copy;
    file->status = status;
    if (!file->skipped && !file->deferred && !cancelled)
        crew_note(&copy->crew, status);
    if (!copy->job->options.told && !copy->job->ended) {
        file_free(file);
        return;
    }
    if (status < 0 && !file->text)
        file->text = mem_dup(error_text());
    file->ended.open = ended_open;
    edge_mail_send(&copy->crew.mail, &file->ended);
}

static int CO_FN copy_next(struct copy *copy)
{
    struct copy_file *file;
    int rc = take_next(copy, &file);
    if (!file)
        return rc;
    error_clear();
    if (file->last) {
        rc = file->status;
        error_set_text(file->text);
        file_free(file);
        return rc;
    }
    file->begun.open = begun_open;
    file->moved.open = moved_open;
    if (file->status < 0) {
        file->step.check = false; /* it is counted */
        if (copy->job->options.told)
            edge_mail_send(&copy->crew.mail, &file->begun);
        error_set_text(file->text);
        settle(file, file->status, false);
        return 1;
    }
    rc = file->step.check ? copy_file_differs(file) : 1;
    file->same = rc == 0;
    if (!file->same && copy->job->options.told)
        edge_mail_send(&copy->crew.mail, &file->begun);
    if (rc > 0)
        rc = copy_file_act(file);
    error_finish(rc, file->step.from);
    bool cancelled = rc == -ECANCELED && task_check() < 0;
    settle(file, rc, cancelled);
    return cancelled ? rc : 1;
}

static int CO_EDGE copy_step(struct crew *crew)
{
    return copy_next(container_of(crew, struct copy, crew));
}

/* ---- the call ---- */

static int CO_FN run(struct copy *copy)
{
    size_t jobs = copy->job->options.jobs_max;
    if (copy->all_known && copy->todo_count < jobs)
        jobs = copy->todo_count;
    waiters_init(&copy->more);
    return crew_run(&copy->crew, jobs);
}

static int CO_EDGE run_task(void *arg)
{
    return run(arg);
}

static void free_files(struct list *files)
{
    struct list *node;
    while ((node = list_pop(files)))
        file_free(container_of(node, struct copy_file, node));
}

int copy_run(struct copy_job *job, const char *subject)
{
    struct copy copy = {.job = job, .ask.open = ask_open, .answer.run = answer_run};
    if (!job->options.jobs_max)
        job->options.jobs_max = JOBS_DEFAULT;
    if (!job->options.bytes_max)
        job->options.bytes_max = BYTES_DEFAULT;
    list_init(&copy.todo);
    list_init(&copy.found);
    error_clear();
    int rc = crew_init(&copy.crew, copy_step, job->options.on_error, job->options.bytes_max);
    if (rc == 0)
        rc = enter_begin_two(job->from, job->to, subject, &job->carrier);
    if (rc < 0)
        return rc;
    job->copy = &copy;
    find_more(&copy);
    take_found(&copy);
    if ((copy.todo_count > 0 || !copy.all_known) && !crew_must_stop(&copy.crew))
        rc = enter_inside(job->carrier, subject, run_task, &copy);
    job->copy = NULL;
    enter_end_two(job->from, job->to);
    rc = crew_result(&copy.crew, rc);
    free_files(&copy.todo);
    free_files(&copy.found);
    crew_fini(&copy.crew);
    return rc;
}
