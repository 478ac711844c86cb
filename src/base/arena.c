/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The free part of the newest chunk is used from both ends: aligned pieces from the front, which stays
 * aligned, and texts, packed, from the back.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/seams.h"

#define CHUNK_SIZE_MIN (4 * 1024)
#define CHUNK_SIZE_MAX (1024 * 1024)
#define ALONE_SIZE_MIN (CHUNK_SIZE_MIN / 4)
#define ALIGNMENT      8

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(ALIGNMENT) char data[];
};

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = size <= SIZE_MAX - sizeof(*chunk) ? mem_alloc(sizeof(*chunk) + size) : NULL;
    if (chunk)
        chunk->size = size;
    return chunk;
}

/* What is big against a chunk gets one of its own, behind the newest, whose rest stays in use. */
static void *alloc_alone(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = chunk_new(size);
    if (!chunk)
        return NULL;
    struct arena_chunk **place = arena->chunks ? &arena->chunks->next : &arena->chunks;
    chunk->next = *place;
    *place = chunk;
    return chunk->data;
}

static int add_chunk(struct arena *arena)
{
    size_t size = arena->chunks ? 2 * arena->chunks->size : CHUNK_SIZE_MIN;
    if (size < CHUNK_SIZE_MIN)
        size = CHUNK_SIZE_MIN;
    if (size > CHUNK_SIZE_MAX)
        size = CHUNK_SIZE_MAX;
    struct arena_chunk *chunk = chunk_new(size - sizeof(*chunk));
    if (!chunk)
        return -1;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->next = chunk->data;
    arena->left = chunk->size;
    return 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = size > 0 ? (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
    if (size > arena->left && size > ALONE_SIZE_MIN)
        return alloc_alone(arena, size);
    if (size > arena->left && add_chunk(arena) < 0)
        return NULL;
    void *piece = arena->next;
    arena->next += size;
    arena->left -= size;
    return piece;
}

/* `size` bytes of no alignment. */
static char *alloc_text(struct arena *arena, size_t size)
{
    if (size > arena->left && size > ALONE_SIZE_MIN)
        return alloc_alone(arena, size);
    if (size > arena->left && add_chunk(arena) < 0)
        return NULL;
    arena->left -= size;
    return arena->next + arena->left;
}

char *arena_dup_n(struct arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? alloc_text(arena, size + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

char *arena_dup(struct arena *arena, const char *text)
{
    return arena_dup_n(arena, text, strlen(text));
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        mem_free(chunk);
    }
    *arena = (struct arena){0};
}
