/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: a file of a place that cannot send ranges. One request from the position on, whose bytes come in pieces that
 * take turns: while the caller has one, the next is filled, and then the place has to wait.
 *
 *     the flow's task      fills a piece ──▶ `filled`, once the one before is taken …
 *     a get, in a task     waits for `filled` or the end ──▶ takes it
 *
 * So bytes are given out before all of them have come. A flow that breaks off says so where it breaks off, and never
 * looks like the end of the file. One that starts over must be of the same version, and what was given is dropped.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/file_object.h"
#include "fs/file_read.h"
#include "fs/layer.h"
#include "fs/resume.h"

#define PIECE_SIZE ((size_t)1 << 20)
#define ROOM_SIZE  ((size_t)64 << 10) /* what comes in less waits for more, or for the end */

struct piece {
    char *data; /* mem */
    size_t size;
};

/* The file's and the task's, whoever is done with it last. */
struct flow {
    struct sink sink;
    atomic_uint owners;
    /* const */
    struct larder_fs *fs;  /* a reference */
    char *full, *if_match; /* mem */
    struct terms terms;
    int64_t start;
    struct larder_task *task;
    /* the loop's */
    struct waiters changed;
    struct answer answer; /* of the first begin */
    struct piece filling, filled;
    struct resume resume;
    bool begun, given, ended;
    bool wanted; /* a get waits, for less than a whole piece too */
    int status;
    char *text; /* mem */
};

struct streaming {
    struct flow *flow;
    struct piece piece;
    int64_t start; /* of the piece */
};

/* ---- the flow's task ---- */

static void flow_unref(struct flow *flow)
{
    if (atomic_fetch_sub(&flow->owners, 1) > 1)
        return;
    answer_free(&flow->answer);
    larder_fs_free(flow->fs);
    mem_free(flow->full);
    mem_free(flow->if_match);
    mem_free(flow->filling.data);
    mem_free(flow->filled.data);
    mem_free(flow->text);
    resume_fini(&flow->resume);
    mem_free(flow);
}

static int CO_FN hand_over(struct flow *flow)
{
    while (flow->filled.data) {
        int rc = waiters_wait(&flow->changed);
        if (rc < 0)
            return rc;
    }
    flow->filled = flow->filling;
    flow->filling = (struct piece){0};
    flow->given = true;
    waiters_wake(&flow->changed);
    return 0;
}

static int flow_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct flow *flow = (struct flow *)sink;
    int rc = resume_begin(&flow->resume, answer, flow->given, flow->full);
    if (rc < 0 || flow->given)
        return rc;
    flow->filling.size = 0;
    answer_free(&flow->answer);
    flow->begun = true;
    return answer_copy(&flow->answer, answer);
}

static int CO_FN lend(struct flow *flow, void **out, size_t *size)
{
    struct piece *piece = &flow->filling;
    bool full = piece->size == PIECE_SIZE || (flow->wanted && piece->size > 0 && !flow->filled.data);
    int rc = full ? hand_over(flow) : 0;
    if (rc < 0)
        return rc;
    if (!piece->data && !(piece->data = mem_alloc(PIECE_SIZE)))
        return fail_memory();
    *out = piece->data + piece->size;
    *size = PIECE_SIZE - piece->size < ROOM_SIZE ? PIECE_SIZE - piece->size : ROOM_SIZE;
    return 0;
}

static int CO_EDGE flow_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    return lend((struct flow *)sink, out, size);
}

static int flow_fill(struct sink *sink, size_t size)
{
    struct flow *flow = (struct flow *)sink;
    struct piece *piece = &flow->filling;
    piece->size += resume_fill(&flow->resume, piece->data + piece->size, size);
    return 0;
}

static int CO_FN run_flow(struct flow *flow)
{
    struct larder_range range = {flow->start, LARDER_TO_END};
    int rc = layer_read(flow->fs->instance, flow->full, &range, &flow->terms, &flow->sink, NULL);
    if (rc == 0 && flow->filling.size > 0)
        rc = hand_over(flow);
    flow->ended = true;
    flow->status = rc;
    flow->text = rc < 0 ? mem_dup(error_text()) : NULL;
    waiters_wake(&flow->changed);
    return rc;
}

static int CO_EDGE flow_task(void *arg)
{
    struct flow *flow = arg;
    int rc = run_flow(flow);
    enter_end(flow->fs);
    flow_unref(flow);
    return rc;
}

/* ---- the file's side ---- */

static struct flow *flow_new(struct file_reader *reader, int64_t start)
{
    struct flow *flow = mem_zero(sizeof *flow);
    if (!flow)
        return NULL;
    *flow = (struct flow){.sink = {.begin = flow_begin, .room = flow_room, .fill = flow_fill},
                          .fs = larder_fs_ref(reader->fs),
                          .full = mem_dup(reader->full),
                          .terms = file_read_terms(reader),
                          .start = start};
    atomic_init(&flow->owners, 1);
    waiters_init(&flow->changed);
    bool held = flow->terms.if_match;
    flow->terms.if_match = flow->if_match = held ? mem_dup(flow->terms.if_match) : NULL;
    if (flow->full && (flow->if_match || !held))
        return flow;
    flow_unref(flow);
    return NULL;
}

static int flow_open(struct file_reader *reader, struct streaming *streaming, int64_t start)
{
    struct flow *flow = flow_new(reader, start);
    if (!flow)
        return fail_memory();
    atomic_store(&flow->owners, 2);
    int rc = enter_spawn(reader->fs, reader->path, flow_task, flow, &flow->task);
    if (rc < 0) {
        flow_unref(flow);
        flow_unref(flow);
        return rc;
    }
    reader->requests++;
    streaming->flow = flow;
    streaming->start = start;
    return 0;
}

static void flow_drop(struct streaming *streaming)
{
    struct flow *flow = take(streaming->flow);
    mem_free(take(streaming->piece.data));
    streaming->piece.size = 0;
    if (!flow)
        return;
    larder_cancel(flow->task);
    larder_task_free(flow->task);
    flow_unref(flow);
}

/* The next piece; none is the end. */
static int CO_FN take_piece(struct flow *flow, struct piece *out)
{
    int rc = 0;
    flow->wanted = true;
    while (rc == 0 && !flow->filled.data && !flow->ended)
        rc = waiters_wait(&flow->changed);
    flow->wanted = false;
    if (rc < 0)
        return rc;
    *out = flow->filled;
    flow->filled = (struct piece){0};
    waiters_wake(&flow->changed);
    if (!out->data && flow->status < 0)
        return fail(flow->status, "%s", flow->text ? flow->text : "out of memory");
    return 0;
}

struct taking {
    struct flow *flow;
    struct piece piece;
};

static int CO_EDGE take_task(void *arg)
{
    struct taking *taking = arg;
    return take_piece(taking->flow, &taking->piece);
}

/* The piece behind the one that is there. 1; 0: there is none. */
static int turn(struct file_reader *reader, struct streaming *streaming)
{
    struct taking taking = {streaming->flow, {0}};
    int rc = enter_task(reader->fs, reader->path, take_task, &taking);
    if (rc == 0 && streaming->flow->begun)
        rc = file_read_learn(reader, &streaming->flow->answer, NULL);
    if (rc < 0) {
        mem_free(taking.piece.data);
        return rc;
    }
    mem_free(streaming->piece.data);
    streaming->start += (int64_t)streaming->piece.size;
    streaming->piece = taking.piece;
    reader->requested_bytes += taking.piece.size;
    return taking.piece.size > 0;
}

static bool in_piece(const struct streaming *streaming, int64_t offset)
{
    return offset >= streaming->start && offset - streaming->start < (int64_t)streaming->piece.size;
}

static int64_t read_on(struct file_reader *reader, struct streaming *streaming, struct get *get)
{
    int rc;
    if (!streaming->flow || get->offset < streaming->start) {
        flow_drop(streaming);
        rc = flow_open(reader, streaming, get->offset);
        if (rc < 0)
            return rc;
    }
    rc = 1;
    while (rc > 0 && !in_piece(streaming, get->offset)) {
        get->missed = true;
        rc = turn(reader, streaming);
    }
    if (rc < 0)
        flow_drop(streaming);
    if (rc == 0 && reader->size < 0)
        reader->size = streaming->start;
    if (rc <= 0)
        return rc;
    size_t at = (size_t)(get->offset - streaming->start), count = streaming->piece.size - at;
    if (count > get->size)
        count = get->size;
    memcpy(get->buffer, streaming->piece.data + at, count);
    return (int64_t)count;
}

static int64_t stream_get(struct file_reader *reader, struct get *get)
{
    if (!get->alone)
        return file_read_direct(reader, get);
    if (file_read_end(reader, file_read_add(get->offset, 1)) <= get->offset)
        return 0;
    if (!reader->state && !(reader->state = mem_zero(sizeof(struct streaming))))
        return fail_memory();
    return read_on(reader, reader->state, get);
}

static void stream_close(struct file_reader *reader, bool torn)
{
    struct streaming *streaming = take(reader->state);
    if (!streaming || torn)
        return;
    flow_drop(streaming);
    mem_free(streaming);
}

/* Nobody opens with it: file_read_stream turns to it. */
const struct strategy strategy_stream = {"stream", NULL, stream_get, stream_close};
