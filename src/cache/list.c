/* SPDX-License-Identifier: Apache-2.0 */
/* Listings through the cache: a stored one page by page, or the place's, which is collected on the way to be
 * kept. Where a place tells a whole tree at once, that is asked for; what is stored is then told as one level of it. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cache/list_keep.h"
#include "cache/list_tree.h"
#include "fs/chain.h"

struct listing_cursor {
    struct view *view;   /* both live as long as the walk */
    struct store *store; /* NULL: there was none when it was begun */
    bool tree;           /* list_tree, where the place has it */
    bool stored;         /* what is in `coming` is given; else it is collected there, or by `whole` */
    bool keep, wait;     /* for room in the writer's queue */
    size_t offset;
    struct cursor next; /* of the place's */
    struct coming coming;
    struct listed_tree *whole; /* of a tree that is kept */
};

static void drop(struct listing_cursor *at)
{
    at->keep = false;
    listed_tree_free(take(at->whole));
    coming_drop(&at->coming, at->store);
}

static void free_cursor(void *state)
{
    struct listing_cursor *at = state;
    drop(at);
    cursor_free(&at->next);
    answer_free(&at->coming.answer);
    mem_free(at);
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
    return listing_load(load->store, &load->view->place, load->path, &load->at->coming.pages);
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
    answer_free(&at->coming.answer);
    at->coming.answer = found->answer;
    found->answer = (struct answer){0};
    return 0;
}

/* ---- pages ---- */

static int CO_FN stored_page(struct listing_cursor *at, struct cursor *cursor, struct larder_entries *page,
                             struct answer *out)
{
    const struct listing *pages = &at->coming.pages;
    int rc = pages->size ? listing_page(pages, &at->offset, page) : 0;
    if (rc < 0)
        return rc == -EBADMSG ? fail(rc, "a stored listing is damaged") : rc;
    cursor->end = at->offset >= pages->size;
    if (!out)
        return 0;
    rc = answer_copy(out, &at->coming.answer);
    out->flags |= at->tree ? ANSWER_SHALLOW : 0;
    return rc;
}

struct collect {
    struct listing_cursor *at;
    const struct larder_entries *page;
    int level;
};

static int collect(void *arg)
{
    struct collect *collect = arg;
    return listing_add(&collect->at->coming.pages, collect->page, collect->level);
}

/* What cannot be kept is given all the same. */
static void CO_FN collect_page(struct listing_cursor *at, const char *path, const struct larder_entries *page,
                               const struct answer *answer)
{
    struct collect arg = {at, page, at->view->packing.level};
    bool end = at->next.end;
    if (at->tree) {
        listed_tree_add(at->whole, page, answer, end, &at->coming.lock);
        return;
    }
    int rc = page->count > 64 ? offload(collect, &arg) : collect(&arg);
    if (rc == 0)
        rc = coming_reserve(&at->coming, at->store, at->wait);
    if (rc < 0)
        drop(at);
    else if (end)
        coming_keep(&at->coming, at->view, at->store, path);
}

static int CO_FN ask_next(struct listing_cursor *at, const char *path, const struct terms *terms,
                          struct larder_entries *page, struct answer *answer)
{
    struct instance *next = view_next(at->view);
    struct lock_beat beat;
    lock_beat_start(&beat, task_loop(task_current()), &at->coming.lock);
    int rc = at->tree ? layer_list_tree(next, path, terms, &at->next, page, answer)
                      : layer_list(next, path, terms, &at->next, page, answer);
    lock_beat_stop(&beat);
    return rc;
}

static int CO_FN next_page(struct listing_cursor *at, const char *path, const struct terms *terms,
                           struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct answer answer = {0};
    int rc = ask_next(at, path, terms, page, &answer);
    if (rc < 0) {
        answer_free(&answer);
        return rc;
    }
    if (rc == 0 && !at->coming.answered_ns) {
        at->coming.answered_ns = wall_ns();
        at->keep =
            at->keep && !(answer.flags & ANSWER_NO_STORE) && answer_copy(&at->coming.answer, &answer) == 0;
    }
    cursor->end = rc == 0 && at->next.end;
    if (rc == 0 && at->keep)
        collect_page(at, path, page, &answer);
    if (rc == 0 && (!at->keep || cursor->end))
        lock_end(&at->coming.lock, false);
    if (out)
        *out = answer;
    else
        answer_free(&answer);
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
                : view_offline(view, path, "its listing is not in the cache");
}

static bool may_fall_back(int rc)
{
    return rc < 0 && rc != -ENOENT && rc != -ENOTDIR && rc != -EACCES && rc != -ECANCELED && rc != -ENOMEM &&
           rc != -ENOTSUP && rc != -EINVAL;
}

static bool begin_to_keep(struct listing_cursor *at, const char *path)
{
    return store_seen(at->store, KEY_LISTING, &at->view->place, path, &at->coming.seen) == 0;
}

static int CO_FN ask(struct listing_cursor *at, const char *path, struct found *found, struct cursor *cursor,
                     struct larder_entries *page, struct answer *out)
{
    struct view *view = at->view;
    struct store *store = at->store;
    struct terms ask = TERMS_NONE;
    struct answer answer = {0};
    if (found->id && !at->tree)
        ask.if_none_match = found->answer.validator;
    at->keep =
        at->tree ? listed_tree_new(view, store, path, at->wait, &at->whole) == 0 : begin_to_keep(at, path);
    store_count(store, COUNT_MISSES, 1);
    int rc = next_page(at, path, &ask, cursor, page, &answer);
    if (rc == UNCHANGED) {
        listing_keep_fresh(view, store, path, found->id, &answer);
        answer_free(&answer);
        rc = open_stored(view, store, path, at, found);
        if (rc == 0)
            return stored_page(at, cursor, page, out);
        if (rc != -EAGAIN)
            return rc;
        ask.if_none_match = NULL; /* it went meanwhile */
        rc = next_page(at, path, &ask, cursor, page, &answer);
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
        rc = fail_at(view_next(view), path, -ENOENT, "no such directory (as the cache knows)");
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
    lock_init(&at->coming.lock, store, KEY_LISTING, &view->place, path);
    int rc = lock_wait(&at->coming.lock, 0, 1, UINT64_MAX);
    if (rc == 0)
        rc = look(view, store, path, terms, at, found);
    if (rc == -EAGAIN && found->id)
        lock_end(&at->coming.lock, true);
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
                                        : ask(at, path, &found, cursor, page, out);
    if (at->stored || rc < 0)
        lock_end(&at->coming.lock, at->stored);
    answer_free(&found.answer);
    return rc;
}

static int CO_FN list_page(struct view *view, const char *path, const struct terms *terms, bool wait,
                           bool tree, struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct store *store = view_store(view);
    struct listing_cursor *at = cursor->state;
    if (!store)
        return view->mode == MODE_OFFLINE ? view_offline(view, path, "there is no cache")
               : tree                     ? layer_list_tree(view_next(view), path, terms, cursor, page, out)
                                          : layer_list(view_next(view), path, terms, cursor, page, out);
    if (at && at->stored)
        return stored_page(at, cursor, page, out);
    if (at)
        return next_page(at, path, &TERMS_NONE, cursor, page, out);
    at = mem_zero(sizeof *at);
    if (!at)
        return fail_memory();
    *at = (struct listing_cursor){.view = view, .store = store, .wait = wait, .tree = tree};
    cursor->state = at;
    cursor->free_state = free_cursor;
    return first_page(view, store, path, terms, at, cursor, page, out);
}

int fetch_list(struct instance *instance, const char *path, const struct terms *terms, struct cursor *cursor,
               struct larder_entries *page, struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    return list_page(view, path, terms, false, false, cursor, page, out);
}

int fetch_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                    struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    bool tree = layer_has_trees(view_next(view));
    int rc = list_page(view, path, terms, false, tree, cursor, page, out);
    if (rc == 0 && !tree && out)
        out->flags |= ANSWER_SHALLOW;
    return rc;
}

int fetch_list_kept(struct view *view, const char *path, const struct terms *terms, struct cursor *cursor,
                    struct larder_entries *page)
{
    return list_page(view, path, terms, true, false, cursor, page, NULL);
}

int fetch_tree_kept(struct view *view, const char *path, const struct terms *terms)
{
    struct larder_entries page = {0};
    struct cursor cursor = {0};
    int rc = layer_has_trees(view_next(view)) ? 0 : -ENOTSUP;
    while (rc == 0 && !cursor.end) {
        rc = list_page(view, path, terms, true, true, &cursor, &page, NULL);
        larder_entries_free(&page);
    }
    cursor_free(&cursor);
    return rc;
}
