/* SPDX-License-Identifier: Apache-2.0 */
/* Listings through the cache: a stored one page by page, or the place's, which is collected on the way to be
 * kept. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cache/edit.h"
#include "cache/listing.h"
#include "cache/lock.h"
#include "cache/view.h"

struct listing_cursor {
    bool stored; /* `pages` are given; else collected */
    struct listing pages;
    size_t offset;
    struct cursor next; /* of the place's */
    bool keep, wait;    /* for room in the writer's queue */
    struct seen seen;
    struct store *store; /* for what is reserved; the view lives as long as the walk */
    size_t cost;
    struct answer answer; /* of the first page */
    int64_t answered_ns;
    struct lock lock; /* nobody else asks for this listing meanwhile */
};

static void drop_pages(struct listing_cursor *at)
{
    at->keep = false;
    listing_free(&at->pages);
    if (at->cost)
        writer_release(at->store, at->cost);
    at->cost = 0;
    lock_end(&at->lock, at->store, false);
}

static void free_cursor(void *state)
{
    struct listing_cursor *at = state;
    drop_pages(at);
    cursor_free(&at->next);
    answer_free(&at->answer);
    mem_free(at);
}

/* ---- into the store ---- */

struct kept_listing {
    struct put put;
    struct listing pages;
    struct answer answer;
    struct lock lock; /* until it is in the store */
    struct store *store;
    char strings[];
};

static void kept_done(struct op *op, int status)
{
    struct kept_listing *kept = container_of(op, struct kept_listing, put.op);
    lock_end(&kept->lock, kept->store, status == 0);
    listing_free(&kept->pages);
    answer_free(&kept->answer);
    mem_free(kept);
}

static struct kept_listing *kept_new(struct view *view, const char *path, enum record_state state)
{
    size_t path_size = strlen(path) + 1, identity_size = view->place.size + 1;
    struct kept_listing *kept = mem_zero(sizeof *kept + identity_size + path_size);
    if (!kept)
        return NULL;
    struct put *put = &kept->put;
    put->op = (struct op){.apply = edit_put, .done = kept_done};
    put->type = KEY_LISTING;
    put->place = view->place;
    put->place.identity = memcpy(kept->strings, view->place.identity, identity_size);
    put->path = memcpy(kept->strings + identity_size, path, path_size);
    put->record.head.state = (uint8_t)state;
    return kept;
}

/* The whole of it has come. */
static void keep_listing(struct view *view, struct listing_cursor *at, const char *path)
{
    struct kept_listing *kept = kept_new(view, path, RECORD_KNOWN);
    if (!kept)
        return;
    kept->store = at->store;
    lock_move(&kept->lock, &at->lock);
    kept->pages = at->pages;
    kept->answer = at->answer;
    at->pages = (struct listing){0};
    at->answer = (struct answer){0};
    struct put *put = &kept->put;
    record_from_answer(&put->record, &kept->answer);
    put->record.head.state = RECORD_KNOWN;
    put->record.head.type = LARDER_DIRECTORY;
    put->record.head.size = (int64_t)kept->pages.size;
    put->record.head.answered_ns = at->answered_ns;
    put->seen = at->seen;
    put->data = kept->pages.data;
    put->size = kept->pages.size;
    put->whole = true;
    put->op.cost = at->cost;
    at->cost = 0;
    if (writer_add(at->store, &put->op) < 0) {
        writer_release(at->store, put->op.cost);
        kept_done(&put->op, -EROFS);
    }
}

void absence_keep(struct view *view, struct store *store, const char *path)
{
    struct kept_listing *kept = kept_new(view, path, RECORD_ABSENT);
    if (!kept)
        return;
    kept->put.type = KEY_RECORD;
    kept->put.record.head.fresh_ms = kept->put.record.head.stale_if_error_ms = -1;
    kept->put.record.head.answered_ns = wall_ns();
    int rc = store_seen(store, KEY_RECORD, &view->place, path, &kept->put.seen);
    if (rc < 0 || writer_add(store, &kept->put.op) < 0)
        kept_done(&kept->put.op, 0);
}

struct kept_freshen {
    struct freshen freshen;
    char strings[];
};

static void freshen_done(struct op *op, int status)
{
    mem_free(container_of(op, struct kept_freshen, freshen.op));
}

static void keep_fresh(struct view *view, struct store *store, const char *path, uint64_t id,
                       const struct answer *answer)
{
    size_t path_size = strlen(path) + 1, identity_size = view->place.size + 1;
    struct kept_freshen *kept = mem_zero(sizeof *kept + identity_size + path_size);
    if (!kept)
        return;
    kept->freshen = (struct freshen){.op = {.apply = edit_freshen, .done = freshen_done},
                                     .type = KEY_LISTING,
                                     .place = view->place,
                                     .id = id,
                                     .answered_ns = wall_ns(),
                                     .fresh_ms = answer->fresh_ms,
                                     .stale_if_error_ms = answer->stale_if_error_ms};
    kept->freshen.place.identity = memcpy(kept->strings, view->place.identity, identity_size);
    kept->freshen.path = memcpy(kept->strings + identity_size, path, path_size);
    if (writer_add(store, &kept->freshen.op) < 0)
        mem_free(kept);
}

/* ---- out of the store ---- */

struct found {
    bool fresh, stale_ok;
    uint64_t id;
    struct answer answer;
};

/* Was it found later that nothing is there, or a file? */
static bool is_gone(struct view *view, struct store *store, const char *path, int64_t listed_ns)
{
    struct reader *reader;
    struct record record;
    if (reader_find(store, KEY_RECORD, &view->place, path, &reader, &record) < 0)
        return false;
    bool other = record.head.state == RECORD_ABSENT || record.head.type == LARDER_FILE;
    bool gone = other && record.head.answered_ns > listed_ns;
    reader_end(store, reader);
    return gone;
}

/* -EAGAIN: there is none. */
static int find(struct view *view, struct store *store, const char *path, const struct terms *terms,
                struct found *out)
{
    struct reader *reader;
    struct record record;
    struct answer answer;
    if (reader_find(store, KEY_LISTING, &view->place, path, &reader, &record) < 0)
        return -EAGAIN;
    int rc = record.head.state == RECORD_KNOWN ? 0 : -EAGAIN;
    record_answer(&record, &answer);
    if (rc == 0)
        rc = answer_copy(&out->answer, &answer);
    out->answer.info.size = 0;
    out->fresh = hit_is_fresh(view, path, &record, terms);
    out->stale_ok = hit_may_be_stale(view, &record, terms);
    out->id = record.head.id;
    int64_t answered_ns = record.head.answered_ns;
    reader_end(store, reader);
    if (rc < 0 || !is_gone(view, store, path, answered_ns))
        return rc;
    out->fresh = out->stale_ok = false;
    out->id = 0;
    return -EAGAIN;
}

struct load {
    struct view *view;
    struct store *store;
    const char *path;
    struct listing_cursor *at;
};

static int load(void *arg)
{
    struct load *load = arg;
    return listing_load(load->store, &load->view->place, load->path, &load->at->pages);
}

/* On a worker: a listing may be large, and this is once a directory. */
static int CO_FN open_stored(struct view *view, struct store *store, const char *path,
                             struct listing_cursor *at, struct found *found)
{
    struct load arg = {view, store, path, at};
    int rc = offload(load, &arg);
    if (rc < 0)
        return rc;
    at->stored = true;
    answer_free(&at->answer);
    at->answer = found->answer;
    found->answer = (struct answer){0};
    return 0;
}

/* ---- pages ---- */

static int CO_FN stored_page(struct listing_cursor *at, struct cursor *cursor, struct larder_entries *page,
                             struct answer *out)
{
    int rc = at->pages.size ? listing_page(&at->pages, &at->offset, page) : 0;
    if (rc < 0)
        return rc == -EBADMSG ? fail(rc, "a stored listing is damaged") : rc;
    cursor->end = at->offset >= at->pages.size;
    return out ? answer_copy(out, &at->answer) : 0;
}

struct collect {
    struct listing_cursor *at;
    const struct larder_entries *page;
    int level;
};

static int collect(void *arg)
{
    struct collect *collect = arg;
    return listing_add(&collect->at->pages, collect->page, collect->level);
}

static int CO_FN collect_page(struct view *view, struct listing_cursor *at, const struct larder_entries *page)
{
    struct collect arg = {at, page, view->packing.level};
    int rc = page->count > 64 ? offload(collect, &arg) : collect(&arg);
    if (rc == -ECANCELED)
        return rc;
    size_t more = rc < 0 || at->pages.size <= at->cost ? 0 : at->pages.size - at->cost;
    if (rc == 0 && at->wait && more)
        rc = writer_reserve_wait(at->store, more);
    else if (rc == 0 && more && !writer_reserve(at->store, more))
        rc = -EAGAIN;
    if (rc == 0)
        at->cost += more;
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0)
        drop_pages(at);
    return 0;
}

static int CO_FN next_page(struct view *view, const char *path, struct listing_cursor *at,
                           const struct terms *terms, struct cursor *cursor, struct larder_entries *page,
                           struct answer *out)
{
    struct answer answer = {0};
    bool first = !at->answered_ns;
    struct lock_beat beat;
    lock_beat_start(&beat, task_loop(task_current()), &at->lock, at->store);
    int rc = layer_list(view_next(view), path, terms, &at->next, page, &answer);
    lock_beat_stop(&beat);
    if (rc != 0) {
        if (out && rc == UNCHANGED)
            *out = answer;
        else
            answer_free(&answer);
        return rc;
    }
    if (first) {
        at->answered_ns = wall_ns();
        at->keep = at->keep && !(answer.flags & ANSWER_NO_STORE);
        rc = answer_copy(&at->answer, &answer);
    }
    if (rc == 0 && at->keep)
        rc = collect_page(view, at, page);
    cursor->end = at->next.end;
    if (rc == 0 && at->keep && cursor->end)
        keep_listing(view, at, path);
    if (!at->keep || cursor->end)
        lock_end(&at->lock, at->store, false);
    if (rc < 0) {
        larder_entries_free(page);
        answer_free(&answer);
    } else if (out) {
        *out = answer;
    } else {
        answer_free(&answer);
    }
    return rc;
}

/* ---- the first page ---- */

static int CO_FN offline_list(struct view *view, struct store *store, const char *path,
                              const struct terms *terms)
{
    struct answer answer = {0};
    int rc = hit_info(view, store, path, terms, &answer);
    if (rc == -EAGAIN)
        rc = offline_info(view, store, path, terms, &answer);
    bool file = rc == 0 && answer.info.type == LARDER_FILE;
    answer_free(&answer);
    if (rc < 0)
        return rc;
    return file ? fail(-ENOTDIR, "%s: a file", path)
                : fail(-ENONET, "%s: offline, and its listing is not in the cache", path_shown(path));
}

static bool may_fall_back(int rc)
{
    return rc < 0 && rc != -ENOENT && rc != -ENOTDIR && rc != -EACCES && rc != -ECANCELED && rc != -ENOMEM &&
           rc != -ENOTSUP && rc != -EINVAL;
}

static int CO_FN ask(struct view *view, struct store *store, const char *path, const struct terms *terms,
                     struct listing_cursor *at, struct found *found, struct cursor *cursor,
                     struct larder_entries *page, struct answer *out)
{
    struct terms ask = TERMS_NONE;
    struct answer answer = {0};
    if (found->id)
        ask.if_none_match = found->answer.validator;
    at->keep = store_seen(store, KEY_LISTING, &view->place, path, &at->seen) == 0;
    store_count(store, COUNT_MISSES, 1);
    int rc = next_page(view, path, at, &ask, cursor, page, &answer);
    if (rc == UNCHANGED) {
        keep_fresh(view, store, path, found->id, &answer);
        answer_free(&answer);
        rc = open_stored(view, store, path, at, found);
        if (rc == 0)
            return stored_page(at, cursor, page, out);
        if (rc != -EAGAIN)
            return rc;
        ask.if_none_match = NULL; /* it went meanwhile */
        rc = next_page(view, path, at, &ask, cursor, page, &answer);
    }
    if (may_fall_back(rc) && found->id && found->stale_ok && open_stored(view, store, path, at, found) == 0) {
        store_count(store, COUNT_STALE, 1);
        return stored_page(at, cursor, page, out);
    }
    if (rc == -ENOENT)
        absence_keep(view, store, path);
    if (rc == 0 && out)
        *out = answer;
    else
        answer_free(&answer);
    return rc;
}

/* Out of the store alone. -EAGAIN: it is to be asked for. */
static int CO_FN look(struct view *view, struct store *store, const char *path, const struct terms *terms,
                      struct listing_cursor *at, struct found *found)
{
    answer_free(&found->answer);
    *found = (struct found){0};
    int rc = find(view, store, path, terms, found);
    if (rc == 0)
        rc = found->fresh ? open_stored(view, store, path, at, found) : -EAGAIN;
    else if (rc == -EAGAIN && hit_is_absent(view, store, path, terms))
        rc = fail(-ENOENT, "%s: no such directory (as the cache knows)", path_shown(path));
    if (rc == 0 || rc == -ENOENT)
        store_count(store, COUNT_HITS, 1);
    return rc;
}

/* Nobody else asks for it meanwhile, and whoever did has stored it. If that is of no use to us, each asks for itself. */
static int CO_FN look_again(struct view *view, struct store *store, const char *path,
                            const struct terms *terms, struct listing_cursor *at, struct found *found)
{
    if (found->id)
        return -EAGAIN;
    lock_init(&at->lock, KEY_LISTING, &view->place, path);
    int rc = lock_wait(&at->lock, store, 0, 1, UINT64_MAX);
    if (rc == 0)
        rc = look(view, store, path, terms, at, found);
    if (rc == -EAGAIN && found->id)
        lock_end(&at->lock, store, true);
    return rc;
}

static int CO_FN first_page(struct view *view, struct store *store, const char *path,
                            const struct terms *terms, struct listing_cursor *at, struct cursor *cursor,
                            struct larder_entries *page, struct answer *out)
{
    struct found found = {0};
    int rc = look(view, store, path, terms, at, &found);
    if (rc == -EAGAIN && view->mode != MODE_OFFLINE)
        rc = look_again(view, store, path, terms, at, &found);
    if (rc == 0)
        rc = stored_page(at, cursor, page, out);
    else if (rc == -EAGAIN)
        rc = view->mode == MODE_OFFLINE ? offline_list(view, store, path, terms)
                                        : ask(view, store, path, terms, at, &found, cursor, page, out);
    if (at->stored || rc < 0)
        lock_end(&at->lock, store, at->stored);
    answer_free(&found.answer);
    return rc;
}

static int CO_FN list_page(struct view *view, const char *path, const struct terms *terms, bool wait,
                           struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct store *store = view_store(view);
    struct listing_cursor *at = cursor->state;
    if (!store)
        return view->mode == MODE_OFFLINE
                   ? fail(-ENONET, "%s: offline, and there is no cache", path_shown(path))
                   : layer_list(view_next(view), path, terms, cursor, page, out);
    if (at && at->stored)
        return stored_page(at, cursor, page, out);
    if (at)
        return next_page(view, path, at, &TERMS_NONE, cursor, page, out);
    at = mem_zero(sizeof *at);
    if (!at)
        return fail_memory();
    at->store = store;
    at->wait = wait;
    cursor->state = at;
    cursor->free_state = free_cursor;
    return first_page(view, store, path, terms, at, cursor, page, out);
}

int fetch_list(struct instance *instance, const char *path, const struct terms *terms, struct cursor *cursor,
               struct larder_entries *page, struct answer *out)
{
    return list_page(container_of(instance, struct view, instance), path, terms, false, cursor, page, out);
}

int fetch_list_kept(struct view *view, const char *path, const struct terms *terms, struct cursor *cursor,
                    struct larder_entries *page)
{
    return list_page(view, path, terms, true, cursor, page, NULL);
}
