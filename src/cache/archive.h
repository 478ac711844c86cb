/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_ARCHIVE_H
#define CACHE_ARCHIVE_H
/*
 * An archive: what a cache, or a part of one, has of its places, as one file for another machine. It is a stream of zstd
 * (with its own checksum) of frames. Numbers are little-endian, texts are without NUL.
 *
 *     frame      size(4) kind(1) body(size) checksum(8)     XXH3 of kind and body; size: up to FRAME_SIZE_MAX
 *
 *     kind       body
 *     'H' head   "larder archive" version(4): the first frame, and no other. Version ARCHIVE_VERSION
 *     'P' place  text: whose files all that follows are, up to the next place
 *     'p' pin    text: a path whose tree is pinned
 *     'R' file   entry: what the place said of a path, and when
 *     'L' list   entry: of a listing, whose names follow
 *     'D' data   offset(8) bytes: of the last 'R', in order, no byte twice
 *     'N' names  any number of: size(8) mtime(8) created(8) type(1) name(2+n) version(2+n), of the last 'L', in order
 *     'X' void   the last 'R' or 'L' is not all that it should be: it went while it was written
 *     'E' end    count(8) of 'R' and 'L' that are not void: the last frame
 *     entry      state(1) type(1) flags(1) size(8) mtime(8) created(8) answered(8) fresh(8) stale if error(8)
 *                path(2+n) version(2+n) validator(2+n)
 *
 * text(2+n) is its size and its bytes; the size of one that is NULL is 0xffff. Times are ns since 1970, lifetimes ms, both
 * as in struct answer; of `size`, what is unknown is -1. What an entry lacks of its data was not there either. Of a file
 * with a strong version each block is of use, of all else only what is whole.
 *
 * A reader trusts nothing: what is too large, out of order, no path, or of another checksum ends it with -EBADMSG, a
 * stream without 'E' is cut. What came whole before that is right, and kept.
 */
#include "base/buffer.h"
#include "fs/backend.h"

#define ARCHIVE_MAGIC   "larder archive"
#define ARCHIVE_VERSION 1

#define DATA_SIZE_MAX  ((size_t)1 << 20)   /* of a 'D' */
#define NAMES_SIZE     ((size_t)256 << 10) /* after which an 'N' ends */
#define FRAME_SIZE_MAX (DATA_SIZE_MAX + ((size_t)512 << 10))
#define FRAME_HEAD     5 /* size and kind */
#define FRAME_TAIL     8
#define TEXT_SIZE_MAX  0xfffe

enum frame_kind {
    FRAME_HEADER = 'H',
    FRAME_PLACE = 'P',
    FRAME_PIN = 'p',
    FRAME_FILE = 'R',
    FRAME_LISTING = 'L',
    FRAME_DATA = 'D',
    FRAME_NAMES = 'N',
    FRAME_VOID = 'X',
    FRAME_END = 'E',
};

struct archive_entry {
    uint8_t state; /* RECORD_KNOWN or RECORD_ABSENT */
    int64_t answered_ns;
    struct answer answer; /* borrowed texts */
    const char *path;
};

/* ---- writing: into a buffer, whose status tells of all of them ---- */
/* Returns where the frame begins, for frame_end. */
size_t frame_begin(struct buffer *out, enum frame_kind kind);
void frame_end(struct buffer *out, size_t begun);
void put_u64(struct buffer *out, uint64_t number);
void put_u32(struct buffer *out, uint32_t number);
void put_text(struct buffer *out, const char *text, size_t size); /* NULL: so it is read */
void put_entry(struct buffer *out, const struct archive_entry *entry);
void put_info(struct buffer *out, const struct larder_info *info);

/* ---- reading: of a frame's body ---- */
struct span {
    const unsigned char *at;
    size_t left;
    bool broken; /* something was not there: all that follows is 0 and NULL */
};
uint64_t take_u64(struct span *span);
uint32_t take_u32(struct span *span);
/* mem, NULL where it is NULL in the archive; without memory, or with a NUL in it, broken. */
char *take_text(struct span *span);

/* An entry with texts of its own. */
struct archive_texts {
    char *path, *version, *validator;
};
/* Breaks the span where it makes no sense. *texts are freed by the caller in any case. */
void take_entry(struct span *span, struct archive_entry *entry, struct archive_texts *texts);
void texts_free(struct archive_texts *texts);
/* info->name and ->version are *texts's `path` and `version`. */
void take_info(struct span *span, struct larder_info *info, struct archive_texts *texts);

/* The size of the whole frame at `data`, or 0 where so many bytes do not tell yet; -EBADMSG: no frame is so large. */
int64_t frame_size(const void *data, size_t size);
/* Of a whole frame. -EBADMSG: its checksum is another. */
int frame_open(const void *data, enum frame_kind *kind, struct span *body);

#endif
