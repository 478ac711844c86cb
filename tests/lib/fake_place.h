/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAKE_PLACE_H
#define TESTS_FAKE_PLACE_H
/*
 * fake://: a place at the edge of the process, whose files, mistakes and delays a test decides. It counts
 * what it is asked. Set it up while nobody asks; the counters and the switches may be used at any time.
 */
#include <stdatomic.h>

#include "fs/backend.h"

extern const struct backend fake_backend;

struct fake_file {
    char path[64];
    char *data;
    size_t size;
    unsigned version; /* its validator is "v<version>" */
    unsigned flags;   /* of the answer */
    int64_t fresh_ms, stale_if_error_ms;
    bool no_validator;
    bool size_unknown; /* until it was read whole */
    bool hidden;       /* no listing names it */
};

struct fake_place {
    struct fake_file files[128];
    unsigned count;
    char link[64], target[64]; /* a link to a directory, which looks like one ("": there is none) */
    /* what it was asked */
    atomic_uint reads, infos, lists, unchanged;
    atomic_ullong bytes;
    atomic_uint writes, parts, publishes, staged; /* staged: and neither published nor discarded yet */
    atomic_uint parts_at_once;                    /* at most */
    char
        log[1024]; /* the ranges that were read: "0-20 20-60 all "; the test's to look at while nobody asks */
    /* what it does */
    atomic_bool hold;         /* nothing is answered until it is false again */
    atomic_int fail;          /* answer with this status */
    atomic_llong cut_at;      /* >= 0: break off after so many bytes */
    atomic_uint change_after; /* reads; then each file's version changes (0: never) */
    atomic_bool stages;       /* it takes parts, of 1000 bytes or more; asked when it is opened */
    atomic_bool verbatim; /* what is written is the content; else it is a seed, for content of the old size */
    atomic_uint fail_part;   /* the so many-th fails (0: none) … */
    atomic_int fail_part_as; /* … with this status (0: -EIO) */
};
extern struct fake_place fake;

void fake_reset(void);
/* Put a file of `size` bytes that `seed` decides, under a new version. */
struct fake_file *fake_put(const char *path, size_t size, unsigned seed);
void fake_remove(const char *path);
/* What was staged, and whose writers are gone for good. */
void fake_forget_staged(void);
/* Are these the bytes [start, start + size) of fake_put(…, seed)? */
bool fake_is(const void *data, size_t size, unsigned seed, size_t start);
/* Of reads, infos and lists. */
unsigned fake_asked(void);

#endif
