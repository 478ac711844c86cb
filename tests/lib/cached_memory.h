/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CACHED_MEMORY_H
#define TESTS_CACHED_MEMORY_H
/* A small tree in memory, "d/f" ("hello") and "g" ("world"), and a cache of its own for a group of tests. */
#include "larder.h"

extern char *scratch;                     /* a directory; the cache is in "cache" below */
extern char *dir_option;                  /* "dir=…/cache" */
extern struct larder_fs *memory, *cached; /* the same tree, memory://tree, without and through … */
extern struct larder_cache *cache;        /* … the cache, with a ttl of 60 s */

/* For cmocka, around the group. */
int cached_memory_begin(void **state);
int cached_memory_end(void **state);

/* The cache once more, with another option. */
struct larder_cache *open_cache(const char *option);
/* For larder_cache_list: counts files, in an unsigned. */
int count_file(void *arg, const struct larder_cache_entry *entry);

#endif
