/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ODD_PLACE_H
#define TESTS_ODD_PLACE_H
/*
 * The memory of this process (memory://) once more, as places that can less, or err. Each protocol is a place of its own:
 *
 *   piped://     ASYNC, writes without stage: from a source; cannot set times
 *   spooled://   INSTANT, writes without stage: from memory
 *   counted://   ASYNC, stages at most 4 parts of 100 to 1,000,000 bytes
 *
 * Set `odd` up while nobody asks.
 */
#include "fs/backend.h"

struct odd_place {
    /* how piped:// and counted:// read */
    size_t restart_at;  /* > 0: once so many bytes were given, begin again … */
    bool restart_new;   /* … with another version */
    unsigned reads_max; /* > 0: after so many it is forbidden */
    /* how piped:// writes */
    unsigned rewinds;    /* so often, … */
    size_t rewind_at;    /* … once so many bytes were taken */
    size_t fail_at;      /* > 0: then -ENOSPC; the rest is not taken */
    atomic_bool hold;    /* reads and writes stand still, until they are cancelled, */
    atomic_uint holding; /* so many do */
    atomic_uint reads, writes, parts, discards, removes; /* that began */
};
extern struct odd_place odd;
void odd_reset(void);
void odd_register(void);

#endif
