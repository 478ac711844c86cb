/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YARD_CURL_H
#define YARD_CURL_H
/*
 * The yardstick's engine: a curl multi handle on epoll, with curl's own callbacks and nothing else. The easy handles
 * have the options that src/net sets, and are used again and again.
 */
#include <stdbool.h>

#include <curl/curl.h>

/* One request at a time on a reused easy handle. */
struct yard_slot {
    CURL *easy;
    bool keep;  /* collect the body, else let it pass by */
    char *data; /* what was collected; the caller takes it */
    size_t size;
    void (*ended)(struct yard_slot *slot, void *arg); /* called by yard_turn; may start the next one */
    void *arg;
};

struct yard {
    CURLM *multi;
    int epoll;
    double timer; /* when curl wants to be called; 0: never */
    size_t running;
};

void yard_slot_init(struct yard_slot *slot, bool keep, const char *ca_file /* NULL: none */);
void yard_slot_fini(struct yard_slot *slot);
/* Ends the program unless curl says that all is well and the status is 200. */
void yard_slot_check(struct yard_slot *slot, CURLcode result);

void yard_init(struct yard *yard);
void yard_fini(struct yard *yard);
void yard_start(struct yard *yard, struct yard_slot *slot, const char *url);
/* Wait once for sockets, for curl's timer, and for `other` (-1: nothing else), and do what there is to do. Is there
 * something at `other`? */
bool yard_turn(struct yard *yard, int other);

#endif
