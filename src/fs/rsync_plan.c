/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be done to make one tree like another. Directories are taken in pairs, one of each tree, at one path; some
 * pairs are listed at once, and then merged one after the other. Of an extra directory there is but one half.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"
#include "fs/rsync.h"
#include "fs/tree.h"
#include "fs/walk.h"

#define LIST_PAIRS 16
#define LIST_JOBS  16
#define DEPTH_MAX  512  /* as of a walk */
#define SAME_MAX   1024 /* files found the same, behind which others have their turn */

enum { HERE, THERE, SIDES };

struct side {
    bool missing; /* there is nothing to be listed */
    int status;
    char *text; /* of a failure; mem */
    struct larder_entries entries;
    size_t at;
};

struct pair {
    struct list node;
    unsigned depth;
    bool begun;
    bool behind_link;        /* in the target: nothing is removed there */
    struct extra_dir *extra; /* what it is itself, without a half in the source */
    struct side sides[SIDES];
    char path[]; /* below both trees */
};

/* ---- pairs ---- */

static struct pair *pair_new(const char *path, unsigned depth)
{
    size_t size = strlen(path) + 1;
    struct pair *pair = mem_zero(sizeof *pair + size);
    if (!pair)
        return NULL;
    memcpy(pair->path, path, size);
    pair->depth = depth;
    return pair;
}

static void pair_free(struct pair *pair)
{
    for (int i = 0; i < SIDES; i++) {
        larder_entries_free(&pair->sides[i].entries);
        mem_free(pair->sides[i].text);
    }
    mem_free(pair);
}

static void free_pairs(struct list *pairs)
{
    struct list *node;
    while ((node = list_pop(pairs)))
        pair_free(container_of(node, struct pair, node));
}

int rsync_plan_begin(struct rsync *rsync)
{
    struct pair *root = pair_new("", 1);
    if (!root)
        return fail_memory();
    list_push(&rsync->todo, &root->node);
    return 0;
}

void rsync_plan_fini(struct rsync *rsync)
{
    free_pairs(&rsync->todo);
    free_pairs(&rsync->listed);
    mem_free(rsync->from_path);
    mem_free(rsync->to_path);
}

/* ---- listing ---- */

struct listing {
    struct rsync *rsync;
    struct pair *pairs[LIST_PAIRS];
    size_t count;
};

static int order(const void *a, const void *b)
{
    const struct larder_info *one = a, *other = b;
    int name = strcmp(one->name, other->name);
    return name != 0 ? name : (one->type == LARDER_DIRECTORY) - (other->type == LARDER_DIRECTORY);
}

static int CO_FN list_one(struct rsync *rsync, struct pair *pair, int which)
{
    struct larder_fs *fs = which == HERE ? rsync->job.from : rsync->job.to;
    const struct terms *terms = which == HERE ? &rsync->from_terms : &rsync->to_terms;
    struct side *side = &pair->sides[which];
    struct deadline deadline;
    autofree char *full = path_join(which == HERE ? rsync->from_root : rsync->to_root, pair->path);
    if (!full)
        return fail_memory();
    deadline_begin(&deadline, fs->timeout_ms > 0 ? (uint64_t)fs->timeout_ms : 0);
    int rc = list_whole(fs, full, NULL, terms, &side->entries);
    rc = deadline_end(&deadline, rc, full);
    if (rc == -ECANCELED)
        return rc;
    side->status = rc;
    side->text = rc < 0 ? mem_dup(error_text()) : NULL;
    if (side->entries.count > 1)
        qsort(side->entries.info, side->entries.count, sizeof *side->entries.info, order);
    return 0;
}

static int CO_EDGE list_side(void *arg, size_t index)
{
    struct listing *listing = arg;
    struct pair *pair = listing->pairs[index / SIDES];
    int which = (int)(index % SIDES);
    return pair->sides[which].missing ? 0 : list_one(listing->rsync, pair, which);
}

static int CO_FN list_pairs(struct listing *listing)
{
    return group_each(listing->count * SIDES, LIST_JOBS, GROUP_ALL, list_side, listing);
}

static int CO_EDGE list_task(void *arg)
{
    return list_pairs(arg);
}

/* The last ones of what is to do, so that the tree is gone through depth first. */
static int list_some(struct rsync *rsync)
{
    struct listing listing = {rsync, .count = 0};
    while (listing.count < LIST_PAIRS && !list_empty(&rsync->todo)) {
        struct list *node = rsync->todo.prev;
        list_remove(node);
        list_push(&rsync->listed, node);
        listing.pairs[listing.count++] = container_of(node, struct pair, node);
    }
    return enter_inside(rsync->job.carrier, rsync->source, list_task, &listing);
}

/* ---- steps ---- */

/* The paths of what is at `path` below both trees, relative to their handles. */
static int set_paths(struct rsync *rsync, const char *path)
{
    mem_free(rsync->from_path);
    mem_free(rsync->to_path);
    rsync->from_path = path_join(rsync->source, path);
    rsync->to_path = path_join(rsync->target, path);
    return rsync->from_path && rsync->to_path ? 0 : fail_memory();
}

static int step(struct rsync *rsync, const struct larder_info *info, struct copy_step *out)
{
    *out = (struct copy_step){.from = rsync->from_path,
                              .to = rsync->to_path,
                              .type = info->type,
                              .size = info->type == LARDER_DIRECTORY ? 0 : info->size,
                              .mtime_ns = info->mtime_ns,
                              .listed = true};
    return 1;
}

static int failed(const struct rsync *rsync, int status, struct copy_step *out)
{
    *out = (struct copy_step){.from = rsync->from_path, .to = rsync->to_path, .size = LARDER_SIZE_UNKNOWN};
    return status;
}

/* Listings that tell a version, and those that nobody has to be asked for, tell the rest exactly. */
static struct copy_facts facts_of(const struct larder_fs *fs, const struct larder_info *info)
{
    return (struct copy_facts){info->size, info->mtime_ns, info->version || !larder_fs_is_async(fs)};
}

static int same_file(struct rsync *rsync, const struct larder_info *here)
{
    struct larder_copy_news about = {.event = LARDER_COPY_SAME,
                                     .from = rsync->from_path,
                                     .to = rsync->to_path,
                                     .type = LARDER_FILE,
                                     .size = here->size};
    rsync->job.news.files_same++;
    return copy_tell(&rsync->job, &about);
}

/* 1: a step; 0: it is the same; COPY_PAUSE: the callback had enough. */
static int both_files(struct rsync *rsync, const struct larder_info *here, const struct larder_info *there,
                      struct copy_step *out)
{
    struct copy_facts facts = facts_of(rsync->job.from, here), known = facts_of(rsync->job.to, there);
    bool files = here->type == LARDER_FILE && there->type == LARDER_FILE;
    enum rsync_verdict verdict = files ? rsync_judge(rsync, &facts, &known) : RSYNC_DIFFERS;
    if (verdict == RSYNC_SAME)
        return same_file(rsync, here) != 0 ? COPY_PAUSE : 0;
    step(rsync, here, out);
    out->check = verdict == RSYNC_UNSURE;
    out->here = facts;
    out->there = known;
    return 1;
}

/* ---- directories below ---- */

/* `missing`: the side that has no such directory; SIDES: both have it. */
static int go_below(struct rsync *rsync, const struct pair *above, const char *path, int missing,
                    struct pair **out)
{
    if (above->depth >= DEPTH_MAX)
        return fail(-ELOOP, "%s: deeper than %d directories", path, DEPTH_MAX);
    struct pair *pair = pair_new(path, above->depth + 1);
    if (!pair)
        return fail_memory();
    pair->behind_link = above->behind_link;
    if (missing < SIDES)
        pair->sides[missing].missing = true;
    list_push(&rsync->todo, &pair->node);
    *out = pair;
    return 0;
}

/* A directory of the source. */
static int directory(struct rsync *rsync, const struct pair *above, const char *path,
                     const struct larder_info *here, bool there, struct copy_step *out)
{
    struct pair *pair;
    int rc = go_below(rsync, above, path, there ? SIDES : THERE, &pair);
    if (rc == 0 && there && rsync->options.remove_extra && !pair->behind_link) {
        rc = tree_is_link(rsync->job.to, rsync->to_path);
        pair->behind_link = rc != 0;
    }
    if (rc < 0)
        return failed(rsync, rc, out);
    bool makes = !there && rsync->filter.include_count == 0 && rsync->job.to->instance->can.real_directories;
    return makes ? step(rsync, here, out) : 0;
}

/* ---- what only the target has ---- */

static int extra(struct rsync *rsync, const struct pair *above, const char *path,
                 const struct larder_info *there)
{
    struct pair *pair;
    int link = there->type == LARDER_DIRECTORY ? tree_is_link(rsync->job.to, rsync->to_path) : 1;
    if (link != 0)
        return link < 0 ? link : extras_add_file(rsync, rsync->to_path);
    int rc = go_below(rsync, above, path, HERE, &pair);
    return rc < 0 ? rc : extras_add_dir(rsync, rsync->to_path, above->extra, &pair->extra);
}

/* ---- merging ---- */

static const struct larder_info *head(const struct pair *pair, int which)
{
    const struct side *side = &pair->sides[which];
    return side->at < side->entries.count ? &side->entries.info[side->at] : NULL;
}

static bool is_named(const struct larder_info *entry, const struct larder_info *like)
{
    return entry && strcmp(entry->name, like->name) == 0;
}

/* A directory at the place of a file of the source. 0: it is gone. */
static int clear_directory(struct rsync *rsync, struct pair *pair, const struct larder_info *there)
{
    if (!rsync->options.remove_extra || rsync->filtered || pair->behind_link)
        return fail(-EISDIR, "%s: a directory is in the way of a file", rsync->to_path);
    return rsync_make_way(rsync, rsync->to_path, there);
}

/* The source has it, and the target nothing of its kind. */
static int only_here(struct rsync *rsync, struct pair *pair, const char *path, const struct larder_info *here,
                     struct copy_step *out)
{
    const struct larder_info *there = head(pair, THERE);
    if (here->type == LARDER_DIRECTORY)
        return directory(rsync, pair, path, here, false, out);
    if (!is_named(there, here) || is_named(head(pair, HERE), here))
        return step(rsync, here, out);
    pair->sides[THERE].at++;
    int rc = here->type == LARDER_FILE && rsync->job.to->instance->can.real_directories
                 ? clear_directory(rsync, pair, there)
                 : 0;
    if (rc == 0)
        return step(rsync, here, out);
    return rc < 0 ? failed(rsync, rc, out) : COPY_PAUSE;
}

/* A file at the place of a directory of the source: it would be replaced, if it were one. */
static bool has_to_go(const struct rsync *rsync, const struct pair *pair, const char *path,
                      const struct larder_info *there)
{
    return is_named(head(pair, HERE), there) && rsync->job.to->instance->can.real_directories &&
           rsync->filter.include_count == 0 && filter_wants(&rsync->filter, path, true);
}

static int only_there(struct rsync *rsync, struct pair *pair, const char *path,
                      const struct larder_info *there, struct copy_step *out)
{
    int rc = 0;
    if (has_to_go(rsync, pair, path, there))
        rc = rsync_make_way(rsync, rsync->to_path, there);
    else if (rsync->options.remove_extra && !pair->behind_link && !rsync->failed)
        rc = extra(rsync, pair, path, there);
    return rc < 0 ? failed(rsync, rc, out) : rc > 0 ? COPY_PAUSE : 0;
}

/* The next entry of either listing, or of both. 0: it is nothing to do; *ended: there are no more. */
static int merge(struct rsync *rsync, struct pair *pair, bool *ended, struct copy_step *out)
{
    const struct larder_info *here = head(pair, HERE), *there = head(pair, THERE);
    *ended = !here && !there;
    if (*ended)
        return 0;
    int which = !here ? 1 : !there ? -1 : order(here, there);
    const struct larder_info *first = which > 0 ? there : here;
    pair->sides[HERE].at += which <= 0;
    pair->sides[THERE].at += which >= 0;
    autofree char *path = path_join(pair->path, first->name);
    int rc = path ? set_paths(rsync, path) : fail_memory();
    if (rc < 0)
        return failed(rsync, rc, out);
    if (!filter_wants(&rsync->filter, path, first->type == LARDER_DIRECTORY)) {
        extras_spare(pair->extra);
        return 0;
    }
    if (which > 0)
        return only_there(rsync, pair, path, there, out);
    if (which < 0)
        return only_here(rsync, pair, path, here, out);
    return here->type == LARDER_DIRECTORY ? directory(rsync, pair, path, here, true, out)
                                          : both_files(rsync, here, there, out);
}

/* ---- pairs, once they are listed ---- */

/* The trees themselves: without them there is no going on. */
static int begin_root(struct rsync *rsync, struct pair *root, struct copy_step *out)
{
    static const struct larder_info made = {.type = LARDER_DIRECTORY};
    const struct side *here = &root->sides[HERE], *there = &root->sides[THERE];
    const struct side *wrong = here->status < 0 ? here : there;
    int rc = wrong->status == -ENOENT && wrong == there ? 0 : wrong->status;
    out->from = NULL;
    if (rc < 0) {
        error_set_text(wrong->text);
        const struct larder_fs *fs = wrong == here ? rsync->job.from : rsync->job.to;
        const char *path = wrong == here ? rsync->from_root : rsync->to_root;
        return rc == -ENOTDIR ? fail_at(fs->instance, path, rc, "not a directory") : rc;
    }
    rc = set_paths(rsync, "");
    if (rc < 0 || there->status == 0 || !*rsync->to_root || !rsync->job.to->instance->can.real_directories)
        return rc;
    return step(rsync, &made, out);
}

/* What has gone since it was seen has gone; of what cannot be listed nothing is known. 1: it is to be merged. */
static int begin_pair(struct rsync *rsync, struct pair *pair, struct copy_step *out)
{
    for (int i = 0; i < SIDES; i++) {
        const struct side *side = &pair->sides[i];
        if (side->status == 0 || (i == THERE && side->status == -ENOENT))
            continue;
        if (side->status == -ENOENT)
            return 0;
        int rc = set_paths(rsync, pair->path);
        error_set_text(side->text);
        return failed(rsync, rc < 0 ? rc : side->status, out);
    }
    return 1;
}

static void end_pair(struct pair *pair)
{
    list_remove(&pair->node);
    pair_free(pair);
}

/* 0: nothing yet. */
static int next_of(struct rsync *rsync, struct pair *pair, struct copy_step *out)
{
    bool ended = false;
    int rc = 1;
    if (!pair->begun) {
        pair->begun = true;
        rc = *pair->path ? begin_pair(rsync, pair, out) : begin_root(rsync, pair, out);
        if (rc <= 0 && *pair->path)
            end_pair(pair);
        if (rc < 0 || !*pair->path)
            return rc;
        if (rc == 0)
            return 0;
    }
    rc = merge(rsync, pair, &ended, out);
    if (ended)
        end_pair(pair);
    return rc;
}

/* Names of what is extra must not fill the memory. */
static int make_room(struct rsync *rsync)
{
    if (!extras_are_many(&rsync->extras))
        return 0;
    int rc = rsync->failed ? 0 : extras_remove_files(rsync);
    rsync->failed = rsync->failed || rsync->extras.failures > 0;
    if (rsync->failed)
        buffer_free(&rsync->extras.files);
    return rc;
}

int rsync_next(struct copy_job *job, struct copy_step *out)
{
    struct rsync *rsync = container_of(job, struct rsync, job);
    uint64_t same = job->news.files_same;
    int rc = 0;
    error_clear();
    while (rc == 0 && !list_empty(&rsync->listed)) {
        rc = next_of(rsync, container_of(rsync->listed.next, struct pair, node), out);
        if (rc == 0 && job->news.files_same - same >= SAME_MAX)
            rc = COPY_PAUSE;
    }
    if (rc != 0 || list_empty(&rsync->todo))
        return rc;
    out->from = NULL;
    rc = make_room(rsync);
    if (rc == 0)
        rc = list_some(rsync);
    return rc < 0 ? rc : COPY_PAUSE;
}
