/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: one directory whole (ls), a tree as a stream (walk), a tree collected (find).
 *
 * A walk holds
 *   todo    directories not yet listed to their end, as a stack: what was found on a page comes before the directory's
 *           next page, so that it stays small however wide the tree is
 *   pages   what was listed and not yet returned
 * and when it has no page, lists the next page of up to jobs_max directories at once. With a filter (glob) it shows and
 * goes into what the filter says. Where all that is below a directory is wanted, and the place can tell it at once
 * (list_tree), it is asked so.
 */
#include "fs/walk.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/walk_page.h"
#include "task/loop.h"

#define DEPTH_MAX    512 /* links that lead back up make trees without end */
#define JOBS_DEFAULT 16

struct walk_dir {
    struct list node;
    unsigned depth; /* of its entries: 1 at the top */
    struct cursor cursor;
    struct walk_page page;
    bool tree;        /* list_tree is asked */
    const char *stem; /* else: as of terms; the filter's */
    bool arrived;     /* the entry just shown is a directory */
    bool listed;      /* by the fetch under way */
    int status;
    char *text;  /* of a failure; mem */
    char path[]; /* relative to the walk's root */
};

struct larder_walk {
    struct larder_fs *fs;
    char *root; /* full */
    struct larder_find_options options;
    bool trees; /* what may be listed as one is */
    struct list todo, pages;
    struct list *below;       /* in todo: what was on top when the page at hand was begun */
    struct walk_dir *descend; /* found by the last entry, gone into unless it is pruned */
    struct walk_dir *failed;  /* what the last failure was of */
    struct walk_filter *filter;
    /* where the walk begins, as an entry: to be returned first, if it is there */
    enum walk_self self;
    char *self_path;
    struct larder_info self_info;
};

static void dir_free(struct walk_dir *dir)
{
    if (!dir)
        return;
    cursor_free(&dir->cursor);
    walk_page_fini(&dir->page);
    mem_free(dir->text);
    mem_free(dir);
}

static struct walk_dir *dir_new(const char *parent, const char *name, unsigned depth)
{
    size_t parent_size = strlen(parent), name_size = strlen(name);
    struct walk_dir *dir = mem_zero(sizeof *dir + parent_size + 1 + name_size + 1);
    if (!dir)
        return NULL;
    memcpy(dir->path, parent, parent_size);
    if (parent_size)
        dir->path[parent_size++] = '/';
    memcpy(dir->path + parent_size, name, name_size + 1);
    dir->depth = depth;
    walk_page_init(&dir->page, dir->path);
    list_init(&dir->node);
    return dir;
}

/* ---- ls ---- */

int CO_FN list_whole(struct larder_fs *fs, const char *path, const char *name, const struct terms *terms,
                     struct larder_entries *out)
{
    struct entries_builder builder = {0};
    struct cursor cursor = {0};
    struct larder_entries page = {0};
    bool shallow = true;
    int rc = walk_page_list(fs, path, name, terms, &cursor, &page, &shallow);
    if (rc == 0 && cursor.end) { /* in one page, as most are: no copy */
        *out = page;
        cursor_free(&cursor);
        return 0;
    }
    while (rc == 0) {
        for (size_t i = 0; rc == 0 && i < page.count; i++)
            rc = entries_add(&builder, &page.info[i]);
        larder_entries_free(&page);
        if (rc < 0 || cursor.end)
            break;
        rc = walk_page_list(fs, path, name, terms, &cursor, &page, &shallow);
    }
    cursor_free(&cursor);
    if (rc < 0)
        entries_discard(&builder);
    else
        entries_finish(&builder, out);
    return rc;
}

struct ls_call {
    struct larder_fs *fs;
    const char *path;
    struct larder_entries *out;
};

static int CO_FN ls(struct ls_call *call)
{
    struct larder_fs *fs = call->fs;
    return list_whole(fs, call->path, path_name(call->path), &fs->terms, call->out);
}

static int CO_EDGE ls_task(void *arg)
{
    return ls(arg);
}

int larder_ls(struct larder_fs *fs, const char *path, struct larder_entries *out)
{
    autofree char *full = NULL;
    struct larder_entries entries = {0};
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc < 0)
        return rc;
    struct ls_call call = {fs, full, &entries};
    rc = enter_task(fs, path, ls_task, &call);
    if (rc < 0)
        return rc;
    entries_sort(&entries);
    *out = entries;
    return 0;
}

/* ---- walk ---- */

/* `root` is full, and taken over; NULL: out of memory. */
static int walk_new(struct larder_fs *fs, char *root, const char *top,
                    const struct larder_find_options *options, struct larder_walk **out)
{
    struct larder_walk *walk = mem_zero(sizeof *walk);
    struct walk_dir *dir = dir_new("", top, 1);
    int rc = walk && dir && root ? tuning_take(&walk->options, sizeof walk->options, options) : fail_memory();
    if (rc < 0) {
        mem_free(walk);
        mem_free(root);
        dir_free(dir);
        return rc;
    }
    walk->fs = larder_fs_ref(fs);
    walk->root = root;
    if (!walk->options.jobs_max)
        walk->options.jobs_max = JOBS_DEFAULT;
    walk->trees = walk->options.maxdepth == 0 && layer_has_trees(fs->instance);
    dir->tree = walk->trees;
    list_init(&walk->todo);
    list_init(&walk->pages);
    list_push(&walk->todo, &dir->node);
    *out = walk;
    return 0;
}

int walk_open(struct larder_fs *fs, const char *path, const struct larder_find_options *options,
              struct larder_walk **out)
{
    char *root = NULL;
    error_clear();
    int rc = path_resolve(fs->root, path, &root, NULL);
    return rc < 0 ? rc : walk_new(fs, root, "", options, out);
}

int larder_walk_open(struct larder_fs *fs, const char *path, const struct larder_find_options *options,
                     struct larder_walk **out)
{
    struct larder_find_options given = {0};
    error_clear();
    int rc = tuning_take(&given, sizeof given, options);
    if (rc == 0 && given.failed)
        rc = fail(-EINVAL, "larder_walk_open: `failed` is of find and du: larder_walk_next tells itself");
    return rc < 0 ? rc : walk_open(fs, path, options, out);
}

/* How a directory is listed into which the filter has just led. */
static void follow_filter(const struct larder_walk *walk, struct walk_dir *dir)
{
    dir->tree = walk->trees && walk->filter->all;
    dir->stem = dir->tree ? NULL : walk->filter->stem;
}

int walk_begin(struct larder_fs *fs, const char *top, enum walk_self self,
               const struct larder_find_options *options, struct walk_filter *filter,
               struct larder_walk **out)
{
    struct larder_walk *walk;
    char *self_path = mem_dup(top);
    int rc = self_path ? walk_new(fs, mem_dup(fs->root), top, options, &walk) : fail_memory();
    if (rc < 0) {
        mem_free(self_path);
        if (filter)
            filter->free(filter);
        return rc;
    }
    walk->self = self;
    walk->self_path = self_path;
    walk->filter = filter;
    if (filter)
        follow_filter(walk, container_of(walk->todo.next, struct walk_dir, node));
    *out = walk;
    return 0;
}

static void dirs_free(struct list *dirs)
{
    struct list *node;
    while ((node = list_pop(dirs)))
        dir_free(container_of(node, struct walk_dir, node));
}

void larder_walk_free(struct larder_walk *walk)
{
    if (!walk)
        return;
    dirs_free(&walk->todo);
    dirs_free(&walk->pages);
    dir_free(walk->descend);
    dir_free(walk->failed);
    if (walk->filter)
        walk->filter->free(walk->filter);
    larder_info_free(&walk->self_info);
    mem_free(walk->self_path);
    larder_fs_free(walk->fs);
    mem_free(walk->root);
    mem_free(walk);
}

void larder_walk_prune(struct larder_walk *walk)
{
    dir_free(take(walk->descend));
}

/* What was there when its parent was listed may be gone when its turn comes, and nothing is below a missing root. */
static int CO_FN walk_list(struct larder_walk *walk, struct walk_dir *dir)
{
    struct deadline deadline;
    autofree char *full = path_join(walk->root, dir->path);
    if (!full)
        return fail_memory();
    deadline_begin(&deadline, walk->fs->timeout_ms > 0 ? (uint64_t)walk->fs->timeout_ms : 0);
    dir->page.shallow = !dir->tree;
    struct terms terms = walk->fs->terms;
    terms.names_only = walk->options.names_only;
    terms.stem = dir->stem;
    int rc = walk_page_list(walk->fs, full, "", &terms, &dir->cursor, &dir->page.entries, &dir->page.shallow);
    rc = deadline_end(&deadline, rc, full);
    if (rc == -ECANCELED)
        return rc; /* the call's end, not the directory's: it stays to be done */
    dir->listed = true;
    if (rc == -ENOENT) {
        error_clear();
        dir->cursor.end = true;
    } else if (rc < 0) {
        dir->status = rc;
        dir->text = mem_dup(error_text());
        dir->cursor.end = true;
    }
    return 0;
}

struct fetch_call {
    struct larder_walk *walk;
    struct walk_dir *dirs[64];
    size_t count;
};

static int CO_EDGE fetch_one(void *arg, size_t index)
{
    struct fetch_call *call = arg;
    return walk_list(call->walk, call->dirs[index]);
}

static int CO_FN fetch(struct fetch_call *call)
{
    return group_each(call->count, call->walk->options.jobs_max, GROUP_ALL, fetch_one, call);
}

static int CO_EDGE fetch_task(void *arg)
{
    return fetch(arg);
}

/* The next page of the directories on top of the stack. A call that is cancelled leaves them where they were. */
static int walk_fetch(struct larder_walk *walk)
{
    struct fetch_call call = {walk, .count = 0};
    struct list *node = walk->todo.prev;
    size_t count_max = walk->options.jobs_max < 64 ? walk->options.jobs_max : 64;
    for (; node != &walk->todo && call.count < count_max; node = node->prev)
        call.dirs[call.count++] = container_of(node, struct walk_dir, node);
    int rc = enter_task_untimed(walk->fs, walk->root, fetch_task, &call); /* the timeout is each listing's */
    for (size_t i = 0; i < call.count; i++) {
        struct walk_dir *dir = call.dirs[i];
        if (!dir->listed)
            continue;
        dir->listed = false;
        list_remove(&dir->node);
        list_push(&walk->pages, &dir->node);
    }
    return rc;
}

/* Done with a page: either its directory goes on, or it goes. */
static int walk_turn(struct larder_walk *walk, struct walk_dir *dir)
{
    int rc = dir->status;
    list_remove(&dir->node);
    if (rc < 0) {
        error_set_text(dir->text);
        walk->failed = dir;
        return rc;
    }
    if (dir->cursor.end) {
        dir_free(dir);
        return rc;
    }
    larder_entries_free(&dir->page.entries);
    dir->page.next = 0;
    list_push(walk->below->next, &dir->node); /* behind that one */
    return rc;
}

static int walk_plan(struct larder_walk *walk, const struct walk_page *page, unsigned depth)
{
    if (walk->options.maxdepth && depth >= walk->options.maxdepth)
        return 0;
    if (depth >= DEPTH_MAX)
        return fail(-ELOOP, "%s/%s: deeper than %d directories", page->dir, page->entry.name, DEPTH_MAX);
    walk->descend = dir_new(page->dir, page->entry.name, depth + 1);
    if (!walk->descend)
        return fail_memory();
    walk->descend->tree = walk->trees;
    if (walk->filter)
        follow_filter(walk, walk->descend);
    return 0;
}

/* Show the entry? `walk->descend` is set where the walk goes into it. */
static int walk_judge(struct larder_walk *walk, struct walk_dir *at, bool *shown)
{
    struct walk_page *page = &at->page;
    struct walk_filter *filter = walk->filter;
    bool deeper = true;
    at->arrived = page->entry.type == LARDER_DIRECTORY;
    if (filter && page->moved)
        filter->enter(filter, page->dir);
    *shown =
        (!filter || filter->wants(filter, &page->entry, &deeper)) && (!at->arrived || walk->options.dirs);
    if (!at->arrived || !deeper)
        return 0;
    return walk_plan(walk, page, at->depth + walk_page_level(page) - 1);
}

/* Of a directory that was shown: what is below it is passed over, or comes next, or is listed by itself. */
static void walk_settle(struct larder_walk *walk)
{
    if (list_empty(&walk->pages))
        return;
    struct walk_dir *at = container_of(walk->pages.next, struct walk_dir, node);
    if (!at->arrived)
        return;
    struct walk_dir *descend = take(walk->descend);
    at->arrived = false;
    if (!descend)
        walk_page_pass(&at->page);
    else if (at->page.shallow && !walk_page_goes_in(&at->page))
        list_push(&walk->todo, &descend->node);
    else
        dir_free(descend);
}

/* The entry that the walk begins at; 0: it is not to be shown. A failure that is not the call's own leaves it out. */
static int walk_self(struct larder_walk *walk, const char **dir, const struct larder_info **entry)
{
    enum walk_self self = walk->self;
    struct larder_info info;
    int rc = larder_info(walk->fs, walk->self_path, &info);
    if (rc == -ENOTDIR)
        rc = -ENOENT; /* it would be below a file */
    if (rc == -ECANCELED || rc == -ETIMEDOUT)
        return rc;
    walk->self = WALK_BELOW;
    bool directory = rc == 0 && info.type == LARDER_DIRECTORY;
    if (self == WALK_SELF || (rc == 0 && !directory) || rc == -ENOENT)
        dirs_free(&walk->todo);
    if (rc == -ENOENT) {
        error_clear();
        return 0;
    }
    if (rc < 0)
        return rc;
    walk->self_info = info;
    if (directory ? !walk->options.dirs : self != WALK_SELF)
        return 0;
    char *slash = strrchr(walk->self_path, '/');
    if (slash)
        *slash = 0;
    walk->self_info.name = slash ? slash + 1 : walk->self_path;
    *dir = slash ? walk->self_path : "";
    *entry = &walk->self_info;
    return 1;
}

int larder_walk_next(struct larder_walk *walk, const char **dir, const struct larder_info **entry)
{
    error_clear();
    dir_free(take(walk->failed));
    if (walk->self != WALK_BELOW) {
        int rc = walk_self(walk, dir, entry);
        if (rc != 0)
            return rc;
    }
    for (;;) {
        walk_settle(walk);
        if (list_empty(&walk->pages)) {
            if (list_empty(&walk->todo))
                return 0;
            int rc = walk_fetch(walk);
            if (rc < 0)
                return rc;
        }
        struct walk_dir *at = container_of(walk->pages.next, struct walk_dir, node);
        bool shown = false;
        if (at->page.next == 0)
            walk->below = walk->todo.prev; /* a page is begun: while it is at hand, todo only grows */
        int rc = walk_page_next(&at->page);
        if (rc == 0)
            rc = walk_turn(walk, at);
        else if (rc > 0)
            rc = walk_judge(walk, at, &shown);
        if (rc < 0)
            return rc;
        if (!shown)
            continue;
        *dir = at->page.dir;
        *entry = &at->page.entry;
        return 1;
    }
}

const char *walk_failed(const struct larder_walk *walk)
{
    return walk->failed ? walk->failed->path : NULL;
}

/* ---- find ---- */

int walk_leave_out(const struct larder_walk *walk, int status)
{
    const struct larder_find_options *options = &walk->options;
    return walk->failed && options->failed ? options->failed(options->arg, walk->failed->path, status)
                                           : status;
}

int walk_collect(struct larder_walk *walk, struct larder_entries *out)
{
    struct entries_builder builder = {0};
    struct larder_entries found;
    const struct larder_info *entry;
    const char *dir;
    int rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) != 0) {
        rc = rc < 0 ? walk_leave_out(walk, rc) : entries_add_below(&builder, dir, entry);
        if (rc != 0)
            break;
    }
    larder_walk_free(walk);
    if (rc != 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, &found);
    entries_sort(&found);
    *out = found;
    return 0;
}

int larder_find(struct larder_fs *fs, const char *path, const struct larder_find_options *options,
                struct larder_entries *out)
{
    struct larder_walk *walk;
    int rc = walk_open(fs, path, options, &walk);
    return rc < 0 ? rc : walk_collect(walk, out);
}
