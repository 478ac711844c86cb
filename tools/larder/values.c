/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of many files, fetched concurrently and written in the order of their names.
 *
 * It is one batch. Of each file the first PROBE_SIZE bytes are asked for, and one more, which tells whether
 * that was all. What comes before its turn is held, up to HELD_SIZE_MAX in all. A file that is larger, or for
 * which there was no room, is read again as a stream when its turn has come: so every file is of one version,
 * and memory is bounded.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_SIZE    ((int64_t)512 << 10)
#define HELD_SIZE_MAX ((size_t)32 << 20)

struct slot {
    char *error; /* of a failure; malloc */
    bool settled, again;
};

struct order {
    const struct values *values;
    struct outcome *outcome;
    struct larder_item *items;
    struct slot *slots;
    size_t next; /* to be written */
    size_t held; /* bytes */
    struct larder_range probe;
    bool probes; /* items have the probe for a range */
};

/* ---- writing ---- */

struct counter {
    bool silent;
    int64_t size;
};

static int write_piece(void *arg, const void *data, size_t size)
{
    struct counter *counter = arg;
    counter->size += (int64_t)size;
    progress_more(size);
    return counter->silent ? 0 : out_bytes(data, size);
}

static int report(const char *name, int status, int64_t size)
{
    json_t *object = json_object();
    json_object_set_new(object, "key", json_name(name));
    json_object_set_new(object, "status", json_string(larder_status_name(status)));
    if (status >= 0)
        json_object_set_new(object, "size", json_integer(size));
    return out_json(object);
}

/* Of one file, which is or is not all there: its bytes, or a word on why not. */
static int write_item(struct order *order, size_t index)
{
    const struct values *values = order->values;
    struct larder_item *item = &order->items[index];
    const char *why = order->slots[index].error;
    struct counter counter = {.silent = values->report};
    int64_t rc = item->status;
    if (rc == 0 && order->slots[index].again) {
        rc = larder_cat_to(values->fs, values->names[index], values->range, write_piece, &counter);
        why = larder_error();
    } else if (rc == 0) {
        order->held -= item->bytes.size;
        write_piece(&counter, item->bytes.data, item->bytes.size);
        larder_bytes_free(&item->bytes);
    }
    int stopped = out_bytes(NULL, 0);
    if (stopped < 0)
        return stopped;
    if (rc == -ECANCELED && interrupted())
        return -ECANCELED;
    int status = rc < 0 ? (int)rc : 0;
    outcome_add(order->outcome, rc < 0 ? complain_of(values->labels[index], status, why) : DONE);
    return values->report ? report(values->names[index], status, counter.size) : 0;
}

/* ---- fetching ---- */

/* The words on a file, whose reader knows nothing of probes. malloc. */
static char *words_of(const struct order *order)
{
    char *text = strdup(larder_error()), asked[64];
    snprintf(asked, sizeof asked, " bytes %lld-%lld", (long long)order->probe.start,
             (long long)order->probe.end - 1);
    char *at = text && order->probes ? strstr(text, asked) : NULL;
    if (at)
        memmove(at, at + strlen(asked), strlen(at + strlen(asked)) + 1);
    return text;
}

static int settle(void *arg, struct larder_item *item)
{
    struct order *order = arg;
    size_t index = (size_t)(item - order->items);
    struct slot *slot = &order->slots[index];
    slot->settled = true;
    if (item->status < 0)
        slot->error = words_of(order);
    bool cut = order->probes && item->bytes.size > (size_t)PROBE_SIZE;
    bool room = index == order->next || order->held + item->bytes.size <= HELD_SIZE_MAX;
    slot->again = cut || !room;
    if (slot->again)
        larder_bytes_free(&item->bytes);
    order->held += item->bytes.size;
    int rc = interrupted() ? -ECANCELED : 0;
    while (rc == 0 && order->next < order->values->count && order->slots[order->next].settled)
        rc = write_item(order, order->next++);
    return rc;
}

/* The probe of a range: false when it is read as it is, because it is small, or as a stream, because
 * nobody knows. */
static bool make_probe(const struct larder_range *range, struct larder_range *probe)
{
    int64_t start = range ? range->start : 0, end = range ? range->end : LARDER_TO_END;
    if (start < 0 || end < 0 || end - start <= PROBE_SIZE)
        return false;
    *probe = (struct larder_range){start, start + PROBE_SIZE + 1};
    return true;
}

static bool is_small(const struct larder_range *range)
{
    if (range->start < 0 && range->end == LARDER_TO_END)
        return range->start >= -PROBE_SIZE;
    return (range->start < 0) == (range->end < 0) && range->end - range->start <= PROBE_SIZE;
}

static int run_batch(struct order *order)
{
    const struct values *values = order->values;
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .jobs_max = values->cli->jobs,
                                 .bytes_max = HELD_SIZE_MAX,
                                 .completed = settle,
                                 .arg = order};
    order->probes = make_probe(values->range, &order->probe);
    for (size_t i = 0; i < values->count; i++) {
        order->items[i].path = values->names[i];
        order->items[i].range = order->probes ? &order->probe : values->range;
    }
    int rc = values->map ? larder_map_get_many(values->map, order->items, values->count, &batch)
                         : larder_cat(values->fs, order->items, values->count, &batch);
    int stopped = out_bytes(NULL, 0);
    if (stopped < 0 || interrupted())
        return stopped < 0 ? stopped : -ECANCELED;
    if (rc < 0) /* the batch as a whole: those that are left were not even tried */
        outcome_add(order->outcome, complain(values->labels[order->next], rc));
    return 0;
}

static int fetch_all(const struct values *values, struct outcome *outcome)
{
    struct order order = {.values = values, .outcome = outcome};
    order.items = calloc(values->count + 1, sizeof *order.items);
    order.slots = calloc(values->count + 1, sizeof *order.slots);
    int rc = order.items && order.slots ? run_batch(&order) : -ENOMEM;
    if (rc == -ENOMEM)
        complain_of("values", rc, NULL);
    for (size_t i = 0; rc != -ENOMEM && i < values->count; i++) {
        larder_bytes_free(&order.items[i].bytes);
        free(order.slots[i].error);
    }
    free(order.items);
    free(order.slots);
    return rc;
}

/* Ranges whose size nobody knows beforehand, and a single file: one after the other. */
static int stream_each(const struct values *values, struct outcome *outcome)
{
    for (size_t i = 0; i < values->count; i++) {
        struct counter counter = {0};
        int64_t rc = larder_cat_to(values->fs, values->names[i], values->range, write_piece, &counter);
        int stopped = out_bytes(NULL, 0);
        if (stopped < 0 || interrupted())
            return stopped < 0 ? stopped : -ECANCELED;
        outcome_add(outcome, rc < 0 ? complain(values->labels[i], (int)rc) : DONE);
    }
    return 0;
}

int values_write(const struct values *values, struct outcome *outcome)
{
    struct larder_range probe;
    bool unknown = values->range && !make_probe(values->range, &probe) && !is_small(values->range);
    if (!values->map && (unknown || values->count == 1))
        return stream_each(values, outcome);
    return values->count > 0 ? fetch_all(values, outcome) : 0;
}
