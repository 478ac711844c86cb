/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/mirror.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "cache/cap.h"
#include "cache/pin.h"
#include "fs/enter.h"
#include "task/loop.h"

#define JOBS_DEFAULT 64
#define NAMES_ROUND  4096 /* names that are given, at a time */

bool mirror_must_stop(const struct mirror *mirror)
{
    return atomic_load(&mirror->stopped) || (mirror->status < 0 && mirror->options.on_error != LARDER_RETURN);
}

/* ---- the passes ---- */

static size_t count_files(const struct mirror *mirror)
{
    size_t count = 0;
    list_for_each (node, &mirror->files)
        count++;
    return count;
}

static int CO_FN fetch_files(struct mirror *mirror)
{
    return group_each(count_files(mirror), mirror->options.jobs_max, GROUP_FIRST, mirror_file_job, mirror);
}

static int CO_FN add_name(struct mirror *mirror, const char *name)
{
    struct larder_info info = {.name = name, .size = LARDER_SIZE_UNKNOWN};
    if (path_is_key(name))
        return filter_wants(&mirror->filter, name, false)
                   ? mirror_add_file(mirror, mirror->root, &info,
                                     mirror->pass == PASS_PLAN ? &mirror->plan : NULL)
                   : 0;
    if (mirror->pass != PASS_FETCH)
        return 0;
    return mirror_settle_path(mirror, mirror->root, name, fail(-EINVAL, "\"%s\" is no path", name));
}

/* Names that are given: nothing is known of them. */
static int CO_FN pass_names(struct mirror *mirror)
{
    const struct larder_mirror_options *options = &mirror->options;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < options->name_count && !mirror_must_stop(mirror);) {
        for (size_t end = i + NAMES_ROUND; rc == 0 && i < options->name_count && i < end; i++)
            rc = add_name(mirror, options->names[i]);
        if (rc == 0)
            rc = fetch_files(mirror);
    }
    return rc;
}

static int CO_FN pass_tree(struct mirror *mirror)
{
    size_t count;
    int rc = mirror_add_dir(mirror, mirror->root);
    while (rc == 0 && !mirror_must_stop(mirror) && (count = mirror_take_round(mirror)) > 0) {
        rc = group_each(count, LIST_JOBS, GROUP_FIRST, mirror_dir_job, mirror);
        if (rc == 0)
            rc = fetch_files(mirror);
    }
    return rc;
}

static int CO_FN pass(struct mirror *mirror, enum pass which)
{
    if (mirror_must_stop(mirror))
        return 0;
    mirror->pass = which;
    return mirror->options.names ? pass_names(mirror) : pass_tree(mirror);
}

/* ---- the cap ---- */

void tally_add(struct tally *tally, const struct tally *more)
{
    tally->files += more->files;
    tally->bytes += more->bytes;
    tally->takes += more->takes;
    tally->took += more->took;
    tally->unknown |= more->unknown;
}

/* All of it will be pinned: in place of what of it is pinned now, and beside all else that is. */
static int check_room(const struct mirror *mirror)
{
    struct cap cap;
    uint64_t latest = atomic_load(&mirror->store->size_max);
    int rc = cap_read(mirror->store, &cap);
    if (rc < 0)
        return rc;
    bool disk = latest < cap.size_max; /* of which there is less */
    int64_t room = (int64_t)(disk ? latest : cap.size_max) - (int64_t)cap.pinned + (int64_t)mirror->plan.took;
    if ((int64_t)mirror->plan.takes <= room)
        return 0;
    return fail(
        -ENOSPC,
        "%llu files take up to %llu bytes, and the cache has room for %lld beside what else is pinned: %s",
        (unsigned long long)mirror->plan.files, (unsigned long long)mirror->plan.takes,
        (long long)(room > 0 ? room : 0),
        disk ? "the disk is nearly full (cache.min_free)" : "raise cache.max_size");
}

static int CO_FN fetch(struct mirror *mirror)
{
    uint64_t refused = store_counted(mirror->store, COUNT_REFUSED);
    int rc = check_room(mirror);
    if (rc == 0 && !mirror->partial && !mirror->options.dry_run)
        rc = pin_set(mirror->store, &mirror->view->place, mirror->root, true);
    if (rc == 0)
        rc = pass(mirror, PASS_FETCH);
    if (rc == 0)
        rc = writer_flush_wait(mirror->store);
    if (rc == 0 && store_counted(mirror->store, COUNT_REFUSED) != refused)
        rc = pass(mirror, PASS_CHECK);
    return rc;
}

/* Where the place can tell of the tree at once, it need not be asked for each directory. If it cannot, each is asked for,
 * and has its own failure. */
static int CO_FN list_all(struct mirror *mirror)
{
    if (mirror->options.names || mirror->options.maxdepth)
        return 0;
    int rc = fetch_tree_kept(mirror->view, mirror->root, &mirror->list_terms);
    mirror->listed = rc == 0;
    return rc == 0 ? writer_flush_wait(mirror->store) : rc == -ECANCELED ? rc : 0;
}

static int CO_FN work(struct mirror *mirror)
{
    int rc = list_all(mirror);
    if (rc == 0)
        rc = pass(mirror, PASS_PLAN);
    mirror->stats.files = mirror->plan.files;
    if (rc == 0) /* the second pass reads what the first one stored */
        rc = writer_flush_wait(mirror->store);
    if (rc == 0 && !mirror_must_stop(mirror))
        rc = fetch(mirror);
    if (rc == 0 && !mirror_must_stop(mirror) && !mirror->options.names)
        rc = mirror_drop_gone(mirror);
    return rc;
}

static int CO_EDGE work_task(void *arg)
{
    return work(arg);
}

static int CO_FN run(struct mirror *mirror)
{
    mirror->loop = task_loop(task_current());
    edge_mail_open(&mirror->mail);
    group_init(&mirror->group, GROUP_FIRST, 0);
    waiters_init(&mirror->room);
    int rc = group_add(&mirror->group, work_task, mirror);
    int served = edge_mail_serve(&mirror->mail, &mirror->group);
    int flushed = writer_flush_wait(mirror->store);
    if (mirror_must_stop(mirror))
        return 0; /* the mirror's own status says why */
    return served < 0 ? served : rc < 0 ? rc : flushed;
}

static int CO_EDGE run_task(void *arg)
{
    return run(arg);
}

/* ---- the call ---- */

static int outcome(struct mirror *mirror, int rc)
{
    if (mirror->stop != 0)
        return mirror->stop;
    if (rc < 0)
        return rc;
    if (mirror->options.on_error == LARDER_RETURN)
        return mirror->stats.failed > INT32_MAX ? INT32_MAX : (int)mirror->stats.failed;
    if (mirror->status < 0)
        error_set_text(mirror->text);
    return mirror->status;
}

static int begin(struct mirror *mirror, struct larder_fs *fs)
{
    mirror->fs = fs;
    mirror->view = view_of(fs);
    if (!mirror->view)
        return fail(-EINVAL, "not a filesystem through a cache");
    if (mirror->view->mode == MODE_OFFLINE)
        return fail(-ENONET, "offline: nothing can be fetched");
    mirror->store = view_store(mirror->view);
    if (!mirror->store || mirror->store->read_only)
        return fail(-EROFS, "%s: the cache cannot be written", mirror->view->hold.dir);
    mirror->begun_ns = wall_ns();
    mirror->terms = mirror->list_terms = mirror->stored_terms = fs->terms;
    mirror->list_terms.age_max_ms = 0;
    mirror->stored_terms.age_max_ms = -1;
    mirror->stored_terms.ttl_ms = INT64_MAX;
    mirror->throttle.rate = mirror->options.rate_max;
    if (!mirror->options.jobs_max)
        mirror->options.jobs_max = JOBS_DEFAULT;
    int rc = filter_init(&mirror->filter, mirror->options.include, mirror->options.exclude);
    mirror->partial = mirror->options.names || mirror->options.maxdepth || mirror->filter.include_count ||
                      mirror->filter.exclude_count;
    return rc;
}

static void fini(struct mirror *mirror)
{
    mirror_free_dirs(mirror);
    mirror_free_files(mirror);
    mirror_free_skipped(mirror);
    filter_fini(&mirror->filter);
    mem_free(mirror->text);
}

int larder_mirror(struct larder_fs *fs, const char *path, const struct larder_mirror_options *options,
                  struct larder_mirror_stats *out)
{
    struct mirror mirror = {.wake = {.run = mirror_wake}};
    autofree char *root = NULL;
    error_clear();
    int rc = path_resolve(fs->root, path, &root, NULL);
    if (rc == 0)
        rc = tuning_take(&mirror.options, sizeof mirror.options, options);
    if (rc == 0)
        rc = tuning_check(out);
    if (rc < 0)
        return rc;
    mirror.root = root;
    list_init(&mirror.dirs);
    list_init(&mirror.files);
    list_init(&mirror.round);
    rc = enter_begin(fs, path);
    if (rc < 0)
        return rc;
    rc = begin(&mirror, fs);
    if (rc == 0)
        rc = enter_inside(fs, root, run_task, &mirror);
    enter_end(fs);
    rc = outcome(&mirror, rc);
    tuning_give(out, &mirror.stats, sizeof mirror.stats);
    fini(&mirror);
    return error_finish(rc, path);
}
