/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: what fsspec's abstract suite for open asks, and what Larder promises beyond it. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SEED         77

/* ---- reading ---- */

static int read_in_every_way(struct scenario_run *run, struct larder_file *file, size_t size)
{
    static const int64_t places[] = {0, 70000, 10, 199990, 65530, 3};
    char buffer[100];
    REQUIRE_IS((long long)size, larder_file_size(file));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        REQUIRE_IS(places[i], larder_file_seek(file, places[i], SEEK_SET));
        int64_t count = larder_file_read(file, buffer, 100);
        REQUIRE_IS((int64_t)size - places[i] < 100 ? (int64_t)size - places[i] : 100, count);
        REQUIRE(content_matches(buffer, (size_t)count, SEED, (uint64_t)places[i]));
        REQUIRE_IS(places[i] + count, larder_file_tell(file));
        REQUIRE_IS(count, larder_file_pread(file, buffer, 100, places[i]));
        REQUIRE(content_matches(buffer, (size_t)count, SEED, (uint64_t)places[i]));
    }
    REQUIRE_IS((long long)size - 5, larder_file_seek(file, -5, SEEK_END));
    REQUIRE_IS(5, larder_file_read(file, buffer, 100));
    REQUIRE_IS(0, larder_file_read(file, buffer, 100));
    REQUIRE_IS((long long)size + 50, larder_file_seek(file, 50, SEEK_CUR));
    REQUIRE_IS(0, larder_file_read(file, buffer, 100));
    REQUIRE_IS(-EINVAL, larder_file_seek(file, -1, SEEK_SET));
    return 0;
}

static int read_in_order(struct scenario_run *run, struct larder_file *file, size_t size)
{
    char buffer[3333];
    REQUIRE_IS(0, larder_file_seek(file, 0, SEEK_SET));
    for (size_t at = 0; at < size; at += sizeof buffer) {
        size_t count = size - at < sizeof buffer ? size - at : sizeof buffer;
        REQUIRE_IS((long long)count, larder_file_read(file, buffer, sizeof buffer));
        REQUIRE(content_matches(buffer, count, SEED, at));
    }
    REQUIRE_IS(0, larder_file_read(file, buffer, sizeof buffer));
    return 0;
}

static int file_reads_like_cat(struct scenario_run *run)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=whole",
                                             "strategy=none"};
    struct larder_file *file = NULL;
    size_t size = 200000;
    char *content = malloc(size), byte;
    content_fill(content, size, SEED, 0);
    int rc = put_file(run, "file", content, size);
    free(content);
    REQUIRE_IS(0, rc);
    REQUIRE_IS(0, put_text(run, "empty", ""));
    REQUIRE_IS(0, put_text(run, "dir/file", "x"));
    for (size_t i = 0; i < 4; i++) {
        const char *const *options = OPTIONS(strategies[i], "block_size=10000", "blocks_max=4");
        REQUIRE_IS(0, larder_file_open(run->fs, "file", "rb", options, &file));
        REQUIRE_IS(0, read_in_every_way(run, file, size));
        REQUIRE_IS(0, read_in_order(run, file, size));
        REQUIRE_IS(0, larder_file_close(file));
        REQUIRE_IS(0, larder_file_open(run->fs, "empty", "r", options, &file));
        REQUIRE_IS(0, larder_file_read(file, &byte, 1));
        REQUIRE_IS(0, larder_file_size(file));
        REQUIRE_IS(0, larder_file_close(file));
        REQUIRE_IS(-ENOENT, larder_file_open(run->fs, "none", "r", options, &file));
        REQUIRE_IS(-EISDIR, larder_file_open(run->fs, "dir", "r", options, &file));
    }
    return 0;
}

static int file_reads_compressed(struct scenario_run *run)
{
    static const unsigned char hello[] = {/* printf hello | gzip -n */
                                          0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                          0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86,
                                          0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00};
    struct larder_file *file = NULL;
    char buffer[20];
    REQUIRE_IS(0, put_file(run, "hello.gz", hello, sizeof hello));
    REQUIRE_IS(0, put_file(run, "cut.gz", hello, sizeof hello - 4));
    REQUIRE_IS(0, larder_file_open(run->fs, "hello.gz", "r", OPTIONS("compression=auto"), &file));
    REQUIRE_IS(5, larder_file_read(file, buffer, sizeof buffer));
    REQUIRE(memcmp(buffer, "hello", 5) == 0);
    REQUIRE_IS(1, larder_file_seek(file, 1, SEEK_SET));
    REQUIRE_IS(2, larder_file_read(file, buffer, 2));
    REQUIRE(memcmp(buffer, "el", 2) == 0);
    REQUIRE_IS(0, larder_file_close(file));
    REQUIRE_IS(0, larder_file_open(run->fs, "cut.gz", "r", OPTIONS("compression=gzip"), &file));
    REQUIRE_IS(-EBADMSG, larder_file_read(file, buffer, sizeof buffer));
    REQUIRE_IS(0, larder_file_close(file));
    return 0;
}

/* ---- writing ---- */

static int content_is(struct scenario_run *run, const char *path, size_t size)
{
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_cat_file(run->fs, path, NULL, &bytes));
    bool same = bytes.size == size && content_matches(bytes.data, size, SEED, 0);
    larder_bytes_free(&bytes);
    REQUIRE(same);
    return 0;
}

static int write_pieces(struct scenario_run *run, struct larder_file *file, size_t size)
{
    static const size_t pieces[] = {1, 77777, 1048576, 13, 3333333, 65536};
    size_t piece = 0;
    char *content = malloc(3333333);
    for (size_t at = 0, i = 0; at < size; at += piece, i++) {
        piece = pieces[i % 6] < size - at ? pieces[i % 6] : size - at;
        content_fill(content, piece, SEED, at);
        REQUIRE_IS(0, larder_file_write(file, content, piece));
    }
    free(content);
    REQUIRE_IS((long long)size, larder_file_tell(file));
    return 0;
}

static int file_writes_show_at_close(struct scenario_run *run)
{
    static const size_t sizes[] = {0, 10, 100000, 3000000};
    const char *const *options = OPTIONS("parents=true", "part_size=1M");
    struct larder_file *file = NULL;
    for (size_t i = 0; i < 4; i++) {
        REQUIRE_IS(0, larder_file_open(run->fs, "d/new", "wb", options, &file));
        REQUIRE_IS(0, write_pieces(run, file, sizes[i]));
        REQUIRE_IS(0, larder_file_flush(file));
        REQUIRE_IS(0, larder_exists(run->fs, "d/new"));
        REQUIRE_IS(0, larder_file_close(file));
        REQUIRE_IS(0, content_is(run, "d/new", sizes[i]));
        REQUIRE_IS(0, larder_file_open(run->fs, "d/new", "w", options, &file)); /* abandoned */
        REQUIRE_IS(0, write_pieces(run, file, 3000000));
        larder_file_discard(file);
        REQUIRE_IS(0, content_is(run, "d/new", sizes[i]));
        REQUIRE_IS(0, larder_rm_file(run->fs, "d/new"));
    }
    return 0;
}

/* Around each mebibyte, where parts may meet. */
static int sample(struct scenario_run *run, const char *path, size_t size)
{
    struct larder_file *file = NULL;
    char buffer[200];
    REQUIRE_IS(0, larder_file_open(run->fs, path, "r", OPTIONS("strategy=none"), &file));
    REQUIRE_IS((long long)size, larder_file_size(file));
    for (size_t at = (size_t)1 << 20; at < size; at += (size_t)1 << 20) {
        REQUIRE_IS(200, larder_file_pread(file, buffer, 200, (int64_t)at - 100));
        REQUIRE(content_matches(buffer, 200, SEED, at - 100));
    }
    REQUIRE_IS(200, larder_file_pread(file, buffer, 200, (int64_t)size - 200));
    REQUIRE(content_matches(buffer, 200, SEED, size - 200));
    REQUIRE_IS(0, larder_file_close(file));
    return 0;
}

static int file_writes_in_odd_pieces(struct scenario_run *run)
{
    struct larder_file *file = NULL;
    size_t size = (size_t)64 << 20;
    REQUIRE_IS(0, larder_file_open(run->fs, "large", "w", NULL, &file));
    REQUIRE_IS(0, write_pieces(run, file, size));
    REQUIRE_IS(0, larder_file_close(file));
    REQUIRE_IS(0, sample(run, "large", size));
    REQUIRE_IS(0, larder_rm_file(run->fs, "large"));
    return 0;
}

static int file_x_refuses_what_exists(struct scenario_run *run)
{
    struct larder_file *file = NULL;
    REQUIRE_IS(0, put_text(run, "there", "old"));
    REQUIRE_IS(-EEXIST, larder_file_open(run->fs, "there", "xb", NULL, &file));
    for (size_t size = 10; size < 4000000; size += 3000000) {
        REQUIRE_IS(0, larder_file_open(run->fs, "new", "xb", OPTIONS("part_size=1M"), &file));
        REQUIRE_IS(0, write_pieces(run, file, size));
        REQUIRE_IS(0, larder_file_close(file));
        REQUIRE_IS(0, content_is(run, "new", size));
        REQUIRE_IS(0, larder_rm_file(run->fs, "new"));
        REQUIRE_IS(0, larder_file_open(run->fs, "new", "x", OPTIONS("part_size=1M"), &file));
        REQUIRE_IS(0, write_pieces(run, file, size));
        REQUIRE_IS(0, put_meanwhile(run, "new", "meanwhile"));
        REQUIRE_IS(-EEXIST, larder_file_close(file));
        REQUIRE_IS(0, larder_rm_file(run->fs, "new"));
    }
    return 0;
}

static int file_a_appends(struct scenario_run *run)
{
    struct larder_file *file = NULL;
    char piece[1000];
    size_t end = run->place->gaps & GAP_YOUNG ? 2000 : 5000; /* each takes a second there */
    for (size_t at = 0; at < end; at += 1000) {
        content_fill(piece, 1000, SEED, at);
        REQUIRE(at == 0 || grow_old(run, "log") == 0);
        REQUIRE_IS(0, larder_file_open(run->fs, "log", "ab", OPTIONS("part_size=1500"), &file));
        REQUIRE_IS((long long)at, larder_file_tell(file));
        REQUIRE_IS(0, larder_file_write(file, piece, 1000));
        REQUIRE_IS(0, larder_file_close(file));
        REQUIRE_IS(0, content_is(run, "log", at + 1000));
    }
    REQUIRE_IS(0, grow_old(run, "log"));
    REQUIRE_IS(0, larder_file_open(run->fs, "log", "a", NULL, &file));
    REQUIRE_IS(0, larder_file_write(file, piece, 1000));
    REQUIRE_IS(0, put_meanwhile(run, "log", "of another"));
    REQUIRE_IS(-ESTALE, larder_file_close(file));
    return 0;
}

const struct scenario open_file_scenarios[] = {
    {"an open file reads like cat", 0, file_reads_like_cat},
    {"an open file decompresses", 0, file_reads_compressed},
    {"a writer's bytes show at close", NEED_WRITE, file_writes_show_at_close},
    {"64 MiB in odd pieces", NEED_WRITE, file_writes_in_odd_pieces},
    {"mode x refuses what exists", NEED_WRITE | NEED_CREATE, file_x_refuses_what_exists},
    {"mode a appends", NEED_WRITE | NEED_CREATE, file_a_appends},
    {0},
};
