/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE       8192
#define PIECE_SIZE      16384
#define CONNECTIONS_MAX 64

struct connection {
    struct proxy *proxy;
    pthread_t thread;
    int client, origin; /* -1: none */
    char head[HEAD_SIZE];
    char data[PIECE_SIZE];
};

struct proxy {
    int fd;
    char address[32];
    char *authorization; /* the line that is wanted; NULL: none is */
    pthread_t thread;

    pthread_mutex_t lock;
    FILE *requests; /* under `lock`, as the rest is */
    char *text;
    size_t text_size;
    struct connection connections[CONNECTIONS_MAX];
    size_t count;
};

static _Noreturn void give_up(const char *what)
{
    perror(what);
    abort();
}

/* ---- moving bytes ---- */

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = send(fd, data, size, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        data += count;
        size -= (size_t)count;
    }
}

static void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

/* Until one of the two has hung up. */
static void relay(struct connection *connection)
{
    char *data = connection->data;
    struct pollfd fds[2] = {{.fd = connection->client, .events = POLLIN},
                            {.fd = connection->origin, .events = POLLIN}};
    while (poll(fds, 2, -1) > 0)
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t count = recv(fds[i].fd, data, PIECE_SIZE, 0);
            if (count <= 0)
                return;
            send_all(fds[1 - i].fd, data, (size_t)count);
        }
}

/* Up to the empty line, and no byte beyond. */
static bool read_head(int fd, char *head)
{
    size_t size = 0;
    while (size < HEAD_SIZE - 1 && recv(fd, head + size, 1, 0) == 1) {
        head[++size] = 0;
        if (size >= 4 && strcmp(head + size - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- one connection, one request ---- */

/* What the origin is sent: its own path, and nothing that was for the proxy. */
static void pass_on(int origin, char *head, const char *path)
{
    char *method_end = strchr(head, ' '), *line_end = strstr(head, "\r\n");
    send_all(origin, head, (size_t)(method_end + 1 - head));
    send_text(origin, *path == '/' ? "" : "/");
    send_all(origin, path, (size_t)(line_end + 2 - path));
    for (char *line = line_end + 2; line[0] != '\r'; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "proxy-", 6) != 0 && strncasecmp(line, "connection:", 11) != 0)
            send_all(origin, line, (size_t)(strstr(line, "\r\n") + 2 - line));
    send_text(origin, "Connection: close\r\n\r\n");
}

static bool is_authorized(const struct proxy *proxy, const char *head)
{
    return !proxy->authorization || strcasestr(head, proxy->authorization);
}

static void answer(struct connection *connection)
{
    char *head = connection->head;
    bool tunnel = strncmp(head, "CONNECT ", 8) == 0;
    const char *authority = strstr(head, "://"), *path = strchr(head, ' ') + 1;
    authority = tunnel ? path : authority ? authority + 3 : NULL;
    const char *port = authority ? authority + strcspn(authority, ":/ ") : NULL;
    if (!is_authorized(connection->proxy, head)) {
        send_text(connection->client, "HTTP/1.1 407 Proxy Authentication Required\r\n"
                                      "Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    connection->origin = port && *port == ':' ? connect_to((unsigned)atoi(port + 1)) : -1;
    if (connection->origin < 0) {
        send_text(connection->client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    if (tunnel)
        send_text(connection->client, "HTTP/1.1 200 OK\r\nX-Proxy: yes\r\n\r\n");
    else
        pass_on(connection->origin, head, authority + strcspn(authority, "/ "));
    relay(connection);
}

static void *serve(void *arg)
{
    struct connection *connection = arg;
    struct proxy *proxy = connection->proxy;
    if (read_head(connection->client, connection->head)) {
        pthread_mutex_lock(&proxy->lock);
        fputs(connection->head, proxy->requests);
        pthread_mutex_unlock(&proxy->lock);
        answer(connection);
    }
    shutdown(connection->client, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct proxy *proxy = arg;
    for (int client; (client = accept4(proxy->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_mutex_lock(&proxy->lock);
        if (proxy->count == CONNECTIONS_MAX)
            give_up("proxy: too many connections");
        struct connection *connection = &proxy->connections[proxy->count++];
        connection->proxy = proxy;
        connection->client = client;
        connection->origin = -1;
        if (pthread_create(&connection->thread, NULL, serve, connection) != 0)
            give_up("proxy");
        pthread_mutex_unlock(&proxy->lock);
    }
    return NULL;
}

/* ---- the proxy ---- */

static char *encode_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text);
    char *out = calloc(1, size / 3 * 4 + 5), *end = out;
    for (size_t i = 0; i < size; i += 3) {
        unsigned bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < size ? (unsigned char)text[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            *end++ = i + j > size ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    return out;
}

struct proxy *proxy_start(const char *credentials)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (!proxy)
        abort();
    if (credentials) {
        char *encoded = encode_base64(credentials);
        if (asprintf(&proxy->authorization, "\nProxy-Authorization: Basic %s\r", encoded) < 0)
            abort();
        free(encoded);
    }
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->requests = open_memstream(&proxy->text, &proxy->text_size);
    proxy->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->fd, (struct sockaddr *)&address, size) < 0 || listen(proxy->fd, 64) < 0 ||
        getsockname(proxy->fd, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&proxy->thread, NULL, accept_all, proxy) != 0)
        give_up("proxy");
    snprintf(proxy->address, sizeof proxy->address, "127.0.0.1:%u", ntohs(address.sin_port));
    return proxy;
}

void proxy_stop(struct proxy *proxy)
{
    if (!proxy)
        return;
    shutdown(proxy->fd, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < proxy->count; i++) {
        struct connection *connection = &proxy->connections[i];
        shutdown(connection->client, SHUT_RDWR);
        pthread_join(connection->thread, NULL);
        close(connection->client);
        if (connection->origin >= 0)
            close(connection->origin);
    }
    close(proxy->fd);
    fclose(proxy->requests);
    free(proxy->text);
    free(proxy->authorization);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

const char *proxy_address(const struct proxy *proxy)
{
    return proxy->address;
}

char *proxy_requests(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    fflush(proxy->requests);
    char *text = strdup(proxy->text);
    pthread_mutex_unlock(&proxy->lock);
    return text;
}
