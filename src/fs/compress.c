/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/compress.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.h"
#include "base/seams.h"

struct decoder {
    const struct compression *compression;
    bool inside; /* a member or a frame */
    bool padded; /* gzip: there are zeros behind the last member */
    z_stream zlib;
    ZSTD_DCtx *zstd;
};

struct encoder {
    const struct compression *compression;
    z_stream zlib;
    ZSTD_CCtx *zstd;
};

struct compression {
    const char *name, *suffix;
    bool (*begins)(const unsigned char *first, size_t size);
    int (*decode_init)(struct decoder *decoder);
    int (*decode)(struct decoder *decoder, struct run *run);
    void (*decode_fini)(struct decoder *decoder);
    int (*encode_init)(struct encoder *encoder, int level);
    int (*encode)(struct encoder *encoder, struct run *run, bool finish);
    void (*encode_fini)(struct encoder *encoder);
};

/* ---- gzip ---- */

#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib: with the header and trailer of gzip */

static bool gzip_begins(const unsigned char *first, size_t size)
{
    return size >= 3 && first[0] == 0x1f && first[1] == 0x8b && first[2] == 8;
}

static void *zlib_alloc(void *opaque, uInt count, uInt size)
{
    return mem_array(count, size);
}

static int zlib_failed(const z_stream *zlib, int rc)
{
    if (rc == Z_MEM_ERROR)
        return fail_memory();
    return fail(-EBADMSG, "damaged gzip data: %s", zlib->msg ? zlib->msg : "broken");
}

/* What zlib takes and gives at once is counted in unsigned int. */
static uInt zlib_size(size_t size)
{
    return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

static void zlib_lend(z_stream *zlib, const struct run *run)
{
    zlib->next_in = (Bytef *)run->in;
    zlib->avail_in = zlib_size(run->in_size);
    zlib->next_out = (Bytef *)run->out;
    zlib->avail_out = zlib_size(run->out_size);
}

/* Moves `run`, and says whether it did. */
static bool zlib_return(const z_stream *zlib, struct run *run)
{
    size_t took = (size_t)((const char *)zlib->next_in - run->in),
           gave = (size_t)((char *)zlib->next_out - run->out);
    run->in += took;
    run->in_size -= took;
    run->out += gave;
    run->out_size -= gave;
    return took || gave;
}

static int gzip_decode_init(struct decoder *decoder)
{
    decoder->zlib = (z_stream){.zalloc = zlib_alloc, .zfree = mem_library_free};
    return inflateInit2(&decoder->zlib, GZIP_WINDOW) == Z_OK ? 0 : fail_memory();
}

/* Between two members: another one, or zeros to the end. */
static int gzip_between(struct decoder *decoder, struct run *run)
{
    while (run->in_size > 0 && *run->in == 0) {
        decoder->padded = true;
        run->in++;
        run->in_size--;
    }
    if (run->in_size == 0)
        return 0;
    if (decoder->padded)
        return fail(-EBADMSG, "damaged gzip data: something else behind its end");
    inflateReset(&decoder->zlib);
    decoder->inside = true;
    return 0;
}

static int gzip_decode(struct decoder *decoder, struct run *run)
{
    z_stream *zlib = &decoder->zlib;
    for (bool moved = true; moved;) {
        int rc = decoder->inside ? 0 : gzip_between(decoder, run);
        if (rc < 0 || !decoder->inside)
            return rc;
        zlib_lend(zlib, run);
        rc = inflate(zlib, Z_NO_FLUSH);
        moved = zlib_return(zlib, run);
        if (rc == Z_STREAM_END)
            decoder->inside = false;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return zlib_failed(zlib, rc);
    }
    return 0;
}

static void gzip_decode_fini(struct decoder *decoder)
{
    inflateEnd(&decoder->zlib);
}

static int gzip_encode_init(struct encoder *encoder, int level)
{
    encoder->zlib = (z_stream){.zalloc = zlib_alloc, .zfree = mem_library_free};
    level = level < 0 ? Z_DEFAULT_COMPRESSION : level > 9 ? 9 : level;
    int rc = deflateInit2(&encoder->zlib, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    return rc == Z_OK ? 0 : fail_memory();
}

static int gzip_encode(struct encoder *encoder, struct run *run, bool finish)
{
    z_stream *zlib = &encoder->zlib;
    for (bool moved = true; moved;) {
        zlib_lend(zlib, run);
        int rc = deflate(zlib, finish && run->in_size == zlib->avail_in ? Z_FINISH : Z_NO_FLUSH);
        moved = zlib_return(zlib, run);
        if (rc == Z_STREAM_END)
            return 0;
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return fail(-EINVAL, "gzip: %s", zlib->msg ? zlib->msg : "it cannot compress this");
    }
    return finish;
}

static void gzip_encode_fini(struct encoder *encoder)
{
    deflateEnd(&encoder->zlib);
}

/* ---- zstd ---- */

static const ZSTD_customMem zstd_memory = {mem_library_alloc, mem_library_free, NULL};

static bool zstd_begins(const unsigned char *first, size_t size)
{
    if (size < 4)
        return false;
    uint32_t magic = first[0] | (uint32_t)first[1] << 8 | (uint32_t)first[2] << 16 | (uint32_t)first[3] << 24;
    return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static int zstd_failed(size_t result)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return fail_memory();
    case ZSTD_error_frameParameter_windowTooLarge:
        return fail(-ENOTSUP, "zstd data that needs more than 128 MiB of memory");
    default:
        return fail(-EBADMSG, "damaged zstd data: %s", ZSTD_getErrorName(result));
    }
}

static int zstd_decode_init(struct decoder *decoder)
{
    decoder->zstd = ZSTD_createDCtx_advanced(zstd_memory);
    return decoder->zstd ? 0 : fail_memory();
}

static int zstd_decode(struct decoder *decoder, struct run *run)
{
    for (bool moved = true; moved;) {
        ZSTD_inBuffer in = {run->in, run->in_size, 0};
        ZSTD_outBuffer out = {run->out, run->out_size, 0};
        if (!decoder->inside && in.size == 0)
            return 0;
        size_t rc = ZSTD_decompressStream(decoder->zstd, &out, &in);
        moved = in.pos || out.pos;
        *run = (struct run){run->in + in.pos, run->in_size - in.pos, run->out + out.pos,
                            run->out_size - out.pos};
        if (ZSTD_isError(rc))
            return zstd_failed(rc);
        if (moved)
            decoder->inside = rc != 0;
    }
    return 0;
}

static void zstd_decode_fini(struct decoder *decoder)
{
    ZSTD_freeDCtx(decoder->zstd);
}

static int zstd_encode_init(struct encoder *encoder, int level)
{
    encoder->zstd = ZSTD_createCCtx_advanced(zstd_memory);
    if (!encoder->zstd)
        return fail_memory();
    ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_checksumFlag, 1);
    if (level >= 0)
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, level);
    return 0;
}

static int zstd_encode(struct encoder *encoder, struct run *run, bool finish)
{
    for (bool moved = true; moved;) {
        ZSTD_inBuffer in = {run->in, run->in_size, 0};
        ZSTD_outBuffer out = {run->out, run->out_size, 0};
        size_t left = ZSTD_compressStream2(encoder->zstd, &out, &in, finish ? ZSTD_e_end : ZSTD_e_continue);
        moved = in.pos || out.pos;
        *run = (struct run){run->in + in.pos, run->in_size - in.pos, run->out + out.pos,
                            run->out_size - out.pos};
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation
                       ? fail_memory()
                       : fail(-EINVAL, "zstd: %s", ZSTD_getErrorName(left));
        if (finish && left == 0)
            return 0;
    }
    return finish;
}

static void zstd_encode_fini(struct encoder *encoder)
{
    ZSTD_freeCCtx(encoder->zstd);
}

/* ---- all of them ---- */

static const struct compression compressions[] = {
    {"gzip", ".gz", gzip_begins, gzip_decode_init, gzip_decode, gzip_decode_fini, gzip_encode_init,
     gzip_encode, gzip_encode_fini},
    {"zstd", ".zst", zstd_begins, zstd_decode_init, zstd_decode, zstd_decode_fini, zstd_encode_init,
     zstd_encode, zstd_encode_fini},
};
#define COUNT (sizeof compressions / sizeof compressions[0])

const struct compression *compression_find(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(compressions[i].name, name) == 0)
            return &compressions[i];
    return NULL;
}

const struct compression *compression_by_suffix(const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < COUNT; i++) {
        size_t suffix = strlen(compressions[i].suffix);
        if (size > suffix && strcmp(path + size - suffix, compressions[i].suffix) == 0)
            return &compressions[i];
    }
    return NULL;
}

const struct compression *compression_by_content(const char *first, size_t size)
{
    for (size_t i = 0; i < COUNT; i++)
        if (compressions[i].begins((const unsigned char *)first, size))
            return &compressions[i];
    return NULL;
}

int decoder_new(const struct compression *compression, struct decoder **out)
{
    struct decoder *decoder = mem_zero(sizeof *decoder);
    if (!decoder)
        return fail_memory();
    decoder->compression = compression;
    int rc = compression->decode_init(decoder);
    if (rc < 0) {
        mem_free(decoder);
        return rc;
    }
    *out = decoder;
    return 0;
}

int decoder_step(struct decoder *decoder, struct run *run)
{
    return decoder->compression->decode(decoder, run);
}

int decoder_end(const struct decoder *decoder)
{
    return decoder->inside ? fail(-EBADMSG, "%s data that ends too early", decoder->compression->name) : 0;
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder)
        return;
    decoder->compression->decode_fini(decoder);
    mem_free(decoder);
}

int encoder_new(const struct compression *compression, int level, struct encoder **out)
{
    struct encoder *encoder = mem_zero(sizeof *encoder);
    if (!encoder)
        return fail_memory();
    encoder->compression = compression;
    int rc = compression->encode_init(encoder, level);
    if (rc < 0) {
        mem_free(encoder);
        return rc;
    }
    *out = encoder;
    return 0;
}

int encoder_step(struct encoder *encoder, struct run *run, bool finish)
{
    return encoder->compression->encode(encoder, run, finish);
}

void encoder_free(struct encoder *encoder)
{
    if (!encoder)
        return;
    encoder->compression->encode_fini(encoder);
    mem_free(encoder);
}
