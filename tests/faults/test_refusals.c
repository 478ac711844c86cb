/* SPDX-License-Identifier: Apache-2.0 */
/* A place that refuses, cannot, or cannot be asked: which errno each operation returns, and that its text names the path. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "disk.h"
#include "fault_server.h"
#include "path_ops.h"
#include "tmpdir.h"
#include "tree.h"

static char *scratch, *disk; /* the one is always there */
static struct fault_server *server;

static int begin_alone(void **state)
{
    scratch = tmpdir_make();
    tree_write(scratch, "given", "x", 1);
    return 0;
}

static int begin(void **state)
{
    server = fault_server_start();
    return begin_alone(state);
}

static int end(void **state)
{
    fault_server_stop(server);
    disk_unmount(disk);
    server = NULL;
    disk = NULL;
    tmpdir_remove(scratch);
    return 0;
}

/* How many operations of these kinds answer otherwise: each is told. `also`: what some have a reason for, or 0. */
static int count_wrong(struct larder_fs *fs, const char *path, unsigned kinds, int expected, int also)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int wrong = 0;
    for (const struct path_op *op = path_ops; op->name; op++) {
        if (!(kinds >> op->kind & 1))
            continue;
        int rc = op->call(fs, path, scratch);
        if ((rc == expected || (also && rc == also)) && (rc == 0 || strstr(larder_error(), name)))
            continue;
        fprintf(stderr, "%s of %s: %s (%s), not %s\n", op->name, path, larder_status_name(rc), larder_error(),
                larder_status_name(expected));
        wrong++;
    }
    return wrong;
}
#define READS  (1u << PATH_READS)
#define LISTS  (1u << PATH_LISTS)
#define WRITES (1u << PATH_WRITES)
#define SIGNS  (1u << PATH_SIGNS)
#define ALL    (READS | LISTS | WRITES)

static struct larder_fs *open_place(const char *scheme, const char *const options[])
{
    struct larder_fs *fs = NULL;
    char url[256];
    snprintf(url, sizeof url, "%s%s/", scheme, fault_server_url(server) + strlen("http"));
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

/* ---- no permission ---- */

static void a_server_that_refuses_is_no_permission(void **state)
{
    static char cache[512];
    static const struct {
        const char *scheme;
        const char *options[5];
    } places[] = {
        {"http", {"http.write=true"}},
        {"webdav", {NULL}},
        {"cache::http", {"http.write=true", cache}},
        {"cache::webdav", {cache}},
    };
    snprintf(cache, sizeof cache, "cache.dir=%s/cache", scratch);
    int wrong = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (int status = 401; status <= 403; status += 2) {
            struct larder_fs *fs = open_place(places[i].scheme, places[i].options);
            fault_on(server, (struct fault_match){0}, (struct fault){.status = status});
            print_message("%s, %d\n", places[i].scheme, status);
            wrong += count_wrong(fs, "d/secret", ALL, -EACCES, 0);
            assert_status(-EACCES, larder_exists(fs, "d/secret"));
            larder_fs_free(fs);
        }
    assert_int_equal(wrong, 0);
}

static int run_as_nobody(void)
{
    struct larder_fs *fs;
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
        return 100;
    setenv("XDG_CONFIG_HOME", scratch, 1); /* not the one of whom we were */
    if (larder_open(NULL, scratch, NULL, &fs, NULL) < 0)
        return 101;
    int wrong = count_wrong(fs, "closed/secret", ALL, -EACCES, 0);
    wrong += larder_exists(fs, "closed/secret") != -EACCES;
    larder_fs_free(fs);
    return wrong;
}

/* In a child, who is another one. */
static void a_directory_of_somebody_else_is_no_permission(void **state)
{
    char *closed = tmpdir_path(scratch, "closed");
    tree_write(scratch, "closed/secret", "x", 1);
    assert_int_equal(chmod(scratch, 0777), 0);
    assert_int_equal(chmod(closed, 0), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(run_as_nobody());
    int status = 0;
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    chmod(closed, 0700);
    free(closed);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- a disk that takes nothing ---- */

static void a_disk_that_can_only_be_read_says_so(void **state)
{
    struct larder_fs *fs;
    disk = disk_mount(scratch, "disk", 1 << 20);
    tree_write(disk, "d/file", "12345", 5);
    disk_make_read_only(disk);
    assert_ok(larder_open(NULL, disk, NULL, &fs, NULL));
    assert_int_equal(count_wrong(fs, "d/file", WRITES, -EROFS, -EEXIST), 0);
    assert_int_equal(count_wrong(fs, "d/file", READS | LISTS, 0, 0), 0);
    larder_fs_free(fs);
}

/* What was there stays, and no temporary file is left. */
static void a_disk_that_is_full_says_so(void **state)
{
    struct larder_fs *fs;
    struct larder_entries entries;
    size_t size = 4 << 20;
    char *large = content_make(size, 1);
    disk = disk_mount(scratch, "disk", 1 << 20);
    struct larder_item item = {.path = "file", .bytes = {.data = large, .size = size}};
    tree_write(disk, "file", "12345", 5);
    tree_write(scratch, "large", large, size);
    char *local = tmpdir_path(scratch, "large");
    assert_ok(larder_open(NULL, disk, NULL, &fs, NULL));
    assert_status(-ENOSPC, larder_pipe_file(fs, "file", large, size, 0));
    assert_non_null(strstr(larder_error(), "file"));
    assert_status(-ENOSPC, larder_pipe_file(fs, "new", large, size, LARDER_CREATE));
    assert_status(-ENOSPC, larder_pipe(fs, &item, 1, 0, NULL));
    assert_status(-ENOSPC, larder_put_file(local, fs, "file", 0, NULL, NULL));
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, 1);
    assert_int_equal(entries.info[0].size, 5);
    larder_entries_free(&entries);
    larder_fs_free(fs);
    free(local);
    free(large);
}

/* ---- what a place cannot, and what cannot be asked ---- */

static void a_place_that_only_reads_says_so(void **state)
{
    struct larder_fs *fs = open_place("http", NULL);
    fault_file_text(server, "/d/file", "x");
    assert_int_equal(count_wrong(fs, "d/file", WRITES, -ENOTSUP, -EEXIST), 0);
    larder_fs_free(fs);
}

static void offline_what_was_never_fetched_is_not_missing(void **state)
{
    static char cache[512];
    static const char *const options[] = {cache, "cache.mode=offline", "http.write=true", NULL};
    snprintf(cache, sizeof cache, "cache.dir=%s/cache", scratch);
    struct larder_fs *fs = open_place("cache::http", options);
    assert_int_equal(count_wrong(fs, "d/file", ALL, -ENONET, 0), 0);
    assert_status(-ENONET, larder_exists(fs, "d/file"));
    assert_int_equal(fault_count(server, NULL, NULL), 0);
    larder_fs_free(fs);
}

static void a_host_that_is_down_is_not_missing(void **state)
{
    static const char *const options[] = {"http.write=true", "http.max_tries=1", NULL};
    struct larder_fs *fs = open_place("http", options),
                     *dav = open_place("webdav",
                                       (const char *const[]){"http.max_tries=1", "webdav.max_tries=1", NULL});
    fault_server_stop(server);
    server = NULL;
    int wrong =
        count_wrong(fs, "d/file", ALL, -ECONNREFUSED, 0) + count_wrong(dav, "d/file", ALL, -ECONNREFUSED, 0);
    assert_int_equal(wrong, 0);
    assert_status(-ECONNREFUSED, larder_exists(fs, "d/file"));
    larder_fs_free(fs);
    larder_fs_free(dav);
}

static void what_no_place_can_is_refused(void **state)
{
    struct larder_fs *local, *memory,
        *http = open_place("http", (const char *const[]){"http.write=true", NULL});
    assert_ok(larder_open(NULL, scratch, NULL, &local, NULL));
    assert_ok(larder_open(NULL, "memory://refusals", NULL, &memory, NULL));
    int wrong = count_wrong(local, "d/../../out", ALL, -EINVAL, 0) +
                count_wrong(memory, "d/../../out", ALL, -EINVAL, 0) +
                count_wrong(http, "../out", ALL, -EINVAL, 0);
    wrong += count_wrong(local, "d/file", SIGNS, -ENOTSUP, 0) +
             count_wrong(memory, "d/file", SIGNS, -ENOTSUP, 0) +
             count_wrong(http, "d/file", SIGNS, -ENOTSUP, 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(fault_count(server, NULL, NULL), 0);
    larder_fs_free(local);
    larder_fs_free(memory);
    larder_fs_free(http);
}

static void a_name_that_is_too_long_for_a_disk_says_so(void **state)
{
    struct larder_fs *fs;
    char name[301];
    memset(name, 'n', 300);
    name[300] = '\0';
    assert_ok(larder_open(NULL, scratch, NULL, &fs, NULL));
    assert_int_equal(count_wrong(fs, name, ALL, -ENAMETOOLONG, 0), 0);
    larder_fs_free(fs);
}

/* ---- secrets ---- */

static char told[1 << 20]; /* all that was logged */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_line(void *arg, enum larder_log_level level, const char *message)
{
    pthread_mutex_lock(&told_lock);
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s\n", message);
    pthread_mutex_unlock(&told_lock);
}

#define SECRET "sesame"

static int count_telling(struct larder_fs *fs, const char *place, const char *path)
{
    int wrong = 0;
    for (const struct path_op *op = path_ops; op->name; op++) {
        told[0] = 0;
        int rc = op->call(fs, path, scratch);
        bool said = rc < 0 && !*larder_error();
        if (!said && !strstr(larder_error(), SECRET) && !strstr(told, SECRET))
            continue;
        print_error("%s, %s: %d \"%s\"\n%s", place, op->name, rc, larder_error(), told);
        wrong++;
    }
    return wrong;
}

/* The user's password, the query of the URL, a bearer's token, own headers, and where a redirect leads. */
static void no_text_and_no_log_tells_a_secret(void **state)
{
    static const char *const places[] = {"http", "cache::http", "webdav"};
    static const struct fault faults[] = {
        {.status = 500},
        {.status = 401, .headers = "WWW-Authenticate: Basic realm=\"sesame\"\r\n"},
        {.status = 302, .headers = "Location: http://u:sesame@127.0.0.1:1/y?t=sesame\r\n"},
        {.end = FAULT_RESET, .flags = FAULT_NO_ANSWER},
    };
    const char *host = fault_server_url(server) + strlen("http://");
    char cache[512];
    int wrong = 0;
    snprintf(cache, sizeof cache, "cache.dir=%s/cache", scratch);
    const char *options[] = {"http.max_tries=1",
                             "webdav.max_tries=1",
                             "http.headers=X-Key: sesame",
                             "http.write=true",
                             cache,
                             NULL};
    larder_log_to(note_line, NULL, LARDER_LOG_DEBUG);
    for (size_t p = 0; p < 3; p++) {
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
            char url[256];
            struct larder_fs *fs;
            snprintf(url, sizeof url, "%s://user:sesame@%s/?t=sesame", places[p], host);
            fault_clear(server);
            fault_on(server, (struct fault_match){0}, faults[f]);
            assert_ok(larder_open(NULL, url, options, &fs, NULL));
            wrong += count_telling(fs, places[p], "x");
            wrong += count_telling(fs, places[p], url);
            larder_fs_free(fs);
        }
    }
    larder_log_to(NULL, NULL, LARDER_LOG_WARNING);
    assert_int_equal(wrong, 0);
}

/* What is no URL of anything is not shown, either. */
static void no_refusal_of_a_url_tells_a_secret(void **state)
{
    static const char *const urls[] = {
        "http://u:sesame@h:99999/t",      "foo::http://u:sesame@h/t",
        "http://u:sesame@h/a%2Fb?sesame", "http://u:sesa%me@h/a",
        "http:///u:sesame@h/a",           "s3://u:sesame@bucket/k",
        "gopher://u:sesame@h/",           "cache::cache::http://u:sesame@h",
        "http://u:sesame@h/../x",         "file://u:sesame@h/x",
        "webdav://u:sesame@h:x/",         "http://u:sesame@h/a//b?t=sesame",
        "http://u:sesame@h/a\n",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct larder_fs *fs;
        assert_true(larder_open(NULL, urls[i], NULL, &fs, NULL) < 0);
        if (strstr(larder_error(), SECRET))
            fail_msg("%s: %s", urls[i], larder_error());
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_of_somebody_else_is_no_permission, begin_alone, end),
        TEST(a_server_that_refuses_is_no_permission),
        TEST(a_disk_that_can_only_be_read_says_so),
        TEST(a_disk_that_is_full_says_so),
        TEST(a_place_that_only_reads_says_so),
        TEST(offline_what_was_never_fetched_is_not_missing),
        TEST(a_host_that_is_down_is_not_missing),
        TEST(what_no_place_can_is_refused),
        TEST(a_name_that_is_too_long_for_a_disk_says_so),
        TEST(no_text_and_no_log_tells_a_secret),
        cmocka_unit_test(no_refusal_of_a_url_tells_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
