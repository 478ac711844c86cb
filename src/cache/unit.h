/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_UNIT_H
#define CACHE_UNIT_H
/*
 * Units: what is evicted as one, and in which order. A unit is a record with the bytes that lie in it, or a
 * segment: up to SEGMENT_BLOCKS blocks of a version in a row.
 *
 * Time is counted in ticks; one has passed when a sixty-fourth of the cap was put. A hit only notes the tick in
 * memory (shared.h). The order under 'U' is by the tick in which a unit was last known to be used; when the first
 * of them is to go, and was used since, it moves to where it belongs instead. So the order is that of last use, as
 * coarse as a tick, and a use costs no write unless eviction reaches the unit.
 *
 * Invariants, each true after every function here:
 *   U1  A unit stands under 'T' by its number, and under 'U' by its tick and number, and nowhere else.
 *   U2  Every record and every segment has its unit's number, and that unit has their key.
 *   U3  A unit's tick is TICK_PINNED if and only if a pin covers its path; those stand last and are never first.
 *   U4  clock.pinned is the sum of the bytes of those.
 * What is damaged of a record may be the number of its unit, which is then of nothing: it goes when it is first, or is
 * looked for among the pinned ones, which are never first. What a damaged version of blocks was, a verification finds.
 */
#include "cache/batch.h"

#define TICK_PINNED UINT32_MAX
#define TICKS_A_CAP 64

struct unit {
    uint64_t number;
    uint64_t bytes;
    uint32_t tick;
    struct key of;
};

/* What follows is of the batch's transaction. Failures are the store's. */
int unit_add(struct batch *batch, const struct key *of, uint64_t bytes, bool pinned, uint64_t *number);
/* The first, the last used of all. -ENOENT: all that there are are pinned. */
int unit_first(struct batch *batch, struct unit *out);
int unit_read(struct batch *batch, uint64_t number, struct unit *out); /* -ENOENT */
/* The number of the pinned unit of `key`; 0: there is none. Looks at all that are pinned. */
int unit_find_pinned(struct batch *batch, const struct key *key, uint64_t *number);
int unit_move(struct batch *batch, struct unit *unit, uint32_t tick);
int unit_put_order(struct batch *batch, const struct unit *unit); /* where it should stand already */
/* Bytes were put into it, or taken out. Number 0, or of no unit: nothing. */
int unit_grow(struct batch *batch, uint64_t number, int64_t by);
int unit_remove(struct batch *batch, uint64_t number);
/* In bytes of pages, what a value takes. */
uint64_t unit_cost(struct batch *batch, const struct key *key, size_t size);
/* The segments of a version. */
int unit_pin_version(struct batch *batch, uint64_t version, bool pinned);

#endif
