/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A multistatus: its paths are clean; and in plain ASCII they come alike however it is cut into pieces. (What libxml2
 * makes of an encoding that is none, or is not what was said, depends on where the pieces end.)
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/path.h"

#include "net/multistatus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that was told. */
struct told {
    size_t count;
    uint64_t digest;
};

static void add(struct told *told, const void *data, size_t size)
{
    told->digest = told->digest * 31 + hash_bytes(data, size);
}

static int tell(void *arg, const struct multistatus_entry *entry)
{
    struct told *told = arg;
    if ((entry->path && !path_is_clean(entry->path)) || entry->size < -1 || entry->status < 0 ||
        entry->status > 999)
        abort();
    told->count++;
    add(told, entry->path ? entry->path : "/", entry->path ? strlen(entry->path) : 1);
    add(told, entry->etag ? entry->etag : "", entry->etag ? strlen(entry->etag) : 0);
    add(told, &entry->size, sizeof entry->size);
    add(told, &entry->mtime_ns, sizeof entry->mtime_ns);
    return 0;
}

static int parse(const uint8_t *data, size_t size, size_t piece, struct told *told)
{
    struct multistatus *parser = NULL;
    int rc = multistatus_new("http://host/dir/", tell, told, &parser);
    for (size_t at = 0; rc == 0 && at < size; at += piece)
        rc = multistatus_feed(parser, data + at, size - at < piece ? size - at : piece);
    if (rc == 0)
        rc = multistatus_finish(parser);
    multistatus_free(parser);
    return rc;
}

static bool is_plain(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] == 0 || data[i] > 0x7e)
            return false;
    return !memmem(data, size, "encoding", 8);
}

/* The first byte chooses the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct told whole = {0}, cut = {0};
    int whole_rc = parse(data + 1, size - 1, size, &whole);
    int cut_rc = parse(data + 1, size - 1, data[0] + 1U, &cut);
    if (!is_plain(data + 1, size - 1))
        return 0;
    if ((whole_rc == 0) != (cut_rc == 0) ||
        (whole_rc == 0 && (whole.count != cut.count || whole.digest != cut.digest)))
        abort();
    return 0;
}
