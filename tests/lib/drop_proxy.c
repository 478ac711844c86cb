/* SPDX-License-Identifier: Apache-2.0 */
#include "drop_proxy.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TALK_MAX ((size_t)16 << 20) /* a part of an upload, and more */
#define SEEN_MAX 256

struct drop_proxy {
    int listener;
    unsigned short server_port;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t idle;
    unsigned serving; /* threads with a connection each */
    char method[16], part[32];
    enum drop drop;
    unsigned left;
    void (*hook)(void);
    char seen[SEEN_MAX][16]; /* the methods that came */
    size_t seen_count;
};

struct visit {
    struct drop_proxy *proxy;
    int fd;
};

static _Noreturn void give_up(const char *what)
{
    perror(what);
    abort();
}

static int dial(unsigned short port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        give_up("drop_proxy: connect");
    return fd;
}

static bool send_all(int fd, const char *data, size_t size)
{
    for (ssize_t n; size > 0; data += n, size -= (size_t)n)
        if ((n = send(fd, data, size, MSG_NOSIGNAL)) < 0)
            return false;
    return true;
}

/* A request with its body, whose length it tells. 0: the connection ended before. */
static size_t read_request(int fd, char *text)
{
    size_t size = 0, whole = SIZE_MAX;
    while (size < whole) {
        ssize_t n = recv(fd, text + size, TALK_MAX - size, 0);
        if (n <= 0)
            return 0;
        size += (size_t)n;
        text[size] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (end)
            whole = (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    }
    return size;
}

/* Does it go, does its answer come back? */
static bool decide(struct drop_proxy *proxy, const char *method, const char *request, enum drop *drop,
                   void (**hook)(void))
{
    pthread_mutex_lock(&proxy->lock);
    if (proxy->seen_count < SEEN_MAX)
        snprintf(proxy->seen[proxy->seen_count++], sizeof proxy->seen[0], "%s", method);
    bool lose = proxy->left > 0 && strcmp(proxy->method, method) == 0 &&
                memmem(request, strcspn(request, "\r"), proxy->part, strlen(proxy->part));
    proxy->left -= lose;
    *drop = proxy->drop;
    *hook = lose ? proxy->hook : NULL;
    pthread_mutex_unlock(&proxy->lock);
    return lose;
}

/* The connection to the server ends with its answer. */
static size_t ask_server(struct drop_proxy *proxy, const char *request, size_t size, char *answer)
{
    int fd = dial(proxy->server_port);
    size_t line = (size_t)(strstr(request, "\r\n") + 2 - request), got = 0;
    bool sent = send_all(fd, request, line) && send_all(fd, "Connection: close\r\n", 19) &&
                send_all(fd, request + line, size - line);
    for (ssize_t n; sent && (n = recv(fd, answer + got, TALK_MAX - got, 0)) > 0;)
        got += (size_t)n;
    close(fd);
    return got;
}

static void count_serving(struct drop_proxy *proxy, int change)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->serving += (unsigned)change;
    pthread_cond_broadcast(&proxy->idle);
    pthread_mutex_unlock(&proxy->lock);
}

static void *serve(void *arg)
{
    struct visit *visit = arg;
    char *request = malloc(TALK_MAX + 1), *answer = malloc(TALK_MAX + 1), method[16] = "";
    enum drop drop;
    void (*hook)(void);
    if (!request || !answer)
        give_up("drop_proxy: malloc");
    size_t size = read_request(visit->fd, request);
    if (size > 0 && sscanf(request, "%15s", method) == 1) {
        bool lose = decide(visit->proxy, method, request, &drop, &hook);
        size_t got = lose && drop == DROP_REQUEST ? 0 : ask_server(visit->proxy, request, size, answer);
        if (hook)
            hook();
        if (!lose)
            send_all(visit->fd, answer, got);
    }
    close(visit->fd);
    free(request);
    free(answer);
    count_serving(visit->proxy, -1);
    free(visit);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct drop_proxy *proxy = arg;
    for (int fd; (fd = accept(proxy->listener, NULL, NULL)) >= 0;) {
        struct visit *visit = malloc(sizeof *visit);
        pthread_t thread;
        if (!visit)
            give_up("drop_proxy: malloc");
        *visit = (struct visit){proxy, fd};
        count_serving(proxy, 1);
        if (pthread_create(&thread, NULL, serve, visit) != 0)
            give_up("drop_proxy: pthread_create");
        pthread_detach(thread);
    }
    return NULL;
}

struct drop_proxy *drop_proxy_start(const char *url)
{
    struct drop_proxy *proxy = calloc(1, sizeof *proxy);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (!proxy)
        give_up("drop_proxy: calloc");
    proxy->server_port = (unsigned short)atoi(strrchr(url, ':') + 1);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->idle, NULL);
    if (bind(proxy->listener, (struct sockaddr *)&address, size) < 0 || listen(proxy->listener, 256) < 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&proxy->thread, NULL, accept_all, proxy) != 0)
        give_up("drop_proxy: a listener");
    snprintf(proxy->url, sizeof proxy->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return proxy;
}

void drop_proxy_stop(struct drop_proxy *proxy)
{
    if (!proxy)
        return;
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    pthread_mutex_lock(&proxy->lock);
    while (proxy->serving > 0)
        pthread_cond_wait(&proxy->idle, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
    close(proxy->listener);
    pthread_cond_destroy(&proxy->idle);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

const char *drop_proxy_url(const struct drop_proxy *proxy)
{
    return proxy->url;
}

void drop_proxy_lose(struct drop_proxy *proxy, const char *method, enum drop drop, unsigned count,
                     void (*hook)(void))
{
    pthread_mutex_lock(&proxy->lock);
    *proxy->part = 0;
    sscanf(method, "%15s %31s", proxy->method, proxy->part);
    proxy->drop = drop;
    proxy->left = count;
    proxy->hook = hook;
    proxy->seen_count = 0;
    pthread_mutex_unlock(&proxy->lock);
}

unsigned drop_proxy_count(struct drop_proxy *proxy, const char *method)
{
    unsigned count = 0;
    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->seen_count; i++)
        count += strcmp(proxy->seen[i], method) == 0;
    pthread_mutex_unlock(&proxy->lock);
    return count;
}
