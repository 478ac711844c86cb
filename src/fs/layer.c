/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/layer.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "fs/fs.h"

static int op_info(struct layer_call *c)
{
    return c->instance->backend->info(c->instance, c->path, c->terms, c->out);
}

static int op_list(struct layer_call *c)
{
    return c->instance->backend->list(c->instance, c->path, c->terms, c->cursor, c->page, c->out);
}

static int op_read(struct layer_call *c)
{
    return c->instance->backend->read(c->instance, c->path, c->range, c->terms, c->sink, c->out);
}

static int op_write(struct layer_call *c)
{
    return c->instance->backend->write(c->instance, c->path, c->source, c->flags, c->if_match, c->out);
}

static int op_remove(struct layer_call *c)
{
    return c->instance->backend->remove(c->instance, c->paths, c->count, c->status);
}

static int op_mkdir(struct layer_call *c)
{
    return c->instance->backend->mkdir(c->instance, c->path);
}

static int op_rmdir(struct layer_call *c)
{
    return c->instance->backend->rmdir(c->instance, c->path);
}

static int op_touch(struct layer_call *c)
{
    return c->instance->backend->touch(c->instance, c->path);
}

static int op_copy(struct layer_call *c)
{
    return c->instance->backend->copy(c->instance, c->path, c->to, c->flags);
}

static int op_move(struct layer_call *c)
{
    return c->instance->backend->move(c->instance, c->path, c->to, c->flags);
}

static int op_sign(struct layer_call *c)
{
    return c->instance->backend->sign(c->instance, c->path, c->expires_s, c->url);
}

static int op_stage(struct layer_call *c)
{
    return c->instance->backend->stage(c->instance, c->path, c->new_token);
}

static int op_stage_part(struct layer_call *c)
{
    return c->instance->backend->stage_part(c->instance, c->path, c->token, c->part, c->offset, c->data,
                                            (size_t)c->size);
}

static int op_publish(struct layer_call *c)
{
    return c->instance->backend->publish(c->instance, c->path, c->token, c->size, c->flags, c->if_match,
                                         c->out);
}

static int op_discard(struct layer_call *c)
{
    return c->instance->backend->discard(c->instance, c->path, c->token);
}

static const struct {
    int (*call)(struct layer_call *c);
    size_t at; /* of its pointer in a table */
    bool changes;
    const char *name;
} operations[LAYER_OPERATIONS] = {
#define OPERATION(name, changes) {op_##name, offsetof(struct backend, name), changes, #name}
    [LAYER_INFO] = OPERATION(info, false),
    [LAYER_LIST] = OPERATION(list, false),
    [LAYER_READ] = OPERATION(read, false),
    [LAYER_WRITE] = OPERATION(write, true),
    [LAYER_REMOVE] = OPERATION(remove, true),
    [LAYER_MKDIR] = OPERATION(mkdir, true),
    [LAYER_RMDIR] = OPERATION(rmdir, true),
    [LAYER_TOUCH] = OPERATION(touch, true),
    [LAYER_COPY] = OPERATION(copy, true),
    [LAYER_MOVE] = OPERATION(move, true),
    [LAYER_SIGN] = OPERATION(sign, false),
    [LAYER_STAGE] = OPERATION(stage, false),
    [LAYER_STAGE_PART] = OPERATION(stage_part, false),
    [LAYER_PUBLISH] = OPERATION(publish, true),
    [LAYER_DISCARD] = OPERATION(discard, false),
#undef OPERATION
};

static bool has_operation(const struct backend *backend, enum layer_operation operation)
{
    void (*pointer)(void);
    memcpy(&pointer, (const char *)backend + operations[operation].at, sizeof pointer);
    return pointer;
}

static int lacks(const struct instance *instance, enum layer_operation operation)
{
    return fail(-ENOTSUP, "%s: this place cannot %s", instance->backend->name, operations[operation].name);
}

int layer_now(struct layer_call *call)
{
    assert(call->instance->backend->kind != ASYNC);
    if (!has_operation(call->instance->backend, call->operation))
        return lacks(call->instance, call->operation);
    return operations[call->operation].call(call);
}

/* ---- on a worker ---- */

struct worker_call {
    struct layer_call *call;
    int rc;
};

static int work_call(void *arg)
{
    struct worker_call *work = arg;
    work->rc = layer_now(work->call);
    return work->rc;
}

/*
 * A call that was cancelled while its worker went on may have results all the same: a failure has none. But a listing's
 * cursor has moved past its page, which nobody could ask for again: the next wait will tell of the cancel.
 */
static int CO_FN on_worker(struct layer_call *call)
{
    struct worker_call work = {call, -ECANCELED};
    int rc = offload(work_call, &work);
    if (rc >= 0 || work.rc < 0)
        return rc;
    if (call->operation == LAYER_LIST)
        return work.rc;
    answer_free(call->out);
    larder_entries_free(call->page);
    return rc;
}

/* ---- bridging: a sink that may suspend, under a table that cannot ---- */

#define BRIDGE_SIZE (1 << 20)

static int CO_FN bridge_piece(struct layer_call *call, int64_t start, int64_t count, struct bytes_sink *piece,
                              struct terms *terms, struct answer *answer)
{
    struct larder_range range = {start, start + count};
    struct layer_call part = *call;
    part.range = &range;
    part.terms = terms;
    part.sink = &piece->sink;
    part.out = answer;
    return layer_call(&part);
}

/*
 * Piece by piece, each held to the version of the first by if_match, so that pieces of two versions never mix.
 */
static int CO_FN bridge(struct layer_call *call)
{
    struct answer first = {0}, answer = {0};
    struct terms terms = *call->terms;
    struct bytes_sink piece;
    int64_t start, count;
    struct layer_call ask = *call;
    ask.operation = LAYER_INFO;
    ask.out = &first;
    int rc = layer_call(&ask);
    if (rc == UNCHANGED && call->out)
        *call->out = first;
    else if (rc == UNCHANGED)
        answer_free(&first);
    if (rc != 0)
        return rc;
    bytes_sink_init(&piece);
    terms.if_none_match = NULL;
    terms.if_match = first.info.version ? first.info.version : call->terms->if_match;
    range_resolve(call->range, first.info.type == LARDER_FILE ? first.info.size : 0, &start, &count);
    bool begun = false;
    do {
        int64_t part = count < BRIDGE_SIZE ? count : BRIDGE_SIZE;
        rc = bridge_piece(call, start, part, &piece, &terms, &answer);
        if (rc == 0 && !begun)
            rc = sink_begin(call->sink, &first, count);
        begun = true;
        if (rc == 0 && piece.size != (size_t)part)
            rc = fail(-ESTALE, "%s: it changed while it was read", call->path);
        if (rc == 0)
            rc = sink_pour(call->sink, piece.data, piece.size);
        answer_free(&answer);
        start += part;
        count -= part;
    } while (rc == 0 && count > 0);
    bytes_sink_fini(&piece);
    if (rc == 0 && call->out)
        *call->out = first;
    else
        answer_free(&first);
    return rc;
}

/* ---- one call ---- */

static void tell_changed(struct layer_call *call, int rc)
{
    struct instance *view = call->instance;
    void (*changed)(struct instance *, const char *, bool, const struct answer *) = view->backend->changed;
    if (!changed)
        return;
    switch (call->operation) {
    case LAYER_REMOVE:
        for (size_t i = 0; i < call->count; i++)
            changed(view, call->paths[i], false, NULL);
        break;
    case LAYER_MOVE:
        changed(view, call->path, true, NULL);
        changed(view, call->to, true, NULL);
        break;
    case LAYER_COPY:
        changed(view, call->to, false, NULL);
        break;
    default:
        changed(view, call->path, call->operation == LAYER_RMDIR, rc == 0 ? call->out : NULL);
    }
}

int CO_FN layer_call(struct layer_call *call)
{
    const struct backend *backend = call->instance->backend;
    if (!has_operation(backend, call->operation)) {
        if (!backend->view)
            return lacks(call->instance, call->operation);
        struct layer_call below = *call;
        below.instance = call->instance->next->instance;
        int rc = layer_call(&below);
        if (operations[call->operation].changes)
            tell_changed(call, rc);
        return rc;
    }
    if (call->operation == LAYER_READ && backend->kind != ASYNC && !call->sink->instant)
        return bridge(call);
    if (backend->kind == BLOCKING)
        return on_worker(call);
    return operations[call->operation].call(call);
}

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

int CO_FN layer_mkdir(struct instance *instance, const char *path)
{
    struct layer_call call = {LAYER_MKDIR, instance, path};
    return layer_call(&call);
}

int CO_FN layer_rmdir(struct instance *instance, const char *path)
{
    struct layer_call call = {LAYER_RMDIR, instance, path};
    return layer_call(&call);
}

int CO_FN layer_copy(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct layer_call call = {LAYER_COPY, instance, from, .to = to, .flags = flags};
    return layer_call(&call);
}

int CO_FN layer_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct layer_call call = {LAYER_MOVE, instance, from, .to = to, .flags = flags};
    return layer_call(&call);
}

int CO_FN layer_stage(struct instance *instance, const char *path, struct token *out)
{
    struct layer_call call = {LAYER_STAGE, instance, path, .new_token = out};
    return layer_call(&call);
}

int CO_FN layer_stage_part(struct instance *instance, const char *path, const struct token *token,
                           uint32_t part, int64_t offset, const void *data, size_t size)
{
    struct layer_call call = {LAYER_STAGE_PART, instance,         path,         .token = token,
                              .part = part,     .offset = offset, .data = data, .size = (int64_t)size};
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

bool layer_has(const struct instance *instance, enum layer_operation operation)
{
    while (instance->backend->view && !has_operation(instance->backend, operation))
        instance = instance->next->instance;
    return has_operation(instance->backend, operation);
}

/* ---- looks ---- */

/* The layer that answers a look: views without the operation hand it on. */
static struct instance *looker(struct instance *instance, enum layer_operation operation)
{
    while (instance->backend->view && !has_operation(instance->backend, operation))
        instance = instance->next->instance;
    return instance;
}

int layer_look_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out)
{
    struct instance *at = looker(instance, LAYER_INFO);
    if (at->backend->kind == INSTANT)
        return at->backend->info(at, path, terms, out);
    return at->backend->look_info ? at->backend->look_info(at, path, terms, out) : -EAGAIN;
}

int layer_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                    const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct instance *at = looker(instance, LAYER_READ);
    if (at->backend->kind == INSTANT)
        return at->backend->read(at, path, range, terms, sink, out);
    return at->backend->look_read ? at->backend->look_read(at, path, range, terms, sink, out) : -EAGAIN;
}
