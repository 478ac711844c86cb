/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

#include "base/error.h"
#include "base/seams.h"

/* Compiled in, so that a hash of a short key is no call into another library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

static void put(XXH128_hash_t hash, uint8_t out[16])
{
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    memcpy(out, bytes.digest, 16);
}

void hash128_bytes(const void *data, size_t size, uint8_t out[16])
{
    put(XXH3_128bits(data, size), out);
}

/* Its vectors want more than what mem_alloc aligns to. */
#define STATE_ALIGNMENT 64
static XXH3_state_t *state_of(const struct hash128 *hash)
{
    return (XXH3_state_t *)(((uintptr_t)hash->memory + STATE_ALIGNMENT - 1) &
                            ~(uintptr_t)(STATE_ALIGNMENT - 1));
}

int hash128_begin(struct hash128 *hash)
{
    hash->memory = mem_zero(sizeof(XXH3_state_t) + STATE_ALIGNMENT);
    if (!hash->memory)
        return fail_memory();
    XXH3_128bits_reset(state_of(hash));
    return 0;
}

void hash128_add(struct hash128 *hash, const void *data, size_t size)
{
    XXH3_128bits_update(state_of(hash), data, size);
}

void hash128_end(struct hash128 *hash, uint8_t out[16])
{
    if (!hash->memory)
        return;
    put(XXH3_128bits_digest(state_of(hash)), out);
    mem_free(take(hash->memory));
}
