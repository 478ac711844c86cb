/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache, or trees of it, into an archive (archive.h). Each step writes a frame or a few into `raw`, in transactions of
 * its own, and what came is packed and handed to the caller in between: so memory is that of a frame, and a slow reader
 * holds no snapshot. A record that another one replaced while it was written is void in the archive.
 */
#include <errno.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/archive.h"
#include "cache/edit.h"
#include "cache/handle.h"
#include "cache/listing.h"
#include "cache/pin.h"
#include "cache/scan.h"
#include "fs/fs.h"

#define LEVEL      3
#define NAMES_MAX  64 /* of what is to be written next */
#define PIECE_SIZE ((size_t)128 << 10)
#define DATA_SIZE  (16LL * BLOCK_SIZE)

_Static_assert(DATA_SIZE <= DATA_SIZE_MAX, "");

struct item { /* mem */
    char *identity, *path;
};

struct exporter {
    struct larder_cache *cache;
    struct store *store;
    const struct larder_cache_tree *trees;
    size_t tree_count, tree; /* the one at hand */
    bool begun, end;
    struct larder_archive_stats stats;

    /* of the tree at hand: pins, then files, then listings */
    struct target target;
    enum key_type type;
    struct scan scan;
    struct item items[NAMES_MAX];
    size_t item_count, item;
    char *identity; /* of the place that the archive is at; mem */

    /* of the record at hand */
    uint64_t id; /* 0: there is none */
    bool listing, broken;
    int64_t pos, size;
    struct listing names;
    size_t names_at;

    struct buffer raw;
    size_t packed; /* of raw, so many bytes are */
    bool packed_end;
    ZSTD_CCtx *packer;
    char *piece; /* packed bytes */
    size_t piece_size;
};

/* ---- what is to be written ---- */

static void drop_items(struct exporter *export)
{
    for (size_t i = 0; i < export->item_count; i++) {
        mem_free(export->items[i].identity);
        mem_free(export->items[i].path);
    }
    export->item_count = export->item = 0;
}

static int note_item(void *arg, const struct stored *stored)
{
    struct exporter *export = arg;
    struct item *item = &export->items[export->item_count++];
    *item = (struct item){mem_dup(stored->identity), mem_dup(stored->path)};
    return item->identity && item->path ? 0 : fail_memory();
}

static void write_text(struct exporter *export, enum frame_kind kind, const char *text)
{
    size_t frame = frame_begin(&export->raw, kind);
    buffer_add_text(&export->raw, text);
    frame_end(&export->raw, frame);
}

static int go_to_place(struct exporter *export, const char *identity)
{
    if (export->identity && strcmp(export->identity, identity) == 0)
        return 0;
    char *copy = mem_dup(identity);
    if (!copy)
        return fail_memory();
    mem_free(export->identity);
    export->identity = copy;
    write_text(export, FRAME_PLACE, identity);
    return 0;
}

static void scan_kind(struct exporter *export, enum key_type type)
{
    export->type = type;
    scan_begin(&export->scan, export->store, type, export->target.place, export->target.path);
}

/* A tree below a pinned directory is pinned as well. */
static int begin_tree(struct exporter *export)
{
    bool all = export->tree_count == 0;
    const struct larder_cache_tree *tree = all ? NULL : &export->trees[export->tree];
    int rc = target_begin(&export->target, all ? NULL : tree->fs, all ? "" : tree->path, export->cache->dir);
    if (rc < 0)
        return rc;
    scan_kind(export, KEY_PIN);
    const struct target *target = &export->target;
    if (!target->place || pin_is_set(export->store, target->place, target->path) ||
        !pin_covers(export->store, target->place, target->path))
        return 0;
    rc = go_to_place(export, target->place->identity);
    write_text(export, FRAME_PIN, target->path);
    export->stats.pins++;
    return rc;
}

/* ---- a record ---- */

struct raw_sink {
    struct sink sink;
    struct buffer *raw;
};

static int raw_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct buffer *raw = container_of(sink, struct raw_sink, sink)->raw;
    *out = buffer_room(raw, want);
    *size = want;
    return *out ? 0 : raw->status;
}

static int raw_fill(struct sink *sink, size_t size)
{
    buffer_grew(container_of(sink, struct raw_sink, sink)->raw, size);
    return 0;
}

/* The record at hand, if it is still that. */
static int find(struct exporter *export, struct reader **reader, struct record *out)
{
    const struct item *item = &export->items[export->item];
    struct place place = place_of(item->identity);
    int rc = reader_find(export->store, export->type, &place, item->path, reader, out);
    if (rc == 0 && export->id && out->head.id != export->id) {
        reader_end(export->store, *reader);
        rc = -ENOENT;
    }
    return rc;
}

static bool is_for_others(const struct exporter *export, const struct record *record)
{
    size_t path_size = record->head.path_size;
    return (record->head.state == RECORD_KNOWN || record->head.state == RECORD_ABSENT) &&
           path_size <= TEXT_SIZE_MAX;
}

static void write_entry(struct exporter *export, const struct record *record, const char *path)
{
    struct archive_entry entry = {.state = record->head.state,
                                  .answered_ns = record->head.answered_ns,
                                  .path = path};
    size_t frame = frame_begin(&export->raw, export->listing ? FRAME_LISTING : FRAME_FILE);
    record_answer(record, &entry.answer);
    if (export->listing)
        entry.answer.info.size = 0;
    put_entry(&export->raw, &entry);
    frame_end(&export->raw, frame);
    bool file = !export->listing && record->head.state == RECORD_KNOWN && record->head.type == LARDER_FILE;
    export->size = file ? record->head.size : 0;
    export->pos = 0;
    export->id = record->head.id;
    export->stats.files += file;
    export->stats.listings += export->listing;
    export->stats.entries++;
}

static int begin_record(struct exporter *export)
{
    struct reader *reader;
    struct record record;
    const struct item *item = &export->items[export->item];
    export->id = 0;
    export->listing = export->type == KEY_LISTING;
    int rc = find(export, &reader, &record);
    if (rc < 0) {
        export->item++;
        return rc == -ENOENT ? 0 : rc; /* it went */
    }
    bool wanted = is_for_others(export, &record) && !(export->listing && record.head.state == RECORD_ABSENT);
    rc = wanted ? go_to_place(export, item->identity) : 0;
    if (rc == 0 && wanted)
        write_entry(export, &record, item->path);
    else
        export->item++;
    reader_end(export->store, reader);
    struct place place = place_of(item->identity);
    if (rc == 0 && wanted && export->listing)
        rc = listing_load(export->store, &place, item->path, &export->names);
    export->names_at = 0;
    export->broken = rc == -EAGAIN; /* not all of it is there */
    return export->broken ? 0 : rc;
}

static void end_record(struct exporter *export, bool right)
{
    if (!right) {
        frame_end(&export->raw, frame_begin(&export->raw, FRAME_VOID));
        export->stats.entries--;
    }
    listing_free(&export->names);
    export->id = 0;
    export->item++;
}

static int write_names(struct exporter *export)
{
    struct reader *reader;
    struct record record;
    int rc = 0;
    size_t frame = frame_begin(&export->raw, FRAME_NAMES), begun = export->raw.size;
    while (rc == 0 && export->names_at < export->names.size && export->raw.size - begun < NAMES_SIZE) {
        struct larder_entries page = {0};
        rc = listing_page(&export->names, &export->names_at, &page);
        for (size_t i = 0; rc == 0 && i < page.count; i++) {
            if (export->raw.size - begun >= NAMES_SIZE) {
                frame_end(&export->raw, frame);
                frame = frame_begin(&export->raw, FRAME_NAMES);
                begun = export->raw.size;
            }
            put_info(&export->raw, &page.info[i]);
        }
        larder_entries_free(&page);
    }
    frame_end(&export->raw, frame);
    if (rc == 0 && export->names_at < export->names.size)
        return 0;
    bool right = rc == 0 && !export->broken && find(export, &reader, &record) == 0;
    if (right)
        reader_end(export->store, reader);
    end_record(export, right);
    return rc == -EBADMSG ? 0 : rc;
}

/* The next bytes that are there: a frame of them, of whole blocks but for the file's last. */
static int write_data(struct exporter *export)
{
    struct reader *reader;
    struct record record;
    struct raw_sink sink = {.sink = {.instant = true, .room = raw_room, .fill = raw_fill},
                            .raw = &export->raw};
    int rc = export->pos < export->size ? find(export, &reader, &record) : -ENODATA;
    if (rc < 0) {
        end_record(export, rc == -ENODATA);
        return 0;
    }
    export->pos = reader_next(export->store, reader, &record, export->pos);
    int64_t left = export->size - export->pos, want = left < DATA_SIZE ? left : DATA_SIZE;
    int64_t there = reader_extent(export->store, reader, &record, export->pos, want);
    if (there > 0) {
        size_t before = export->raw.size, frame = frame_begin(&export->raw, FRAME_DATA);
        put_u64(&export->raw, (uint64_t)export->pos);
        rc = reader_put(export->store, reader, &record, export->pos, there, &sink.sink);
        frame_end(&export->raw, frame);
        if (rc == -EBADMSG)
            export->raw.size = before; /* as if it had not been there */
        else
            export->stats.bytes += (uint64_t)there;
    }
    reader_end(export->store, reader);
    export->pos += there;
    return rc == -EBADMSG ? 0 : rc;
}

/* ---- step by step ---- */

static int write_pin(struct exporter *export)
{
    const struct item *item = &export->items[export->item++];
    int rc = go_to_place(export, item->identity);
    write_text(export, FRAME_PIN, item->path);
    export->stats.pins++;
    return rc;
}

static void write_head(struct exporter *export)
{
    size_t frame = frame_begin(&export->raw, FRAME_HEADER);
    buffer_add(&export->raw, ARCHIVE_MAGIC, strlen(ARCHIVE_MAGIC));
    put_u32(&export->raw, ARCHIVE_VERSION);
    frame_end(&export->raw, frame);
}

static void write_end(struct exporter *export)
{
    size_t frame = frame_begin(&export->raw, FRAME_END);
    put_u64(&export->raw, export->stats.entries);
    frame_end(&export->raw, frame);
    export->end = true;
}

/* From pins to files to listings, and to the next tree. */
static int go_on(struct exporter *export)
{
    if (!export->scan.end)
        return scan_some(&export->scan, NAMES_MAX, note_item, export);
    scan_fini(&export->scan);
    if (export->type != KEY_LISTING) {
        scan_kind(export, export->type == KEY_PIN ? KEY_RECORD : KEY_LISTING);
        return 0;
    }
    target_end(&export->target);
    if (++export->tree < export->tree_count)
        return begin_tree(export);
    write_end(export);
    return 0;
}

static int step(struct exporter *export)
{
    if (!export->begun) {
        export->begun = true;
        write_head(export);
        return begin_tree(export);
    }
    if (export->id)
        return export->listing ? write_names(export) : write_data(export);
    if (export->item < export->item_count)
        return export->type == KEY_PIN ? write_pin(export) : begin_record(export);
    drop_items(export);
    return go_on(export);
}

/* ---- packing ---- */

/* Until a piece is full, or all of it is written. */
static int make_piece(void *arg)
{
    struct exporter *export = arg;
    ZSTD_outBuffer out = {export->piece, PIECE_SIZE, 0};
    int rc = 0;
    while (rc == 0 && out.pos < out.size && !export->packed_end) {
        if (export->packed == export->raw.size && !export->end) {
            export->raw.size = export->packed = 0;
            rc = step(export);
            if (rc == 0)
                rc = export->raw.status;
            continue;
        }
        ZSTD_inBuffer in = {export->raw.data, export->raw.size, export->packed};
        size_t left =
            ZSTD_compressStream2(export->packer, &out, &in, export->end ? ZSTD_e_end : ZSTD_e_continue);
        export->packed = in.pos;
        if (ZSTD_isError(left))
            return fail_memory();
        export->packed_end = export->end && left == 0;
    }
    export->piece_size = out.pos;
    return rc;
}

static int begin(struct exporter *export)
{
    static const ZSTD_customMem memory = {mem_library_alloc, mem_library_free, NULL};
    export->packer = ZSTD_createCCtx_advanced(memory);
    export->piece = mem_alloc(PIECE_SIZE);
    if (!export->packer || !export->piece)
        return fail_memory();
    ZSTD_CCtx_setParameter(export->packer, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(export->packer, ZSTD_c_checksumFlag, 1);
    return larder_cache_flush(export->cache); /* what was fetched is in it */
}

static void fini(struct exporter *export)
{
    drop_items(export);
    listing_free(&export->names);
    scan_fini(&export->scan);
    target_end(&export->target);
    buffer_free(&export->raw);
    ZSTD_freeCCtx(export->packer);
    mem_free(export->identity);
    mem_free(export->piece);
}

static int hand_out(struct exporter *export, larder_take_fn *take_piece, void *arg)
{
    int rc = 0;
    while (rc == 0) {
        rc = cache_blocking(make_piece, export, export->cache->dir);
        if (rc == 0 && export->piece_size == 0)
            return 0;
        if (rc == 0)
            rc = take_piece(arg, export->piece, export->piece_size);
    }
    return rc;
}

int larder_cache_export(struct larder_cache *cache, const struct larder_cache_tree trees[], size_t count,
                        larder_take_fn *take_piece, void *arg, struct larder_archive_stats *out)
{
    struct exporter *export = mem_zero(sizeof *export);
    error_clear();
    int rc = export ? tuning_check(out) : fail_memory();
    if (rc == 0)
        rc = cache_store(cache, false, &export->store);
    if (rc < 0) {
        mem_free(export);
        return rc;
    }
    export->cache = cache;
    export->trees = trees;
    export->tree_count = count;
    export->raw = BUFFER(4 * FRAME_SIZE_MAX);
    rc = begin(export);
    if (rc == 0)
        rc = hand_out(export, take_piece, arg);
    if (rc == 0)
        tuning_give(out, &export->stats, sizeof export->stats);
    fini(export);
    mem_free(export);
    return rc;
}
