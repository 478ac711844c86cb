/* SPDX-License-Identifier: Apache-2.0 */
#include "cached_memory.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "tmpdir.h"

char *scratch, *dir_option;
struct larder_fs *memory, *cached;
struct larder_cache *cache;

struct larder_cache *open_cache(const char *option)
{
    struct larder_cache *opened = NULL;
    assert_ok(larder_cache_open((const char *const[]){dir_option, option, NULL}, &opened));
    return opened;
}

int count_file(void *arg, const struct larder_cache_entry *entry)
{
    *(unsigned *)arg += entry->kind == LARDER_CACHE_FILE;
    return 0;
}

int cached_memory_begin(void **state)
{
    scratch = tmpdir_make();
    char *dir = tmpdir_path(scratch, "cache");
    dir_option = malloc(strlen(dir) + sizeof "dir=");
    assert_non_null(dir_option);
    strcpy(stpcpy(dir_option, "dir="), dir);
    free(dir);
    cache = open_cache("ttl=60");
    assert_ok(larder_open(NULL, "memory://tree", NULL, &memory, NULL));
    assert_ok(larder_cache_fs(cache, memory, NULL, &cached));
    assert_ok(larder_pipe_file(memory, "d/f", "hello", 5, LARDER_PARENTS));
    assert_ok(larder_pipe_file(memory, "g", "world", 5, 0));
    return 0;
}

int cached_memory_end(void **state)
{
    larder_fs_free(cached);
    larder_fs_free(memory);
    larder_cache_free(cache);
    free(dir_option);
    tmpdir_remove(scratch);
    return 0;
}
