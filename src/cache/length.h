/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LENGTH_H
#define CACHE_LENGTH_H
/*
 * The file's length. LMDB's file never becomes shorter, and longer whenever a transaction finds no free pages for what it
 * puts. The cap does not keep it from that, for pages that were freed may not be used again
 *
 *     in somebody's snapshot    who reads while so many transactions go by: it was not let run, it verifies the store,
 *                               it was stopped, or it died and its slot is not taken back yet
 *     in pieces                 values are of 1 to 16 pages, and each wants all of its pages in a row
 *     for two transactions      in any case
 *
 * So the file has a bound of its own (S8), a little above the cap. Pages are numbered: where a value came to lie says
 * whether the file would become longer. Then the transaction is given up, and is done again
 *
 *     1. when slots of the dead were taken back
 *     2. when those who read have gone on: they are waited for, but not for long, and once for each snapshot
 *     3. when more was evicted than the cap asks for: what is so spare is kept so, and becomes less with time
 *     4. without whatever may be left out: nothing is kept but that things changed
 */
#include "cache/batch.h"

/* Of the transaction, whose limits have just been read. */
void length_begin(struct batch *batch);
/* A value was put at `data`, on pages of its own. -EFBIG: on some that the file is not to have. */
int length_check(const struct batch *batch, const void *data);
/* The same for what lies in the tree's pages: now and then, before an op. */
int length_probe(struct batch *batch);
/* A transaction ended by -EFBIG was given up. What is to be done before the next try? */
enum regain { REGAIN_RETRY, REGAIN_EVICT };
enum regain length_regain(struct batch *batch);
/* A batch is on the disk. */
void length_settle(struct batch *batch);

#endif
