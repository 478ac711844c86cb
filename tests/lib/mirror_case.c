/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror_case.h"

#include <stdio.h>
#include <string.h>

#include "cache/pin.h"
#include "cache/store.h"
#include "test.h"

static int note_item(void *arg, struct larder_item *item)
{
    struct told *told = arg;
    told->count++;
    told->failed += item->status < 0;
    if (strlen(told->names) + strlen(item->path) + 2 < sizeof told->names)
        strcat(strcat(told->names, item->path), " ");
    return told->count == told->stop_after ? 77 : 0;
}

struct larder_mirror_options telling(struct told *told)
{
    *told = (struct told){0};
    return (struct larder_mirror_options){.size = sizeof(struct larder_mirror_options),
                                          .on_error = LARDER_RETURN,
                                          .completed = note_item,
                                          .arg = told};
}

const char *path_of(unsigned index)
{
    static char path[64];
    snprintf(path, sizeof path, "t/d%u/f%u", index / 7, index);
    return path;
}

size_t size_of(unsigned index)
{
    return index * 9000;
}

void put_tree(void)
{
    for (unsigned i = 0; i < FILES; i++)
        fake_put(path_of(i), size_of(i), i);
}

void read_tree(struct larder_fs *from)
{
    for (unsigned i = 0; i < FILES; i++)
        assert_ok(read_all(from, path_of(i), size_of(i), i));
}

struct larder_mirror_stats mirror(const char *path, const struct larder_mirror_options *options)
{
    struct larder_mirror_stats stats = {.size = sizeof stats};
    assert_ok(larder_mirror(fs, path, options, &stats));
    return stats;
}

size_t count_below(struct larder_fs *from, const char *path)
{
    struct larder_entries entries;
    assert_ok(larder_find(from, path, NULL, &entries));
    size_t count = entries.count;
    larder_entries_free(&entries);
    return count;
}

static struct store *store_of_cache(void)
{
    struct store *store;
    char text[256];
    snprintf(text, sizeof text, "%s/cache", dir);
    assert_ok(store_open(text, &store));
    return store;
}

bool is_pinned(const char *path)
{
    struct place place = place_of("fake://");
    struct store *store = store_of_cache();
    bool pinned = pin_covers(store, &place, path);
    store_unref(store);
    return pinned;
}
