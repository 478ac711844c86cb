/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resume.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

int resume_begin(struct resume *resume, const struct answer *answer, bool passed_on, const char *path)
{
    const char *version = answer ? answer->info.version : NULL;
    if (passed_on && (!version || !resume->version || strcmp(version, resume->version) != 0))
        return fail(-ESTALE, "%s: it changed while it was read", path);
    if (!passed_on) {
        resume_fini(resume);
        if (version && !(resume->version = mem_dup(version)))
            return fail_memory();
    }
    resume->skip = resume->count;
    return 0;
}

size_t resume_fill(struct resume *resume, void *data, size_t size)
{
    size_t known = (uint64_t)resume->skip < size ? (size_t)resume->skip : size;
    if (known > 0)
        memmove(data, (char *)data + known, size - known);
    resume->skip -= (int64_t)known;
    resume->count += (int64_t)(size - known);
    return size - known;
}

void resume_fini(struct resume *resume)
{
    mem_free(resume->version);
    *resume = (struct resume){0};
}
