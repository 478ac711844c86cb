/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_PAGES_H
#define CACHE_PAGES_H
/*
 * LMDB's pages as they lie in its file (its data format 1, 64 bits), read without LMDB, which follows them wherever they
 * lead: of a damaged one its offsets may name any other memory of this process, and it copies and moves what they name.
 *
 *   page    number(8) unused(2) flags(2) lower(2) upper(2), or instead of the latter two how many pages it goes on(4)
 *           offsets(2 each) up to `lower`; nodes from `upper` to the page's end, without a gap
 *   node    size or page below(6, the size in 4 of them) or flags(2) key size(2) key, then the value or its page(8)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lmdb.h>

struct key;

#define PAGES_SEEN 256
struct pages {
    const char *map; /* of our own; NULL: there is none, and all is taken for sound */
    size_t map_size, page_size;
    uint64_t seen[PAGES_SEEN]; /* pages that were found sound, in this transaction; 0: none */
};
void pages_open(struct pages *pages, MDB_env *env);
void pages_close(struct pages *pages); /* zero is fine */

/*
 * What follows is of the latest transaction that was committed, whose pages must not be written meanwhile: within a
 * transaction of the caller's.
 */
/* Every page of the tree: its nodes, their order, what they lead to. */
bool pages_tree_is_sound(struct pages *pages);
/* The list of free pages: each once, and none that is not there. What it names wrongly would be written over. */
bool pages_free_list_is_sound(struct pages *pages);

/* Those that were freed in transactions before `oldest`, and before the last one that was committed. -ENOTSUP: pages cannot
 * be looked at here. -EBADMSG: the list is damaged. */
struct free_pages {
    uint64_t last;        /* page of the file */
    unsigned char *named; /* a bit a page; mem */
};
int pages_free_before(struct pages *pages, uint64_t oldest, struct free_pages *out);

/* A write transaction begins: others may have written since. */
void pages_begin(struct pages *pages);
/* All that lies on the way to `key`, as it was when that began, and what the key has there. */
bool pages_are_sound(struct pages *pages, const struct key *key);
/* And the pages beside those, into which LMDB moves what is left of a page when something on it was removed. */
bool pages_beside_are_sound(struct pages *pages, const struct key *key);

/* The last page of a value that was just put and has pages of its own; 0: it cannot be told. */
uint64_t pages_last_of(const struct pages *pages, const void *value);

#endif
