/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges, where the bytes of a range go, and where those of a file come from. */
#include "fs/backend.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

/* ---- ranges ---- */

static int64_t bound(int64_t at, int64_t size)
{
    if (at < 0)
        at = at < -size ? 0 : at + size;
    return at > size ? size : at;
}

void range_resolve(const struct larder_range *range, int64_t size, int64_t *start, int64_t *count)
{
    int64_t from = range ? bound(range->start, size) : 0;
    int64_t to = range ? bound(range->end, size) : size;
    *start = from;
    *count = to > from ? to - from : 0;
}

bool range_is_empty(const struct larder_range *range)
{
    return range && (range->start < 0) == (range->end < 0) && range->end <= range->start;
}

bool range_needs_size(const struct larder_range *range)
{
    if (!range || range_is_empty(range))
        return false;
    return range->end < 0 || (range->start < 0 && range->end != LARDER_TO_END);
}

/* ---- the marked callers ---- */

int CO_FN sink_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return sink->begin(sink, answer, size);
}

int CO_FN sink_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    assert(want > 0);
    return sink->room(sink, want, out, size);
}

int CO_FN sink_fill(struct sink *sink, size_t size)
{
    return sink->fill(sink, size);
}

int CO_FN sink_pour(struct sink *sink, const void *data, size_t size)
{
    while (size > 0) {
        void *room;
        size_t room_size;
        int rc = sink_room(sink, size, &room, &room_size);
        if (rc < 0)
            return rc;
        if (room_size > size)
            room_size = size;
        memcpy(room, data, room_size);
        rc = sink_fill(sink, room_size);
        if (rc < 0)
            return rc;
        data = (const char *)data + room_size;
        size -= room_size;
    }
    return 0;
}

int sink_begin_now(struct sink *sink, const struct answer *answer, int64_t size)
{
    assert(sink->instant);
    return sink->begin(sink, answer, size);
}

/* An instant sink suspends nobody. */
int CO_EDGE sink_put(struct sink *sink, const void *data, size_t size)
{
    assert(sink->instant);
    return sink_pour(sink, data, size);
}

/* ---- into memory of our own ---- */

#define GUESS_SIZE 65536 /* the first room when nobody knows how much will come */

static int bytes_reserve(struct bytes_sink *into, size_t capacity)
{
    if (capacity <= into->capacity)
        return 0;
    if (capacity > PTRDIFF_MAX - 1)
        return fail_memory();
    char *data = mem_resize(into->data, capacity + 1);
    if (!data)
        return fail_memory();
    into->data = data;
    into->capacity = capacity;
    return 0;
}

static int bytes_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct bytes_sink *into = (struct bytes_sink *)sink;
    into->size = 0;
    return size > 0 ? bytes_reserve(into, (size_t)size) : 0;
}

static int bytes_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct bytes_sink *into = (struct bytes_sink *)sink;
    if (into->size == into->capacity) {
        size_t capacity = into->capacity ? into->capacity * 2 : want < GUESS_SIZE ? GUESS_SIZE : want;
        int rc = bytes_reserve(into, capacity);
        if (rc < 0)
            return rc;
    }
    *out = into->data + into->size;
    *size = into->capacity - into->size;
    return 0;
}

static int bytes_fill(struct sink *sink, size_t size)
{
    struct bytes_sink *into = (struct bytes_sink *)sink;
    assert(size <= into->capacity - into->size);
    into->size += size;
    return 0;
}

void bytes_sink_init(struct bytes_sink *sink)
{
    *sink = (struct bytes_sink){
        .sink = {
            .instant = true, .steady = true, .begin = bytes_begin, .room = bytes_room, .fill = bytes_fill}};
}

struct larder_bytes bytes_sink_take(struct bytes_sink *sink)
{
    size_t size = sink->size;
    char *data = take(sink->data);
    sink->size = sink->capacity = 0;
    if (!data)
        return (struct larder_bytes){.data = ""}; /* nothing came: still a string */
    data[size] = 0;
    return bytes_own(data, size);
}

void bytes_sink_fini(struct bytes_sink *sink)
{
    mem_free(sink->data);
    sink->data = NULL;
}

/* ---- into the caller's memory ---- */

static int span_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct span_sink *into = (struct span_sink *)sink;
    into->size = 0;
    if (size > 0 && (uint64_t)size > into->capacity)
        return fail(-ENOSPC, "%lld bytes do not fit into %zu", (long long)size, into->capacity);
    return 0;
}

static int span_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct span_sink *into = (struct span_sink *)sink;
    if (into->size == into->capacity)
        return fail(-ENOSPC, "more than %zu bytes", into->capacity);
    *out = into->data + into->size;
    *size = into->capacity - into->size;
    return 0;
}

static int span_fill(struct sink *sink, size_t size)
{
    struct span_sink *into = (struct span_sink *)sink;
    assert(size <= into->capacity - into->size);
    into->size += size;
    return 0;
}

void span_sink_init(struct span_sink *sink, void *buffer, size_t capacity)
{
    *sink = (struct span_sink){
        .sink = {.instant = true, .steady = true, .begin = span_begin, .room = span_room, .fill = span_fill},
        .data = buffer,
        .capacity = capacity};
}

/* ---- from the caller's memory ---- */

int source_of(struct source *source, const char *path, const void *data, size_t size)
{
    if (!data && size > 0)
        return fail(-EINVAL, "%s: %zu bytes, and no memory that holds them", path, size);
    *source = (struct source){.size = (int64_t)size, .data = data ? data : ""};
    return 0;
}

int64_t CO_FN source_read(struct source *source, void *buffer, size_t size)
{
    return source->read(source, buffer, size);
}

int CO_FN source_rewind(struct source *source)
{
    if (source->data)
        return 0;
    return source->rewind ? source->rewind(source) : fail(-ESPIPE, "what is written cannot be read again");
}
