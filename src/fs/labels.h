/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_LABELS_H
#define FS_LABELS_H
/*
 * What a handle says of the files that are written through it, beside their bytes: the values of the options
 * content_type, cache_control and metadata, of places that keep such things. A place that lacks an option is never told
 * of it, since giving it one is refused.
 */
#include <stdbool.h>
#include <stddef.h>

struct labels { /* each mem; NULL: nothing is said */
    char *content_type, *cache_control, *metadata;
};
#define LABEL_COUNT 3
/* Their options' names, in this order; and where their values are. */
extern const char *const label_names[LABEL_COUNT];
char **label_slot(const struct labels *labels, size_t index);

/* 1: `option` is one of them, and `value` is taken (copied; "": nothing is said); 0: it is not. -EINVAL: what no header
 * could say. */
int labels_take(struct labels *labels, const char *option, const char *value);
int labels_copy(struct labels *out, const struct labels *from);
void labels_fini(struct labels *labels);

/* The type of the file at `path`, with "auto" what the ending of its name stands for; NULL: nothing is said. `labels` may
 * be NULL. */
const char *labels_content_type(const struct labels *labels, const char *path);
/* The next line "name: value" at *text, which moves behind it. False: that was all. */
struct label_line {
    const char *name, *value;
    size_t name_size, value_size;
};
bool label_line_next(const char **text, struct label_line *out);

#endif
