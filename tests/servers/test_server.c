/* SPDX-License-Identifier: Apache-2.0 */
/* The servers that other tests rely on: each is up when it is said to be, and ends with the test. */
#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"
#include "tmpdir.h"
#include "tree.h"

/* Does what is at `path` have `content` in it? The port may be somebody else's by now. */
static bool serves(const char *url, const char *path, const char *content)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[4096];
    size_t size = (size_t)snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", path);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        write(fd, text, size) == (ssize_t)size) {
        ssize_t count;
        for (size = 0; (count = read(fd, text + size, sizeof text - 1 - size)) > 0; size += (size_t)count)
            ;
        text[size] = 0;
    } else {
        text[0] = 0;
    }
    close(fd);
    return strstr(text, content);
}

static void each_serves_its_root_and_ends_when_it_is_stopped(void **state)
{
    static const char *const names[] = {"nginx", "apache", "lighttpd", "caddy", "rclone-http", "python"};
    char *root = tmpdir_make();
    tree_write(root, "some file", "here I am", 9);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct server *server = server_start(names[i], root);
        if (!server)
            continue;
        char *url = strdup(server_url(server));
        assert_true(serves(url, "/some%20file", "here I am"));
        server_stop(server);
        assert_false(serves(url, "/some%20file", "here I am"));
        free(url);
    }
    assert_true(tree_has(root, "some file"));
    tmpdir_remove(root);
}

static void each_that_knows_webdav_serves_it_too(void **state)
{
    static const char *const names[] = {"nginx", "apache", "lighttpd", "rclone-webdav"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct server *server = server_start(names[i], NULL);
        if (!server)
            continue;
        tree_write(server_dav_root(server), "dir/file", "this is dav", 11);
        bool served = false;
        for (int tries = 0; tries < 500 && !served; tries++) { /* rclone looks again after a while */
            served = serves(server_url(server), "/dav/dir/file", "this is dav");
            usleep(served ? 0 : 10000);
        }
        assert_true(served);
        server_stop(server);
    }
}

static void the_log_tells_requests_and_connections(void **state)
{
    static const char *const names[] = {"nginx", "apache", "lighttpd"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct server *server = server_start(names[i], NULL);
        if (!server)
            continue;
        assert_true(serves(server_url(server), "/a?b", "404"));
        assert_true(serves(server_url(server), "/c", "404"));
        assert_int_equal(server_log_connections(server, 2), 2);
        char *text = server_log_text(server);
        assert_non_null(strstr(text, " GET /a?b HTTP/1.0 404 -\n"));
        assert_non_null(strstr(text, " GET /c HTTP/1.0 404 -\n"));
        free(text);
        server_log_clear(server);
        text = server_log_text(server);
        assert_string_equal(text, "");
        free(text);
        server_stop(server);
    }
}

/* Killed as meson does it to a test that takes too long: with all of its group. */
static void a_server_ends_with_a_test_that_is_killed(void **state)
{
    int fds[2], status;
    struct {
        char url[64], dir[256], mark[64];
    } up = {0};
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        struct server *server = server_start("nginx", NULL);
        if (server) {
            snprintf(up.url, sizeof up.url, "%s", server_url(server));
            snprintf(up.mark, sizeof up.mark, "/%d", (int)getpid());
            tree_write(server_root(server), up.mark, "no other", 8);
            snprintf(up.dir, sizeof up.dir, "%s", server_dir(server));
        }
        if (write(fds[1], &up, sizeof up) == sizeof up)
            pause();
        _exit(1);
    }
    assert_int_equal(read(fds[0], &up, sizeof up), sizeof up);
    kill(-child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fds[0]);
    close(fds[1]);
    if (!up.url[0])
        skip();
    while (serves(up.url, up.mark, "no other")) /* the test's own timeout ends this */
        usleep(10000);
    tmpdir_remove(strdup(up.dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_serves_its_root_and_ends_when_it_is_stopped),
        cmocka_unit_test(each_that_knows_webdav_serves_it_too),
        cmocka_unit_test(the_log_tells_requests_and_connections),
        cmocka_unit_test(a_server_ends_with_a_test_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
