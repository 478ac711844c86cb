/* SPDX-License-Identifier: Apache-2.0 */
/* The key/value map. */
#include "scenario.h"

#include <errno.h>
#include <string.h>

static int map_reads(struct scenario_run *run)
{
    static const char *const wrong[] = {"", "/a", "a/", "a//b", "..", "../x", "a/..", "."};
    struct larder_map *map;
    struct larder_bytes bytes;
    struct larder_range suffix = {-2, LARDER_TO_END};
    char buffer[8];
    int64_t size;
    REQUIRE_IS(0, put_text(run, "m/k", "value"));
    REQUIRE_IS(0, put_text(run, "m/x[1]*", "literal"));
    REQUIRE_IS(0, larder_map_new(run->fs, "m", 0, &map));
    REQUIRE_IS(0, larder_map_get(map, "k", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "value"));
    REQUIRE_IS(0, larder_map_get(map, "k", &suffix, &bytes));
    REQUIRE(bytes_are(&bytes, "ue"));
    REQUIRE_IS(0, larder_map_get(map, "x[1]*", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "literal"));
    REQUIRE_IS(5, larder_map_get_into(map, "k", NULL, buffer, sizeof buffer));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "none", NULL, &bytes));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "k/below", NULL, &bytes));
    REQUIRE_IS(1, larder_map_has(map, "k"));
    REQUIRE_IS(0, larder_map_has(map, "none"));
    REQUIRE_IS(0, larder_map_size(map, "k", &size));
    REQUIRE(size == 5);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        REQUIRE_IS(-EINVAL, larder_map_get(map, wrong[i], NULL, &bytes));
        REQUIRE_IS(-EINVAL, larder_map_has(map, wrong[i]));
    }
    larder_map_free(map);
    REQUIRE_IS(0, larder_map_new(run->fs, "", 0, &map));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "m", NULL, &bytes)); /* a directory is no key */
    REQUIRE_IS(0, larder_map_has(map, "m"));
    larder_map_free(map);
    return 0;
}

static int map_lists(struct scenario_run *run)
{
    struct larder_map *map;
    struct larder_keys *keys;
    struct larder_entries entries;
    const char *key;
    int count = 0, rc;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_map_new(run->fs, "", LARDER_MAP_CHECK, &map));
    REQUIRE_IS(6, larder_map_len(map));
    REQUIRE_IS(0, larder_map_keys(map, "d", &keys));
    while ((rc = larder_keys_next(keys, &key, NULL)) > 0) {
        REQUIRE(strncmp(key, "d/", 2) == 0);
        count++;
    }
    REQUIRE_IS(0, rc);
    REQUIRE(count == 3);
    larder_keys_free(keys);
    REQUIRE_IS(0, larder_map_list(map, "d", &entries));
    REQUIRE(names_are(&entries, "e/ g1"));
    larder_map_free(map);
    return 0;
}

static int map_writes(struct scenario_run *run)
{
    struct larder_map *map;
    struct larder_bytes bytes;
    struct larder_item items[3] = {{.path = "s/1", .bytes = {.data = "1", .size = 1}},
                                   {.path = "/bad", .bytes = {.data = "2", .size = 1}},
                                   {.path = "s/t/3", .bytes = {.data = "3", .size = 1}}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    REQUIRE_IS(0, larder_map_new(run->fs, "new/map", LARDER_MAP_CREATE, &map));
    REQUIRE_IS(0, larder_map_set(map, "a/b/c", "v", 1));
    REQUIRE_IS(0, larder_map_get(map, "a/b/c", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "v"));
    REQUIRE_IS(-EEXIST, larder_map_set_if_absent(map, "a/b/c", "w", 1));
    REQUIRE_IS(0, larder_map_set_if_absent(map, "a/b/d", "w", 1));
    REQUIRE_IS(1, larder_map_set_many(map, items, 3, &batch));
    REQUIRE(items[0].status == 0 && items[1].status == -EINVAL && items[2].status == 0);
    REQUIRE_IS(4, larder_map_len(map));
    REQUIRE_IS(0, larder_map_pop(map, "a/b/d", &bytes));
    REQUIRE(bytes_are(&bytes, "w"));
    REQUIRE_IS(0, larder_map_has(map, "a/b/d"));
    REQUIRE_IS(0, larder_map_delete(map, "a/b/c"));
    REQUIRE_IS(-ENOENT, larder_map_delete(map, "a/b/c"));
    REQUIRE_IS(-ENOENT, larder_map_delete(map, "s"));
    REQUIRE_IS(0, larder_map_set(map, "s-t/1", "x", 1));
    REQUIRE_IS(0, larder_map_delete_prefix(map, "s"));
    REQUIRE_IS(0, larder_map_delete_prefix(map, "s"));
    REQUIRE_IS(1, larder_map_len(map));
    REQUIRE_IS(0, larder_map_clear(map));
    REQUIRE_IS(0, larder_map_len(map));
    larder_map_free(map);
    return 0;
}

const struct scenario map_scenarios[] = {
    {"map reads", 0, map_reads},
    {"map lists", NEED_LIST, map_lists},
    {"map writes", NEED_WRITE | NEED_LIST, map_writes},
    {0},
};
