/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H
/*
 * Files with content that a test can tell again: byte `offset` of the content of a `seed` is always the same, and runs
 * at other offsets or of other seeds differ. So a block that is cut, shifted, zeroed or of another file shows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes [offset, offset + size) of a seed's content. */
void content_fill(void *out, size_t size, uint64_t seed, uint64_t offset);
bool content_matches(const void *data, size_t size, uint64_t seed, uint64_t offset);
/* The same, allocated; freed with free. */
void *content_make(size_t size, uint64_t seed);

/* Make a file, with the parents that it lacks. Failures abort. */
void tree_write(const char *dir, const char *path, const void *data, size_t size);
void tree_write_content(const char *dir, const char *path, size_t size, uint64_t seed);
/* All of a file: `*size` bytes and a NUL, freed with free. NULL when there is none. */
char *tree_read(const char *dir, const char *path, size_t *size);
bool tree_has(const char *dir, const char *path);

/*
 * A tree of `depth` levels below `dir`: in each directory `files` files ("f0", "f1", …) of `size` bytes and, above the
 * last level, `dirs` directories ("d0", …). Seeds count from 1 in the order of a walk that takes files first. Returns
 * the count of files.
 */
size_t tree_make(const char *dir, unsigned depth, unsigned dirs, unsigned files, size_t size);

#endif
