/* SPDX-License-Identifier: Apache-2.0 */
/* The servers that other tests rely on: each is up when it is said to be, and ends with the test. */
#include "test.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

/* ---- killed ---- */

#define FAMILY_MAX 64

struct process {
    pid_t pid, parent;
    unsigned long long begun; /* a number may be another process's by now */
};

static bool read_process(const char *name, struct process *out)
{
    char path[64], text[1024], state;
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = 0;
    const char *at = strrchr(text, ')');
    out->pid = atoi(name);
    return at &&
           sscanf(at, ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &state, &out->parent, &out->begun) == 3 &&
           state != 'Z' && state != 'X';
}

/* Of those processes that live now, the ones below `family`'s, again and again; their number. */
static size_t find_family(struct process *family, size_t count)
{
    for (size_t before = 0; before != count;) {
        DIR *dir = opendir("/proc");
        struct dirent *entry;
        before = count;
        while ((entry = readdir(dir))) {
            struct process process;
            bool known = false, below = false;
            if (!isdigit((unsigned char)entry->d_name[0]) || !read_process(entry->d_name, &process))
                continue;
            for (size_t i = 0; i < count; i++) {
                known |= family[i].pid == process.pid;
                below |= family[i].pid == process.parent;
            }
            if (below && !known && count < FAMILY_MAX)
                family[count++] = process;
        }
        closedir(dir);
    }
    return count;
}

static bool lives(const struct process *process)
{
    struct process now;
    char name[16];
    snprintf(name, sizeof name, "%d", (int)process->pid);
    return read_process(name, &now) && now.begun == process->begun;
}

struct up {
    pid_t script, fork;
    char dir[256]; /* "": the server is not installed */
};

/* A test that has started a server, and has a child that holds whatever it has open. */
static pid_t start_test(const char *name, struct up *up)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t test = fork();
    if (test == 0) {
        struct server *server = server_start(name, NULL);
        if (server) {
            snprintf(up->dir, sizeof up->dir, "%s", server_dir(server));
            up->script = server_pid(server);
            up->fork = fork();
        }
        if (up->fork == 0 && server) {
            prctl(PR_SET_PDEATHSIG, 0);
            pause();
            _exit(0);
        }
        if (write(fds[1], up, sizeof *up) == sizeof *up)
            pause();
        _exit(1);
    }
    assert_int_equal(read(fds[0], up, sizeof *up), sizeof *up);
    close(fds[0]);
    close(fds[1]);
    return test;
}

static void assert_nothing_is_left(const char *name, bool kill_script)
{
    struct process family[FAMILY_MAX] = {{0}};
    struct up up = {0};
    int status;
    family[0].pid = start_test(name, &up);
    if (up.dir[0]) {
        size_t count = find_family(family, 1);
        assert_true(count >= 4); /* the test, its fork, the script, the keeper, … */
        kill(kill_script ? up.script : family[0].pid, SIGKILL);
        for (size_t i = 1; i < count; i++)
            while (family[i].pid != up.fork && lives(&family[i])) /* the test's own timeout ends this */
                usleep(10000);
        kill(up.fork, SIGKILL);
    }
    kill(family[0].pid, SIGKILL);
    assert_int_equal(waitpid(family[0].pid, &status, 0), family[0].pid);
    if (up.dir[0])
        tmpdir_remove(strdup(up.dir));
}

static const char *const all_names[] = {"nginx",         "apache", "lighttpd", "caddy",
                                        "rclone-webdav", "python", "rgw"};

static void a_server_ends_with_a_test_that_is_killed(void **state)
{
    for (size_t i = 0; i < sizeof all_names / sizeof *all_names; i++)
        assert_nothing_is_left(all_names[i], false);
}

static void a_server_ends_with_its_script_when_that_is_killed(void **state)
{
    for (size_t i = 0; i < sizeof all_names / sizeof *all_names; i++)
        assert_nothing_is_left(all_names[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_serves_its_root_and_ends_when_it_is_stopped),
        cmocka_unit_test(each_that_knows_webdav_serves_it_too),
        cmocka_unit_test(the_log_tells_requests_and_connections),
        cmocka_unit_test(a_server_ends_with_a_test_that_is_killed),
        cmocka_unit_test(a_server_ends_with_its_script_when_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
