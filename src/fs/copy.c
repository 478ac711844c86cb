/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/copy.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/crew.h"
#include "fs/enter.h"
#include "fs/transfer.h"

#define JOBS_DEFAULT  64
#define BYTES_DEFAULT ((uint64_t)64 << 20)
#define QUEUE_MAX     1024 /* steps known, and not ended or not told yet, twice at most */
#define QUEUE_LOW     256

struct copy;

struct copy_file {
    struct list node;
    struct copy *copy;
    struct copy_step step; /* its strings lie behind */
    /* the loop's, and the caller's side's once it has ended */
    int status;            /* known beforehand, or how it ended */
    enum larder_type type; /* as it turned out */
    char *text;            /* of a failure; mem */
    bool skipped;
    bool last;     /* its failure is the call's end */
    bool deferred; /* this place cannot move it: the caller sees to that */
    uint64_t held;
    /* to the caller's side */
    struct letter begun, moved, ended;
    atomic_bool moved_posted;
    _Atomic int64_t done, size;
    int64_t told; /* the caller's: of done */
    char names[];
};

struct copy {
    struct crew crew;
    struct copy_job *job;
    struct larder_fs *carrier;

    /* the caller's side */
    struct larder_copy_news totals;

    /* the calling thread before the tasks begin, then the loop's */
    struct list todo;
    size_t todo_count;
    bool all_known; /* nothing comes behind todo */
    bool asking;    /* for more */
    struct waiters more;

    /* whose turn it is: the caller's from the letter to the reply */
    struct letter ask;
    struct post answer;
    struct list found;
    size_t found_count;
    bool found_all;
};

unsigned copy_flags(const struct larder_copy_options *options)
{
    return LARDER_PARENTS | (options->create ? LARDER_CREATE : 0) | (options->sync ? LARDER_SYNC : 0);
}

/* ---- the caller's side: what there is to do ---- */

static void file_free(struct copy_file *file)
{
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

static void tell(struct copy *copy, const struct copy_file *file, enum larder_copy_event event)
{
    struct larder_copy_news news = copy->totals;
    news.event = event;
    if (file) {
        news.from = file->step.from;
        news.to = file->step.to;
        bool ended = event == LARDER_COPY_DONE || event == LARDER_COPY_SKIPPED;
        news.type = ended ? file->type : file->step.type;
        news.size = atomic_load(&file->size);
        news.done = file->told;
        news.status = ended ? file->status : 0;
    }
    if (copy->job->options.told && !atomic_load(&copy->crew.stopped))
        crew_stop(&copy->crew, copy->job->options.told(copy->job->options.arg, &news));
}

static void count_planned(struct copy *copy, const struct copy_step *step)
{
    copy->totals.files_planned++;
    if (step->size > 0)
        copy->totals.bytes_planned += step->size;
}

/* One more is found; 0: there are no more; negative: there is no going on. */
static int find_one(struct copy *copy)
{
    struct copy_step step = {.size = LARDER_SIZE_UNKNOWN};
    int rc = copy->job->next(copy->job, &step);
    if (rc == 0 || rc == -ECANCELED || (rc < 0 && !step.from))
        return rc;
    struct copy_file *file = file_new(copy, &step);
    if (!file)
        return fail_memory();
    if (rc < 0) {
        file->status = rc;
        file->text = mem_dup(error_text());
    } else {
        count_planned(copy, &step);
    }
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
    while (rc > 0 && copy->found_count < QUEUE_MAX)
        rc = find_one(copy);
    if (rc < 0)
        give_up(copy, rc);
    copy->found_all = rc <= 0;
    copy->totals.planned = copy->found_all;
    if (copy->found_count > 0 || copy->found_all)
        tell(copy, NULL, LARDER_COPY_PLANNED);
}

/* ---- the caller's side: what became of it ---- */

static void begun_open(struct letter *letter)
{
    struct copy_file *file = container_of(letter, struct copy_file, begun);
    error_clear();
    tell(file->copy, file, LARDER_COPY_BEGUN);
}

/* Bytes may become fewer again: a read began anew. */
static void take_done(struct copy_file *file)
{
    int64_t done = atomic_load(&file->done);
    file->copy->totals.bytes_done += done - file->told;
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
    take_done(file);
    if (!file->skipped && !file->deferred) {
        copy->totals.files_done++;
        copy->totals.files_failed += file->status < 0;
    }
    error_set_text(file->text);
    if (copy->job->ended)
        copy->job->ended(copy->job, &file->step, file->skipped ? 0 : file->status);
    if (!file->deferred)
        tell(copy, file, file->skipped ? LARDER_COPY_SKIPPED : LARDER_COPY_DONE);
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

/* ---- one file, in a task ---- */

struct file_transfer {
    struct transfer transfer;
    struct copy_file *file;
};

static struct copy_file *file_of(struct transfer *transfer)
{
    return container_of(transfer, struct file_transfer, transfer)->file;
}

static void note_moved(struct transfer *transfer)
{
    struct copy_file *file = file_of(transfer);
    atomic_store(&file->done, transfer->done);
    atomic_store(&file->size, transfer->total);
}

static void tell_moved(struct transfer *transfer)
{
    struct copy_file *file = file_of(transfer);
    note_moved(transfer);
    if (!atomic_exchange(&file->moved_posted, true))
        edge_mail_send(&file->copy->crew.mail, &file->moved);
}

static int CO_FN wait_and_hold(struct copy_file *file, uint64_t size)
{
    return crew_wait_and_hold(&file->copy->crew, &file->held, size);
}

static int CO_EDGE hold(struct transfer *transfer, uint64_t size)
{
    return wait_and_hold(file_of(transfer), size);
}

static int CO_FN transfer_bytes(struct copy_file *file, const char *from, const char *to)
{
    const struct copy_job *job = file->copy->job;
    struct file_transfer one = {.file = file};
    one.transfer = (struct transfer){.from = job->from->instance,
                                     .to = job->to->instance,
                                     .path = from,
                                     .target = to,
                                     .terms = &job->from->terms,
                                     .flags = copy_flags(&job->options),
                                     .labels = &job->to->labels,
                                     .moved = job->options.told ? tell_moved : NULL,
                                     .hold = hold,
                                     .total = file->step.size};
    int rc = transfer_file(&one.transfer);
    crew_hold(&file->copy->crew, &file->held, 0);
    if (rc == 0)
        note_moved(&one.transfer);
    return rc;
}

static int CO_FN leave_out(struct copy_file *file, int status)
{
    file->skipped = !file->copy->job->strict;
    return status;
}

/* In a tree: a device, or a link that leads nowhere or back up. */
static int CO_FN leave_out_other(struct copy_file *file, const char *from)
{
    const struct larder_fs *fs = file->copy->job->from;
    struct answer answer = {0};
    int rc = layer_info(fs->instance, from, &fs->terms, &answer);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail(-ELOOP, "%s: a link that leads back up", from);
    else if (rc == -ENOENT)
        rc = fail(rc, "%s: a link that leads nowhere", from);
    else if (rc == 0)
        rc = fail(-ENOTSUP, "%s: neither a file nor a directory", from);
    answer_free(&answer);
    return leave_out(file, rc);
}

static int CO_FN make_directory(struct copy_file *file, const char *to)
{
    struct instance *instance = file->copy->job->to->instance;
    file->type = LARDER_DIRECTORY;
    return instance->can.real_directories ? dirs_make(instance, to) : 0;
}

/* -EISDIR: is it the source's? */
static int CO_FN is_directory(const struct larder_fs *fs, const char *path)
{
    struct answer answer = {0};
    int rc = layer_info(fs->instance, path, &fs->terms, &answer);
    rc = rc < 0 ? rc : answer.info.type == LARDER_DIRECTORY;
    answer_free(&answer);
    return rc;
}

static int CO_FN copy_file(struct copy_file *file, const char *from, const char *to)
{
    const struct copy_job *job = file->copy->job;
    struct error_slot words;
    int rc = transfer_bytes(file, from, to);
    if (rc != -EISDIR || file->step.type != 0)
        return rc;
    words = *error_slot();
    bool directory = is_directory(job->from, from) > 0;
    *error_slot() = words;
    if (directory && job->makes_dirs)
        return make_directory(file, to);
    if (directory)
        file->type = LARDER_DIRECTORY;
    return directory ? leave_out(file, rc) : rc;
}

/* Nothing to do, if it is there. */
static int CO_FN move_onto_itself(const struct copy_job *job, const char *path)
{
    struct terms terms = job->from->terms;
    struct answer answer = {0};
    terms.no_follow = true;
    int rc = layer_info(job->from->instance, path, &terms, &answer);
    answer_free(&answer);
    return rc == 0 && job->options.create ? fail(-EEXIST, "%s: it exists", path) : rc;
}

static int CO_FN move_once(const struct copy_job *job, const char *from, const char *to)
{
    struct instance *here = job->from->instance, *there = job->to->instance;
    unsigned flags = copy_flags(&job->options) & ~(unsigned)LARDER_PARENTS;
    bool same = layer_same_place(here, there);
    if (same && strcmp(from, to) == 0)
        return move_onto_itself(job, from);
    if (!same || !layer_has(there, LAYER_MOVE))
        return -EXDEV;
    int rc = layer_move(there, from, to, flags);
    if (here != there)
        layer_tell_changed(here, from, true);
    return rc;
}

static int CO_FN move(struct copy_file *file, const char *from, const char *to)
{
    const struct copy_job *job = file->copy->job;
    int rc = move_once(job, from, to);
    if (rc == -ENOENT && job->makes_dirs && is_directory(job->from, from) >= 0) {
        rc = dirs_make_parents(job->to->instance, to);
        if (rc == 0)
            rc = move_once(job, from, to);
    }
    file->deferred = rc == -EXDEV || rc == -ENOTSUP;
    return rc;
}

static int CO_FN act(struct copy_file *file)
{
    const struct copy_job *job = file->copy->job;
    const struct copy_step *step = &file->step;
    autofree char *from = NULL, *to = NULL;
    if (!step->to)
        return leave_out(file, fail(-EISDIR, "%s: a directory", step->from));
    int rc = path_resolve(job->from->root, step->from, &from, NULL);
    if (rc == 0)
        rc = path_resolve(job->to->root, step->to, &to, NULL);
    if (rc < 0)
        return rc;
    if (job->moves)
        return move(file, from, to);
    if (step->type == LARDER_DIRECTORY)
        return make_directory(file, to);
    if (step->type == LARDER_OTHER && step->listed)
        return leave_out_other(file, from);
    return copy_file(file, from, to);
}

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
    if (file->status < 0) {
        error_set_text(file->text);
        settle(file, file->status, false);
        return 1;
    }
    file->begun.open = begun_open;
    file->moved.open = moved_open;
    if (copy->job->options.told)
        edge_mail_send(&copy->crew.mail, &file->begun);
    rc = error_finish(act(file), file->step.from);
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
        rc = enter_begin_two(job->from, job->to, subject, &copy.carrier);
    if (rc < 0)
        return rc;
    find_more(&copy);
    take_found(&copy);
    if (copy.todo_count > 0 && !crew_must_stop(&copy.crew))
        rc = enter_inside(copy.carrier, subject, run_task, &copy);
    enter_end_two(job->from, job->to);
    rc = crew_result(&copy.crew, rc);
    free_files(&copy.todo);
    free_files(&copy.found);
    crew_fini(&copy.crew);
    return rc;
}
