/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/list_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/scan.h"
#include "task/task.h"

/* A listing that was stored before the place was asked. Paths of one hash: one of them is not kept. */
struct before {
    uint64_t path_hash, id;
};

/* A directory whose run is being told, or was: then it waits to be queued. */
struct listed_dir {
    struct list node;
    struct entries_builder builder; /* what is not packed yet */
    struct coming coming;
    bool any, lost; /* some entry; some that could not be packed */
    bool shallow;   /* perhaps it was not looked into */
    size_t size;    /* of the path */
    char path[];    /* full */
};

struct listed_tree {
    struct view *view;
    struct store *store;
    bool wait, spoilt;
    /* as it was before */
    struct seen seen; /* of the top */
    struct before *before;
    size_t before_count, before_capacity;
    /* as it is told */
    int64_t answered_ns; /* the first page */
    bool shallow;        /* this page */
    struct list open;    /* from the top down to the directory at hand */
    struct list whole;
    size_t top_size;
    char top[]; /* its path */
};

/* ---- what was there before ---- */

static int note_before(void *arg, const struct stored *stored)
{
    struct listed_tree *tree = arg;
    if (tree->before_count == tree->before_capacity) {
        size_t capacity = tree->before_capacity ? 2 * tree->before_capacity : 64;
        struct before *before = mem_resize(tree->before, capacity * sizeof *before);
        if (!before)
            return fail_memory();
        tree->before = before;
        tree->before_capacity = capacity;
    }
    tree->before[tree->before_count++] =
        (struct before){hash_bytes(stored->path, strlen(stored->path)), stored->record->head.id};
    return 0;
}

static int compare_before(const void *a, const void *b)
{
    const struct before *x = a, *y = b;
    return x->path_hash < y->path_hash ? -1 : x->path_hash > y->path_hash;
}

static int look_before(void *arg)
{
    struct listed_tree *tree = arg;
    int rc = store_seen(tree->store, KEY_LISTING, &tree->view->place, tree->top, &tree->seen);
    if (rc == 0)
        rc = scan_records(tree->store, KEY_LISTING, &tree->view->place, tree->top, note_before, tree);
    if (rc == 0 && tree->before_count > 0)
        qsort(tree->before, tree->before_count, sizeof *tree->before, compare_before);
    return rc;
}

static struct seen seen_before(const struct listed_tree *tree, const char *path)
{
    struct before key = {.path_hash = hash_bytes(path, strlen(path))};
    const struct before *before = tree->before_count ? bsearch(&key, tree->before, tree->before_count,
                                                               sizeof *tree->before, compare_before)
                                                     : NULL;
    return (struct seen){.id = before ? before->id : 0, .epoch = tree->seen.epoch};
}

/* ---- directories ---- */

static void dir_free(struct listed_tree *tree, struct listed_dir *dir)
{
    coming_drop(&dir->coming, tree->store);
    answer_free(&dir->coming.answer);
    entries_discard(&dir->builder);
    mem_free(dir);
}

static struct listed_dir *deepest(const struct listed_tree *tree)
{
    return container_of(tree->open.prev, struct listed_dir, node);
}

/* `size` bytes of `path`, below the top. */
static int open_dir(struct listed_tree *tree, const char *path, size_t size)
{
    struct listed_dir *dir = mem_zero(sizeof *dir + tree->top_size + 1 + size + 1);
    if (!dir)
        return fail_memory();
    char *at = mempcpy(dir->path, tree->top, tree->top_size);
    if (tree->top_size > 0 && size > 0)
        *at++ = '/';
    memcpy(at, path, size);
    dir->size = (size_t)(at - dir->path) + size;
    dir->shallow = tree->shallow;
    dir->coming.answered_ns = tree->answered_ns;
    dir->coming.seen = seen_before(tree, dir->path);
    list_push(&tree->open, &dir->node);
    return 0;
}

static void pack_entries(struct listed_tree *tree, struct listed_dir *dir)
{
    struct larder_entries page;
    entries_finish(&dir->builder, &page);
    if (listing_add(&dir->coming.pages, &page, tree->view->packing.level) < 0)
        dir->lost = true;
    larder_entries_free(&page);
}

/* Nothing more comes of it. One that is empty, and may not have been looked into, is left to who asks for it. */
static void close_dir(struct listed_tree *tree)
{
    struct listed_dir *dir = deepest(tree);
    bool top = tree->open.next == &dir->node;
    list_remove(&dir->node);
    pack_entries(tree, dir);
    if (dir->lost || (!dir->any && !top && (dir->shallow || tree->shallow)))
        dir_free(tree, dir);
    else
        list_push(&tree->whole, &dir->node);
}

static int add_entry(struct listed_tree *tree, const struct larder_info *info)
{
    struct listed_dir *dir = deepest(tree);
    dir->any = true;
    int rc = entries_add(&dir->builder, info);
    if (rc == 0 && dir->builder.count >= PAGE_ENTRIES)
        pack_entries(tree, dir);
    return rc;
}

/* ---- pages ---- */

/* How much of an entry's path is that of the directory at hand; a slash is behind it. */
static size_t depth_of(const struct listed_tree *tree)
{
    size_t size = deepest(tree)->size;
    return size > tree->top_size ? size - tree->top_size - (tree->top_size > 0) : 0;
}

static bool is_in(const struct listed_tree *tree, const char *path)
{
    const char *below = path_below(tree->top, deepest(tree)->path);
    size_t size = depth_of(tree);
    return size == 0 || (strncmp(path, below, size) == 0 && path[size] == '/');
}

/* The entry, and the directories above it that have none of their own. */
static int tell(struct listed_tree *tree, const struct larder_info *info)
{
    const char *path = info->name;
    int rc = 0;
    while (!is_in(tree, path))
        close_dir(tree);
    while (rc == 0) {
        size_t size = depth_of(tree), begin = size ? size + 1 : 0, end = begin + strcspn(path + begin, "/");
        struct larder_info entry = path[end] ? (struct larder_info){.type = LARDER_DIRECTORY} : *info;
        autofree char *name = mem_dup_n(path + begin, end - begin);
        entry.name = name;
        rc = name ? add_entry(tree, &entry) : fail_memory();
        if (rc == 0 && entry.type == LARDER_DIRECTORY)
            rc = open_dir(tree, path, end);
        if (!path[end])
            break;
    }
    return rc;
}

struct telling {
    struct listed_tree *tree;
    const struct larder_entries *page;
    bool end;
};

static int tell_page(void *arg)
{
    struct telling *telling = arg;
    struct listed_tree *tree = telling->tree;
    int rc = list_empty(&tree->open) ? open_dir(tree, "", 0) : 0;
    for (size_t i = 0; rc == 0 && i < telling->page->count; i++) {
        const struct larder_info *info = &telling->page->info[i];
        rc = path_is_key(info->name) ? tell(tree, info)
                                     : -EINVAL; /* of what is no path nobody knows where it lies */
    }
    while (rc == 0 && telling->end && !list_empty(&tree->open))
        close_dir(tree);
    return rc;
}

/* ---- into the store ---- */

static void CO_FN keep_whole(struct listed_tree *tree, const struct answer *answer, struct lock *lock)
{
    struct list *node;
    while ((node = list_pop(&tree->whole))) {
        struct listed_dir *dir = container_of(node, struct listed_dir, node);
        if (dir->size == tree->top_size)
            lock_move(&dir->coming.lock, lock);
        if (coming_reserve(&dir->coming, tree->store, tree->wait) == 0) {
            /* Of the listing of a directory alone the answer says only how long it may be believed. */
            dir->coming.answer = (struct answer){.info = {.type = LARDER_DIRECTORY},
                                                 .fresh_ms = answer->fresh_ms,
                                                 .stale_if_error_ms = answer->stale_if_error_ms,
                                                 .flags = answer->flags & ANSWER_MUST_REVALIDATE};
            coming_keep(&dir->coming, tree->view, tree->store, dir->path);
        }
        dir_free(tree, dir);
    }
}

void listed_tree_add(struct listed_tree *tree, const struct larder_entries *page, const struct answer *answer,
                     bool end, struct lock *lock)
{
    struct telling telling = {tree, page, end};
    tree->spoilt = tree->spoilt || (answer->flags & ANSWER_NO_STORE);
    if (tree->spoilt)
        return;
    if (!tree->answered_ns)
        tree->answered_ns = wall_ns();
    tree->shallow = answer->flags & ANSWER_SHALLOW;
    int rc = page->count > 64 ? offload(tell_page, &telling) : tell_page(&telling);
    tree->spoilt = rc < 0;
    keep_whole(tree, answer, lock);
}

void listed_tree_free(struct listed_tree *tree)
{
    struct list *node;
    if (!tree)
        return;
    while ((node = list_pop(&tree->open)) || (node = list_pop(&tree->whole)))
        dir_free(tree, container_of(node, struct listed_dir, node));
    mem_free(tree->before);
    mem_free(tree);
}

int listed_tree_new(struct view *view, struct store *store, const char *path, bool wait,
                    struct listed_tree **out)
{
    size_t size = strlen(path);
    struct listed_tree *tree = mem_zero(sizeof *tree + size + 1);
    if (!tree)
        return fail_memory();
    *tree = (struct listed_tree){.view = view, .store = store, .wait = wait, .top_size = size};
    memcpy(tree->top, path, size);
    list_init(&tree->open);
    list_init(&tree->whole);
    int rc = offload(look_before, tree);
    if (rc < 0)
        listed_tree_free(tree);
    else
        *out = tree;
    return rc;
}
