/* SPDX-License-Identifier: Apache-2.0 */
/* What is extra in the target: kept by name until it may be removed, files first, then directories from the deepest up. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/rsync.h"

#define NAMES_MANY ((size_t)8 << 20) /* bytes */
#define BATCH      8192

struct extra_dir {
    struct extra_dir *before; /* added before it */
    struct extra_dir *above;  /* which is extra, too; or NULL */
    bool stays;               /* something was left out of it */
    char path[];
};

/* ---- keeping ---- */

int extras_add_file(struct rsync *rsync, const char *path)
{
    struct extras *extras = &rsync->extras;
    int rc = buffer_add(&extras->files, path, strlen(path) + 1);
    extras->count += rc == 0;
    return rc;
}

int extras_add_dir(struct rsync *rsync, const char *path, struct extra_dir *above, struct extra_dir **out)
{
    struct extras *extras = &rsync->extras;
    struct extra_dir *dir = arena_alloc(&extras->dirs, sizeof *dir + strlen(path) + 1);
    if (!dir)
        return fail_memory();
    *dir = (struct extra_dir){.before = extras->last, .above = above};
    strcpy(dir->path, path);
    *out = extras->last = dir;
    return 0;
}

void extras_spare(struct extra_dir *dir)
{
    for (; dir && !dir->stays; dir = dir->above)
        dir->stays = true;
}

bool extras_are_many(const struct extras *extras)
{
    return extras->files.size >= NAMES_MANY;
}

void extras_fini(struct extras *extras)
{
    buffer_free(&extras->files);
    arena_free(&extras->dirs);
}

/* ---- removing ---- */

/* Tells of what was removed, or could not be. What the callback returned. */
static int removed(struct rsync *rsync, const char *path, enum larder_type type, int status)
{
    struct larder_copy_news about = {.event = LARDER_COPY_REMOVED,
                                     .to = path,
                                     .type = type,
                                     .size = LARDER_SIZE_UNKNOWN,
                                     .status = status};
    if (status == -ENOENT) /* by another */
        return 0;
    rsync->job.news.files_removed += status == 0;
    rsync->job.news.files_failed += status < 0;
    rsync->extras.failures += status < 0;
    return copy_tell(&rsync->job, &about);
}

struct batch {
    struct rsync *rsync;
    int stop; /* what the callback returned */
};

static int file_removed(void *arg, struct larder_item *item)
{
    struct batch *batch = arg;
    batch->stop = removed(batch->rsync, item->path, LARDER_FILE, item->status);
    return batch->stop;
}

static bool goes_on(const struct rsync *rsync)
{
    return rsync->options.on_error == LARDER_RETURN;
}

static int remove_batch(struct rsync *rsync, struct larder_item *items, size_t count)
{
    struct batch batch = {.rsync = rsync};
    struct larder_batch how = {.size = sizeof how,
                               .on_error = goes_on(rsync) ? LARDER_RETURN : LARDER_OMIT,
                               .jobs_max = rsync->options.jobs_max,
                               .completed = file_removed,
                               .arg = &batch};
    int rc = 0;
    if (rsync->options.dry_run)
        for (size_t i = 0; i < count && batch.stop == 0; i++)
            file_removed(&batch, &items[i]);
    else
        rc = larder_rm_files(rsync->job.to, items, count, &how);
    return batch.stop != 0 ? batch.stop : rc < 0 ? rc : 0;
}

int extras_remove_files(struct rsync *rsync)
{
    struct extras *extras = &rsync->extras;
    size_t most = extras->count < BATCH ? extras->count : BATCH;
    struct larder_item *items = mem_array(most ? most : 1, sizeof *items);
    const char *at = extras->files.data;
    int rc = items ? 0 : fail_memory();
    for (size_t left = extras->count, count; rc == 0 && left > 0; left -= count) {
        count = left < BATCH ? left : BATCH;
        memset(items, 0, count * sizeof *items);
        for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
            items[i].path = at;
        rc = remove_batch(rsync, items, count);
    }
    mem_free(items);
    extras->files.size = extras->count = 0;
    return rc;
}

static int remove_dir(struct rsync *rsync, const char *path)
{
    int rc = rsync->options.dry_run ? 0 : larder_rmdir(rsync->job.to, path);
    autofree char *text = rc < 0 ? mem_dup(error_text()) : NULL;
    int stop = removed(rsync, path, LARDER_DIRECTORY, rc);
    if (stop != 0 || rc == 0 || rc == -ENOENT || goes_on(rsync))
        return stop;
    error_set_text(text);
    return rc;
}

int extras_remove_dirs(struct rsync *rsync)
{
    bool real = rsync->job.to->instance->can.real_directories; /* else they went with what they held */
    int rc = 0;
    for (struct extra_dir *dir = real ? rsync->extras.last : NULL; rc == 0 && dir; dir = dir->before)
        if (!dir->stays)
            rc = remove_dir(rsync, dir->path);
    return rc;
}

static int remove_now(struct larder_fs *fs, const char *path, const struct larder_info *info)
{
    return info->type == LARDER_DIRECTORY ? larder_rm(fs, path, true) : larder_rm_file(fs, path);
}

int rsync_make_way(struct rsync *rsync, const char *path, const struct larder_info *info)
{
    int rc = rsync->options.dry_run ? 0 : remove_now(rsync->job.to, path, info);
    if (rc == -ENOENT)
        return error_finish(0, NULL);
    return rc < 0 ? rc : removed(rsync, path, info->type, 0);
}
