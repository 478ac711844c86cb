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
    LAYER_LIST_TREE,
    LAYER_READ,
    LAYER_WRITE,
    LAYER_REMOVE,
    LAYER_MKDIR,
    LAYER_RMDIR,
    LAYER_UNMARK,
    LAYER_TOUCH,
    LAYER_COPY,
    LAYER_MOVE,
    LAYER_SIGN,
    LAYER_PROPERTIES,
    LAYER_STAGE,
    LAYER_STAGE_PART,
    LAYER_PUBLISH,
    LAYER_DISCARD,
    LAYER_STAGE_WHOLE,
    LAYER_SWEEP,
    LAYER_READ_STAGED,
    LAYER_SYNC,
    LAYER_APPLY,
    LAYER_OPERATIONS
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
    const char *if_match;
    const char *to;   /* copy, move: full */
    int64_t mtime_ns; /* touch; sweep: since when */
    uint64_t id;      /* stage, sweep */
    const struct token *token;
    struct token *new_token; /* stage */
    uint32_t part;
    int64_t offset, size;
    const void *data;
    uint32_t expires_s;
    char **url;
    const struct labels *labels; /* copy, stage */
    struct larder_properties *properties;
    struct cursor *cursor;
    struct larder_entries *page;
    struct answer *out;
    const char *const *paths;
    size_t count;
    int *status;
    struct apply_item *items;
    size_t *failed;
};
int CO_FN layer_call(struct layer_call *call);
/* -EISDIR: the path, behind which a slash stood (terms->directory), is a directory's, and so no file's. A read and a
 * removal of one path see to that themselves, as calls. Who cannot be told may read on, but not remove: `removes`. */
int CO_FN layer_refuse_directory(struct instance *instance, const char *path, const struct terms *terms,
                                 bool removes);
/* On this very thread: INSTANT and BLOCKING tables, instant sinks. */
int layer_now(struct layer_call *call);

/* The same with names. */
int CO_FN layer_info(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out);
int CO_FN layer_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN layer_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN layer_read(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out);
int CO_FN layer_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                      const char *if_match, struct answer *out);
int CO_FN layer_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int CO_FN layer_mkdir(struct instance *instance, const char *path, unsigned flags);
int CO_FN layer_rmdir(struct instance *instance, const char *path);
int CO_FN layer_touch(struct instance *instance, const char *path, int64_t mtime_ns);
int CO_FN layer_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                     const struct labels *labels);
int CO_FN layer_properties(struct instance *instance, const char *path, struct larder_properties *out);
int CO_FN layer_move(struct instance *instance, const char *from, const char *to, unsigned flags);
int CO_FN layer_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                      struct token *out);
int CO_FN layer_stage_part(struct instance *instance, const char *path, const struct token *token,
                           uint32_t part, int64_t offset, const void *data, size_t size);
int CO_FN layer_stage_whole(struct instance *instance, const char *path, const struct token *token,
                            struct source *source);
int CO_FN layer_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                        unsigned flags, const char *if_match, struct answer *out);
int CO_FN layer_discard(struct instance *instance, const char *path, const struct token *token);
int CO_FN layer_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns);
int CO_FN layer_read_staged(struct instance *instance, const char *path, const struct token *token,
                            const struct larder_range *range, struct sink *sink, struct answer *out);
/* At a place without it: 0. */
int CO_FN layer_sync(struct instance *instance, const char *const paths[], size_t count);
int CO_FN layer_apply(struct instance *instance, struct apply_item items[], size_t count, size_t *failed);

/* Does the place behind `instance`, through all views, have this operation? */
bool layer_has(struct instance *instance, enum layer_operation operation);
/* Does the place that a write comes to name what is temporary by the source's id? */
bool layer_names_writes(struct instance *instance);
/* list_tree, where no view on the way lists by itself. */
bool layer_has_trees(struct instance *instance);
/* Are paths of both the same files, so that `b` can copy and move what is in `a`? An opaque view
 * is a place of its own. */
bool layer_same_place(struct instance *a, struct instance *b);

/* Tell the views in front of a place of a change that went another way. */
void layer_tell_changed(struct instance *instance, const char *path, bool tree);

/* Any thread, never suspends. -EAGAIN: not without waiting. An INSTANT table's answer is the operation's own. */
int layer_look_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out);
int layer_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                    const struct terms *terms, struct sink *sink, struct answer *out);

#endif
