/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "txn/view_parts.h"

#define LOOKS_AT_ONCE 16

/* ---- into the overlay ---- */

/* With the lock, under which `change` is put: with the conditions of the one before, if there is one. */
static int put_locked(struct txn_view *view, struct change *change, const struct change *earlier,
                      struct change **replaced)
{
    struct overlay *overlay = &view->member->overlay;
    bool removes = change->kind == CHANGE_REMOVE || change->kind == CHANGE_RMDIR;
    int rc = check_join(view, change, earlier);
    if (rc < 0)
        return rc;
    if (removes && change->before == BEFORE_NOTHING) { /* then nothing is left to be done */
        *replaced = overlay_take(overlay, change->path);
        return 0;
    }
    if (removes && change->before != BEFORE_UNKNOWN) /* of what the place has, whatever was put there since */
        change->kind = change->before == BEFORE_FILE ? CHANGE_REMOVE : CHANGE_RMDIR;
    rc = overlay_put(overlay, change, replaced);
    if (rc == 0)
        change_ref(change);
    return rc;
}

/* -EAGAIN, without text: the path has another change by now than when it was seen. */
static int CO_FN put(struct txn_view *view, struct change *change, uint64_t seen)
{
    struct change *replaced = NULL;
    int rc = txn_lock(txn_of(view), true);
    if (rc < 0)
        return rc;
    const struct change *earlier = overlay_at(&view->member->overlay, change->path);
    rc = (earlier ? earlier->id : 0) == seen ? put_locked(view, change, earlier, &replaced) : -EAGAIN;
    txn_unlock(txn_of(view));
    if (replaced)
        payload_drop(view->member, replaced);
    change_unref(replaced);
    return rc;
}

/* A change without bytes, after what was seen. */
static int CO_FN put_new(struct txn_view *view, enum change_kind kind, const char *path,
                         const struct sight *sight)
{
    struct change *change;
    int rc = change_new(kind, path, &change);
    if (rc < 0)
        return rc;
    change->before = sight->before;
    rc = put(view, change, sight->seen);
    change_unref(change);
    return rc;
}

/* ---- directories that are there ---- */

struct seen_dir {
    struct table_entry entry;
    char path[];
};

static bool was_seen(struct txn_view *view, const char *path)
{
    if (txn_lock(txn_of(view), false) < 0)
        return false;
    bool seen = table_find(&view->dirs, path, strlen(path));
    txn_unlock(txn_of(view));
    return seen;
}

/* Only so that it need not be asked for again. */
static void note_dir(struct txn_view *view, const char *path)
{
    size_t size = strlen(path);
    struct seen_dir *dir = mem_alloc(sizeof *dir + size + 1);
    if (!dir || txn_lock(txn_of(view), false) < 0) {
        mem_free(dir);
        return;
    }
    memcpy(dir->path, path, size + 1);
    if (table_find(&view->dirs, path, size) || table_add(&view->dirs, &dir->entry, dir->path, size) < 0)
        mem_free(dir);
    txn_unlock(txn_of(view));
}

void txn_view_forget_dirs(struct txn_view *view)
{
    for (struct table_entry *entry; (entry = table_next(&view->dirs, NULL));) {
        table_remove(&view->dirs, entry);
        mem_free(container_of(entry, struct seen_dir, entry));
    }
    table_fini(&view->dirs);
}

/* 1: there; 0: it is missing; -ENOTDIR. */
static int CO_FN find_dir(struct txn_view *view, const char *path, struct sight *sight)
{
    int rc = sight_take(view, path, &TERMS_NONE, sight);
    if (rc < 0)
        return rc;
    if (sight->type == LARDER_DIRECTORY && sight->fate == OVERLAY_UNTOUCHED)
        note_dir(view, path);
    if (sight->type != 0 && sight->type != LARDER_DIRECTORY)
        return fail_at(&view->instance, path, -ENOTDIR, "a file is in the way");
    return sight->type == LARDER_DIRECTORY;
}

/* Nothing said of it by the transaction itself. */
static bool is_untouched(struct txn_view *view, const char *path)
{
    struct change *change;
    if (txn_lock(txn_of(view), false) < 0)
        return false;
    enum overlay_fate fate = overlay_look(&view->member->overlay, path, &change);
    txn_unlock(txn_of(view));
    return fate == OVERLAY_UNTOUCHED || fate == OVERLAY_IMPLIED;
}

/* The directory at `path`; where writing makes those that are missing, that is done here. */
static int CO_FN need_dir(struct txn_view *view, const char *path)
{
    autosight struct sight sight = {0};
    if (!*path || (was_seen(view, path) && is_untouched(view, path)))
        return 0;
    int rc = find_dir(view, path, &sight);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (view->instance.can.parents_required)
        return fail_at(&view->instance, path, -ENOENT, "there is no such directory");
    return put_new(view, CHANGE_MKDIR, path, &sight);
}

/* Those above `path`, from the root on. */
static int CO_FN need_dirs_above(struct txn_view *view, const char *path)
{
    autofree char *dir = mem_dup_n(path, path_parent_size(path));
    int rc = 0;
    if (!dir)
        return fail_memory();
    if (!*dir || !view->instance.can.real_directories)
        return 0; /* what is written implies them */
    if (view->instance.can.parents_required || (was_seen(view, dir) && is_untouched(view, dir)))
        return need_dir(view, dir);
    for (char *slash = dir; rc == 0 && slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        do
            rc = need_dir(view, dir);
        while (rc == -EAGAIN);
        if (slash)
            *slash = '/';
    }
    return rc;
}

/* The text says both: what was to be there, and the directory that is none. */
static int CO_FN need_parents(struct txn_view *view, const char *path)
{
    int rc = need_dirs_above(view, path);
    return rc < 0 && rc != -EAGAIN ? fail_at(&view->instance, path, rc, "%s", error_text()) : rc;
}

/* ---- writes ---- */

/* Of what a condition asks, the view is the judge at once; the place is asked, and not a cache of it. */
static int check_write(const struct txn_view *view, const struct sight *sight, const char *path,
                       unsigned flags, const char *if_match)
{
    const char *version = sight->answer.info.version ? sight->answer.info.version : "";
    if (sight->type != 0 && (flags & LARDER_CREATE))
        return fail_at(&view->instance, path, -EEXIST, "it exists");
    if (sight->type == LARDER_DIRECTORY)
        return fail_at(&view->instance, path, -EISDIR, "a directory");
    if (if_match && sight->type == 0)
        return fail_at(&view->instance, path, -ESTALE, "it is gone");
    if (if_match && strcmp(version, if_match) != 0)
        return fail_at(&view->instance, path, -ESTALE, "it is another by now (%s, not %s)", version,
                       if_match);
    return 0;
}

/* Where directories are only implied, a file may be beside one, and a write asks nobody. */
int CO_FN see_write(struct txn_view *view, const char *path, unsigned flags, const char *if_match,
                    struct sight *sight)
{
    bool conditional = (flags & LARDER_CREATE) || if_match;
    struct terms terms = TERMS_NONE;
    if (conditional)
        terms.age_max_ms = 0;
    if (!*path)
        return fail_at(&view->instance, path, flags & LARDER_CREATE ? -EEXIST : -EISDIR, "a directory");
    if (!conditional && !view->instance.can.real_directories)
        return sight_glance(view, path, sight);
    int rc = sight_take(view, path, &terms, sight);
    if (rc == 0)
        rc = check_write(view, sight, path, flags, if_match);
    return rc == 0 && sight->type == 0 ? need_parents(view, path) : rc;
}

static int set_conditions(struct change *change, unsigned flags, const char *if_match,
                          const struct sight *sight)
{
    char *copy = if_match ? mem_dup(if_match) : NULL;
    if (if_match && !copy)
        return fail_memory();
    change_set_conditions(change, flags & LARDER_CREATE, copy);
    change->before = sight->before;
    return 0;
}

int CO_FN put_write(struct txn_view *view, struct change *change, unsigned flags, const char *if_match,
                    struct sight *sight)
{
    for (;;) {
        int rc = set_conditions(change, flags, if_match, sight);
        if (rc == 0)
            rc = put(view, change, sight->seen);
        if (rc != -EAGAIN)
            return rc;
        sight_fini(sight);
        rc = see_write(view, change->path, flags, if_match, sight);
        if (rc < 0)
            return rc;
    }
}

int tell_write(const struct change *change, struct answer *out)
{
    char version[CHANGE_VERSION_SIZE];
    struct answer answer;
    if (!out)
        return 0;
    change_describe(change, version, &answer);
    return answer_copy(out, &answer);
}

void CO_FN drop_write(struct txn_view *view, struct change *change)
{
    struct error_slot words = *error_slot();
    payload_drop(view->member, change);
    *error_slot() = words;
}

int CO_FN txn_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                    const char *if_match, struct answer *out)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    struct change *change;
    int rc = see_write(view, path, flags, if_match, &sight);
    if (rc == 0)
        rc = change_new(CHANGE_WRITE, path, &change);
    if (rc < 0)
        return rc;
    rc = change_label(change, source->labels);
    if (rc == 0)
        rc = payload_write(view->member, change, source);
    if (rc == 0)
        rc = put_write(view, change, flags, if_match, &sight);
    if (rc < 0)
        drop_write(view, change);
    else
        rc = tell_write(change, out);
    change_unref(change);
    return rc;
}

/* ---- removing, and directories ---- */

struct removing {
    struct txn_view *view;
    const char *const *paths;
    int *status;
};

/* Links go themselves, not what they lead to. */
static int CO_FN remove_one(struct txn_view *view, const char *path)
{
    struct terms terms = TERMS_NONE;
    terms.no_follow = true;
    for (;;) {
        autosight struct sight sight = {0};
        int rc = sight_take(view, path, &terms, &sight);
        if (rc == 0 && sight.type == 0)
            rc = fail_at(&view->instance, path, -ENOENT, "nothing is there");
        else if (rc == 0 && sight.type == LARDER_DIRECTORY)
            rc = fail_at(&view->instance, path, -EISDIR, "a directory");
        if (rc == 0)
            rc = put_new(view, CHANGE_REMOVE, path, &sight);
        if (rc != -EAGAIN)
            return rc;
    }
}

static int CO_FN remove_at(const struct removing *removing, size_t index)
{
    removing->status[index] = remove_one(removing->view, removing->paths[index]);
    return removing->status[index] == -ECANCELED ? -ECANCELED : 0;
}

static int CO_EDGE remove_each(void *arg, size_t index)
{
    return remove_at(arg, index);
}

int CO_FN txn_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    struct removing removing = {txn_view_of(instance), paths, status};
    if (count == 1)
        return status[0] = remove_one(removing.view, paths[0]); /* with its words */
    return group_each(count, LOOKS_AT_ONCE, GROUP_FIRST, remove_each, &removing);
}

int CO_FN txn_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    struct txn_view *view = txn_view_of(instance);
    for (;;) {
        autosight struct sight sight = {0};
        int rc = sight_take(view, path, &TERMS_NONE, &sight);
        if (rc == 0 && sight.type != 0)
            rc = fail_at(&view->instance, path, -EEXIST, "it exists");
        if (rc == 0)
            rc = need_parents(view, path);
        /* One that is only implied is nothing to be made; but at the top (a bucket) it may be. */
        if (rc == 0 && (view->instance.can.real_directories || !strchr(path, '/')))
            rc = put_new(view, CHANGE_MKDIR, path, &sight);
        if (rc != -EAGAIN)
            return rc;
    }
}

/* 1, 0, or a failure. */
static int CO_FN is_empty(struct txn_view *view, const char *path)
{
    struct larder_entries page = {0};
    struct cursor cursor = {0};
    struct answer answer = {0};
    int rc = txn_list(&view->instance, path, &TERMS_NONE, &cursor, &page,
                      &answer); /* no page but the last is empty */
    bool empty = rc == 0 && page.count == 0;
    larder_entries_free(&page);
    answer_free(&answer);
    cursor_free(&cursor);
    return rc < 0 ? rc : empty;
}

int CO_FN txn_rmdir(struct instance *instance, const char *path)
{
    struct txn_view *view = txn_view_of(instance);
    if (!*path)
        return fail_at(instance, path, -EBUSY, "the root: it stays");
    for (;;) {
        autosight struct sight sight = {0};
        int rc = sight_take(view, path, &TERMS_NONE, &sight);
        if (rc == 0 && sight.type == 0)
            rc = fail_at(instance, path, -ENOENT, "nothing is there");
        else if (rc == 0 && sight.type != LARDER_DIRECTORY)
            rc = fail_at(instance, path, -ENOTDIR, "not a directory");
        int empty = rc == 0 ? is_empty(view, path) : rc;
        rc = empty == 0  ? fail_at(instance, path, -ENOTEMPTY, "not empty")
             : empty > 0 ? put_new(view, CHANGE_RMDIR, path, &sight)
                         : empty;
        if (rc != -EAGAIN)
            return rc;
    }
}

/* ---- times ---- */

/* Of what the transaction writes or makes itself. */
static int touch_own(struct txn_view *view, const char *path, uint64_t seen, int64_t mtime_ns)
{
    int rc = txn_lock(txn_of(view), true);
    if (rc < 0)
        return rc;
    struct change *change = overlay_at(&view->member->overlay, path);
    rc = change && change->id == seen ? 0 : -EAGAIN;
    if (rc == 0) {
        change->mtime_ns = mtime_ns;
        change->timed = true;
    }
    txn_unlock(txn_of(view));
    return rc;
}

static int CO_FN touch_place(struct txn_view *view, const char *path, const struct sight *sight,
                             int64_t mtime_ns)
{
    struct change *change;
    int rc = change_new(CHANGE_TOUCH, path, &change);
    if (rc < 0)
        return rc;
    change->before = sight->before;
    change->mtime_ns = mtime_ns;
    change->timed = true;
    rc = put(view, change, sight->seen);
    change_unref(change);
    return rc;
}

int CO_FN txn_touch(struct instance *instance, const char *path, int64_t mtime_ns)
{
    struct txn_view *view = txn_view_of(instance);
    if (!instance->can.touch)
        return fail_at(instance, path, -ENOTSUP, "this place cannot set the time of a file");
    for (;;) {
        autosight struct sight sight = {0};
        int64_t to = mtime_ns ? mtime_ns : wall_ns();
        int rc = sight_take(view, path, &TERMS_NONE, &sight);
        if (rc == 0 && sight.type == 0)
            rc = fail_at(instance, path, -ENOENT, "nothing is there");
        else if (rc == 0 && (sight.fate == OVERLAY_FILE || sight.fate == OVERLAY_DIRECTORY))
            rc = touch_own(view, path, sight.seen, to);
        else if (rc == 0)
            rc = touch_place(view, path, &sight, to);
        if (rc != -EAGAIN)
            return rc;
    }
}
