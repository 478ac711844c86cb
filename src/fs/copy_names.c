/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/copy_names.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "larder/fs.h"

struct name {
    struct table_entry entry;
    const char *to; /* behind the other in memory */
    bool used;
    char from[];
};

static int find(struct copy_names *names, const char *from, const char *to, struct name **out)
{
    struct table_entry *there = table_find(&names->table, to, strlen(to));
    if (there) {
        *out = container_of(there, struct name, entry);
        return strcmp((*out)->from, from) == 0
                   ? 0
                   : fail(-EEXIST, "%s: %s goes to %s, too", from, (*out)->from, to);
    }
    size_t size = strlen(from) + 1;
    struct name *name = arena_alloc(&names->memory, sizeof *name + size + strlen(to) + 1);
    if (!name)
        return fail_memory();
    memcpy(name->from, from, size);
    name->to = strcpy(name->from + size, to);
    name->used = false;
    *out = name;
    return table_add(&names->table, &name->entry, name->to, strlen(to)) < 0 ? fail_memory() : 0;
}

int copy_names_take(struct copy_names *names, const char *from, const char *to)
{
    struct name *name;
    return find(names, from, to, &name);
}

int copy_names_use(struct copy_names *names, const char *from, const char *to)
{
    struct name *name;
    int rc = find(names, from, to, &name);
    if (rc < 0)
        return rc;
    rc = name->used;
    name->used = true;
    return rc;
}

void copy_names_fini(struct copy_names *names)
{
    table_fini(&names->table);
    arena_free(&names->memory);
}

size_t copy_names_common(const struct larder_entries *paths)
{
    const char *first = paths->info[0].name;
    size_t size = strlen(first);
    for (size_t i = 1; i < paths->count; i++) {
        const char *path = paths->info[i].name;
        size_t same = 0;
        while (same < size && path[same] == first[same])
            same++;
        bool segment = (!first[same] || first[same] == '/') && (!path[same] || path[same] == '/');
        while (!segment && same > 0 && first[same - 1] != '/')
            same--;
        size = !segment && same > 0 ? same - 1 : same;
    }
    return size;
}
