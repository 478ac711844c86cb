/* SPDX-License-Identifier: Apache-2.0 */
/* What a cache tells of what is in it, pins, and pruning. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/seams.h"
#include "cached_place.h"
#include "fs/fs.h"

#define MIB (1 << 20)

/* ---- why ---- */

static struct larder_cache_entry why(struct larder_fs *from, const char *path)
{
    struct larder_cache_entry entry = {.size = sizeof entry};
    flush_cache();
    assert_ok(larder_cache_why(from, path, &entry));
    return entry;
}

static void why_tells_all_of_a_file(void **state)
{
    fake_put("a b/f", 200000, 1)->fresh_ms = 5000;
    int64_t before = wall_ns();
    assert_ok(read_part(fs, "a b/f", 70000, 70010, 200000, 1));
    struct larder_cache_entry entry = why(fs, "a b/f");
    assert_int_equal(entry.kind, LARDER_CACHE_FILE);
    assert_string_equal(entry.path, "a b/f");
    assert_string_equal(entry.place, "fake://");
    assert_non_null(strstr(entry.url, "a%20b/f"));
    assert_int_equal(entry.file_size, 200000);
    assert_int_equal(entry.blocks, 4);
    assert_int_equal(entry.blocks_there, 1);
    assert_int_equal(entry.bytes_there, 65504);
    assert_in_range(entry.bytes_stored, 65536, 70000);
    assert_string_equal(entry.validator, "v1");
    assert_true(entry.strong);
    assert_in_range(entry.fetched_ns, before, wall_ns());
    assert_int_equal(entry.lifetime_ms, 60000);
    assert_string_equal(entry.lifetime_by, "ttl");
    assert_true(entry.fresh);
    assert_false(entry.pinned);
    larder_cache_entry_free(&entry);
    assert_ok(read_all(fs, "a b/f", 200000, 1));
    clock_ahead_ms = 60001;
    entry = why(fs, "a b/f");
    assert_int_equal(entry.blocks_there, 4);
    assert_int_equal(entry.bytes_there, 200000);
    assert_false(entry.fresh);
    larder_cache_entry_free(&entry);
}

static void why_says_whose_word_counts(void **state)
{
    const char *options[] = {"ttl=100", "listing_ttl=10", "absent_ttl=3", "ttl_rules=*.json=forever", NULL};
    const char *per_handle[] = {"cache.ttl=7", NULL};
    struct larder_fs *ruled = open_mode(options), *plain = open_mode(NULL), *own;
    struct larder_entries entries;
    static const struct {
        const char *path;
        enum larder_cache_kind kind;
        int64_t lifetime_ms;
        const char *by, *rule;
    } cases[] = {
        {"d/a.json", LARDER_CACHE_FILE, INT64_MAX, "ttl_rules", "*.json"},
        {"d/b", LARDER_CACHE_FILE, 100000, "ttl", NULL},
        {"d", LARDER_CACHE_LISTING, 10000, "listing_ttl", NULL},
        {"e", LARDER_CACHE_DIRECTORY, 10000, "listing_ttl", NULL},
        {"none", LARDER_CACHE_ABSENCE, 3000, "absent_ttl", NULL},
        {"never.json", LARDER_CACHE_NOTHING, INT64_MAX, "ttl_rules", "*.json"},
    };
    fake_put("d/a.json", 10, 1);
    fake_put("d/b", 10, 1)->fresh_ms = 5000;
    fake_put("e/f", 10, 1);
    assert_ok(read_all(ruled, "d/a.json", 10, 1));
    assert_ok(read_all(ruled, "d/b", 10, 1));
    assert_int_equal(larder_exists(ruled, "d"), 1);
    assert_int_equal(larder_exists(ruled, "e"), 1);
    assert_int_equal(larder_exists(ruled, "none"), 0);
    assert_ok(larder_ls(ruled, "d", &entries));
    larder_entries_free(&entries);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_cache_entry entry = why(ruled, cases[i].path);
        if (entry.kind != cases[i].kind || entry.lifetime_ms != cases[i].lifetime_ms ||
            strcmp(entry.lifetime_by, cases[i].by) != 0 || !entry.rule != !cases[i].rule ||
            (entry.rule && strcmp(entry.rule, cases[i].rule) != 0))
            fail_msg("%s: kind %d, %lld ms by %s, rule %s", cases[i].path, entry.kind,
                     (long long)entry.lifetime_ms, entry.lifetime_by, entry.rule);
        assert_int_equal(entry.fresh, entry.kind != LARDER_CACHE_NOTHING);
        larder_cache_entry_free(&entry);
    }
    assert_ok(larder_fs_at(ruled, NULL, per_handle, &own));
    struct larder_cache_entry entry = why(own, "d/a.json");
    assert_string_equal(entry.lifetime_by, "handle");
    larder_cache_entry_free(&entry);
    entry = why(plain, "d/b");
    assert_string_equal(entry.lifetime_by, "answer");
    larder_cache_entry_free(&entry);
    entry = why(plain, "d/a.json");
    assert_null(entry.lifetime_by);
    assert_int_equal(entry.lifetime_ms, -1);
    assert_false(entry.fresh);
    larder_cache_entry_free(&entry);
    larder_fs_free(own);
    larder_fs_free(plain);
    larder_fs_free(ruled);
}

static void why_needs_a_cache(void **state)
{
    struct larder_cache_entry entry = {.size = sizeof entry};
    struct larder_fs *plain;
    assert_ok(fs_open(NULL, "fake://", NULL, &plain, NULL));
    assert_status(-EINVAL, larder_cache_why(plain, "f", &entry));
    assert_status(-EINVAL, larder_cache_why(fs, "../f", &entry));
    larder_fs_free(plain);
}

/* ---- list ---- */

struct told {
    char text[2048];
    unsigned count, stop_after;
};

static int tell(void *arg, const struct larder_cache_entry *entry)
{
    static const char kinds[] = "-fdla";
    struct told *told = arg;
    size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%c:%s ", kinds[entry->kind], entry->path);
    told->count++;
    assert_int_equal(larder_exists(fs, entry->path) >= 0, 1); /* it may call anything */
    return told->count == told->stop_after ? 9 : 0;
}

static void everything_is_listed_in_order(void **state)
{
    struct larder_entries entries;
    struct told all = {0}, below = {0}, some = {.stop_after = 2};
    fake_put("a/f", 100, 1);
    fake_put("a/g/h", 100000, 1);
    fake_put("b", 100, 1);
    assert_ok(read_all(fs, "b", 100, 1));
    assert_ok(read_all(fs, "a/g/h", 100000, 1));
    assert_ok(read_all(fs, "a/f", 100, 1));
    assert_int_equal(larder_exists(fs, "a/none"), 0);
    assert_ok(larder_ls(fs, "a", &entries));
    larder_entries_free(&entries);
    flush_cache();
    assert_ok(larder_cache_list(cache, NULL, "", tell, &all));
    assert_string_equal(all.text, "f:a/f f:a/g/h a:a/none f:b l:a ");
    assert_ok(larder_cache_list(cache, fs, "a/g", tell, &below));
    assert_string_equal(below.text, "f:a/g/h ");
    assert_int_equal(larder_cache_list(cache, NULL, "", tell, &some), 9);
    assert_int_equal(some.count, 2);
}

static int count_one(void *arg, const struct larder_cache_entry *entry)
{
    ++*(unsigned *)arg;
    return 0;
}

static void a_long_list_comes_in_pages(void **state)
{
    char path[32];
    unsigned count = 0;
    for (unsigned i = 0; i < 700; i++) {
        snprintf(path, sizeof path, "none/%u", i);
        assert_int_equal(larder_exists(fs, path), 0);
    }
    flush_cache();
    assert_ok(larder_cache_list(cache, fs, "none", count_one, &count));
    assert_int_equal(count, 700);
}

/* ---- pins, pruning ---- */

static bool is_there(const char *path)
{
    struct larder_cache_entry entry = why(fs, path);
    bool there = entry.kind == LARDER_CACHE_FILE;
    larder_cache_entry_free(&entry);
    return there;
}

static bool is_pinned(const char *path)
{
    struct larder_cache_entry entry = why(fs, path);
    bool pinned = entry.pinned;
    larder_cache_entry_free(&entry);
    return pinned;
}

static void what_is_pinned_outlives_pruning(void **state)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    fake_put("p/f", 300000, 1);
    fake_put("p/later", 300000, 2);
    fake_put("q", 300000, 3);
    assert_ok(read_all(fs, "p/f", 300000, 1));
    assert_ok(larder_cache_pin(cache, fs, "p"));
    assert_ok(read_all(fs, "p/later", 300000, 2));
    assert_ok(read_all(fs, "q", 300000, 3));
    assert_true(is_pinned("p/f") && is_pinned("p/later") && is_pinned("p") && !is_pinned("q"));
    assert_ok(larder_cache_stats(cache, &stats));
    assert_in_range(stats.pinned_bytes, 600000, 800000);
    assert_ok(larder_cache_prune(cache, 0));
    assert_true(is_there("p/f") && is_there("p/later") && !is_there("q"));
    assert_int_equal(larder_cache_unpin(cache, fs, "p/f"), 0); /* its directory is */
    assert_true(is_pinned("p/f"));
    assert_ok(larder_cache_pin(cache, fs, "p/f"));
    assert_int_equal(larder_cache_unpin(cache, fs, ""), 2);
    assert_false(is_pinned("p/f"));
    assert_ok(larder_cache_prune(cache, UINT64_MAX));
    assert_true(is_there("p/f"));
    assert_ok(larder_cache_prune(cache, 0));
    assert_false(is_there("p/f"));
    assert_false(is_there("p/later"));
}

static void a_store_that_cannot_be_used_says_so(void **state)
{
    char option[256];
    const char *options[] = {option, NULL};
    struct larder_cache *broken;
    struct larder_cache_entry entry = {.size = sizeof entry};
    snprintf(option, sizeof option, "dir=%s/file/cache", dir);
    char *path = malloc(256);
    snprintf(path, 256, "%s/file", dir);
    fclose(fopen(path, "w"));
    free(path);
    assert_ok(larder_cache_open(options, &broken));
    assert_status(-EROFS, larder_cache_pin(broken, fs, "p"));
    assert_status(-EROFS, larder_cache_unpin(broken, fs, "p"));
    assert_status(-EROFS, larder_cache_prune(broken, 0));
    assert_status(-EROFS, larder_cache_list(broken, NULL, "", count_one, &entry));
    larder_cache_free(broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(why_tells_all_of_a_file),
        TEST(why_says_whose_word_counts),
        TEST(why_needs_a_cache),
        TEST(everything_is_listed_in_order),
        TEST(a_long_list_comes_in_pages),
        TEST(what_is_pinned_outlives_pruning),
        TEST(a_store_that_cannot_be_used_says_so),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("cache_tend", tests, NULL, NULL);
}
