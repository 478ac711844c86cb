/* SPDX-License-Identifier: Apache-2.0 */
#include "cached_place.h"

#include <stdio.h>

#include "base/seams.h"
#include "cache/cache.h"
#include "fs/fs.h"
#include "test.h"
#include "tmpdir.h"

char *dir;
atomic_llong clock_ahead_ms;
struct larder_cache *cache;
struct larder_fs *fs;

static int64_t (*real_wall_ns)(void);
static int64_t moved_wall_ns(void)
{
    return real_wall_ns() + clock_ahead_ms * 1000000;
}

struct larder_cache *open_cache(void)
{
    char option[256];
    const char *options[] = {option, NULL};
    struct larder_cache *opened;
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    assert_ok(larder_cache_open(options, &opened));
    return opened;
}

struct larder_fs *open_mode(const char *const options[])
{
    struct larder_fs *plain, *cached;
    assert_ok(fs_open(NULL, "fake://", NULL, &plain, NULL));
    assert_ok(larder_cache_fs(cache, plain, options, &cached));
    larder_fs_free(plain);
    return cached;
}

struct larder_fs *open_with(const char *option)
{
    const char *options[] = {option, NULL};
    return open_mode(options);
}

void cached_place_know(void)
{
    backend_register(&fake_backend);
    backend_register(&cache_backend);
    real_wall_ns = world_seam.wall_ns;
    world_seam.wall_ns = moved_wall_ns;
}

int cached_place_begin(void **state)
{
    fake_reset();
    clock_ahead_ms = 0;
    dir = tmpdir_make();
    cache = open_cache();
    fs = open_with("ttl=60");
    return 0;
}

int cached_place_end(void **state)
{
    larder_fs_free(fs);
    larder_cache_free(cache);
    tmpdir_remove(dir);
    return 0;
}

int read_range(struct larder_fs *from, const char *path, const struct larder_range *range, size_t size,
               unsigned seed)
{
    struct larder_bytes bytes;
    int64_t start, count;
    int rc = larder_cat_file(from, path, range, &bytes);
    if (rc < 0)
        return rc;
    range_resolve(range, (int64_t)size, &start, &count);
    assert_int_equal(bytes.size, count);
    assert_true(fake_is(bytes.data, bytes.size, seed, (size_t)start));
    larder_bytes_free(&bytes);
    return 0;
}

int read_all(struct larder_fs *from, const char *path, size_t size, unsigned seed)
{
    return read_range(from, path, NULL, size, seed);
}

int read_part(struct larder_fs *from, const char *path, int64_t start, int64_t stop, size_t size,
              unsigned seed)
{
    struct larder_range range = {start, stop};
    return read_range(from, path, &range, size, seed);
}

void flush_cache(void)
{
    assert_ok(larder_cache_flush(cache));
}
