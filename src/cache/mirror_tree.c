/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/mirror.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"

#define DEPTH_MAX 512 /* of directories, as of a walk */

/* ---- what is passed over ---- */

struct skipped {
    struct table_entry entry;
    char path[];
};

void mirror_skip(struct mirror *mirror, const char *path)
{
    size_t size = strlen(path);
    struct skipped *skipped = mem_alloc(sizeof *skipped + size + 1);
    if (!skipped)
        return; /* it is gone into once more, and found again for what it is */
    memcpy(skipped->path, path, size + 1);
    if (table_find(&mirror->skipped, path, size) ||
        table_add(&mirror->skipped, &skipped->entry, skipped->path, size) < 0)
        mem_free(skipped);
}

bool mirror_is_skipped(const struct mirror *mirror, const char *path)
{
    return table_find(&mirror->skipped, path, strlen(path));
}

void mirror_free_skipped(struct mirror *mirror)
{
    struct table_entry *entry;
    while ((entry = table_next(&mirror->skipped, NULL))) {
        table_remove(&mirror->skipped, entry);
        mem_free(container_of(entry, struct skipped, entry));
    }
    table_fini(&mirror->skipped);
}

/* ---- directories to do ---- */

struct dir {
    struct list node;
    struct cursor cursor;
    struct list below;  /* its directories: gone into when it is known to be no link */
    struct tally tally; /* of its files, in the plan when … the same */
    uint64_t sum;       /* of what its listing says so far */
    bool has_file;      /* whose size and time are known */
    unsigned depth;
    uint64_t *above; /* the sums of the directories above, `depth` of them */
    char *path;      /* full */
};

static struct dir *dir_new(const struct dir *parent, const char *dir_path, const char *name)
{
    size_t dir_size = strlen(dir_path), name_size = strlen(name);
    unsigned depth = parent ? parent->depth + 1 : 0;
    struct dir *dir = mem_zero(sizeof *dir + depth * sizeof *dir->above + dir_size + 1 + name_size + 1);
    if (!dir)
        return NULL;
    list_init(&dir->node);
    list_init(&dir->below);
    dir->depth = depth;
    dir->above = (uint64_t *)(dir + 1);
    if (parent) /* the parent's own sum is known once its listing has ended */
        memcpy(dir->above, parent->above, parent->depth * sizeof *dir->above);
    dir->path = (char *)(dir->above + depth);
    char *at = mempcpy(dir->path, dir_path, dir_size);
    if (dir_size && name_size)
        *at++ = '/';
    memcpy(at, name, name_size + 1);
    return dir;
}

static void free_list(struct list *dirs);

static void dir_free(struct dir *dir)
{
    free_list(&dir->below);
    cursor_free(&dir->cursor);
    mem_free(dir);
}

static void free_list(struct list *dirs)
{
    struct list *node;
    while ((node = list_pop(dirs)))
        dir_free(container_of(node, struct dir, node));
}

void mirror_free_dirs(struct mirror *mirror)
{
    free_list(&mirror->dirs);
    free_list(&mirror->round);
}

int mirror_add_dir(struct mirror *mirror, const char *path)
{
    struct dir *dir = dir_new(NULL, path, "");
    if (!dir)
        return fail_memory();
    list_push(&mirror->dirs, &dir->node);
    return 0;
}

size_t mirror_take_round(struct mirror *mirror)
{
    size_t count = 0;
    while (count < LIST_JOBS && !list_empty(&mirror->dirs)) {
        struct list *node = mirror->dirs.prev; /* the latest: depth first keeps the list short */
        list_remove(node);
        list_push(&mirror->round, node);
        count++;
    }
    return count;
}

/* ---- links that lead back up ---- */

/*
 * Over HTTP a link looks like any directory. But what it leads to is listed as that is: a directory that lists to the
 * letter what one above it does, with sizes and times, is taken for a link to it. Listings that have no files are told
 * apart by their times only, so a longer row of equal ones is asked for.
 */
#define EQUAL_MAX 8

static void sum_entry(struct dir *dir, const struct larder_info *info)
{
    struct {
        uint64_t sum, name;
        int64_t size, mtime_ns;
        uint64_t type;
    } all = {dir->sum, hash_bytes(info->name, strlen(info->name)), info->size, info->mtime_ns, info->type};
    dir->sum = hash_bytes(&all, sizeof all);
    dir->has_file |= info->type == LARDER_FILE && info->size >= 0 && info->mtime_ns;
}

static bool leads_up(const struct dir *dir)
{
    unsigned equal = 0;
    for (unsigned i = 0; i < dir->depth; i++)
        equal += dir->above[i] == dir->sum;
    return equal >= (dir->has_file ? 1 : EQUAL_MAX);
}

/* ---- a page ---- */

static int take_directory(struct mirror *mirror, struct dir *dir, const struct larder_info *info)
{
    bool too_deep = mirror->options.maxdepth && dir->depth + 1 >= mirror->options.maxdepth;
    struct dir *below = too_deep ? NULL : dir_new(dir, dir->path, info->name);
    if (too_deep)
        return 0;
    if (!below)
        return fail_memory();
    const char *path = path_below(mirror->root, below->path);
    if (!filter_wants(&mirror->filter, path, true) || mirror_is_skipped(mirror, below->path))
        dir_free(below);
    else
        list_push(&dir->below, &below->node);
    return 0;
}

static int take_page(struct mirror *mirror, struct dir *dir, const struct larder_entries *page)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->count; i++) {
        const struct larder_info *info = &page->info[i];
        sum_entry(dir, info);
        if (info->type == LARDER_FILE)
            rc = mirror_add_file(mirror, dir->path, info, mirror->pass == PASS_PLAN ? &dir->tally : NULL);
        else if (info->type == LARDER_DIRECTORY)
            rc = take_directory(mirror, dir, info);
    }
    return rc;
}

/* Its listing is complete. */
static int end_listing(struct mirror *mirror, struct dir *dir)
{
    struct list *node;
    if (mirror->pass == PASS_PLAN && leads_up(dir)) {
        log_at(LARDER_LOG_WARNING,
               "%s: it lists what a directory above it does, and is taken for a link to that", dir->path);
        mirror_skip(mirror, dir->path);
        return 0;
    }
    if (dir->depth == DEPTH_MAX && !list_empty(&dir->below))
        return fail(-ELOOP, "%s: more than %d directories deep", dir->path, DEPTH_MAX);
    while ((node = list_pop(&dir->below))) {
        container_of(node, struct dir, node)->above[dir->depth] = dir->sum;
        list_push(&mirror->dirs, node);
    }
    tally_add(&mirror->plan, &dir->tally);
    return 0;
}

/* The root may be a file. */
static int CO_FN take_root(struct mirror *mirror)
{
    struct answer answer = {0};
    int rc = fetch_info(&mirror->view->instance, mirror->root, &mirror->terms, &answer);
    answer.info.name = "";
    if (rc == 0 && answer.info.type == LARDER_FILE)
        rc = mirror_add_file(mirror, mirror->root, &answer.info,
                             mirror->pass == PASS_PLAN ? &mirror->plan : NULL);
    else if (rc == 0)
        rc = fail(-ENOTDIR, "%s: it cannot be listed", mirror->root);
    mirror->root_is_file = rc == 0;
    answer_free(&answer);
    return rc;
}

/* 1: there is more; 0: that was all of it. */
static int CO_FN do_page(struct mirror *mirror, struct dir *dir)
{
    struct larder_entries page = {0};
    struct terms terms = mirror->pass == PASS_PLAN ? mirror->list_terms : mirror->stored_terms;
    if (mirror->root_is_file)
        return take_root(mirror);
    if (mirror->pass == PASS_PLAN && mirror->listed) {
        terms.ttl_ms = INT64_MAX;
        terms.age_max_ms = -1;
        terms.since_ns = mirror->begun_ns;
    }
    int rc = fetch_list_kept(mirror->view, dir->path, &terms, &dir->cursor, &page);
    if (rc == -ENOTDIR && dir->depth == 0)
        return take_root(mirror);
    if (rc == 0)
        rc = take_page(mirror, dir, &page);
    larder_entries_free(&page);
    if (rc == 0 && !dir->cursor.end)
        return 1;
    return rc < 0 ? rc : end_listing(mirror, dir);
}

static int CO_FN next_dir(struct mirror *mirror)
{
    struct list *node = mirror_must_stop(mirror) ? NULL : list_pop(&mirror->round);
    if (!node)
        return 0;
    struct dir *dir = container_of(node, struct dir, node);
    int rc = do_page(mirror, dir);
    if (rc == 1) {
        list_push(&mirror->dirs, &dir->node);
        return 0;
    }
    if (rc < 0 && rc != -ECANCELED) {
        rc = mirror_settle_path(mirror, dir->path, "", error_finish(rc, dir->path));
    }
    dir_free(dir);
    return rc;
}

int CO_EDGE mirror_dir_job(void *arg, size_t index)
{
    return next_dir(arg);
}
