/* SPDX-License-Identifier: Apache-2.0 */
/* S3 on Ceph's gateway: what goes beyond the contract. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"
#include "larder/s3.h"

#include "base/seams.h"
#include "gateway.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- keys ---- */

static void keys_of_every_byte_that_a_path_can_have(void **state)
{
    static const char *const names[] = {
        "a b",
        "a+b",
        "a%20b",
        "a%2Fb",
        "q?x=1&y",
        "#frag",
        "!*'();:@&=+$,[]",
        "\xc3\xa9\xe2\x82\xac",
        "<&>\"'",
        "back\\sl",
        "~-_.",
        "...",
        "tab\there",
        "new\nline",
        "\x01\x02",
        "{curly}|^`",
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    struct larder_entries entries;
    gateway_need();
    for (size_t i = 0; i < COUNT; i++) {
        char path[64];
        put_text(names[i], names[i]);
        snprintf(path, sizeof path, "dir %s/%s", names[i], names[i]);
        put_text(path, "below");
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_text(names[i], names[i]);
        assert_int_equal(larder_isfile(fs, names[i]), 1);
    }
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, 2 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        size_t found = 0;
        for (size_t j = 0; j < entries.count; j++)
            found += strcmp(entries.info[j].name, names[i]) == 0 && entries.info[j].type == LARDER_FILE;
        assert_int_equal(found, 1);
    }
    larder_entries_free(&entries);
    assert_ok(larder_find(fs, "", NULL, &entries));
    assert_int_equal(entries.count, 2 * COUNT);
    larder_entries_free(&entries);
    assert_ok(larder_rm(fs, "dir a%2Fb", true));
    assert_int_equal(larder_exists(fs, "dir a%2Fb"), 0);
}

static void listings_go_on_page_by_page(void **state)
{
    enum { COUNT = 2300 };
    static char names[COUNT][16];
    static struct larder_item items[COUNT];
    struct larder_entries entries;
    gateway_need();
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "d/%05zu", i);
        items[i].path = names[i];
        items[i].bytes = (struct larder_bytes){.data = names[i], .size = strlen(names[i])};
    }
    assert_ok(larder_pipe(fs, items, COUNT, 0, NULL));
    assert_ok(larder_ls(fs, "d", &entries));
    assert_int_equal(entries.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_string_equal(entries.info[i].name, names[i] + 2);
        assert_int_equal(entries.info[i].size, 7);
        assert_true(entries.info[i].mtime_ns > 0 && entries.info[i].version);
    }
    larder_entries_free(&entries);
    assert_ok(larder_rm(fs, "d", true));
    assert_int_equal(larder_isdir(fs, "d"), 0);
}

/* Other tools' way to make an empty directory. */
static void a_marker_is_a_directory_and_no_entry(void **state)
{
    struct larder_entries entries;
    gateway_need();
    assert_ok(larder_mkdir(fs, "implied", false));
    assert_int_equal(larder_isdir(fs, "implied"), 0); /* nothing is in it */
    put_text("implied/a", "x");
    assert_int_equal(larder_isdir(fs, "implied"), 1);
    assert_int_equal(larder_rmdir(fs, "implied"), -ENOTEMPTY);
    assert_int_equal(larder_rmdir(fs, "implied/a"), -ENOTDIR);
    assert_ok(larder_rm_file(fs, "implied/a"));
    assert_int_equal(larder_ls(fs, "implied", &entries), -ENOENT);
    assert_int_equal(larder_rm_file(fs, "implied"), -ENOENT);
}

/* ---- where the bucket is said ---- */

/* The gateway knows itself by "localhost", and what is in front of that is a bucket; all of it is loopback. */
static void a_bucket_may_be_part_of_the_host(void **state)
{
    char endpoint[64];
    const char *const options[] = {endpoint, "path_style=false", NULL};
    struct larder_fs *other;
    struct larder_entries entries;
    char *url;
    gateway_need();
    snprintf(endpoint, sizeof endpoint, "endpoint=http://localhost%s", strrchr(server_url(gateway), ':'));
    put_text("dir/a b", "x");
    other = open_bucket(options);
    assert_ok(larder_ls(other, "dir", &entries));
    assert_int_equal(entries.count, 1);
    assert_string_equal(entries.info[0].name, "a b");
    larder_entries_free(&entries);
    assert_ok(larder_pipe_file(other, "dir/c", "by host", 7, LARDER_CREATE));
    assert_text("dir/c", "by host");
    assert_ok(larder_cp_file(other, "dir/c", other, "d", 0, NULL, NULL));
    assert_text("d", "by host");
    assert_ok(larder_sign(other, "d", 60, &url));
    assert_non_null(strstr(url, bucket));
    assert_true(strstr(url, bucket) < strstr(url, ".localhost:"));
    larder_free(url);
    larder_fs_free(other);
    other = open_bucket((const char *const[]){"path_style=true", NULL});
    assert_ok(larder_sign(other, "d", 60, &url));
    assert_null(strstr(url, ".127.0.0.1"));
    larder_free(url);
    larder_fs_free(other);
}

/* ---- large ---- */

#define LARGE ((size_t)21 << 20)

static void a_large_file_goes_up_in_parts_and_comes_back(void **state)
{
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "large"), *back = tmpdir_path(dir, "back");
    struct larder_info info;
    size_t size;
    gateway_need();
    tree_write_content(dir, "large", LARGE, 5);
    assert_ok(larder_put_file(local, fs, "x/large", 0, NULL, NULL));
    assert_ok(larder_info(fs, "x/large", &info));
    assert_int_equal(info.size, LARGE);
    assert_non_null(strchr(info.version, '-')); /* an ETag of several parts */
    larder_info_free(&info);
    assert_ok(larder_get_file(fs, "x/large", back, 0, NULL, NULL));
    char *data = tree_read(dir, "back", &size);
    assert_int_equal(size, LARGE);
    assert_true(content_matches(data, size, 5, 0));
    free(data);
    assert_ok(larder_cp_file(fs, "x/large", fs, "copy", 0, NULL, NULL));
    assert_ok(larder_info(fs, "copy", &info));
    assert_int_equal(info.size, LARGE);
    larder_info_free(&info);
    free(local);
    free(back);
    tmpdir_remove(dir);
}

static void a_writer_that_has_not_closed_is_an_upload(void **state)
{
    static const char *const options[] = {"part_size=5M", NULL};
    static char piece[6 << 20];
    struct larder_s3_uploads uploads;
    struct larder_file *file;
    gateway_need();
    assert_ok(larder_file_open(fs, "up/load", "w", options, &file));
    assert_ok(larder_file_write(file, piece, sizeof piece));
    assert_ok(larder_file_flush(file));
    assert_ok(larder_s3_uploads(fs, "up", &uploads));
    assert_int_equal(uploads.count, 1);
    assert_string_equal(uploads.upload[0].path, "up/load");
    assert_true(uploads.upload[0].begun_ns > 0);
    assert_ok(larder_s3_abort(fs, &uploads.upload[0]));
    assert_ok(larder_s3_abort(fs, &uploads.upload[0])); /* gone already */
    larder_s3_uploads_free(&uploads);
    assert_true(larder_file_close(file) < 0);
    assert_int_equal(larder_exists(fs, "up/load"), 0);
    assert_ok(larder_s3_uploads(fs, "", &uploads));
    assert_int_equal(uploads.count, 0);
    larder_s3_uploads_free(&uploads);
    assert_int_equal(larder_s3_uploads(account, "no-such-bucket", &uploads), -ENOENT);
}

/* ---- conditions ---- */

struct race {
    const char *path;
    char text[8];
};

static int create_in_task(void *arg)
{
    struct race *race = arg;
    return larder_pipe_file(fs, race->path, race->text, strlen(race->text), LARDER_CREATE);
}

static void of_many_that_create_one_key_exactly_one_wins(void **state)
{
    enum { TASKS = 16, ROUNDS = 10 };
    gateway_need();
    for (int round = 0; round < ROUNDS; round++) {
        struct larder_task *tasks[TASKS];
        struct race races[TASKS];
        char path[16], won[8] = "";
        int wins = 0;
        snprintf(path, sizeof path, "race-%d", round);
        for (int i = 0; i < TASKS; i++) {
            races[i].path = path;
            snprintf(races[i].text, sizeof races[i].text, "%d", i);
            assert_ok(larder_spawn(NULL, create_in_task, &races[i], NULL, NULL, &tasks[i]));
        }
        for (int i = 0; i < TASKS; i++) {
            int rc = larder_join(tasks[i]);
            assert_true(rc == 0 || rc == -EEXIST);
            if (rc == 0)
                strcpy(won, races[i].text);
            wins += rc == 0;
        }
        assert_int_equal(wins, 1);
        assert_text(path, won);
    }
}

static void replaced_is_only_the_version_that_was_seen(void **state)
{
    struct larder_info first, second;
    gateway_need();
    put_text("f", "one");
    assert_ok(larder_info(fs, "f", &first));
    assert_ok(larder_replace_file(fs, "f", "two", 3, first.version, 0));
    assert_int_equal(larder_replace_file(fs, "f", "three", 5, first.version, 0), -ESTALE);
    assert_text("f", "two");
    assert_ok(larder_info(fs, "f", &second));
    assert_ok(larder_replace_file(fs, "f", "four", 4, second.version, 0));
    assert_text("f", "four");
    larder_info_free(&first);
    larder_info_free(&second);
}

/* ---- who asks, and when ---- */

static void wrong_keys_are_refused_and_not_taken_for_missing(void **state)
{
    static const char *const options[] = {"access_key=testkey", "secret_key=wrong", NULL};
    struct larder_fs *other;
    struct larder_bytes bytes;
    gateway_need();
    put_text("f", "x");
    assert_ok(larder_open(NULL, "s3://bucket-0", options, &other, NULL));
    assert_int_equal(larder_cat_file(other, "f", NULL, &bytes), -EACCES);
    assert_non_null(strstr(larder_error(), "SignatureDoesNotMatch"));
    assert_null(strstr(larder_error(), "wrong"));
    assert_int_equal(larder_exists(other, "f"), -EACCES);
    larder_fs_free(other);
}

static int64_t (*real_wall_ns)(void);

static int64_t late_wall_ns(void)
{
    return real_wall_ns() - INT64_C(40) * 60 * 1000000000;
}

static void a_clock_that_is_wrong_is_corrected_by_the_servers(void **state)
{
    static const char *const options[] = {"skip_instance_cache=true", NULL};
    struct larder_fs *other;
    struct larder_entries entries;
    gateway_need();
    real_wall_ns = world_seam.wall_ns;
    world_seam.wall_ns = late_wall_ns;
    assert_ok(larder_open(NULL, "s3://", options, &other, NULL));
    int rc = larder_ls(other, "", &entries);
    world_seam.wall_ns = real_wall_ns;
    assert_ok(rc);
    larder_entries_free(&entries);
    larder_fs_free(other);
}

static void a_bucket_is_not_brought_about_by_a_write(void **state)
{
    gateway_need();
    assert_int_equal(larder_pipe_file(account, "no-such-bucket/a/b", "x", 1, LARDER_PARENTS), -ENOENT);
    assert_int_equal(larder_mkdir(account, "bucket-0", false), -EEXIST);
    put_text("f", "x");
}

/* Nor by any other way to write: a name that was mistyped would be somebody's to pay for. */
static void a_bucket_is_not_brought_about_by_a_copy(void **state)
{
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "file"), *tree = tmpdir_path(dir, "");
    char source[64], option[600];
    const char *const locals[] = {tree, NULL};
    const struct larder_copy_options all = {.size = sizeof all, .recursive = true};
    struct larder_item item = {.path = "no-such-bucket/d/f", .bytes = {.data = "x", .size = 1}};
    struct larder_file *file;
    struct larder_txn *txn;
    struct larder_fs *view, *disk;
    gateway_need();
    assert_ok(larder_open(NULL, dir, NULL, &disk, NULL));
    put_text("f", "x");
    snprintf(source, sizeof source, "%s/f", bucket);
    tree_write(dir, "file", "text", 4);
    assert_status(-ENOENT,
                  larder_cp_file(account, source, account, "no-such-bucket/f", LARDER_PARENTS, NULL, NULL));
    assert_status(-ENOENT, larder_put_file(local, account, "no-such-bucket/f", LARDER_PARENTS, NULL, NULL));
    assert_status(-ENOENT, larder_put(locals, 1, account, "no-such-bucket/t", &all));
    assert_status(-ENOENT,
                  larder_mv(account, (const char *[]){source}, 1, account, "no-such-bucket/f", NULL));
    assert_status(-ENOENT, larder_rsync(disk, "", account, "no-such-bucket", NULL));
    assert_status(-ENOENT, larder_pipe(account, &item, 1, LARDER_PARENTS, NULL));
    assert_ok(
        larder_file_open(account, "no-such-bucket/f", "w", (const char *[]){"parents=true", NULL}, &file));
    assert_ok(larder_file_write(file, "x", 1));
    assert_status(-ENOENT, larder_file_close(file));
    snprintf(option, sizeof option, "journal=%s/journal", dir);
    assert_ok(larder_txn_begin((const char *const[]){option, NULL}, &txn));
    assert_ok(larder_txn_fs(txn, account, &view));
    if (larder_pipe_file(view, "no-such-bucket/f", "x", 1, LARDER_PARENTS) == 0)
        assert_true(larder_txn_commit(txn, NULL) < 0);
    else
        assert_ok(larder_txn_rollback(txn));
    larder_fs_free(view);
    larder_fs_free(disk);
    assert_int_equal(larder_exists(account, "no-such-bucket"), 0);
    assert_text("f", "x");
    free(local);
    free(tree);
    tmpdir_remove(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_bucket, gateway_no_bucket)
    const struct CMUnitTest tests[] = {
        TEST(keys_of_every_byte_that_a_path_can_have),
        TEST(listings_go_on_page_by_page),
        TEST(a_marker_is_a_directory_and_no_entry),
        TEST(a_bucket_may_be_part_of_the_host),
        TEST(a_large_file_goes_up_in_parts_and_comes_back),
        TEST(a_writer_that_has_not_closed_is_an_upload),
        TEST(of_many_that_create_one_key_exactly_one_wins),
        TEST(replaced_is_only_the_version_that_was_seen),
        TEST(wrong_keys_are_refused_and_not_taken_for_missing),
        TEST(a_clock_that_is_wrong_is_corrected_by_the_servers),
        TEST(a_bucket_is_not_brought_about_by_a_write),
        TEST(a_bucket_is_not_brought_about_by_a_copy),
    };
    return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
