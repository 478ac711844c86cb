/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/edit.h"

#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/seams.h"

#define PACK_SIZE_MIN 8192
#define SAMPLE_SIZE \
    4096 /* out of the middle of a block; tells what cannot be packed for a twentieth of the price */
#define PAGE_SIZE_MIN 4096

_Static_assert(PACK_SIZE_MIN > PAGE_SIZE_MIN, "");

void packer_fini(struct packer *packer)
{
    ZSTD_freeCCtx(packer->context);
    mem_free(packer->scratch);
}

static bool pays(size_t packed, size_t size, int gain_percent)
{
    return !ZSTD_isError(packed) && packed <= size - size / 100 * (size_t)gain_percent;
}

static bool prepare(struct packer *packer)
{
    static const ZSTD_customMem memory = {mem_library_alloc, mem_library_free, NULL};
    if (!packer->context)
        packer->context = ZSTD_createCCtx_advanced(memory);
    if (!packer->scratch)
        packer->scratch = mem_alloc(BLOCK_SIZE);
    return packer->context && packer->scratch;
}

static bool sample_shrinks(struct packer *packer, const char *data, size_t size, int gain_percent)
{
    const char *middle = data + (size - SAMPLE_SIZE) / 2;
    size_t packed = ZSTD_compressCCtx(packer->context, packer->scratch, BLOCK_SIZE, middle, SAMPLE_SIZE, 1);
    return pays(packed, SAMPLE_SIZE, gain_percent);
}

enum codec pack(struct packer *packer, struct packing packing, const void *data, size_t size,
                const void **out, size_t *out_size)
{
    *out = data;
    *out_size = size;
    if (packing.level == 0 || size < PACK_SIZE_MIN || size > (size_t)BLOCK_SIZE || !prepare(packer))
        return CODEC_RAW;
    if (size > 4 * SAMPLE_SIZE && !sample_shrinks(packer, data, size, packing.gain_percent))
        return CODEC_RAW;
    size_t packed =
        ZSTD_compressCCtx(packer->context, packer->scratch, BLOCK_SIZE, data, size, packing.level);
    if (!pays(packed, size, packing.gain_percent) || packed + PAGE_SIZE_MIN > size)
        return CODEC_RAW;
    *out = packer->scratch;
    *out_size = packed;
    return CODEC_ZSTD;
}
