/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H
/* XXH3, 64 bits: checksums of stored blocks, hashes of keys. Not for anything that an adversary may choose. */
#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size);

#endif
