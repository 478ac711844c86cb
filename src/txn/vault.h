/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_VAULT_H
#define TXN_VAULT_H
/* The bytes of a transaction's writes, wherever they are kept: while it is open, at its commit, and when it is recovered
 * by somebody else. */
#include "fs/spool.h"
#include "txn/change.h"
#include "txn/journal.h"

#define PAYLOAD_SMALL_MAX ((int64_t)64 << 10) /* in the journal; larger ones are files beside it */

struct vault {
    struct journal *journal; /* NULL: everything is in memory */
    uint64_t txn;
};

/* Those of a MEMORY or JOURNAL payload, compared with their digest. May block on a disk. -ESTALE: they are gone; -EBADMSG:
 * damaged. Freed with larder_bytes_free. */
int vault_get(const struct vault *vault, const struct change *change, struct larder_bytes *out);

/* A FILE: a descriptor, closed with spool_close. May block. -ESTALE: it is gone. */
int vault_create(const struct vault *vault, uint64_t change);
int vault_open(const struct vault *vault, uint64_t change);
/* Remove it; gone already is fine. */
void vault_remove(const struct vault *vault, uint64_t change);
/* What is in it: its digest; -EBADMSG: it has another size. May block. */
int vault_measure(int fd, const char *path, int64_t size, uint8_t digest[16]);

/* The bytes of any payload as the source of a write: all in memory, or with `stream` a FILE's piece by piece. */
struct vault_source {
    struct source *source;
    struct source bytes_source;
    struct larder_bytes bytes;
    struct spool_source spool;
    int fd; /* -1: none */
};
int CO_FN vault_source_open(const struct vault *vault, const struct change *change, bool stream,
                            struct vault_source *out);
/* Of a change whose bytes were kept for the commit, which is under way: on any thread, and there is nothing to close. */
int vault_source_lend(const struct change *change, struct vault_source *out);
void CO_FN vault_source_close(struct vault_source *source);

#endif
