/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COMPRESS_H
#define FS_COMPRESS_H
/*
 * Compressed streams, step by step in bounded memory: gzip (RFC 1952; members that follow each other are one stream, and
 * zeros may pad its end) and zstd (RFC 8878; frames that follow each other, and skippable ones). What is not that, or
 * ends in the middle, is -EBADMSG. Whatever the input says of sizes, a step makes no more than there is room for; a zstd
 * frame may want a window of 128 MiB at most (-ENOTSUP).
 *
 * These compute for long: a task calls them on a worker.
 */
#include <stdbool.h>
#include <stddef.h>

/* A step takes from the front of `in` and puts to the front of `out`, and moves both. */
struct run {
    const char *in;
    size_t in_size;
    char *out;
    size_t out_size;
};

struct compression;                                                               /* gzip, zstd */
const struct compression *compression_find(const char *name);                     /* NULL: there is none */
const struct compression *compression_by_suffix(const char *path);                /* .gz, .zst; the same */
const struct compression *compression_by_content(const char *first, size_t size); /* the same */
#define COMPRESSION_CONTENT_SIZE 4                                                /* how many bytes tell */

struct decoder;
int decoder_new(const struct compression *compression, struct decoder **out);
/* On until the room is full or the input is used up, and there is nothing more to give. */
int decoder_step(struct decoder *decoder, struct run *run);
/* There is no more input: was that the end? */
int decoder_end(const struct decoder *decoder);
void decoder_free(struct decoder *decoder); /* NULL is fine */

struct encoder;
int encoder_new(const struct compression *compression, int level /* -1: its own */, struct encoder **out);
/* As decoder_step. `finish`: no more follows; 1 while there is not room for all that ends it, then 0. */
int encoder_step(struct encoder *encoder, struct run *run, bool finish);
void encoder_free(struct encoder *encoder); /* NULL is fine */

#endif
