/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H
/*
 * Bytes that grow, up to a maximum. Once an append fails the buffer is broken, stays as it was, and every
 * later append fails too, so that a writer may check once at the end. What breaks it sets the error text.
 */
#include <stdbool.h>
#include <stdint.h>

#include "larder/bytes.h"

struct buffer {
    char *data; /* NUL behind `size` whenever not NULL */
    size_t size, capacity, size_max;
    int status; /* 0, -ENOMEM, -EFBIG */
};
#define BUFFER(max) ((struct buffer){.size_max = (max)})

int buffer_add(struct buffer *buffer, const void *data, size_t size);
int buffer_add_text(struct buffer *buffer, const char *text);
int buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `size` more bytes, to be filled and then counted by buffer_grew. NULL: broken. */
void *buffer_room(struct buffer *buffer, size_t size);
void buffer_grew(struct buffer *buffer, size_t size);
/* Hand the bytes over (freed with larder_bytes_free), of a buffer that is not broken; or as a string
 * (mem_free; NULL: broken, or out of memory). Empties. */
struct larder_bytes buffer_take_bytes(struct buffer *buffer);
char *buffer_take_text(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

/* Bytes of our own memory: `data` came from mem_alloc. */
struct larder_bytes bytes_own(void *data, size_t size);

#endif
