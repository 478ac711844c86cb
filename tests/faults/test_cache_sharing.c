/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes, and many loops, that want the same bytes at once: the server is asked for each of them once. And when
 * whoever asks dies, stops, or may not keep what it got, the others do not wait for that.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "base/seams.h"
#include "fault_server.h"
#include "task_test.h"
#include "tmpdir.h"
#include "tree.h"

#define MANY 64
#define MIB  (1U << 20)

static struct fault_server *server;
static char *scratch, *data;
static size_t data_size;

/* ---- processes ---- */

/* They are made before the server, and so before any thread, and begin when they are told its URL. */
static int gate[2], begun[2]; /* the latter has the ids of those that did */
static pid_t children[MANY + 1];
static unsigned child_count;

static struct start {
    char url[128], dir[256];
    bool long_ago; /* by its clock: what it keeps is stale to the others */
} started;         /* in a child: how */
static int64_t (*real_wall_ns)(void);

typedef int job_fn(struct larder_fs *fs, unsigned number);

static struct larder_fs *open_cached(const struct start *start, struct larder_loop *loop)
{
    struct larder_fs *fs;
    char dir[300];
    const char *options[] = {dir, "cache.ttl=60", NULL};
    snprintf(dir, sizeof dir, "cache.dir=%s", start->dir);
    return larder_open(loop, start->url, options, &fs, NULL) == 0 ? fs : NULL;
}

static int64_t wall_ns_long_ago(void)
{
    return real_wall_ns() - 1000 * 1000000000LL;
}

static void spawn(unsigned count, job_fn *job)
{
    for (unsigned i = 0; i < count; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        children[child_count++] = child;
        if (child > 0)
            continue;
        child = getpid();
        if (read(gate[0], &started, sizeof started) != sizeof started ||
            write(begun[1], &child, sizeof child) != sizeof child)
            _exit(9);
        real_wall_ns = world_seam.wall_ns;
        if (started.long_ago)
            world_seam.wall_ns = wall_ns_long_ago;
        struct larder_fs *fs = open_cached(&started, NULL);
        int status = fs ? job(fs, child_count - 1) : 8;
        if (status)
            fprintf(stderr, "%s\n", larder_error());
        larder_fs_free(fs);
        exit(status);
    }
}

static struct start start_here(void)
{
    struct start start = {0};
    snprintf(start.url, sizeof start.url, "cache::%s", fault_server_url(server));
    snprintf(start.dir, sizeof start.dir, "%s/cache", scratch);
    return start;
}

/* Serve the file, and let so many more of the children begin. */
static void serve(size_t size, const char *headers)
{
    data_size = size;
    data = content_make(size, 1);
    server = fault_server_start();
    fault_file_set(server, "/d/f",
                   &(struct fault_file){.data = data, .size = size, .etag = "\"v1\"", .headers = headers});
}

static void let_begin_so(unsigned count, bool long_ago)
{
    struct start start = start_here();
    start.long_ago = long_ago;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(write(gate[1], &start, sizeof start), sizeof start);
}

static void let_begin(unsigned count)
{
    let_begin_so(count, false);
}

/* The next that began, or that a child told of. */
static pid_t next_begun(void)
{
    pid_t child;
    assert_int_equal(read(begun[0], &child, sizeof child), sizeof child);
    return child;
}

/* It does not end by itself. */
static void end_child(pid_t child)
{
    int status;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    for (unsigned i = 0; i < child_count; i++)
        if (children[i] == child)
            children[i] = 0;
}

static void join_one(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (unsigned i = 0; i < child_count; i++)
        if (children[i] == child)
            children[i] = 0;
}

static void join(void)
{
    for (unsigned i = 0; i < child_count; i++) {
        int status;
        if (children[i] == 0)
            continue;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    child_count = 0;
    return pipe(gate) || pipe(begun);
}

static int teardown(void **state)
{
    close(gate[0]);
    close(gate[1]);
    close(begun[0]);
    close(begun[1]);
    fault_server_stop(server);
    server = NULL;
    free(data);
    data = NULL;
    tmpdir_remove(scratch);
    return 0;
}

/* ---- what they do ---- */

static int check(const struct larder_bytes *bytes, size_t start, size_t count)
{
    return bytes->size == count && content_matches(bytes->data, count, 1, start) ? 0 : 5;
}

/* The size is known from the file itself: the children were made before it. */
static int read_whole(struct larder_fs *fs, unsigned number)
{
    struct larder_bytes bytes;
    if (larder_cat_file(fs, "d/f", NULL, &bytes) < 0)
        return 4;
    int status = check(&bytes, 0, bytes.size);
    larder_bytes_free(&bytes);
    return status;
}

/* And stay until what was learnt is on the disk. */
static int read_and_flush(struct larder_fs *fs, unsigned number)
{
    struct larder_cache *cache;
    char option[300];
    snprintf(option, sizeof option, "dir=%s", started.dir);
    int status = read_whole(fs, number);
    if (larder_cache_open((const char *const[]){option, NULL}, &cache) < 0)
        return 6;
    if (larder_cache_flush(cache) < 0)
        status = 7;
    larder_cache_free(cache);
    return status;
}

#define RANGED_SIZE (20U * MIB + 12345)

/* All of it, in pieces that are no blocks, from another end each. */
static int read_in_ranges(struct larder_fs *fs, unsigned number)
{
    const size_t piece = 700000, pieces = (RANGED_SIZE + piece - 1) / piece;
    for (size_t i = 0; i < pieces; i++) {
        size_t start = (i * 11 + number) % pieces * piece;
        size_t count = start + piece < RANGED_SIZE ? piece : RANGED_SIZE - start;
        struct larder_range range = {(int64_t)start, (int64_t)(start + count)};
        struct larder_bytes bytes;
        if (larder_cat_file(fs, "d/f", &range, &bytes) < 0)
            return 4;
        int status = check(&bytes, start, count);
        larder_bytes_free(&bytes);
        if (status)
            return status;
    }
    return 0;
}

static int list(struct larder_fs *fs, unsigned number)
{
    struct larder_entries entries;
    if (larder_ls(fs, "d", &entries) < 0)
        return 4;
    int status = entries.count == 1 && strcmp(entries.info[0].name, "f") == 0 ? 0 : 5;
    larder_entries_free(&entries);
    return status;
}

/* ---- once ---- */

static void slowly(void)
{
    fault_on(server, (struct fault_match){.path = NULL},
             (struct fault){.trickle_size = data_size / 20 + 1, .trickle_ms = 10});
}

static void a_cold_file_is_asked_for_once(void **state)
{
    static const struct {
        size_t size;
        unsigned processes;
    } cases[] = {{200000, MANY}, {4096, 8}, {9 * MIB, 8}};
    for (size_t i = 0; i < 3; i++) {
        child_count = 0;
        spawn(cases[i].processes, read_whole);
        serve(cases[i].size, NULL);
        slowly();
        let_begin(cases[i].processes);
        join();
        assert_int_equal(fault_count(server, "GET", "/d/f"), 1);
        teardown(state);
        setup(state);
    }
}

/* How often each byte of the file was asked for: at most how often, over all. */
static unsigned asked_most(void)
{
    unsigned char *times = calloc(RANGED_SIZE, 1);
    const struct fault_request *request;
    unsigned most = 0;
    for (size_t i = 0; (request = fault_request(server, i)); i++) {
        const char *range = fault_request_header(request, "Range");
        size_t start = 0, end = RANGED_SIZE - 1;
        if (range)
            assert_int_equal(sscanf(range, "bytes=%zu-%zu", &start, &end), 2);
        for (size_t at = start; at <= end && at < RANGED_SIZE; at++)
            if (++times[at] > most)
                most = times[at];
    }
    free(times);
    return most;
}

static void cold_ranges_are_asked_for_once(void **state)
{
    spawn(8, read_in_ranges);
    serve(RANGED_SIZE, NULL);
    let_begin(8);
    join();
    assert_int_equal(asked_most(), 1);
}

static void a_cold_listing_is_asked_for_once(void **state)
{
    spawn(32, list);
    serve(1000, NULL);
    fault_on(server, (struct fault_match){.path = "/d/"},
             (struct fault){.trickle_size = 20, .trickle_ms = 10});
    let_begin(32);
    join();
    assert_int_equal(fault_count(server, "GET", "/d/"), 1);
}

static void take_a_while(void *arg, const struct fault_request *request)
{
    usleep(300000);
}

/* It has not changed, which one of them hears, and tells the others through the store. */
static void a_stale_file_is_asked_about_once(void **state)
{
    spawn(MANY + 1, read_and_flush);
    serve(200000, NULL);
    let_begin_so(1, true);
    join_one(next_begun());
    assert_int_equal(fault_count(server, "GET", "/d/f"), 1);
    fault_on(server, (struct fault_match){.path = "/d/f"}, (struct fault){.hook = take_a_while});
    let_begin(MANY);
    join();
    assert_int_equal(fault_count(server, "GET", "/d/f"), 2);
}

static int miss(struct larder_fs *fs, unsigned number)
{
    struct larder_bytes bytes;
    return larder_cat_file(fs, "d/none", NULL, &bytes) == -ENOENT ? 0 : 4;
}

static void a_missing_file_is_asked_for_once(void **state)
{
    spawn(MANY, miss);
    serve(1000, NULL);
    fault_on(server, (struct fault_match){.path = "/d/none"}, (struct fault){.hook = take_a_while});
    let_begin(MANY);
    join();
    assert_int_equal(fault_count(server, "GET", "/d/none"), 1);
}

struct thread {
    pthread_t thread;
    struct larder_loop *loop;
    struct larder_fs *fs;
    int status;
};

static void *read_on_thread(void *arg)
{
    struct thread *thread = arg;
    thread->status = read_whole(thread->fs, 0);
    return NULL;
}

static void two_loops_of_a_process_ask_once(void **state)
{
    struct thread threads[2];
    serve(3 * MIB, NULL);
    slowly();
    struct start start = start_here();
    for (int i = 0; i < 2; i++) {
        assert_ok(larder_loop_new(&threads[i].loop));
        threads[i].fs = open_cached(&start, threads[i].loop);
        assert_non_null(threads[i].fs);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i].thread, NULL, read_on_thread, &threads[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_int_equal(threads[i].status, 0);
        larder_fs_free(threads[i].fs);
        assert_ok(larder_loop_close(threads[i].loop, NULL, NULL));
    }
    assert_int_equal(fault_count(server, "GET", "/d/f"), 1);
}

/* ---- but no longer than that helps ---- */

static void stall_first(void)
{
    fault_on(server, (struct fault_match){.path = "/d/f", .count = 1},
             (struct fault){.end = FAULT_STALL, .at = 1000});
}

/* The first of the children asks, and hangs; the others want the same. */
static pid_t begin_with_one_that_hangs(unsigned others)
{
    stall_first();
    let_begin(1);
    fault_wait_stalled(server, 1);
    pid_t owner = next_begun();
    let_begin(others);
    for (unsigned i = 0; i < others; i++)
        next_begun();
    usleep(50000); /* so that they wait, as a rule */
    return owner;
}

static void of_a_dead_owner_one_takes_over(void **state)
{
    spawn(9, read_whole);
    serve(300000, NULL);
    end_child(begin_with_one_that_hangs(8));
    join();
    assert_int_equal(fault_count(server, "GET", "/d/f"), 2);
}

static void a_stopped_owner_is_not_waited_for(void **state)
{
    spawn(4, read_whole);
    serve(300000, NULL);
    pid_t owner = begin_with_one_that_hangs(3);
    kill(owner, SIGSTOP);
    for (unsigned i = 0; i < child_count; i++) {
        int status;
        if (children[i] == owner)
            continue;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
        children[i] = 0;
    }
    assert_in_range(fault_count(server, "GET", "/d/f"), 2, 4);
    kill(owner, SIGCONT);
    fault_release(server);
    join();
}

static int read_in_task(void *arg)
{
    return read_whole(arg, 0);
}

/* It forks when the test says that its request hangs; the others find that it does not. */
static int read_and_fork(struct larder_fs *fs, unsigned number)
{
    struct larder_task *task;
    char *hangs = tmpdir_path(started.dir, "hangs");
    if (larder_spawn(NULL, read_in_task, fs, NULL, NULL, &task) < 0)
        return 4;
    while (access(hangs, F_OK) < 0)
        usleep(1000);
    free(hangs);
    pid_t child = fork();
    if (child > 0)
        return larder_join(task);
    child = getpid();
    if (write(begun[1], &child, sizeof child) == sizeof child)
        pause();
    _exit(0);
}

static void what_its_owner_forked_does_not_keep_the_lock(void **state)
{
    spawn(1, read_and_fork);
    serve(300000, NULL);
    pid_t owner = begin_with_one_that_hangs(0);
    struct start start = start_here();
    tree_write(start.dir, "hangs", "", 0);
    pid_t forked = next_begun();
    end_child(owner);
    struct larder_fs *fs = open_cached(&start, NULL);
    assert_int_equal(read_whole(fs, 0), 0);
    assert_int_equal(fault_count(server, "GET", "/d/f"), 2);
    larder_fs_free(fs);
    kill(forked, SIGKILL);
}

static void what_may_not_be_kept_is_not_queued_for(void **state)
{
    spawn(16, read_whole);
    serve(300000, "Cache-Control: no-store\r\n");
    slowly();
    let_begin(16);
    join();
    assert_int_equal(fault_count(server, "GET", "/d/f"), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cold_file_is_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(cold_ranges_are_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cold_listing_is_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_file_is_asked_about_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_is_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(of_a_dead_owner_one_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_owner_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_not_be_kept_is_not_queued_for, setup, teardown),
        /* From here on this process has threads of its own. */
        cmocka_unit_test_setup_teardown(what_its_owner_forked_does_not_keep_the_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(two_loops_of_a_process_ask_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("cache_sharing", tests, NULL, NULL);
}
