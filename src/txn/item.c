/* SPDX-License-Identifier: Apache-2.0 */
/* One change of a plan: staged, published, looked for, discarded. Each step may be repeated. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/layer.h"
#include "txn/digest_sink.h"
#include "txn/plan.h"

#define PART_SIZE  ((int64_t)8 << 20)
#define PARTS_JOBS 4

static struct instance *instance_of(const struct plan_item *item)
{
    return item->member->fs->instance;
}

bool item_is_named(const struct plan_item *item)
{
    struct instance *instance = instance_of(item);
    bool parts = instance->can.part_size_min <= 1 && layer_has(instance, LAYER_STAGE_PART);
    return item->change->kind == CHANGE_WRITE && layer_has(instance, LAYER_STAGE) &&
           layer_has(instance, LAYER_SWEEP) && (parts || layer_has(instance, LAYER_STAGE_WHOLE));
}

bool item_is_staged(const struct plan_item *item)
{
    const struct payload *payload = &item->change->payload;
    if (item->change->kind != CHANGE_WRITE || payload->kind != PAYLOAD_FILE)
        return false;
    return item_is_named(item) || (payload->size > PART_SIZE && layer_has(instance_of(item), LAYER_STAGE));
}

bool item_is_conditional(const struct plan_item *item)
{
    return change_is_conditional(item->change);
}

static bool keep_conflict(struct plan_item *item)
{
    mem_free(item->conflict);
    item->conflict = mem_dup(error_text());
    return item->conflict;
}

bool item_conflicts(struct plan_item *item, int status)
{
    switch (status) {
    case -EEXIST:
    case -ESTALE:
    case -EISDIR:
    case -ENOTDIR:
    case -ENOTEMPTY:
    case -ELOOP:
    case -ENAMETOOLONG:
        return keep_conflict(item);
    default:
        return false;
    }
}

bool item_is_refused(struct plan_item *item, int status)
{
    switch (status) {
    case -ENOENT: /* what it was to be in */
    case -EACCES:
    case -EPERM:
    case -EROFS:
    case -EINVAL:
    case -ENOTSUP:
        return keep_conflict(item);
    default:
        return item_conflicts(item, status);
    }
}

/* ---- staging ---- */

struct parts {
    struct plan *plan; /* which is told of each; NULL: not yet */
    struct instance *instance;
    const char *path;
    const struct token *token;
    const char *data;
    int64_t size, part_size;
};

static int CO_FN stage_part(void *arg, size_t index)
{
    struct parts *parts = arg;
    int64_t offset = (int64_t)index * parts->part_size, left = parts->size - offset;
    size_t size = (size_t)(left < parts->part_size ? left : parts->part_size);
    int rc = layer_stage_part(parts->instance, parts->path, parts->token, (uint32_t)index, offset,
                              parts->data + offset, size);
    if (rc == 0 && parts->plan)
        plan_sent(parts->plan, (int64_t)size);
    return rc;
}

/* As many as the place takes, none smaller than it wants. */
static int64_t part_size_of(const struct larder_capabilities *can, int64_t size)
{
    int64_t part = PART_SIZE;
    if (can->part_count_max && size / part >= (int64_t)can->part_count_max)
        part = size / (int64_t)can->part_count_max + 1;
    if ((uint64_t)part < can->part_size_min)
        part = (int64_t)can->part_size_min;
    return part;
}

static int CO_FN send_staged(struct plan *plan, const struct plan_item *item, const struct token *token,
                             const struct source *source)
{
    struct instance *instance = instance_of(item);
    const char *path = item->change->path;
    if (layer_has(instance, LAYER_STAGE_WHOLE)) {
        struct source whole = *source;
        int rc = layer_stage_whole(instance, path, token, &whole);
        if (rc == 0 && plan)
            plan_sent(plan, source->size);
        return rc;
    }
    struct parts parts = {
        plan, instance, path, token, source->data, source->size, part_size_of(&instance->can, source->size)};
    size_t count = (size_t)((parts.size + parts.part_size - 1) / parts.part_size);
    if (count == 0 && instance->can.part_size_min > 1)
        count = 1;
    return group_each(count, PARTS_JOBS, GROUP_FIRST, stage_part, &parts);
}

/* What of the vault is damaged or gone is no conflict at the place. */
static int CO_FN open_source(const struct plan *plan, const struct plan_item *item,
                             struct vault_source *source)
{
    int rc = vault_source_open(&plan->vault, item->change, false, source);
    return rc == -ESTALE ? -EBADMSG : rc;
}

/* J1: the change is in the journal already. J2: so is the token, before the first byte is sent; for a small one the id is
 * enough. */
int CO_FN item_stage(struct plan *plan, struct plan_item *item)
{
    struct vault_source source;
    int rc = open_source(plan, item, &source);
    if (rc < 0)
        return rc;
    if (!item->token.text) {
        rc = layer_stage(instance_of(item), item->change->path, &item->change->labels, item->change->id,
                         &item->token);
        CRASH_POINT("txn.stage_begun");
        if (rc == 0 && item->change->payload.kind == PAYLOAD_FILE)
            rc = plan_note_item(plan, item);
        CRASH_POINT("txn.stage_noted");
    }
    if (rc == 0)
        rc = send_staged(plan, item, &item->token, source.source);
    CRASH_POINT("txn.stage_sent");
    vault_source_close(&source);
    return rc;
}

static int CO_FN stage_each(void *arg, size_t index)
{
    struct plan *plan = arg;
    struct plan_item *item = &plan->items[index];
    return item_is_staged(item) ? item_stage(plan, item) : 0;
}

#define STAGE_JOBS 2 /* with PARTS_JOBS parts each: 64 MiB on their way */

int CO_FN plan_stage(struct plan *plan)
{
    return group_each(plan->item_count, STAGE_JOBS, GROUP_FIRST, stage_each, plan);
}

/* ---- publishing a write ---- */

/* By a staged write under the change's id, which a sweep finds. */
static int CO_FN write_named(struct plan_item *item, const struct source *source, unsigned flags,
                             const char *if_match)
{
    struct instance *instance = instance_of(item);
    const struct change *change = item->change;
    struct token token = {0};
    int rc = layer_stage(instance, change->path, &change->labels, change->id, &token);
    if (rc < 0)
        return rc;
    CRASH_POINT("txn.write_begun");
    rc = send_staged(NULL, item, &token, source);
    CRASH_POINT("txn.write_sent");
    if (rc == 0)
        rc = layer_publish(instance, change->path, &token, source->size, flags, if_match, &item->answer);
    if (rc < 0) {
        struct error_slot words = *error_slot();
        layer_discard(instance, change->path, &token);
        *error_slot() = words;
    }
    mem_free(token.text);
    return rc;
}

static int CO_FN write_once(struct plan *plan, struct plan_item *item, unsigned flags, const char *if_match)
{
    struct instance *instance = instance_of(item);
    const struct change *change = item->change;
    struct vault_source source;
    if (item->token.text)
        return layer_publish(instance, change->path, &item->token, change->payload.size, flags, if_match,
                             &item->answer);
    int rc = open_source(plan, item, &source);
    if (rc < 0)
        return rc;
    source.source->id = change->id;
    rc = item_is_named(item) && !layer_names_writes(instance)
             ? write_named(item, source.source, flags, if_match)
             : layer_write(instance, change->path, source.source, flags, if_match, &item->answer);
    vault_source_close(&source);
    return rc;
}

int CO_FN item_write(struct plan *plan, struct plan_item *item, unsigned flags, const char *if_match)
{
    bool sent = item->token.text && item->change->payload.kind != PAYLOAD_STAGED; /* when it was staged */
    answer_free(&item->answer);
    int rc = write_once(plan, item, flags, if_match);
    if (dirs_are_missing(instance_of(item), rc, LARDER_PARENTS) &&
        dirs_make_parents(instance_of(item), item->change->path, 0) == 0)
        rc = write_once(plan, item, flags, if_match);
    if (rc == 0 && !sent)
        plan_sent(plan, item->change->payload.size);
    CRASH_POINT("txn.written");
    return rc;
}

/* ---- looking for it ---- */

static int CO_FN has_our_bytes(struct plan_item *item)
{
    const struct payload *payload = &item->change->payload;
    struct terms terms = TERMS_NONE;
    struct digest_sink digest;
    uint8_t found[16] = {0};
    terms.age_max_ms = 0;
    int rc = digest_sink_init(&digest);
    if (rc < 0)
        return rc;
    answer_free(&item->answer);
    rc = layer_read(instance_of(item), item->change->path, NULL, &terms, &digest.sink, &item->answer);
    int64_t size = digest_sink_fini(&digest, found);
    if (rc < 0)
        return rc;
    return size == payload->size && memcmp(found, payload->digest, sizeof found) == 0;
}

/* The size first: most that is not ours is of another. */
int CO_FN item_is_there(struct plan *plan, struct plan_item *item)
{
    struct terms terms = TERMS_NONE;
    struct answer answer = {0};
    terms.age_max_ms = 0;
    int rc = layer_info(instance_of(item), item->change->path, &terms, &answer);
    bool other =
        rc == 0 && (answer.info.type != LARDER_FILE || (answer.info.size != LARDER_SIZE_UNKNOWN &&
                                                        answer.info.size != item->change->payload.size));
    answer_free(&answer);
    if (rc == -ENOENT || rc == -ENOTDIR || other)
        return 0;
    return rc < 0 ? rc : has_our_bytes(item);
}

/* ---- discarding ---- */

int CO_FN item_discard(struct plan *plan, struct plan_item *item)
{
    struct instance *instance = instance_of(item);
    const struct change *change = item->change;
    if (change->kind != CHANGE_WRITE)
        return 0;
    if (item->token.text) {
        int rc = layer_discard(instance, change->path, &item->token);
        if (rc == 0)
            mem_free(take(item->token.text));
        if (rc < 0 || !plan->again)
            return rc;
    }
    /* Who died may have begun one elsewhere: where directories were made meanwhile. */
    bool litter = plan->again ? item_is_named(item) || item_is_staged(item) : item_is_staged(item);
    return litter && layer_has(instance, LAYER_SWEEP)
               ? layer_sweep(instance, change->path, change->id, plan->began_ns)
               : 0;
}
