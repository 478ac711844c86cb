/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listing begins with a snapshot of what the overlay knows of the directory's children. First come the place's pages,
 * without what the snapshot says otherwise of, then the snapshot's own. So no name comes twice, whatever is written
 * meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "txn/view_parts.h"

/* One that has a change, or changes below. */
struct child {
    char *name; /* mem */
    enum overlay_fate fate;
    struct change *change; /* OVERLAY_FILE's, a reference */
    int64_t touched_ns;    /* 0: its time is the place's */
    bool shown;            /* by the place, as what it is */
};

struct listing {
    struct cursor next;
    bool next_over;      /* the place has no more, or need not be asked */
    bool file;           /* it was written, where a name may be a file's and a directory's */
    bool hid, any;       /* something of the place's; any entry was given */
    struct child *child; /* mem; by name */
    size_t count, capacity;
    size_t given; /* of them */
};

static void listing_free(void *state)
{
    struct listing *listing = state;
    cursor_free(&listing->next);
    for (size_t i = 0; i < listing->count; i++) {
        mem_free(listing->child[i].name);
        change_unref(listing->child[i].change);
    }
    mem_free(listing->child);
    mem_free(listing);
}

/* ---- the snapshot ---- */

static int add_child(struct listing *listing, const struct overlay *overlay, const char *path)
{
    struct change *change;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 16;
        struct child *longer = mem_resize(listing->child, capacity * sizeof *longer);
        if (!longer)
            return fail_memory();
        listing->child = longer;
        listing->capacity = capacity;
    }
    char *name = mem_dup(path_name(path));
    if (!name)
        return fail_memory();
    enum overlay_fate fate = overlay_look(overlay, path, &change);
    listing->child[listing->count++] =
        (struct child){.name = name,
                       .fate = fate,
                       .touched_ns = change && change->kind == CHANGE_TOUCH ? change->mtime_ns : 0,
                       .change = fate == OVERLAY_FILE ? change_ref(change) : NULL};
    return 0;
}

/* With the lock: the changes below `dir`, a child of it at a time. */
static int snapshot(struct listing *listing, const struct overlay *overlay, const char *dir)
{
    struct change *change = overlay_first_below(overlay, dir);
    int rc = 0;
    while (rc == 0 && change && path_within(dir, change->path)) {
        const char *name = path_below(dir, change->path);
        size_t size = (size_t)(name - change->path) + strcspn(name, "/");
        autofree char *path = mem_dup_n(change->path, size);
        rc = path ? add_child(listing, overlay, path) : fail_memory();
        change = rc == 0 ? overlay_next_outside(overlay, path) : NULL;
    }
    return rc;
}

static struct child *find_child(const struct listing *listing, const char *name)
{
    size_t low = 0, high = listing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(listing->child[middle].name, name);
        if (order == 0)
            return &listing->child[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int no_directory(const struct txn_view *view, const char *path)
{
    return fail_at(&view->instance, path, -ENOTDIR, "a file");
}

/* What this transaction made a directory is a new one; but where they are only implied, a file's removal makes none. */
static bool is_new(const struct txn_view *view, const struct change *change)
{
    return view->instance.can.real_directories || change->kind != CHANGE_REMOVE;
}

static int begin_locked(struct txn_view *view, const char *path, struct listing *listing)
{
    const struct overlay *overlay = &view->member->overlay;
    struct change *change;
    switch (overlay_look(overlay, path, &change)) {
    case OVERLAY_FILE:
        if (view->instance.can.real_directories)
            return no_directory(view, path);
        listing->file = true;
        break;
    case OVERLAY_GONE:
        return view_missing(view, path);
    case OVERLAY_DIRECTORY:
        listing->next_over = is_new(view, change);
        break;
    case OVERLAY_UNTOUCHED:
    case OVERLAY_IMPLIED:
    case OVERLAY_REMOVED:
        break;
    }
    return snapshot(listing, overlay, path);
}

static int begin(struct txn_view *view, const char *path, struct cursor *cursor)
{
    struct listing *listing = mem_zero(sizeof *listing);
    if (!listing)
        return fail_memory();
    cursor->state = listing;
    cursor->free_state = listing_free;
    int rc = txn_lock(txn_of(view), false);
    if (rc < 0)
        return rc;
    rc = begin_locked(view, path, listing);
    txn_unlock(txn_of(view));
    return rc;
}

/* ---- what the place shows ---- */

/* Is it still there? */
static int CO_FN stays(struct txn_view *view, const char *dir, struct child *child,
                       const struct larder_info *info)
{
    bool directory = info->type == LARDER_DIRECTORY, real = view->instance.can.real_directories;
    switch (child->fate) {
    case OVERLAY_GONE:
        return false;
    case OVERLAY_DIRECTORY:
        return false; /* it comes with the snapshot's */
    case OVERLAY_IMPLIED:
        child->shown |= directory;
        return true;
    case OVERLAY_UNTOUCHED:
        if (real || !directory)
            return true;
        break;
    case OVERLAY_FILE:
    case OVERLAY_REMOVED:
        if (real || !directory)
            return false;
        break;
    }
    autofree char *path = path_join(dir, info->name);
    return path ? view_lives(view, path) : fail_memory();
}

static int CO_FN filter(struct txn_view *view, const char *path, struct listing *listing,
                        const struct larder_entries *from, struct entries_builder *builder)
{
    for (size_t i = 0; i < from->count; i++) {
        struct larder_info info = from->info[i];
        struct child *child = find_child(listing, info.name);
        int rc = child ? stays(view, path, child, &info) : true;
        if (child && child->touched_ns)
            info.mtime_ns = child->touched_ns;
        if (rc > 0)
            rc = entries_add(builder, &info);
        else
            listing->hid |= rc == 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The place's next page. Where the transaction has something it need not know the directory. */
static int CO_FN list_place(struct txn_view *view, const char *path, const struct terms *terms,
                            struct listing *listing, struct entries_builder *builder, struct answer *out)
{
    struct larder_entries page = {0};
    struct answer answer = {0};
    int rc = layer_list(txn_view_next(view), path, terms, &listing->next, &page, &answer);
    if ((rc == -ENOENT || rc == -ENOTDIR) && (listing->count > 0 || listing->file)) {
        error_clear();
        listing->next_over = true;
        return 0;
    }
    if (rc == 0) {
        listing->next_over = listing->next.end;
        rc = filter(view, path, listing, &page, builder);
    }
    larder_entries_free(&page);
    answer_free(out);
    *out = answer;
    return rc;
}

/* ---- what the transaction shows ---- */

static int add_own(struct listing *listing, struct entries_builder *builder)
{
    char version[CHANGE_VERSION_SIZE];
    for (; listing->given < listing->count && builder->count < PAGE_ENTRIES; listing->given++) {
        const struct child *child = &listing->child[listing->given];
        struct answer answer = {.info = {.type = LARDER_DIRECTORY}};
        bool directory =
            child->fate == OVERLAY_DIRECTORY || (child->fate == OVERLAY_IMPLIED && !child->shown);
        if (child->fate == OVERLAY_FILE)
            change_describe(child->change, version, &answer);
        else if (!directory)
            continue;
        answer.info.name = child->name;
        int rc = entries_add(builder, &answer.info);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A page that has something in it, or the last. */
static int CO_FN next_page(struct txn_view *view, const char *path, const struct terms *terms,
                           struct listing *listing, struct entries_builder *builder, struct answer *out)
{
    int rc = 0;
    while (rc == 0 && builder->count == 0 && !listing->next_over)
        rc = list_place(view, path, terms, listing, builder, out);
    if (rc == 0 && listing->next_over)
        rc = add_own(listing, builder);
    listing->any |= builder->count > 0;
    bool empty = !listing->any && listing->next_over && listing->given == listing->count;
    if (rc == 0 && empty && listing->file)
        return no_directory(view, path);
    if (rc == 0 && empty && listing->hid && *path && !view->instance.can.real_directories)
        rc = view_missing(view, path); /* what implied it was removed */
    return rc;
}

int CO_FN txn_list(struct instance *instance, const char *path, const struct terms *terms,
                   struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct txn_view *view = txn_view_of(instance);
    struct entries_builder builder = {0};
    struct answer answer = {.info = {.type = LARDER_DIRECTORY}, .fresh_ms = 0, .stale_if_error_ms = -1};
    int rc = cursor->state ? 0 : begin(view, path, cursor);
    struct listing *listing = cursor->state;
    if (rc == 0)
        rc = next_page(view, path, terms, listing, &builder, &answer);
    if (rc < 0) {
        entries_discard(&builder);
        answer_free(&answer);
        return rc;
    }
    if (listing->count > 0) { /* it is no longer what this names */
        answer.info.version = answer.validator = NULL;
        answer.fresh_ms = 0;
    }
    entries_finish(&builder, page);
    cursor->end = listing->next_over && listing->given == listing->count;
    *out = answer;
    return 0;
}

/* ---- is anything left of a directory that is only implied? ---- */

/* Directories that are still to be looked through, whose every known entry was removed. */
struct doubts {
    char **path; /* mem; of mem */
    size_t count, capacity;
};

/* Takes over `path`. */
static int doubt(struct doubts *doubts, char *path)
{
    if (path && doubts->count == doubts->capacity) {
        size_t capacity = doubts->capacity ? doubts->capacity * 2 : 8;
        char **longer = mem_resize(doubts->path, capacity * sizeof *longer);
        if (!longer) {
            mem_free(path);
            return fail_memory();
        }
        doubts->path = longer;
        doubts->capacity = capacity;
    }
    if (!path)
        return fail_memory();
    doubts->path[doubts->count++] = path;
    return 0;
}

/* What the changes say of an entry of the place: it is there (1), is not (0), or has to be looked through (2). */
static int judge(struct txn_view *view, const char *path, enum larder_type type)
{
    const struct overlay *overlay = &view->member->overlay;
    struct change *change;
    int rc = txn_lock(txn_of(view), false);
    if (rc < 0)
        return rc;
    enum overlay_fate fate = overlay_look(overlay, path, &change);
    bool below = overlay_first_below(overlay, path);
    txn_unlock(txn_of(view));
    bool directory = type == LARDER_DIRECTORY;
    if (fate == OVERLAY_GONE || (fate == OVERLAY_REMOVED && !directory))
        return 0;
    return directory && (fate == OVERLAY_REMOVED || (fate == OVERLAY_UNTOUCHED && below)) ? 2 : 1;
}

static int CO_FN lives_in(struct txn_view *view, const char *dir, struct doubts *doubts)
{
    struct cursor cursor = {0};
    int rc = 0;
    while (rc == 0 && !cursor.end) {
        struct larder_entries page = {0};
        struct answer answer = {0};
        rc = layer_list(txn_view_next(view), dir, &TERMS_NONE, &cursor, &page, &answer);
        answer_free(&answer);
        for (size_t i = 0; rc == 0 && i < page.count; i++) {
            char *path = path_join(dir, page.info[i].name);
            rc = path ? judge(view, path, page.info[i].type) : fail_memory();
            if (rc == 2)
                rc = doubt(doubts, take(path));
            mem_free(path);
        }
        larder_entries_free(&page);
    }
    cursor_free(&cursor);
    if (rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    error_clear();
    return 0;
}

int CO_FN view_lives(struct txn_view *view, const char *path)
{
    struct doubts doubts = {0};
    int rc = doubt(&doubts, mem_dup(path));
    while (rc == 0 && doubts.count > 0) {
        autofree char *dir = doubts.path[--doubts.count];
        rc = lives_in(view, dir, &doubts);
    }
    while (doubts.count > 0)
        mem_free(doubts.path[--doubts.count]);
    mem_free(doubts.path);
    return rc;
}
