/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block: the last used of the file's blocks, which lie at multiples of block_size. Missing ones that follow each other
 * are one request.
 *
 * Gets of several threads share them. A block that is being copied out has a user, and is not freed; what two gets miss
 * at once, both ask for, and the first to come back is kept.
 */
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "base/table.h"
#include "fs/file_object.h"
#include "fs/file_read.h"

#define RUN_SIZE_MAX ((size_t)16 << 20)

struct block {
    struct table_entry entry; /* its key is the number */
    struct list node;         /* in blocks.used */
    int64_t number;
    char *data; /* mem */
    size_t size;
    unsigned epoch, users;
};

struct blocks { /* under reader->lock */
    struct table table;
    struct list used; /* the longest ago first */
};

/* ---- under the lock ---- */

static void block_free(struct block *block)
{
    mem_free(block->data);
    mem_free(block);
}

static void block_remove(struct blocks *blocks, struct block *block)
{
    table_remove(&blocks->table, &block->entry);
    list_remove(&block->node);
    block_free(block);
}

static struct block *block_find(const struct file_reader *reader, int64_t number)
{
    struct blocks *blocks = reader->state;
    struct table_entry *entry = table_find(&blocks->table, (const char *)&number, sizeof number);
    if (!entry)
        return NULL;
    struct block *block = container_of(entry, struct block, entry);
    if (block->epoch == reader->epoch)
        return block;
    if (block->users == 0)
        block_remove(blocks, block);
    return NULL;
}

static void make_place(struct blocks *blocks, size_t count_max)
{
    list_for_each_safe (node, &blocks->used) {
        struct block *block = container_of(node, struct block, node);
        if (blocks->table.count < count_max)
            return;
        if (block->users == 0)
            block_remove(blocks, block);
    }
}

/* Best effort; takes over `block`. */
static void block_keep(struct file_reader *reader, struct block *block)
{
    struct blocks *blocks = reader->state;
    size_t count_max = reader->options->blocks_max;
    if (!block_find(reader, block->number)) {
        make_place(blocks, count_max);
        bool stale = table_find(&blocks->table, (const char *)&block->number, sizeof block->number) != NULL;
        if (!stale && blocks->table.count < count_max &&
            table_add(&blocks->table, &block->entry, (const char *)&block->number, sizeof block->number) ==
                0) {
            list_push(&blocks->used, &block->node);
            return;
        }
    }
    block_free(block);
}

/* ---- getting ---- */

/* Out of the block that has byte get->offset, if it is there. */
static int64_t get_kept(struct file_reader *reader, struct get *get)
{
    size_t size = reader->options->block_size;
    size_t at = (size_t)(get->offset % (int64_t)size), count = 0;
    pthread_mutex_lock(&reader->lock);
    struct block *block = block_find(reader, get->offset / (int64_t)size);
    if (block && block->size > at) {
        struct blocks *blocks = reader->state;
        list_remove(&block->node);
        list_push(&blocks->used, &block->node);
        block->users++;
        count = block->size - at < get->size ? block->size - at : get->size;
    }
    pthread_mutex_unlock(&reader->lock);
    if (count == 0)
        return 0;
    memcpy(get->buffer, block->data + at, count);
    pthread_mutex_lock(&reader->lock);
    block->users--;
    pthread_mutex_unlock(&reader->lock);
    return (int64_t)count;
}

/* How many blocks are missing one behind the other, from that of get->offset on. */
static int64_t count_missing(struct file_reader *reader, const struct get *get)
{
    int64_t size = (int64_t)reader->options->block_size;
    int64_t first = get->offset / size, last = (get->offset + (int64_t)get->size - 1) / size, count = 1;
    int64_t count_max = (int64_t)(RUN_SIZE_MAX / reader->options->block_size);
    if (count_max > reader->options->blocks_max)
        count_max = reader->options->blocks_max;
    pthread_mutex_lock(&reader->lock);
    while (count < count_max && first + count <= last && !block_find(reader, first + count))
        count++;
    pthread_mutex_unlock(&reader->lock);
    return count;
}

/* Keep what came, from the block `number` on. The last one of a file may be short. */
static void keep_run(struct file_reader *reader, int64_t number, const struct bytes_sink *bytes,
                     unsigned epoch)
{
    size_t size = reader->options->block_size;
    for (size_t at = 0; at < bytes->size; at += size) {
        struct block *block = mem_zero(sizeof *block);
        size_t count = bytes->size - at < size ? bytes->size - at : size;
        char *data = block ? mem_alloc(count) : NULL;
        if (!data) {
            mem_free(block);
            return;
        }
        memcpy(data, bytes->data + at, count);
        *block = (struct block){.number = number++, .data = data, .size = count, .epoch = epoch};
        list_init(&block->node);
        pthread_mutex_lock(&reader->lock);
        block_keep(reader, block);
        pthread_mutex_unlock(&reader->lock);
    }
}

static int64_t get_missing(struct file_reader *reader, struct get *get)
{
    int64_t size = (int64_t)reader->options->block_size, number = get->offset / size;
    int64_t start = number * size;
    int64_t end = file_read_end(reader, file_read_add(start, (size_t)(count_missing(reader, get) * size)));
    struct bytes_sink bytes;
    unsigned epoch;
    if (end <= get->offset)
        return 0;
    get->missed = true;
    bytes_sink_init(&bytes);
    int rc = file_read_fetch(reader, start, end, &bytes.sink, &epoch);
    if (rc == 0)
        rc = file_read_check_count(reader, start, end, bytes.size);
    size_t at = (size_t)(get->offset - start), count = 0;
    if (rc == 0) {
        keep_run(reader, number, &bytes, epoch);
        count = bytes.size > at ? bytes.size - at : 0;
        if (count > get->size)
            count = get->size;
        if (count > 0)
            memcpy(get->buffer, bytes.data + at, count);
    }
    bytes_sink_fini(&bytes);
    return rc < 0 ? rc : (int64_t)count;
}

static int prepare(struct file_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct blocks *blocks = reader->state;
    if (!blocks && (blocks = mem_zero(sizeof *blocks))) {
        list_init(&blocks->used);
        reader->state = blocks;
    }
    pthread_mutex_unlock(&reader->lock);
    return blocks ? 0 : fail_memory();
}

static int64_t block_get(struct file_reader *reader, struct get *get)
{
    int rc = prepare(reader);
    int64_t count = rc < 0 ? rc : get_kept(reader, get);
    if (count != 0)
        return count;
    return get->alone && reader->unranged ? file_read_stream(reader, get) : get_missing(reader, get);
}

static int block_open(struct file_reader *reader)
{
    return strategy_none.open(reader);
}

static void block_close(struct file_reader *reader, bool torn)
{
    struct blocks *blocks = take(reader->state);
    if (!blocks || torn)
        return;
    list_for_each_safe (node, &blocks->used)
        block_free(container_of(node, struct block, node));
    table_fini(&blocks->table);
    mem_free(blocks);
}

const struct strategy strategy_block = {"block", block_open, block_get, block_close};
