/* SPDX-License-Identifier: Apache-2.0 */
/* One thread accepts, one serves each connection. */
#include "fault_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault_parts.h"
#include "tree.h"

#define WAIT_SECONDS 30

/* ---- threads ---- */

static void *serve_connection(void *arg)
{
    struct connection *connection = arg;
    struct fault_server *server = connection->server;
    fault_serve(connection);
    pthread_mutex_lock(&server->lock);
    close(connection->fd);
    connection->fd = -1;
    connection->ended = true;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* Join those that ended; all of them when the server stops. */
static void reap_connections(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct connection **place = &server->connections; *place;) {
        struct connection *connection = *place;
        if (!connection->ended && !server->stopping) {
            place = &connection->next;
            continue;
        }
        *place = connection->next;
        if (connection->fd >= 0)
            shutdown(connection->fd, SHUT_RDWR);
        pthread_mutex_unlock(&server->lock);
        pthread_join(connection->thread, NULL);
        free(connection);
        pthread_mutex_lock(&server->lock);
        place = &server->connections;
    }
    pthread_mutex_unlock(&server->lock);
}

static bool is_refused(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool counted = server->refuse_count > 0;
    bool refused = counted || (server->refuse_per_mille && fault_happens(server, server->refuse_per_mille));
    server->refuse_count -= counted;
    server->connection_count += refused;
    pthread_mutex_unlock(&server->lock);
    return refused;
}

static void *accept_connections(void *arg)
{
    struct fault_server *server = arg;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            break; /* the listener was shut down */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        reap_connections(server);
        if (is_refused(server)) {
            fault_reset_at_close(fd);
            close(fd);
            continue;
        }
        struct connection *connection = calloc(1, sizeof(*connection));
        if (!connection)
            fault_give_up("accept_connections");
        connection->server = server;
        connection->fd = fd;
        pthread_mutex_lock(&server->lock);
        connection->number = ++server->connection_count;
        connection->next = server->connections;
        server->connections = connection;
        /* Under the lock, so that nobody joins it before its thread is known. */
        if (pthread_create(&connection->thread, NULL, serve_connection, connection) != 0)
            fault_give_up("pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct fault_server *fault_server_start(void)
{
    struct fault_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (!server)
        fault_give_up("fault_server_start");
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(server->listener, SOMAXCONN) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
        fault_give_up("fault_server_start");
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", server->port);

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    if (pthread_create(&server->thread, NULL, accept_connections, server) != 0)
        fault_give_up("pthread_create");
    return server;
}

static void free_rule(struct rule *rule)
{
    free((char *)rule->match.method);
    free((char *)rule->match.path);
    free((char *)rule->match.header);
    free((char *)rule->fault.headers);
    free((void *)rule->fault.body);
    free(rule);
}

void fault_server_stop(struct fault_server *server)
{
    if (!server)
        return;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    reap_connections(server);

    while (server->tree.entries)
        fault_tree_remove(&server->tree, server->tree.entries->path);
    for (struct rule *rule = server->rules, *next; rule; rule = next) {
        next = rule->next;
        free_rule(rule);
    }
    fault_forget(server);
    free(server->records);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* ---- what the test says and asks ---- */

const char *fault_server_url(const struct fault_server *server)
{
    return server->url;
}

uint16_t fault_server_port(const struct fault_server *server)
{
    return server->port;
}

void fault_file_set(struct fault_server *server, const char *path, const struct fault_file *file)
{
    pthread_mutex_lock(&server->lock);
    fault_tree_set(&server->tree, path, file);
    pthread_mutex_unlock(&server->lock);
}

void fault_file_content(struct fault_server *server, const char *path, size_t size, uint64_t seed,
                        const char *etag)
{
    void *data = content_make(size, seed);
    fault_file_set(server, path, &(struct fault_file){.data = data, .size = size, .etag = etag});
    free(data);
}

void fault_file_text(struct fault_server *server, const char *path, const char *text)
{
    fault_file_set(server, path, &(struct fault_file){.data = text, .size = strlen(text)});
}

void fault_file_remove(struct fault_server *server, const char *path)
{
    pthread_mutex_lock(&server->lock);
    fault_tree_remove(&server->tree, path);
    pthread_mutex_unlock(&server->lock);
}

void fault_writable(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->tree.writable = true;
    pthread_mutex_unlock(&server->lock);
}

void fault_index_as(struct fault_server *server, enum fault_index index)
{
    pthread_mutex_lock(&server->lock);
    server->tree.index = index;
    pthread_mutex_unlock(&server->lock);
}

static const char *copy_or_null(const char *text)
{
    return text ? fault_copy(text, strlen(text)) : NULL;
}

void fault_on(struct fault_server *server, struct fault_match match, struct fault fault)
{
    struct rule *rule = calloc(1, sizeof(*rule));
    if (!rule)
        fault_give_up("fault_on");
    rule->match = match;
    rule->match.method = copy_or_null(match.method);
    rule->match.path = copy_or_null(match.path);
    rule->match.header = copy_or_null(match.header);
    rule->fault = fault;
    rule->fault.headers = copy_or_null(fault.headers);
    rule->fault.body = fault.body ? fault_copy(fault.body, fault.body_size) : NULL;
    pthread_mutex_lock(&server->lock);
    struct rule **place = &server->rules;
    while (*place)
        place = &(*place)->next;
    *place = rule;
    pthread_mutex_unlock(&server->lock);
}

void fault_clear(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct rule *rule = server->rules; rule; rule = rule->next)
        rule->cleared = true;
    pthread_mutex_unlock(&server->lock);
}

void fault_seed(struct fault_server *server, uint64_t seed)
{
    pthread_mutex_lock(&server->lock);
    server->chance = seed;
    pthread_mutex_unlock(&server->lock);
}

/* splitmix64 */
bool fault_happens(struct fault_server *server, unsigned per_mille)
{
    uint64_t x = server->chance += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % 1000 < per_mille;
}

void fault_refuse(struct fault_server *server, unsigned count, unsigned per_mille)
{
    pthread_mutex_lock(&server->lock);
    server->refuse_count = count;
    server->refuse_per_mille = per_mille;
    pthread_mutex_unlock(&server->lock);
}

void fault_release(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->releases++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void wait_changed(struct fault_server *server, const struct timespec *until, const char *what,
                         size_t count)
{
    if (pthread_cond_timedwait(&server->changed, &server->lock, until) == 0)
        return;
    fprintf(stderr, "fault server: waited %d s for %zu %s; %zu requests came, %u answers are stalled\n",
            WAIT_SECONDS, count, what, server->record_count, server->stalled);
    abort();
}

void fault_wait_stalled(struct fault_server *server, unsigned count)
{
    struct timespec until = fault_after_ms(WAIT_SECONDS * 1000L);
    pthread_mutex_lock(&server->lock);
    while (server->stalled != count)
        wait_changed(server, &until, "stalled answers", count);
    pthread_mutex_unlock(&server->lock);
}

void fault_wait_requests(struct fault_server *server, size_t count)
{
    struct timespec until = fault_after_ms(WAIT_SECONDS * 1000L);
    pthread_mutex_lock(&server->lock);
    while (server->record_count < count)
        wait_changed(server, &until, "requests", count);
    pthread_mutex_unlock(&server->lock);
}

size_t fault_count(struct fault_server *server, const char *method, const char *path)
{
    size_t count = 0;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->record_count; i++) {
        const struct fault_request *request = &server->records[i]->request;
        count +=
            (!method || strcmp(method, request->method) == 0) && (!path || strcmp(path, request->path) == 0);
    }
    pthread_mutex_unlock(&server->lock);
    return count;
}

const struct fault_request *fault_request(struct fault_server *server, size_t index)
{
    pthread_mutex_lock(&server->lock);
    const struct fault_request *request =
        index < server->record_count ? &server->records[index]->request : NULL;
    pthread_mutex_unlock(&server->lock);
    return request;
}

void fault_forget(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->record_count; i++)
        fault_record_free(server->records[i]);
    server->record_count = 0;
    pthread_mutex_unlock(&server->lock);
}

void fault_keep(struct fault_server *server, size_t count)
{
    pthread_mutex_lock(&server->lock);
    server->kept_count = count;
    pthread_mutex_unlock(&server->lock);
}

unsigned fault_connections(struct fault_server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned count = server->connection_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}
