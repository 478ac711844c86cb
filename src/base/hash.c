/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

/* Compiled in, so that a hash of a short key is no call into another library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}
