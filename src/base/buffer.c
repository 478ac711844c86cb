/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define CAPACITY_MIN 64

static int grow(struct buffer *buffer, size_t need, size_t capacity_max)
{
    /* Doubled, within the maximum, so that many small appends cost no more than one big one. */
    size_t capacity = buffer->capacity < capacity_max / 2 ? 2 * buffer->capacity : capacity_max;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < need)
        capacity = need;
    char *data = mem_resize(buffer->data, capacity);
    if (!data)
        return fail_memory();
    data[buffer->size] = 0;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

void *buffer_room(struct buffer *buffer, size_t size)
{
    if (buffer->status < 0)
        return NULL;
    size_t size_max =
        buffer->size_max < SIZE_MAX ? buffer->size_max : SIZE_MAX - 1; /* one more for the NUL */
    size_t need = buffer->size + size + 1;
    if (size > size_max - buffer->size)
        buffer->status = fail(-EFBIG, "more than %zu bytes", size_max);
    else if (need > buffer->capacity)
        buffer->status = grow(buffer, need, size_max + 1);
    return buffer->status < 0 ? NULL : buffer->data + buffer->size;
}

void buffer_grew(struct buffer *buffer, size_t size)
{
    assert(size < buffer->capacity - buffer->size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
}

int buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    void *room = buffer_room(buffer, size);
    if (!room)
        return buffer->status;
    if (size > 0)
        memcpy(room, data, size);
    buffer_grew(buffer, size);
    return 0;
}

int buffer_add_text(struct buffer *buffer, const char *text)
{
    return buffer_add(buffer, text, strlen(text));
}

__attribute__((format(printf, 2, 0))) static int format_text(struct buffer *buffer, const char *format,
                                                             va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(size >= 0);
    char *room = buffer_room(buffer, (size_t)size);
    if (!room)
        return buffer->status;
    vsnprintf(room, (size_t)size + 1, format, arguments);
    buffer_grew(buffer, (size_t)size);
    return 0;
}

int buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = format_text(buffer, format, arguments);
    va_end(arguments);
    return rc;
}

/* The buffer empties, and keeps its maximum. */
static struct buffer take_all(struct buffer *buffer)
{
    struct buffer all = *buffer;
    *buffer = BUFFER(all.size_max);
    return all;
}

struct larder_bytes buffer_take_bytes(struct buffer *buffer)
{
    assert(buffer->status == 0);
    struct buffer all = take_all(buffer);
    if (!all.data)
        return (struct larder_bytes){.data = ""};
    return bytes_own(all.data, all.size);
}

char *buffer_take_text(struct buffer *buffer)
{
    buffer_room(buffer, 0); /* even an empty text needs its NUL */
    if (buffer->status < 0) {
        buffer_free(buffer);
        return NULL;
    }
    return take_all(buffer).data;
}

void buffer_free(struct buffer *buffer)
{
    if (buffer)
        mem_free(take_all(buffer).data);
}
