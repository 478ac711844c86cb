/* SPDX-License-Identifier: Apache-2.0 */
/* What a place keeps with a file beside its bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"

struct property_memory {
    struct arena texts;
    size_t capacity;
};

void larder_properties_free(struct larder_properties *properties)
{
    if (!properties)
        return;
    struct property_memory *memory = properties->owner;
    if (memory)
        arena_free(&memory->texts);
    mem_free(memory);
    mem_free(properties->property);
    *properties = (struct larder_properties){0};
}

static int grow(struct larder_properties *out)
{
    if (!out->owner)
        out->owner = mem_zero(sizeof(struct property_memory));
    struct property_memory *memory = out->owner;
    if (!memory)
        return fail_memory();
    if (out->count < memory->capacity)
        return 0;
    size_t capacity = memory->capacity ? 2 * memory->capacity : 8;
    struct larder_property *larger = mem_resize(out->property, capacity * sizeof *larger);
    if (!larger)
        return fail_memory();
    out->property = larger;
    memory->capacity = capacity;
    return 0;
}

int properties_add(struct larder_properties *out, const char *name, size_t name_size, const char *value,
                   size_t value_size)
{
    int rc = grow(out);
    if (rc < 0)
        return rc;
    struct property_memory *memory = out->owner;
    const struct larder_property property = {arena_dup_n(&memory->texts, name, name_size),
                                             arena_dup_n(&memory->texts, value, value_size)};
    if (!property.name || !property.value)
        return fail_memory();
    out->property[out->count++] = property;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct larder_property *)a)->name, ((const struct larder_property *)b)->name);
}

int larder_properties(struct larder_fs *fs, const char *path, struct larder_properties *out)
{
    struct larder_properties found = {0};
    struct layer_call call = {LAYER_PROPERTIES, .properties = &found};
    int rc = enter_call(fs, path, &call);
    if (rc < 0) {
        larder_properties_free(&found);
        return rc;
    }
    if (found.count > 1)
        qsort(found.property, found.count, sizeof *found.property, by_name);
    *out = found;
    return 0;
}
