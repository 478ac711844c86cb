/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/stager.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/gate.h"
#include "fs/layer.h"
#include "fs/spool.h"

#define PART_SIZE       ((size_t)8 << 20)
#define PART_SIZE_NEAR  ((size_t)1 << 20) /* memory and local: nothing is gained by more */
#define PART_SIZE_FIRST ((size_t)64 << 10)
#define CLEANING_MS     20000

/* Where parts go before they are published. */
struct outlet {
    int (*open)(struct stager *stager);
    int (*put)(struct stager *stager, const struct stager_part *part);
    int (*publish)(struct stager *stager, int64_t size, unsigned flags, const char *if_match,
                   struct answer *out);
    int (*discard)(struct stager *stager);
};

/* ---- states ---- */

static void set_state(struct stager *stager, enum stager_state state)
{
    bool right = state == STAGER_STAGED   ? stager->state == STAGER_EMPTY
                 : state == STAGER_FAILED ? stager->state != STAGER_PUBLISHED
                                          : stager->state != STAGER_FAILED && stager->state != state;
    assert(right);
    stager->state = state;
}

static int failed(struct stager *stager)
{
    error_set_text(stager->text);
    return stager->status;
}

/* The first failure is the one that counts. */
static int settle(struct stager *stager, int rc)
{
    if (stager->state == STAGER_FAILED)
        return failed(stager);
    if (rc >= 0)
        return rc;
    set_state(stager, STAGER_FAILED);
    stager->status = rc;
    stager->text = mem_dup(error_text());
    return rc;
}

/* ---- the place's own parts ---- */

static int64_t offset_of(const struct stager_part *part)
{
    return (int64_t)part->number * (int64_t)part->stager->part_size;
}

static int CO_FN staged_open(struct stager *stager)
{
    struct layer_call call = {LAYER_STAGE, stager->instance, stager->path, .labels = stager->labels,
                              .new_token = &stager->token};
    return stager->here ? layer_now(&call) : layer_call(&call);
}

static int CO_FN staged_put(struct stager *stager, const struct stager_part *part)
{
    struct layer_call call = {LAYER_STAGE_PART,        stager->instance,           stager->path,
                              .token = &stager->token, .part = part->number,       .offset = offset_of(part),
                              .data = part->data,      .size = (int64_t)part->size};
    return stager->here ? layer_now(&call) : layer_call(&call);
}

static int CO_FN staged_publish(struct stager *stager, int64_t size, unsigned flags, const char *if_match,
                                struct answer *out)
{
    return layer_publish(stager->instance, stager->path, &stager->token, size, flags, if_match, out);
}

static int CO_FN staged_discard(struct stager *stager)
{
    return stager->token.text ? layer_discard(stager->instance, stager->path, &stager->token) : 0;
}

static const struct outlet place_outlet = {staged_open, staged_put, staged_publish, staged_discard};

/* ---- the spool ---- */

static int open_on_worker(void *arg)
{
    struct stager *stager = arg;
    stager->spool = spool_open();
    return stager->spool < 0 ? stager->spool : 0;
}

static int CO_FN spooled_open(struct stager *stager)
{
    return stager->here ? open_on_worker(stager) : offload(open_on_worker, stager);
}

static int put_on_worker(void *arg)
{
    const struct stager_part *part = arg;
    int rc = file_write(part->stager->spool, part->data, part->size, offset_of(part));
    return rc < 0 ? fail_errno(-rc, "a temporary file") : 0;
}

static int CO_FN spooled_put(struct stager *stager, const struct stager_part *part)
{
    return stager->here ? put_on_worker((void *)part) : offload(put_on_worker, (void *)part);
}

static int CO_FN spooled_publish(struct stager *stager, int64_t size, unsigned flags, const char *if_match,
                                 struct answer *out)
{
    struct spool_source spool;
    bool map = stager->instance->backend->kind != ASYNC;
    int rc = spool_source_init(&spool, stager->spool, size, map);
    if (rc < 0)
        return rc;
    spool.source.labels = stager->labels;
    rc = layer_write(stager->instance, stager->path, &spool.source, flags, if_match, out);
    spool_source_fini(&spool);
    return rc;
}

static int spooled_discard(struct stager *stager)
{
    return 0; /* it has no name */
}

static const struct outlet spool_outlet = {spooled_open, spooled_put, spooled_publish, spooled_discard};

/* The marked way to use one. */
static int CO_FN outlet_open(struct stager *stager)
{
    int rc = stager->outlet->open(stager);
    if (rc == 0)
        set_state(stager, STAGER_STAGED);
    return rc;
}

static int CO_FN outlet_put(const struct stager_part *part)
{
    return part->stager->outlet->put(part->stager, part);
}

static int CO_FN outlet_publish(struct stager *stager, int64_t size, unsigned flags, const char *if_match,
                                struct answer *out)
{
    return stager->outlet->publish(stager, size, flags, if_match, out);
}

static int CO_FN outlet_discard(struct stager *stager)
{
    return stager->outlet->discard(stager);
}

static void CO_FN discard(struct stager *stager)
{
    struct deadline deadline;
    deadline_begin_shielded(&deadline, CLEANING_MS);
    int rc = deadline_end(&deadline, outlet_discard(stager), stager->path);
    if (rc < 0)
        log_at(LARDER_LOG_WARNING, "%s: what was staged of it is left behind: %s", stager->path,
               error_text());
}

/* ---- parts ---- */

static struct stager_part *find_free(struct stager *stager)
{
    for (unsigned i = 0; i <= stager->flight_max; i++)
        if (!stager->parts[i].flying)
            return &stager->parts[i];
    return NULL;
}

/* Only a file of several parts needs all the room of one. */
static int reserve(struct stager *stager, size_t want)
{
    struct stager_part *part = stager->current;
    size_t capacity = part->capacity ? part->capacity * 2 : PART_SIZE_FIRST;
    if (part->size < part->capacity)
        return 0;
    if (stager->part_count > 0 || capacity > stager->part_size)
        capacity = stager->part_size;
    if (capacity < part->size + want)
        capacity = want < stager->part_size - part->size ? part->size + want : stager->part_size;
    char *data = mem_resize(part->data, capacity);
    if (!data)
        return fail_memory();
    part->data = data;
    part->capacity = capacity;
    return 0;
}

static bool is_full(const struct stager *stager)
{
    return stager->current->size == stager->part_size;
}

static int CO_EDGE part_child(void *arg)
{
    struct stager_part *part = arg;
    struct instance *instance = part->stager->instance;
    int rc = outlet_put(part);
    part->flying = false;
    gate_leave(instance);
    return rc;
}

/* Wait for all that fly. */
static int CO_FN land(struct stager *stager)
{
    int rc = group_join(&stager->group);
    group_init(&stager->group, GROUP_FIRST, stager->flight_max);
    return rc;
}

/* Give the current part its number. */
static int number_part(struct stager *stager)
{
    uint32_t count_max = stager->instance->can.part_count_max;
    stager->current->number = stager->part_count;
    if (stager->outlet == &place_outlet && count_max && stager->part_count >= count_max)
        return fail(-EFBIG, "%s: more than %u parts of %zu bytes", stager->path, count_max,
                    stager->part_size);
    return 0;
}

static int CO_FN send_part(struct stager *stager)
{
    struct stager_part *part = stager->current;
    int rc = number_part(stager);
    if (rc == 0 && stager->state == STAGER_EMPTY)
        rc = outlet_open(stager);
    if (rc < 0)
        return rc;
    if (stager->flight_max == 0)
        return outlet_put(part);
    part->flying = true;
    gate_follow(stager->instance); /* the call may end before the part does */
    rc = group_add(&stager->group, part_child, part);
    if (rc < 0) {
        part->flying = false;
        gate_leave(stager->instance);
    }
    return rc;
}

int CO_FN stager_turn(struct stager *stager)
{
    assert(is_full(stager));
    if (stager->state == STAGER_FAILED)
        return failed(stager);
    int rc = send_part(stager);
    if (rc < 0)
        return settle(stager, rc);
    stager->part_count++;
    stager->current = find_free(stager);
    stager->current->size = 0;
    return 0;
}

/* Nothing flies, and no step waits. */
int CO_EDGE stager_turn_here(struct stager *stager)
{
    assert(stager->flight_max == 0 && stager->instance->backend->kind != ASYNC);
    stager->here = true;
    int rc = stager_turn(stager);
    stager->here = false;
    return rc < 0 ? rc : settle(stager, work_check());
}

/* The part that is being filled, as far as it is. It will be sent again when more has come. */
static int CO_FN send_rest(struct stager *stager)
{
    struct stager_part *part = stager->current;
    int rc = part->size ? number_part(stager) : 0;
    return rc == 0 && part->size ? outlet_put(part) : rc;
}

/* ---- as a sink ---- */

/* Parts of a size that the place takes, few enough for `size` bytes (-1: not known). */
static size_t fit(const struct larder_capabilities *can, uint64_t part_size, int64_t size)
{
    if (!can->stage)
        return part_size;
    if (size > 0 && can->part_count_max && part_size < (uint64_t)size / can->part_count_max + 1)
        part_size = (uint64_t)size / can->part_count_max + 1;
    if (part_size < can->part_size_min)
        part_size = can->part_size_min;
    return can->part_size_max && part_size > can->part_size_max ? can->part_size_max : part_size;
}

static int CO_FN start_over(struct stager *stager, int64_t size)
{
    int rc = stager->state == STAGER_FAILED ? failed(stager) : land(stager);
    if (rc < 0)
        return settle(stager, rc);
    if (stager->token.text) { /* its parts may be more, or of another size, than those that come */
        discard(stager);
        mem_free(take(stager->token.text));
        set_state(stager, STAGER_EMPTY);
    }
    stager->part_count = 0;
    stager->current->size = 0;
    stager->part_size = fit(&stager->instance->can, stager->part_size, size);
    return 0;
}

static int CO_EDGE sink_starts_over(struct sink *sink, const struct answer *answer, int64_t size)
{
    return start_over((struct stager *)sink, size);
}

static int CO_FN lend(struct stager *stager, size_t want, void **out, size_t *size)
{
    int rc = is_full(stager) ? stager_turn(stager) : 0;
    if (rc == 0)
        rc = settle(stager, reserve(stager, want));
    if (rc < 0)
        return rc;
    *out = stager->current->data + stager->current->size;
    *size = stager->current->capacity - stager->current->size;
    return 0;
}

static int CO_EDGE sink_lends(struct sink *sink, size_t want, void **out, size_t *size)
{
    return lend((struct stager *)sink, want, out, size);
}

static int sink_filled(struct sink *sink, size_t size)
{
    ((struct stager *)sink)->current->size += size;
    return 0;
}

/* ---- from the caller's memory ---- */

int stager_put(struct stager *stager, const void *data, size_t size, size_t *taken)
{
    const char *from = data;
    *taken = 0;
    while (*taken < size && !is_full(stager)) {
        struct stager_part *part = stager->current;
        int rc = settle(stager, reserve(stager, size - *taken));
        if (rc < 0)
            return rc;
        size_t count = part->capacity - part->size;
        if (count > size - *taken)
            count = size - *taken;
        memcpy(part->data + part->size, from + *taken, count);
        part->size += count;
        *taken += count;
    }
    return settle(stager, 0);
}

int CO_FN stager_write(struct stager *stager, const void *data, size_t size)
{
    return sink_pour(&stager->sink, data, size);
}

void stager_spool(struct stager *stager)
{
    assert(stager->state == STAGER_EMPTY && stager->part_count == 0);
    stager->outlet = &spool_outlet;
}

int64_t stager_size(const struct stager *stager)
{
    return (int64_t)stager->part_count * (int64_t)stager->part_size + (int64_t)stager->current->size;
}

/* ---- the steps ---- */

static int CO_FN flush(struct stager *stager)
{
    int rc = stager->state == STAGER_EMPTY ? outlet_open(stager) : 0;
    if (rc == 0)
        rc = send_rest(stager);
    int landed = land(stager);
    return rc < 0 ? rc : landed;
}

int CO_FN stager_flush(struct stager *stager)
{
    if (stager->state == STAGER_FAILED)
        return failed(stager);
    return settle(stager, flush(stager));
}

static int CO_FN publish_once(struct stager *stager, unsigned flags, const char *if_match, struct answer *out)
{
    struct source source;
    if (stager->state == STAGER_STAGED)
        return outlet_publish(stager, stager_size(stager), flags, if_match, out);
    int rc = source_of(&source, stager->path, stager->current->data, stager->current->size);
    if (rc < 0)
        return rc;
    source.labels = stager->labels;
    return layer_write(stager->instance, stager->path, &source, flags, if_match, out);
}

static int CO_FN publish(struct stager *stager, unsigned flags, const char *if_match, struct answer *out)
{
    unsigned table_flags = flags & ~(unsigned)LARDER_PARENTS;
    int rc = stager->state == STAGER_STAGED ? flush(stager) : 0;
    if (rc < 0)
        return rc; /* a part that is missing is no missing directory */
    rc = publish_once(stager, table_flags, if_match, out);
    if (!dirs_are_missing(stager->instance, rc, flags))
        return rc;
    rc = dirs_make_parents(stager->instance, stager->path, table_flags);
    return rc < 0 ? rc : publish_once(stager, table_flags, if_match, out);
}

int CO_FN stager_publish(struct stager *stager, unsigned flags, const char *if_match, struct answer *out)
{
    if (stager->state == STAGER_FAILED)
        return failed(stager);
    int rc = settle(stager, publish(stager, flags, if_match, out));
    if (rc == 0)
        set_state(stager, STAGER_PUBLISHED);
    return rc;
}

/* ---- its life ---- */

void stager_init(struct stager *stager, struct instance *instance, const char *path, size_t part_size,
                 unsigned flight_max)
{
    assert(flight_max <= STAGER_FLIGHT_MAX);
    if (!part_size)
        part_size = instance->backend->kind == ASYNC ? PART_SIZE : PART_SIZE_NEAR;
    *stager = (struct stager){
        .sink = {.begin = sink_starts_over, .room = sink_lends, .fill = sink_filled},
        .instance = instance,
        .path = path,
        .flight_max = flight_max,
        .outlet = instance->can.stage ? &place_outlet : &spool_outlet,
        .part_size = fit(&instance->can, part_size, -1),
        .current = &stager->parts[0],
        .spool = -1,
    };
    for (unsigned i = 0; i <= flight_max; i++)
        stager->parts[i].stager = stager;
    group_init(&stager->group, GROUP_FIRST, flight_max);
}

void stager_forget(struct stager *stager)
{
    for (unsigned i = 0; i <= stager->flight_max; i++)
        mem_free(stager->parts[i].data);
    if (stager->spool >= 0)
        spool_close(stager->spool);
    mem_free(stager->token.text);
    mem_free(stager->group.text);
    mem_free(stager->text);
}

void stager_abandon(struct stager *stager)
{
    struct layer_call call = {LAYER_DISCARD, stager->instance, stager->path, .token = &stager->token};
    if (stager->token.text && stager->state != STAGER_PUBLISHED && stager->instance->backend->kind != ASYNC)
        layer_now(&call);
    stager_forget(stager);
}

void CO_FN stager_fini(struct stager *stager)
{
    struct error_slot words = *error_slot();
    if (stager->state != STAGER_PUBLISHED)
        group_cancel(&stager->group);
    group_join(&stager->group);
    if (stager->state != STAGER_PUBLISHED)
        discard(stager);
    stager_forget(stager);
    *error_slot() = words;
}
