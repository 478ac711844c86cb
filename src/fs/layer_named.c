/* SPDX-License-Identifier: Apache-2.0 */
/* layer_call, an operation a function. */
#include "fs/layer.h"

int CO_FN layer_info(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out)
{
    struct layer_call call = {LAYER_INFO, instance, path, .terms = terms, .out = out};
    return layer_call(&call);
}

int CO_FN layer_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct layer_call call = {LAYER_LIST,       instance,     path,      .terms = terms,
                              .cursor = cursor, .page = page, .out = out};
    return layer_call(&call);
}

int CO_FN layer_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct layer_call call = {LAYER_LIST_TREE,  instance,     path,      .terms = terms,
                              .cursor = cursor, .page = page, .out = out};
    return layer_call(&call);
}

int CO_FN layer_read(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct layer_call call = {LAYER_READ,     instance,     path,      .range = range,
                              .terms = terms, .sink = sink, .out = out};
    return layer_call(&call);
}

int CO_FN layer_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                      const char *if_match, struct answer *out)
{
    struct layer_call call = {LAYER_WRITE,          instance,  path, .source = source, .flags = flags,
                              .if_match = if_match, .out = out};
    return layer_call(&call);
}

int CO_FN layer_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    struct layer_call call = {LAYER_REMOVE, instance, .paths = paths, .count = count, .status = status};
    return layer_call(&call);
}

int CO_FN layer_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    struct layer_call call = {LAYER_MKDIR, instance, path, .flags = flags};
    return layer_call(&call);
}

int CO_FN layer_rmdir(struct instance *instance, const char *path)
{
    struct layer_call call = {LAYER_RMDIR, instance, path};
    return layer_call(&call);
}

int CO_FN layer_touch(struct instance *instance, const char *path, int64_t mtime_ns)
{
    struct layer_call call = {LAYER_TOUCH, instance, path, .mtime_ns = mtime_ns};
    return layer_call(&call);
}

int CO_FN layer_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                     const struct labels *labels)
{
    struct layer_call call = {LAYER_COPY, instance, from, .to = to, .flags = flags, .labels = labels};
    return layer_call(&call);
}

int CO_FN layer_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct layer_call call = {LAYER_MOVE, instance, from, .to = to, .flags = flags};
    return layer_call(&call);
}

int CO_FN layer_properties(struct instance *instance, const char *path, struct larder_properties *out)
{
    struct layer_call call = {LAYER_PROPERTIES, instance, path, .properties = out};
    return layer_call(&call);
}

int CO_FN layer_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                      struct token *out)
{
    struct layer_call call = {LAYER_STAGE, instance, path, .labels = labels, .id = id, .new_token = out};
    return layer_call(&call);
}

int CO_FN layer_stage_part(struct instance *instance, const char *path, const struct token *token,
                           uint32_t part, int64_t offset, const void *data, size_t size)
{
    struct layer_call call = {LAYER_STAGE_PART, instance,         path,         .token = token,
                              .part = part,     .offset = offset, .data = data, .size = (int64_t)size};
    return layer_call(&call);
}

int CO_FN layer_stage_whole(struct instance *instance, const char *path, const struct token *token,
                            struct source *source)
{
    struct layer_call call = {LAYER_STAGE_WHOLE, instance, path, .token = token, .source = source};
    return layer_call(&call);
}

int CO_FN layer_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                        unsigned flags, const char *if_match, struct answer *out)
{
    struct layer_call call = {LAYER_PUBLISH,        instance,     path,
                              .token = token,       .size = size, .flags = flags,
                              .if_match = if_match, .out = out};
    return layer_call(&call);
}

int CO_FN layer_discard(struct instance *instance, const char *path, const struct token *token)
{
    struct layer_call call = {LAYER_DISCARD, instance, path, .token = token};
    return layer_call(&call);
}

int CO_FN layer_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns)
{
    struct layer_call call = {LAYER_SWEEP, instance, path, .id = id, .mtime_ns = since_ns};
    return layer_call(&call);
}

int CO_FN layer_read_staged(struct instance *instance, const char *path, const struct token *token,
                            const struct larder_range *range, struct sink *sink, struct answer *out)
{
    struct layer_call call = {LAYER_READ_STAGED, instance,     path,       .token = token,
                              .range = range,    .sink = sink, .out = out, .terms = &TERMS_NONE};
    return layer_call(&call);
}

int CO_FN layer_sync(struct instance *instance, const char *const paths[], size_t count)
{
    struct layer_call call = {LAYER_SYNC, instance, .paths = paths, .count = count};
    return layer_has(instance, LAYER_SYNC) ? layer_call(&call) : 0;
}

int CO_FN layer_apply(struct instance *instance, struct apply_item items[], size_t count, size_t *failed)
{
    struct layer_call call = {LAYER_APPLY, instance, .items = items, .count = count, .failed = failed};
    return layer_call(&call);
}
