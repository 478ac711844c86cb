/* SPDX-License-Identifier: Apache-2.0 */
/* What else can be known of a path, and fsspec's other names. */
#include "task_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"
#include "larder/aliases.h"

#include "backends/backends.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "fake_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define HELLO        "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static char *tmp;
static struct larder_fs *memory, *local, *fake_fs, *cached;

static void times_are_those_of_the_file(void **state)
{
    struct larder_fs *both[] = {memory, local};
    int64_t before = wall_ns() - 60000000000, created = 0, modified = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(larder_pipe_file(both[i], "file", "hello", 5, LARDER_PARENTS));
        assert_ok(larder_modified(both[i], "file", &modified));
        assert_true(modified > before);
        int rc = larder_created(both[i], "file", &created);
        assert_true(rc == 0 || (i == 1 && rc == -ENODATA)); /* not every file system keeps it */
        assert_true(rc < 0 || created > before);
        assert_status(-ENOENT, larder_created(both[i], "none", &created));
    }
    fake_put("file", 5, 1);
    assert_status(-ENODATA, larder_created(fake_fs, "file", &created));
    assert_non_null(strstr(larder_error(), "file"));
}

static void a_ukey_is_another_when_the_bytes_are(void **state)
{
    struct larder_fs *all[] = {memory, local};
    char *one = NULL, *same = NULL, *other = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(larder_pipe_file(all[i], "file", "hello", 5, 0));
        assert_ok(larder_ukey(all[i], "file", &one));
        assert_ok(larder_ukey(all[i], "file", &same));
        assert_string_equal(one, same);
        assert_ok(larder_pipe_file(all[i], "file", "world", 5, 0));
        assert_ok(larder_ukey(all[i], "file", &other));
        assert_string_not_equal(one, other);
        larder_free(one);
        larder_free(same);
        larder_free(other);
    }
    fake_put("weak", 5, 1)->flags = ANSWER_WEAK;
    assert_status(-ENODATA, larder_ukey(fake_fs, "weak", &one));
}

static int checksum_in_a_task(void *arg)
{
    char *sum = NULL;
    CHECK(larder_checksum(arg, "sum", NULL, &sum) == 0);
    bool right = strcmp(sum, HELLO) == 0;
    larder_free(sum);
    CHECK(right);
    return 0;
}

static void a_checksum_is_of_the_bytes(void **state)
{
    struct larder_fs *all[] = {memory, local};
    char *sum = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(larder_pipe_file(all[i], "sum", "hello", 5, 0));
        assert_ok(larder_checksum(all[i], "sum", NULL, &sum));
        assert_string_equal(sum, HELLO);
        larder_free(sum);
        assert_ok(larder_checksum(all[i], "sum", "md5", &sum));
        assert_string_equal(sum, "md5:5d41402abc4b2a76b9719d911017c592");
        larder_free(sum);
        assert_ok(larder_sync(NULL, checksum_in_a_task, all[i], 0));
        assert_status(-EINVAL, larder_checksum(all[i], "sum", "crc", &sum));
        assert_status(-ENOENT, larder_checksum(all[i], "none", "md5", &sum));
    }
    char *large = malloc(3 << 20);
    memset(large, 'x', 3 << 20);
    assert_ok(larder_pipe_file(memory, "large", large, 3 << 20, 0));
    free(large);
    assert_ok(larder_checksum(memory, "large", "md5", &sum));
    assert_string_equal(sum, "md5:c1887f0c970afa48194adf7f5c504696");
    larder_free(sum);
}

static void who_cannot_sign_says_so(void **state)
{
    char *url = NULL;
    assert_status(-ENOTSUP, larder_sign(memory, "file", 60, &url));
    assert_status(-ENOTSUP, larder_sign(cached, "file", 60, &url));
    assert_status(-EINVAL, larder_sign(memory, "file", 0, &url));
    assert_null(url);
}

static unsigned asked_for(const char *path)
{
    struct larder_bytes bytes;
    unsigned before = fake.reads;
    assert_ok(larder_cat_file(cached, path, NULL, &bytes));
    larder_bytes_free(&bytes);
    return fake.reads - before;
}

static unsigned lists_asked(const char *path)
{
    struct larder_entries entries;
    unsigned before = fake.lists;
    assert_ok(larder_listdir(cached, path, &entries));
    larder_entries_free(&entries);
    return fake.lists - before;
}

static void ask_all(unsigned file, unsigned other, unsigned list, unsigned other_list)
{
    assert_int_equal(asked_for("d/e/file"), file);
    assert_int_equal(asked_for("o/file"), other);
    assert_int_equal(lists_asked("d"), list);
    assert_int_equal(lists_asked("o"), other_list);
}

static void what_is_invalidated_is_asked_for_again(void **state)
{
    struct larder_cache *cache = NULL;
    char *dir = tmpdir_path(tmp, "cache"), option[512];
    snprintf(option, sizeof option, "dir=%s", dir);
    assert_ok(larder_cache_open(OPTIONS(option), &cache));
    fake_put("d/e/file", 100, 1);
    fake_put("o/file", 100, 1);
    ask_all(1, 1, 1, 1);
    assert_ok(larder_cache_flush(cache));
    ask_all(0, 0, 0, 0);
    assert_ok(larder_invalidate_cache(cached, "d/e/file"));
    ask_all(1, 0, 1, 0); /* the directories above it, too */
    assert_ok(larder_cache_flush(cache));
    assert_ok(larder_invalidate_cache(cached, "d"));
    ask_all(1, 0, 1, 0);
    assert_ok(larder_cache_flush(cache));
    assert_ok(larder_invalidate_cache(cached, NULL));
    ask_all(1, 1, 1, 1);
    assert_status(-EINVAL, larder_invalidate_cache(cached, "../x"));
    assert_ok(larder_invalidate_cache(memory, "file"));
    larder_cache_free(cache);
    free(dir);
}

static void fsspecs_other_names_are_the_same_calls(void **state)
{
    struct larder_bytes bytes;
    struct larder_info info;
    assert_ok(larder_mkdirs(memory, "alias/deep", true));
    assert_ok(larder_makedir(memory, "alias/dir", false));
    assert_ok(larder_write_bytes(memory, "alias/file", "hello", 5, 0));
    assert_ok(larder_read_bytes(memory, "alias/file", NULL, &bytes));
    assert_string_equal(bytes.data, "hello");
    larder_bytes_free(&bytes);
    assert_ok(larder_stat(memory, "alias/file", &info));
    assert_int_equal(info.size, 5);
    larder_info_free(&info);
    assert_int_equal(larder_disk_usage(memory, "alias", NULL), 5);
    assert_ok(larder_delete(memory, "alias", true));
    assert_status(0, larder_exists(memory, "alias"));
}

static int setup(void **state)
{
    char option[512];
    tmp = tmpdir_make();
    snprintf(option, sizeof option, "cache.dir=%s/cache", tmp);
    backend_register(&memory_backend);
    backend_register(&local_backend);
    backend_register(&fake_backend);
    backend_register(&cache_backend);
    assert_ok(fs_open(NULL, "memory://test_facts", NULL, &memory, NULL));
    assert_ok(fs_open(NULL, tmp, NULL, &local, NULL));
    assert_ok(fs_open(NULL, "fake://", NULL, &fake_fs, NULL));
    return fs_open(NULL, "cache::fake://", OPTIONS(option, "cache.ttl=1h"), &cached, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(memory);
    larder_fs_free(local);
    larder_fs_free(fake_fs);
    larder_fs_free(cached);
    fake_reset();
    tmpdir_remove(tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_those_of_the_file),
        cmocka_unit_test(a_ukey_is_another_when_the_bytes_are),
        cmocka_unit_test(a_checksum_is_of_the_bytes),
        cmocka_unit_test(who_cannot_sign_says_so),
        cmocka_unit_test(what_is_invalidated_is_asked_for_again),
        cmocka_unit_test(fsspecs_other_names_are_the_same_calls),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
