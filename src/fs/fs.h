/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_FS_H
#define FS_FS_H
/* The handle, for the floors above and for views. */
#include "fs/backend.h"
#include "fs/labels.h"

struct larder_fs {             /* const after it was made */
    struct instance *instance; /* a reference */
    char *root;                /* clean; mem */
    char *directory;           /* the full path that a URL wrote with a slash behind it; mem, or NULL */
    struct terms terms;        /* of every read: ttl, the greatest age */
    int64_t timeout_ms;        /* of every call; 0: none */
    struct labels labels;      /* of every write */
    atomic_uint references;
};
/* A handle on an instance, whose reference it takes over (also when it fails). */
int fs_new(struct instance *instance, const char *root, struct larder_fs **out);
/* larder_open over the backends that are registered. */
int fs_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
            char **path);

/* larder_fs_current and larder_fs_from_json, likewise. */
int fs_current(const char *protocol, struct larder_fs **out);
int fs_from_json(struct larder_loop *loop, const char *text, const char *const options[],
                 struct larder_fs **out);

/* Put into the zeroed tuning struct at `out` what the caller's, which starts with its size, says; NULL says nothing.
 * -EINVAL: that size was not set. */
int tuning_take(void *out, size_t out_size, const void *given);
/* The way back, into a struct of the caller's that starts with its size; NULL wants nothing. The check is made before
 * anything is done; giving leaves the size as it was, and sets as much as the caller knows. */
int tuning_check(const void *out);
void tuning_give(void *out, void *made, size_t made_size);

#endif
