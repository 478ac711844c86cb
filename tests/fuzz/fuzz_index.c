/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a server: its names are segments. One of JSON comes alike however it is cut into pieces; of broken HTML
 * libxml2 saves what it can, and that depends on where the pieces end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"

#include "net/index.h"

#define PAGE_URL "http://host/dir/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_entry(void *arg, const struct index_entry *entry)
{
    if (!path_is_segment(entry->name) || entry->size < LARDER_SIZE_UNKNOWN)
        abort();
    ++*(size_t *)arg;
    return 0;
}

static int parse(const char *type, const uint8_t *data, size_t size, size_t piece, size_t *count)
{
    struct index *index = NULL;
    int rc = index_new(PAGE_URL, type, count_entry, count, &index);
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
    if (size < 2)
        return 0;
    const char *type = data[0] & 1 ? "application/json" : "text/html; charset=utf-8";
    size_t whole = 0, cut = 0;
    int whole_rc = parse(type, data + 1, size - 1, size, &whole);
    int cut_rc = parse(type, data + 1, size - 1, (data[0] >> 1) + 1U, &cut);
    if (data[0] % 2 == 0)
        return 0;
    if ((whole_rc == 0) != (cut_rc == 0) || (whole_rc == 0 && whole != cut))
        abort();
    return 0;
}
