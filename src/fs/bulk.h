/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_BULK_H
#define FS_BULK_H
/*
 * Many at once: what lists of items have in common, whatever is done with each.
 *
 * On a thread, what is answered without waiting (a cached or an in-memory file) is answered there first. The rest is
 * cut into *jobs*, one request each, which serves one item or several: ranges that lie together, files that the place
 * removes at once. A crew (fs/crew.h) does them. A tried item is *settled*: it has its status, and with a `completed` callback a letter carries
 * it to the caller's side, which may stop the batch. An item that was not settled keeps -ECANCELED.
 */
#include "fs/crew.h"

struct bulk;

struct delivery {
    struct letter letter;
    struct job *job;
    char *text; /* of a failure; mem */
};
/* Made when a task takes it. Its task's; then, with letters, the caller's side's, until the last one was opened. */
struct job {
    struct bulk *bulk;
    struct larder_item **items; /* those it serves: a part of todo */
    size_t count;
    struct larder_range range; /* of the request, when they are several; else the item's own counts */
    struct larder_bytes block; /* what came for several: each gets a copy of its part */
    uint64_t held;             /* bytes that it counts in the crew's, until all its items were given */
    size_t untold;             /* letters that were not opened */
    struct delivery deliveries[];
};

typedef int perform_fn(struct job *job, const char *path, const struct terms *terms);
typedef int look_fn(struct bulk *bulk, struct larder_item *item, const char *path, const struct terms *terms);

struct bulk {
    /* const */
    struct larder_fs *fs;
    struct larder_item *items;
    size_t count;
    struct larder_batch batch;
    perform_fn *perform; /* CO_FN; paths are full, terms those of a read of it */
    /* > 0: `perform` is of up to so many items, whose paths it resolves (it is given none), and whose statuses it sets
     * unless all failed */
    size_t items_max;
    look_fn *look;  /* any thread, -EAGAIN: not without waiting; NULL: no item is answered by a look */
    bool joins;     /* ranges that lie together become one request */
    bool writes;    /* its items are what is to be made */
    unsigned flags; /* of pipe */
    int64_t *sizes; /* of sizes, one for each item */
    const struct larder_info *const
        *unchanged; /* of a removal, one for each item; NULL: they go as they are */

    struct crew crew;
    struct larder_item **todo; /* those that the looks left */
    size_t todo_count, next;
    bool lost; /* the caller's side: there was no memory to give an item its bytes */
};
/* All of what a public call does: `bulk` has its first fields, down to `unchanged`, but for the batch. */
int bulk_run(struct bulk *bulk, const struct larder_batch *batch);
/* larder_rm_files; `unchanged` may be NULL. */
int bulk_remove(struct larder_fs *fs, struct larder_item *items, size_t count,
                const struct larder_info *const unchanged[], const struct larder_batch *batch);

/* The loop's thread, in a job: from here on it holds `size` bytes. */
void job_hold(struct job *job, uint64_t size);
/* The same once there is room for them: as long as others hold too much, wait, with nothing held. */
int CO_FN job_wait_and_hold(struct job *job, uint64_t size);

#endif
