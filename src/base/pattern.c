/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"

int pattern_new(const char *text, size_t size, struct glob **out)
{
    bool rooted = size > 0 && text[0] == '/', directories = size > 1 && text[size - 1] == '/';
    autofree char *glob_text =
        mem_format("%s%.*s", rooted ? "" : "**/", (int)(size - rooted - directories), text + rooted);
    struct glob *glob;
    if (!glob_text)
        return fail_memory();
    if (size == rooted || !path_is_key(glob_text))
        return fail(-EINVAL, "\"%.*s\" is no pattern of a path", (int)size, text);
    int rc = glob_new(glob_text, directories, &glob);
    if (rc < 0)
        return rc;
    if (glob_component_count(glob) > GLOB_COMPONENTS_MAX) {
        glob_free(glob);
        return fail(-EINVAL, "\"%.*s\": more than %d parts between slashes", (int)size, text,
                    GLOB_COMPONENTS_MAX - 1);
    }
    *out = glob;
    return 0;
}

bool pattern_matches(const struct glob *pattern, const char *path, bool directory)
{
    return *path && glob_match_path(pattern, path, strlen(path), directory);
}

bool pattern_holds(const struct glob *pattern, const char *path, bool directory)
{
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++)
        if (glob_match_path(pattern, path, (size_t)(slash - path), true))
            return true;
    return pattern_matches(pattern, path, directory);
}
