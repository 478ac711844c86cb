/* SPDX-License-Identifier: Apache-2.0 */
/* Infos, answers and pages of entries: who owns the strings. */
#include "fs/backend.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *text_put(char **at, const char *text)
{
    size_t size = text_size(text);
    char *copy = *at;
    if (!text)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

int info_copy(struct larder_info *out, const struct larder_info *from)
{
    struct larder_info copy = *from;
    size_t size = text_size(from->name) + text_size(from->version);
    copy.owner = NULL;
    if (size) {
        char *at = mem_alloc(size);
        if (!at)
            return fail_memory();
        copy.owner = at;
        copy.name = text_put(&at, from->name);
        copy.version = text_put(&at, from->version);
    }
    *out = copy;
    return 0;
}

int answer_copy(struct answer *out, const struct answer *from)
{
    struct answer copy = *from;
    size_t size = text_size(from->info.name) + text_size(from->info.version) + text_size(from->validator);
    copy.info.owner = NULL;
    if (size) {
        char *at = mem_alloc(size);
        if (!at)
            return fail_memory();
        copy.info.owner = at;
        copy.info.name = text_put(&at, from->info.name);
        copy.info.version = text_put(&at, from->info.version);
        copy.validator = text_put(&at, from->validator);
    }
    *out = copy;
    return 0;
}

void larder_info_free(struct larder_info *info)
{
    if (!info)
        return;
    mem_free(info->owner);
    *info = (struct larder_info){0};
}

void answer_free(struct answer *answer)
{
    if (!answer)
        return;
    larder_info_free(&answer->info);
    *answer = (struct answer){0};
}

/* ---- pages of entries ---- */

struct entries_memory {
    struct arena names;
    struct larder_info *info;
};

static void memory_free(struct entries_memory *memory)
{
    if (!memory)
        return;
    arena_free(&memory->names);
    mem_free(memory->info);
    mem_free(memory);
}

static int builder_grow(struct entries_builder *builder)
{
    if (!builder->memory) {
        builder->memory = mem_zero(sizeof *builder->memory);
        if (!builder->memory)
            return fail_memory();
    }
    if (builder->count < builder->capacity)
        return 0;
    size_t capacity = builder->capacity ? builder->capacity * 2 : 16;
    struct larder_info *info = mem_resize(builder->info, capacity * sizeof *info);
    if (!info)
        return fail_memory();
    builder->info = builder->memory->info = info;
    builder->capacity = capacity;
    return 0;
}

int entries_add_below(struct entries_builder *builder, const char *dir, const struct larder_info *info)
{
    size_t dir_size = dir ? strlen(dir) : 0, name_size = strlen(info->name);
    int rc = builder_grow(builder);
    if (rc < 0)
        return rc;
    struct larder_info copy = *info;
    char *name = arena_alloc(&builder->memory->names, dir_size + 1 + name_size + 1);
    copy.version = info->version ? arena_dup(&builder->memory->names, info->version) : NULL;
    if (!name || (info->version && !copy.version))
        return fail_memory();
    copy.name = name;
    if (dir_size) {
        memcpy(name, dir, dir_size);
        name += dir_size;
        if (name_size)
            *name++ = '/';
    }
    memcpy(name, info->name, name_size + 1);
    copy.owner = NULL;
    builder->info[builder->count++] = copy;
    return 0;
}

int entries_add(struct entries_builder *builder, const struct larder_info *info)
{
    return entries_add_below(builder, NULL, info);
}

void entries_finish(struct entries_builder *builder, struct larder_entries *out)
{
    *out = (struct larder_entries){.info = builder->info, .count = builder->count, .owner = builder->memory};
    *builder = (struct entries_builder){0};
}

void entries_discard(struct entries_builder *builder)
{
    memory_free(builder->memory);
    *builder = (struct entries_builder){0};
}

void larder_entries_free(struct larder_entries *entries)
{
    if (!entries)
        return;
    memory_free(entries->owner);
    *entries = (struct larder_entries){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct larder_info *)a)->name, ((const struct larder_info *)b)->name);
}

void entries_sort(struct larder_entries *entries)
{
    if (entries->count > 1)
        qsort(entries->info, entries->count, sizeof *entries->info, by_name);
}

static int by_path(const void *a, const void *b)
{
    return path_compare(((const struct larder_info *)a)->name, ((const struct larder_info *)b)->name);
}

void entries_sort_by_path(struct larder_entries *entries)
{
    if (entries->count > 1)
        qsort(entries->info, entries->count, sizeof *entries->info, by_path);
}

void cursor_free(struct cursor *cursor)
{
    if (cursor->state && cursor->free_state)
        cursor->free_state(cursor->state);
    *cursor = (struct cursor){0};
}
