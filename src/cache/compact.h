/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_COMPACT_H
#define CACHE_COMPACT_H
/*
 * LMDB's file never becomes shorter: pages that are free wait in it to be written again. Here they become holes, which take
 * nothing of the disk, while whoever uses the store goes on.
 *
 * Why that is safe. LMDB writes over a page when the transaction that freed it is older than every snapshot that is being
 * read and than the last two that were committed, so of such a page nobody reads anything any more, nor after a power
 * cut. Those are the ones taken, within a write transaction, so that none of them is given out meanwhile; and one that has
 * written nothing, so that none was given out before. A page that is written again is written whole.
 */
#include "cache/store.h"

/* Blocks. What is still read by somebody stays. -ENOTSUP: the file system makes no holes; -EBADMSG: it is damaged. */
int store_compact(struct store *store);
/* What its file takes of the disk. 0: that cannot be told. */
uint64_t store_disk_size(const struct store *store);

#endif
