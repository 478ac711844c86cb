/* SPDX-License-Identifier: Apache-2.0 */
/* Plans out of the journal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "txn/plan.h"

struct loading {
    struct plan *plan;
    size_t capacity;
};

static int load_member(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    struct plan *plan = ((struct loading *)arg)->plan;
    struct member_record record;
    autofree char *texts = NULL;
    int rc = member_read(key, data, size, &record, &texts);
    if (rc < 0)
        return rc;
    uint64_t number = journal_key_number(key);
    if (number >= UINT16_MAX)
        return fail(-EBADMSG, "a record of the journal has a number that is none");
    if (number >= plan->member_count) {
        struct plan_member *longer = mem_resize(plan->members, (number + 1) * sizeof *longer);
        if (!longer)
            return fail_memory();
        memset(longer + plan->member_count, 0, (number + 1 - plan->member_count) * sizeof *longer);
        plan->members = longer;
        plan->member_count = number + 1;
    }
    struct plan_member *member = &plan->members[number];
    member->persistent = true;
    member->json = mem_dup(record.json);
    member->url = mem_dup(record.url);
    return member->json && member->url ? 0 : fail_memory();
}

static int check_change(const struct plan *plan, const struct change_record *record)
{
    bool known = record->member < plan->member_count && plan->members[record->member].persistent &&
                 record->kind >= CHANGE_WRITE && record->kind <= CHANGE_CHECK &&
                 record->payload <= PAYLOAD_STAGED && record->payload != PAYLOAD_MEMORY &&
                 record->before <= BEFORE_DIRECTORY && record->size >= 0 && path_is_clean(record->path);
    return known ? 0 : fail(-EBADMSG, "a record of the journal says what cannot be");
}

static char *dup_or_null(const char *text, bool *failed)
{
    char *copy = text ? mem_dup(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

static int fill_item(struct plan *plan, const struct journal_key *key, const struct change_record *record,
                     struct plan_item *item)
{
    struct change *change;
    bool failed = false;
    int rc = change_new((enum change_kind)record->kind, record->path, &change);
    if (rc < 0)
        return rc;
    change->id = journal_key_number(key);
    change->create = record->create;
    change->timed = record->timed;
    change->before = (enum before)record->before;
    change->mtime_ns = record->mtime_ns;
    change->payload.kind = (enum payload_kind)record->payload;
    change->payload.size = record->size;
    memcpy(change->payload.digest, record->digest, sizeof record->digest);
    change->if_match = dup_or_null(record->if_match, &failed);
    change->labels =
        (struct labels){dup_or_null(record->content_type, &failed),
                        dup_or_null(record->cache_control, &failed), dup_or_null(record->metadata, &failed)};
    *item = (struct plan_item){.member = &plan->members[record->member],
                               .change = change,
                               .token = {dup_or_null(record->token, &failed)},
                               .conflict = dup_or_null(record->conflict, &failed)};
    return failed ? fail_memory() : 0;
}

static int load_change(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    struct loading *loading = arg;
    struct plan *plan = loading->plan;
    struct change_record record;
    autofree char *texts = NULL;
    int rc = change_read(key, data, size, &record, &texts);
    if (rc == 0)
        rc = check_change(plan, &record);
    if (rc < 0)
        return rc;
    if (plan->item_count == loading->capacity) {
        size_t capacity = loading->capacity ? loading->capacity * 2 : 64;
        struct plan_item *longer = mem_resize(plan->items, capacity * sizeof *longer);
        if (!longer)
            return fail_memory();
        plan->items = longer;
        loading->capacity = capacity;
    }
    plan->items[plan->item_count] = (struct plan_item){0};
    rc = fill_item(plan, key, &record, &plan->items[plan->item_count]);
    plan->item_count += plan->items[plan->item_count].change != NULL;
    return rc;
}

static int compare_items(const void *a, const void *b)
{
    const struct plan_item *one = a, *other = b;
    if (one->member != other->member)
        return one->member < other->member ? -1 : 1;
    if ((one->change->kind == CHANGE_CHECK) != (other->change->kind == CHANGE_CHECK))
        return one->change->kind == CHANGE_CHECK ? 1 : -1;
    return path_compare(one->change->path, other->change->path);
}

static int load_head(struct journal *journal, struct plan *plan)
{
    struct journal_key key = journal_key(plan->vault.txn, RECORD_HEAD, 0);
    struct larder_bytes bytes = {0};
    struct head_record head;
    autofree char *texts = NULL;
    int rc = journal_get(journal, &key, &bytes);
    if (rc < 0)
        return rc;
    rc = head_read(&key, bytes.data, bytes.size, &head, &texts);
    if (rc == 0) {
        plan->state = head.state;
        plan->began_ns = head.began_ns;
        plan->changed_ns = head.changed_ns;
        plan->note = mem_dup(head.note);
        rc = plan->note ? 0 : fail_memory();
    }
    larder_bytes_free(&bytes);
    return rc;
}

int plan_load(struct journal *journal, uint64_t id, struct plan *out)
{
    *out = (struct plan){.vault = {journal, id}, .again = true};
    struct loading loading = {out, 0};
    int rc = load_head(journal, out);
    if (rc == 0)
        rc = journal_each(journal, id, RECORD_MEMBER, load_member, &loading);
    if (rc == 0)
        rc = journal_each(journal, id, RECORD_CHANGE, load_change, &loading);
    if (rc < 0) {
        plan_fini(out);
        return rc;
    }
    for (size_t i = 0; i < out->item_count; i++) /* J5 */
        out->items[i].done = out->state == JOURNAL_DECIDED && item_is_conditional(&out->items[i]) &&
                             out->items[i].change->kind == CHANGE_WRITE && !out->items[i].conflict;
    for (size_t i = 0; i < out->item_count; i++)
        out->total += out->items[i].change->payload.size;
    if (out->item_count > 0)
        qsort(out->items, out->item_count, sizeof *out->items, compare_items);
    return 0;
}
