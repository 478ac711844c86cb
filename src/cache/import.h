/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_IMPORT_H
#define CACHE_IMPORT_H
/*
 * An archive (archive.h) into a cache. Nothing that it says is believed before it was checked; what came whole is put as
 * if the place had just said it, but with the time at which it did: so an entry replaces what the store knows only if it
 * is younger, and a change meanwhile voids it (S4 of store.h). Files with a strong version go in piece by piece, as parts
 * that were read do. Others are staged, and get their record when they are whole.
 *
 *   import.c         the stream, its frames, the call
 *   import_entry.c   an entry, and what of it goes into the store
 */
#include <zstd.h>

#include "cache/archive.h"
#include "cache/handle.h"
#include "cache/listing.h"

#define READ_SIZE     ((size_t)256 << 10)
#define LISTING_LEVEL 3 /* of zstd */

struct importer {
    struct larder_cache *cache;
    struct store *store;
    struct larder_archive_stats stats;
    uint64_t refused; /* by the store, before */

    ZSTD_DCtx *unpacker;
    char *packed; /* READ_SIZE of it */
    size_t packed_size;
    bool packed_end;
    struct buffer raw; /* a frame, or the beginning of one */
    bool headed, ended;
    uint64_t entries;

    char *identity; /* mem; NULL: no place yet */
    struct place place;

    /* the entry at hand */
    bool open, listing, skip;
    struct archive_entry entry;
    struct archive_texts texts;
    struct seen seen;
    int64_t pos;   /* up to which there was data */
    int64_t start; /* of the bytes in `chunk`, a block's */
    char *chunk;
    size_t chunk_size;
    uint64_t staged;
    bool gaps; /* not all bytes up to `pos` came */
    struct listing names;
};

/* -EBADMSG. */
int import_broken(const char *what);

/* ---- import_entry.c ---- */
int import_begin_entry(struct importer *import, struct span *body, bool listing);
/* Bytes of the entry at hand. */
int import_data(struct importer *import, struct span *body);
/* All of it has come; nothing is at hand then. */
int import_end_entry(struct importer *import);
void import_drop_entry(struct importer *import);

#endif
