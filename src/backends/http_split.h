/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_HTTP_SPLIT_H
#define BACKENDS_HTTP_SPLIT_H
#include "backends/http_parts.h"

struct split;
struct split_of { /* borrowed until split_end */
    struct http_instance *http;
    const char *path, *version;
    int64_t start, end; /* bytes of the file; not none */
    int64_t part_size;
    char *place; /* where a steady sink will have them; NULL: they wait in memory of their own */
};
/* Begin to fetch it in `count` (at least 2) pieces at once; the last of them only from split_end on, while somebody still
 * reads what is before `start`. `*out` is set in any case but for -ENOMEM; split_end must be called. */
int CO_FN split_begin(const struct split_of *of, unsigned count, struct split **out);
/* Give it to the sink, or, after the failure `rc`, drop it. Frees. The status is `rc` or its own. */
int CO_FN split_end(struct split *split, int rc, struct sink *sink);

#endif
