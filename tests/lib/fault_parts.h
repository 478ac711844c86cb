/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_PARTS_H
#define TESTS_FAULT_PARTS_H
/*
 * What the fault server's two halves share: fault_server.c has the threads and the test's calls, fault_serve.c one
 * connection's requests. What several threads touch is guarded by `lock`; a request and a rule do not change once they
 * are in their lists, but for a rule's counters.
 */
#include <pthread.h>
#include <time.h>

#include "fault_answer.h"

#define HEAD_SIZE_MAX 65536

struct rule {
    struct rule *next;
    struct fault_match match;
    struct fault fault;
    unsigned seen;
    bool cleared; /* kept in memory for the answers under way */
};

struct record {
    struct fault_request request; /* its strings point into `text` */
    char *text, *path, *body;
};

struct connection {
    struct connection *next;
    struct fault_server *server;
    pthread_t thread;
    int fd; /* -1: closed */
    unsigned number;
    bool ended;
    size_t size; /* of what was read and not yet used */
    char input[HEAD_SIZE_MAX + 1];
};

struct fault_server {
    int listener;
    uint16_t port;
    char url[32];
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a request came, an answer stalled or went on, a release, the stop */
    bool stopping;
    struct fault_tree tree;
    struct rule *rules;
    struct connection *connections;
    unsigned connection_count;
    struct record **records;
    size_t record_count, kept_count;
    unsigned stalled, releases;
    uint64_t chance; /* its state */
    unsigned refuse_count, refuse_per_mille;
};

/* So many times in 1000. Under the lock. */
bool fault_happens(struct fault_server *server, unsigned per_mille);

void fault_reset_at_close(int fd);
/* Read and answer requests until the connection ends. On its thread. */
void fault_serve(struct connection *connection);
void fault_record_free(struct record *record);
/* On CLOCK_MONOTONIC, which `changed` waits by. */
struct timespec fault_after_ms(long ms);

#endif
