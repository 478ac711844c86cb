/* SPDX-License-Identifier: Apache-2.0 */
#include "base/filter.h"

#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/pattern.h"
#include "base/seams.h"

static int compile(const char *const patterns[], struct glob ***out, size_t *count)
{
    size_t wanted = 0;
    while (patterns && patterns[wanted])
        wanted++;
    if (wanted == 0)
        return 0;
    *out = mem_array(wanted, sizeof **out);
    if (!*out)
        return fail_memory();
    for (int rc; *count < wanted; ++*count)
        if ((rc = pattern_new(patterns[*count], strlen(patterns[*count]), *out + *count)) < 0)
            return rc;
    return 0;
}

int filter_init(struct filter *filter, const char *const include[], const char *const exclude[])
{
    int rc = compile(include, &filter->include, &filter->include_count);
    return rc < 0 ? rc : compile(exclude, &filter->exclude, &filter->exclude_count);
}

static void drop(struct glob **patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        glob_free(patterns[i]);
    mem_free(patterns);
}

void filter_fini(struct filter *filter)
{
    drop(filter->include, filter->include_count);
    drop(filter->exclude, filter->exclude_count);
}

static bool any_holds(struct glob **patterns, size_t count, const char *path, bool directory)
{
    for (size_t i = 0; i < count; i++)
        if (pattern_holds(patterns[i], path, directory))
            return true;
    return false;
}

bool filter_wants(const struct filter *filter, const char *path, bool directory)
{
    if (any_holds(filter->exclude, filter->exclude_count, path, directory))
        return false;
    return directory || filter->include_count == 0 ||
           any_holds(filter->include, filter->include_count, path, directory);
}
