/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a copy: a file's bytes, a directory that is made, a move. */
#include "fs/copy_file.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"
#include "fs/transfer.h"

unsigned copy_flags(const struct larder_copy_options *options)
{
    return LARDER_PARENTS | (options->create ? LARDER_CREATE : 0) | (options->sync ? LARDER_SYNC : 0);
}

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

/* A copy in the place tells no time of what it copied, and has the one that was listed: if the file has changed since,
 * the next comparison finds out. */
static int CO_FN keep_time(struct copy_file *file, const char *to, int64_t mtime_ns)
{
    const struct copy_job *job = file->copy->job;
    if (!job->keeps_times || mtime_ns == 0)
        return 0;
    int rc = layer_touch(job->to->instance, to, mtime_ns);
    if (rc < 0 && job->times_count)
        return fail_more(rc, "it is copied, but its time cannot be kept");
    return error_finish(0, NULL);
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
                                     .copied = job->wants_copied ? &file->copied : NULL,
                                     .total = file->step.size};
    int rc = transfer_file(&one.transfer);
    crew_hold(&file->copy->crew, &file->held, 0);
    if (rc < 0)
        return rc;
    note_moved(&one.transfer);
    return keep_time(file, to, one.transfer.mtime_ns ? one.transfer.mtime_ns : file->step.mtime_ns);
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
        rc = fail_at(fs->instance, from, -ELOOP, "a link that leads back up");
    else if (rc == -ENOENT)
        rc = fail_at(fs->instance, from, rc, "a link that leads nowhere");
    else if (rc == 0)
        rc = fail_at(fs->instance, from, -ENOTSUP, "neither a file nor a directory");
    answer_free(&answer);
    return leave_out(file, rc);
}

static int CO_FN make_directory(struct copy_file *file, const char *to)
{
    struct instance *instance = file->copy->job->to->instance;
    file->type = LARDER_DIRECTORY;
    unsigned flags = copy_flags(&file->copy->job->options);
    return instance->can.real_directories ? dirs_make(instance, to, flags) : 0;
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
    int rc = dirs_await(job->to->instance, to);
    if (rc == 0)
        rc = transfer_bytes(file, from, to);
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
        rc = dirs_make_parents(job->to->instance, to, copy_flags(&job->options));
        if (rc == 0)
            rc = move_once(job, from, to);
    }
    file->deferred = rc == -EXDEV || rc == -ENOTSUP;
    return rc;
}

static int resolve(const struct copy_file *file, char **from, char **to)
{
    const struct copy_job *job = file->copy->job;
    int rc = path_resolve(job->from->root, file->step.from, from, NULL);
    return rc < 0 ? rc : path_resolve(job->to->root, file->step.to, to, NULL);
}

static int CO_FN differs(struct copy_job *job, const struct copy_step *step, const char *from, const char *to)
{
    return job->differs(job, step, from, to);
}

int CO_FN copy_file_differs(struct copy_file *file)
{
    autofree char *from = NULL, *to = NULL;
    int rc = resolve(file, &from, &to);
    return rc < 0 ? rc : differs(file->copy->job, &file->step, from, to);
}

static int pretend(struct copy_file *file)
{
    if (file->step.size > 0)
        atomic_store(&file->done, file->step.size);
    return 0;
}

int CO_FN copy_file_act(struct copy_file *file)
{
    const struct copy_job *job = file->copy->job;
    const struct copy_step *step = &file->step;
    autofree char *from = NULL, *to = NULL;
    if (!step->to)
        return leave_out(file, fail(-EISDIR, "%s: a directory", step->from));
    int rc = resolve(file, &from, &to);
    if (rc < 0)
        return rc;
    if (job->moves)
        return move(file, from, to);
    if (step->type == LARDER_OTHER && step->listed)
        return leave_out_other(file, from);
    if (job->dry_run)
        return pretend(file);
    return step->type == LARDER_DIRECTORY ? make_directory(file, to) : copy_file(file, from, to);
}
