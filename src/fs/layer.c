/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/layer.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "fs/chain.h"
#include "fs/fs.h"
#include "task/loop.h"

static int op_info(struct layer_call *c)
{
    return c->instance->backend->info(c->instance, c->path, c->terms, c->out);
}

static int op_list(struct layer_call *c)
{
    return c->instance->backend->list(c->instance, c->path, c->terms, c->cursor, c->page, c->out);
}

static int op_list_tree(struct layer_call *c)
{
    return c->instance->backend->list_tree(c->instance, c->path, c->terms, c->cursor, c->page, c->out);
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
    return c->instance->backend->mkdir(c->instance, c->path, c->flags);
}

static int op_rmdir(struct layer_call *c)
{
    return c->instance->backend->rmdir(c->instance, c->path);
}

static int op_unmark(struct layer_call *c)
{
    return c->instance->backend->unmark(c->instance, c->paths, c->count);
}

static int op_touch(struct layer_call *c)
{
    return c->instance->backend->touch(c->instance, c->path, c->mtime_ns);
}

static int op_copy(struct layer_call *c)
{
    return c->instance->backend->copy(c->instance, c->path, c->to, c->flags, c->labels);
}

static int op_move(struct layer_call *c)
{
    return c->instance->backend->move(c->instance, c->path, c->to, c->flags);
}

static int op_sign(struct layer_call *c)
{
    return c->instance->backend->sign(c->instance, c->path, c->expires_s, c->url);
}

static int op_properties(struct layer_call *c)
{
    return c->instance->backend->properties(c->instance, c->path, c->properties);
}

static int op_stage(struct layer_call *c)
{
    return c->instance->backend->stage(c->instance, c->path, c->labels, c->id, c->new_token);
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

static int op_stage_whole(struct layer_call *c)
{
    return c->instance->backend->stage_whole(c->instance, c->path, c->token, c->source);
}

static int op_sweep(struct layer_call *c)
{
    return c->instance->backend->sweep(c->instance, c->path, c->id, c->mtime_ns);
}

static int op_read_staged(struct layer_call *c)
{
    return c->instance->backend->read_staged(c->instance, c->path, c->token, c->range, c->sink, c->out);
}

static int op_sync(struct layer_call *c)
{
    return c->instance->backend->sync(c->instance, c->paths, c->count);
}

static int op_apply(struct layer_call *c)
{
    return c->instance->backend->apply(c->instance, c->items, c->count, c->failed);
}

static const struct {
    int (*call)(struct layer_call *c);
    size_t at; /* of its pointer in a table */
    bool changes;
    const char *words; /* for what cannot do it */
} operations[LAYER_OPERATIONS] = {
#define OPERATION(name, changes, words) {op_##name, offsetof(struct backend, name), changes, words}
    [LAYER_INFO] = OPERATION(info, false, "tell what a path is"),
    [LAYER_LIST] = OPERATION(list, false, "list directories"),
    [LAYER_LIST_TREE] = OPERATION(list_tree, false, "list trees"),
    [LAYER_READ] = OPERATION(read, false, "read files"),
    [LAYER_WRITE] = OPERATION(write, true, "write files"),
    [LAYER_REMOVE] = OPERATION(remove, true, "remove files"),
    [LAYER_MKDIR] = OPERATION(mkdir, true, "make directories"),
    [LAYER_RMDIR] = OPERATION(rmdir, true, "remove directories"),
    [LAYER_UNMARK] = OPERATION(unmark, true, "remove directories"),
    [LAYER_TOUCH] = OPERATION(touch, true, "set the times of files"),
    [LAYER_COPY] = OPERATION(copy, true, "copy files"),
    [LAYER_MOVE] = OPERATION(move, true, "move files"),
    [LAYER_SIGN] = OPERATION(sign, false, "sign URLs"),
    [LAYER_PROPERTIES] = OPERATION(properties, false, "tell the properties of files"),
    [LAYER_STAGE] = OPERATION(stage, false, "write files in parts"),
    [LAYER_STAGE_PART] = OPERATION(stage_part, false, "write files in parts"),
    [LAYER_PUBLISH] = OPERATION(publish, true, "write files in parts"),
    [LAYER_DISCARD] = OPERATION(discard, false, "write files in parts"),
    [LAYER_STAGE_WHOLE] = OPERATION(stage_whole, false, "stage files"),
    [LAYER_SWEEP] = OPERATION(sweep, false, "find what was staged"),
    [LAYER_READ_STAGED] = OPERATION(read_staged, false, "read what is staged"),
    [LAYER_SYNC] = OPERATION(sync, false, "sync"),
    [LAYER_APPLY] = OPERATION(apply, true, "make many changes at one moment"),
#undef OPERATION
};

static bool has_operation(const struct backend *backend, enum layer_operation operation)
{
    void (*pointer)(void);
    memcpy(&pointer, (const char *)backend + operations[operation].at, sizeof pointer);
    return pointer;
}

/* Does this layer leave what it lacks to the next one? */
static bool hands_on(const struct backend *backend)
{
    return backend->view && !backend->opaque;
}

/* What a call is about, for texts. */
static const char *path_of(const struct layer_call *call)
{
    return call->path ? call->path : call->paths ? call->paths[0] : call->items[0].path;
}

static int lacks(const struct layer_call *call)
{
    return fail_at(call->instance, path_of(call), -ENOTSUP, "this place (%s) cannot %s",
                   call->instance->backend->name, operations[call->operation].words);
}

int layer_now(struct layer_call *call)
{
    assert(call->instance->backend->kind != ASYNC);
    if (!has_operation(call->instance->backend, call->operation))
        return lacks(call);
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
 * cursor has moved past its page, which nobody could ask for again, and what was staged is known by its token only: the
 * next wait will tell of the cancel.
 */
static int CO_FN on_worker(struct layer_call *call)
{
    struct worker_call work = {call, -ECANCELED};
    int rc = offload(work_call, &work);
    if (rc >= 0 || work.rc < 0)
        return rc;
    if (call->cursor || call->operation == LAYER_STAGE)
        return work.rc;
    answer_free(call->out);
    larder_entries_free(call->page);
    return rc;
}

/* ---- bridging: a sink that may suspend, under a table that cannot ---- */

#define BRIDGE_SIZE ((int64_t)1 << 20)

struct bridge {
    struct layer_call *call;
    struct terms terms;  /* of the next piece */
    struct answer first; /* what the file is; known once the first answer came */
    struct bytes_sink piece;
    int64_t start,
        count; /* what is still to be asked for; before the first answer, as much as there may be */
};

/* What the file is, where the range cannot be asked for piece by piece before that is known. */
static int CO_FN bridge_info(struct bridge *bridge)
{
    struct layer_call ask = *bridge->call;
    ask.operation = LAYER_INFO;
    ask.out = &bridge->first;
    int rc = layer_call(&ask);
    if (rc == 0)
        range_resolve(ask.range, bridge->first.info.type == LARDER_FILE ? bridge->first.info.size : 0,
                      &bridge->start, &bridge->count);
    return rc;
}

/* The next piece; the first answer says how many there are. */
static int CO_FN bridge_piece(struct bridge *bridge, bool first)
{
    int64_t size = bridge->count < BRIDGE_SIZE ? bridge->count : BRIDGE_SIZE;
    struct larder_range range = {bridge->start, bridge->start + size};
    struct answer answer = {0};
    struct layer_call ask = *bridge->call;
    ask.range = &range;
    ask.terms = &bridge->terms;
    ask.sink = &bridge->piece.sink;
    ask.out = first ? &bridge->first : &answer;
    int rc = layer_call(&ask);
    answer_free(&answer);
    if (rc != 0)
        return rc;
    if (first)
        range_resolve(bridge->call->range, bridge->first.info.size, &bridge->start, &bridge->count);
    if (size > bridge->count)
        size = bridge->count;
    if (bridge->piece.size != (size_t)size)
        return fail(-ESTALE, "%s: it changed while it was read", bridge->call->path);
    bridge->start += size;
    bridge->count -= size;
    return 0;
}

/* Each piece is held to the version of the first by if_match, so that pieces of two versions never mix. */
static int CO_FN bridge_pieces(struct bridge *bridge, bool known)
{
    struct sink *sink = bridge->call->sink;
    int64_t count = bridge->count;
    int rc = known ? sink_begin(sink, &bridge->first, count) : 0;
    for (bool first = !known; rc == 0; first = false) {
        rc = bridge_piece(bridge, first);
        if (rc == 0 && first)
            rc = sink_begin(sink, &bridge->first, bridge->count + (int64_t)bridge->piece.size);
        if (rc == 0)
            rc = sink_pour(sink, bridge->piece.data, bridge->piece.size);
        if (rc != 0 || bridge->count == 0)
            break;
        bridge->terms.if_none_match = NULL;
        if (bridge->first.info.version)
            bridge->terms.if_match = bridge->first.info.version;
    }
    return rc;
}

static int CO_FN bridge(struct layer_call *call)
{
    const struct larder_range *range = call->range;
    struct bridge bridge = {.call = call, .terms = *call->terms};
    bool ask_first = range && (range->start < 0 || range_needs_size(range) || range_is_empty(range));
    bytes_sink_init(&bridge.piece);
    bridge.start = range ? range->start : 0;
    bridge.count =
        ask_first ? 0 : (range ? range->end : LARDER_TO_END) - bridge.start; /* bridge_info's, if asked */
    int rc = ask_first ? bridge_info(&bridge) : 0;
    if (rc == 0)
        rc = bridge_pieces(&bridge, ask_first);
    bytes_sink_fini(&bridge.piece);
    if (rc >= 0 && call->out)
        *call->out = bridge.first;
    else
        answer_free(&bridge.first);
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
    case LAYER_UNMARK:
        for (size_t i = 0; i < call->count; i++)
            changed(view, call->paths[i], false, NULL);
        break;
    case LAYER_APPLY:
        for (size_t i = 0; i < call->count; i++)
            changed(view, call->items[i].path, call->items[i].kind == CHANGE_RMDIR, NULL);
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

static int may_pass(const struct layer_call *call)
{
    int (*may_change)(struct instance *, const char *) = call->instance->backend->may_change;
    return may_change ? may_change(call->instance, path_of(call)) : 0;
}

/* To what is behind a view, which is told of what changed. */
static int CO_FN pass_on(struct layer_call *call)
{
    struct layer_call below = *call;
    bool changes = operations[call->operation].changes;
    int rc = changes || call->operation == LAYER_STAGE ? may_pass(call) : 0;
    if (rc < 0)
        return rc;
    below.instance = call->instance->next->instance;
    rc = layer_call(&below);
    if (changes)
        tell_changed(call, rc);
    return rc;
}

int CO_FN layer_refuse_directory(struct instance *instance, const char *path, const struct terms *terms,
                                 bool removes)
{
    struct answer answer = {0};
    if (!terms->directory)
        return 0;
    int rc = layer_info(instance, path, terms, &answer);
    bool directory = rc == 0 && answer.info.type == LARDER_DIRECTORY;
    answer_free(&answer);
    bool missing = rc == -ENOENT || rc == -ENOTDIR;
    if (rc == -ECANCELED || rc == -ETIMEDOUT || (rc < 0 && removes && !missing))
        return rc; /* the first two are of the call, and no word of the place */
    error_clear();
    return directory ? fail_at(instance, path, -EISDIR, "a directory") : 0;
}

/* Of one file, to which a slash behind its path may be a directory. */
static int CO_FN call_of_file(struct layer_call *call)
{
    const struct terms *given = call->terms;
    struct terms terms = *given;
    terms.directory = false;
    int rc = layer_refuse_directory(call->instance, path_of(call), given, call->operation == LAYER_REMOVE);
    if (rc < 0)
        return rc;
    call->terms = &terms;
    rc = layer_call(call);
    call->terms = given;
    return rc;
}

static bool may_be_directory(const struct layer_call *call)
{
    bool of_file = call->operation == LAYER_READ || call->operation == LAYER_REMOVE;
    return of_file && call->terms && call->terms->directory;
}

int CO_FN layer_call(struct layer_call *call)
{
    const struct backend *backend = call->instance->backend;
    if (may_be_directory(call))
        return call_of_file(call);
    if (!has_operation(backend, call->operation))
        return hands_on(backend) ? pass_on(call) : lacks(call);
    bool reads = call->operation == LAYER_READ || call->operation == LAYER_READ_STAGED;
    if (reads && backend->kind != ASYNC && !call->sink->instant)
        return bridge(call);
    if (backend->kind == BLOCKING)
        return on_worker(call);
    return operations[call->operation].call(call);
}

/* The layer that a call comes to: views without the operation hand it on. */
static struct instance *layer_at(struct instance *instance, enum layer_operation operation)
{
    while (hands_on(instance->backend) && !has_operation(instance->backend, operation))
        instance = instance->next->instance;
    return instance;
}

bool layer_has(struct instance *instance, enum layer_operation operation)
{
    return has_operation(layer_at(instance, operation)->backend, operation);
}

bool layer_names_writes(struct instance *instance)
{
    return layer_at(instance, LAYER_WRITE)->backend->names_writes;
}

bool layer_has_trees(struct instance *instance)
{
    struct instance *lists = layer_at(instance, LAYER_LIST);
    return layer_at(instance, LAYER_LIST_TREE) == lists && has_operation(lists->backend, LAYER_LIST_TREE);
}

bool layer_same_place(struct instance *a, struct instance *b)
{
    a = layer_at(a, LAYER_COPY);
    b = layer_at(b, LAYER_COPY);
    return a == b || (a->backend == b->backend && !a->backend->view && loop_is_same(a->loop, b->loop) &&
                      a->identity && b->identity && strcmp(a->identity, b->identity) == 0);
}

void layer_tell_changed(struct instance *instance, const char *path, bool tree)
{
    for (; instance->backend->view; instance = instance->next->instance)
        if (instance->backend->changed)
            instance->backend->changed(instance, path, tree, NULL);
}

/* ---- looks ---- */

int layer_look_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out)
{
    struct instance *at = layer_at(instance, LAYER_INFO);
    if (at->backend->kind == INSTANT)
        return at->backend->info(at, path, terms, out);
    return at->backend->look_info ? at->backend->look_info(at, path, terms, out) : -EAGAIN;
}

int layer_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                    const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct instance *at = layer_at(instance, LAYER_READ);
    if (at->backend->kind == INSTANT)
        return at->backend->read(at, path, range, terms, sink, out);
    return at->backend->look_read && !terms->directory
               ? at->backend->look_read(at, path, range, terms, sink, out)
               : -EAGAIN;
}
