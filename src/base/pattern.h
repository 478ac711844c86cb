/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H
/*
 * Patterns that choose among the paths of a tree: globs (base/glob.h) that may begin in any directory.
 *
 *     *.json     a name that ends so, wherever it is
 *     c/?        a name of one character in a directory called c, wherever that is
 *     /c/?       with a slash in front: from the root on
 *     tmp/       with a slash behind: only directories
 */
#include <stdbool.h>
#include <stddef.h>

struct glob;

/* Of the `size` bytes at `text`. -EINVAL (with text): it is no pattern. Freed with glob_free. */
int pattern_new(const char *text, size_t size, struct glob **out);
/* `path` is clean. Any thread. */
bool pattern_matches(const struct glob *pattern, const char *path, bool directory);
/* Does it match the path, or one of the directories above? */
bool pattern_holds(const struct glob *pattern, const char *path, bool directory);

#endif
