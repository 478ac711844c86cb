/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H
/*
 * Glob patterns over clean paths, as fsspec has them:
 *
 *     *      inside a component: any characters, none too; a whole component: any one name
 *     ?      one character of UTF-8; a byte that belongs to none counts as one
 *     [a-z]  one character of a set; [!a-z] one that is not in it; "]" in front is a member; without an end, a bracket
 *     **     a whole component: any number of components, none too
 *
 * Everything else stands for itself, and nothing but a "**" matches a "/". Names with a dot in front are names as any.
 * A pattern is matched component by component: a path's directory becomes the set of places in the pattern that it may
 * have reached, and each of its entries goes on from there. So the work for an entry is at most the pattern's size times
 * the name's, whatever the pattern.
 */
#include <stdbool.h>
#include <stddef.h>

struct glob;

bool glob_has_magic(const char *text);
/* The name as a pattern that only it matches. NULL: out of memory. Freed with mem_free. */
char *glob_escape(const char *name);

/*
 * `pattern` is clean and not empty. `directories`: it had a "/" behind it, so that only they match.
 * -EINVAL (with text): "**" and something else in one component.
 */
int glob_new(const char *pattern, bool directories, struct glob **out);
void glob_free(struct glob *glob);

/* The directory that the walk begins at: how much of the pattern has no magic in its components, without the slash. */
size_t glob_stem_size(const struct glob *glob);
/* How many levels below that may match; 0: any number. `maxdepth` (0: no limit) is how many the first "**" and what is
 * behind it may take. */
unsigned glob_depth(const struct glob *glob, unsigned maxdepth);
/* Does the pattern match the directory it begins at? So do those that end in a "**", which may stand for nothing. */
bool glob_takes_stem(const struct glob *glob);

/* The names asked for next are entries of this directory. It is remembered in `glob`: one caller at a time. */
void glob_enter(struct glob *glob, const char *dir);
/* Does the entry match? `*deeper`: is it a directory that something below it could match? */
bool glob_match_name(struct glob *glob, const char *name, bool directory, bool *deeper);
/* Of the name asked for last, or before the first of the stem: may anything match that is below it, however deep? */
bool glob_wants_all(const struct glob *glob);
/* Of the same: what the names of all entries right in it begin with that could match, or lead to a match. NULL: nothing. The
 * pattern's own. */
const char *glob_stem(const struct glob *glob);

/* The same for a whole path of `size` bytes, by any number of callers at once. For patterns of up to so many components. */
#define GLOB_COMPONENTS_MAX 64
bool glob_match_path(const struct glob *glob, const char *path, size_t size, bool directory);
size_t glob_component_count(const struct glob *glob);

#endif
