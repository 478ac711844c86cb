/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_VERIFY_H
#define CACHE_VERIFY_H
/*
 * Verification: everything in the store is looked at, in a process of its own, because a page of LMDB's that is damaged
 * may kill whoever follows it, or lead him round in circles. What is wrong in single values is put right in this
 * process; a store that killed its visitor, or whose tree is broken, is set aside.
 *
 *     this process                      the child
 *     fork              ──────▶         opens the store for itself, reading only
 *     reads findings    ◀──pipe──       1. the pages (pages.h)
 *     queues repairs                    2. every value, some thousand a snapshot: checksums, keys (S5)
 *     sets it aside     ◀─ no end ──    3. how they hang together, in one snapshot without the values (S3, U1 to U4)
 *                                       a signal, no word for too long
 */
#include "cache/store.h"

enum finding {
    FOUND_VALUE, /* S5: a value is not what its checksum says, or stands where it does not belong */
    FOUND_S3,    /* blocks that no record names, and that are on their way to none */
    FOUND_U1,    /* a unit that is not in the order, or in it twice, or of nothing */
    FOUND_U2,    /* a record or a segment without its unit */
    FOUND_U3,    /* pinned though no pin covers it, or not though one does */
    FOUND_U4,    /* sums that are wrong */
    FINDINGS
};
extern const char *const finding_names[FINDINGS];

struct verified {
    uint64_t records, blocks; /* that were looked at */
    uint64_t found[FINDINGS];
    bool broken; /* it was set aside */
};
/* Blocks. A failure is one to find out. What is found is put right when this returns. */
int verify_store(struct store *store, struct verified *out);

/* Between verify.c and its child's side, check.c. */
enum word_kind { WORD_ALIVE, WORD_FOUND, WORD_DONE, WORD_BROKEN };
struct word {
    uint8_t kind, finding;
    uint16_t key_size;
    uint32_t unused;
    uint64_t records, blocks; /* so far */
    unsigned char key[KEY_SIZE_MAX + 1];
};
/* In the child. Does not return. */
void check_and_exit(const char *file, size_t map_size, int fd) __attribute__((noreturn));

#endif
