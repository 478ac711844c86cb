/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_STAGER_H
#define FS_STAGER_H
/*
 * Bytes that come in order become a file that appears whole: an open file's, a copy's.
 *
 * They fill a part. A full one is sent on its way in the background, and the next is filled, until flight_max are under
 * way: then the writer waits for one of them. Parts go to the place where that has stage_part, else into a spool
 * (spool.h), which is written in one piece when it is published. What fits into one part is a single write of the table,
 * and nothing else. So a writer costs (flight_max + 1) * part_size of memory at most.
 *
 *          the first part is full, or flush          publish
 *   EMPTY ─────────────────────────────────▶ STAGED ─────────▶ PUBLISHED
 *     │ publish: one write                     │ a step fails      ▲
 *     ├────────────────────────────────────────┼───────────────────┘
 *     │ a step fails                           ▼
 *     └─────────────────────────────────────▶ FAILED               stager_fini: from anywhere; discards what is staged
 *
 * Once it has FAILED every step returns the first failure, with its words. A stager is used by one task at a time, each
 * of the place's loop; with a flight_max of 0 of any.
 *
 * It is a sink as well, whose `begin` starts over. So a read can be poured into it, which may begin again.
 */
#include "fs/backend.h"

#define STAGER_FLIGHT_MAX 16

enum stager_state { STAGER_EMPTY, STAGER_STAGED, STAGER_PUBLISHED, STAGER_FAILED };

struct stager_part {
    struct stager *stager;
    char *data; /* mem; NULL before its first use */
    size_t size, capacity;
    uint32_t number;
    bool flying;
};

struct stager {
    struct sink sink;
    /* const after init */
    struct instance *instance; /* borrowed, as is `path` */
    const char *path;          /* full */
    unsigned flight_max;
    const struct outlet *outlet;
    const struct labels *labels; /* borrowed; set behind init by who has some */

    bool here; /* this step is taken on this very thread, without a task */
    enum stager_state state;
    size_t part_size; /* const while STAGED */
    struct stager_part parts[STAGER_FLIGHT_MAX + 1];
    struct stager_part *current; /* NULL: none is free */
    uint32_t part_count;         /* sent: the number of the current one */
    struct group group;          /* of those that fly */
    struct token token;          /* where the place stages */
    int spool;                   /* else; -1: none */
    int status;                  /* of the first failure */
    char *text;                  /* its words; mem */
};

/* part_size 0: 8 MiB, or 1 MiB where no network is between; it is fitted to what the place allows. flight_max 0: every
 * part is waited for. */
void stager_init(struct stager *stager, struct instance *instance, const char *path, size_t part_size,
                 unsigned flight_max);
/* Before anything is put: the parts go into a spool, whatever the place has. */
void stager_spool(struct stager *stager);
/* Of all that was put. */
int64_t stager_size(const struct stager *stager);

/* Any thread, never waits: *taken of the bytes are in the part that is being filled. Fewer than `size`: it is full, and
 * needs a turn before more is put. */
int stager_put(struct stager *stager, const void *data, size_t size, size_t *taken);
/* Send the full part on its way and make room for another. -EFBIG: more parts than the place takes. */
int CO_FN stager_turn(struct stager *stager);
/* The same on a thread, for a place that is not ASYNC and a flight_max of 0. */
int stager_turn_here(struct stager *stager);
/* Put and turn, until all is taken. */
int CO_FN stager_write(struct stager *stager, const void *data, size_t size);
/* All that was put is with the place, or in the spool; not yet visible. */
int CO_FN stager_flush(struct stager *stager);
/* All of it appears. `flags` as for larder_pipe_file, LARDER_PARENTS too; `if_match` and `out` as for the table's write. */
int CO_FN stager_publish(struct stager *stager, unsigned flags, const char *if_match, struct answer *out);
/*
 * Wait for what is under way, remove what was staged and not published, free the memory; but not the struct. A task that
 * was cancelled removes it all the same, which may take a while. The error text stays as it is.
 */
void CO_FN stager_fini(struct stager *stager);
/* The same where no task can be had, on a thread: a place that needs one keeps what was staged. */
void stager_abandon(struct stager *stager);
/* The memory alone: in a fork's child. */
void stager_forget(struct stager *stager);

#endif
