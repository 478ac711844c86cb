/* SPDX-License-Identifier: Apache-2.0 */
#include "nginx.h"

#include <errno.h>
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

extern char **environ;

struct nginx {
    char *dir;
    char *root, *certificate, *log;
    char *url, *tls_url;
};

static bool run(char *const argv[])
{
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_script(const char *name, char *arguments[3])
{
    const char *root = getenv("LARDER_SOURCE_ROOT");
    char *path;
    if (asprintf(&path, "%s/tests/servers/%s", root ? root : ".", name) < 0)
        abort();
    char *const argv[] = {path, arguments[0], arguments[1], arguments[2], NULL};
    bool ran = run(argv);
    free(path);
    return ran;
}

/* Two ports that are free now: somebody else may be quicker, so nginx_start tries more than once. */
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

static char *local_url(const char *scheme, unsigned port)
{
    char *url;
    if (asprintf(&url, "%s://127.0.0.1:%u", scheme, port) < 0)
        abort();
    return url;
}

struct nginx *nginx_start(void)
{
    struct nginx *nginx = calloc(1, sizeof *nginx);
    unsigned ports[2] = {0, 0};
    bool up = false;
    if (!nginx)
        abort();
    nginx->dir = tmpdir_make();
    nginx->root = tmpdir_path(nginx->dir, "www");
    nginx->certificate = tmpdir_path(nginx->dir, "cert.pem");
    nginx->log = tmpdir_path(nginx->dir, "access.log");
    for (int tries = 0; tries < 5 && !up; tries++) {
        char port[16], tls_port[16];
        if (!free_ports(ports))
            break;
        snprintf(port, sizeof port, "%u", ports[0]);
        snprintf(tls_port, sizeof tls_port, "%u", ports[1]);
        up = run_script("nginx-up.sh", (char *[]){nginx->dir, port, tls_port});
    }
    nginx->url = local_url("http", ports[0]);
    nginx->tls_url = local_url("https", ports[1]);
    if (!up) {
        fprintf(stderr, "nginx does not start: its tests are skipped\n");
        nginx_stop(nginx);
        return NULL;
    }
    return nginx;
}

void nginx_stop(struct nginx *nginx)
{
    if (!nginx)
        return;
    run_script("nginx-down.sh", (char *[]){nginx->dir, NULL, NULL});
    tmpdir_remove(nginx->dir);
    free(nginx->root);
    free(nginx->certificate);
    free(nginx->log);
    free(nginx->url);
    free(nginx->tls_url);
    free(nginx);
}

const char *nginx_url(const struct nginx *nginx)
{
    return nginx->url;
}

const char *nginx_tls_url(const struct nginx *nginx)
{
    return nginx->tls_url;
}

const char *nginx_root(const struct nginx *nginx)
{
    return nginx->root;
}

const char *nginx_certificate(const struct nginx *nginx)
{
    return nginx->certificate;
}

/* ---- the access log ---- */

static size_t read_log(struct nginx *nginx, size_t *lines)
{
    FILE *file = fopen(nginx->log, "r");
    long seen[128];
    size_t seen_count = 0;
    char line[512];
    if (!file)
        abort();
    for (*lines = 0; fgets(line, sizeof line, file); ++*lines) {
        long connection = strtol(line, NULL, 10);
        size_t i = 0;
        while (i < seen_count && seen[i] != connection)
            i++;
        if (i == seen_count && seen_count < 128)
            seen[seen_count++] = connection;
    }
    fclose(file);
    return seen_count;
}

/* A request of our own, whose line is the last: nginx's one worker has written those of all that was answered before. */
static void log_mark(struct nginx *nginx, const char *mark)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[128];
    address.sin_port = htons((uint16_t)atoi(strrchr(nginx->url, ':') + 1));
    int size = snprintf(text, sizeof text, "HEAD /%s HTTP/1.0\r\n\r\n", mark);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        write(fd, text, (size_t)size) != size)
        abort();
    while (read(fd, text, sizeof text) > 0)
        ;
    close(fd);
}

static bool log_has(struct nginx *nginx, const char *mark)
{
    FILE *file = fopen(nginx->log, "r");
    char line[512];
    bool found = false;
    if (!file)
        abort();
    while (!found && fgets(line, sizeof line, file))
        found = strstr(line, mark);
    fclose(file);
    return found;
}

void nginx_log_clear(struct nginx *nginx)
{
    static unsigned marks;
    char mark[32];
    snprintf(mark, sizeof mark, "log-mark-%u.", ++marks);
    log_mark(nginx, mark);
    for (int tries = 0; tries < 3000 && !log_has(nginx, mark); tries++)
        usleep(10000);
    if (truncate(nginx->log, 0) < 0)
        abort();
}

/* nginx writes a line when the answer has left, which the client may have read by then. */
size_t nginx_log_connections(struct nginx *nginx, size_t requests)
{
    size_t lines, connections;
    for (int tries = 0; tries < 3000; tries++) {
        connections = read_log(nginx, &lines);
        if (lines >= requests)
            return lines == requests ? connections : 0;
        usleep(10000);
    }
    return 0;
}
