/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CACHED_PLACE_H
#define TESTS_CACHED_PLACE_H
/* A cache of its own for each test, in front of the fake place, and a clock that the test may move. */
#include <stdatomic.h>

#include "larder/cache.h"

#include "fake_place.h"

extern char *dir; /* the test's; the cache is in "cache" below */
extern struct larder_cache *cache;
extern struct larder_fs *fs;        /* the place through the cache, with a ttl of 60 s */
extern atomic_llong clock_ahead_ms; /* of the wall clock that the cache sees */

/* Before the tests: the backends are known, the clock is ours. */
void cached_place_know(void);
/* For cmocka. */
int cached_place_begin(void **state);
int cached_place_end(void **state);

/* The cache in the directory, once more; and the place through it under other options. */
struct larder_cache *open_cache(void);
struct larder_fs *open_mode(const char *const options[]);
struct larder_fs *open_with(const char *option);

/* The status; wrong bytes end the test. `size` is of the whole file. */
int read_range(struct larder_fs *from, const char *path, const struct larder_range *range, size_t size,
               unsigned seed);
int read_all(struct larder_fs *from, const char *path, size_t size, unsigned seed);
int read_part(struct larder_fs *from, const char *path, int64_t start, int64_t stop, size_t size,
              unsigned seed);
void flush_cache(void);

#endif
