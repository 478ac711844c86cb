/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is stored below a mirror's root, and in no listing any more: the place is asked for each such file or directory,
 * since an index may hide what is there, and what it has not is forgotten.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/listing.h"
#include "cache/mirror.h"
#include "cache/scan.h"

#define ASK_JOBS 16

/* ---- what the listings say: of the directories above the path at hand ---- */

struct name {
    struct table_entry entry;
    bool file;
    char text[];
};
struct level {
    struct level *above;
    bool listed; /* by this mirror, whole; else nothing is known */
    struct table names;
    char dir[]; /* full */
};

struct gone { /* nothing above it is gone */
    struct table_entry entry;
    struct list node;
    uint64_t files; /* that are stored: itself, or below it */
    bool below;     /* itself it is there, as a file: what is below it is gone */
    char path[];    /* full */
};

struct look {
    struct mirror *mirror;
    struct level *level; /* the deepest; of the path that came last */
    struct table by_path;
    struct list gone; /* in the order in which they were found */
};

static int add_names(struct level *level, const struct larder_entries *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const char *text = page->info[i].name;
        size_t size = strlen(text);
        if (table_find(&level->names, text, size))
            continue;
        struct name *name = mem_alloc(sizeof *name + size + 1);
        if (!name)
            return fail_memory();
        name->file = page->info[i].type == LARDER_FILE;
        memcpy(name->text, text, size + 1);
        if (table_add(&level->names, &name->entry, name->text, size) < 0) {
            mem_free(name);
            return fail_memory();
        }
    }
    return 0;
}

static bool was_listed(const struct mirror *mirror, const char *dir)
{
    struct reader *reader;
    struct record record;
    if (reader_find(mirror->store, KEY_LISTING, &mirror->view->place, dir, &reader, &record) < 0)
        return false;
    reader_end(mirror->store, reader);
    return record.head.state == RECORD_KNOWN && record.head.answered_ns >= mirror->begun_ns;
}

static int load_names(const struct mirror *mirror, struct level *level)
{
    struct listing listing = {0};
    size_t offset = 0;
    if (!was_listed(mirror, level->dir))
        return 0;
    int rc = listing_load(mirror->store, &mirror->view->place, level->dir, &listing);
    while (rc == 0 && offset < listing.size) {
        struct larder_entries page = {0};
        rc = listing_page(&listing, &offset, &page);
        if (rc == 0)
            rc = add_names(level, &page);
        larder_entries_free(&page);
    }
    listing_free(&listing);
    level->listed = rc == 0;
    return rc == -EAGAIN || rc == -EBADMSG ? 0 : rc;
}

static void pop_level(struct look *look)
{
    struct level *level = look->level;
    struct table_entry *entry;
    look->level = level->above;
    while ((entry = table_next(&level->names, NULL))) {
        table_remove(&level->names, entry);
        mem_free(container_of(entry, struct name, entry));
    }
    table_fini(&level->names);
    mem_free(level);
}

static int push_level(struct look *look, const char *path, size_t dir_size)
{
    struct level *level = mem_zero(sizeof *level + dir_size + 1);
    if (!level)
        return fail_memory();
    memcpy(level->dir, path, dir_size);
    level->above = look->level;
    look->level = level;
    return load_names(look->mirror, level);
}

/* ---- what is stored ---- */

static int add_gone(struct look *look, const char *path, size_t size, bool below, bool file)
{
    struct table_entry *entry = table_find(&look->by_path, path, size);
    struct gone *gone = entry ? container_of(entry, struct gone, entry) : mem_zero(sizeof *gone + size + 1);
    if (!gone)
        return fail_memory();
    gone->files += file;
    gone->below = below;
    if (entry)
        return 0;
    memcpy(gone->path, path, size);
    list_push(&look->gone, &gone->node);
    return table_add(&look->by_path, &gone->entry, gone->path, size) < 0 ? fail_memory() : 0;
}

/* The first part of the path that a listing should name, and does not; or what is below a file now. */
static int check_names(struct look *look, const char *path, bool file)
{
    while (look->level->above &&
           (!path_within(look->level->dir, path) || strcmp(look->level->dir, path) == 0))
        pop_level(look);
    while (look->level->listed) {
        const char *name = path_below(look->level->dir, path);
        size_t name_size = strcspn(name, "/"), end = (size_t)(name - path) + name_size;
        struct table_entry *entry = table_find(&look->level->names, name, name_size);
        if (!entry)
            return add_gone(look, path, end, false, file);
        if (!path[end])
            return 0;
        if (container_of(entry, struct name, entry)->file)
            return add_gone(look, path, end, true, file);
        int rc = push_level(look, path, end);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int look_at(void *arg, const struct stored *stored)
{
    struct look *look = arg;
    if (stored->record->head.state != RECORD_KNOWN || strcmp(stored->path, look->mirror->root) == 0)
        return 0;
    return check_names(look, stored->path, stored->record->head.type == LARDER_FILE);
}

static int look_through(void *arg)
{
    struct look *look = arg;
    struct mirror *mirror = look->mirror;
    int rc = push_level(look, mirror->root, strlen(mirror->root));
    if (rc == 0)
        rc = scan_records(mirror->store, KEY_RECORD, &mirror->view->place, mirror->root, look_at, look);
    if (rc == 0)
        rc = scan_records(mirror->store, KEY_LISTING, &mirror->view->place, mirror->root, look_at, look);
    while (look->level)
        pop_level(look);
    return rc;
}

/* ---- what the place says ---- */

struct forget {
    struct mirror *mirror;
    const char *path;
};

static int forget_one(void *arg, const struct stored *stored)
{
    const struct forget *forget = arg;
    bool itself = strcmp(stored->path, forget->path) == 0;
    if (stored->record->head.state == RECORD_KNOWN && !itself)
        absence_keep(forget->mirror->view, forget->mirror->store, stored->path);
    return 0;
}

static int forget_below(void *arg)
{
    struct forget *forget = arg;
    const struct mirror *mirror = forget->mirror;
    const struct place *place = &mirror->view->place;
    int rc = scan_records(mirror->store, KEY_RECORD, place, forget->path, forget_one, forget);
    return rc == 0 ? scan_records(mirror->store, KEY_LISTING, place, forget->path, forget_one, forget) : rc;
}

static int CO_FN ask_for(struct mirror *mirror, struct gone *gone)
{
    struct answer answer = {0};
    struct forget forget = {mirror, gone->path};
    int rc =
        gone->below ? -ENOENT : fetch_info(&mirror->view->instance, gone->path, &mirror->list_terms, &answer);
    answer_free(&answer);
    if (rc == 0)
        return 0; /* the index does not tell of everything */
    if (rc != -ENOENT)
        return rc == -ECANCELED ? rc
                                : mirror_settle_path(mirror, gone->path, "", error_finish(rc, gone->path));
    mirror->stats.vanished += gone->files;
    log_at(LARDER_LOG_INFO, "%s%s: gone from the place, and from the cache", gone->path,
           gone->below ? "/" : "");
    return offload(forget_below, &forget);
}

static int CO_FN next_gone(struct look *look)
{
    struct list *node = mirror_must_stop(look->mirror) ? NULL : list_pop(&look->gone);
    if (!node)
        return 0;
    struct gone *gone = container_of(node, struct gone, node);
    int rc = look->mirror->options.dry_run ? 0 : ask_for(look->mirror, gone);
    if (look->mirror->options.dry_run)
        look->mirror->stats.vanished += gone->files;
    return rc;
}

static int CO_EDGE gone_job(void *arg, size_t index)
{
    return next_gone(arg);
}

int CO_FN mirror_drop_gone(struct mirror *mirror)
{
    struct look look = {.mirror = mirror};
    struct table_entry *entry;
    list_init(&look.gone);
    int rc = offload(look_through, &look);
    if (rc == 0)
        rc = group_each(look.by_path.count, ASK_JOBS, GROUP_FIRST, gone_job, &look);
    while ((entry = table_next(&look.by_path, NULL))) {
        table_remove(&look.by_path, entry);
        mem_free(container_of(entry, struct gone, entry));
    }
    table_fini(&look.by_path);
    return rc;
}
