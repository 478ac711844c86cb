/* SPDX-License-Identifier: Apache-2.0 */
/* How the HTTP backend speaks to a site: connections and turns at them, credentials, redirects, and what ends a transfer.
 * Against a real nginx. */
#include "nginx_files.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fs.h"
#include "jump_clock.h"
#include "task_test.h"
#include "tmpdir.h"
#include "tree.h"

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
        cmocka_unit_test(a_transfer_that_is_cancelled_ends_at_once_and_harms_no_other),
        cmocka_unit_test(a_call_that_waits_for_its_turn_can_be_cancelled),
        cmocka_unit_test(a_loop_closes_with_its_connections),
        cmocka_unit_test(a_forks_child_goes_on_with_its_handles),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, nginx_files_setup, nginx_files_teardown);
}
