/* SPDX-License-Identifier: Apache-2.0 */
/* What the store answers alone, on any thread: nothing here waits or asks. */
#include "cache/view.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cache/listing.h"

/* ---- how long it is right ---- */

/* Negative: the clock was set back, and the record is as old as anything. */
static int64_t age_ms(const struct record *record)
{
    return (wall_ns() - record->head.answered_ns) / 1000000;
}

bool hit_is_young(int64_t answered_ns, const struct terms *terms)
{
    int64_t age = (wall_ns() - answered_ns) / 1000000;
    return answered_ns >= terms->since_ns && (terms->age_max_ms < 0 || (age >= 0 && age < terms->age_max_ms));
}

enum fact hit_fact(const struct record *record)
{
    if (record->head.state == RECORD_ABSENT)
        return FACT_ABSENT;
    return record->head.type == LARDER_DIRECTORY ? FACT_DIRECTORY : FACT_FILE;
}

bool hit_is_right(const struct lifetimes *lifetimes, const char *path, const struct record *record,
                  const struct terms *terms)
{
    int64_t age = age_ms(record);
    return age >= 0 && hit_is_young(record->head.answered_ns, terms) &&
           age < lifetime_of(lifetimes, terms, path, hit_fact(record), record->head.fresh_ms);
}

#define LOOK_SIZE_MAX \
    (64 << 10) /* of a stored listing; one more request costs less than to look through more */

/* Has the directory been listed since `absent_ns`, and may show it? */
static bool may_be_listed_since(struct view *view, const char *path, int64_t absent_ns)
{
    struct store *store = view_store(view);
    struct reader *reader;
    struct record record;
    struct answer answer;
    size_t parent = path_parent_size(path);
    const char *name = path + (parent ? parent + 1 : 0);
    autofree char *dir = mem_dup(path);
    if (!store || !dir)
        return false;
    dir[parent] = 0;
    if (reader_find(store, KEY_LISTING, &view->place, dir, &reader, &record) < 0)
        return false;
    bool since = record.head.state == RECORD_KNOWN && record.head.answered_ns > absent_ns;
    bool large = record.head.size > LOOK_SIZE_MAX;
    reader_end(store, reader);
    if (!since || large)
        return since;
    if (listing_find(store, &view->place, dir, name, strlen(name), &answer) < 0)
        return false;
    answer_free(&answer);
    return true;
}

bool hit_is_fresh(struct view *view, const char *path, const struct record *record, const struct terms *terms)
{
    bool fresh = view->mode == MODE_OFFLINE ? hit_is_young(record->head.answered_ns, terms)
                                            : hit_is_right(&view->lifetimes, path, record, terms);
    bool absent = record->head.state == RECORD_ABSENT;
    return fresh && !(absent && may_be_listed_since(view, path, record->head.answered_ns));
}

bool hit_may_be_stale(const struct view *view, const struct record *record, const struct terms *terms)
{
    const struct record_head *head = &record->head;
    if (!hit_is_young(head->answered_ns, terms))
        return false;
    if ((head->flags & ANSWER_MUST_REVALIDATE) || head->state == RECORD_ABSENT)
        return false; /* that it was missing once is no answer from a place that cannot be asked */
    if (view->mode == MODE_STALE_IF_ERROR)
        return true;
    int64_t fresh = head->fresh_ms > 0 ? head->fresh_ms : 0, age = age_ms(record);
    return head->stale_if_error_ms >= 0 && age >= 0 && age - fresh < head->stale_if_error_ms;
}

/* ---- reads ---- */

static int give(const struct answer *answer, struct answer *out, int rc)
{
    int copied = out ? answer_copy(out, answer) : 0;
    return copied < 0 ? copied : rc;
}

/* A file that is fresh: the bytes that `range` means, if all are there. */
static int put_hit(struct store *store, struct reader *reader, const struct record *record,
                   const struct larder_range *range, struct sink *sink, struct answer *out, int64_t size_max)
{
    int64_t start, count;
    struct answer answer;
    if (record->head.size < 0)
        return -EAGAIN;
    range_resolve(range, record->head.size, &start, &count);
    if (count > size_max || reader_has(store, reader, record, start, count) < 0)
        return -EAGAIN;
    record_answer(record, &answer);
    int rc = sink_begin_now(sink, &answer, count);
    if (rc == 0)
        rc = reader_put(store, reader, record, start, count, sink);
    if (rc == -EBADMSG)
        return -EAGAIN; /* it is fetched again */
    if (rc == 0)
        rc = give(&answer, out, 0);
    if (rc == 0) {
        store_count(store, COUNT_HITS, 1);
        store_count(store, COUNT_HIT_BYTES, (uint64_t)count);
    }
    return rc;
}

/* What the caller's conditions make of a fresh record: 0: give it. */
static int check_terms(const struct record *record, const struct terms *terms, struct answer *out)
{
    struct answer answer;
    if (terms->if_match && !(record_is_strong(record) && strcmp(record->version, terms->if_match) == 0))
        return -EAGAIN;
    if (!terms->if_none_match || !record->validator || strcmp(record->validator, terms->if_none_match) != 0)
        return 0;
    record_answer(record, &answer);
    return give(&answer, out, UNCHANGED);
}

static int is_absent(const char *path)
{
    return fail(-ENOENT, "%s: no such file (as the cache knows)", path);
}

int hit_read(struct view *view, struct store *store, const char *path, const struct larder_range *range,
             const struct terms *terms, struct sink *sink, struct answer *out, int64_t size_max)
{
    struct reader *reader;
    struct record record;
    int rc = reader_find(store, KEY_RECORD, &view->place, path, &reader, &record);
    if (rc < 0)
        return -EAGAIN;
    task_no_suspend_begin();
    if (record.head.state == RECORD_CHANGED || hit_is_of_other(view, &record, terms) ||
        !hit_is_fresh(view, path, &record, terms))
        rc = -EAGAIN;
    else if (record.head.state == RECORD_ABSENT)
        rc = is_absent(path);
    else if (record.head.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s: a directory", path);
    else
        rc = check_terms(&record, terms, out);
    if (rc == 0)
        rc = put_hit(store, reader, &record, range, sink, out, size_max);
    else if (rc != -EAGAIN)
        store_count(store, COUNT_HITS, 1);
    task_no_suspend_end();
    reader_end(store, reader);
    return rc;
}

bool hit_is_of_other(const struct view *view, const struct record *record, const struct terms *terms)
{
    if (view->mode == MODE_OFFLINE)
        return false;
    return terms->directory ? hit_fact(record) != FACT_DIRECTORY : record->head.flags & ANSWER_SLASH;
}

int hit_info(struct view *view, struct store *store, const char *path, const struct terms *terms,
             struct answer *out)
{
    struct reader *reader;
    struct record record;
    struct answer answer;
    int rc = reader_find(store, KEY_RECORD, &view->place, path, &reader, &record);
    if (rc < 0)
        return -EAGAIN;
    if (record.head.state == RECORD_CHANGED || hit_is_of_other(view, &record, terms) ||
        !hit_is_fresh(view, path, &record, terms))
        rc = -EAGAIN;
    else if (record.head.state == RECORD_ABSENT)
        rc = is_absent(path);
    else
        rc = check_terms(&record, terms, out);
    record_answer(&record, &answer);
    if (rc == 0)
        rc = give(&answer, out, 0);
    reader_end(store, reader);
    if (rc != -EAGAIN)
        store_count(store, COUNT_HITS, 1);
    return rc;
}

bool hit_is_absent(struct view *view, struct store *store, const char *path, const struct terms *terms)
{
    struct reader *reader;
    struct record record;
    if (reader_find(store, KEY_RECORD, &view->place, path, &reader, &record) < 0)
        return false;
    bool absent = record.head.state == RECORD_ABSENT && hit_is_fresh(view, path, &record, terms);
    reader_end(store, reader);
    return absent;
}

/* ---- offline ---- */

/* Does something that is stored lie below `path`? Then it is a directory, listed or not. */
static bool has_below(struct view *view, struct store *store, const char *path)
{
    struct key key;
    bool exact, found = false;
    struct reader *reader = reader_begin(store);
    if (!reader)
        return false;
    key_below(&key, KEY_RECORD, &view->place, path, &exact);
    found = exact && reader_has_below(store, reader, &key);
    reader_end(store, reader);
    return found;
}

static int give_directory(struct answer *out)
{
    *out = (struct answer){.info = {.type = LARDER_DIRECTORY}, .fresh_ms = -1, .stale_if_error_ms = -1};
    return 0;
}

/* The nearest directory above whose listing is there decides what it can: it has no such name, or this very
 * entry. */
static int ask_listings(struct view *view, struct store *store, const char *path, const struct terms *terms,
                        struct answer *out)
{
    autofree char *dir = mem_dup(path);
    if (!dir)
        return fail_memory();
    while (*dir) {
        size_t size = strlen(dir), parent = path_parent_size(dir);
        const char *name = path + (parent ? parent + 1 : 0);
        dir[parent] = 0;
        if (!listing_is_there(store, &view->place, dir, terms))
            continue;
        int rc = listing_find(store, &view->place, dir, name, size - (size_t)(name - path), out);
        if (rc == -ENOENT)
            return fail(-ENOENT, "%s: no such file (as the cache knows)", path);
        if (rc == 0 && !path[size])
            return 0;
        if (rc == 0) {
            answer_free(out); /* a directory above is there; of what is in it nothing is known */
            break;
        }
    }
    return -ENONET;
}

int offline_info(struct view *view, struct store *store, const char *path, const struct terms *terms,
                 struct answer *out)
{
    struct answer found = {0};
    bool any_age = terms->age_max_ms < 0; /* of what lies below, nobody knows how old it is */
    if (listing_is_there(store, &view->place, path, terms) || (any_age && has_below(view, store, path)))
        return give_directory(out);
    int rc = ask_listings(view, store, path, terms, &found);
    if (rc == -ENONET)
        return view_offline(view, path,
                            any_age ? "not in the cache" : "not in the cache, or older than max_age");
    if (rc == 0)
        *out = found;
    return rc;
}
