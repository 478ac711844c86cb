/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_THROTTLE_H
#define CACHE_THROTTLE_H
/*
 * So many bytes a second, for any number of tasks of a loop: who wants room pays for it beforehand, in turn, so that
 * they are paced as one, and gets back what he did not use.
 */
#include "task/task.h"

struct throttle {
    uint64_t rate;    /* bytes a second; 0: no limit */
    uint64_t paid_ns; /* monotonic: up to then the bytes that were given are paid */
};
/* Wait for room for up to *size bytes; it may become less. */
int CO_FN throttle_take(struct throttle *throttle, size_t *size);
void throttle_give_back(struct throttle *throttle, size_t size);

#endif
