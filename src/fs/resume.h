/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_RESUME_H
#define FS_RESUME_H
/*
 * For a sink that cannot take back what it passed on: a read that starts over has to send the same version again, of
 * which the part that is known is dropped; else it is -ESTALE.
 */
#include "fs/backend.h"

struct resume {
    char *version;       /* that was begun; mem; NULL: not known */
    int64_t count, skip; /* bytes kept so far; still to be dropped of what starts over */
};

/* In a sink's begin. Nothing `passed_on` yet: the read may be of another version. */
int resume_begin(struct resume *resume, const struct answer *answer, bool passed_on, const char *path);
/* In a sink's fill: how many of the bytes are new. They are moved to the front of `data`. */
size_t resume_fill(struct resume *resume, void *data, size_t size);
void resume_fini(struct resume *resume);

#endif
