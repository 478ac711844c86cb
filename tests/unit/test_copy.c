/* SPDX-License-Identifier: Apache-2.0 */
/* Many files at once: what is told, what stops it, what goes wrong, and what is left. */
#include "task_test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/copy.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "copy_places.h"
#include "fs/fs.h"
#include "odd_place.h"
#include "tmpdir.h"
#include "tree.h"

#define OPTIONS(...) ((struct larder_copy_options){.size = sizeof(struct larder_copy_options), __VA_ARGS__})
#define PATHS(...)   (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)

static size_t count_below(struct larder_fs *fs, const char *path)
{
    struct larder_entries entries;
    assert_ok(larder_find(fs, path, NULL, &entries));
    size_t count = entries.count;
    larder_entries_free(&entries);
    return count;
}

/* ---- what is told ---- */

struct watch {
    struct larder_copy_news last;
    int begun, done, skipped, planned, failed;
    int under_way, most_under_way;
    int stop_at; /* that many done */
    bool wrong;
    int skipped_status[16];
};

static int watch(void *arg, const struct larder_copy_news *news)
{
    struct watch *watch = arg;
    watch->wrong = watch->wrong || (watch->planned == 0 && news->event != LARDER_COPY_PLANNED) ||
                   (news->event != LARDER_COPY_PLANNED && !news->from) ||
                   news->files_done > news->files_planned || news->bytes_planned < watch->last.bytes_planned;
    watch->last = *news;
    switch (news->event) {
    case LARDER_COPY_PLANNED:
        watch->planned++;
        break;
    case LARDER_COPY_BEGUN:
        watch->begun++;
        if (++watch->under_way > watch->most_under_way)
            watch->most_under_way = watch->under_way;
        break;
    case LARDER_COPY_MOVED:
        break;
    case LARDER_COPY_SKIPPED:
        watch->skipped_status[watch->skipped++] = news->status;
        watch->under_way--;
        break;
    case LARDER_COPY_SAME:
    case LARDER_COPY_REMOVED:
        watch->wrong = true; /* those are of a sync */
        break;
    case LARDER_COPY_DONE:
        watch->done++;
        watch->under_way--;
        watch->failed += news->status < 0;
        watch->wrong = watch->wrong || (news->status < 0 && !*larder_error());
        break;
    }
    return watch->stop_at > 0 && watch->done == watch->stop_at ? 4711 : 0;
}

static void everything_is_told_in_order(void **state)
{
    struct watch seen = {0};
    struct larder_copy_options options =
        OPTIONS(.recursive = true, .told = watch, .arg = &seen, .jobs_max = 7);
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/d%d/f%d", i % 3, i);
        put(memory, path, "12345");
    }
    assert_ok(larder_copy(memory, PATHS("s"), local, "t", &options));
    assert_false(seen.wrong);
    assert_int_equal(seen.begun, 44);
    assert_int_equal(seen.done, 44);
    assert_int_equal(seen.under_way, 0);
    assert_in_range(seen.most_under_way, 1, 7);
    assert_true(seen.last.planned && seen.last.files_planned == 44 && seen.last.files_done == 44);
    assert_true(seen.last.bytes_planned == 200 && seen.last.bytes_done == 200);
    assert_int_equal(seen.last.files_failed, 0);
    assert_int_equal(count_below(local, "t"), 40);
}

static int copy_all_in_task(void *arg)
{
    struct watch seen = {0};
    struct larder_copy_options options = OPTIONS(.recursive = true, .told = watch, .arg = &seen);
    CHECK(larder_copy(memory, PATHS("s"), local, arg, &options) == 0);
    CHECK(!seen.wrong && seen.done == (int)seen.last.files_planned && seen.planned > 1);
    return 0;
}

static void more_than_a_queue_is_copied_while_it_is_listed(void **state)
{
    for (int i = 0; i < 3000; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/d%d/f%d", i / 100, i);
        put(memory, path, "x");
    }
    char t[] = "t", u[] = "u";
    assert_ok(copy_all_in_task(t));
    assert_int_equal(count_below(local, "t"), 3000);
    assert_ok(larder_sync(NULL, copy_all_in_task, u, 0));
    assert_int_equal(count_below(local, "u"), 3000);
}

static void who_had_enough_stops_it(void **state)
{
    struct watch seen = {.stop_at = 5};
    struct larder_copy_options options =
        OPTIONS(.recursive = true, .told = watch, .arg = &seen, .jobs_max = 3);
    for (int i = 0; i < 3000; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/f%d", i);
        put(memory, path, "x");
    }
    assert_int_equal(larder_copy(memory, PATHS("s/"), local, "t", &options), 4711);
    assert_int_equal(seen.done, 5);
    assert_in_range(count_below(local, "t"), 1, 2000);
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

static void memory_is_bounded_and_all_comes_through(void **state)
{
    char *data = content_make(3 << 20, 5);
    struct larder_copy_options options = OPTIONS(.recursive = true, .bytes_max = 1);
    for (int i = 0; i < 8; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/f%d", i);
        assert_ok(larder_pipe_file(memory, path, data, 3 << 20, LARDER_PARENTS));
    }
    free(data);
    assert_ok(larder_copy(memory, PATHS("s"), local, "t", &options));
    assert_ok(larder_copy(piped, PATHS("s"), local, "u", &options));
    assert_int_equal(count_below(local, "t"), 8);
    assert_int_equal(larder_du(local, "u", NULL), 24 << 20);
}

/* ---- what fails ---- */

static void on_error_decides_what_a_failure_does(void **state)
{
    struct larder_copy_options options = OPTIONS(.into = true);
    put(memory, "a", "a");
    put(memory, "b", "b");
    assert_status(-ENOENT, larder_copy(memory, PATHS("none", "a"), local, "t", &options));
    options.on_error = LARDER_OMIT;
    assert_ok(larder_copy(memory, PATHS("none", "a", "b"), local, "t", &options));
    assert_text(local, "t/b", "b");
    options.create = true;
    assert_status(-EEXIST, larder_copy(memory, PATHS("none", "a", "b"), local, "t", &options));
    options.on_error = LARDER_RETURN;
    put(memory, "c", "c");
    assert_int_equal(larder_copy(memory, PATHS("none", "a", "b", "c", "../d"), local, "t", &options), 4);
    assert_text(local, "t/c", "c");
    options.on_error = 17;
    assert_status(-EINVAL, larder_copy(memory, PATHS("a"), local, "t", &options));
}

static int list_failing(struct instance *instance, const char *path, const struct terms *terms,
                        struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    if (strcmp(path, "copy/s/locked") == 0)
        return fail(-EACCES, "%s: not for you", path);
    return memory_backend.list(instance, path, terms, cursor, page, out);
}

static struct larder_fs *open_variant(const char *name, struct backend *variant)
{
    static const char *protocols[8][2];
    static int count;
    struct larder_fs *fs;
    char url[64];
    protocols[count][0] = name;
    variant->name = name;
    variant->protocols = protocols[count++];
    assert_ok(backend_register(variant));
    snprintf(url, sizeof url, "%s://copy", name);
    assert_ok(fs_open(NULL, url, NULL, &fs, NULL));
    return fs;
}

static int locate_copy(const struct backend *backend, const char *url, char **values, char **place,
                       char **path)
{
    return place_is_all("copy", place, path);
}

static void a_directory_that_cannot_be_listed_is_one_failure(void **state)
{
    static struct backend variant;
    variant = memory_backend;
    variant.list = list_failing;
    variant.locate = locate_copy;
    struct larder_fs *fs = open_variant("locked", &variant);
    struct watch seen = {0};
    struct larder_copy_options options =
        OPTIONS(.recursive = true, .on_error = LARDER_RETURN, .told = watch, .arg = &seen);
    put(memory, "s/locked/x", "x");
    put(memory, "s/open/y", "y");
    put(memory, "s/z", "z");
    assert_int_equal(larder_copy(fs, PATHS("s"), local, "t", &options), 1);
    assert_int_equal(seen.failed, 1);
    assert_int_equal(count_below(local, "t"), 2);
    options.on_error = LARDER_RAISE;
    assert_status(-EACCES, larder_copy(fs, PATHS("s"), local, "u", &options));
    assert_string_equal(larder_error(), "copy/s/locked: not for you");
    larder_fs_free(fs);
}

/* Names that no directory can have, straight from a place that does not look at them. */
static int list_hostile(struct instance *instance, const char *path, const struct terms *terms,
                        struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    static const char *const names[] = {
        "..", "../evil", "../../evil", "/tmp/larder-evil", "a/../../../evil", ".", "", "a//b", "good"};
    struct entries_builder builder = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct larder_info info = {.name = names[i], .type = i % 2 ? LARDER_FILE : LARDER_DIRECTORY};
        if (strcmp(names[i], "good") == 0)
            info.type = LARDER_FILE;
        entries_add(&builder, &info);
    }
    cursor->end = true;
    entries_finish(&builder, page);
    *out = (struct answer){.info.type = LARDER_DIRECTORY};
    return 0;
}

static int read_anything(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct answer answer = {.info = {.type = LARDER_FILE, .size = 4}};
    int rc = sink_begin_now(sink, &answer, 4);
    if (rc == 0)
        rc = sink_put(sink, "evil", 4);
    return rc == 0 && out ? answer_copy(out, &answer) : rc;
}

static void a_name_never_leads_out_of_the_target(void **state)
{
    static struct backend variant;
    variant = memory_backend;
    variant.list = list_hostile;
    variant.read = read_anything;
    variant.locate = locate_copy;
    struct larder_fs *fs = open_variant("hostile", &variant);
    struct larder_copy_options options = OPTIONS(.recursive = true, .maxdepth = 3, .on_error = LARDER_RETURN);
    char *target = tmpdir_path(scratch, "deep/er/t");
    put(memory, "s/x", "x");
    assert_true(larder_get(fs, PATHS("s"), target, &options) > 0);
    assert_true(tree_has(scratch, "deep/er/t/good"));
    assert_true(access("/tmp/larder-evil", F_OK) < 0);
    assert_int_equal(count_below(local, "deep/er/t"), count_below(local, ""));
    free(target);
    larder_fs_free(fs);
}

static void what_is_no_file_is_left_out_and_told(void **state)
{
    struct watch seen = {0};
    struct larder_copy_options options = OPTIONS(.recursive = true, .told = watch, .arg = &seen);
    char *fifo = tmpdir_path(scratch, "s/fifo"), *dangling = tmpdir_path(scratch, "s/dangling"),
         *loop = tmpdir_path(scratch, "s/d/loop"), *linked = tmpdir_path(scratch, "s/linked");
    put(local, "s/d/f", "f");
    put(local, "elsewhere/g", "g");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("nowhere", dangling), 0);
    assert_int_equal(symlink("..", loop), 0);
    assert_int_equal(symlink("../elsewhere", linked), 0);
    for (int i = 0; i < 2; i++) {
        struct larder_fs *to = i ? memory : local;
        seen = (struct watch){0};
        assert_ok(larder_copy(local, PATHS("s"), to, "t", &options));
        assert_int_equal(seen.skipped, 3);
        int sum = seen.skipped_status[0] + seen.skipped_status[1] + seen.skipped_status[2];
        assert_int_equal(sum, -ENOTSUP - ENOENT - ELOOP);
        assert_text(to, "t/d/f", "f");
        assert_text(to, "t/linked/g", "g");
        assert_int_equal(count_below(to, "t"), 2);
    }
    assert_status(-ENOTSUP, larder_copy(local, PATHS("s/fifo"), memory, "u", &options));
    free(fifo);
    free(dangling);
    free(loop);
    free(linked);
}

static void a_directory_without_recursive_is_told(void **state)
{
    struct watch seen = {0};
    struct larder_copy_options options = OPTIONS(.told = watch, .arg = &seen);
    put(memory, "s/d/f", "f");
    put(memory, "g", "g");
    assert_ok(larder_copy(memory, PATHS("s"), local, "t", &options));
    assert_int_equal(seen.skipped, 1);
    assert_int_equal(seen.skipped_status[0], -EISDIR);
    assert_ok(larder_copy(memory, PATHS("s", "g"), local, "t", &options));
    assert_int_equal(seen.skipped, 2);
    assert_text(local, "t/g", "g");
    assert_ok(larder_mkdir(local, "u", false));
    assert_ok(larder_mkdir(local, "u/g", false)); /* a directory in the way is a failure, not left out */
    assert_status(-EISDIR, larder_copy(memory, PATHS("s", "g"), local, "u", &options));
}

static void a_missing_source_is_begun_and_done_as_any(void **state)
{
    struct watch seen = {0};
    struct larder_copy_options options =
        OPTIONS(.on_error = LARDER_RETURN, .recursive = true, .told = watch, .arg = &seen);
    put(memory, "f", "12345");
    assert_int_equal(larder_copy(memory, PATHS("none", "f", "none/neither"), local, "t", &options), 2);
    assert_false(seen.wrong);
    assert_int_equal(seen.begun, 3);
    assert_int_equal(seen.done, 3);
    assert_int_equal(seen.last.files_planned, 3);
    assert_int_equal(seen.last.files_done, 3);
    assert_int_equal(seen.last.files_failed, 2);
}

static int keep_names(void *arg, const struct larder_copy_news *news)
{
    if (news->event == LARDER_COPY_DONE)
        snprintf(arg, 1024, "%s to %s", news->from, news->to);
    return 0;
}

static void a_local_side_is_told_by_its_whole_name(void **state)
{
    char told[1024] = "", expected[1024];
    struct larder_copy_options options = OPTIONS(.told = keep_names, .arg = told);
    char *path = tmpdir_path(scratch, "f");
    put(memory, "f", "12345");
    assert_ok(larder_get(memory, PATHS("f"), path, &options));
    snprintf(expected, sizeof expected, "f to %s", path);
    assert_string_equal(told, expected);
    assert_ok(larder_put((const char *const[]){path}, 1, memory, "g", &options));
    snprintf(expected, sizeof expected, "%s to g", path);
    assert_string_equal(told, expected);
    free(path);
}

/* ---- the disk, and being stopped ---- */

static struct file_seam real;
static atomic_int writes_left;

static ssize_t write_some(int fd, const void *data, size_t size, off_t offset)
{
    if (atomic_fetch_sub(&writes_left, 1) <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return real.pwrite(fd, data, size, offset);
}

static void a_full_disk_leaves_whole_files_only(void **state)
{
    struct larder_copy_options options = OPTIONS(.recursive = true, .on_error = LARDER_RETURN);
    for (int i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/f%d", i);
        put(memory, path, "12345");
    }
    real = file_seam;
    atomic_store(&writes_left, 20);
    file_seam.pwrite = write_some;
    int rc = larder_copy(memory, PATHS("s"), local, "t", &options);
    file_seam = real;
    assert_int_equal(rc, 30);
    assert_int_equal(larder_du(local, "t", NULL), 100);
    assert_int_equal(count_below(local, "t"), 20);
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

static CO_EDGE int copy_held(void *arg)
{
    struct larder_copy_options options = OPTIONS(.recursive = true, .on_error = LARDER_RETURN);
    *(int *)arg = larder_copy(piped, PATHS("s"), local, "t", &options);
    return 0;
}

static CO_EDGE int cancel_held(void *arg)
{
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, copy_held, arg) == 0);
    while (odd.holding < 3)
        task_sleep(1);
    group_cancel(&group);
    group_join(&group);
    return 0;
}

static void a_cancelled_copy_leaves_nothing_half(void **state)
{
    int rc = 0;
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof path, "s/f%d", i);
        put(memory, path, "12345");
    }
    odd.hold = true;
    assert_task(cancel_held, &rc);
    odd.hold = false;
    assert_int_equal(rc, -ECANCELED);
    assert_int_equal(count_below(local, ""), 0);
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

/* A file whose copy, reading or writing has no end, unless it is stopped. */
static ssize_t copy_for_ever(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags)
{
    larder_loop_cancel(larder_loop_default());
    sched_yield();
    return 1;
}

static ssize_t write_for_ever(int fd, const void *data, size_t size, off_t offset)
{
    larder_loop_cancel(larder_loop_default());
    return (ssize_t)size;
}

static ssize_t read_for_ever(int fd, void *buffer, size_t size, off_t offset)
{
    larder_loop_cancel(larder_loop_default());
    return real.pread(fd, buffer, size, offset);
}

static CO_EDGE int copy_long(void *arg)
{
    *(int *)arg = larder_copy(local, PATHS("long"), local, "t", NULL);
    return 0;
}

static void a_cancel_stops_a_local_copy_between_pieces(void **state)
{
    struct larder_task *task;
    char *name = tmpdir_path(scratch, "long");
    int rc = 0;
    put(local, "long", "12345");
    put(local, "old", "old");
    assert_int_equal(truncate(name, (off_t)1 << 40), 0);
    free(name);
    real = file_seam;
    file_seam.copy_range = copy_for_ever;
    int thread = larder_cp_file(local, "long", local, "old", 0, NULL, NULL);
    int bulk = larder_copy(local, PATHS("long"), local, "old", &OPTIONS(.jobs_max = 1));
    assert_ok(larder_spawn(NULL, copy_long, &rc, NULL, NULL, &task));
    larder_join(task);
    file_seam = real;
    assert_int_equal(thread, -ECANCELED);
    assert_int_equal(bulk, -ECANCELED);
    assert_int_equal(rc, -ECANCELED);
    assert_text(local, "old", "old");
    assert_false(larder_exists(local, "t"));
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

#define LONG ((size_t)40 << 20)

static void a_cancel_stops_a_local_read_and_a_write_between_pieces(void **state)
{
    char *data = calloc(1, LONG);
    struct larder_bytes bytes = {0};
    assert_non_null(data);
    assert_ok(larder_pipe_file(local, "long", data, LONG, 0));
    real = file_seam;
    file_seam.pwrite = write_for_ever;
    int written = larder_pipe_file(local, "t", data, LONG, 0);
    file_seam.pwrite = real.pwrite;
    file_seam.pread = read_for_ever;
    int got = larder_cat_file(local, "long", NULL, &bytes);
    file_seam = real;
    free(data);
    assert_int_equal(written, -ECANCELED);
    assert_int_equal(got, -ECANCELED);
    assert_null(bytes.data);
    assert_false(larder_exists(local, "t"));
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

static int copy_small_tree(void *arg)
{
    struct watch seen = {0};
    struct larder_copy_options options = OPTIONS(.recursive = true, .told = arg ? watch : NULL, .arg = &seen);
    return larder_copy(piped, PATHS("s"), local, "t", &options);
}

static void a_copy_without_memory_fails_cleanly(void **state)
{
    put(memory, "s/a/f", "f");
    put(memory, "s/g", "g");
    alloc_fault_run(copy_small_tree, NULL);
    alloc_fault_run(copy_small_tree, scratch);
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

/* ---- pairs ---- */

static void pairs_go_where_each_says(void **state)
{
    struct larder_copy_pair pairs[] = {
        {"a", "x/1"}, {"d", "x/2"}, {"none", "x/3"}, {"a", "x/4"}, {"..", "x/5"}};
    struct larder_copy_options options = OPTIONS(.on_error = LARDER_RETURN);
    put(memory, "a", "a");
    put(memory, "d/f", "f");
    assert_int_equal(larder_copy_pairs(memory, local, pairs, 5, &options), 2);
    assert_int_equal(pairs[0].status, 0);
    assert_int_equal(pairs[1].status, 0);
    assert_int_equal(pairs[2].status, -ENOENT);
    assert_int_equal(pairs[4].status, -EINVAL);
    assert_text(local, "x/4", "a");
    assert_status(1, larder_isdir(local, "x/2"));
    assert_int_equal(count_below(local, "x/2"), 0);
    assert_ok(larder_copy_pairs(memory, local, pairs, 0, NULL));
    options.recursive = true;
    assert_status(-EINVAL, larder_copy_pairs(memory, local, pairs, 1, &options));
    assert_status(-ENOENT, larder_copy_pairs(memory, local, pairs + 2, 1, NULL));
}

/* ---- the local side ---- */

static void the_working_directory_is_no_pattern(void **state)
{
    static const struct {
        const char *typed, *found;
    } cases[] = {{"x*", "x1"}, {"./x?", "x1"}, {"../[[]dir[]]/x1", "x1"}, {"sub/*", "y"}};
    struct larder_copy_options options = OPTIONS(.glob = true, .into = true);
    char before[4096], *dir = tmpdir_path(scratch, "[dir]");
    assert_non_null(getcwd(before, sizeof before));
    put(local, "[dir]/x1", "right");
    put(local, "[dir]/sub/y", "right");
    put(local, "d/x1", "wrong");
    put(local, "d/sub/y", "wrong");
    assert_int_equal(chdir(dir), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = tmpdir_path("t", cases[i].found);
        assert_ok(larder_put(PATHS(cases[i].typed), memory, "t", &options));
        assert_text(memory, path, "right");
        free(path);
        assert_ok(larder_rm(memory, "t", true));
    }
    assert_int_equal(chdir(before), 0);
    free(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, copy_places_open, copy_places_close)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_told_in_order),
        TEST(more_than_a_queue_is_copied_while_it_is_listed),
        TEST(who_had_enough_stops_it),
        TEST(memory_is_bounded_and_all_comes_through),
        TEST(on_error_decides_what_a_failure_does),
        TEST(a_directory_that_cannot_be_listed_is_one_failure),
        TEST(a_name_never_leads_out_of_the_target),
        TEST(what_is_no_file_is_left_out_and_told),
        TEST(a_directory_without_recursive_is_told),
        TEST(a_missing_source_is_begun_and_done_as_any),
        TEST(a_local_side_is_told_by_its_whole_name),
        TEST(a_full_disk_leaves_whole_files_only),
        TEST(a_cancelled_copy_leaves_nothing_half),
        TEST(a_cancel_stops_a_local_copy_between_pieces),
        TEST(a_cancel_stops_a_local_read_and_a_write_between_pieces),
        TEST(a_copy_without_memory_fails_cleanly),
        TEST(pairs_go_where_each_says),
        TEST(the_working_directory_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, copy_places_register, NULL);
}
