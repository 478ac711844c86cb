/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as gzip and as zstd: they come out alike however they are cut into pieces, and a failure stays one. */
#include <stdlib.h>
#include <string.h>

#include "fs/compress.h"

#include "larder/status.h"

#define OUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct result {
    int rc;
    char *data;
    size_t size;
};

static struct result decode(const struct compression *compression, const char *data, size_t size,
                            size_t piece)
{
    struct result result = {0, malloc(OUT_MAX), 0};
    struct decoder *decoder = NULL;
    struct run run = {.in = data};
    const char *end = data + size;
    if (!result.data || decoder_new(compression, &decoder) < 0)
        abort();
    while (result.rc == 0 && result.size < OUT_MAX) {
        size_t left = (size_t)(end - run.in), room = OUT_MAX - result.size;
        run.in_size = left < piece ? left : piece;
        run.out = result.data + result.size;
        run.out_size = room < piece ? room : piece;
        result.rc = decoder_step(decoder, &run);
        result.size = (size_t)(run.out - result.data);
        if (run.out_size > 0 && run.in == end)
            break;
    }
    if (result.rc == 0 && result.size < OUT_MAX)
        result.rc = decoder_end(decoder);
    decoder_free(decoder);
    return result;
}

/* The first byte chooses the compression and the size of the pieces. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct compression *compression = compression_find(data[0] & 1 ? "gzip" : "zstd");
    const char *bytes = (const char *)data + 1;
    struct result whole = decode(compression, bytes, size - 1, OUT_MAX);
    struct result cut = decode(compression, bytes, size - 1, (size_t)(data[0] >> 1) + 1);
    size_t common = whole.size < cut.size ? whole.size : cut.size;
    if ((whole.rc == 0) != (cut.rc == 0) || memcmp(whole.data, cut.data, common) != 0)
        abort();
    if (whole.rc == 0 && whole.size != cut.size)
        abort();
    free(whole.data);
    free(cut.data);
    return 0;
}
