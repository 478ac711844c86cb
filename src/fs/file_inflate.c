/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading compressed data in order. The decoder is somewhere in it: `at`, counted in what it holds. A get further on
 * reads what lies between; one further back begins again. So a get that failed or was cancelled midway leaves nothing
 * to be put right.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/compress.h"
#include "fs/enter.h"
#include "fs/file_object.h"

#define IN_SIZE   ((size_t)64 << 10)
#define SKIP_SIZE ((size_t)64 << 10)
#define HERE_SIZE ((size_t)16 << 10) /* as much is decoded in a task itself; more, on a worker */

struct inflating {
    const struct compression *compression;
    struct decoder *decoder; /* NULL: at the beginning */
    int64_t at, raw_at;      /* of the next byte out; of the next in */
    struct run run;          /* `in` is what is left of `buffer` */
    char *buffer;            /* IN_SIZE; mem */
    char *skipped;           /* SKIP_SIZE; mem; NULL before its first use */
    bool raw_end;
    int64_t size;
};

int file_inflate_open(struct larder_file *file)
{
    const struct compression *compression = file->options.compression;
    if (file->options.compression_auto) {
        char first[COMPRESSION_CONTENT_SIZE];
        int64_t count = file_read_get(&file->reader, first, sizeof first, 0, true);
        if (count < 0)
            return (int)count;
        compression = compression_by_content(first, (size_t)count);
    }
    if (!compression)
        return 0;
    struct inflating *inflating = mem_zero(sizeof *inflating);
    char *buffer = mem_alloc(IN_SIZE);
    if (!inflating || !buffer) {
        mem_free(inflating);
        mem_free(buffer);
        return fail_memory();
    }
    inflating->compression = compression;
    inflating->buffer = buffer;
    inflating->size = LARDER_SIZE_UNKNOWN;
    file->inflating = inflating;
    return 0;
}

static int begin(struct inflating *inflating)
{
    decoder_free(take(inflating->decoder));
    inflating->at = inflating->raw_at = 0;
    inflating->run.in = inflating->buffer;
    inflating->run.in_size = 0;
    inflating->raw_end = false;
    return decoder_new(inflating->compression, &inflating->decoder);
}

static int read_raw(struct larder_file *file, struct inflating *inflating)
{
    int64_t count = file_read_get(&file->reader, inflating->buffer, IN_SIZE, inflating->raw_at, true);
    if (count < 0)
        return (int)count;
    inflating->raw_at += count;
    inflating->raw_end = count < (int64_t)IN_SIZE;
    inflating->run.in = inflating->buffer;
    inflating->run.in_size = (size_t)count;
    return 0;
}

static int decode(void *arg)
{
    struct inflating *inflating = arg;
    return decoder_step(inflating->decoder, &inflating->run);
}

/* The bytes that come next: as many as there is room for, but at the end. */
static int64_t read_on(struct larder_file *file, struct inflating *inflating, char *buffer, size_t size)
{
    int rc = 0;
    inflating->run.out = buffer;
    inflating->run.out_size = size;
    while (rc == 0) {
        int64_t before = (int64_t)inflating->run.out_size;
        rc = size > HERE_SIZE ? enter_work(decode, inflating) : decode(inflating);
        inflating->at += before - (int64_t)inflating->run.out_size;
        if (rc < 0) /* what it would say next is not known */
            decoder_free(take(inflating->decoder));
        if (rc < 0 || inflating->run.out_size == 0)
            break;
        if (inflating->raw_end) {
            rc = decoder_end(inflating->decoder);
            break;
        }
        rc = read_raw(file, inflating);
    }
    if (rc < 0)
        return fail_more(rc, "%s", file->path);
    if (inflating->run.out_size > 0)
        inflating->size = inflating->at;
    return (int64_t)(size - inflating->run.out_size);
}

static int64_t skip_to(struct larder_file *file, struct inflating *inflating, int64_t offset)
{
    if (inflating->at < offset && !inflating->skipped && !(inflating->skipped = mem_alloc(SKIP_SIZE)))
        return fail_memory();
    while (inflating->at < offset) {
        int64_t left = offset - inflating->at;
        int64_t count = read_on(file, inflating, inflating->skipped,
                                left < (int64_t)SKIP_SIZE ? (size_t)left : SKIP_SIZE);
        if (count <= 0)
            return count;
    }
    return 1;
}

int64_t file_inflate_get(struct larder_file *file, void *buffer, size_t size, int64_t offset)
{
    struct inflating *inflating = file->inflating;
    if (inflating->size >= 0 && offset >= inflating->size)
        return 0;
    int rc = !inflating->decoder || offset < inflating->at ? begin(inflating) : 0;
    int64_t there = rc < 0 ? rc : skip_to(file, inflating, offset);
    if (there <= 0 || size == 0)
        return there < 0 ? there : 0;
    return read_on(file, inflating, buffer, size);
}

int64_t file_inflate_size(const struct larder_file *file)
{
    return file->inflating->size;
}

void file_inflate_after_fork(struct larder_file *file, bool torn)
{
    struct inflating *inflating = file->inflating;
    struct decoder *decoder = take(inflating->decoder);
    if (!torn)
        decoder_free(decoder);
}

void file_inflate_free(struct larder_file *file)
{
    struct inflating *inflating = take(file->inflating);
    if (!inflating)
        return;
    decoder_free(inflating->decoder);
    mem_free(inflating->buffer);
    mem_free(inflating->skipped);
    mem_free(inflating);
}
