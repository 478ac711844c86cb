/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COPY_PLAN_H
#define FS_COPY_PLAN_H
/*
 * Which files a copy is of, and where each goes: the rules of larder_copy. A plan is data, as a walk is: between two
 * calls nothing runs, and what it needs of memory is the listings at hand. But a pattern's matches are all held, since
 * their targets depend on what they have in common, and those of all patterns before the first of several sources is a
 * step: two sources of one name are refused before anything is copied; and a tree of the very place that it goes to, where links could lead
 * from the one into the other: so no copy meets what it made itself.
 */
#include "fs/copy.h"

struct copy_plan;

enum copy_plan_mode {
    PLAN_COPY,  /* by the rules of larder_copy */
    PLAN_WHOLE, /* each source is one step, whatever it is: for moves */
    PLAN_EXACT, /* the one source goes to the target itself, with all that is below it */
};

/* `options` without NULL; sources and target stay the caller's, for as long as the plan lives. */
int copy_plan_open(struct larder_fs *from, const char *const sources[], size_t count, struct larder_fs *to,
                   const char *target, const struct larder_copy_options *options, enum copy_plan_mode mode,
                   struct copy_plan **out);
/*
 * 1 and the next step; 0: there are no more. A failure is one source's or one directory's, which out->from names, and
 * the plan goes on behind it; but not if that is NULL.
 */
int copy_plan_next(struct copy_plan *plan, struct copy_step *out);
/* Is the target said to be a directory, whether or not there is one? */
bool copy_plan_is_into(const struct copy_plan *plan);
void copy_plan_free(struct copy_plan *plan);

#endif
