/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_LAYER_H
#define FS_LAYER_H
/*
 * One call of a table, from a task: the only callers of a table's CO_FN operations. They go down through views that
 * lack the operation, carry a BLOCKING one to a worker, and tell the views on the way (`changed`) of what was changed.
 * Paths are clean and full.
 */
#include "fs/backend.h"

/* A call as data: what it takes, by its names in the table. */
enum layer_operation {
    LAYER_INFO,
    LAYER_LIST,
    LAYER_READ,
    LAYER_WRITE,
    LAYER_REMOVE,
    LAYER_MKDIR,
    LAYER_RMDIR
};
struct layer_call {
    enum layer_operation operation;
    struct instance *instance;
    const char *path;
    const struct larder_range *range;
    const struct terms *terms;
    struct sink *sink;
    struct source *source;
    unsigned flags;
    struct cursor *cursor;
    struct larder_entries *page;
    struct answer *out;
    const char *const *paths;
    size_t count;
    int *status;
};
int CO_FN layer_call(struct layer_call *call);
/* On this very thread: INSTANT and BLOCKING tables, instant sinks. */
int layer_now(struct layer_call *call);

/* The same with names. */
int CO_FN layer_info(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out);
int CO_FN layer_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN layer_read(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out);
int CO_FN layer_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                      struct answer *out);
int CO_FN layer_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int CO_FN layer_mkdir(struct instance *instance, const char *path);
int CO_FN layer_rmdir(struct instance *instance, const char *path);

/* Any thread, never suspends. -EAGAIN: not without waiting. An INSTANT table's answer is the operation's own. */
int layer_look_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out);
int layer_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                    const struct terms *terms, struct sink *sink, struct answer *out);

#endif
