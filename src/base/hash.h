/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H
/* XXH3, 64 bits: checksums of stored blocks, hashes of keys. Not for anything that an adversary may choose. */
#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size);

/* The same, 128 bits: what has them alike is taken for the same bytes. */
void hash128_bytes(const void *data, size_t size, uint8_t out[16]);
/* … or piece by piece. Zero is not begun; begin and end in pairs. */
struct hash128 {
    void *memory; /* mem */
};
int hash128_begin(struct hash128 *hash);
void hash128_add(struct hash128 *hash, const void *data, size_t size);
void hash128_end(struct hash128 *hash, uint8_t out[16]); /* not begun: `out` stays as it is */

#endif
