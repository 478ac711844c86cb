/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tmpdir.h"
#include "tree.h"

#define START_TRIES     5
#define WAIT_TRIES      3000
#define WAIT_US         10000
#define NOT_INSTALLED   3 /* exit of a script */
#define CONNECTIONS_MAX 128

extern char **environ;

struct server {
    const char *name;
    char *dir;
    char *root, *dav_root, *certificate, *log;
    char *url, *tls_url;
    pid_t script;
    int alive; /* the script's standard input: it stops when this is closed */
};

static _Noreturn void give_up(const struct server *server, const char *what)
{
    fprintf(stderr, "%s: %s\n", server->name, what);
    abort();
}

/* ---- starting ---- */

/* Two ports that are free now: somebody else may be quicker, so server_start tries more than once. */
static bool free_ports(unsigned ports[2])
{
    int fds[2];
    bool found = true;
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        found &= fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&address, size) == 0 &&
                 getsockname(fds[i], (struct sockaddr *)&address, &size) == 0;
        ports[i] = ntohs(address.sin_port);
    }
    close(fds[0]);
    close(fds[1]);
    return found;
}

/* In a session of its own, so that a signal to the test's group leaves it the time to stop the server; when this process
 * is gone the kernel ends it, although a child may still hold the pipe. */
static void spawn_script(struct server *server, const unsigned ports[2])
{
    const char *source = getenv("LARDER_SOURCE_ROOT");
    char *path, port[16], tls_port[16];
    int fds[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    snprintf(port, sizeof port, "%u", ports[0]);
    snprintf(tls_port, sizeof tls_port, "%u", ports[1]);
    if (asprintf(&path, "%s/tests/servers/%s-up.sh", source ? source : ".", server->name) < 0 ||
        pipe2(fds, O_CLOEXEC) < 0)
        give_up(server, "no memory or no pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    const char *const argv[] = {"setpriv", "--pdeathsig", "KILL", path, server->dir, port, tls_port, NULL};
    if (posix_spawnp(&server->script, argv[0], &actions, &attributes, (char **)argv, environ) != 0)
        give_up(server, "there is no setpriv to start it with");
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[0]);
    server->alive = fds[1];
    free(path);
}

/* How the script ended; -1: not, the server answers. */
static int wait_until_up(struct server *server)
{
    for (int tries = 0; tries < WAIT_TRIES; tries++) {
        int status;
        if (tree_has(server->dir, "up"))
            return -1;
        if (waitpid(server->script, &status, WNOHANG) == server->script)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        usleep(WAIT_US);
    }
    give_up(server, "neither starts nor fails");
}

static char *local_url(const char *scheme, unsigned port)
{
    char *url;
    if (asprintf(&url, "%s://127.0.0.1:%u", scheme, port) < 0)
        abort();
    return url;
}

static void server_free(struct server *server)
{
    tmpdir_remove(server->dir);
    free(server->root);
    free(server->dav_root);
    free(server->certificate);
    free(server->log);
    free(server->url);
    free(server->tls_url);
    free(server);
}

struct server *server_start(const char *name, const char *root)
{
    struct server *server = calloc(1, sizeof *server);
    unsigned ports[2] = {0, 0};
    int status = 1;
    if (!server)
        abort();
    server->name = name;
    server->dir = tmpdir_make();
    server->root = tmpdir_path(server->dir, "www");
    server->dav_root = tmpdir_path(server->dir, "dav");
    server->certificate = tmpdir_path(server->dir, "cert.pem");
    server->log = tmpdir_path(server->dir, "access.log");
    if (root && symlink(root, server->root) < 0)
        give_up(server, "its root cannot be linked to");
    for (int tries = 0; tries < START_TRIES && status > 0 && status != NOT_INSTALLED; tries++) {
        if (!free_ports(ports))
            give_up(server, "no free port");
        spawn_script(server, ports);
        status = wait_until_up(server);
        if (status >= 0)
            close(server->alive);
    }
    if (status == NOT_INSTALLED && !getenv("CI")) {
        fprintf(stderr, "%s is not installed: its tests are skipped\n", name);
        server_free(server);
        return NULL;
    }
    if (status >= 0)
        give_up(server, "does not start");
    server->url = local_url("http", ports[0]);
    server->tls_url = local_url("https", ports[1]);
    if (tree_has(server->dir, "access.log"))
        server_log_clear(server); /* of what the script asked */
    return server;
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    close(server->alive);
    while (waitpid(server->script, NULL, 0) < 0 && errno == EINTR)
        ;
    server_free(server);
}

const char *server_url(const struct server *server)
{
    return server->url;
}

const char *server_tls_url(const struct server *server)
{
    return server->tls_url;
}

const char *server_dir(const struct server *server)
{
    return server->dir;
}

const char *server_root(const struct server *server)
{
    return server->root;
}

const char *server_dav_root(const struct server *server)
{
    return server->dav_root;
}

pid_t server_pid(const struct server *server)
{
    return server->script;
}

const char *server_certificate(const struct server *server)
{
    return server->certificate;
}

/* ---- the access log ---- */

static char *read_log(struct server *server)
{
    size_t size;
    char *text = tree_read(server->dir, "access.log", &size);
    if (!text)
        give_up(server, "has no access log");
    return text;
}

/* A request of our own, which a server that answers one after the other logs behind all that it has answered. */
static void log_mark(struct server *server, const char *mark)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[128];
    address.sin_port = htons((uint16_t)atoi(strrchr(server->url, ':') + 1));
    int size = snprintf(text, sizeof text, "HEAD /%s HTTP/1.0\r\n\r\n", mark);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        write(fd, text, (size_t)size) != size)
        give_up(server, "does not answer any more");
    while (read(fd, text, sizeof text) > 0)
        ;
    close(fd);
}

/* Take our own lines out, and what comes behind the last of them. Is `mark` there? */
static bool take_marks_out(char *text, const char *mark)
{
    char *out = text;
    bool found = false;
    for (char *line = text, *next; !found && *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        char *own = memmem(line, (size_t)(next - line), "/log-mark-", 10);
        found = own && strncmp(own + 1, mark, strlen(mark)) == 0;
        if (!own) {
            memmove(out, line, (size_t)(next - line));
            out += next - line;
        }
    }
    *out = 0;
    return found;
}

char *server_log_text(struct server *server)
{
    static unsigned marks;
    char mark[32];
    snprintf(mark, sizeof mark, "log-mark-%u.", ++marks);
    log_mark(server, mark);
    for (int tries = 0; tries < WAIT_TRIES; tries++) {
        char *text = read_log(server);
        if (take_marks_out(text, mark))
            return text;
        free(text);
        usleep(WAIT_US);
    }
    give_up(server, "does not log");
}

void server_log_clear(struct server *server)
{
    free(server_log_text(server));
    if (truncate(server->log, 0) < 0)
        give_up(server, "has a log that cannot be cleared");
}

static size_t count_lines(const char *text, size_t *connections)
{
    long seen[CONNECTIONS_MAX];
    size_t lines = 0;
    *connections = 0;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1, lines++) {
        long connection = strtol(text, NULL, 10);
        size_t i = 0;
        while (i < *connections && seen[i] != connection)
            i++;
        if (i == *connections && i < CONNECTIONS_MAX)
            seen[(*connections)++] = connection;
    }
    return lines;
}

/* A server may write a line when the answer has left, which the client has read by then. */
size_t server_log_connections(struct server *server, size_t requests)
{
    for (int tries = 0; tries < WAIT_TRIES; tries++) {
        size_t connections;
        char *text = server_log_text(server);
        size_t lines = count_lines(text, &connections);
        free(text);
        if (lines >= requests)
            return lines == requests ? connections : 0;
        usleep(WAIT_US);
    }
    return 0;
}
