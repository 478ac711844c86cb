/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

/* Neither empty nor "." nor "..". */
static bool segment_is_clean(const char *segment, size_t size)
{
    return !(size == 0 || (size == 1 && segment[0] == '.') || (size == 2 && memcmp(segment, "..", 2) == 0));
}

/* The first segment of path[0, size) that is not clean; NULL if all are. */
static const char *unclean_segment(const char *path, size_t size, size_t *segment_size)
{
    const char *end = path + size;
    for (const char *segment = path;; segment += *segment_size + 1) {
        const char *slash = memchr(segment, '/', (size_t)(end - segment));
        *segment_size = (size_t)((slash ? slash : end) - segment);
        if (!segment_is_clean(segment, *segment_size))
            return segment;
        if (!slash)
            return NULL;
    }
}

bool path_is_clean(const char *path)
{
    return !*path || path_is_key(path);
}

bool path_is_key(const char *path)
{
    size_t segment_size;
    return !unclean_segment(path, strlen(path), &segment_size);
}

bool path_is_segment(const char *name)
{
    return segment_is_clean(name, strlen(name)) && !strchr(name, '/');
}

int path_resolve(const char *root, const char *path, char **out, bool *directory)
{
    if (!path)
        return fail(-EINVAL, "no path");
    const char *start = path + strspn(path, "/");
    size_t size = strlen(start);
    bool slash = start > path && size == 0;
    while (size > 0 && start[size - 1] == '/') {
        slash = true;
        size--;
    }
    size_t segment_size;
    const char *segment = size > 0 ? unclean_segment(start, size, &segment_size) : NULL;
    if (segment && strstr(path, "://")) /* which may hold secrets */
        return fail(-EINVAL, "a URL in place of a path, which is below what was opened");
    if (segment && segment_size == 0)
        return fail(-EINVAL, "%s: a path has no empty segments", path);
    if (segment)
        return fail(-EINVAL, "%s: a path has no \"%.*s\" segments", path, (int)segment_size, segment);

    size_t root_size = strlen(root);
    size_t joint = root_size > 0 && size > 0 ? 1 : 0;
    char *full = mem_alloc(root_size + joint + size + 1);
    if (!full)
        return fail_memory();
    memcpy(full, root, root_size);
    if (joint)
        full[root_size] = '/';
    memcpy(full + root_size + joint, start, size);
    full[root_size + joint + size] = 0;
    *out = full;
    if (directory)
        *directory = slash;
    return 0;
}

char *path_join(const char *a, const char *b)
{
    if (!*a || !*b)
        return mem_dup(*a ? a : b);
    return mem_format("%s/%s", a, b);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t path_parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

bool path_within(const char *root, const char *path)
{
    size_t size = strlen(root);
    return size == 0 || (strncmp(path, root, size) == 0 && (!path[size] || path[size] == '/'));
}

static int rank(char c)
{
    return c == '/' ? 1 : c ? (unsigned char)c + 1 : 0;
}

int path_compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return rank(*a) - rank(*b);
}

const char *path_below(const char *root, const char *path)
{
    const char *below = path + strlen(root);
    return *root && *below ? below + 1 : below;
}

bool path_is_temporary(const char *name)
{
    size_t prefix = strlen(TEMPORARY_PREFIX);
    return strncmp(name, TEMPORARY_PREFIX, prefix) == 0 && strlen(name) == prefix + 16 &&
           strspn(name + prefix, "0123456789abcdef") == 16;
}
