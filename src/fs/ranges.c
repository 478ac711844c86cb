/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ranges.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool may_join(const struct larder_range *range)
{
    return range && range->start >= 0 && range->end >= 0 && range->end != LARDER_TO_END;
}

/* One that ends before it starts is empty, and lies where it starts. */
static int64_t end_of(const struct larder_range *range)
{
    return range->end > range->start ? range->end : range->start;
}

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Of those that start together the longest comes first, and the others lie in it. */
static int by_path_and_start(const void *a, const void *b)
{
    const struct larder_item *left = *(struct larder_item *const *)a,
                             *right = *(struct larder_item *const *)b;
    bool both = may_join(left->range) && may_join(right->range);
    int order = strcmp(left->path, right->path);
    if (order == 0)
        order = may_join(left->range) - may_join(right->range);
    if (order == 0 && both)
        order = order_of(left->range->start, right->range->start);
    if (order == 0 && both)
        order = order_of(end_of(right->range), end_of(left->range));
    return order != 0 ? order : (left > right) - (left < right);
}

void ranges_sort(struct larder_item *items[], size_t count)
{
    if (count > 1)
        qsort(items, count, sizeof(struct larder_item *), by_path_and_start);
}

size_t ranges_join(struct larder_item *const items[], size_t count, int64_t gap_max, int64_t block_max,
                   struct larder_range *range)
{
    size_t joined = 1;
    if (!may_join(items[0]->range))
        return 1;
    int64_t start = items[0]->range->start, end = end_of(items[0]->range);
    for (; joined < count; joined++) {
        const struct larder_item *next = items[joined];
        if (!may_join(next->range) || strcmp(next->path, items[0]->path) != 0)
            break;
        int64_t next_end = end_of(next->range);
        bool near = next->range->start <= end || next->range->start - end <= gap_max;
        if (!near || (next_end > end && next_end - start > block_max))
            break;
        if (next_end > end)
            end = next_end;
    }
    *range = (struct larder_range){start, end};
    return joined;
}
