/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/staged.h"

#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "txn/digest_sink.h"
#include "txn/pending.h"
#include "txn/plan.h"

static struct instance *instance_of(const struct member *member)
{
    return member->fs->instance;
}

bool member_stages(const struct member *member)
{
    struct instance *instance = instance_of(member);
    return member->persistent && instance->can.part_size_min <= 1 && layer_has(instance, LAYER_STAGE_PART) &&
           layer_has(instance, LAYER_SWEEP) && layer_has(instance, LAYER_READ_STAGED);
}

/* ---- writing ---- */

struct noting {
    struct journal *journal;
    const struct records *records;
};

static int write_on_worker(void *arg)
{
    struct noting *noting = arg;
    return journal_write(noting->journal, noting->records->edits, noting->records->count);
}

/* J1. Whoever finds it needs the member as well, and a head. */
static int CO_FN note(struct member *member, const struct change *change)
{
    struct larder_txn *txn = member->txn;
    autorecords struct records records;
    size_t number = member_number(member);
    int rc = records_init(&records, txn->id, 3);
    if (rc == 0)
        rc = txn_add_head(txn, &records);
    if (rc == 0)
        rc = records_add_member(&records, number, member->json, member->url);
    if (rc == 0)
        rc = records_add_staged(&records, number, change);
    struct noting noting = {txn->journal, &records};
    if (rc == 0)
        rc = offload(write_on_worker, &noting);
    if (rc == 0)
        pending_note_written(txn);
    return rc;
}

int CO_FN staged_begin(struct member *member, struct change *change)
{
    int rc = note(member, change);
    CRASH_POINT("txn.staging_noted");
    if (rc < 0)
        return rc;
    change->payload.kind = PAYLOAD_STAGED;
    return layer_stage(instance_of(member), change->path, &change->labels, change->id,
                       &change->payload.token);
}

int CO_FN staged_part(struct member *member, struct change *change, uint32_t part, int64_t offset,
                      const void *data, size_t size)
{
    int rc =
        layer_stage_part(instance_of(member), change->path, &change->payload.token, part, offset, data, size);
    CRASH_POINT("txn.part_staged");
    return rc;
}

/* Read back once, for its digest: by which a conditional write is known again. It is on the disk when it is sealed. */
int CO_FN staged_finish(struct member *member, struct change *change)
{
    struct payload *payload = &change->payload;
    const struct larder_range all = {0, payload->size};
    struct digest_sink digest;
    int rc = digest_sink_init(&digest);
    if (rc < 0)
        return rc;
    if (payload->size > 0)
        rc = layer_read_staged(instance_of(member), change->path, &payload->token, &all, &digest.sink, NULL);
    else
        rc = sink_begin_now(&digest.sink, NULL, 0);
    int64_t size = digest_sink_fini(&digest, payload->digest);
    if (rc == 0 && size != payload->size)
        rc = fail(-EINVAL, "%s: %lld bytes were written, not %lld", change->path, (long long)size,
                  (long long)payload->size);
    return rc;
}

int CO_FN staged_drop(struct member *member, struct change *change)
{
    const struct payload *payload = &change->payload;
    return payload->token.text ? layer_discard(instance_of(member), change->path, &payload->token)
                               : layer_sweep(instance_of(member), change->path, change->id, 0);
}

/* ---- reading ---- */

/* Tells its sink of the change, and not of the file that it is staged in. */
struct retelling {
    struct sink sink, *inner;
    const struct answer *answer;
    int64_t count;
    bool begun; /* it is there: what fails from now on is the sink's, or a disk's */
};

static int CO_FN retell_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct retelling *retelling = container_of(sink, struct retelling, sink);
    retelling->begun = true;
    return sink_begin(retelling->inner, retelling->answer, retelling->count);
}

static int CO_FN retell_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    return sink_room(container_of(sink, struct retelling, sink)->inner, want, out, size);
}

static int CO_FN retell_fill(struct sink *sink, size_t size)
{
    return sink_fill(container_of(sink, struct retelling, sink)->inner, size);
}

/* While the transaction is being committed nothing is dropped: what is gone is published. */
static bool is_published(struct larder_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    bool ending = txn->state == TXN_ENDING;
    pthread_mutex_unlock(&txn->lock);
    return ending;
}

int CO_FN staged_read(struct member *member, const struct change *change, int64_t start, int64_t count,
                      const struct answer *answer, struct sink *sink)
{
    struct retelling retelling = {
        .sink = {.instant = sink->instant, .begin = retell_begin, .room = retell_room, .fill = retell_fill},
        .inner = sink,
        .answer = answer,
        .count = count};
    const struct larder_range range = {start, start + count};
    if (count == 0)
        return sink_begin(sink, answer, 0);
    int rc = layer_read_staged(instance_of(member), change->path, &change->payload.token, &range,
                               &retelling.sink, NULL);
    if (rc == -ENOENT && !retelling.begun && is_published(member->txn))
        rc = layer_read(instance_of(member), change->path, &range, &TERMS_NONE, &retelling.sink, NULL);
    return rc == -ENOENT && !retelling.begun
               ? fail(-ESTALE, "%s: what was to be written is gone", change->path)
               : rc;
}
