/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yard_hop COUNT [URL FILES]: one file after the other, asked for by one thread and fetched by another, which runs bare
 * curl multi; without a URL the way there and back only. The way is an eventfd there, and a condition back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"
#include "yard_curl.h"

struct hop {
    int doorbell;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    /* under `lock` */
    bool asked, done, quit;
    const char *url; /* NULL: answer at once */
    char *data;
    size_t size;
};

static void answer(struct hop *hop, char *data, size_t size)
{
    pthread_mutex_lock(&hop->lock);
    hop->data = data;
    hop->size = size;
    hop->done = true;
    pthread_cond_signal(&hop->answered);
    pthread_mutex_unlock(&hop->lock);
}

static void ended(struct yard_slot *slot, void *arg)
{
    char *data = slot->data;
    slot->data = NULL;
    answer(arg, data, slot->size);
}

static void *serve(void *arg)
{
    struct hop *hop = arg;
    struct yard yard;
    struct yard_slot slot;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = hop->doorbell};
    yard_init(&yard);
    yard_slot_init(&slot, true, NULL);
    slot.ended = ended;
    slot.arg = hop;
    epoll_ctl(yard.epoll, EPOLL_CTL_ADD, hop->doorbell, &event);
    for (bool quit = false; !quit;) {
        uint64_t rings;
        if (!yard_turn(&yard, hop->doorbell) || read(hop->doorbell, &rings, sizeof rings) != sizeof rings)
            continue;
        pthread_mutex_lock(&hop->lock);
        bool asked = hop->asked;
        const char *url = hop->url;
        quit = hop->quit;
        hop->asked = false;
        pthread_mutex_unlock(&hop->lock);
        if (asked && url)
            yard_start(&yard, &slot, url);
        else if (asked)
            answer(hop, NULL, 0);
    }
    yard_slot_fini(&slot);
    yard_fini(&yard);
    return NULL;
}

static void ring(struct hop *hop)
{
    uint64_t one = 1;
    if (write(hop->doorbell, &one, sizeof one) != sizeof one)
        bench_die("eventfd: %s", strerror(errno));
}

static size_t ask(struct hop *hop, const char *url)
{
    pthread_mutex_lock(&hop->lock);
    hop->url = url;
    hop->asked = true;
    hop->done = false;
    pthread_mutex_unlock(&hop->lock);
    ring(hop);
    pthread_mutex_lock(&hop->lock);
    while (!hop->done)
        pthread_cond_wait(&hop->answered, &hop->lock);
    pthread_mutex_unlock(&hop->lock);
    free(hop->data);
    return hop->size;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4)
        bench_die("usage: yard_hop COUNT [URL FILES]");
    struct hop hop = {.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    size_t count = bench_count(argv[1]), files = argc == 4 ? bench_count(argv[3]) : 1;
    char **urls = argc == 4 ? bench_names(argv[2], files) : NULL;
    uint64_t bytes = 0;
    pthread_t thread;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_init(&hop.lock, NULL);
    pthread_cond_init(&hop.answered, NULL);
    if (pthread_create(&thread, NULL, serve, &hop) != 0)
        bench_die("no thread");

    double start = bench_now();
    for (size_t i = 0; i < count; i++)
        bytes += ask(&hop, urls ? urls[i % files] : NULL);
    bench_figure(bench_now() - start, count, bytes);

    pthread_mutex_lock(&hop.lock);
    hop.quit = true;
    pthread_mutex_unlock(&hop.lock);
    ring(&hop);
    pthread_join(thread, NULL);
    close(hop.doorbell);
    return 0;
}
