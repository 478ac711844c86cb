/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COPY_PLAN_PARTS_H
#define FS_COPY_PLAN_PARTS_H
/* What a plan of a copy is, for the files that make it. */
#include "fs/copy_names.h"
#include "fs/copy_plan.h"
#include "fs/layer.h"

struct copy_plan {
    /* const */
    struct larder_fs *from, *to;
    const char *const *sources;
    size_t count;
    struct larder_copy_options options;
    enum copy_plan_mode mode;
    char *target; /* clean */
    bool target_slash;
    bool each_by_name; /* into a directory */
    bool dirs;         /* directories are steps */
    bool collects;     /* a tree is listed to its end before its first step */

    size_t next;                     /* source */
    int target_is_dir;               /* <0: nobody asked yet */
    struct copy_names names;         /* of sources that go by theirs */
    bool names_known;                /* those of all */
    bool merges;                     /* several have what is in a directory: then those of files, too */
    struct larder_entries *expanded; /* what each pattern matches, until it is its turn; mem, or NULL */

    struct larder_entries matches; /* of a pattern, those that come as they are, or each as a source */
    size_t match;
    bool matches_are_sources;

    struct larder_walk *walk; /* of a directory; or, once it was collected: */
    struct entries_builder collected;
    struct larder_entries tree;
    size_t at;

    /* What is `cut` bytes into the path of a match, or of an entry of the tree, is where it goes below `base`. */
    char *base; /* mem */
    size_t cut;

    char *from_path, *to_path; /* of the step at hand; mem */
};

/* What one of several patterns matches. */
int plan_match(struct copy_plan *plan, const char *pattern, struct larder_entries *out);
/* Where all sources go by their names, before anything is copied. -EEXIST: two to one. */
int plan_know_names(struct copy_plan *plan);
/* Of a step into what several directories are merged in: files that go to one name are no copy of either. 1, or -EEXIST
 * and the step is a failed one. */
int plan_check_merged(struct copy_plan *plan, struct copy_step *out);

#endif
