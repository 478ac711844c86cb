/* SPDX-License-Identifier: Apache-2.0 */
/* The map, over a place with real directories (local) and one whose directories are made in memory. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "tmpdir.h"

/* As in larder.c, with the places that need no server. */
int larder_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
                char **path)
{
    return fs_open(loop, url, options, fs, path);
}

static char *tmp;
static char *bases[2]; /* URLs of two empty places */
static const char *base;

static struct larder_map *map_at(const char *name)
{
    char url[512];
    struct larder_map *map;
    snprintf(url, sizeof url, "%s/%s", base, name);
    assert_ok(larder_get_mapper(NULL, url, NULL, 0, &map));
    return map;
}

static void put(struct larder_map *map, const char *key, const char *value)
{
    assert_ok(larder_map_set(map, key, value, strlen(value)));
}

static void assert_value(struct larder_map *map, const char *key, const char *value)
{
    struct larder_bytes bytes;
    assert_ok(larder_map_get(map, key, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(value));
    assert_string_equal(bytes.data, value);
    larder_bytes_free(&bytes);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The keys below prefix, sorted, with a space behind each. */
static void assert_keys(struct larder_map *map, const char *prefix, const char *expected)
{
    char *found[32], text[512] = "";
    size_t count = 0;
    struct larder_keys *keys;
    const char *key;
    int rc;
    assert_ok(larder_map_keys(map, prefix, &keys));
    while ((rc = larder_keys_next(keys, &key, NULL)) > 0)
        found[count++] = strdup(key);
    assert_ok(rc);
    larder_keys_free(keys);
    qsort(found, count, sizeof *found, compare);
    for (size_t i = 0; i < count; i++) {
        strcat(strcat(text, found[i]), " ");
        free(found[i]);
    }
    assert_string_equal(text, expected);
}

/* ---- one key ---- */

static void a_set_key_comes_back_and_makes_the_root_too(void **state)
{
    struct larder_map *map = map_at("fresh/deep");
    put(map, "a/b/c", "value");
    assert_value(map, "a/b/c", "value");
    put(map, "a/b/c", "");
    assert_value(map, "a/b/c", "");
    larder_map_free(map);
}

static void keys_are_literal_whatever_is_in_them(void **state)
{
    static const char *const odd[] = {"a b",       "%41", "a[1]", "*",   "x?y#z", "\xc3\xa9",
                                      "new\nline", "-",   "..a",  "a..", "~"};
    struct larder_map *map = map_at("odd");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        put(map, odd[i], odd[i]);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_value(map, odd[i], odd[i]);
    assert_int_equal(larder_map_len(map), sizeof odd / sizeof odd[0]);
    larder_map_free(map);
}

static void a_wrong_key_is_refused_and_touches_nothing(void **state)
{
    static const char *const wrong[] = {"",   "/",    "/a",    "a/",     "a//b", ".",
                                        "..", "../x", "a/./b", "a/../b", "a/.."};
    struct larder_map *map = map_at("wrong/root");
    struct larder_bytes bytes;
    int64_t size;
    char buffer[8];
    put(map, "a", "value");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_status(-EINVAL, larder_map_get(map, wrong[i], NULL, &bytes));
        assert_true(strlen(larder_error()) > 0);
        assert_int_equal(larder_map_get_into(map, wrong[i], NULL, buffer, sizeof buffer), -EINVAL);
        assert_status(-EINVAL, larder_map_set(map, wrong[i], "x", 1));
        assert_status(-EINVAL, larder_map_set_if_absent(map, wrong[i], "x", 1));
        assert_status(-EINVAL, larder_map_delete(map, wrong[i]));
        assert_status(-EINVAL, larder_map_pop(map, wrong[i], &bytes));
        assert_status(-EINVAL, larder_map_has(map, wrong[i]));
        assert_status(-EINVAL, larder_map_size(map, wrong[i], &size));
    }
    assert_keys(map, NULL, "a ");
    larder_map_free(map);
}

static void a_directory_is_no_key(void **state)
{
    struct larder_map *map = map_at("dir");
    struct larder_bytes bytes;
    int64_t size;
    put(map, "a/b", "value");
    assert_status(-ENOENT, larder_map_get(map, "a", NULL, &bytes));
    assert_non_null(strstr(larder_error(), "directory"));
    assert_status(0, larder_map_has(map, "a"));
    assert_status(-ENOENT, larder_map_size(map, "a", &size));
    assert_status(-ENOENT, larder_map_delete(map, "a"));
    assert_status(-ENOENT, larder_map_pop(map, "a", &bytes));
    assert_status(-EISDIR, larder_map_set(map, "a", "x", 1));
    assert_value(map, "a/b", "value");
    larder_map_free(map);
}

static void a_file_in_the_way_makes_keys_below_it_missing(void **state)
{
    struct larder_map *map = map_at("way");
    struct larder_bytes bytes;
    int64_t size;
    put(map, "a", "value");
    assert_status(-ENOENT, larder_map_get(map, "a/b", NULL, &bytes));
    assert_status(0, larder_map_has(map, "a/b"));
    assert_string_equal(larder_error(), "");
    assert_status(-ENOENT, larder_map_size(map, "a/b", &size));
    assert_status(-ENOENT, larder_map_delete(map, "a/b"));
    assert_status(-ENOTDIR, larder_map_set(map, "a/b", "x", 1));
    assert_keys(map, "a/b", "");
    assert_ok(larder_map_delete_prefix(map, "a/b"));
    assert_value(map, "a", "value");
    larder_map_free(map);
}

static void ranges_and_sizes(void **state)
{
    struct larder_map *map = map_at("range");
    struct larder_range suffix = {-3, LARDER_TO_END};
    struct larder_bytes bytes;
    char buffer[4];
    int64_t size;
    put(map, "k", "0123456789");
    assert_ok(larder_map_get(map, "k", &suffix, &bytes));
    assert_string_equal(bytes.data, "789");
    larder_bytes_free(&bytes);
    assert_int_equal(larder_map_get_into(map, "k", &suffix, buffer, sizeof buffer), 3);
    assert_memory_equal(buffer, "789", 3);
    assert_int_equal(larder_map_get_into(map, "k", NULL, buffer, sizeof buffer), -ENOSPC);
    assert_ok(larder_map_size(map, "k", &size));
    assert_int_equal(size, 10);
    larder_map_free(map);
}

static void a_key_is_set_once_if_absent_and_popped_once(void **state)
{
    struct larder_map *map = map_at("once");
    struct larder_bytes bytes = {0};
    assert_ok(larder_map_set_if_absent(map, "new/k", "1", 1));
    assert_status(-EEXIST, larder_map_set_if_absent(map, "new/k", "2", 1));
    assert_status(1, larder_map_has(map, "new/k"));
    assert_ok(larder_map_pop(map, "new/k", &bytes));
    assert_string_equal(bytes.data, "1");
    larder_bytes_free(&bytes);
    assert_status(-ENOENT, larder_map_pop(map, "new/k", &bytes));
    assert_null(bytes.data);
    larder_map_free(map);
}

/* ---- many keys ---- */

struct seen {
    struct larder_item *items;
    unsigned calls, times[8];
    int stop_at, stop_with; /* the index that stops the batch; -1: none */
};

static int see(void *arg, struct larder_item *item)
{
    struct seen *seen = arg;
    ptrdiff_t index = item - seen->items;
    assert_in_range(index, 0, 7);
    seen->times[index]++;
    seen->calls++;
    assert_int_equal(item->status < 0, larder_error()[0] != 0);
    return index == seen->stop_at ? seen->stop_with : 0;
}

static void free_values(struct larder_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        larder_bytes_free(&items[i].bytes);
}

static void every_item_of_a_batch_has_its_own_status(void **state)
{
    struct larder_map *map = map_at("many");
    put(map, "a", "1");
    put(map, "d/b", "2");
    struct larder_item items[] = {{"a"}, {"/a"}, {"none"}, {"d"}, {""}, {"d/b"}, {"a/x"}};
    static const int expected[] = {0, -EINVAL, -ENOENT, -ENOENT, -EINVAL, 0, -ENOENT};
    struct seen seen = {.items = items, .stop_at = -1};
    struct larder_batch batch = {sizeof batch, .on_error = LARDER_RETURN, .completed = see, .arg = &seen};
    assert_int_equal(larder_map_get_many(map, items, 7, &batch), 5);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(items[i].status, expected[i]);
        assert_int_equal(seen.times[i], 1);
    }
    assert_string_equal(items[0].bytes.data, "1");
    assert_string_equal(items[5].bytes.data, "2");
    free_values(items, 7);
    batch.completed = NULL;
    assert_int_equal(larder_map_get_many(map, items, 7, &batch), 5);
    assert_string_equal(items[5].bytes.data, "2");
    assert_int_equal(items[3].status, -ENOENT);
    free_values(items, 7);
    larder_map_free(map);
}

static void omit_passes_over_what_is_missing_only(void **state)
{
    struct larder_map *map = map_at("omit");
    put(map, "a", "1");
    put(map, "d/b", "2");
    struct larder_batch batch = {sizeof batch, .on_error = LARDER_OMIT};
    struct larder_item missing[] = {{"none"}, {"d"}, {"a/x"}, {"a"}};
    assert_ok(larder_map_get_many(map, missing, 4, &batch));
    assert_int_equal(missing[1].status, -ENOENT);
    assert_string_equal(missing[3].bytes.data, "1");
    free_values(missing, 4);
    struct larder_item wrong[] = {{"a"}, {"a/"}};
    assert_status(-EINVAL, larder_map_get_many(map, wrong, 2, &batch));
    assert_non_null(strstr(larder_error(), "\"a/\""));
    assert_int_equal(wrong[0].status, -ECANCELED);
    assert_int_equal(wrong[1].status, -EINVAL);
    larder_map_free(map);
}

static void raise_stops_with_the_words_of_the_first(void **state)
{
    struct larder_map *map = map_at("raise");
    put(map, "d/b", "2");
    struct larder_item items[] = {{"d"}, {"d/b"}};
    assert_status(-ENOENT, larder_map_get_many(map, items, 2, NULL));
    assert_non_null(strstr(larder_error(), "directory"));
    assert_int_equal(items[0].status, -ENOENT);
    free_values(items, 2);
    larder_map_free(map);
}

static void a_callback_stops_a_batch_with_its_own_value(void **state)
{
    struct larder_map *map = map_at("stop");
    struct larder_item items[] = {{"a"}, {"b"}, {"/"}};
    put(map, "a", "1");
    put(map, "b", "1");
    for (int at = 0; at < 3; at++) {
        struct seen seen = {.items = items, .stop_at = at, .stop_with = 77};
        struct larder_batch batch = {sizeof batch, LARDER_RETURN, .jobs_max = 1, .completed = see,
                                     .arg = &seen};
        assert_int_equal(larder_map_get_many(map, items, 3, &batch), 77);
        assert_int_equal(seen.times[at], 1);
        free_values(items, 3);
    }
    larder_map_free(map);
}

static void many_are_set_and_deleted(void **state)
{
    struct larder_map *map = map_at("setmany");
    struct larder_item items[] = {{"x/y/1", .bytes = {"one", 3}},
                                  {"x/y/2", .bytes = {"two", 3}},
                                  {"z", .bytes = {"", 0}}};
    assert_ok(larder_map_set_many(map, items, 3, NULL));
    assert_keys(map, NULL, "x/y/1 x/y/2 z ");
    assert_value(map, "x/y/2", "two");
    struct larder_batch batch = {sizeof batch, .on_error = LARDER_RETURN};
    struct larder_item blocked[] = {{"z/below", .bytes = {"x", 1}},
                                    {".", .bytes = {"x", 1}},
                                    {"ok", .bytes = {"x", 1}}};
    assert_int_equal(larder_map_set_many(map, blocked, 3, &batch), 2);
    assert_int_equal(blocked[0].status, -ENOTDIR);
    assert_int_equal(blocked[1].status, -EINVAL);
    assert_ptr_equal(blocked[2].bytes.data, "x");
    struct larder_item gone[] = {{"x/y/1"}, {"x"}, {"ok"}, {"nothing"}};
    assert_int_equal(larder_map_delete_many(map, gone, 4, &batch), 2);
    assert_int_equal(gone[1].status, -ENOENT);
    assert_keys(map, NULL, "x/y/2 z ");
    larder_map_free(map);
}

/* ---- trees ---- */

static void a_prefix_is_a_directory_not_a_string(void **state)
{
    struct larder_map *map = map_at("prefix");
    put(map, "foo/1", "");
    put(map, "foo/bar/2", "");
    put(map, "foo-bar", "");
    put(map, "foo.x/3", "");
    assert_keys(map, "foo", "foo/1 foo/bar/2 ");
    assert_keys(map, "foo/", "foo/1 foo/bar/2 ");
    assert_keys(map, "foo-bar", "foo-bar ");
    assert_keys(map, "fo", "");
    assert_ok(larder_map_delete_prefix(map, "foo"));
    assert_ok(larder_map_delete_prefix(map, "foo"));
    assert_keys(map, NULL, "foo-bar foo.x/3 ");
    assert_ok(larder_map_delete_prefix(map, "foo-bar"));
    assert_status(-EINVAL, larder_map_delete_prefix(map, "../wrong"));
    assert_status(-EINVAL, larder_map_delete_prefix(map, "")); /* a variable that was empty is not "all" */
    assert_status(-EINVAL, larder_map_delete_prefix(map, "/"));
    assert_status(-EINVAL, larder_map_delete_prefix(map, NULL));
    assert_keys(map, NULL, "foo.x/3 ");
    larder_map_free(map);
}

static void a_list_is_one_level(void **state)
{
    struct larder_map *map = map_at("level");
    struct larder_entries entries;
    put(map, "b/x", "");
    put(map, "b/c/y", "");
    put(map, "a", "12");
    assert_ok(larder_map_list(map, NULL, &entries));
    assert_int_equal(entries.count, 2);
    assert_string_equal(entries.info[0].name, "a");
    assert_int_equal(entries.info[0].size, 2);
    assert_string_equal(entries.info[1].name, "b");
    assert_int_equal(entries.info[1].type, LARDER_DIRECTORY);
    larder_entries_free(&entries);
    static const char *const empty[] = {"none", "a", "a/b"};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(larder_map_list(map, empty[i], &entries));
        assert_int_equal(entries.count, 0);
        larder_entries_free(&entries);
    }
    larder_map_free(map);
}

static void clear_empties_the_map_and_keeps_its_root(void **state)
{
    struct larder_map *map = map_at("clear"), *beside = map_at("clear-not");
    put(map, "a", "");
    put(map, "d/e/f", "");
    put(beside, "a", "");
    assert_ok(larder_map_clear(map));
    assert_keys(map, NULL, "");
    assert_int_equal(larder_map_len(beside), 1);
    assert_status(1, larder_isdir(larder_map_fs(map), ""));
    assert_ok(larder_map_clear(map));
    larder_map_free(map);
    larder_map_free(beside);
}

static void a_missing_root_is_an_empty_map_and_a_file_is_none(void **state)
{
    struct larder_map *none = map_at("nothing"), *all = map_at("file");
    assert_int_equal(larder_map_len(none), 0);
    assert_ok(larder_map_clear(none));
    put(all, "it", "");
    struct larder_map *file;
    struct larder_entries entries;
    assert_ok(larder_map_new(larder_map_fs(all), "it", 0, &file));
    assert_int_equal(larder_map_len(file), -ENOTDIR);
    assert_status(-ENOTDIR, larder_map_clear(file));
    assert_status(-ENOTDIR, larder_map_list(file, NULL, &entries));
    assert_status(1, larder_map_has(all, "it"));
    larder_map_free(file);
    larder_map_free(none);
    larder_map_free(all);
}

static void the_flags_make_or_ask_for_the_root(void **state)
{
    char url[512];
    struct larder_map *map = NULL, *made;
    bool real = strncmp(base, "memory:", 7) != 0;
    snprintf(url, sizeof url, "%s/flags/root", base);
    if (real)
        assert_status(-ENOENT, larder_get_mapper(NULL, url, NULL, LARDER_MAP_CHECK, &map));
    assert_null(map);
    assert_ok(larder_get_mapper(NULL, url, NULL, LARDER_MAP_CREATE | LARDER_MAP_CHECK, &made));
    assert_ok(larder_get_mapper(NULL, url, NULL, LARDER_MAP_CREATE, &map));
    assert_int_equal(larder_map_len(map), 0); /* a check leaves no trace */
    put(map, "file", "");
    larder_map_free(made);
    larder_map_free(map);
    snprintf(url, sizeof url, "%s/flags/root/file", base);
    assert_status(-ENOTDIR, larder_get_mapper(NULL, url, NULL, LARDER_MAP_CHECK, &map));
    assert_status(-EINVAL, larder_get_mapper(NULL, url, NULL, 8, &map));
}

/* ---- the two places ---- */

static int setup(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    tmp = tmpdir_make();
    bases[0] = strdup("memory://test_map");
    bases[1] = strdup(tmp);
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < 2; i++)
        free(bases[i]);
    tmpdir_remove(tmp);
    return 0;
}

static int choose(void **state)
{
    base = bases[(size_t)*state];
    return 0;
}

#define EACH_PLACE(test) \
    {#test " (memory)", test, choose, NULL, (void *)0}, {#test " (local)", test, choose, NULL, (void *)1}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_PLACE(a_set_key_comes_back_and_makes_the_root_too),
        EACH_PLACE(keys_are_literal_whatever_is_in_them),
        EACH_PLACE(a_wrong_key_is_refused_and_touches_nothing),
        EACH_PLACE(a_directory_is_no_key),
        EACH_PLACE(a_file_in_the_way_makes_keys_below_it_missing),
        EACH_PLACE(ranges_and_sizes),
        EACH_PLACE(a_key_is_set_once_if_absent_and_popped_once),
        EACH_PLACE(every_item_of_a_batch_has_its_own_status),
        EACH_PLACE(omit_passes_over_what_is_missing_only),
        EACH_PLACE(raise_stops_with_the_words_of_the_first),
        EACH_PLACE(a_callback_stops_a_batch_with_its_own_value),
        EACH_PLACE(many_are_set_and_deleted),
        EACH_PLACE(a_prefix_is_a_directory_not_a_string),
        EACH_PLACE(a_list_is_one_level),
        EACH_PLACE(clear_empties_the_map_and_keeps_its_root),
        EACH_PLACE(a_missing_root_is_an_empty_map_and_a_file_is_none),
        EACH_PLACE(the_flags_make_or_ask_for_the_root),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
