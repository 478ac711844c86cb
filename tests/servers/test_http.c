/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP backend against a real nginx: tests/servers/nginx-up.sh tells what each location does. */
#include "task_test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder/copy.h"

#include "backends/backends.h"
#include "base/path.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "jump_clock.h"
#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define SEED 7
#define SIZE 10000

static struct server *nginx;
static const char ODD_NAME[] = "a b%20#?[é]&+;=.txt";

static int setup(void **state)
{
    backend_register(&http_backend);
    backend_register(&local_backend);
    nginx = server_start("nginx", NULL);
    if (!nginx)
        return 0;
    tree_write_content(server_root(nginx), "file.bin", SIZE, SEED);
    tree_write(server_root(nginx), "empty", "", 0);
    tree_write(server_root(nginx), "dir/one", "1", 1);
    tree_write(server_root(nginx), "dir/sub/two", "22", 2);
    tree_write(server_root(nginx), "dir/odd/a b%20#?[é]&+;=.txt", "odd", 3);
    return 0;
}

static int teardown(void **state)
{
    server_stop(nginx);
    return 0;
}

static struct larder_fs *open_url(const char *base, const char *path, const char *const options[])
{
    char *url;
    struct larder_fs *fs = NULL;
    assert_true(asprintf(&url, "%s%s", base, path) > 0);
    assert_ok(fs_open(NULL, url, options, &fs, NULL));
    free(url);
    return fs;
}

static struct larder_fs *open_plain(const char *path)
{
    if (!nginx)
        skip();
    return open_url(server_url(nginx), path, NULL);
}

/* The range is what Python would slice. */
static void assert_range(struct larder_fs *fs, const char *path, int64_t start, int64_t end, size_t first,
                         size_t count)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, &(struct larder_range){start, end}, &bytes));
    assert_int_equal(bytes.size, count);
    assert_true(content_matches(bytes.data, count, SEED, first));
    larder_bytes_free(&bytes);
}

static void assert_whole(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, SIZE);
    assert_true(content_matches(bytes.data, SIZE, SEED, 0));
    larder_bytes_free(&bytes);
}

static void assert_fails(int status, struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes = {0};
    assert_status(status, larder_cat_file(fs, path, NULL, &bytes));
    assert_non_null(strstr(larder_error(), text));
    assert_null(bytes.data);
}

static void assert_ranges(struct larder_fs *fs, const char *path)
{
    assert_whole(fs, path);
    assert_range(fs, path, 0, 1, 0, 1);
    assert_range(fs, path, 100, 4196, 100, 4096);
    assert_range(fs, path, 9000, LARDER_TO_END, 9000, 1000);
    assert_range(fs, path, 9000, 20000, 9000, 1000);
    assert_range(fs, path, -100, LARDER_TO_END, 9900, 100);
    assert_range(fs, path, -20000, LARDER_TO_END, 0, SIZE);
    assert_range(fs, path, -100, -20, 9900, 80);
    assert_range(fs, path, 9000, -500, 9000, 500);
    assert_range(fs, path, -200, 9900, 9800, 100);
    assert_range(fs, path, 5, 5, 0, 0);
    assert_range(fs, path, 20000, 30000, 0, 0);
    assert_range(fs, path, 10000, LARDER_TO_END, 0, 0);
}

/* ---- reading ---- */

static void ranges_are_python_slices_whether_or_not_the_server_knows_them(void **state)
{
    static const char *const places[] = {"", "/norange", "/gzip", "/noetag", "/lastmod", "/weak"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct larder_fs *fs = open_plain(places[i]);
        assert_ranges(fs, "file.bin");
        larder_fs_free(fs);
    }
}

static void an_empty_file_has_no_bytes_in_any_range(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_info info;
    assert_range(fs, "empty", 0, LARDER_TO_END, 0, 0);
    assert_range(fs, "empty", -5, LARDER_TO_END, 0, 0);
    assert_range(fs, "empty", 1, 2, 0, 0);
    assert_range(fs, "empty", -5, -2, 0, 0);
    assert_ok(larder_info(fs, "empty", &info));
    assert_int_equal(info.size, 0);
    larder_info_free(&info);
    larder_fs_free(fs);
}

static void even_an_empty_range_tells_missing_from_there(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_bytes bytes = {0};
    struct larder_range range = {3, 3};
    assert_status(-ENOENT, larder_cat_file(fs, "nothing", &range, &bytes));
    assert_status(-EISDIR, larder_cat_file(fs, "dir", &range, &bytes));
    larder_fs_free(fs);
}

static void a_directory_is_no_file(void **state)
{
    struct larder_fs *fs = open_plain("");
    assert_fails(-EISDIR, fs, "dir", "/dir");
    assert_fails(-EISDIR, fs, "", "/");
    larder_fs_free(fs);
}

static void an_encoded_body_is_not_taken_for_the_file(void **state)
{
    struct larder_fs *fs = open_plain("/encoded");
    struct larder_info info;
    assert_fails(-EPROTO, fs, "file.bin", "encoded (gzip)");
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.size, LARDER_SIZE_UNKNOWN);
    larder_info_free(&info);
    larder_fs_free(fs);
}

static void a_status_is_an_errno(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *text;
    } answers[] = {
        {"404", -ENOENT, "/status/404: 404 Not Found"},
        {"410", -ENOENT, "410 Gone"},
        {"401", -EACCES, "401 Unauthorized"},
        {"403", -EACCES, "403 Forbidden"},
        {"400", -EINVAL, "400"},
        {"412", -ESTALE, "412"},
        {"416", -EIO, "416"},
        {"429", -EBUSY, "429 Too Many Requests"},
        {"500", -EIO, "500 Internal Server Error"},
        {"501", -ENOTSUP, "501"},
        {"502", -EIO, "502"},
        {"503", -EBUSY, "503 Service Unavailable"},
        {"504", -ETIMEDOUT, "504"},
    };
    struct larder_fs *fs = open_plain("/status");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_fails(answers[i].status, fs, answers[i].path, answers[i].text);
    larder_fs_free(fs);
}

/* ---- info ---- */

static void info_tells_files_from_directories(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_info info;
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.type, LARDER_FILE);
    assert_int_equal(info.size, SIZE);
    assert_true(info.mtime_ns > 1700000000000000000);
    assert_int_equal(info.version[0], '"');
    larder_info_free(&info);
    static const char *const dirs[] = {"", "dir", "dir/sub", "dir/"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(larder_info(fs, dirs[i], &info));
        assert_int_equal(info.type, LARDER_DIRECTORY);
        assert_null(info.version);
        larder_info_free(&info);
    }
    assert_status(-ENOENT, larder_info(fs, "nothing", &info));
    assert_int_equal(larder_exists(fs, "nothing"), 0);
    assert_int_equal(larder_isdir(fs, "dir"), 1);
    larder_fs_free(fs);
}

static void a_server_that_refuses_head_is_asked_for_a_byte(void **state)
{
    struct larder_fs *fs = open_plain("/nohead");
    struct larder_info info;
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.size, SIZE);
    larder_info_free(&info);
    assert_ok(larder_info(fs, "empty", &info));
    assert_int_equal(info.size, 0);
    larder_info_free(&info);
    assert_ok(larder_info(fs, "dir", &info));
    assert_int_equal(info.type, LARDER_DIRECTORY);
    larder_info_free(&info);
    larder_fs_free(fs);
}

/* ---- listings ---- */

static void assert_lists(struct larder_fs *fs, const char *path, size_t count, const char *const names[])
{
    struct larder_entries entries;
    assert_ok(larder_ls(fs, path, &entries));
    assert_int_equal(entries.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(entries.info[i].name, names[i]);
    larder_entries_free(&entries);
}

static void all_kinds_of_index_list_the_same(void **state)
{
    static const char *const places[] = {"", "/json", "/xml", "/gzip"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct larder_fs *fs = open_plain(places[i]);
        struct larder_entries entries;
        assert_lists(fs, "dir", 3, (const char *const[]){"odd", "one", "sub"});
        assert_lists(fs, "dir/odd/", 1, (const char *const[]){ODD_NAME});
        assert_ok(larder_ls(fs, "dir", &entries));
        assert_int_equal(entries.info[0].type, LARDER_DIRECTORY);
        assert_int_equal(entries.info[1].type, LARDER_FILE);
        assert_int_equal(entries.info[1].size, 1);
        assert_true(entries.info[1].mtime_ns > 1700000000000000000);
        larder_entries_free(&entries);
        larder_fs_free(fs);
    }
}

static void listing_what_is_no_directory_says_what_it_is(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_entries entries;
    assert_status(-ENOENT, larder_ls(fs, "nothing", &entries));
    assert_lists(fs, "file.bin", 1, (const char *const[]){"file.bin"});
    larder_fs_free(fs);
    fs = open_plain("/text");
    assert_status(-ENOTSUP, larder_ls(fs, "dir", &entries));
    assert_non_null(strstr(larder_error(), "text/plain"));
    larder_fs_free(fs);
}

static void odd_names_are_read_as_they_are_listed(void **state)
{
    struct larder_fs *fs = open_plain("/dir/odd");
    struct larder_bytes bytes = {0};
    char *url;
    assert_ok(larder_cat_file(fs, ODD_NAME, NULL, &bytes));
    assert_memory_equal(bytes.data, "odd", 3);
    larder_bytes_free(&bytes);
    assert_ok(larder_fs_url(fs, ODD_NAME, &url));
    larder_fs_free(fs);
    fs = open_url(url, "", NULL);
    larder_free(url);
    assert_ok(larder_cat_file(fs, "", NULL, &bytes));
    assert_memory_equal(bytes.data, "odd", 3);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
}

static void a_whole_tree_is_found(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_entries entries;
    assert_ok(larder_find(fs, "dir", NULL, &entries));
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.info[1].name, "one");
    assert_string_equal(entries.info[2].name, "sub/two");
    larder_entries_free(&entries);
    larder_fs_free(fs);
}

/* ---- terms and answers ---- */

struct conditional {
    struct larder_fs *fs;
    struct terms terms;
    unsigned flags;
    int64_t fresh_ms;
    bool version;
};

/* Some of it may have passed already. */
static bool is_fresh_for(const struct answer *answer, int64_t ms)
{
    return ms < 0 ? answer->fresh_ms == ms : answer->fresh_ms > 0 && answer->fresh_ms <= ms;
}

static int CO_EDGE read_twice(void *arg)
{
    struct conditional *c = arg;
    struct instance *instance = c->fs->instance;
    struct answer first = {0}, second = {0};
    struct bytes_sink sink;
    char *path = path_join(c->fs->root, "file.bin");
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, path, NULL, &TERMS_NONE, &sink.sink, &first) == 0);
    CHECK(first.info.size == SIZE && first.validator && first.flags == c->flags);
    CHECK(is_fresh_for(&first, c->fresh_ms));
    CHECK(c->version == (first.info.version != NULL));
    CHECK(!c->version || strcmp(first.info.version, first.validator) == 0);
    bytes_sink_fini(&sink);
    struct terms terms = TERMS_NONE;
    terms.if_none_match = first.validator;
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, path, NULL, &terms, &sink.sink, &second) == UNCHANGED);
    CHECK(sink.size == 0 && second.validator && is_fresh_for(&second, c->fresh_ms));
    answer_free(&second);
    CHECK(layer_info(instance, path, &terms, &second) == UNCHANGED);
    terms = (struct terms){.if_match = "\"other\"", .ttl_ms = -1, .age_max_ms = -1};
    CHECK(layer_read(instance, path, NULL, &terms, &sink.sink, NULL) == -ESTALE);
    CHECK(layer_info(instance, path, &terms, &second) == -ESTALE);
    if (c->version) {
        terms.if_match = first.info.version;
        CHECK(layer_read(instance, path, &(struct larder_range){1, 2}, &terms, &sink.sink, NULL) == 0);
    }
    bytes_sink_fini(&sink);
    answer_free(&first);
    answer_free(&second);
    mem_free(path);
    return 0;
}

static void what_is_unchanged_is_not_sent_again(void **state)
{
    static const struct {
        const char *place;
        unsigned flags;
        int64_t fresh_ms;
        bool version;
    } places[] = {{"", 0, -1, true}, {"/lastmod", ANSWER_WEAK, -1, false}, {"/cached", 0, 60000, true}};
    for (size_t i = 0; i < 3; i++) {
        struct conditional c = {.fs = open_plain(places[i].place),
                                .flags = places[i].flags,
                                .fresh_ms = places[i].fresh_ms,
                                .version = places[i].version};
        assert_task(read_twice, &c);
        larder_fs_free(c.fs);
    }
}

/* ---- connections, credentials ---- */

static void requests_share_a_connection(void **state)
{
    struct larder_fs *fs = open_plain("");
    server_log_clear(nginx);
    for (int i = 0; i < 20; i++)
        assert_whole(fs, "file.bin");
    assert_fails(-ENOENT, fs, "nothing", "404");
    assert_fails(-EISDIR, fs, "dir", "directory"); /* two: the redirect's page is read to its end */
    assert_whole(fs, "file.bin");
    assert_int_equal(server_log_connections(nginx, 24), 1);
    larder_fs_free(fs);
}

static void assert_batch(struct larder_fs *fs, size_t count)
{
    struct larder_item *items = calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i].path = "file.bin";
    assert_ok(larder_cat(fs, items, count, NULL));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].bytes.size, SIZE);
        larder_bytes_free(&items[i].bytes);
    }
    free(items);
}

static void many_at_once_wait_for_their_turn_at_a_few_connections(void **state)
{
    struct larder_fs *fs = open_plain("");
    larder_fs_free(fs);
    fs = open_url(server_url(nginx), "", (const char *const[]){"max_connections=3", NULL});
    server_log_clear(nginx);
    assert_batch(fs, 200);
    assert_in_range(server_log_connections(nginx, 200), 1, 3);
    larder_fs_free(fs);
}

static void over_tls_one_connection_carries_many_at_once(void **state)
{
    if (!nginx)
        skip();
    char *ca;
    assert_true(asprintf(&ca, "ca_file=%s", server_certificate(nginx)) > 0);
    struct larder_fs *fs = open_url(server_tls_url(nginx), "", (const char *const[]){ca, NULL});
    assert_ranges(fs, "file.bin");
    server_log_clear(nginx);
    assert_batch(fs, 200);
    assert_int_equal(server_log_connections(nginx, 200), 1);
    larder_fs_free(fs);
    fs = open_url(server_tls_url(nginx), "", (const char *const[]){ca, "http2=no", NULL});
    assert_ranges(fs, "file.bin");
    larder_fs_free(fs);
    free(ca);
}

static void a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
    if (!nginx)
        skip();
    struct larder_fs *fs = open_url(server_tls_url(nginx), "", NULL);
    assert_fails(-EACCES, fs, "file.bin", "certificate");
    larder_fs_free(fs);
    fs = open_url(server_tls_url(nginx), "", (const char *const[]){"insecure=true", NULL});
    assert_whole(fs, "file.bin");
    larder_fs_free(fs);
}

static void credentials_come_from_the_url_or_from_options(void **state)
{
    struct larder_fs *fs = open_plain("/basic");
    assert_fails(-EACCES, fs, "file.bin", "401");
    larder_fs_free(fs);
    fs = open_url(server_url(nginx), "/basic", (const char *const[]){"user=test", "password=test", NULL});
    assert_whole(fs, "file.bin");
    larder_fs_free(fs);
    fs = open_url(server_url(nginx), "/basic", (const char *const[]){"user=test", "password=wrong", NULL});
    assert_fails(-EACCES, fs, "file.bin", "401");
    larder_fs_free(fs);
    char *base, *shown;
    assert_true(asprintf(&base, "http://te%%73t:test@%s", server_url(nginx) + 7) > 0);
    fs = open_url(base, "/basic", NULL);
    assert_whole(fs, "file.bin");
    assert_fails(-ENOENT, fs, "nothing", "/basic/nothing");
    assert_null(strstr(larder_error(), "test"));
    assert_ok(larder_fs_url(fs, "x", &shown));
    assert_null(strstr(shown, "test"));
    larder_free(shown);
    free(base);
    larder_fs_free(fs);
}

static void assert_text(struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_string_equal(bytes.data, text);
    larder_bytes_free(&bytes);
}

static void credentials_do_not_follow_a_redirect_to_another_origin(void **state)
{
    if (!nginx)
        skip();
    static const char *const options[] = {"bearer=hush", "headers=X-Key: hush", "insecure=true", NULL};
    struct larder_fs *fs = open_url(server_url(nginx), "", options);
    assert_text(fs, "echo", "[Bearer hush][hush]");
    assert_text(fs, "redirect/echo", "[Bearer hush][hush]");
    assert_text(fs, "hop/echo", "[][]");
    assert_text(fs, "echo", "[Bearer hush][hush]");
    larder_fs_free(fs);
}

static void redirects_that_never_end_do(void **state)
{
    struct larder_fs *fs = open_plain("");
    assert_fails(-ELOOP, fs, "loop/x", "redirects");
    assert_whole(fs, "redirect/file.bin");
    larder_fs_free(fs);
}

static void a_query_goes_with_every_request_and_into_no_text(void **state)
{
    struct larder_fs *fs = open_plain("/status?token=hush");
    char *shown;
    assert_fails(-ENOENT, fs, "404", "404?…");
    assert_null(strstr(larder_error(), "hush"));
    assert_ok(larder_fs_url(fs, "", &shown));
    assert_null(strstr(shown, "hush"));
    assert_null(strstr(fs->instance->identity, "hush"));
    larder_free(shown);
    larder_fs_free(fs);
}

static void an_identity_is_of_what_decides_which_bytes_come(void **state)
{
    static const char *const same[][2] = {
        {"http://h/a", "http://H:80/b"},
        {"http://h/a", "http://h:/"},
        {"https://h/?q=1", "https://h:443/x?q=1"},
    };
    static const char *const other[][2] = {
        {"http://h/", "https://h/"},    {"http://h/", "http://h:81/"}, {"http://h/", "http://h/?q"},
        {"http://h/?q", "http://h/?r"}, {"http://h/", "http://u@h/"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct larder_fs *a = open_url(same[i][0], "", NULL), *b = open_url(same[i][1], "", NULL);
        assert_string_equal(a->instance->identity, b->instance->identity);
        larder_fs_free(a);
        larder_fs_free(b);
    }
    for (size_t i = 0; i < 5; i++) {
        struct larder_fs *a = open_url(other[i][0], "", NULL), *b = open_url(other[i][1], "", NULL);
        assert_string_not_equal(a->instance->identity, b->instance->identity);
        larder_fs_free(a);
        larder_fs_free(b);
    }
    static const char *const deciding[] = {"user_agent=other/1", "netrc=yes", "bearer=x", "headers=X: y"};
    for (size_t i = 0; i < 4; i++) {
        struct larder_fs *a = open_url("http://h/", "", NULL);
        struct larder_fs *b = open_url("http://h/", "", (const char *const[]){deciding[i], NULL});
        assert_string_not_equal(a->instance->identity, b->instance->identity);
        larder_fs_free(a);
        larder_fs_free(b);
    }
}

/* ---- when there is no answer ---- */

static void no_server_is_not_a_missing_file(void **state)
{
    struct larder_fs *fs = open_plain("");
    larder_fs_free(fs);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, but nobody listens */
    char url[64];
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    fs = open_url(url, "", NULL);
    assert_fails(-ECONNREFUSED, fs, "x", "/x: ");
    assert_int_equal(larder_exists(fs, "x"), -ECONNREFUSED);
    larder_fs_free(fs);
    close(fd);
    fs = open_url("http://no-such-host.invalid", "", NULL);
    assert_fails(-EHOSTUNREACH, fs, "x", "no-such-host.invalid");
    larder_fs_free(fs);
    fs = open_plain("");
    assert_fails(-ECONNRESET, fs, "drop/x", "/drop/x: ");
    larder_fs_free(fs);
}

/* ---- big ones ---- */

#define BIG_SIZE ((int64_t)300 << 20)

/* In one request: a machine that is busy would ask for parts, which wait in memory for their turn. */
static void a_big_file_streams_through_little_memory(void **state)
{
    if (!nginx)
        skip();
    struct larder_fs *fs = open_url(server_url(nginx), "", (const char *const[]){"http.parts=1", NULL});
    char *path = tmpdir_path(server_root(nginx), "big"), *out = tmpdir_path(server_root(nginx), "copy");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), BIG_SIZE), 0);
    fclose(file);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    assert_ok(larder_get_file(fs, "big", out, 0, NULL, NULL));
    getrusage(RUSAGE_SELF, &after);
    assert_true(UNDER_ASAN || after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB */
    unlink(path);
    unlink(out);
    free(path);
    free(out);
    larder_fs_free(fs);
}

/* ---- being cancelled ---- */

struct slow {
    struct larder_fs *fs;
    const char *path;
};

static int read_slow(void *arg)
{
    struct slow *slow = arg;
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(slow->fs, slow->path, NULL, &bytes);
    larder_bytes_free(&bytes);
    return rc;
}

static int cancel_after(struct larder_fs *fs, const char *path, unsigned after_ms)
{
    struct slow slow = {fs, path};
    struct larder_task *task;
    assert_ok(larder_spawn(NULL, read_slow, &slow, NULL, NULL, &task));
    usleep(after_ms * 1000);
    larder_cancel(task);
    return larder_join(task);
}

static void assert_cancels(struct larder_fs *fs, const char *path, unsigned after_ms)
{
    assert_status(-ECANCELED, cancel_after(fs, path, after_ms));
}

static void a_transfer_that_is_cancelled_ends_at_once_and_harms_no_other(void **state)
{
    struct larder_fs *fs = open_plain("/slow");
    char *path = tmpdir_path(server_root(nginx), "long");
    FILE *file = fopen(path, "w");
    assert_int_equal(ftruncate(fileno(file), 64 << 20), 0); /* eleven minutes */
    fclose(file);
    assert_cancels(fs, "long", 0);
    assert_cancels(fs, "long", 100);
    assert_status(-ETIMEDOUT, larder_sync(NULL, read_slow, &(struct slow){fs, "long"}, 50));
    assert_whole(fs, "file.bin");
    unlink(path);
    free(path);
    larder_fs_free(fs);
    fs = open_url("http://no-such-host.invalid", "", NULL);
    int rc = cancel_after(fs, "x", 0); /* the look-up may have failed by then */
    assert_true(rc == -ECANCELED || rc == -EHOSTUNREACH);
    larder_fs_free(fs);
}

static void a_call_that_waits_for_its_turn_can_be_cancelled(void **state)
{
    struct larder_fs *plain = open_plain("/slow");
    larder_fs_free(plain);
    struct larder_fs *fs =
        open_url(server_url(nginx), "/slow", (const char *const[]){"max_connections=1", NULL});
    tree_write_content(server_root(nginx), "slow.bin", 1 << 20, SEED);
    struct slow slow = {fs, "slow.bin"};
    struct larder_task *first, *second;
    assert_ok(larder_spawn(NULL, read_slow, &slow, NULL, NULL, &first));
    assert_ok(larder_spawn(NULL, read_slow, &slow, NULL, NULL, &second));
    usleep(50000);
    larder_cancel(second);
    assert_status(-ECANCELED, larder_join(second));
    larder_cancel(first);
    assert_status(-ECANCELED, larder_join(first));
    assert_whole(fs, "file.bin");
    larder_fs_free(fs);
}

static void a_loop_closes_with_its_connections(void **state)
{
    struct larder_fs *fs = open_plain("");
    larder_fs_free(fs);
    struct larder_loop *loop;
    char *url;
    assert_ok(larder_loop_new(&loop));
    assert_true(asprintf(&url, "%s/file.bin", server_url(nginx)) > 0);
    assert_ok(fs_open(loop, url, NULL, &fs, NULL));
    assert_whole(fs, "");
    assert_ok(larder_loop_close(loop, NULL, NULL));
    larder_fs_free(fs);
    free(url);
}

/* The parent's call holds the only connection while it forks; the child has a loop, and a turn, of its own. */
static void a_forks_child_goes_on_with_its_handles(void **state)
{
    struct larder_fs *fs = open_plain(""), *narrow;
    struct larder_task *task;
    int status = -1;
    larder_fs_free(fs);
    if (UNDER_TSAN || UNDER_ASAN) /* whose own locks a fork may find held */
        skip();
    narrow = open_url(server_url(nginx), "/slow", (const char *const[]){"max_connections=1", NULL});
    tree_write_content(server_root(nginx), "slow.bin", 1 << 20, SEED);
    assert_ok(larder_spawn(NULL, read_slow, &(struct slow){narrow, "slow.bin"}, NULL, NULL, &task));
    usleep(50000);
    pid_t child = fork();
    if (child == 0) {
        struct larder_bytes bytes = {0};
        int rc = larder_cat_file(narrow, "file.bin", NULL, &bytes);
        bool whole = rc == 0 && bytes.size == SIZE && content_matches(bytes.data, SIZE, SEED, 0);
        larder_bytes_free(&bytes);
        larder_fs_free(narrow);
        exit(whole ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    larder_cancel(task);
    assert_status(-ECANCELED, larder_join(task));
    larder_fs_free(narrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_python_slices_whether_or_not_the_server_knows_them),
        cmocka_unit_test(an_empty_file_has_no_bytes_in_any_range),
        cmocka_unit_test(even_an_empty_range_tells_missing_from_there),
        cmocka_unit_test(a_directory_is_no_file),
        cmocka_unit_test(an_encoded_body_is_not_taken_for_the_file),
        cmocka_unit_test(a_status_is_an_errno),
        cmocka_unit_test(info_tells_files_from_directories),
        cmocka_unit_test(a_server_that_refuses_head_is_asked_for_a_byte),
        cmocka_unit_test(all_kinds_of_index_list_the_same),
        cmocka_unit_test(listing_what_is_no_directory_says_what_it_is),
        cmocka_unit_test(odd_names_are_read_as_they_are_listed),
        cmocka_unit_test(a_whole_tree_is_found),
        cmocka_unit_test(what_is_unchanged_is_not_sent_again),
        cmocka_unit_test(requests_share_a_connection),
        cmocka_unit_test(many_at_once_wait_for_their_turn_at_a_few_connections),
        cmocka_unit_test(over_tls_one_connection_carries_many_at_once),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused),
        cmocka_unit_test(credentials_come_from_the_url_or_from_options),
        cmocka_unit_test(credentials_do_not_follow_a_redirect_to_another_origin),
        cmocka_unit_test(redirects_that_never_end_do),
        cmocka_unit_test(a_query_goes_with_every_request_and_into_no_text),
        cmocka_unit_test(an_identity_is_of_what_decides_which_bytes_come),
        cmocka_unit_test(no_server_is_not_a_missing_file),
        cmocka_unit_test(a_big_file_streams_through_little_memory),
        cmocka_unit_test(a_transfer_that_is_cancelled_ends_at_once_and_harms_no_other),
        cmocka_unit_test(a_call_that_waits_for_its_turn_can_be_cancelled),
        cmocka_unit_test(a_loop_closes_with_its_connections),
        cmocka_unit_test(a_forks_child_goes_on_with_its_handles),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, setup, teardown);
}
