/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LISTING_H
#define CACHE_LISTING_H
/*
 * A stored listing: the pages as they came, one behind the other, each packed by itself, so that whoever
 * reads a directory of a million entries unpacks a page at a time.
 *
 *   page     packed size(4) raw size(4) count(4), then the packed bytes; as they are if both are equal
 *   entry    size(8) mtime(8) created(8) type(4) name size(4) version size(4) name version
 */
#include "cache/store.h"

#define LISTING_SIZE_MAX (64U << 20) /* packed: some ten million entries; what is larger is not kept */
#define LISTING_PAGE_MAX (256U << 20)

struct listing {
    char *data;
    size_t size, capacity;
};
/* Append a page. -EFBIG, -ENOMEM, without text. Any thread: packing takes a while. */
int listing_add(struct listing *listing, const struct larder_entries *page, int level);
/* The page at *offset, which goes on behind it. -EBADMSG: these are no pages. */
int listing_page(const struct listing *listing, size_t *offset, struct larder_entries *page);
void listing_free(struct listing *listing); /* zeroes it */

/* And no older than `terms` allow. */
bool listing_is_there(struct store *store, const struct place *place, const char *path,
                      const struct terms *terms);
/* The entry `name` of the stored listing of `dir`. -ENOENT: it has none; -EAGAIN: it is not stored. */
int listing_find(struct store *store, const struct place *place, const char *dir, const char *name,
                 size_t name_size, struct answer *out);
/* The whole of it. -EAGAIN: it is not stored. */
int listing_load(struct store *store, const struct place *place, const char *path, struct listing *out);

#endif
