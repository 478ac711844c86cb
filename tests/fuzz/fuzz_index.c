/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a server: its names are segments, and it comes alike however it is cut into pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"

#include "net/index.h"

#define PAGE_URL "http://host/dir/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A digest of the entries, in their order. */
static int add_entry(void *arg, const struct index_entry *entry)
{
    uint64_t *digest = arg;
    const int64_t said[] = {(int64_t)*digest, entry->type, entry->size, entry->mtime_ns,
                            (int64_t)hash_bytes(entry->name, strlen(entry->name))};
    if (!path_is_segment(entry->name) || entry->size < LARDER_SIZE_UNKNOWN)
        abort();
    *digest = hash_bytes(said, sizeof said);
    return 0;
}

static int parse(const char *type, const uint8_t *data, size_t size, size_t piece, uint64_t *digest)
{
    struct index *index = NULL;
    int rc = index_new(PAGE_URL, type, add_entry, digest, &index);
    for (size_t at = 0; rc == 0 && at < size; at += piece)
        rc = index_feed(index, data + at, size - at < piece ? size - at : piece);
    if (rc == 0)
        rc = index_finish(index);
    index_free(index);
    return rc;
}

/* The first byte chooses the type and the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"text/html; charset=utf-8", "application/json", "text/xml", NULL};
    if (size < 2)
        return 0;
    const char *type = types[data[0] & 3];
    uint64_t whole = 0, cut = 0;
    int whole_rc = parse(type, data + 1, size - 1, size, &whole);
    int cut_rc = parse(type, data + 1, size - 1, (data[0] >> 2) + 1U, &cut);
    if (whole_rc != cut_rc || whole != cut)
        abort();
    return 0;
}
