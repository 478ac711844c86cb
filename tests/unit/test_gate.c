/* SPDX-License-Identifier: Apache-2.0 */
/* Filesystems that a program opens and closes itself (asynchronous=true), and what outlives its loop. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "larder.h"

#include "alloc_fault.h"
#include "fault_server.h"
#include "fs/fs.h"
#include "tmpdir.h"

static struct fault_server *server;
static char *scratch;

static struct larder_fs *open_later(struct larder_loop *loop, const char *prefix)
{
    static const char *const options[] = {"asynchronous=true", "http.stall_timeout=30", NULL};
    struct larder_fs *fs = NULL;
    char url[128];
    snprintf(url, sizeof url, "%s%s", prefix, fault_server_url(server));
    assert_ok(larder_open(loop, url, options, &fs, NULL));
    return fs;
}

static int read_it(void *arg)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(arg, "file", NULL, &bytes);
    if (rc == 0 && (bytes.size != 4 || memcmp(bytes.data, "text", 4) != 0))
        rc = -EBADMSG;
    larder_bytes_free(&bytes);
    return rc;
}

/* Connections to the server that this process has open. */
static int open_sockets(void)
{
    FILE *tcp = fopen("/proc/net/tcp", "r");
    char line[256];
    int count = 0;
    assert_non_null(tcp);
    while (fgets(line, sizeof line, tcp)) {
        unsigned port, state;
        if (sscanf(line, " %*d: %*x:%*x %*x:%x %x", &port, &state) == 2)
            count += port == fault_server_port(server) && state == 1;
    }
    fclose(tcp);
    return count;
}

/* ---- before, between, after ---- */

static void nothing_is_opened_before_it_is_connected(void **state)
{
    char *dir = tmpdir_path(scratch, "unmade");
    setenv("LARDER_CACHE_DIR", dir, 1);
    struct larder_fs *fs = open_later(NULL, "cache::");
    struct larder_item item = {.path = "file"};
    struct larder_entries entries;
    struct larder_walk *walk;
    struct larder_map *map = NULL;
    const struct larder_info *entry;
    const char *at;
    char *url = NULL;
    assert_status(-ENOTCONN, read_it(fs));
    assert_non_null(strstr(larder_error(), "larder_fs_connect"));
    assert_status(-ENOTCONN, larder_exists(fs, "file"));
    assert_status(-ENOTCONN, larder_cat(fs, &item, 1, NULL));
    assert_status(-ENOTCONN, larder_ls(fs, "", &entries));
    assert_status(-ENOTCONN, larder_pipe_file(fs, "file", "x", 1, 0));
    assert_status(-ENOTCONN, larder_mirror(fs, "", NULL, NULL));
    assert_ok(larder_walk_open(fs, "", NULL, &walk));
    assert_status(-ENOTCONN, larder_walk_next(walk, &at, &entry));
    larder_walk_free(walk);
    assert_ok(larder_map_new(fs, "", 0, &map));
    assert_status(-ENOTCONN, larder_map_has(map, "file"));
    larder_map_free(map);
    assert_false(larder_fs_capabilities(fs)->list);
    assert_ok(larder_fs_url(fs, "a b", &url));
    assert_non_null(strstr(url, "/a%20b"));
    larder_free(url);
    assert_int_equal(access(dir, F_OK), -1);
    assert_status(-ENOTCONN, larder_fs_disconnect(fs));
    larder_fs_free(fs);
    setenv("LARDER_CACHE_DIR", scratch, 1);
    assert_int_equal(fault_connections(server), 0);
    free(dir);
}

static void it_is_open_from_connect_to_disconnect_and_again(void **state)
{
    static const char *const prefixes[] = {"", "cache::"};
    for (int i = 0; i < 4; i++) {
        struct larder_fs *fs = open_later(NULL, prefixes[i % 2]);
        for (int j = 0; j < 3; j++) {
            assert_ok(larder_fs_connect(fs));
            assert_true(larder_fs_capabilities(fs)->list);
            assert_ok(read_it(fs));
            assert_ok(larder_fs_disconnect(fs));
            assert_status(-ENOTCONN, read_it(fs));
        }
        larder_fs_free(fs);
    }
}

static void its_connections_are_its_own_and_closed_when_it_is(void **state)
{
    struct larder_fs *fs = open_later(NULL, ""), *plain = NULL;
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &plain, NULL));
    assert_ok(read_it(plain));
    assert_int_equal(open_sockets(), 1);
    assert_ok(larder_fs_connect(fs));
    assert_int_equal(open_sockets(), 1);
    assert_ok(read_it(fs));
    assert_int_equal(open_sockets(), 2);
    assert_ok(larder_fs_disconnect(fs));
    assert_int_equal(open_sockets(), 1);
    assert_ok(larder_fs_disconnect(plain)); /* does nothing */
    assert_ok(larder_fs_connect(plain));
    assert_ok(read_it(plain));
    assert_int_equal(fault_connections(server), 2);
    larder_fs_free(plain);
    larder_fs_free(fs);
}

static int nothing(void *arg)
{
    return 0;
}

static void one_that_is_freed_is_closed_as_well(void **state)
{
    struct larder_fs *fs = open_later(NULL, "");
    assert_ok(larder_fs_connect(fs));
    assert_ok(read_it(fs));
    int before = open_sockets();
    larder_fs_free(fs);
    assert_ok(larder_sync(NULL, nothing, NULL, 0)); /* behind what was posted */
    assert_int_equal(open_sockets(), before - 1);
}

static void the_last_disconnect_counts(void **state)
{
    struct larder_fs *one = open_later(NULL, ""), *two = open_later(NULL, ""),
                     *cached = open_later(NULL, "cache::");
    assert_true(larder_fs_is_same(one, two));
    assert_ok(larder_fs_connect(one));
    assert_ok(larder_fs_connect(two));
    assert_ok(larder_fs_connect(cached));
    assert_ok(larder_fs_disconnect(one));
    assert_ok(read_it(one));
    assert_ok(larder_fs_disconnect(cached));
    assert_status(-ENOTCONN, read_it(cached));
    assert_ok(read_it(two));
    assert_ok(larder_fs_disconnect(two));
    assert_status(-ENOTCONN, read_it(one));
    larder_fs_free(one);
    larder_fs_free(two);
    larder_fs_free(cached);
}

static void places_without_a_loop_are_opened_likewise(void **state)
{
    static const char *const options[] = {"asynchronous=true", NULL};
    static const char *const urls[] = {"memory://", "/tmp"};
    struct larder_info info;
    for (int i = 0; i < 2; i++) {
        struct larder_fs *fs = NULL;
        assert_ok(larder_open(NULL, urls[i], options, &fs, NULL));
        assert_status(-ENOTCONN, larder_info(fs, "", &info));
        assert_ok(larder_fs_connect(fs));
        assert_ok(larder_info(fs, "", &info));
        larder_info_free(&info);
        assert_ok(larder_fs_disconnect(fs));
        assert_status(-ENOTCONN, larder_info(fs, "", &info));
        larder_fs_free(fs);
    }
}

/* ---- calls under way ---- */

struct reader {
    struct larder_fs *fs;
    int rc;
};

static void *read_on_a_thread(void *arg)
{
    struct reader *reader = arg;
    reader->rc = read_it(reader->fs);
    return NULL;
}

static void *disconnect_on_a_thread(void *arg)
{
    struct reader *reader = arg;
    reader->rc = larder_fs_disconnect(reader->fs);
    return NULL;
}

/* A read of which the server says nothing yet. */
static void begin_read(pthread_t *thread, struct reader *reader)
{
    fault_on(server, (struct fault_match){.count = 1},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
    assert_int_equal(pthread_create(thread, NULL, read_on_a_thread, reader), 0);
    fault_wait_stalled(server, 1);
}

static void a_call_under_way_is_waited_for_and_no_other_begins(void **state)
{
    struct larder_fs *fs = open_later(NULL, "");
    struct reader reader = {.fs = fs, .rc = 1}, leaver = {.fs = fs, .rc = 1};
    pthread_t reads, leaves;
    assert_ok(larder_fs_connect(fs));
    begin_read(&reads, &reader);
    assert_int_equal(pthread_create(&leaves, NULL, disconnect_on_a_thread, &leaver), 0);
    while (larder_exists(fs, "none") == 0) /* until it is at it */
        usleep(100);
    assert_status(-EBUSY, larder_fs_connect(fs));
    assert_status(-ENOTCONN, larder_fs_disconnect(fs));
    fault_release(server);
    pthread_join(reads, NULL);
    pthread_join(leaves, NULL);
    assert_ok(reader.rc);
    assert_ok(leaver.rc);
    assert_int_equal(open_sockets(), 0);
    larder_fs_free(fs);
}

static int disconnect(void *arg)
{
    return larder_fs_disconnect(arg);
}

static void a_disconnect_that_is_cancelled_leaves_it_open(void **state)
{
    struct larder_fs *fs = open_later(NULL, "");
    struct reader reader = {.fs = fs, .rc = 1};
    struct larder_task *task = NULL;
    pthread_t reads;
    assert_ok(larder_fs_connect(fs));
    begin_read(&reads, &reader);
    assert_ok(larder_spawn(NULL, disconnect, fs, NULL, NULL, &task));
    while (larder_exists(fs, "none") == 0)
        usleep(100);
    larder_cancel(task);
    assert_status(-ECANCELED, larder_join(task));
    assert_status(0, larder_exists(fs, "none"));
    fault_release(server);
    pthread_join(reads, NULL);
    assert_ok(reader.rc);
    assert_ok(larder_fs_disconnect(fs));
    larder_fs_free(fs);
}

/* ---- in a task ---- */

/* What a program with a loop of its own does: all of it in one task. */
static int live_in_a_task(void *arg)
{
    static const char *const options[] = {"asynchronous=true", NULL};
    struct larder_fs *fs = NULL;
    int rc = larder_open(NULL, fault_server_url(server), options, &fs, NULL);
    if (rc == 0 && larder_fs_capabilities(fs)->list)
        rc = -EPROTO;
    if (rc == 0)
        rc = larder_fs_connect(fs);
    if (rc == 0)
        rc = read_it(fs);
    if (rc == 0)
        rc = larder_fs_disconnect(fs);
    if (rc == 0 && larder_exists(fs, "file") != -ENOTCONN)
        rc = -EPROTO;
    larder_fs_free(fs);
    return rc;
}

static void a_task_opens_reads_and_closes_on_its_own_loop(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    assert_ok(larder_sync(loop, live_in_a_task, NULL, 0));
    assert_ok(larder_loop_close(loop, NULL, NULL));

    uv_loop_t uv;
    struct larder_task *task = NULL;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_ok(larder_loop_attach(&uv, &loop));
    assert_ok(larder_spawn(loop, live_in_a_task, NULL, NULL, NULL, &task));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_ok(larder_join(task));
    assert_int_equal(uv_loop_close(&uv), 0);
}

static int refused(void *arg)
{
    struct larder_fs *fs = arg;
    return larder_fs_disconnect(fs) == -EDEADLK ? 0 : -EPROTO;
}

static void a_task_of_another_loop_does_not_close_it(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    struct larder_fs *fs = open_later(loop, "");
    assert_ok(larder_fs_connect(fs));
    assert_ok(larder_sync(NULL, refused, fs, 0));
    assert_ok(larder_fs_disconnect(fs));
    larder_fs_free(fs);
    assert_ok(larder_loop_close(loop, NULL, NULL));
}

/* ---- what outlives its loop ---- */

static void what_was_open_on_a_loop_is_freed_after_it(void **state)
{
    static const char *const prefixes[] = {"", "cache::"};
    for (int i = 0; i < 2; i++) {
        struct larder_loop *loop = NULL;
        struct larder_fs *plain = NULL, *at = NULL;
        struct larder_map *map = NULL;
        struct larder_keys *keys = NULL;
        struct larder_walk *walk = NULL;
        struct larder_file *reader = NULL, *writer = NULL;
        const struct larder_info *entry;
        const char *dir, *key;
        char url[128];
        snprintf(url, sizeof url, "%s%s", prefixes[i], fault_server_url(server));
        assert_ok(larder_loop_new(&loop));
        struct larder_fs *later = open_later(loop, prefixes[i]);
        assert_ok(larder_fs_connect(later));
        assert_ok(read_it(later));
        assert_ok(larder_open(loop, url, NULL, &plain, NULL));
        assert_ok(read_it(plain));
        assert_ok(larder_fs_at(plain, "dir", NULL, &at));
        assert_ok(larder_map_new(plain, "", 0, &map));
        assert_ok(larder_map_keys(map, NULL, &keys));
        assert_int_equal(larder_keys_next(keys, &key, NULL), 1);
        assert_ok(larder_walk_open(plain, "", NULL, &walk));
        assert_int_equal(larder_walk_next(walk, &dir, &entry), 1);
        assert_ok(larder_file_open(plain, "file", "r", NULL, &reader));
        assert_int_equal(larder_file_read(reader, url, 2), 2);
        larder_file_open(plain, "new", "w", NULL, &writer); /* where that is possible */
        assert_ok(larder_loop_close(loop, NULL, NULL));
        assert_int_equal(open_sockets(), 0);
        assert_status(-EBADF, read_it(plain));
        assert_status(-EBADF, larder_exists(plain, "none"));
        assert_status(-EBADF, larder_fs_disconnect(later));
        larder_file_discard(reader);
        larder_file_discard(writer);
        larder_walk_free(walk);
        larder_keys_free(keys);
        larder_map_free(map);
        larder_fs_free(at);
        larder_fs_free(plain);
        larder_fs_free(later);
    }
}

/* What a server sends as one stream is read by a task of the file's loop, not of the one in use. */
static void a_file_is_read_on_its_own_loop(void **state)
{
    struct larder_loop *loop = NULL;
    struct larder_fs *fs = NULL;
    struct larder_file *file = NULL;
    static char content[3 << 20], piece[1 << 16];
    memset(content, 'c', sizeof content);
    fault_file_set(server, "/large", &(struct fault_file){.data = content, .size = sizeof content});
    fault_on(server, (struct fault_match){.path = "/large"}, (struct fault){.flags = FAULT_NO_RANGES});
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &fs, NULL));
    assert_ok(larder_loop_new(&loop));
    larder_loop_use(loop);
    assert_ok(larder_loop_close(loop, NULL, NULL)); /* what is started there fails */
    assert_ok(larder_file_open(fs, "large", "r", NULL, &file));
    size_t size = 0;
    int64_t got;
    while ((got = larder_file_read(file, piece, sizeof piece)) > 0)
        size += (size_t)got;
    assert_status(0, (int)got);
    assert_int_equal(size, sizeof content);
    assert_ok(larder_file_close(file));
    larder_loop_use(NULL);
    larder_fs_free(fs);
}

/* ---- the edges ---- */

static void a_forked_child_cannot_use_it(void **state)
{
    static const char *const options[] = {"asynchronous=true", NULL};
    struct larder_fs *fs = NULL;
    struct larder_info info;
    assert_ok(larder_open(NULL, "memory://", options, &fs, NULL));
    assert_ok(larder_fs_connect(fs));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int rc = larder_info(fs, "", &info) == -ECHILD && larder_fs_connect(fs) == -ECHILD ? 0 : 1;
        larder_fs_free(fs);
        _exit(rc);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_ok(larder_fs_disconnect(fs));
    larder_fs_free(fs);
}

static int connect_a_chain(void *arg)
{
    static const char *const options[] = {"asynchronous=true", "http.user=u", NULL};
    struct larder_fs *fs = NULL;
    int rc = larder_open(NULL, "cache::http://alloc/", options, &fs, NULL);
    if (rc == 0)
        rc = larder_fs_connect(fs);
    if (rc == 0)
        rc = larder_fs_disconnect(fs);
    larder_fs_free(fs);
    return rc;
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    assert_ok(connect_a_chain(NULL));
    assert_true(alloc_fault_run(connect_a_chain, NULL) > 10);
}

static int setup(void **state)
{
    server = fault_server_start();
    fault_file_text(server, "/file", "text");
    fault_file_text(server, "/dir/other", "text");
    return 0;
}

static int teardown(void **state)
{
    fault_server_stop(server);
    return 0;
}

static int setup_all(void **state)
{
    scratch = tmpdir_make();
    setenv("LARDER_CACHE_DIR", scratch, 1);
    return 0;
}

static int teardown_all(void **state)
{
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_cannot_use_it),
        /* before anything is cached, whose writer frees when it likes */
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
        cmocka_unit_test_setup_teardown(nothing_is_opened_before_it_is_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_open_from_connect_to_disconnect_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(its_connections_are_its_own_and_closed_when_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_freed_is_closed_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_disconnect_counts, setup, teardown),
        cmocka_unit_test(places_without_a_loop_are_opened_likewise),
        cmocka_unit_test_setup_teardown(a_call_under_way_is_waited_for_and_no_other_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disconnect_that_is_cancelled_leaves_it_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_opens_reads_and_closes_on_its_own_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_of_another_loop_does_not_close_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_open_on_a_loop_is_freed_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_read_on_its_own_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
