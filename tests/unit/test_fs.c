/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, options and chains; what the contract suites cannot see from outside. */
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "fs/option.h"
#include "tmpdir.h"
#include "tree.h"

static int open_url(const char *url, const char *const options[], struct larder_fs **fs, char **path)
{
    return fs_open(NULL, url, options, fs, path);
}

static void a_url_is_a_place_and_a_path(void **state)
{
    struct larder_fs *fs;
    char *path, *url;
    assert_int_equal(open_url("memory://a/b", NULL, &fs, &path), 0);
    assert_string_equal(path, "a/b");
    assert_int_equal(larder_fs_url(fs, "x", &url), 0);
    assert_string_equal(url, "memory://x");
    larder_free(url);
    larder_free(path);
    larder_fs_free(fs);
    assert_int_equal(open_url("memory://a/b/", NULL, &fs, NULL), 0);
    assert_int_equal(larder_fs_url(fs, "x", &url), 0);
    assert_string_equal(url, "memory://a/b/x");
    larder_free(url);
    larder_fs_free(fs);
}

static void dir_makes_the_path_the_root(void **state)
{
    struct larder_fs *fs;
    char *path;
    assert_int_equal(open_url("dir::memory://a/b", NULL, &fs, &path), 0);
    assert_string_equal(path, "");
    assert_string_equal(fs->root, "a/b");
    larder_free(path);
    larder_fs_free(fs);
}

static void a_plain_path_is_local_and_absolute(void **state)
{
    struct larder_fs *fs;
    char *path;
    assert_int_equal(open_url("/tmp/./x/../y", NULL, &fs, &path), 0);
    assert_string_equal(path, "tmp/y");
    larder_free(path);
    larder_fs_free(fs);
    assert_int_equal(open_url("some/file", NULL, &fs, &path), 0);
    assert_non_null(strstr(path, "/some/file"));
    larder_free(path);
    larder_fs_free(fs);
    assert_int_equal(open_url("file:///a%20b", NULL, &fs, &path), 0);
    larder_free(path);
    larder_fs_free(fs);
    assert_int_equal(open_url("file://host", NULL, &fs, &path), -EINVAL);
}

static void what_nobody_knows_is_refused_by_name(void **state)
{
    struct larder_fs *fs;
    assert_int_equal(open_url("gopher://x", NULL, &fs, NULL), -ENOTSUP);
    assert_non_null(strstr(larder_error(), "gopher"));
    assert_int_equal(open_url("cahce::memory://x", NULL, &fs, NULL), -ENOTSUP);
    assert_non_null(strstr(larder_error(), "cahce"));
    assert_int_equal(open_url("dir::", NULL, &fs, NULL), -EINVAL);
    assert_int_equal(open_url(NULL, NULL, &fs, NULL), -EINVAL);
}

static void wrong_options_are_refused_by_name(void **state)
{
    struct larder_fs *fs = NULL;
    const char *const unknown[] = {"local.snyc=1", NULL}, *const layer[] = {"lokal.sync=1", NULL};
    const char *const other_case[] = {"Local.sync=1", NULL};
    const char *const value[] = {"sync=perhaps", NULL}, *const form[] = {"sync", NULL};
    const char *const elsewhere[] = {"memory.x=1", NULL}, *const good[] = {"local.sync=yes", NULL};
    assert_int_equal(open_url("/tmp", unknown, &fs, NULL), -EINVAL);
    assert_non_null(strstr(larder_error(), "snyc"));
    assert_int_equal(open_url("/tmp", layer, &fs, NULL), -EINVAL);
    assert_non_null(strstr(larder_error(), "lokal"));
    assert_int_equal(open_url("/tmp", other_case, &fs, NULL), -EINVAL);
    assert_int_equal(open_url("/tmp", value, &fs, NULL), -EINVAL);
    assert_non_null(strstr(larder_error(), "perhaps"));
    assert_int_equal(open_url("/tmp", form, &fs, NULL), -EINVAL);
    assert_int_equal(open_url("/tmp", elsewhere, &fs, NULL), -EINVAL);
    assert_non_null(strstr(larder_error(), "memory.x"));
    assert_null(fs);
    assert_int_equal(open_url("memory://", good, &fs, NULL), 0); /* a layer that this chain lacks */
    larder_fs_free(fs);
    assert_int_equal(open_url("/tmp", good, &fs, NULL), 0);
    assert_true(option_bool(fs->instance, "sync"));
    larder_fs_free(fs);
}

static void the_environment_gives_options_too(void **state)
{
    struct larder_fs *fs;
    const char *const no[] = {"sync=no", NULL};
    setenv("LARDER_LOCAL_SYNC", "1", 1);
    assert_int_equal(open_url("/tmp", NULL, &fs, NULL), 0);
    assert_true(option_bool(fs->instance, "sync"));
    larder_fs_free(fs);
    assert_int_equal(open_url("/tmp", no, &fs, NULL), 0);
    assert_false(option_bool(fs->instance, "sync"));
    larder_fs_free(fs);
    setenv("LARDER_LOCAL_SYNC", "perhaps", 1);
    assert_int_equal(open_url("/tmp", NULL, &fs, NULL), -EINVAL);
    assert_non_null(strstr(larder_error(), "LARDER_LOCAL_SYNC"));
    unsetenv("LARDER_LOCAL_SYNC");
}

static void no_path_leaves_the_root_of_a_handle(void **state)
{
    struct larder_fs *fs, *at;
    struct larder_info info;
    assert_int_equal(open_url("memory://top", NULL, &fs, NULL), 0);
    assert_int_equal(larder_fs_at(fs, "..", NULL, &at), -EINVAL);
    assert_int_equal(larder_fs_at(fs, "a/b", NULL, &at), 0);
    assert_string_equal(at->root, "top/a/b");
    assert_int_equal(larder_info(at, "../x", &info), -EINVAL);
    assert_int_equal(larder_info(at, "x//y", &info), -EINVAL);
    assert_int_equal(larder_info(at, "x", &info), -ENOENT);
    larder_fs_free(at);
    larder_fs_free(fs);
}

static void ranges_mean_what_python_slices_mean(void **state)
{
    static const struct {
        struct larder_range range;
        int64_t start, count;
    } cases[] = {
        {{0, LARDER_TO_END}, 0, 10},
        {{3, 3}, 3, 0},
        {{5, 3}, 5, 0},
        {{0, 100}, 0, 10},
        {{50, 60}, 10, 0},
        {{-4, LARDER_TO_END}, 6, 4},
        {{-100, LARDER_TO_END}, 0, 10},
        {{-100, -20}, 0, 0},
        {{2, -3}, 2, 5},
        {{-3, -1}, 7, 2},
        {{0, 0}, 0, 0},
        {{INT64_MIN, LARDER_TO_END}, 0, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t start, count;
        range_resolve(&cases[i].range, 10, &start, &count);
        assert_int_equal(start, cases[i].start);
        assert_int_equal(count, cases[i].count);
    }
    assert_true(range_is_empty(&(struct larder_range){5, 3}));
    assert_true(range_is_empty(&(struct larder_range){-3, -3}));
    assert_false(range_is_empty(&(struct larder_range){5, -3}));
    assert_true(range_needs_size(&(struct larder_range){5, -3}));
    assert_true(range_needs_size(&(struct larder_range){-5, 3}));
    assert_false(range_needs_size(&(struct larder_range){-5, LARDER_TO_END}));
    assert_false(range_needs_size(NULL));
}

static int round_of_reads(void *arg)
{
    static const char *const options[] = {"local.sync=1", NULL};
    struct larder_fs *fs = NULL, *at = NULL;
    struct larder_bytes bytes = {0};
    struct larder_info info = {0};
    char *url = NULL;
    int rc = open_url("memory://alloc", options, &fs, NULL);
    if (rc == 0)
        rc = larder_fs_at(fs, "a", NULL, &at);
    if (rc == 0)
        rc = larder_cat_file(at, "b", NULL, &bytes);
    if (rc == 0 && (bytes.size != 5 || memcmp(bytes.data, "hello", 6) != 0))
        rc = -EBADMSG;
    if (rc == 0)
        rc = larder_info(at, "b", &info);
    if (rc == 0)
        rc = larder_fs_url(at, "b", &url);
    larder_free(url);
    larder_info_free(&info);
    larder_bytes_free(&bytes);
    larder_fs_free(at);
    larder_fs_free(fs);
    return rc;
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    struct larder_fs *fs;
    assert_ok(open_url("memory://alloc", NULL, &fs, NULL));
    assert_ok(larder_pipe_file(fs, "a/b", "hello", 5, 0));
    assert_true(alloc_fault_run(round_of_reads, NULL) > 5);
    assert_ok(larder_rm(fs, "", true));
    larder_fs_free(fs);
}

/* ---- a walk is cancelled while a worker lists ---- */

#define MANY 2500 /* of a page's 1000 entries */

static struct larder_walk *walk;
static struct larder_task *walker;
static atomic_uint names_read;

static struct dirent *cancel_and_read(DIR *dir)
{
    if (atomic_fetch_add(&names_read, 1) == 1500)
        larder_cancel(walker);
    return readdir(dir);
}

static int count_entries(void *arg)
{
    const char *dir;
    const struct larder_info *entry;
    int *count = arg, rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0)
        ++*count;
    return rc;
}

static void a_missing_argument_is_refused(void **state)
{
    struct larder_fs *fs;
    struct larder_bytes bytes;
    struct larder_find_options unsized = {.dirs = true};
    assert_ok(open_url("memory://x", NULL, &fs, NULL));
    assert_int_equal(larder_cat_file(fs, NULL, NULL, &bytes), -EINVAL);
    assert_int_equal(larder_walk_open(fs, "", &unsized, &walk), -EINVAL);
    larder_fs_free(fs);
}

static void a_cancelled_walk_goes_on_with_nothing_lost(void **state)
{
    struct file_seam seam = file_seam;
    struct larder_fs *fs;
    char *tmp = tmpdir_make(), name[16];
    int count = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d", i);
        tree_write(tmp, name, "", 0);
    }
    assert_ok(open_url(tmp, NULL, &fs, NULL));
    assert_ok(larder_walk_open(fs, "", NULL, &walk));
    file_seam.readdir = cancel_and_read;
    assert_ok(larder_spawn(NULL, count_entries, &count, NULL, NULL, &walker));
    assert_status(-ECANCELED, larder_join(walker));
    file_seam = seam;
    assert_ok(count_entries(&count));
    assert_string_equal(larder_error(), "");
    assert_int_equal(count, MANY);
    larder_walk_free(walk);
    larder_fs_free(fs);
    tmpdir_remove(tmp);
}

static void links_that_lead_nowhere_or_back_up_are_no_trees(void **state)
{
    struct larder_fs *fs;
    struct larder_entries found;
    char *tmp = tmpdir_make(), *back = tmpdir_path(tmp, "tree/a/back"),
         *lost = tmpdir_path(tmp, "tree/a/lost"), *over = tmpdir_path(tmp, "tree/over");
    tree_write(tmp, "tree/a/file", "", 0);
    tree_write(tmp, "tree/.larder-of-mine", "", 0);
    assert_int_equal(symlink("../../tree", back), 0);
    assert_int_equal(symlink("nowhere", lost), 0);
    assert_int_equal(symlink("a", over), 0);
    assert_ok(open_url(tmp, NULL, &fs, NULL));
    assert_ok(larder_find(fs, "tree", NULL, &found));
    assert_int_equal(found.count,
                     7); /* a's three, the same over the link, and the one that is only named like ours */
    for (size_t i = 0; i < found.count; i++)
        assert_int_equal(found.info[i].type == LARDER_FILE, strstr(found.info[i].name, "/back") == NULL &&
                                                                strstr(found.info[i].name, "/lost") == NULL);
    larder_entries_free(&found);
    assert_ok(larder_rm(fs, "tree", true));
    assert_int_equal(larder_exists(fs, "tree"), 0);
    larder_fs_free(fs);
    free(back);
    free(lost);
    free(over);
    tmpdir_remove(tmp);
}

static void a_file_is_got_under_the_longest_name(void **state)
{
    struct larder_fs *fs;
    char *tmp = tmpdir_make(), name[256] = "", *local;
    memset(name, 'n', 255);
    local = tmpdir_path(tmp, name);
    assert_ok(open_url("memory://got", NULL, &fs, NULL));
    assert_ok(larder_pipe_file(fs, "x", "xyz", 3, 0));
    assert_ok(larder_get_file(fs, "x", local, 0, NULL, NULL));
    assert_true(tree_has(tmp, name));
    assert_int_equal(larder_get_file(fs, "x", NULL, 0, NULL, NULL), -EINVAL);
    larder_fs_free(fs);
    free(local);
    tmpdir_remove(tmp);
}

/* What was synced below a directory, in order: one name behind the other. */
static char synced[2048];
static size_t synced_below; /* how long that directory's name is */
static int (*real_fsync)(int fd);

static int note_fsync(int fd)
{
    char link[64], name[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, name, sizeof name - 1);
    assert_true(size >= (ssize_t)synced_below);
    name[size] = 0;
    size_t used = strlen(synced);
    snprintf(synced + used, sizeof synced - used, "%s\n",
             strstr(name, "/.larder-") ? "the file" : name + synced_below);
    return real_fsync(fd);
}

static void assert_synced(const char *expected)
{
    assert_string_equal(synced, expected);
    synced[0] = 0;
}

/* A power cut takes a name whose directory was not synced, however well that was that is in it: each new directory has
 * its name on the disk before what it is for, and nothing is synced that was there. */
static void what_is_synced_is_there_by_name(void **state)
{
    static const char new_dirs[] = "\n/d\nthe file\n/d/e\n";
    struct larder_copy_options options = {.size = sizeof options, .sync = true};
    struct larder_fs *fs, *memory, *syncing;
    char *tmp = tmpdir_make();
    synced_below = strlen(tmp);
    assert_ok(open_url(tmp, NULL, &fs, NULL));
    assert_ok(open_url(tmp, (const char *const[]){"local.sync=true", NULL}, &syncing, NULL));
    assert_ok(open_url("memory://synced", NULL, &memory, NULL));
    assert_ok(larder_pipe_file(memory, "f", "x", 1, LARDER_PARENTS));
    real_fsync = file_seam.fsync;
    file_seam.fsync = note_fsync;
    assert_ok(larder_pipe_file(fs, "a/b/f", "x", 1, LARDER_PARENTS));
    assert_synced("");
    assert_ok(larder_pipe_file(fs, "d/e/f", "x", 1, LARDER_PARENTS | LARDER_SYNC));
    assert_synced(new_dirs);
    assert_ok(larder_pipe_file(fs, "d/e/f", "y", 1, LARDER_PARENTS | LARDER_SYNC));
    assert_synced("the file\n/d/e\n");
    assert_ok(larder_rm(fs, "d", true));
    assert_ok(larder_cp_file(memory, "f", fs, "d/e/f", LARDER_PARENTS | LARDER_SYNC, NULL, NULL));
    assert_synced(new_dirs);
    assert_ok(larder_rm(fs, "d", true));
    assert_ok(larder_copy(memory, (const char *[]){"f"}, 1, fs, "d/e/f", &options));
    assert_synced(new_dirs);
    assert_ok(larder_rm(fs, "d", true));
    assert_ok(larder_pipe(fs, &(struct larder_item){.path = "d/e/f"}, 1, LARDER_PARENTS | LARDER_SYNC, NULL));
    assert_synced(new_dirs);
    assert_ok(larder_rm(fs, "d", true));
    assert_ok(larder_pipe_file(syncing, "d/e/f", "x", 1, LARDER_PARENTS));
    assert_synced(new_dirs);
    file_seam.fsync = real_fsync;
    larder_fs_free(fs);
    larder_fs_free(syncing);
    larder_fs_free(memory);
    tmpdir_remove(tmp);
}

static int register_backends(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_a_place_and_a_path),
        cmocka_unit_test(dir_makes_the_path_the_root),
        cmocka_unit_test(a_plain_path_is_local_and_absolute),
        cmocka_unit_test(what_nobody_knows_is_refused_by_name),
        cmocka_unit_test(wrong_options_are_refused_by_name),
        cmocka_unit_test(the_environment_gives_options_too),
        cmocka_unit_test(no_path_leaves_the_root_of_a_handle),
        cmocka_unit_test(ranges_mean_what_python_slices_mean),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
        cmocka_unit_test(a_missing_argument_is_refused),
        cmocka_unit_test(links_that_lead_nowhere_or_back_up_are_no_trees),
        cmocka_unit_test(a_file_is_got_under_the_longest_name),
        cmocka_unit_test(what_is_synced_is_there_by_name),
        cmocka_unit_test(a_cancelled_walk_goes_on_with_nothing_lost),
    };
    return cmocka_run_group_tests(tests, register_backends, NULL);
}
