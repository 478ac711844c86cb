/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILTER_H
#define BASE_FILTER_H
/* What of a tree is wanted: patterns (base/pattern.h) of the paths below its root. */
#include <stdbool.h>
#include <stddef.h>

struct glob;

struct filter { /* zero wants everything */
    struct glob **include, **exclude;
    size_t include_count, exclude_count;
};
/* Both lists are NULL-ended; NULL is none. -EINVAL (with text): one is no pattern. filter_fini in any case. */
int filter_init(struct filter *filter, const char *const include[], const char *const exclude[]);
void filter_fini(struct filter *filter);
/*
 * What an exclude matches, or lies in a directory that it matches, is not wanted; nor is, if there is any include, a
 * file that none of them matches in this way. Of directories below which something could be wanted all are.
 */
bool filter_wants(const struct filter *filter, const char *path, bool directory);

#endif
