/* SPDX-License-Identifier: Apache-2.0 */
/* One tree made like another: what is sent, what is not, what goes, and what must not. */
#include "task_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/facts.h"
#include "larder/rsync.h"

#include "base/digest.h"
#include "copy_places.h"
#include "fs/enter.h"
#include "odd_place.h"
#include "tmpdir.h"
#include "tree.h"

#define OPTIONS(...)                \
    ((struct larder_rsync_options){ \
        .size = sizeof(struct larder_rsync_options), .told = watch, .arg = &seen, __VA_ARGS__})
#define PATTERNS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- what is told ---- */

static struct watch {
    int done, same, removed, skipped, failed, stop_at;
    char last[256], why[1024];
    struct larder_copy_news news;
} seen;

static int watch(void *arg, const struct larder_copy_news *news)
{
    struct watch *watch = arg;
    watch->news = *news;
    watch->done += news->event == LARDER_COPY_DONE && news->status == 0;
    watch->same += news->event == LARDER_COPY_SAME;
    watch->removed += news->event == LARDER_COPY_REMOVED && news->status == 0;
    watch->skipped += news->event == LARDER_COPY_SKIPPED;
    if (news->status < 0)
        snprintf(watch->why, sizeof watch->why, "%s", larder_error());
    watch->failed += news->event != LARDER_COPY_SKIPPED && news->status < 0;
    if (news->event == LARDER_COPY_DONE || news->event == LARDER_COPY_REMOVED)
        snprintf(watch->last, sizeof watch->last, "%s", news->to);
    return watch->stop_at > 0 && watch->done + watch->same + watch->removed >= watch->stop_at ? 4711 : 0;
}

static int before_each(void **state)
{
    memset(&seen, 0, sizeof seen);
    return copy_places_open(state);
}

/* All paths below, directories with a slash behind them. */
static void assert_tree(struct larder_fs *fs, const char *path, const char *expected)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    struct larder_entries entries;
    char text[1024] = "";
    assert_ok(larder_find(fs, path, &options, &entries));
    for (size_t i = 0; i < entries.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s", *text ? " " : "",
                 entries.info[i].name, entries.info[i].type == LARDER_DIRECTORY ? "/" : "");
    larder_entries_free(&entries);
    assert_string_equal(text, expected);
}

static void set_time(struct larder_fs *fs, const char *path, int64_t mtime_ns)
{
    struct layer_call call = {LAYER_TOUCH, .mtime_ns = mtime_ns};
    assert_ok(enter_call(fs, path, &call));
}

static int64_t time_of(struct larder_fs *fs, const char *path)
{
    int64_t time_ns;
    assert_ok(larder_modified(fs, path, &time_ns));
    return time_ns;
}

static int sync_again(struct larder_fs *from, struct larder_fs *to, struct larder_rsync_options options)
{
    int stop_at = seen.stop_at;
    memset(&seen, 0, sizeof seen);
    seen.stop_at = stop_at;
    return larder_rsync(from, "s", to, "t", &options);
}

/* done, same, removed, failed */
#define assert_seen(...)                                                                                 \
    do {                                                                                                 \
        int is_[] = {seen.done, seen.same, seen.removed, seen.failed};                                   \
        int expected_[] = {__VA_ARGS__};                                                                 \
        for (int i_ = 0; i_ < 4; i_++)                                                                   \
            if (is_[i_] != expected_[i_])                                                                \
                fail_msg("done, same, removed, failed: %d, %d, %d, %d", is_[0], is_[1], is_[2], is_[3]); \
    } while (0)

/* ---- what is sent ---- */

static void make_source(struct larder_fs *fs)
{
    put(fs, "s/a", "1");
    put(fs, "s/d/b", "22");
    put(fs, "s/d/e/c", "333");
    assert_ok(larder_makedirs(fs, "s/empty", true));
}

static void a_second_sync_sends_nothing(void **state)
{
    struct larder_fs *const pairs[][2] = {{memory, local}, {local, memory}, {local, local}, {memory, memory}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct larder_fs *from = pairs[i][0], *to = pairs[i][1];
        make_source(from);
        assert_ok(sync_again(from, to, OPTIONS()));
        assert_tree(to, "t", "a d/ d/b d/e/ d/e/c empty/");
        assert_text(to, "t/d/e/c", "333");
        assert_true(time_of(to, "t/d/b") == time_of(from, "s/d/b"));
        assert_seen(7, 0, 0, 0); /* with the target itself, and its directories */
        assert_ok(sync_again(from, to, OPTIONS()));
        assert_seen(0, 3, 0, 0);
        assert_true(seen.news.files_same == 3 && seen.news.planned && seen.news.files_planned == 0);
        assert_ok(larder_rm(memory, "", true));
        assert_ok(larder_makedirs(memory, "", true));
        assert_ok(larder_rm(local, "", true));
        assert_ok(larder_makedirs(local, "", true));
    }
}

static void what_changed_is_sent_alone(void **state)
{
    make_source(memory);
    assert_ok(sync_again(memory, local, OPTIONS()));
    put(memory, "s/a", "other");                                      /* another size */
    set_time(memory, "s/d/b", time_of(memory, "s/d/b") + 1000000000); /* another time */
    put(memory, "s/d/new", "new");
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(3, 1, 0, 0);
    assert_text(local, "t/a", "other");
    assert_text(local, "t/d/new", "new");
    put(local, "t/d/new", "NEW"); /* another time in the target, of the same size */
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(1, 3, 0, 0);
    assert_text(local, "t/d/new", "new");
}

static void times_are_compared_as_exactly_as_both_tell_them(void **state)
{
    const int64_t second = 1000000000;
    put(memory, "s/a", "1");
    put(local, "t/a", "2");
    set_time(memory, "s/a", 1700000000 * second + 123456789);
    set_time(local, "t/a", 1700000000 * second);
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(0, 1, 0, 0);
    set_time(local, "t/a", 1700000000 * second + 123456000);
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(0, 1, 0, 0);
    set_time(local, "t/a", 1700000000 * second + 123450001);
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(1, 0, 0, 0);
    set_time(memory, "s/a", -5 * second - 1); /* before 1970 */
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_ok(sync_again(memory, local, OPTIONS()));
    assert_seen(0, 1, 0, 0);
    assert_true(time_of(local, "t/a") == -5 * second - 1);
}

static void where_times_cannot_be_kept_a_newer_copy_is_the_same(void **state)
{
    put(local, "s/a", "1");
    put(local, "s/b", "2");
    assert_ok(sync_again(local, piped, OPTIONS()));
    assert_ok(sync_again(local, piped, OPTIONS()));
    assert_seen(0, 2, 0, 0);
    set_time(local, "s/a", time_of(piped, "t/a") + 1000000000);
    assert_ok(sync_again(local, piped, OPTIONS()));
    assert_seen(1, 1, 0, 0);
}

static void bytes_or_sizes_alone_are_compared_on_request(void **state)
{
    struct larder_fs *const targets[] = {local, piped};
    for (size_t i = 0; i < 2; i++) {
        struct larder_fs *to = targets[i];
        char *data = content_make(3 << 20, 7);
        put(local, "s/a", "1");
        put(local, "s/b", "2");
        assert_ok(larder_pipe_file(local, "s/large", data, 3 << 20, LARDER_PARENTS));
        assert_ok(sync_again(local, to, OPTIONS()));
        data[2 << 20] ^= 1;
        assert_ok(larder_pipe_file(to, "t/large", data, 3 << 20, 0));
        put(to, "t/b", "!");
        put(to, "t/a", "1");
        free(data);
        assert_ok(sync_again(local, to, OPTIONS(.compare = LARDER_SIZE)));
        assert_seen(0, 3, 0, 0);
        assert_ok(sync_again(local, to, OPTIONS(.compare = LARDER_CHECKSUM)));
        assert_seen(2, 1, 0, 0);
        assert_text(to, "t/b", "2");
        assert_ok(sync_again(local, to, OPTIONS(.compare = LARDER_CHECKSUM)));
        assert_seen(0, 3, 0, 0);
        assert_ok(larder_rm(to, "t", true));
    }
}

/* ---- what goes ---- */

static void extra_is_removed_only_on_request(void **state)
{
    struct larder_fs *const targets[] = {local, memory, piped};
    for (size_t i = 0; i < 3; i++) {
        struct larder_fs *to = targets[i];
        make_source(local);
        put(to, "t/x", "x");
        put(to, "t/d/y", "y");
        put(to, "t/gone/deep/z", "z");
        assert_ok(sync_again(local, to, OPTIONS()));
        assert_tree(to, "t", "a d/ d/b d/e/ d/e/c d/y empty/ gone/ gone/deep/ gone/deep/z x");
        assert_ok(sync_again(local, to, OPTIONS(.remove_extra = true, .dry_run = true)));
        assert_seen(0, 3, 5, 0);
        assert_tree(to, "t", "a d/ d/b d/e/ d/e/c d/y empty/ gone/ gone/deep/ gone/deep/z x");
        assert_ok(sync_again(local, to, OPTIONS(.remove_extra = true)));
        assert_seen(0, 3, 5, 0);
        assert_tree(to, "t", "a d/ d/b d/e/ d/e/c empty/");
        assert_ok(larder_rm(to, "t", true));
    }
}

static void a_dry_run_changes_nothing(void **state)
{
    make_source(memory);
    assert_ok(sync_again(memory, local, OPTIONS(.dry_run = true)));
    assert_seen(7, 0, 0, 0);
    assert_true(seen.news.bytes_done == 6);
    assert_status(0, larder_exists(local, "t"));
}

static void many_extras_go_before_the_end(void **state)
{
    char name[232];
    put(memory, "s/a", "1");
    put(memory, "s/d/a", "1");
    for (int i = 0; i < 40000; i++) {
        snprintf(name, sizeof name, "t/%0200d", i);
        put(memory, name, "");
    }
    put(memory, "t/d/b", "");
    assert_ok(sync_again(memory, memory, OPTIONS(.remove_extra = true)));
    assert_seen(2, 0, 40001, 0);
    assert_tree(memory, "t", "a d/ d/a");
}

static void nothing_is_removed_once_something_failed(void **state)
{
    make_source(memory);
    put(local, "t/x", "x");
    put(local, "t/a/in the way", "");
    assert_status(-EISDIR, sync_again(memory, local, OPTIONS()));
    put(local, "t/a/in the way", "");
    struct larder_rsync_options options =
        OPTIONS(.remove_extra = true, .on_error = LARDER_RETURN, .exclude = PATTERNS("none"));
    assert_status(1, sync_again(memory, local, options));
    assert_seen(5, 0, 0, 1);
    assert_non_null(strstr(seen.why, "t/a"));
    assert_text(local, "t/x", "x");
    assert_text(local, "t/d/e/c", "333");
}

static void files_and_directories_take_each_others_place(void **state)
{
    put(memory, "s/was-dir", "1");
    put(memory, "s/was-file/f", "2");
    put(local, "t/was-dir/old/f", "old");
    put(local, "t/was-file", "old");
    assert_status(1, sync_again(memory, local, OPTIONS(.on_error = LARDER_RETURN)));
    assert_tree(local, "t", "was-dir/ was-dir/old/ was-dir/old/f was-file/ was-file/f");
    put(local, "t/was-file.x", "extra");
    assert_ok(sync_again(memory, local, OPTIONS(.remove_extra = true)));
    assert_tree(local, "t", "was-dir was-file/ was-file/f");
    assert_text(local, "t/was-dir", "1");
    assert_ok(sync_again(memory, local, OPTIONS(.remove_extra = true)));
    assert_seen(0, 2, 0, 0);
}

static void what_patterns_leave_out_is_left_alone_on_both_sides(void **state)
{
    struct larder_rsync_options options =
        OPTIONS(.remove_extra = true, .exclude = PATTERNS("*.tmp", "/keep"));
    put(memory, "s/a", "1");
    put(memory, "s/b.tmp", "1");
    put(memory, "s/keep/f", "1");
    put(local, "t/c.tmp", "1");
    put(local, "t/keep/g", "1");
    put(local, "t/x/y/d.tmp", "1");
    put(local, "t/x/y/gone", "1");
    put(local, "t/x/z/gone", "1");
    assert_ok(sync_again(memory, local, options));
    assert_tree(local, "t", "a c.tmp keep/ keep/g x/ x/y/ x/y/d.tmp");
    put(memory, "s/d/only.txt", "1");
    put(memory, "s/d2/none", "1");
    options = OPTIONS(.remove_extra = true, .include = PATTERNS("*.txt"));
    put(local, "t/old.txt", "1");
    assert_ok(sync_again(memory, local, options));
    assert_tree(local, "t", "a c.tmp d/ d/only.txt keep/ keep/g x/ x/y/ x/y/d.tmp");
    options = OPTIONS(.exclude = PATTERNS("a//b"));
    assert_status(-EINVAL, sync_again(memory, local, options));
}

/* ---- links ---- */

static char *on_disk(const char *path)
{
    return tmpdir_path(scratch, path);
}

static void make_link(const char *leads_to, const char *path)
{
    char *name = on_disk(path);
    assert_int_equal(symlink(leads_to, name), 0);
    free(name);
}

static void links_of_the_source_are_followed_and_loops_left_out(void **state)
{
    put(local, "s/real/f", "1");
    make_link("real", "s/link");
    make_link("real/f", "s/file");
    make_link("nowhere", "s/broken");
    make_link(".", "s/loop");
    put(local, "t/broken", "stays");
    assert_ok(sync_again(local, local, OPTIONS(.remove_extra = true)));
    assert_int_equal(seen.skipped, 2);
    assert_tree(local, "t", "broken file link/ link/f real/ real/f");
    assert_text(local, "t/broken", "stays");
    assert_ok(sync_again(local, local, OPTIONS(.remove_extra = true)));
    assert_seen(0, 3, 0, 0);
}

static void nothing_is_removed_behind_a_link(void **state)
{
    put(local, "elsewhere/mine", "1");
    put(local, "s/d/f", "1");
    put(local, "t/g", "1");
    make_link("../elsewhere", "t/d");
    make_link("../elsewhere", "t/extra");
    assert_ok(sync_again(local, local, OPTIONS(.remove_extra = true)));
    assert_tree(local, "elsewhere", "f mine");
    assert_tree(local, "t", "d/ d/f d/mine");
    assert_seen(1, 0, 2, 0); /* t/g, and the link t/extra */
}

/* ---- sources that are not there ---- */

static void without_a_source_nothing_happens(void **state)
{
    struct larder_rsync_options options = OPTIONS(.remove_extra = true, .on_error = LARDER_OMIT);
    put(local, "t/x", "x");
    assert_status(-ENOENT, sync_again(memory, local, options));
    options.on_error = LARDER_RETURN;
    assert_status(-ENOENT, sync_again(memory, local, options));
    put(memory, "s", "a file");
    assert_status(-ENOTDIR, sync_again(memory, local, options));
    assert_text(local, "t/x", "x");
    assert_ok(larder_rm_file(memory, "s"));
    put(memory, "s/a", "a");
    put(local, "file", "f");
    assert_status(-ENOTDIR, larder_rsync(memory, "s", local, "file", &options));
    assert_text(local, "file", "f");
}

static void a_tree_in_itself_is_refused(void **state)
{
    put(local, "s/a", "1");
    assert_ok(larder_rsync(local, "s", local, "s", NULL));
    assert_status(-EINVAL, larder_rsync(local, "s", local, "s/t", NULL));
    assert_status(-EINVAL, larder_rsync(local, "s", local, "", NULL));
    assert_status(-EINVAL, larder_rsync(local, "", local, "t", NULL));
    assert_tree(local, "", "s/ s/a");
}

/* ---- how it ends ---- */

static void who_had_enough_stops_it(void **state)
{
    for (int i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/d%d/f", i);
        put(memory, path, "x");
    }
    seen.stop_at = 5;
    assert_status(4711, sync_again(memory, local, OPTIONS()));
    assert_int_equal(seen.done, 5);
    seen.stop_at = 0;
    assert_ok(sync_again(memory, local, OPTIONS()));
    seen.stop_at = 3;
    assert_status(4711, sync_again(memory, local, OPTIONS(.on_error = LARDER_RETURN)));
    assert_int_equal(seen.same, 3);
    seen.stop_at = 7;
    assert_ok(larder_rm(memory, "s", true));
    assert_ok(larder_makedirs(memory, "s", true));
    assert_status(4711, sync_again(memory, local, OPTIONS(.remove_extra = true)));
    assert_int_equal(seen.removed, 7);
}

static int sync_in_task(void *arg)
{
    struct larder_rsync_options options = OPTIONS(.remove_extra = true);
    CHECK(larder_rsync(memory, "s", piped, "t", &options) == 0);
    CHECK(larder_rsync(piped, "t", local, "t", &options) == 0);
    return 0;
}

static void a_task_may_do_it(void **state)
{
    for (int i = 0; i < 300; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/d%d/f%d", i % 40, i);
        put(memory, path, "x");
    }
    assert_ok(larder_sync(NULL, sync_in_task, NULL, 0));
    assert_int_equal(larder_du(local, "t", NULL), 300);
}

int main(void)
{
    unsigned char hash[DIGEST_SIZE_MAX];
    digest_of(DIGEST_MD5, "", 0, hash); /* OpenSSL is there before the threads, as net/client.c has it */
#define CASE(name) cmocka_unit_test_setup_teardown(name, before_each, copy_places_close)
    const struct CMUnitTest tests[] = {
        CASE(a_second_sync_sends_nothing),
        CASE(what_changed_is_sent_alone),
        CASE(times_are_compared_as_exactly_as_both_tell_them),
        CASE(where_times_cannot_be_kept_a_newer_copy_is_the_same),
        CASE(bytes_or_sizes_alone_are_compared_on_request),
        CASE(extra_is_removed_only_on_request),
        CASE(a_dry_run_changes_nothing),
        CASE(many_extras_go_before_the_end),
        CASE(nothing_is_removed_once_something_failed),
        CASE(files_and_directories_take_each_others_place),
        CASE(what_patterns_leave_out_is_left_alone_on_both_sides),
        CASE(links_of_the_source_are_followed_and_loops_left_out),
        CASE(nothing_is_removed_behind_a_link),
        CASE(without_a_source_nothing_happens),
        CASE(a_tree_in_itself_is_refused),
        CASE(who_had_enough_stops_it),
        CASE(a_task_may_do_it),
    };
    return cmocka_run_group_tests(tests, copy_places_register, NULL);
}
