/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of records. A place in a file belongs to the boundary behind the first delimiter at or after it (the start and
 * the end of the file to themselves), and a block lies between the boundaries of its two ends: so blocks that follow
 * each other have every record once, whatever their sizes.
 *
 * One request asks for the block and AHEAD_SIZE more, where the last delimiter is looked for; only a record that is
 * longer costs more requests, which are held to the version of the first.
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"

#define AHEAD_SIZE ((int64_t)64 << 10)

struct block {
    struct larder_fs *fs;
    const char *path;   /* full */
    struct terms terms; /* of the first read */
    int64_t offset, length;
    const void *delimiter;
    size_t delimiter_size;
    struct bytes_sink bytes; /* of the file, from `offset` on */
    struct answer first;     /* with the version that all of them are of */
    bool begun, at_end;      /* there is a first answer; they go on to the file's end */
    size_t start, end;       /* of the result, in `bytes` */
};

static int64_t add(int64_t offset, int64_t size)
{
    return size < LARDER_TO_END - offset ? offset + size : LARDER_TO_END;
}

static int append(struct bytes_sink *to, struct bytes_sink *piece)
{
    if (piece->size == 0)
        return 0;
    if (to->size == 0) {
        to->size = piece->size;
        to->data = take(piece->data);
        return 0;
    }
    char *data = mem_resize(to->data, to->size + piece->size + 1);
    if (!data)
        return fail_memory();
    memcpy(data + to->size, piece->data, piece->size);
    to->data = data;
    to->size += piece->size;
    return 0;
}

/* Read on for so many bytes, or to the file's end. */
static int CO_FN read_on(struct block *block, int64_t size)
{
    struct terms terms = block->begun ? block->fs->terms : block->terms;
    struct answer answer = {0};
    struct bytes_sink piece;
    int64_t from = block->offset + (int64_t)block->bytes.size;
    struct larder_range range = {from, add(from, size)};
    if (block->begun)
        terms.if_match = block->first.info.version;
    bytes_sink_init(&piece);
    int rc = layer_read(block->fs->instance, block->path, &range, &terms, &piece.sink, &answer);
    if (rc == 0)
        rc = append(&block->bytes, &piece);
    if (rc == 0)
        block->at_end = range.end == LARDER_TO_END || (int64_t)piece.size < range.end - from;
    bytes_sink_fini(&piece);
    if (rc < 0 || block->begun) {
        answer_free(&answer);
        return rc;
    }
    block->first = answer;
    block->begun = true;
    return 0;
}

/* The boundary of the place that is `from` bytes behind `offset`: where it is in `bytes`. */
static int CO_FN find_boundary(struct block *block, size_t from, size_t *out)
{
    const struct bytes_sink *bytes = &block->bytes;
    size_t seen = from; /* no delimiter begins between `from` and here */
    int64_t ahead = AHEAD_SIZE;
    while (block->offset > 0 || from > 0) {
        const char *found = NULL;
        if (bytes->size > seen)
            found = memmem(bytes->data + seen, bytes->size - seen, block->delimiter, block->delimiter_size);
        if (found) {
            *out = (size_t)(found - bytes->data) + block->delimiter_size;
            return 0;
        }
        if (block->at_end) {
            *out = bytes->size;
            return 0;
        }
        if (bytes->size >= from + block->delimiter_size)
            seen = bytes->size - (block->delimiter_size - 1);
        int rc = read_on(block, ahead);
        if (rc < 0)
            return rc;
        ahead = add(ahead, ahead);
    }
    *out = 0;
    return 0;
}

static int CO_FN read_block(struct block *block)
{
    bool split = block->delimiter_size > 0;
    int rc = read_on(block, split ? add(block->length, AHEAD_SIZE) : block->length);
    bool inside = rc == 0 && block->length < (int64_t)block->bytes.size;
    block->end = inside ? (size_t)block->length : block->bytes.size;
    if (rc == 0 && split)
        rc = find_boundary(block, 0, &block->start);
    if (rc == 0 && split && inside)
        rc = find_boundary(block, block->end, &block->end);
    return rc;
}

static int CO_EDGE block_task(void *arg)
{
    return read_block(arg);
}

/* What was read in front of the block and behind it goes. */
static void block_take(struct block *block, struct larder_bytes *out)
{
    struct bytes_sink *bytes = &block->bytes;
    bytes->size = block->end > block->start ? block->end - block->start : 0;
    if (bytes->size > 0)
        memmove(bytes->data, bytes->data + block->start, bytes->size);
    *out = bytes_sink_take(bytes);
}

int larder_read_block(struct larder_fs *fs, const char *path, int64_t offset, int64_t length,
                      const void *delimiter, size_t delimiter_size, struct larder_bytes *out)
{
    autofree char *full = NULL;
    error_clear();
    if (offset < 0 || length < 0)
        return fail(-EINVAL, "%s: a block has no negative offset or length", path);
    if (!delimiter && delimiter_size > 0)
        return fail(-EINVAL, "%s: no delimiter", path);
    struct terms terms;
    int rc = enter_resolve(fs, path, &full, &terms);
    if (rc < 0)
        return rc;
    struct block block = {.fs = fs,
                          .path = full,
                          .terms = terms,
                          .offset = offset,
                          .length = length,
                          .delimiter = delimiter,
                          .delimiter_size = delimiter_size};
    bytes_sink_init(&block.bytes);
    rc = enter_task(fs, path, block_task, &block);
    if (rc == 0)
        block_take(&block, out);
    bytes_sink_fini(&block.bytes);
    answer_free(&block.first);
    return rc;
}
