/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seams.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder/status.h"

struct memory_seam memory_seam = {.resize = realloc, .release = free};

void *mem_resize(void *memory, size_t size)
{
    return memory_seam.resize(memory, size > 0 ? size : 1);
}

void *mem_alloc(size_t size)
{
    return mem_resize(NULL, size);
}

void *mem_zero(size_t size)
{
    void *memory = mem_alloc(size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *mem_array(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return mem_zero(total);
}

char *mem_dup_n(const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? mem_alloc(size + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

char *mem_dup(const char *text)
{
    return mem_dup_n(text, strlen(text));
}

char *mem_format(const char *format, ...)
{
    char draft[256]; /* most fit, and need not be formatted twice */
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(draft, sizeof draft, format, arguments);
    assert(size >= 0);
    char *text = mem_alloc((size_t)size + 1);
    if (text && (size_t)size < sizeof draft)
        memcpy(text, draft, (size_t)size + 1);
    else if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void mem_free(void *memory)
{
    if (memory)
        memory_seam.release(memory);
}

void larder_free(void *memory)
{
    mem_free(memory);
}

void *mem_library_alloc(void *unused, size_t size)
{
    return mem_alloc(size);
}

void mem_library_free(void *unused, void *memory)
{
    mem_free(memory);
}
