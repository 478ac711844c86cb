/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern and a path, with a newline between them: no pattern is slow, an escaped path is its own pattern, and what
 * matches is never in a directory that would not be gone into. */
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"

#define require(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Does `path` match? Each directory on the way must have said "deeper". */
static bool matches(struct glob *glob, const char *path)
{
    bool deeper, open = true;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        autofree char *above = mem_dup_n(path, (size_t)(slash - path));
        autofree char *dir = mem_dup_n(above, path_parent_size(above));
        glob_enter(glob, dir);
        glob_match_name(glob, path_name(above), true, &deeper);
        open = open && deeper;
    }
    autofree char *dir = mem_dup_n(path, path_parent_size(path));
    glob_enter(glob, dir);
    bool file = glob_match_name(glob, path_name(path), false, &deeper);
    require(!deeper);
    bool directory = glob_match_name(glob, path_name(path), true, &deeper);
    require(open || (!file && !directory));
    require(directory || !file);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *pattern = mem_dup_n((const char *)data, size);
    char *path = strchr(pattern, '\n');
    struct glob *glob;
    if (!path)
        return 0;
    *path++ = 0;
    if (!path_is_key(pattern) || !path_is_key(path))
        return 0;
    if (glob_new(pattern, false, &glob) == 0) {
        bool found = matches(glob, path);
        require(glob_has_magic(pattern) || found == (strcmp(pattern, path) == 0));
        require(glob_stem_size(glob) <= strlen(pattern));
        glob_free(glob);
    }
    autofree char *escaped = glob_escape(path);
    require(escaped && glob_new(escaped, false, &glob) == 0);
    require(matches(glob, path));
    glob_free(glob);
    return 0;
}
