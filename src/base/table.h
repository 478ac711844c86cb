/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H
/* A hash table from byte strings to pointers. Intrusive: an entry is a member of the thing that it names. */
#include <stddef.h>
#include <stdint.h>

struct table_entry {
    struct table_entry *next;
    const char *key; /* the owner's memory; stays as long as the entry is in */
    size_t key_size;
    uint64_t hash;
};
struct table {
    struct table_entry **slots;
    size_t slot_count, count;
};

struct table_entry *table_find(const struct table *table, const char *key, size_t key_size);
/* The key must not be in. 0 or -ENOMEM (no text). */
int table_add(struct table *table, struct table_entry *entry, const char *key, size_t key_size);
void table_remove(struct table *table, struct table_entry *entry);
/* Every entry, in no order: entry = NULL starts, NULL ends. Nothing may be added or removed meanwhile. */
struct table_entry *table_next(const struct table *table, const struct table_entry *entry);
void table_fini(struct table *table); /* frees the slots, not the entries */

#endif
