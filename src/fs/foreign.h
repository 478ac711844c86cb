/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_FOREIGN_H
#define FS_FOREIGN_H
/* Between the table of a program's own backend (larder/backend.h) and ours, which may change. */
#include "larder/backend.h"

#include "base/buffer.h"
#include "fs/backend.h"

/* What larder_register made, for the life of the process. */
struct foreign {
    struct backend backend;
    struct larder_backend given;
    const char *protocols[2];
    struct option *options; /* mem */
};
struct foreign_instance {
    struct instance instance;
    void *state;
};

static inline const struct larder_backend *given_of(const struct instance *instance)
{
    return &container_of(instance->backend, struct foreign, backend)->given;
}
static inline void *state_of(struct instance *instance)
{
    return container_of(instance, struct foreign_instance, instance)->state;
}

/* ---- what an operation is given ---- */

struct larder_reading {
    const struct instance *instance;
    const char *path;
    const struct larder_range *range;
    const struct terms *terms;
    struct sink *sink;
    /* since it began */
    bool begun, unchanged;
    struct larder_facts facts; /* whose version the answer has … */
    struct answer answer;
    bool passes; /* … or another filesystem read it, and this is its answer; owned */
    struct answer passed;
    bool sized; /* `left` bytes have to come; else so many may, -1: any number */
    int64_t left;
};

struct larder_page {
    const struct instance *instance;
    const char *path;
    struct cursor *cursor;
    bool names_only;
    struct entries_builder builder;
    void *position;
    void (*release)(void *position);
    bool goes_on;
};

struct larder_writing {
    struct source *source;
    struct buffer whole; /* of larder_writing_whole */
};

/* Its operations in our table. */
void foreign_fill_operations(struct backend *backend, const struct larder_backend *given);
/* larder_register over what is known. */
int foreign_register(const struct larder_backend *given);

#endif
