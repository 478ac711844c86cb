/* SPDX-License-Identifier: Apache-2.0 */
/* The caching view over a place that counts what it is asked. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder/cache.h"
#include "larder/copy.h"

#include "backends/backends.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "cache/store.h"
#include "cached_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define MIB (1 << 20)

/* ---- hits ---- */

static void a_second_read_asks_nobody(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 65504, 65505, 300000, 5 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fake_put("f", sizes[i], 7);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        unsigned before = fake_asked();
        assert_ok(read_all(fs, "f", sizes[i], 7));
        assert_ok(read_all(fs, "f", sizes[i], 7)); /* perhaps out of the flight's memory */
        flush_cache();
        assert_ok(read_all(fs, "f", sizes[i], 7));
        assert_ok(read_part(fs, "f", 10, 200000, sizes[i], 7));
        assert_ok(read_part(fs, "f", -10, LARDER_TO_END, sizes[i], 7));
        assert_ok(read_part(fs, "f", -50, -20, sizes[i], 7));
        assert_int_equal(larder_exists(fs, "f"), 1);
        if (fake_asked() - before != 1)
            fail_msg("%zu bytes: asked %u times", sizes[i], fake_asked() - before);
    }
}

/* The second read begins while the first one's bytes are on their way from memory to the disk. */
static void a_read_that_meets_the_commit_asks_nobody(void **state)
{
    for (unsigned i = 0; i < 300; i++) {
        fake_put("f", 1, i);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        unsigned before = fake_asked();
        assert_ok(read_all(fs, "f", 1, i));
        usleep(i * 2);
        for (int again = 0; again < 20; again++)
            assert_ok(read_all(fs, "f", 1, i));
        assert_int_equal(fake_asked() - before, 1);
    }
}

static void what_was_fetched_is_there_after_reopening(void **state)
{
    char option[256];
    const char *options[] = {option, NULL};
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    fake_put("a/f", 100000, 3);
    assert_ok(read_all(fs, "a/f", 100000, 3));
    larder_fs_free(fs);
    larder_cache_free(cache); /* not flushed: it is written all the same */
    assert_ok(larder_cache_open(options, &cache));
    fs = open_with("ttl=60");
    assert_ok(read_all(fs, "a/f", 100000, 3));
    flush_cache();
    assert_ok(read_all(fs, "a/f", 100000, 3));
    assert_int_equal(fake.reads, 1);
}

static void parts_are_kept_block_by_block(void **state)
{
    size_t size = 1000000;
    fake_put("f", size, 5);
    assert_ok(read_part(fs, "f", 100000, 100010, size, 5));
    flush_cache();
    assert_true(fake.bytes <= 2 * 65504);
    assert_ok(read_part(fs, "f", 70000, 130000, size, 5)); /* the same block */
    assert_int_equal(fake.reads, 1);
    assert_ok(read_part(fs, "f", 0, 400000, size, 5)); /* what lies on either side */
    assert_int_equal(fake.reads, 3);
    flush_cache();
    assert_ok(read_part(fs, "f", 0, 390000, size, 5));
    assert_int_equal(fake.reads, 3);
    assert_ok(read_all(fs, "f", size, 5));
    flush_cache();
    unsigned before = fake_asked();
    assert_ok(read_all(fs, "f", size, 5));
    assert_int_equal(fake_asked(), before);
    assert_true(fake.bytes < size + 3 * 65504);
}

static void bounds_from_the_end_are_kept_too(void **state)
{
    size_t size = 500000;
    fake_put("f", size, 5);
    assert_ok(read_part(fs, "f", -100, LARDER_TO_END, size, 5));
    assert_int_equal(fake_asked(), 1);
    flush_cache();
    assert_ok(read_part(fs, "f", -100, LARDER_TO_END, size, 5));
    assert_ok(read_part(fs, "f", -50, -20, size, 5));
    assert_ok(read_part(fs, "f", (int64_t)size - 60, -1, size, 5));
    assert_int_equal(fake_asked(), 1);
    fake_put("g", size, 6);
    assert_ok(read_part(fs, "g", -1000, -900, size, 6)); /* the answer says the size */
    assert_int_equal(fake_asked(), 2);
    assert_ok(read_part(fs, "g", 5, 5, size, 6));
    assert_int_equal(read_part(fs, "missing", 5, 5, size, 6), -ENOENT);
}

static void a_large_file_is_kept_in_one_request(void **state)
{
    size_t size = 30 * MIB + 77;
    fake_put("f", size, 9);
    assert_ok(read_all(fs, "f", size, 9));
    assert_int_equal(fake.reads, 1);
    flush_cache();
    assert_ok(read_all(fs, "f", size, 9));
    assert_ok(read_part(fs, "f", 9 * MIB, 9 * MIB + 5, size, 9));
    assert_int_equal(fake.reads, 1);
}

static void a_large_range_comes_in_several_requests_of_one_version(void **state)
{
    size_t size = 20 * MIB;
    fake_put("f", size, 9);
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 9));
    unsigned before = fake.reads;
    assert_in_range(before, 2, 5);
    flush_cache();
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 9));
    assert_int_equal(fake.reads, before);
}

static void an_unknown_size_is_learned_from_the_bytes(void **state)
{
    fake_put("f", 200000, 4)->size_unknown = true;
    assert_ok(read_all(fs, "f", 200000, 4));
    flush_cache();
    assert_ok(read_part(fs, "f", -5, LARDER_TO_END, 200000, 4));
    assert_int_equal(fake.reads, 1);
}

/* ---- one request ---- */

struct reader_arg {
    pthread_t thread;
    struct larder_fs *fs;
    size_t size;
    int status;
};

static void *reader_thread(void *arg)
{
    struct reader_arg *reader = arg;
    reader->status = read_all(reader->fs, "f", reader->size, 8);
    return NULL;
}

static void wait_until(atomic_uint *count, unsigned value)
{
    while (*count < value)
        usleep(1000);
}

static void many_readers_ask_once(void **state)
{
    static const size_t sizes[] = {4096, 200000, 9 * MIB};
    struct reader_arg readers[16];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        fake_put("f", sizes[s], 8);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        fake.reads = 0;
        fake.hold = true;
        for (size_t i = 0; i < 16; i++) {
            readers[i] = (struct reader_arg){.fs = fs, .size = sizes[s]};
            assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]), 0);
        }
        wait_until(&fake.reads, 1);
        usleep(20000); /* so that the others wait, as a rule; the count is right in any case */
        fake.hold = false;
        for (size_t i = 0; i < 16; i++) {
            pthread_join(readers[i].thread, NULL);
            assert_ok(readers[i].status);
        }
        assert_int_equal(fake.reads, 1);
    }
}

static int read_task(void *arg)
{
    struct reader_arg *reader = arg;
    return reader->status = read_all(reader->fs, "f", reader->size, 8);
}

static int read_range_task(void *arg)
{
    struct reader_arg *reader = arg;
    return reader->status = read_part(reader->fs, "f", 5, (int64_t)reader->size - 5, reader->size, 8);
}

static void a_large_range_is_fetched_in_several_places_at_once(void **state)
{
    struct reader_arg arg = {.fs = fs, .size = 60 * MIB};
    struct larder_task *task;
    struct larder_info info;
    fake_put("f", arg.size, 8);
    assert_ok(larder_info(fs, "f", &info)); /* so that the version is known */
    larder_info_free(&info);
    flush_cache();
    fake.hold = true;
    assert_ok(larder_spawn(NULL, read_range_task, &arg, NULL, NULL, &task));
    wait_until(&fake.reads, 4);
    fake.hold = false;
    assert_ok(larder_join(task));
    assert_in_range(fake.bytes, arg.size - 10, arg.size);
    flush_cache();
    unsigned before = fake.reads;
    assert_ok(read_part(fs, "f", 5, (int64_t)arg.size - 5, arg.size, 8));
    assert_int_equal(fake.reads, before);
}

static void a_cancelled_large_range_leaves_nothing_running(void **state)
{
    struct reader_arg arg = {.fs = fs, .size = 60 * MIB};
    struct larder_task *task;
    struct larder_info info;
    fake_put("f", arg.size, 8);
    assert_ok(larder_info(fs, "f", &info));
    larder_info_free(&info);
    flush_cache();
    fake.hold = true;
    assert_ok(larder_spawn(NULL, read_range_task, &arg, NULL, NULL, &task));
    wait_until(&fake.reads, 4);
    larder_cancel(task);
    assert_int_equal(larder_join(task), -ECANCELED);
    fake.hold = false;
    assert_ok(read_part(fs, "f", 5, (int64_t)arg.size - 5, arg.size, 8));
}

static void a_cancelled_reader_hands_over(void **state)
{
    struct reader_arg args[4];
    struct larder_task *tasks[4];
    fake_put("f", 100000, 8);
    fake.hold = true;
    for (int i = 0; i < 4; i++) {
        args[i] = (struct reader_arg){.fs = fs, .size = 100000};
        assert_ok(larder_spawn(NULL, read_task, &args[i], NULL, NULL, &tasks[i]));
        wait_until(&fake.reads, 1);
    }
    larder_cancel(tasks[0]);
    assert_int_equal(larder_join(tasks[0]), -ECANCELED);
    wait_until(&fake.reads, 2);
    fake.hold = false;
    for (int i = 1; i < 4; i++)
        assert_ok(larder_join(tasks[i]));
    assert_int_equal(fake.reads, 2);
}

static void a_failure_is_shared_and_not_remembered(void **state)
{
    struct reader_arg args[4];
    struct larder_task *tasks[4];
    fake_put("f", 100, 8);
    fake.hold = true;
    fake.fail = -EIO;
    for (int i = 0; i < 4; i++) {
        args[i] = (struct reader_arg){.fs = fs, .size = 100};
        assert_ok(larder_spawn(NULL, read_task, &args[i], NULL, NULL, &tasks[i]));
        wait_until(&fake.reads, 1);
    }
    usleep(20000);
    fake.hold = false;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(larder_join(tasks[i]), -EIO);
        assert_non_null(strstr(larder_error(), "refused"));
    }
    fake.fail = 0;
    assert_ok(read_all(fs, "f", 100, 8));
}

/* ---- only what is right ---- */

/* The directory that is missing is the reader's. */
static void what_the_reader_cannot_take_says_nothing_of_the_place(void **state)
{
    char target[256];
    fake_put("f", 3 * MIB, 7);
    snprintf(target, sizeof target, "%s/missing/f", dir);
    struct larder_fs *offline = open_with("mode=offline");
    for (int again = 0; again < 2; again++) {
        assert_status(-ENOENT, larder_get_file(fs, "f", target, 0, NULL, NULL));
        assert_non_null(strstr(larder_error(), "missing"));
        flush_cache();
        assert_status(-ENONET, read_all(offline, "f", 3 * MIB, 7));
        assert_int_equal(larder_exists(fs, "f"), 1);
        assert_ok(larder_cache_clear(cache, NULL, ""));
    }
    larder_fs_free(offline);
    assert_ok(read_all(fs, "f", 3 * MIB, 7));
}

static void a_cut_transfer_leaves_nothing_in_the_cache(void **state)
{
    static const size_t sizes[] = {100000, 12 * MIB};
    struct larder_fs *offline = open_with("mode=offline");
    for (size_t i = 0; i < 2; i++) {
        fake_put("f", sizes[i], 2);
        fake.cut_at = (long long)sizes[i] - 10000;
        assert_int_equal(read_all(fs, "f", sizes[i], 2), -EPROTO);
        assert_int_equal(read_part(fs, "f", (int64_t)sizes[i] - 20000, LARDER_TO_END, sizes[i], 2), -EPROTO);
        flush_cache();
        assert_int_equal(read_part(offline, "f", 0, 10, sizes[i], 2), -ENONET);
        fake.cut_at = -1;
        assert_ok(read_all(fs, "f", sizes[i], 2));
        flush_cache();
        assert_ok(read_all(offline, "f", sizes[i], 2));
        assert_ok(larder_cache_clear(cache, fs, ""));
    }
    larder_fs_free(offline);
}

static void a_weak_version_is_kept_only_whole(void **state)
{
    size_t size = 300000;
    fake_put("f", size, 2)->flags = ANSWER_WEAK;
    struct larder_fs *offline = open_with("mode=offline");
    assert_ok(read_part(fs, "f", 0, 100, size, 2));
    assert_ok(read_part(fs, "f", 100000, 100100, size, 2));
    flush_cache();
    assert_int_equal(read_part(offline, "f", 0, 100, size, 2), -ENONET);
    assert_ok(read_all(fs, "f", size, 2));
    flush_cache();
    unsigned before = fake_asked();
    assert_ok(read_part(fs, "f", 100000, 100100, size, 2));
    assert_ok(read_all(fs, "f", size, 2));
    assert_int_equal(fake_asked(), before);
    clock_ahead_ms = 100000;
    assert_ok(read_all(fs, "f", size, 2)); /* weak is enough to ask whether it is the same */
    assert_int_equal(fake_asked(), before + 1);
    assert_int_equal(fake.unchanged, 1);
    larder_fs_free(offline);
}

static void what_must_not_be_stored_is_not(void **state)
{
    fake_put("f", 1000, 2)->flags = ANSWER_NO_STORE;
    struct larder_fs *offline = open_with("mode=offline");
    assert_ok(read_all(fs, "f", 1000, 2));
    assert_ok(read_part(fs, "f", 10, 20, 1000, 2));
    assert_int_equal(larder_exists(fs, "f"), 1);
    flush_cache();
    assert_int_equal(read_all(offline, "f", 1000, 2), -ENONET);
    larder_fs_free(offline);
}

static void two_versions_never_mix(void **state)
{
    size_t size = 20 * MIB;
    fake_put("f", size, 2);
    fake.change_after = 1; /* every request but the first finds another version */
    assert_int_equal(read_part(fs, "f", 5, 19 * MIB, size, 2), -ESTALE);
    fake.change_after = 0;
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 2));
    flush_cache();
    fake_put("f", size, 3);
    clock_ahead_ms = 100000;
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 3));
    flush_cache();
    /* Some of the old in the store, which is still fresh; the rest is only there in the new version. */
    fake_put("g", 400000, 4);
    assert_ok(read_part(fs, "g", 0, 60000, 400000, 4));
    flush_cache();
    fake_put("g", 400000, 5);
    assert_ok(read_part(fs, "g", 0, 300000, 400000, 5));
    flush_cache();
    assert_ok(read_all(fs, "g", 400000, 5));
}

static void damage_is_fetched_again(void **state)
{
    char path[512];
    fake_put("small", 3000, 2);
    fake_put("large", 300000, 3);
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    flush_cache();
    snprintf(path, sizeof path, "%s/cache/cache-1.mdb", dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    char *bytes = malloc((size_t)size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    unsigned damaged = 0;
    for (long at = 0; at + 8 < size; at++) { /* in the middle of what we know to be content */
        for (unsigned seed = 2; seed <= 3; seed++) {
            size_t middle = seed == 2 ? 1500 : 150000;
            if (bytes[at] == 0 || !fake_is(bytes + at, 8, seed, middle))
                continue;
            fseek(file, at, SEEK_SET);
            fputc(bytes[at] ^ 1, file);
            damaged++;
        }
    }
    fclose(file);
    free(bytes);
    assert_true(damaged >= 2);
    unsigned before = fake.reads;
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    assert_true(fake.reads >= before + 2);
    flush_cache();
    before = fake.reads;
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    assert_int_equal(fake.reads, before);
}

/* ---- freshness ---- */

static void an_answer_says_itself_how_long_it_is_fresh(void **state)
{
    struct larder_fs *plain = open_mode(NULL);
    fake_put("f", 1000, 2)->fresh_ms = 5000;
    fake_put("g", 1000, 3);
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_ok(read_all(plain, "g", 1000, 3));
    flush_cache();
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.reads, 2);
    assert_ok(read_all(plain, "g", 1000, 3)); /* nothing was said: asked again */
    assert_int_equal(fake.reads, 3);
    assert_int_equal(fake.unchanged, 1);
    clock_ahead_ms = 6000;
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.unchanged, 2);
    flush_cache();
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.reads, 4);
    clock_ahead_ms = -1000000; /* set back: nothing is known of its age */
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.unchanged, 3);
    larder_fs_free(plain);
}

static void unchanged_freshens_every_block_with_one_request(void **state)
{
    size_t size = 1000000;
    fake_put("f", size, 2);
    assert_ok(read_all(fs, "f", size, 2));
    flush_cache();
    clock_ahead_ms = 100000;
    unsigned long long before = fake.bytes;
    assert_ok(read_part(fs, "f", 10, 20, size, 2));
    assert_int_equal(fake.reads, 2);
    flush_cache();
    for (int64_t at = 0; at + 50 < (int64_t)size; at += 60000)
        assert_ok(read_part(fs, "f", at, at + 50, size, 2));
    assert_ok(read_all(fs, "f", size, 2));
    assert_int_equal(fake.reads, 2);
    assert_int_equal(fake.bytes, before);
}

static void ttl_0_asks_every_time(void **state)
{
    struct larder_fs *asking = open_with("ttl=0");
    fake_put("f", 1000, 2)->fresh_ms = 1000000;
    for (int i = 0; i < 3; i++) {
        assert_ok(read_all(asking, "f", 1000, 2));
        flush_cache();
    }
    assert_int_equal(fake.reads, 3);
    assert_int_equal(fake.unchanged, 2);
    fake_put("f", 1000, 3);
    assert_ok(read_all(asking, "f", 1000, 3));
    larder_fs_free(asking);
}

static void missing_is_remembered_for_the_ttl_and_failures_never(void **state)
{
    fake.fail = -EIO;
    assert_int_equal(read_all(fs, "f", 0, 0), -EIO);
    assert_int_equal(larder_exists(fs, "f"), -EIO);
    fake.fail = 0;
    assert_int_equal(read_all(fs, "f", 0, 0), -ENOENT);
    flush_cache();
    unsigned before = fake_asked();
    assert_int_equal(read_all(fs, "f", 0, 0), -ENOENT);
    assert_int_equal(larder_exists(fs, "f"), 0);
    assert_int_equal(fake_asked(), before);
    fake_put("f", 10, 1);
    clock_ahead_ms = 100000;
    assert_ok(read_all(fs, "f", 10, 1));
    struct larder_fs *plain = open_mode(NULL);
    assert_int_equal(larder_exists(plain, "g"), 0);
    flush_cache();
    fake_put("g", 10, 1);
    assert_ok(read_all(plain, "g", 10, 1)); /* without a ttl it is asked each time */
    larder_fs_free(plain);
}

static void an_info_that_says_less_keeps_the_bytes(void **state)
{
    struct larder_fs *plain = open_mode(NULL);
    struct fake_file *file = fake_put("f", 100000, 2);
    assert_ok(read_all(plain, "f", 100000, 2));
    flush_cache();
    file->no_validator = true;
    assert_int_equal(larder_exists(plain, "f"), 1);
    flush_cache();
    file->no_validator = false;
    unsigned long long before = fake.bytes;
    assert_ok(read_all(plain, "f", 100000, 2));
    assert_int_equal(fake.bytes, before);
    larder_fs_free(plain);
}

/* ---- without the place ---- */

static void offline_answers_from_what_is_there(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    struct larder_info info;
    fake_put("a/f", 100, 1);
    fake_put("a/g", 100, 2);
    fake_put("a/b/h", 100, 3);
    fake_put("c/i", 100, 4);
    assert_ok(larder_ls(fs, "a", &entries));
    assert_int_equal(entries.count, 3);
    larder_entries_free(&entries);
    assert_ok(read_all(fs, "a/f", 100, 1));
    assert_ok(read_all(fs, "c/i", 100, 4));
    assert_int_equal(larder_exists(fs, "x"), 0);
    flush_cache();
    clock_ahead_ms = 1000000000;
    fake.fail = -EIO;
    unsigned before = fake_asked();
    assert_ok(larder_ls(offline, "a", &entries));
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.info[0].name, "b");
    assert_int_equal(entries.info[1].size, 100);
    larder_entries_free(&entries);
    assert_ok(read_all(offline, "a/f", 100, 1));
    assert_int_equal(read_all(offline, "a/g", 100, 2), -ENONET);
    assert_ok(larder_info(offline, "a/g", &info));
    assert_int_equal(info.size, 100);
    larder_info_free(&info);
    assert_int_equal(larder_isdir(offline, "a"), 1);
    assert_int_equal(larder_isdir(offline, "a/b"), 1); /* the listing says so */
    assert_int_equal(larder_isdir(offline, "c"), 1);   /* it holds something */
    assert_int_equal(larder_exists(offline, "a/nothing"), 0);
    assert_int_equal(larder_exists(offline, "a/nothing/below"), 0);
    assert_int_equal(read_all(offline, "a/nothing", 0, 0), -ENOENT);
    assert_int_equal(larder_exists(offline, "x"), 0);
    assert_int_equal(larder_exists(offline, "y"), -ENONET);
    assert_int_equal(larder_exists(offline, "a/b/y"), -ENONET);
    assert_int_equal(larder_ls(offline, "a/b", &entries), -ENONET);
    assert_int_equal(larder_ls(offline, "a/nothing", &entries), -ENOENT);
    assert_int_equal(read_all(offline, "a", 0, 0), -EISDIR);
    assert_int_equal(fake_asked(), before);
    larder_fs_free(offline);
}

static void online_a_listing_does_not_say_what_is_missing(void **state)
{
    struct larder_entries entries;
    fake_put("a/f", 100, 1);
    assert_ok(larder_ls(fs, "a", &entries));
    larder_entries_free(&entries);
    flush_cache();
    fake_put("a/g", 100, 2);
    assert_int_equal(larder_exists(fs, "a/g"), 1);
    assert_ok(larder_ls(fs, "a", &entries));
    assert_int_equal(entries.count, 1); /* fresh for the ttl */
    larder_entries_free(&entries);
    assert_int_equal(fake.lists, 1);
}

static void stale_is_better_than_an_error_if_one_says_so(void **state)
{
    const char *options[] = {"mode=stale-if-error", NULL};
    struct larder_fs *stale = open_mode(options), *plain = open_mode(NULL);
    struct larder_entries entries;
    fake_put("d/f", 100000, 1);
    fake_put("d/strict", 100, 2)->flags = ANSWER_MUST_REVALIDATE;
    assert_ok(read_all(stale, "d/f", 100000, 1));
    assert_ok(read_all(stale, "d/strict", 100, 2));
    assert_ok(larder_ls(stale, "d", &entries));
    larder_entries_free(&entries);
    flush_cache();
    fake.fail = -ECONNREFUSED;
    assert_ok(read_all(stale, "d/f", 100000, 1));
    assert_ok(read_part(stale, "d/f", 5, 10, 100000, 1));
    assert_int_equal(larder_exists(stale, "d/f"), 1);
    assert_ok(larder_ls(stale, "d", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_int_equal(read_all(stale, "d/strict", 100, 2), -ECONNREFUSED);
    assert_non_null(strstr(larder_error(), "refused"));
    assert_int_equal(read_all(plain, "d/f", 100000, 1), -ECONNREFUSED);
    assert_int_equal(read_all(stale, "d/new", 100, 1), -ECONNREFUSED);
    fake.fail = 0;
    fake_remove("d/f");
    assert_int_equal(read_all(stale, "d/f", 100000, 1), -ENOENT); /* that is an answer */
    larder_fs_free(stale);
    larder_fs_free(plain);
}

/* ---- changes ---- */

static void a_write_is_seen_at_once(void **state)
{
    struct larder_entries entries;
    fake_put("d/f", 1000, 1);
    for (unsigned seed = 10; seed < 60; seed++) {
        char text[16];
        assert_int_equal(snprintf(text, sizeof text, "%u", seed), 2);
        assert_ok(larder_pipe_file(fs, "d/f", text, 3, 0));
        assert_ok(read_all(fs, "d/f", 1000, seed));
        if (seed % 3 == 0)
            flush_cache();
        assert_ok(read_all(fs, "d/f", 1000, seed));
    }
    assert_ok(larder_ls(fs, "d", &entries));
    larder_entries_free(&entries);
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    flush_cache();
    assert_ok(larder_pipe_file(fs, "d/new", "5", 2, 0));
    assert_ok(read_all(fs, "d/new", 100, 5));
    assert_ok(larder_ls(fs, "d", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_ok(larder_rm_file(fs, "d/new"));
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    flush_cache();
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    assert_ok(larder_ls(fs, "d", &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
}

static void a_read_begun_before_a_write_does_not_revive_the_old(void **state)
{
    static const bool stored[] = {false, true}, cleared[] = {false, true};
    for (int i = 0; i < 4; i++) {
        struct reader_arg arg = {.fs = fs, .size = 1000};
        struct larder_task *task;
        struct larder_bytes bytes;
        fake_put("f", 1000, 8);
        assert_ok(larder_cache_clear(cache, fs, ""));
        if (stored[i / 2]) {
            assert_ok(read_all(fs, "f", 1000, 8));
            flush_cache();
            clock_ahead_ms += 100000;
            fake_put("f", 1000, 8); /* another version: the bytes come again */
        }
        fake.reads = 0;
        fake.hold = true;
        assert_ok(larder_spawn(NULL, read_task, &arg, NULL, NULL, &task));
        wait_until(&fake.reads, 1);
        if (cleared[i % 2]) {
            assert_ok(larder_cache_clear(cache, fs, ""));
        } else {
            /* As another would write it, so that the place still sends the old body to the reader. */
            const struct backend *backend = fs->instance->backend;
            backend->changed(fs->instance, "f", false, NULL);
        }
        fake.hold = false;
        assert_ok(larder_join(task));
        fake_put("f", 1000, 9);
        flush_cache();
        assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
        assert_true(fake_is(bytes.data, bytes.size, 9, 0));
        larder_bytes_free(&bytes);
    }
}

static void clearing_forgets_the_subtree_only(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    static const char *const paths[] = {"a", "a/b/f", "a/b/g/h", "a/bc", "a/b-", "z"};
    for (unsigned i = 0; i < 6; i++) {
        fake_put(i == 0 ? "q" : paths[i], 100000, i);
        assert_ok(read_all(fs, i == 0 ? "q" : paths[i], 100000, i));
    }
    assert_ok(larder_cache_clear(cache, fs, "a/b"));
    assert_int_equal(read_all(offline, "a/b/f", 100000, 1), -ENONET);
    assert_int_equal(read_all(offline, "a/b/g/h", 100000, 2), -ENONET);
    assert_ok(read_all(offline, "a/bc", 100000, 3));
    assert_ok(read_all(offline, "a/b-", 100000, 4));
    assert_ok(read_all(offline, "z", 100000, 5));
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 4);
    assert_int_equal(stats.blocks, 8);
    assert_ok(larder_cache_clear(cache, NULL, ""));
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 0);
    assert_int_equal(stats.blocks, 0);
    larder_fs_free(offline);
}

/* ---- odd circumstances ---- */

static void a_directory_that_cannot_be_used_costs_only_the_cache(void **state)
{
    char option[256];
    const char *options[] = {option, "ttl=60", NULL};
    struct larder_cache *broken;
    struct larder_fs *plain, *cached;
    struct larder_mirror_stats stats = {.size = sizeof stats};
    snprintf(option, sizeof option, "dir=%s/file/cache", dir);
    char *path = tmpdir_path(dir, "file");
    fclose(fopen(path, "w"));
    free(path);
    assert_ok(larder_cache_open(options, &broken));
    assert_ok(fs_open(NULL, "fake://", NULL, &plain, NULL));
    assert_ok(larder_cache_fs(broken, plain, NULL, &cached));
    fake_put("f", 100, 1);
    assert_ok(read_all(cached, "f", 100, 1));
    assert_ok(read_all(cached, "f", 100, 1));
    assert_int_equal(fake.reads, 2);
    assert_ok(larder_cache_flush(broken));
    assert_int_equal(larder_mirror(cached, "", NULL, &stats), -EROFS);
    assert_int_equal(larder_cache_fs(broken, cached, NULL, &plain), -EINVAL);
    larder_fs_free(cached);
    larder_fs_free(plain);
    larder_cache_free(broken);
}

/* What is stored anew, below the same handles, after the store went. */
static void is_begun_anew(unsigned before)
{
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    assert_ok(read_all(fs, "f", 300000, 2));
    assert_int_equal(fake.reads, before + 1);
}

static void a_store_with_damaged_pages_is_begun_anew_under_its_users(void **state)
{
    char path[512], garbage[4080];
    struct larder_cache_verified verified = {.size = sizeof verified};
    uint16_t head[8];
    fake_put("f", 300000, 2);
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    assert_ok(larder_cache_verify(cache, &verified));
    assert_false(verified.set_aside);
    assert_true(verified.records > 0 && verified.blocks == 5);
    assert_int_equal(verified.damaged + verified.repaired, 0);
    snprintf(path, sizeof path, "%s/cache/cache-1.mdb", dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    memset(garbage, 0x5a, sizeof garbage);
    for (off_t at = 8192; pread(fd, head, sizeof head, at) == sizeof head; at += 4096)
        if (head[5] == 1 || head[5] == 2) /* LMDB's flags: a branch, a leaf */
            assert_int_equal(pwrite(fd, garbage, sizeof garbage, at + 16), sizeof garbage);
    close(fd);
    assert_ok(larder_cache_verify(cache, &verified));
    assert_true(verified.set_aside);
    is_begun_anew(fake.reads);
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 1);
}

static void a_directory_that_vanishes_is_begun_anew(void **state)
{
    char command[600];
    fake_put("f", 300000, 2);
    fake_put("g", 300000, 3);
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    snprintf(command, sizeof command, "rm -r %s/cache", dir);
    assert_int_equal(system(command), 0);
    assert_ok(read_all(fs, "g", 300000, 3)); /* is not stored, which is when it shows */
    larder_cache_flush(cache);
    is_begun_anew(fake.reads);
}

static void a_fork_has_a_store_of_its_own(void **state)
{
    fake_put("f", 100000, 1);
    assert_ok(read_all(fs, "f", 100000, 1));
    flush_cache();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool right = read_all(fs, "f", 100000, 1) == 0; /* a look: it needs no loop */
        if (!right)
            _exit(1);
        kill(getpid(), SIGKILL); /* before anybody counts what the parent's threads left here */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_ok(read_all(fs, "f", 100000, 1));
    assert_int_equal(fake.reads, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_read_asks_nobody),
        TEST(a_read_that_meets_the_commit_asks_nobody),
        TEST(what_was_fetched_is_there_after_reopening),
        TEST(parts_are_kept_block_by_block),
        TEST(bounds_from_the_end_are_kept_too),
        TEST(a_large_file_is_kept_in_one_request),
        TEST(a_large_range_comes_in_several_requests_of_one_version),
        TEST(an_unknown_size_is_learned_from_the_bytes),
        TEST(many_readers_ask_once),
        TEST(a_large_range_is_fetched_in_several_places_at_once),
        TEST(a_cancelled_large_range_leaves_nothing_running),
        TEST(a_cancelled_reader_hands_over),
        TEST(a_failure_is_shared_and_not_remembered),
        TEST(what_the_reader_cannot_take_says_nothing_of_the_place),
        TEST(a_cut_transfer_leaves_nothing_in_the_cache),
        TEST(a_weak_version_is_kept_only_whole),
        TEST(what_must_not_be_stored_is_not),
        TEST(two_versions_never_mix),
        TEST(damage_is_fetched_again),
        TEST(an_answer_says_itself_how_long_it_is_fresh),
        TEST(unchanged_freshens_every_block_with_one_request),
        TEST(ttl_0_asks_every_time),
        TEST(missing_is_remembered_for_the_ttl_and_failures_never),
        TEST(an_info_that_says_less_keeps_the_bytes),
        TEST(offline_answers_from_what_is_there),
        TEST(online_a_listing_does_not_say_what_is_missing),
        TEST(stale_is_better_than_an_error_if_one_says_so),
        TEST(a_write_is_seen_at_once),
        TEST(a_read_begun_before_a_write_does_not_revive_the_old),
        TEST(clearing_forgets_the_subtree_only),
        TEST(a_directory_that_cannot_be_used_costs_only_the_cache),
        TEST(a_store_with_damaged_pages_is_begun_anew_under_its_users),
        TEST(a_directory_that_vanishes_is_begun_anew),
        TEST(a_fork_has_a_store_of_its_own),
    };
    cached_place_know();
    backend_register(&local_backend);
    return cmocka_run_group_tests_name("cache_view", tests, NULL, NULL);
}
