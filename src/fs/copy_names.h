/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COPY_NAMES_H
#define FS_COPY_NAMES_H
/* Where each source of a copy goes, so that no two go to one place. Zero is empty. */
#include "base/arena.h"
#include "base/table.h"

struct larder_entries;

struct copy_names {
    struct table table;
    struct arena memory;
};
/* `from` goes to `to`. -EEXIST: another does. */
int copy_names_take(struct copy_names *names, const char *from, const char *to);
/* The same, when it is its turn. 1: it had been before. */
int copy_names_use(struct copy_names *names, const char *from, const char *to);
void copy_names_fini(struct copy_names *names);

/* How much of the paths all have in common, in whole segments. */
size_t copy_names_common(const struct larder_entries *paths);

#endif
