/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/* Many small pieces of memory with one end: listings, whose million names are freed at once. */
#include <stddef.h>

struct arena {
    struct arena_chunk *chunks;
    char *next;
    size_t left;
};

void *arena_alloc(struct arena *arena, size_t size); /* aligned to 8; NULL when memory is out */
char *arena_dup(struct arena *arena, const char *text);
char *arena_dup_n(struct arena *arena, const char *text, size_t size);
void arena_free(struct arena *arena); /* and makes it empty; zero is fine */

#endif
