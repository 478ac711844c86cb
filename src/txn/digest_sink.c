/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/digest_sink.h"

#include "base/error.h"
#include "base/seams.h"

#define ROOM_SIZE ((size_t)64 << 10)

static int digest_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct digest_sink *digest = container_of(sink, struct digest_sink, sink);
    uint8_t unused[16];
    hash128_end(&digest->hash, unused);
    digest->size = 0;
    return hash128_begin(&digest->hash);
}

static int digest_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct digest_sink *digest = container_of(sink, struct digest_sink, sink);
    *out = digest->room;
    *size = want < ROOM_SIZE ? want : ROOM_SIZE;
    return 0;
}

static int digest_fill(struct sink *sink, size_t size)
{
    struct digest_sink *digest = container_of(sink, struct digest_sink, sink);
    hash128_add(&digest->hash, digest->room, size);
    digest->size += (int64_t)size;
    return 0;
}

int digest_sink_init(struct digest_sink *digest)
{
    *digest = (struct digest_sink){
        .sink = {.instant = true, .begin = digest_begin, .room = digest_room, .fill = digest_fill},
        .room = mem_alloc(ROOM_SIZE)};
    return digest->room ? 0 : fail_memory();
}

int64_t digest_sink_fini(struct digest_sink *digest, uint8_t out[16])
{
    hash128_end(&digest->hash, out);
    mem_free(digest->room);
    return digest->size;
}
