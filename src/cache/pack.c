/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/edit.h"

#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/hash.h"
#include "base/seams.h"

#define PACK_SIZE_MIN 8192
#define SAMPLE_SIZE \
    4096 /* out of the middle of a block; tells what cannot be packed for a twentieth of the price */
#define PAGE_SIZE_MIN  4096
#define FAILURES_MAX   6   /* in a row: then one block in 64 is tried */
#define KIND_TEXT_SIZE 256 /* of a path, what its kind is told by */

_Static_assert(PACK_SIZE_MIN > PAGE_SIZE_MIN, "");

/* ---- kinds ---- */

struct packing packing_of(struct packing packing, const struct place *place, const char *path)
{
    char text[KIND_TEXT_SIZE];
    size_t size = 0;
    for (; *path && size < sizeof text; path++)
        if (*path < '0' || *path > '9')
            text[size++] = *path;
    packing.kind = hash_bytes(text, size) ^ place->hash;
    return packing;
}

static struct packed_kind *find_kind(struct packer *packer, uint64_t number)
{
    struct packed_kind *kind = &packer->kinds[number % PACKED_KINDS];
    if (kind->number != number)
        *kind = (struct packed_kind){.number = number};
    return kind;
}

/* The more blocks of a kind in a row did not shrink, the more of them are passed over before the next try. */
static void note(struct packed_kind *kind, bool paid)
{
    kind->failures = paid ? 0 : kind->failures < FAILURES_MAX ? kind->failures + 1 : FAILURES_MAX;
    kind->pass = (1U << kind->failures) - 1;
}

/* ---- blocks ---- */

void packer_fini(struct packer *packer)
{
    ZSTD_freeCCtx(packer->context);
    mem_free(packer->scratch);
    mem_free(packer->kinds);
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
    if (!packer->kinds)
        packer->kinds = mem_zero(PACKED_KINDS * sizeof *packer->kinds);
    return packer->context && packer->scratch && packer->kinds;
}

static bool sample_shrinks(struct packer *packer, const char *data, size_t size, int gain_percent)
{
    const char *middle = data + (size - SAMPLE_SIZE) / 2;
    size_t packed = ZSTD_compressCCtx(packer->context, packer->scratch, BLOCK_SIZE, middle, SAMPLE_SIZE, 1);
    return pays(packed, SAMPLE_SIZE, gain_percent);
}

/* 0: it does not pay. */
static size_t try_to_pack(struct packer *packer, struct packing packing, const void *data, size_t size)
{
    if (size > 4 * SAMPLE_SIZE && !sample_shrinks(packer, data, size, packing.gain_percent))
        return 0;
    size_t packed =
        ZSTD_compressCCtx(packer->context, packer->scratch, BLOCK_SIZE, data, size, packing.level);
    return pays(packed, size, packing.gain_percent) && packed + PAGE_SIZE_MIN <= size ? packed : 0;
}

enum codec pack(struct packer *packer, struct packing packing, const void *data, size_t size,
                const void **out, size_t *out_size)
{
    *out = data;
    *out_size = size;
    if (packing.level == 0 || size < PACK_SIZE_MIN || size > (size_t)BLOCK_SIZE || !prepare(packer))
        return CODEC_RAW;
    struct packed_kind *kind = find_kind(packer, packing.kind);
    if (kind->pass > 0) {
        kind->pass--;
        return CODEC_RAW;
    }
    size_t packed = try_to_pack(packer, packing, data, size);
    note(kind, packed > 0);
    if (packed == 0)
        return CODEC_RAW;
    *out = packer->scratch;
    *out_size = packed;
    return CODEC_ZSTD;
}
