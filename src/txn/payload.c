/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/payload.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

#define SIZE_MAX_HERE ((size_t)1 << 40)
#define PIECE_SIZE    ((size_t)64 << 10)

static void keep(struct change *change, struct larder_bytes bytes)
{
    change->payload.kind = PAYLOAD_MEMORY;
    change->payload.size = (int64_t)bytes.size;
    change->payload.bytes = bytes;
}

int CO_FN payload_write(struct member *member, struct change *change, struct source *source)
{
    struct buffer bytes = BUFFER(SIZE_MAX_HERE);
    int64_t count = 1;
    while (count > 0 && bytes.status == 0) {
        size_t size = source->data ? (size_t)source->size : PIECE_SIZE;
        void *room = buffer_room(&bytes, size ? size : 1);
        if (!room)
            break;
        if (source->data) {
            memcpy(room, source->data, size);
            buffer_grew(&bytes, size);
            count = 0;
        } else if ((count = source_read(source, room, size)) > 0) {
            buffer_grew(&bytes, (size_t)count);
        }
    }
    int rc = bytes.status < 0 ? bytes.status : count < 0 ? (int)count : 0;
    if (rc == 0)
        keep(change, buffer_take_bytes(&bytes));
    buffer_free(&bytes);
    return rc;
}

int CO_FN payload_stage(struct member *member, struct change *change)
{
    keep(change, (struct larder_bytes){0});
    return 0;
}

/* Parts of one change may come at once, but of one loop only. */
int CO_FN payload_stage_part(struct member *member, struct change *change, uint32_t part, int64_t offset,
                             const void *data, size_t size)
{
    struct larder_bytes *bytes = &change->payload.bytes;
    size_t end = (size_t)offset + size;
    if (end > bytes->size) {
        char *longer = mem_resize(take(bytes->owner), end);
        if (!longer)
            return fail_memory();
        *bytes = bytes_own(longer, end);
    }
    memcpy((char *)bytes->owner + offset, data, size);
    return 0;
}

int CO_FN payload_finish(struct member *member, struct change *change, int64_t size)
{
    change->payload.size = size;
    return 0;
}

void CO_FN payload_drop(struct member *member, struct change *change)
{
}

int CO_FN payload_read(struct member *member, const struct change *change, const struct larder_range *range,
                       const struct answer *answer, struct sink *sink)
{
    int64_t start, count;
    range_resolve(range, change->payload.size, &start, &count);
    int rc = sink_begin(sink, answer, count);
    return rc < 0 ? rc : sink_pour(sink, (const char *)change->payload.bytes.data + start, (size_t)count);
}

int payload_look(struct member *member, const struct change *change, const struct larder_range *range,
                 const struct answer *answer, struct sink *sink)
{
    int64_t start, count;
    range_resolve(range, change->payload.size, &start, &count);
    int rc = sink_begin_now(sink, answer, count);
    return rc < 0 ? rc : sink_put(sink, (const char *)change->payload.bytes.data + start, (size_t)count);
}
