/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_RANGES_H
#define FS_RANGES_H
/*
 * Which of many ranges one request serves. Ranges that say both bounds from the file's start are merged, with those of
 * the same path; a range that counts from the end, or goes on to it, stays alone.
 */
#include "larder/fs.h"

/* Bring together what may become one request: by path, then by where a range starts. */
void ranges_sort(struct larder_item *items[], size_t count);
/*
 * How many of the sorted `items` (at least one) one request serves, from the first on; when they are several, `*range`
 * is what it asks for. A neighbour joins when the gap is at most `gap_max` and the request stays within `block_max`, or
 * when it asks for nothing that is not asked for already.
 */
size_t ranges_join(struct larder_item *const items[], size_t count, int64_t gap_max, int64_t block_max,
                   struct larder_range *range);

#endif
