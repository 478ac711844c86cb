/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors that end inside a file: what the next one finds, and asks for. */
#include "test.h"

#include <errno.h>

#include "cache/format.h"
#include "mirror_case.h"

#define LARGE 6000000

static int mirror_cut(const char *path, int64_t cut_at)
{
    struct larder_mirror_stats stats = {.size = sizeof stats};
    fake.cut_at = cut_at;
    int rc = larder_mirror(fs, path, NULL, &stats);
    fake.cut_at = -1;
    fake.log[0] = 0;
    fake.bytes = 0;
    return rc;
}

static void goes_on_when_cut_at(const char *path, size_t cut, bool stale)
{
    struct larder_mirror_options dry_run = {.size = sizeof dry_run, .dry_run = true};
    struct larder_fs *offline = open_with("mode=offline");
    size_t whole_blocks = cut / BLOCK_SIZE * BLOCK_SIZE;
    fake_put(path, LARGE, 1);
    assert_status(-EPROTO, mirror_cut(path, (int64_t)cut));
    clock_ahead_ms += stale ? 100000 : 0;
    unsigned unchanged = fake.unchanged;
    assert_status(-ENONET, read_all(offline, path, LARGE, 1));
    struct larder_mirror_stats dry = mirror(path, &dry_run);
    struct larder_mirror_stats stats = mirror(path, NULL);
    /* The place gives pieces of 50,000 bytes, and whole blocks are kept. */
    assert_in_range(stats.bytes_present, whole_blocks - 2 * (size_t)BLOCK_SIZE, whole_blocks);
    assert_int_equal(stats.bytes_present + stats.bytes_fetched, LARGE);
    assert_int_equal(dry.bytes_present, stats.bytes_present);
    assert_int_equal(dry.bytes_fetched, stats.bytes_fetched);
    assert_int_equal(fake.bytes, stats.bytes_fetched);
    assert_int_equal(fake.unchanged - unchanged, stale);
    assert_ok(read_all(offline, path, LARGE, 1));
    larder_fs_free(offline);
}

static void a_file_that_was_cut_goes_on_with_what_is_there(void **state)
{
    goes_on_when_cut_at("a", 700000, false); /* before the first chunk was full */
    goes_on_when_cut_at("b", 700000, true);
    goes_on_when_cut_at("c", 4500000, false);
    goes_on_when_cut_at("d", 4500000, true);
    goes_on_when_cut_at("e", LARGE - 1, true);
}

static void a_file_that_was_cut_and_changed_begins_anew(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    for (int stale = 0; stale < 2; stale++) {
        fake_put("t/large", LARGE, 1);
        assert_status(-EPROTO, mirror_cut("t", 5000000));
        clock_ahead_ms += stale ? 100000 : 0;
        fake_put("t/large", LARGE, 2); /* the listing says so */
        assert_int_equal(mirror("t", NULL).bytes_fetched, LARGE);
        assert_ok(read_all(offline, "t/large", LARGE, 2));
    }
    larder_fs_free(offline);
}

static void a_file_that_changes_between_its_parts_begins_anew(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    const char *const names[] = {"large"};
    struct larder_mirror_options options = {.size = sizeof options, .names = names, .name_count = 1};
    fake_put("t/large", 3 * LARGE, 1);
    assert_status(-EPROTO, mirror_cut("t", 5000000));
    fake.change_after = fake.reads + 1; /* behind the first of what is missing */
    assert_ok(larder_mirror(fs, "t", &options, NULL));
    assert_ok(read_all(offline, "t/large", 3 * LARGE, 1));
    fake.change_after = 0;
    larder_fs_free(offline);
}

/* What can be read offline is not given up for half of something newer. */
static void the_whole_file_of_before_stays_until_the_new_one_has_come(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    fake_put("t/large", LARGE, 1);
    mirror("t", NULL);
    fake_put("t/large", LARGE, 2);
    assert_status(-EPROTO, mirror_cut("t", 5000000));
    assert_ok(read_all(offline, "t/large", LARGE, 1));
    mirror("t", NULL);
    assert_ok(read_all(offline, "t/large", LARGE, 2));
    larder_fs_free(offline);
}

static void what_takes_part_of_the_cap_takes_it_once(void **state)
{
    struct larder_fs *small = open_with("max_size=8M");
    fake_put("t/large", LARGE, 1);
    assert_status(-EPROTO, mirror_cut("t", 5000000));
    assert_ok(larder_mirror(small, "t", NULL, NULL));
    larder_fs_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_was_cut_goes_on_with_what_is_there),
        TEST(a_file_that_was_cut_and_changed_begins_anew),
        TEST(a_file_that_changes_between_its_parts_begins_anew),
        TEST(the_whole_file_of_before_stays_until_the_new_one_has_come),
        TEST(what_takes_part_of_the_cap_takes_it_once),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("mirror_cut", tests, NULL, NULL);
}
