/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_INSTANCE_H
#define FS_INSTANCE_H
/*
 * Instances, and the registry by which what is asked for alike is one: the same layer, place, options (given, out of the
 * environment, or filled in), loop, and filesystem behind it.
 *
 * The registry is weak: an instance lives as long as a handle on it, and a fork's child begins with none. Nothing is
 * opened or closed under its lock. So two threads may open what becomes one instance at once: the later one's is closed
 * again, without having been used.
 */
#include "fs/backend.h"

struct opening {
    const struct backend *backend;
    struct larder_loop *loop; /* as loop_meant says; NULL: the default one */
    struct larder_fs *next;   /* views */
    const char *place;        /* leaves: as the table's locate said; views: NULL */
    char **values;            /* of its options, all of them */
    bool asynchronous;        /* it is not started, and has a gate */
    bool unshared;            /* neither looked for nor found by others */
};
/* The instance that is like this, else a new one. `values` are taken over, also when it fails. */
int instance_get(const struct opening *opening, struct instance **out);
/* Open it, and close it again: once each. Not on a task's way: what takes long in it takes long. */
int instance_start(struct instance *instance);
void instance_stop(struct instance *instance); /* of one that is not started: nothing */
/* A reference to the one of `backend` that was asked for last and still lives; NULL: there is none. */
struct instance *instance_latest(const struct backend *backend);
/* From now on none of those that there are is found by instance_get. */
void instances_forget(void);

#endif
