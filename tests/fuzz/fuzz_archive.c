/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that are sound but say anything: the input is a row of frames, kind(1) size(2) body, which get checksums and
 * are packed. Whatever they say, the cache can be listed and exported afterwards, and what is exported is taken again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "larder.h"

#include "cache/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_SIZE ((size_t)8 << 20)

static struct larder_cache *cache;

struct bytes {
    char *data;
    size_t size, at;
};

static int64_t give(void *arg, void *buffer, size_t size)
{
    struct bytes *bytes = arg;
    size_t left = bytes->size - bytes->at, piece = left < size ? left : size;
    memcpy(buffer, bytes->data + bytes->at, piece);
    bytes->at += piece;
    return (int64_t)piece;
}

static int take_piece(void *arg, const void *data, size_t size)
{
    struct bytes *bytes = arg;
    if (size > OUT_SIZE - bytes->size)
        abort(); /* nothing of that size went in */
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 0;
}

static int look(void *arg, const struct larder_cache_entry *entry)
{
    if (!entry->path || !entry->url || entry->bytes_there < 0)
        abort();
    return 0;
}

static char dir[] = "/tmp/larder-fuzz-XXXXXX";

static void remove_cache(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        abort();
}

static void open_cache(void)
{
    char option[64];
    const char *options[] = {option, "max_size=4M", NULL};
    if (!mkdtemp(dir))
        abort();
    atexit(remove_cache);
    snprintf(option, sizeof option, "dir=%s", dir);
    if (larder_cache_open(options, &cache) < 0)
        abort();
}

static void frame_all(const uint8_t *data, size_t size, struct buffer *raw)
{
    while (size >= 3) {
        size_t body = (size_t)data[1] | (size_t)data[2] << 8, there = size - 3 < body ? size - 3 : body;
        size_t frame = frame_begin(raw, data[0]);
        buffer_add(raw, data + 3, there);
        frame_end(raw, frame);
        data += 3 + there;
        size -= 3 + there;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer raw = BUFFER((size_t)1 << 20);
    struct bytes in = {0}, out = {.data = malloc(OUT_SIZE)};
    if (!cache)
        open_cache();
    frame_all(data, size, &raw);
    in.data = malloc(ZSTD_compressBound(raw.size));
    if (!in.data || !out.data)
        abort();
    in.size = ZSTD_compress(in.data, ZSTD_compressBound(raw.size), raw.data, raw.size, 1);
    larder_cache_import(cache, give, &in, NULL);
    if (larder_cache_list(cache, NULL, "", look, NULL) < 0 ||
        larder_cache_export(cache, NULL, 0, take_piece, &out, NULL) < 0 ||
        larder_cache_import(cache, give, &out, NULL) < 0 || larder_cache_clear(cache, NULL, "") < 0)
        abort();
    buffer_free(&raw);
    free(in.data);
    free(out.data);
    return 0;
}
