/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed data, as a stream in any pieces, and in open files. */
#include "task_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "fs/compress.h"
#include "fs/fs.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SIZE         ((size_t)300001)

static char *data; /* half of it shrinks */
static struct larder_fs *fs;
static const char *const names[] = {"gzip", "zstd"};

struct blob {
    char *data;
    size_t size;
};

static void blob_add(struct blob *blob, const void *more, size_t size)
{
    blob->data = realloc(blob->data, blob->size + size + 1);
    memcpy(blob->data + blob->size, more, size);
    blob->size += size;
}

/* ---- what the libraries themselves make ---- */

static struct blob gzip_of(const void *content, size_t size)
{
    struct blob blob = {malloc(size + size / 100 + 100), 0};
    z_stream zlib = {.next_in = (Bytef *)content, .avail_in = (uInt)size, .next_out = (Bytef *)blob.data};
    zlib.avail_out = (uInt)(size + size / 100 + 100);
    assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    blob.size = zlib.total_out;
    deflateEnd(&zlib);
    return blob;
}

static struct blob zstd_of(const void *content, size_t size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    struct blob blob = {malloc(ZSTD_compressBound(size)), 0};
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    blob.size = ZSTD_compress2(context, blob.data, ZSTD_compressBound(size), content, size);
    ZSTD_freeCCtx(context);
    return blob;
}

static struct blob compressed_by_library(const char *name, const void *content, size_t size)
{
    return strcmp(name, "gzip") == 0 ? gzip_of(content, size) : zstd_of(content, size);
}

/* ---- streams ---- */

/* All of it, given and taken in such pieces; at most `out_max` bytes. */
static int decode(const char *name, struct blob blob, size_t in_piece, size_t out_piece, size_t out_max,
                  struct blob *out)
{
    struct decoder *decoder = NULL;
    struct run run = {.in = blob.data};
    char *room = malloc(out_piece);
    int rc = decoder_new(compression_find(name), &decoder);
    while (rc == 0 && out->size < out_max) {
        size_t left = (size_t)(blob.data + blob.size - run.in);
        run.in_size = left < in_piece ? left : in_piece;
        run.out = room;
        run.out_size = out_piece;
        rc = decoder_step(decoder, &run);
        blob_add(out, room, out_piece - run.out_size);
        if (run.out_size > 0 && run.in == blob.data + blob.size)
            break;
    }
    if (rc == 0 && out->size < out_max)
        rc = decoder_end(decoder);
    decoder_free(decoder);
    free(room);
    return rc;
}

static void assert_decodes(const char *name, struct blob blob, const void *content, size_t size)
{
    static const size_t pieces[][2] = {{1, 4096}, {4096, 1}, {7, 13}, {1 << 20, 1 << 20}};
    for (size_t i = 0; i < 4; i++) {
        struct blob out = {0};
        if (i < 2 && size > 20000)
            continue;
        assert_status(0, decode(name, blob, pieces[i][0], pieces[i][1], SIZE_MAX, &out));
        assert_int_equal(out.size, size);
        assert_memory_equal(out.data ? out.data : "", content, size);
        free(out.data);
    }
}

static void what_a_library_compressed_comes_out_in_any_pieces(void **state)
{
    static const size_t sizes[] = {0, 1, 10000, SIZE};
    for (size_t n = 0; n < 2; n++)
        for (size_t s = 0; s < 4; s++) {
            struct blob blob = compressed_by_library(names[n], data, sizes[s]);
            assert_decodes(names[n], blob, data, sizes[s]);
            free(blob.data);
        }
}

static void members_and_frames_follow_each_other(void **state)
{
    for (size_t n = 0; n < 2; n++) {
        struct blob all = {0};
        for (size_t i = 0; i < 5; i++) {
            struct blob one = compressed_by_library(names[n], data + i * 1000, i == 2 ? 0 : 1000);
            blob_add(&all, one.data, one.size);
            free(one.data);
        }
        struct blob content = {0};
        blob_add(&content, data, 2000);
        blob_add(&content, data + 3000, 2000);
        assert_decodes(names[n], all, content.data, 4000);
        free(content.data);
        free(all.data);
    }
}

static void zeros_may_pad_gzip_and_frames_of_zstd_be_skipped(void **state)
{
    static const char zeros[513], skippable[] = "\x50\x2a\x4d\x18\x05\0\0\0abcde";
    struct blob gzip = gzip_of(data, 1000), zstd = {0}, frame = zstd_of(data, 1000), out = {0};
    blob_add(&gzip, zeros, sizeof zeros);
    assert_decodes("gzip", gzip, data, 1000);
    blob_add(&gzip, "x", 1);
    assert_status(-EBADMSG, decode("gzip", gzip, 100, 100, SIZE_MAX, &out));
    blob_add(&zstd, skippable, 13);
    blob_add(&zstd, frame.data, frame.size);
    blob_add(&zstd, skippable, 13);
    assert_decodes("zstd", zstd, data, 1000);
    free(gzip.data);
    free(zstd.data);
    free(frame.data);
    free(out.data);
}

static void what_ends_too_early_is_no_end(void **state)
{
    for (size_t n = 0; n < 2; n++) {
        struct blob blob = compressed_by_library(names[n], data, 3000);
        for (size_t size = 1; size < blob.size; size++) {
            struct blob out = {0};
            assert_status(-EBADMSG, decode(names[n], (struct blob){blob.data, size}, 64, 64, SIZE_MAX, &out));
            free(out.data);
        }
        assert_non_null(strstr(larder_error(), names[n]));
        free(blob.data);
    }
}

/* The header of gzip has bytes that mean nothing; all the rest is under a checksum. */
static void what_is_damaged_never_comes_out(void **state)
{
    for (size_t n = 0; n < 2; n++) {
        struct blob blob = compressed_by_library(names[n], data, 3000);
        for (size_t at = 0; at < blob.size; at++) {
            struct blob out = {0};
            blob.data[at] ^= 0x20;
            int rc = decode(names[n], blob, 100, 100, 1 << 20, &out);
            if (rc == 0 && (out.size != 3000 || memcmp(out.data, data, 3000) != 0))
                fail_msg("%s: byte %zu is damaged, and nobody noticed", names[n], at);
            if (rc != 0)
                assert_true(rc == -EBADMSG || rc == -ENOTSUP);
            blob.data[at] ^= 0x20;
            free(out.data);
        }
        free(blob.data);
    }
}

static void a_window_without_measure_is_refused(void **state)
{
    /* The header of a frame that wants a window of 2 GiB. */
    struct blob blob = {(char *)"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9}, out = {0};
    assert_status(-ENOTSUP, decode("zstd", blob, 9, 100, SIZE_MAX, &out));
    free(out.data);
}

static void what_tells_by_its_name_and_its_first_bytes(void **state)
{
    struct blob gzip = gzip_of(data, 10), zstd = zstd_of(data, 10);
    assert_ptr_equal(compression_by_content(gzip.data, gzip.size), compression_find("gzip"));
    assert_ptr_equal(compression_by_content(zstd.data, zstd.size), compression_find("zstd"));
    assert_null(compression_by_content(gzip.data, 2));
    assert_null(compression_by_content(zstd.data, 3));
    assert_null(compression_by_content("text", 4));
    assert_ptr_equal(compression_by_suffix("a/b.txt.gz"), compression_find("gzip"));
    assert_ptr_equal(compression_by_suffix("b.zst"), compression_find("zstd"));
    assert_null(compression_by_suffix(".gz"));
    assert_null(compression_by_suffix("a.gz.txt"));
    assert_null(compression_find("none"));
    free(gzip.data);
    free(zstd.data);
}

/* ---- files ---- */

static struct larder_file *open_file(const char *path, const char *mode, const char *const options[])
{
    struct larder_file *file = NULL;
    assert_ok(larder_file_open(fs, path, mode, options, &file));
    return file;
}

static void write_file(const char *path, const char *mode, size_t from, size_t size,
                       const char *const options[])
{
    struct larder_file *file = open_file(path, mode, options);
    for (size_t at = 0; at < size; at += 70001)
        assert_ok(larder_file_write(file, data + from + at, size - at < 70001 ? size - at : 70001));
    assert_ok(larder_file_close(file));
}

static void assert_reads(const char *path, size_t size, const char *option)
{
    char *buffer = malloc(SIZE);
    struct larder_file *file = open_file(path, "r", OPTIONS(option));
    assert_int_equal(larder_file_read(file, buffer, SIZE), size);
    assert_memory_equal(buffer, data, size);
    assert_int_equal(larder_file_read(file, buffer, SIZE), 0);
    assert_int_equal(larder_file_size(file), size);
    assert_ok(larder_file_close(file));
    free(buffer);
}

static int64_t stored_size(const char *path)
{
    int64_t size;
    assert_ok(larder_size(fs, path, &size));
    return size;
}

static void what_a_file_compresses_it_reads_again(void **state)
{
    static const char *const paths[] = {"a.gz", "a.zst"}, *const chosen[] = {"compression=gzip",
                                                                             "compression=zstd"};
    for (size_t n = 0; n < 2; n++) {
        write_file(paths[n], "w", 0, SIZE, OPTIONS("compression=auto"));
        assert_in_range(stored_size(paths[n]), 1000, SIZE * 3 / 4);
        assert_reads(paths[n], SIZE, "compression=auto");
        assert_reads(paths[n], SIZE, chosen[n]);
        write_file("plainly named", "w", 0, SIZE, OPTIONS(chosen[n], "level=1", "part_size=1000"));
        assert_reads("plainly named", SIZE, "compression=auto");
        write_file(paths[n], "w", 0, 0, OPTIONS("compression=auto"));
        assert_reads(paths[n], 0, "compression=auto");
        /* A file of a library's making, and one of ours in a library's hands. */
        struct blob blob = compressed_by_library(names[n], data, SIZE);
        assert_ok(larder_pipe_file(fs, "theirs", blob.data, blob.size, 0));
        assert_reads("theirs", SIZE, chosen[n]);
        free(blob.data);
    }
}

static void a_level_is_heard(void **state)
{
    write_file("low.gz", "w", 0, SIZE, OPTIONS("compression=auto", "level=1"));
    write_file("high.gz", "w", 0, SIZE, OPTIONS("compression=auto", "level=9"));
    assert_true(stored_size("high.gz") < stored_size("low.gz"));
}

static void what_is_appended_is_one_more_member(void **state)
{
    static const char *const paths[] = {"log.gz", "log.zst"};
    for (size_t n = 0; n < 2; n++) {
        write_file(paths[n], "a", 0, 1000, OPTIONS("compression=auto"));
        write_file(paths[n], "a", 1000, 50000, OPTIONS("compression=auto", "part_size=300"));
        write_file(paths[n], "a", 51000, 1, OPTIONS("compression=auto"));
        assert_reads(paths[n], 51001, "compression=auto");
    }
}

static void what_is_not_compressed_is_read_as_it_is(void **state)
{
    char buffer[10];
    assert_ok(larder_pipe_file(fs, "plain.gz", "text", 4, 0));
    struct larder_file *file = open_file("plain.gz", "r", OPTIONS("compression=auto"));
    assert_int_equal(larder_file_read(file, buffer, 10), 4);
    assert_int_equal(larder_file_size(file), 4);
    larder_file_close(file);
    file = open_file("plain.gz", "r", OPTIONS("compression=gzip"));
    assert_status(-EBADMSG, (int)larder_file_read(file, buffer, 10));
    assert_non_null(strstr(larder_error(), "plain.gz"));
    larder_file_close(file);
    write_file("no suffix", "w", 0, 10, OPTIONS("compression=auto"));
    assert_int_equal(stored_size("no suffix"), 10);
}

static void a_seek_goes_on_or_begins_again(void **state)
{
    static const int64_t places[] = {5, 200000, 200010, 100, SIZE - 10, 0, SIZE + 5};
    char buffer[20];
    for (size_t n = 0; n < 2; n++) {
        char option[32] = "compression=";
        struct blob blob = compressed_by_library(names[n], data, SIZE);
        assert_ok(larder_pipe_file(fs, "seek", blob.data, blob.size, 0));
        free(blob.data);
        struct larder_file *file = open_file("seek", "r", OPTIONS(strcat(option, names[n])));
        assert_int_equal(larder_file_size(file), -ENODATA);
        assert_int_equal(larder_file_seek(file, 0, SEEK_END), -ESPIPE);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            int64_t left = (int64_t)SIZE - places[i], count = left < 0 ? 0 : left < 20 ? left : 20;
            assert_int_equal(larder_file_seek(file, places[i], SEEK_SET), places[i]);
            assert_int_equal(larder_file_read(file, buffer, 20), count);
            if (count > 0)
                assert_memory_equal(buffer, data + places[i], (size_t)count);
        }
        assert_int_equal(larder_file_seek(file, -20, SEEK_END), SIZE - 20); /* it was seen */
        assert_int_equal(larder_file_read(file, buffer, 20), 20);
        assert_memory_equal(buffer, data + SIZE - 20, 20);
        assert_int_equal(larder_file_pread(file, buffer, 20, 0), -ESPIPE);
        larder_file_close(file);
    }
}

static void damage_is_told_where_it_is_met(void **state)
{
    char *buffer = malloc(SIZE);
    struct blob blob = zstd_of(data, SIZE);
    assert_ok(larder_pipe_file(fs, "cut", blob.data, blob.size - 3, 0));
    struct larder_file *file = open_file("cut", "r", OPTIONS("compression=zstd"));
    assert_int_equal(larder_file_read(file, buffer, 1000), 1000);
    assert_status(-EBADMSG, (int)larder_file_read(file, buffer, SIZE));
    assert_int_equal(larder_file_tell(file), 1000);
    assert_int_equal(larder_file_read(file, buffer, 1000), 1000); /* what is before it can be read */
    assert_memory_equal(buffer, data + 1000, 1000);
    larder_file_close(file);
    free(blob.data);
    free(buffer);
}

/* 64 MiB of zeros in some 300 KiB, of which a reader takes a little. */
static void a_bomb_is_a_stream_like_any_other(void **state)
{
    static char zeros[1 << 20];
    struct larder_file *file = open_file("bomb.gz", "w", OPTIONS("compression=auto", "level=1"));
    for (int i = 0; i < 64; i++)
        assert_ok(larder_file_write(file, zeros, sizeof zeros));
    assert_ok(larder_file_close(file));
    assert_in_range(stored_size("bomb.gz"), 1000, 2 << 20);
    file = open_file("bomb.gz", "r", OPTIONS("compression=auto"));
    assert_int_equal(larder_file_seek(file, 63 << 20, SEEK_SET), 63 << 20);
    assert_int_equal(larder_file_read(file, zeros, 10), 10);
    larder_file_close(file);
}

static int read_and_write_in_a_task(void *arg)
{
    char *buffer = malloc(SIZE);
    struct larder_file *file = NULL;
    CHECK(larder_file_open(fs, "task.gz", "w", OPTIONS("compression=auto", "part_size=5000"), &file) == 0);
    CHECK(larder_file_write(file, data, SIZE) == 0);
    CHECK(larder_file_flush(file) == 0);
    CHECK(larder_file_close(file) == 0);
    CHECK(larder_file_open(fs, "task.gz", "r", OPTIONS("compression=auto"), &file) == 0);
    CHECK(larder_file_read(file, buffer, 10) == 10 && larder_file_read(file, buffer + 10, SIZE) == SIZE - 10);
    CHECK(memcmp(buffer, data, SIZE) == 0);
    CHECK(larder_file_close(file) == 0);
    free(buffer);
    return 0;
}

static void a_task_reads_and_writes_them_too(void **state)
{
    assert_ok(larder_sync(NULL, read_and_write_in_a_task, NULL, 0));
}

static int read_in_child(struct larder_file *file)
{
    char buffer[1000];
    int64_t count = larder_file_read(file, buffer, 1000);
    return count == 1000 && memcmp(buffer, data + 1000, 1000) == 0 && larder_file_close(file) == 0 ? 0 : 1;
}

static void a_forks_child_reads_on(void **state)
{
    char buffer[1000];
    if (UNDER_TSAN)
        skip();
    write_file("fork.gz", "w", 0, SIZE, OPTIONS("compression=auto"));
    struct larder_file *file = open_file("fork.gz", "r", OPTIONS("compression=auto"));
    assert_int_equal(larder_file_read(file, buffer, 1000), 1000);
    pid_t child = fork();
    if (child == 0)
        _exit(read_in_child(file));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ok(larder_file_close(file));
}

/* ---- without memory ---- */

static int starved(void *arg)
{
    struct larder_file *file = NULL;
    char buffer[1000];
    const char *const *options = arg;
    int rc = larder_file_open(fs, "starved", "w", options, &file);
    if (rc < 0)
        return rc;
    rc = larder_file_write(file, data, 2000);
    int closed = larder_file_close(file);
    if (rc < 0 || closed < 0)
        return rc < 0 ? rc : closed;
    rc = larder_file_open(fs, "starved", "r", options, &file);
    if (rc < 0)
        return rc;
    int64_t count = larder_file_read(file, buffer, 1000);
    larder_file_close(file);
    return count < 0 ? (int)count : 0;
}

static void every_allocation_may_fail(void **state)
{
    alloc_fault_run(starved, (void *)OPTIONS("compression=gzip"));
    alloc_fault_run(starved, (void *)OPTIONS("compression=zstd"));
}

static int setup(void **state)
{
    data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i / 500 % 2 ? i * 2654435761u >> 21 : i % 7);
    backend_register(&memory_backend);
    return fs_open(NULL, "memory://test_compress", NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    free(data);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_library_compressed_comes_out_in_any_pieces),
        cmocka_unit_test(members_and_frames_follow_each_other),
        cmocka_unit_test(zeros_may_pad_gzip_and_frames_of_zstd_be_skipped),
        cmocka_unit_test(what_ends_too_early_is_no_end),
        cmocka_unit_test(what_is_damaged_never_comes_out),
        cmocka_unit_test(a_window_without_measure_is_refused),
        cmocka_unit_test(what_tells_by_its_name_and_its_first_bytes),
        cmocka_unit_test(what_a_file_compresses_it_reads_again),
        cmocka_unit_test(a_level_is_heard),
        cmocka_unit_test(what_is_appended_is_one_more_member),
        cmocka_unit_test(what_is_not_compressed_is_read_as_it_is),
        cmocka_unit_test(a_seek_goes_on_or_begins_again),
        cmocka_unit_test(damage_is_told_where_it_is_met),
        cmocka_unit_test(a_bomb_is_a_stream_like_any_other),
        cmocka_unit_test(a_task_reads_and_writes_them_too),
        cmocka_unit_test(a_forks_child_reads_on),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
