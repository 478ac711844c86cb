/* SPDX-License-Identifier: Apache-2.0 */
/* Caches as files: what goes in comes out on another machine, and nothing else does harm. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/seams.h"
#include "cache/archive.h"
#include "cache/format.h"
#include "cached_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define MIB       (1 << 20)
#define DAY_MS    86400000LL
#define COUNT(of) (sizeof(of) / sizeof(of)[0])

/* ---- archives in memory ---- */

struct archive {
    char *data;
    size_t size, capacity, at; /* of reading */
    size_t pieces;             /* seen */
    int fail;                  /* instead of the second piece */
};

static int take_piece(void *arg, const void *data, size_t size)
{
    struct archive *archive = arg;
    if (++archive->pieces == 2 && archive->fail)
        return archive->fail;
    if (archive->size + size > archive->capacity) {
        archive->capacity = 2 * (archive->size + size);
        archive->data = realloc(archive->data, archive->capacity);
        assert_non_null(archive->data);
    }
    memcpy(archive->data + archive->size, data, size);
    archive->size += size;
    return 0;
}

/* In pieces of odd sizes. */
static int64_t give_piece(void *arg, void *buffer, size_t size)
{
    struct archive *archive = arg;
    size_t left = archive->size - archive->at, piece = left < 7777 ? left : 7777;
    if (++archive->pieces == 2 && archive->fail)
        return archive->fail;
    assert_true(piece <= size);
    memcpy(buffer, archive->data + archive->at, piece);
    archive->at += piece;
    return (int64_t)piece;
}

static struct archive export_tree(const char *path, struct larder_archive_stats *stats)
{
    struct archive archive = {0};
    struct larder_cache_tree tree = {fs, path};
    *stats = (struct larder_archive_stats){.size = sizeof *stats};
    assert_ok(larder_cache_export(cache, &tree, path ? 1 : 0, take_piece, &archive, stats));
    return archive;
}

/* Another machine's cache. */
static struct larder_cache *open_other(const char *name, const char *more)
{
    char option[256];
    const char *options[] = {option, more, NULL};
    struct larder_cache *opened;
    snprintf(option, sizeof option, "dir=%s/%s", dir, name);
    assert_ok(larder_cache_open(options, &opened));
    return opened;
}

static struct larder_fs *offline_through(struct larder_cache *other)
{
    const char *options[] = {"mode=offline", NULL};
    struct larder_fs *plain, *out;
    assert_ok(fs_open(NULL, "fake://", NULL, &plain, NULL));
    assert_ok(larder_cache_fs(other, plain, options, &out));
    larder_fs_free(plain);
    return out;
}

static int import_into(struct larder_cache *other, struct archive *archive,
                       struct larder_archive_stats *stats)
{
    archive->at = archive->pieces = 0;
    *stats = (struct larder_archive_stats){.size = sizeof *stats};
    return larder_cache_import(other, give_piece, archive, stats);
}

/* ---- there and back ---- */

static void list(struct larder_fs *from, const char *path, size_t count)
{
    struct larder_entries entries;
    assert_ok(larder_ls(from, path, &entries));
    assert_int_equal(entries.count, count);
    larder_entries_free(&entries);
}

/* One of each kind. */
static void fill_cache(void)
{
    fake_put("t/small", 100, 1)->fresh_ms = 5000;
    fake_put("t/empty", 0, 2);
    fake_put("t/large", 9 * MIB + 77, 3);
    fake_put("t/weak", 100000, 4)->flags = ANSWER_WEAK;
    fake_put("t/weak large", 5 * MIB, 5)->flags = ANSWER_WEAK;
    fake_put("t/part", 2 * MIB, 6);
    fake_put("t/known", 50, 7);
    fake_put("u/other", 100, 8);
    assert_ok(read_all(fs, "t/small", 100, 1));
    assert_ok(read_all(fs, "t/empty", 0, 2));
    assert_ok(read_all(fs, "t/large", 9 * MIB + 77, 3));
    assert_ok(read_all(fs, "t/weak", 100000, 4));
    assert_ok(read_all(fs, "t/weak large", 5 * MIB, 5));
    assert_ok(read_part(fs, "t/part", 0, 10, 2 * MIB, 6));
    assert_ok(read_part(fs, "t/part", 200000, 400000, 2 * MIB, 6));
    assert_ok(read_part(fs, "t/part", -10, LARDER_TO_END, 2 * MIB, 6));
    assert_int_equal(larder_exists(fs, "t/known"), 1);
    assert_int_equal(larder_exists(fs, "t/none"), 0);
    assert_ok(read_all(fs, "u/other", 100, 8));
    list(fs, "t", 7);
    assert_ok(larder_cache_pin(cache, fs, "t/small"));
}

static void check_copy(struct larder_fs *offline)
{
    struct larder_info info;
    assert_ok(read_all(offline, "t/small", 100, 1));
    assert_ok(read_all(offline, "t/empty", 0, 2));
    assert_ok(read_all(offline, "t/large", 9 * MIB + 77, 3));
    assert_ok(read_all(offline, "t/weak", 100000, 4));
    assert_ok(read_all(offline, "t/weak large", 5 * MIB, 5));
    assert_ok(read_part(offline, "t/part", 0, 65504, 2 * MIB, 6));
    assert_ok(read_part(offline, "t/part", 196512, 400000, 2 * MIB, 6));
    assert_ok(read_part(offline, "t/part", -10, LARDER_TO_END, 2 * MIB, 6));
    assert_status(-ENONET, read_part(offline, "t/part", 100000, 100010, 2 * MIB, 6));
    assert_ok(larder_info(offline, "t/known", &info));
    assert_int_equal(info.size, 50);
    larder_info_free(&info);
    assert_status(-ENONET, read_all(offline, "t/known", 50, 7));
    assert_int_equal(larder_exists(offline, "t/none"), 0);
    list(offline, "t", 7);
}

static void what_goes_in_comes_out(void **state)
{
    struct larder_archive_stats out, in;
    fill_cache();
    struct archive archive = export_tree("t", &out);
    assert_int_equal(out.files, 7);
    assert_int_equal(out.listings, 1);
    assert_int_equal(out.entries, 9);
    assert_int_equal(out.pins, 1);
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    fake.fail = -EIO;
    assert_ok(import_into(other, &archive, &in));
    assert_int_equal(in.files, out.files);
    assert_int_equal(in.listings, out.listings);
    assert_int_equal(in.entries, out.entries);
    assert_int_equal(in.bytes, out.bytes);
    assert_int_equal(in.pins, 1);
    assert_int_equal(in.known, 0);
    check_copy(offline);
    assert_status(-ENONET, read_all(offline, "u/other", 100, 8));
    struct larder_cache_entry here = {.size = sizeof here}, there = here;
    assert_ok(larder_cache_why(fs, "t/small", &here));
    assert_ok(larder_cache_why(offline, "t/small", &there));
    assert_true(here.fetched_ns == there.fetched_ns && there.pinned);
    assert_string_equal(here.validator, there.validator);
    larder_cache_entry_free(&here);
    larder_cache_entry_free(&there);
    assert_ok(import_into(other, &archive, &in)); /* once more */
    assert_int_equal(in.known,
                     in.entries - 2); /* whether there is more of what lacks bytes only shows later */
    check_copy(offline);
    free(archive.data);
    larder_fs_free(offline);
    larder_cache_free(other);
}

static void without_a_tree_all_of_it_goes(void **state)
{
    struct larder_archive_stats out, in;
    fill_cache();
    struct archive archive = export_tree(NULL, &out);
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    clock_ahead_ms = 40 * DAY_MS; /* an archive may be old */
    assert_ok(import_into(other, &archive, &in));
    assert_int_equal(in.files, 8);
    check_copy(offline);
    assert_ok(read_all(offline, "u/other", 100, 8));
    free(archive.data);
    larder_fs_free(offline);
    larder_cache_free(other);
}

static void what_lacks_is_filled_in_and_what_is_younger_stays(void **state)
{
    struct larder_archive_stats out, in;
    struct larder_fs *offline = open_with("mode=offline");
    fake_put("f", 300000, 1);
    fake_put("g", 100, 2);
    assert_ok(read_all(fs, "f", 300000, 1));
    assert_ok(read_all(fs, "g", 100, 2));
    struct archive archive = export_tree("", &out);
    clock_ahead_ms = 100000;
    assert_ok(larder_cache_clear(cache, fs, ""));
    assert_ok(read_part(fs, "f", 0, 10, 300000, 1)); /* the same version, later, less of it */
    fake_put("g", 100, 3);
    assert_ok(read_all(fs, "g", 100, 3));
    flush_cache();
    assert_ok(import_into(cache, &archive, &in));
    assert_int_equal(in.known, 1);
    assert_ok(read_all(offline, "f", 300000, 1));
    assert_ok(read_all(offline, "g", 100, 3));
    struct larder_cache_entry entry = {.size = sizeof entry};
    assert_ok(larder_cache_why(fs, "f", &entry));
    assert_true(entry.fresh); /* as the read found it, not as the archive has it */
    larder_cache_entry_free(&entry);
    free(archive.data);
    larder_fs_free(offline);
}

static void a_large_archive_comes_in_pieces(void **state)
{
    struct larder_archive_stats out, in;
    struct larder_entries entries;
    char path[32];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "f%u", i);
        fake_put(path, 20 * MIB, i);
        assert_ok(read_all(fs, path, 20 * MIB, i));
    }
    assert_ok(larder_ls(fs, "", &entries));
    larder_entries_free(&entries);
    struct archive archive = export_tree("", &out);
    assert_true(archive.pieces > 10);
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    assert_ok(import_into(other, &archive, &in));
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "f%u", i);
        assert_ok(read_all(offline, path, 20 * MIB, i));
    }
    free(archive.data);
    larder_fs_free(offline);
    larder_cache_free(other);
}

static void what_does_not_fit_is_said(void **state)
{
    struct larder_archive_stats out, in;
    fake_put("f", 3 * MIB, 1);
    assert_ok(read_all(fs, "f", 3 * MIB, 1));
    assert_ok(larder_cache_pin(cache, fs, ""));
    struct archive archive = export_tree("", &out);
    struct larder_cache *other = open_other("small", "max_size=1M");
    assert_status(-ENOSPC, import_into(other, &archive, &in));
    assert_non_null(strstr(larder_error(), "cache.max_size"));
    free(archive.data);
    larder_cache_free(other);
}

/* ---- cut, damaged, hostile ---- */

static void the_caller_may_end_it(void **state)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    fake_put("f", 2 * MIB, 1);
    assert_ok(read_all(fs, "f", 2 * MIB, 1));
    struct archive archive = {.fail = -ECANCELED};
    assert_status(-ECANCELED, larder_cache_export(cache, NULL, 0, take_piece, &archive, &stats));
    free(archive.data);
    archive = export_tree("", &stats);
    archive.fail = -EPIPE;
    assert_status(-EPIPE, import_into(cache, &archive, &stats));
    free(archive.data);
}

static void put_small_tree(void)
{
    fake_put("t/a", 100, 1);
    fake_put("t/b", 70000, 2);
    assert_ok(read_all(fs, "t/a", 100, 1));
    assert_ok(read_all(fs, "t/b", 70000, 2));
    assert_int_equal(larder_exists(fs, "t/none"), 0);
    list(fs, "t", 2);
    assert_ok(larder_cache_pin(cache, fs, "t"));
}

static void a_cut_archive_is_told_wherever_it_is_cut(void **state)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    put_small_tree();
    struct archive archive = export_tree("", &stats);
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    size_t whole = archive.size;
    for (size_t size = 0; size < whole; size += size < 300 || size + 300 > whole ? 1 : 997) {
        archive.size = size;
        assert_status(-EBADMSG, import_into(other, &archive, &stats));
    }
    archive.size = whole;
    assert_ok(import_into(other, &archive, &stats));
    assert_ok(read_all(offline, "t/a", 100, 1));
    assert_ok(read_all(offline, "t/b", 70000, 2));
    archive.data = realloc(archive.data, whole + 1);
    archive.data[whole] = 0;
    archive.size = whole + 1;
    assert_status(-EBADMSG, import_into(other, &archive, &stats));
    free(archive.data);
    larder_fs_free(offline);
    larder_cache_free(other);
}

static void a_damaged_archive_brings_nothing_wrong(void **state)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    put_small_tree();
    struct archive archive = export_tree("", &stats);
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    for (size_t i = 0; i < archive.size; i += i < 300 || i + 300 > archive.size ? 1 : 1009) {
        archive.data[i] ^= 0x40;
        int rc = import_into(other, &archive, &stats);
        archive.data[i] ^= 0x40;
        if (rc != -EBADMSG && rc != 0)
            fail_msg("byte %zu: %d %s", i, rc, larder_error());
        assert_ok(larder_cache_flush(other));
        assert_in_range(read_all(offline, "t/a", 100, 1) == 0 || larder_exists(offline, "t/a") != 1, 1, 1);
        int b = read_all(offline, "t/b", 70000, 2);
        assert_true(b == 0 || b == -ENONET || b == -ENOENT);
        assert_ok(larder_cache_clear(other, NULL, ""));
    }
    free(archive.data);
    larder_fs_free(offline);
    larder_cache_free(other);
}

/* ---- hostile: sound frames that make no sense ---- */

static void put_frame(struct buffer *out, enum frame_kind kind, const void *data, size_t size)
{
    size_t frame = frame_begin(out, kind);
    buffer_add(out, data, size);
    frame_end(out, frame);
}

static void put_head(struct buffer *out, uint32_t version)
{
    size_t frame = frame_begin(out, FRAME_HEADER);
    buffer_add_text(out, ARCHIVE_MAGIC);
    put_u32(out, version);
    frame_end(out, frame);
}

static void put_file(struct buffer *out, enum frame_kind kind, const char *path, int64_t size,
                     const char *version)
{
    struct archive_entry entry = {.state = RECORD_KNOWN, .answered_ns = wall_ns(), .path = path};
    entry.answer = (struct answer){.info = {.type = kind == FRAME_LISTING ? LARDER_DIRECTORY : LARDER_FILE,
                                            .size = size,
                                            .version = version},
                                   .validator = version,
                                   .fresh_ms = -1,
                                   .stale_if_error_ms = -1};
    size_t frame = frame_begin(out, kind);
    put_entry(out, &entry);
    frame_end(out, frame);
}

static void put_data(struct buffer *out, int64_t offset, const void *data, size_t size)
{
    size_t frame = frame_begin(out, FRAME_DATA);
    put_u64(out, (uint64_t)offset);
    buffer_add(out, data, size);
    frame_end(out, frame);
}

static void put_name(struct buffer *out, const char *name)
{
    struct larder_info info = {.name = name, .type = LARDER_FILE, .size = 5};
    size_t frame = frame_begin(out, FRAME_NAMES);
    put_info(out, &info);
    frame_end(out, frame);
}

static void put_end(struct buffer *out, uint64_t count)
{
    size_t frame = frame_begin(out, FRAME_END);
    put_u64(out, count);
    frame_end(out, frame);
}

static int import_raw(struct larder_cache *other, struct buffer *raw)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    struct archive archive = {.data = malloc(ZSTD_compressBound(raw->size))};
    archive.size = ZSTD_compress(archive.data, ZSTD_compressBound(raw->size), raw->data, raw->size, 1);
    int rc = import_into(other, &archive, &stats);
    free(archive.data);
    return rc;
}

static void build(struct buffer *raw, unsigned which)
{
    static const char zeros[70000];
    *raw = BUFFER((size_t)64 << 20);
    put_head(raw, which == 1 ? 2 : ARCHIVE_VERSION);
    if (which == 2)
        put_head(raw, ARCHIVE_VERSION);
    if (which != 3)
        put_frame(raw, FRAME_PLACE, which == 4 ? "fa\0ke" : "fake://", which == 4 ? 5 : 7);
    if (which == 5)
        put_frame(raw, FRAME_PIN, "../up", 5);
    const char *path = which == 6   ? "../../etc/passwd"
                       : which == 7 ? "/etc/passwd"
                       : which == 8 ? "a//b"
                                    : "f";
    put_file(raw, which == 9 ? 'z' : FRAME_FILE, path,
             which == 10   ? -5
             : which == 11 ? INT64_MAX
                           : 70000,
             which == 12 ? NULL : "v1");
    if (which == 13)
        put_name(raw, "name");
    put_data(raw, which == 14 ? 1 : which == 15 ? -1 : 0, zeros, which == 16 ? 70000 : 65504);
    if (which == 17)
        put_data(raw, 65503, zeros, 10);
    if (which == 18)
        put_data(raw, 65504, zeros, 5000);
    put_file(raw, FRAME_LISTING, "d", 0, NULL);
    put_name(raw, which == 19 ? ".." : which == 20 ? "a/b" : which == 21 ? "" : "g");
    if (which == 22)
        put_data(raw, 0, zeros, 5);
    put_end(raw, which == 23 ? 3 : 2);
    if (which == 24)
        put_frame(raw, FRAME_PIN, "f", 1);
}

static void an_archive_that_lies_is_refused(void **state)
{
    static const unsigned fine[] = {0, 11, 12, 14, 16};
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    struct buffer raw;
    for (unsigned which = 0; which <= 24; which++) {
        bool expected = false;
        for (size_t i = 0; i < COUNT(fine); i++)
            expected |= fine[i] == which;
        build(&raw, which);
        int rc = import_raw(other, &raw);
        buffer_free(&raw);
        if (rc != (expected ? 0 : which == 1 ? -ENOTSUP : -EBADMSG))
            fail_msg("%u: %d %s", which, rc, larder_error());
        if (which == 11) { /* a size that nothing can be: told of, and no reason to count for ever */
            struct larder_cache_entry entry = {.size = sizeof entry};
            struct larder_archive_stats stats = {.size = sizeof stats};
            struct archive again = {0};
            assert_ok(larder_cache_why(offline, "f", &entry));
            assert_int_equal(entry.blocks_there, 1);
            larder_cache_entry_free(&entry);
            assert_ok(larder_cache_export(other, NULL, 0, take_piece, &again, &stats));
            free(again.data);
        }
        assert_ok(larder_cache_clear(other, NULL, ""));
    }
    assert_int_equal(larder_exists(offline, "f"), -ENONET);
    larder_fs_free(offline);
    larder_cache_free(other);
}

static void a_window_too_large_is_refused(void **state)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    struct buffer raw;
    struct larder_cache *other = open_other("other", NULL);
    ZSTD_CCtx *packer = ZSTD_createCCtx();
    struct archive archive = {.data = malloc(200000)};
    build(&raw, 0);
    ZSTD_CCtx_setParameter(packer, ZSTD_c_windowLog, 27);
    ZSTD_CCtx_setParameter(packer, ZSTD_c_contentSizeFlag, 0);
    ZSTD_inBuffer in = {raw.data, raw.size, 0};
    ZSTD_outBuffer out = {archive.data, 200000, 0};
    while (ZSTD_compressStream2(packer, &out, &in, in.pos < in.size ? ZSTD_e_continue : ZSTD_e_end) != 0 ||
           in.pos < in.size)
        ;
    archive.size = out.pos;
    assert_status(-EBADMSG, import_into(other, &archive, &stats));
    ZSTD_freeCCtx(packer);
    buffer_free(&raw);
    free(archive.data);
    larder_cache_free(other);
}

/* ---- from a task ---- */

static int both_ways(void *arg)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    struct archive archive = {0};
    int rc = larder_cache_export(cache, NULL, 0, take_piece, &archive, &stats);
    if (rc == 0)
        rc = import_into(arg, &archive, &stats);
    free(archive.data);
    return rc;
}

static void a_task_can_do_it_as_well(void **state)
{
    struct larder_cache *other = open_other("other", NULL);
    struct larder_fs *offline = offline_through(other);
    put_small_tree();
    assert_ok(larder_sync(NULL, both_ways, other, -1));
    assert_ok(read_all(offline, "t/b", 70000, 2));
    larder_fs_free(offline);
    larder_cache_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_goes_in_comes_out),
        TEST(without_a_tree_all_of_it_goes),
        TEST(what_lacks_is_filled_in_and_what_is_younger_stays),
        TEST(a_large_archive_comes_in_pieces),
        TEST(what_does_not_fit_is_said),
        TEST(the_caller_may_end_it),
        TEST(a_cut_archive_is_told_wherever_it_is_cut),
        TEST(a_damaged_archive_brings_nothing_wrong),
        TEST(an_archive_that_lies_is_refused),
        TEST(a_window_too_large_is_refused),
        TEST(a_task_can_do_it_as_well),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
