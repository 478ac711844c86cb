/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/seams.h"

#define SLOT_COUNT_MIN 16 /* and always a power of two */

static struct table_entry **slot_of(const struct table *table, uint64_t hash)
{
    return &table->slots[hash & (table->slot_count - 1)];
}

static struct table_entry *find(const struct table *table, uint64_t hash, const char *key, size_t key_size)
{
    if (table->count == 0)
        return NULL;
    struct table_entry *entry = *slot_of(table, hash);
    while (entry &&
           !(entry->hash == hash && entry->key_size == key_size && memcmp(entry->key, key, key_size) == 0))
        entry = entry->next;
    return entry;
}

struct table_entry *table_find(const struct table *table, const char *key, size_t key_size)
{
    return table->count > 0 ? find(table, hash_bytes(key, key_size), key, key_size) : NULL;
}

static void put(struct table *table, struct table_entry *entry)
{
    struct table_entry **slot = slot_of(table, entry->hash);
    entry->next = *slot;
    *slot = entry;
}

static bool grow(struct table *table)
{
    struct table bigger = {
        .slot_count = table->slot_count > 0 ? 2 * table->slot_count : SLOT_COUNT_MIN,
        .count = table->count,
    };
    bigger.slots = mem_array(bigger.slot_count, sizeof(struct table_entry *));
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        for (struct table_entry *entry = table->slots[i], *next; entry; entry = next) {
            next = entry->next;
            put(&bigger, entry);
        }
    }
    mem_free(table->slots);
    *table = bigger;
    return true;
}

int table_add(struct table *table, struct table_entry *entry, const char *key, size_t key_size)
{
    uint64_t hash = hash_bytes(key, key_size);
    assert(!find(table, hash, key, key_size));
    /* A table that cannot grow is slower, and still a table. */
    if (table->count == table->slot_count && !grow(table) && table->slot_count == 0)
        return -ENOMEM;
    *entry = (struct table_entry){.key = key, .key_size = key_size, .hash = hash};
    put(table, entry);
    table->count++;
    return 0;
}

void table_remove(struct table *table, struct table_entry *entry)
{
    struct table_entry **place = slot_of(table, entry->hash);
    while (*place != entry) {
        assert(*place);
        place = &(*place)->next;
    }
    *place = entry->next;
    entry->next = NULL;
    table->count--;
}

struct table_entry *table_next(const struct table *table, const struct table_entry *entry)
{
    if (entry && entry->next)
        return entry->next;
    size_t i = entry ? (entry->hash & (table->slot_count - 1)) + 1 : 0;
    while (i < table->slot_count && !table->slots[i])
        i++;
    return i < table->slot_count ? table->slots[i] : NULL;
}

void table_fini(struct table *table)
{
    mem_free(table->slots);
    *table = (struct table){0};
}
