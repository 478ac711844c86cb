/* SPDX-License-Identifier: Apache-2.0 */
/* Open files that are read: what each strategy asks for, and what it never gives out. */
#include "task_test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "fake_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

static struct larder_fs *fake_fs;

static struct larder_file *open_fake(const char *path, const char *const options[])
{
    struct larder_file *file = NULL;
    fake.log[0] = 0;
    fake.reads = fake.infos = 0;
    assert_ok(larder_file_open(fake_fs, path, "r", options, &file));
    return file;
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- requests ---- */

static const struct {
    int64_t start, end;
} trace[] = {{0, 5}, {5, 10}, {10, 40}, {100, 110}, {105, 130}, {0, 3}, {195, 200}};
#define TRACE_SIZE 200

static void play(struct larder_file *file, bool at_offsets)
{
    char buffer[TRACE_SIZE];
    for (size_t i = 0; i < sizeof trace / sizeof trace[0]; i++) {
        int64_t size = trace[i].end - trace[i].start, count;
        if (at_offsets) {
            count = larder_file_pread(file, buffer, (size_t)size, trace[i].start);
        } else {
            assert_int_equal(larder_file_seek(file, trace[i].start, SEEK_SET), trace[i].start);
            count = larder_file_read(file, buffer, (size_t)size);
        }
        assert_int_equal(count, size);
        assert_true(fake_is(buffer, (size_t)size, 7, (size_t)trace[i].start));
    }
}

static void assert_trace(const char *strategy, const char *prefetch, const char *requests, unsigned infos)
{
    struct larder_file *file =
        open_fake("trace", OPTIONS("block_size=20", "window_max=80", strategy, prefetch));
    play(file, false);
    if (requests)
        assert_string_equal(fake.log, requests);
    assert_int_equal(fake.infos, infos);
    assert_ok(larder_file_close(file));
}

/* fsspec: each after a HEAD, readahead 0-25 25-60 100-130 0-23 195-200; blockcache 0-20 20-40 100-120 120-140 180-200. */
static void no_strategy_asks_more_often_than_that_of_fsspec(void **state)
{
    fake_put("trace", TRACE_SIZE, 7);
    assert_trace("strategy=readahead", "prefetch=0", "0-20 20-60 100-130 0-23 195-200 ", 0);
    assert_trace("strategy=block", "prefetch=0", "0-20 20-40 100-120 120-140 180-200 ", 1);
    assert_trace("strategy=whole", "prefetch=0", "all ", 0);
    assert_trace("strategy=none", "prefetch=0", "0-5 5-10 10-40 100-110 105-130 0-3 195-200 ", 1);
    assert_trace("strategy=readahead", "prefetch=1", NULL, 0);
    assert_in_range(fake.reads, 1, 6);
}

static void reads_at_an_offset_share_the_buffer(void **state)
{
    fake_put("trace", TRACE_SIZE, 7);
    struct larder_file *file = open_fake("trace", OPTIONS("block_size=20", "strategy=block"));
    play(file, true);
    assert_string_equal(fake.log, "0-20 20-40 100-120 120-140 180-200 ");
    assert_int_equal(larder_file_tell(file), 0);
    larder_file_close(file);
    file = open_fake("trace", OPTIONS("block_size=20"));
    play(file, true);
    assert_string_equal(fake.log, "0-20 20-40 100-110 105-130 195-200 ");
    larder_file_close(file);
}

static void the_statistics_are_of_what_was_asked(void **state)
{
    struct larder_file_stats stats = {.size = sizeof stats};
    fake_put("trace", TRACE_SIZE, 7);
    struct larder_file *file = open_fake("trace", OPTIONS("block_size=20", "window_max=80", "prefetch=0"));
    play(file, false);
    assert_ok(larder_file_stats(file, &stats));
    assert_int_equal(stats.hits, 3); /* 0-5, 5-10, 105-130 */
    assert_int_equal(stats.misses, 4);
    assert_int_equal(stats.requests, 5);
    assert_int_equal(stats.requested_bytes, 20 + 40 + 30 + 23 + 5);
    stats = (struct larder_file_stats){.size = offsetof(struct larder_file_stats, requests)};
    assert_ok(larder_file_stats(file, &stats)); /* a caller of before there were more */
    assert_int_equal(stats.misses, 4);
    assert_int_equal(stats.requests, 0);
    stats.size = 0;
    assert_status(-EINVAL, larder_file_stats(file, &stats));
    larder_file_close(file);
}

static void windows_grow_while_reads_are_in_order(void **state)
{
    char buffer[10];
    fake_put("long", 1000, 3);
    struct larder_file *file = open_fake("long", OPTIONS("block_size=20", "window_max=80", "prefetch=0"));
    for (size_t at = 0; at < 1000; at += 10) {
        assert_int_equal(larder_file_read(file, buffer, 10), 10);
        assert_true(fake_is(buffer, 10, 3, at));
    }
    assert_int_equal(larder_file_read(file, buffer, 10), 0);
    assert_string_equal(fake.log,
                        "0-20 20-50 50-100 100-190 190-280 280-370 370-460 460-550 550-640 640-730 730-820 "
                        "820-910 910-1000 ");
    larder_file_close(file);
}

static void what_is_left_of_a_file_is_not_a_request_of_its_own(void **state)
{
    char buffer[100];
    fake_put("rest", 45, 3);
    struct larder_file *file = open_fake("rest", OPTIONS("block_size=20", "prefetch=0"));
    for (int i = 0; i < 9; i++)
        assert_int_equal(larder_file_read(file, buffer, 5), 5);
    assert_string_equal(fake.log, "0-20 20-45 ");
    larder_file_close(file);
}

static void a_large_read_goes_straight_into_the_callers_memory(void **state)
{
    char buffer[500];
    fake_put("long", 1000, 3);
    struct larder_file *file = open_fake("long", OPTIONS("block_size=20", "window_max=80", "prefetch=0"));
    assert_int_equal(larder_file_read(file, buffer, 500), 500);
    assert_true(fake_is(buffer, 500, 3, 0));
    assert_string_equal(fake.log, "0-20 20-500 ");
    larder_file_close(file);
}

static void the_size_comes_with_the_first_bytes(void **state)
{
    char buffer[10];
    fake_put("sized", 300, 3);
    struct larder_file *file = open_fake("sized", NULL);
    assert_int_equal(larder_file_size(file), 300);
    assert_int_equal(larder_file_seek(file, -10, SEEK_END), 290);
    assert_int_equal(larder_file_read(file, buffer, 10), 10);
    assert_true(fake_is(buffer, 10, 3, 290));
    assert_string_equal(fake.log, "0-65536 ");
    assert_int_equal(fake.infos, 0);
    larder_file_close(file);
}

/* ---- ahead ---- */

static void read_all(struct larder_file *file, size_t size, unsigned seed, size_t step)
{
    char *buffer = malloc(step);
    for (size_t at = 0; at < size; at += step) {
        size_t left = size - at < step ? size - at : step;
        int64_t count = larder_file_read(file, buffer, step);
        if (count != (int64_t)left)
            fail_msg("%lld bytes at %zu: %s", (long long)count, at, larder_error());
        assert_true(fake_is(buffer, left, seed, at));
    }
    assert_int_equal(larder_file_read(file, buffer, step), 0);
    free(buffer);
}

static void wait_for_reads(unsigned count)
{
    while (fake.reads < count)
        usleep(1000);
}

static void the_next_window_is_fetched_while_the_caller_works(void **state)
{
    char buffer[20];
    fake_put("ahead", 1000, 3);
    struct larder_file *file = open_fake("ahead", OPTIONS("block_size=20", "window_max=40", "prefetch=2"));
    assert_int_equal(larder_file_read(file, buffer, 5), 5);
    assert_int_equal(fake.reads, 1);
    assert_int_equal(larder_file_read(file, buffer, 5), 5); /* the middle: nobody waits for the answers */
    wait_for_reads(3);
    assert_int_equal(larder_file_read(file, buffer, 10), 10);
    assert_int_equal(larder_file_seek(file, 20, SEEK_SET), 20);
    assert_int_equal(larder_file_read(file, buffer, 20), 20);
    assert_true(fake_is(buffer, 20, 3, 20));
    larder_file_close(file);
    file = open_fake("ahead", OPTIONS("block_size=20", "window_max=40", "prefetch=2"));
    read_all(file, 1000, 3, 7);
    larder_file_close(file);
}

static void what_failed_ahead_is_asked_for_again(void **state)
{
    char buffer[40];
    fake_put("cut", 200, 3);
    struct larder_file *file = open_fake("cut", OPTIONS("block_size=20", "window_max=40"));
    fake.cut_at = 30;
    assert_int_equal(larder_file_read(file, buffer, 20), 20);
    wait_for_reads(2);
    usleep(2000);
    assert_status(-EPROTO, (int)larder_file_read(file, buffer, 20)); /* the caller's own try is cut as well */
    assert_int_equal(larder_file_tell(file), 20);
    assert_int_equal(larder_file_read(file, buffer, 5), -EPROTO);
    fake.cut_at = -1;
    assert_int_equal(larder_file_read(file, buffer, 40), 40);
    assert_true(fake_is(buffer, 40, 3, 20));
    assert_string_equal(larder_error(), "");
    larder_file_close(file);
}

static void closing_does_not_wait_for_what_is_fetched_ahead(void **state)
{
    char buffer[20];
    fake_put("held", 200, 3);
    struct larder_file *file = open_fake("held", OPTIONS("block_size=20", "prefetch=3"));
    fake.hold = true;
    assert_int_equal(larder_file_read(file, buffer, 20), 20);
    assert_ok(larder_file_close(file)); /* would hang */
    fake.hold = false;
}

/* ---- one version ---- */

static void a_file_that_changes_is_stale_unless_it_is_followed(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=none"};
    char buffer[10];
    for (size_t i = 0; i < 3; i++) {
        fake_put("changes", 200, 3);
        struct larder_file *pinned =
            open_fake("changes", OPTIONS("block_size=20", "prefetch=0", strategies[i]));
        struct larder_file *follower =
            open_fake("changes", OPTIONS("block_size=20", "prefetch=0", "follow=true", strategies[i]));
        assert_int_equal(larder_file_read(pinned, buffer, 10), 10);
        assert_int_equal(larder_file_read(follower, buffer, 10), 10);
        fake_put("changes", 200, 4);
        assert_int_equal(larder_file_seek(pinned, 100, SEEK_SET), 100);
        assert_status(-ESTALE, (int)larder_file_read(pinned, buffer, 10));
        assert_int_equal(larder_file_seek(follower, 100, SEEK_SET), 100);
        assert_int_equal(larder_file_read(follower, buffer, 10), 10);
        assert_true(fake_is(buffer, 10, 4, 100));
        assert_int_equal(larder_file_pread(follower, buffer, 10, 0), 10);
        assert_true(fake_is(buffer, 10, 4, 0)); /* nothing of the old buffer */
        larder_file_close(pinned);
        larder_file_close(follower);
    }
}

static void a_change_shows_in_a_weak_validator_and_in_the_size(void **state)
{
    char buffer[10];
    fake_put("weak", 200, 3)->flags = ANSWER_WEAK;
    struct larder_file *file = open_fake("weak", OPTIONS("strategy=none"));
    assert_int_equal(larder_file_read(file, buffer, 10), 10);
    fake_put("weak", 200, 4);
    assert_status(-ESTALE, (int)larder_file_read(file, buffer, 10));
    larder_file_close(file);
    fake_put("unmarked", 200, 3)->no_validator = true;
    file = open_fake("unmarked", OPTIONS("strategy=none"));
    assert_int_equal(larder_file_read(file, buffer, 10), 10);
    fake_put("unmarked", 190, 4);
    assert_status(-ESTALE, (int)larder_file_read(file, buffer, 10));
    larder_file_close(file);
}

static void a_follower_sees_what_is_written_behind_the_end(void **state)
{
    char buffer[50];
    fake_put("log", 30, 3);
    struct larder_file *file = open_fake("log", OPTIONS("follow=true"));
    assert_int_equal(larder_file_read(file, buffer, 50), 30);
    assert_int_equal(larder_file_read(file, buffer, 50), 0);
    fake_put("log", 40, 3);
    assert_int_equal(larder_file_read(file, buffer, 50), 10);
    assert_true(fake_is(buffer, 10, 3, 30));
    assert_int_equal(larder_file_size(file), 40);
    larder_file_close(file);
}

/* ---- places that say little ---- */

static void a_file_of_unknown_size_has_an_end_all_the_same(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=none",
                                             "strategy=whole"};
    for (size_t i = 0; i < 4; i++) {
        char buffer[10];
        fake_put("unsized", 95, 3)->size_unknown = true;
        struct larder_file *file = open_fake("unsized", OPTIONS("block_size=20", strategies[i]));
        assert_int_equal(larder_file_pread(file, buffer, 10, 500), 0);
        read_all(file, 95, 3, 10);
        assert_int_equal(larder_file_size(file), 95);
        larder_file_close(file);
    }
}

static void without_ranges_a_file_is_one_stream(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=none"};
    char buffer[100];
    size_t size = (5 << 20) + 12345;
    for (size_t i = 0; i < 3; i++) {
        fake_put("stream", size, 3)->flags = ANSWER_UNRANGED;
        struct larder_file *file = open_fake("stream", OPTIONS("block_size=20", strategies[i]));
        read_all(file, size, 3, 100000);
        unsigned reads = i == 0 ? 2 : 1; /* the first bytes tell it, or the info */
        assert_int_equal(fake.reads, reads);
        assert_int_equal(larder_file_seek(file, 3 << 20, SEEK_SET), 3 << 20); /* back: once more */
        assert_int_equal(larder_file_read(file, buffer, 100), 100);
        assert_true(fake_is(buffer, 100, 3, 3 << 20));
        assert_int_equal(larder_file_seek(file, 1 << 20, SEEK_CUR), (4 << 20) + 100); /* on: through it */
        assert_int_equal(larder_file_read(file, buffer, 100), 100);
        assert_true(fake_is(buffer, 100, 3, (4 << 20) + 100));
        assert_int_equal(fake.reads, reads + 1);
        assert_int_equal(larder_file_pread(file, buffer, 100, 1000), 100);
        assert_true(fake_is(buffer, 100, 3, 1000));
        larder_file_close(file);
    }
}

static void a_stream_that_breaks_off_does_not_look_like_the_end(void **state)
{
    char *buffer = malloc(8 << 20);
    fake_put("broken", 8 << 20, 3)->flags = ANSWER_UNRANGED;
    struct larder_file *file = open_fake("broken", NULL);
    fake.cut_at = 5 << 20;
    assert_status(-EPROTO, (int)larder_file_read(file, buffer, 8 << 20));
    assert_non_null(strstr(larder_error(), "cut"));
    assert_int_equal(larder_file_tell(file), 0);
    fake.cut_at = -1;
    assert_int_equal(larder_file_read(file, buffer, 8 << 20), 8 << 20);
    assert_true(fake_is(buffer, 8 << 20, 3, 0));
    larder_file_close(file);
    free(buffer);
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct larder_file *file = NULL;
    fake_put("dir/file", 10, 1);
    assert_status(-ENOENT, larder_file_open(fake_fs, "none", "r", NULL, &file));
    assert_status(-EISDIR, larder_file_open(fake_fs, "dir", "r", NULL, &file));
    assert_status(-EISDIR, larder_file_open(fake_fs, "dir", "r", OPTIONS("strategy=none"), &file));
    static const char *const modes[] = {"", "rw", "r+", "t", "rbb", "b", NULL};
    for (size_t i = 0; i < 7; i++)
        assert_status(-EINVAL, larder_file_open(fake_fs, "dir/file", modes[i], NULL, &file));
    static const char *const wrong[] = {"strategy=some",   "block_size=0",      "prefetch=17",
                                        "blocks_max=0",    "colour=red",        "follow=maybe",
                                        "compression=zip", "level=23",          "parts_max=17",
                                        "block_size",      "http.timeout=high", "window_max=-1",
                                        "strategy=stream"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_status(strcmp(wrong[i], "http.timeout=high") == 0 ? 0 : -EINVAL,
                      larder_file_open(fake_fs, "dir/file", "rb", OPTIONS(wrong[i]), &file));
        if (file)
            larder_file_close(file);
        else
            assert_non_null(strstr(larder_error(), "option"));
        file = NULL;
    }
    assert_status(-EINVAL, larder_file_open(fake_fs, "../x", "r", NULL, &file));
    assert_null(file);
}

/* ---- who may be in ---- */

struct reading_thread {
    pthread_t thread;
    struct larder_file *file;
    int64_t offset, count;
    char buffer[10];
};

static void *read_on_thread(void *arg)
{
    struct reading_thread *reading = arg;
    reading->count = larder_file_pread(reading->file, reading->buffer, 10, reading->offset);
    return NULL;
}

static void one_is_in_or_several_that_read_at_an_offset(void **state)
{
    struct reading_thread threads[4];
    char buffer[10];
    fake_put("busy", 2000, 3);
    for (int block = 0; block < 2; block++) {
        struct larder_file *file =
            open_fake("busy", OPTIONS("block_size=10", block ? "strategy=block" : "strategy=none"));
        fake.hold = true;
        for (int i = 0; i < 4; i++) {
            threads[i] = (struct reading_thread){.file = file, .offset = 200 * i};
            assert_int_equal(pthread_create(&threads[i].thread, NULL, read_on_thread, &threads[i]), 0);
        }
        wait_for_reads(4);
        assert_int_equal(larder_file_read(file, buffer, 10), -EBUSY);
        assert_int_equal(larder_file_seek(file, 0, SEEK_SET), -EBUSY);
        assert_int_equal(larder_file_tell(file), -EBUSY);
        assert_status(-EBUSY, larder_file_close(file));
        assert_non_null(strstr(larder_error(), "busy"));
        fake.hold = false;
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i].thread, NULL);
            assert_int_equal(threads[i].count, 10);
            assert_true(fake_is(threads[i].buffer, 10, 3, (size_t)threads[i].offset));
        }
        assert_int_equal(larder_file_read(file, buffer, 10), 10);
        assert_ok(larder_file_close(file));
    }
}

static void *many_reads(void *arg)
{
    struct reading_thread *reading = arg;
    uint64_t random = (uint64_t)reading->offset;
    for (int i = 0; i < 2000; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        size_t at = (random >> 33) % 1990;
        if (larder_file_pread(reading->file, reading->buffer, 10, (int64_t)at) != 10 ||
            !fake_is(reading->buffer, 10, 3, at))
            reading->count = -1;
    }
    return NULL;
}

static void threads_share_few_blocks(void **state)
{
    struct reading_thread threads[4];
    fake_put("shared", 2000, 3);
    struct larder_file *file = open_fake("shared", OPTIONS("block_size=7", "strategy=block", "blocks_max=3"));
    for (int i = 0; i < 4; i++) {
        threads[i] = (struct reading_thread){.file = file, .offset = i + 1};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, many_reads, &threads[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_int_equal(threads[i].count, 0);
    }
    assert_ok(larder_file_close(file));
}

static void a_call_of_the_other_kind_is_refused(void **state)
{
    struct larder_file *file = open_fake("trace", NULL);
    assert_status(-EBADF, larder_file_write(file, "x", 1));
    assert_ok(larder_file_flush(file));
    assert_int_equal(larder_file_read(NULL, NULL, 0), -EINVAL);
    assert_int_equal(larder_file_seek(file, 0, 9), -EINVAL);
    assert_int_equal(larder_file_seek(file, -1, SEEK_SET), -EINVAL);
    assert_int_equal(larder_file_seek(file, INT64_MAX, SEEK_SET), INT64_MAX);
    char byte;
    assert_int_equal(larder_file_read(file, &byte, 1), 0);
    assert_int_equal(larder_file_seek(file, 1, SEEK_CUR), -EINVAL);
    assert_int_equal(larder_file_pread(file, &byte, 1, -1), -EINVAL);
    assert_ok(larder_file_close(file));
    assert_ok(larder_file_close(NULL));
    larder_file_discard(NULL);
}

/* ---- tasks ---- */

static int use_in_a_task(void *arg)
{
    struct larder_file *file = arg;
    char buffer[100];
    CHECK(larder_file_seek(file, 0, SEEK_SET) == 0);
    for (size_t at = 0; at < 2000; at += 100) {
        CHECK(larder_file_read(file, buffer, 100) == 100);
        CHECK(fake_is(buffer, 100, 3, at));
        CHECK(larder_file_pread(file, buffer, 50, 333) == 50);
        CHECK(fake_is(buffer, 50, 3, 333));
    }
    CHECK(larder_file_read(file, buffer, 100) == 0);
    return 0;
}

static void a_file_goes_from_thread_to_task_and_back(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=none",
                                             "strategy=whole"};
    for (size_t i = 0; i < 4; i++) {
        fake_put("handed", 2000, 3);
        struct larder_file *file = open_fake("handed", OPTIONS("block_size=64", "prefetch=2", strategies[i]));
        read_all(file, 2000, 3, 150);
        assert_ok(larder_sync(NULL, use_in_a_task, file, 0));
        assert_int_equal(larder_file_seek(file, 0, SEEK_SET), 0);
        read_all(file, 2000, 3, 150);
        assert_ok(larder_file_close(file));
    }
}

static void a_cancelled_read_can_be_made_again(void **state)
{
    struct larder_task *task;
    fake_put("handed", 2000, 3);
    struct larder_file *file = open_fake("handed", OPTIONS("block_size=64"));
    fake.hold = true;
    assert_ok(larder_spawn(NULL, use_in_a_task, file, NULL, NULL, &task));
    wait_for_reads(2);
    larder_cancel(task);
    assert_int_equal(larder_join(task), -EPROTO);
    fake.hold = false;
    assert_ok(larder_sync(NULL, use_in_a_task, file, 0));
    larder_file_close(file);
}

static void read_refused(void *arg, int status)
{
    char byte;
    struct larder_file *file = *(struct larder_file **)arg;
    bool right = larder_file_read(file, &byte, 1) == -EDEADLK && larder_file_close(file) == -EDEADLK &&
                 larder_file_tell(file) >= 0;
    if (right) {
        larder_file_discard(file);
        *(struct larder_file **)arg = NULL;
    }
}

static int nothing(void *arg)
{
    return 0;
}

static void on_a_loops_thread_nothing_waits(void **state)
{
    struct larder_file *file = open_fake("trace", NULL);
    struct larder_task *task;
    assert_ok(larder_spawn(NULL, nothing, NULL, read_refused, &file, &task));
    assert_ok(larder_join(task));
    assert_ok(larder_sync(NULL, nothing, NULL, 0)); /* behind it */
    assert_null(file);
}

static void *release_soon(void *arg)
{
    usleep(20000);
    fake.hold = false;
    return NULL;
}

static void a_disconnect_waits_for_what_is_fetched_ahead(void **state)
{
    struct larder_fs *fs;
    struct larder_file *file = NULL;
    pthread_t thread;
    char buffer[20];
    fake_put("gated", 200, 3);
    assert_ok(fs_open(NULL, "fake://", OPTIONS("asynchronous=true"), &fs, NULL));
    assert_status(-ENOTCONN, larder_file_open(fs, "gated", "r", NULL, &file));
    assert_ok(larder_fs_connect(fs));
    fake.reads = 0;
    assert_ok(larder_file_open(fs, "gated", "r", OPTIONS("block_size=20"), &file));
    fake.hold = true;
    assert_int_equal(larder_file_read(file, buffer, 20), 20);
    wait_for_reads(2);
    assert_int_equal(pthread_create(&thread, NULL, release_soon, NULL), 0);
    assert_ok(larder_fs_disconnect(fs));
    assert_false(fake.hold);
    pthread_join(thread, NULL);
    assert_int_equal(larder_file_read(file, buffer, 20), -ENOTCONN);
    assert_ok(larder_file_close(file));
    larder_fs_free(fs);
}

/* ---- fork ---- */

static int read_in_child(struct larder_file *file)
{
    char buffer[100];
    int64_t count = larder_file_read(file, buffer, 100);
    return count == 100 && fake_is(buffer, 100, 3, 100) && larder_file_close(file) == 0 ? 0 : 1;
}

static void a_forks_child_reads_on(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=whole"};
    char buffer[100];
    if (UNDER_TSAN)
        skip();
    for (size_t i = 0; i < 3; i++) {
        fake_put("forked", 2000, 3);
        struct larder_file *file = open_fake("forked", OPTIONS("block_size=64", "prefetch=2", strategies[i]));
        assert_int_equal(larder_file_read(file, buffer, 100), 100);
        pid_t child = fork();
        if (child == 0)
            _exit(read_in_child(file));
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(larder_file_read(file, buffer, 100), 100);
        assert_true(fake_is(buffer, 100, 3, 100));
        larder_file_close(file);
    }
}

/* ---- without memory ---- */

static int read_starved(void *arg)
{
    struct larder_file *file = NULL;
    char buffer[64];
    int64_t count = larder_file_open(fake_fs, "starved", "r", arg, &file);
    if (count < 0)
        return (int)count;
    for (int i = 0; count >= 0 && i < 8; i++)
        count = larder_file_read(file, buffer, sizeof buffer);
    larder_file_close(file);
    int rc = larder_sync(NULL, nothing, NULL, 0); /* what was fetched ahead has ended */
    return count < 0 ? (int)count : rc;
}

static void every_allocation_may_fail(void **state)
{
    fake_put("starved", 400, 3);
    alloc_fault_run(read_starved, (void *)OPTIONS("block_size=64", "strategy=readahead"));
    alloc_fault_run(read_starved, (void *)OPTIONS("block_size=50", "strategy=block"));
    alloc_fault_run(read_starved, (void *)OPTIONS("strategy=whole"));
    fake_put("starved", 400, 3)->flags = ANSWER_UNRANGED;
    alloc_fault_run(read_starved, (void *)OPTIONS("block_size=64"));
}

static int setup(void **state)
{
    backend_register(&fake_backend);
    return fs_open(NULL, "fake://", NULL, &fake_fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fake_fs);
    fake_reset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_strategy_asks_more_often_than_that_of_fsspec),
        cmocka_unit_test(reads_at_an_offset_share_the_buffer),
        cmocka_unit_test(the_statistics_are_of_what_was_asked),
        cmocka_unit_test(windows_grow_while_reads_are_in_order),
        cmocka_unit_test(what_is_left_of_a_file_is_not_a_request_of_its_own),
        cmocka_unit_test(a_large_read_goes_straight_into_the_callers_memory),
        cmocka_unit_test(the_size_comes_with_the_first_bytes),
        cmocka_unit_test(the_next_window_is_fetched_while_the_caller_works),
        cmocka_unit_test(what_failed_ahead_is_asked_for_again),
        cmocka_unit_test(closing_does_not_wait_for_what_is_fetched_ahead),
        cmocka_unit_test(a_file_that_changes_is_stale_unless_it_is_followed),
        cmocka_unit_test(a_change_shows_in_a_weak_validator_and_in_the_size),
        cmocka_unit_test(a_follower_sees_what_is_written_behind_the_end),
        cmocka_unit_test(a_file_of_unknown_size_has_an_end_all_the_same),
        cmocka_unit_test(without_ranges_a_file_is_one_stream),
        cmocka_unit_test(a_stream_that_breaks_off_does_not_look_like_the_end),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(one_is_in_or_several_that_read_at_an_offset),
        cmocka_unit_test(threads_share_few_blocks),
        cmocka_unit_test(a_call_of_the_other_kind_is_refused),
        cmocka_unit_test(a_file_goes_from_thread_to_task_and_back),
        cmocka_unit_test(a_cancelled_read_can_be_made_again),
        cmocka_unit_test(on_a_loops_thread_nothing_waits),
        cmocka_unit_test(a_disconnect_waits_for_what_is_fetched_ahead),
        cmocka_unit_test(a_forks_child_reads_on),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
