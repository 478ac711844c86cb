/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored, told one by one. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/handle.h"
#include "cache/pin.h"
#include "cache/scan.h"
#include "cache/view.h"

#define PAGE_COUNT 256 /* entries that are held at a time */

void larder_cache_entry_free(struct larder_cache_entry *entry)
{
    if (!entry)
        return;
    mem_free(entry->owner);
    entry->owner = NULL;
}

/* ---- an entry ---- */

struct judge { /* by whose options */
    struct store *store;
    const struct lifetimes *lifetimes;
    const struct terms *terms;
};

/* "https://host" and "a b": https://host/a%20b. What stands behind a "#" is no part of the URL. */
static char *make_url(const char *identity, const char *path)
{
    autofree char *encoded = url_encode_path(path);
    size_t size = strcspn(identity, "#");
    bool bare = size > 0 && identity[size - 1] == ':'; /* "file:" */
    return encoded ? mem_format("%.*s%s/%s", (int)size, identity, bare ? "//" : "", encoded) : NULL;
}

static char *put(char **at, const char *text)
{
    char *copy = *at;
    if (!text)
        return NULL;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

static size_t room_for(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* The texts that `entry` borrows become its own. */
static int own_texts(struct larder_cache_entry *entry, const char *identity, const char *path)
{
    autofree char *url = make_url(identity, path);
    char *at = url ? mem_alloc(room_for(url) + room_for(identity) + room_for(path) +
                               room_for(entry->validator) + room_for(entry->rule))
                   : NULL;
    if (!at)
        return fail_memory();
    entry->owner = at;
    entry->url = put(&at, url);
    entry->place = put(&at, identity);
    entry->path = put(&at, path);
    entry->validator = put(&at, entry->validator);
    entry->rule = put(&at, entry->rule);
    return 0;
}

static void say_lifetime(const struct judge *judge, const char *path, enum fact fact, int64_t said_ms,
                         struct larder_cache_entry *out)
{
    struct lifetime lifetime = lifetime_find(judge->lifetimes, judge->terms, path, fact, said_ms);
    out->lifetime_ms = lifetime.ms;
    out->lifetime_by = lifetime.by;
    out->rule = lifetime.rule ? lifetime.rule->text : NULL;
}

/* Which of its bytes are there. */
static void count_bytes(const struct judge *judge, const struct record *record,
                        struct larder_cache_entry *out)
{
    struct reader *reader = reader_begin(judge->store);
    if (!reader)
        return;
    out->bytes_there = reader_amount(judge->store, reader, record);
    reader_end(judge->store, reader);
    if (!record->head.version)
        return;
    out->blocks_there = (uint64_t)block_count(out->bytes_there);
    out->blocks = (uint64_t)block_count(record->head.size);
}

static enum larder_cache_kind kind_of(const struct record *record, bool listing)
{
    if (record->head.state == RECORD_ABSENT)
        return LARDER_CACHE_ABSENCE;
    if (record->head.state != RECORD_KNOWN)
        return LARDER_CACHE_NOTHING;
    if (record->head.type != LARDER_DIRECTORY)
        return LARDER_CACHE_FILE;
    return listing ? LARDER_CACHE_LISTING : LARDER_CACHE_DIRECTORY;
}

/* `out` is zero but for its size. */
static int make_entry(const struct judge *judge, const struct stored *stored, bool listing,
                      struct larder_cache_entry *out)
{
    const struct record *record = stored->record;
    struct place place = place_of(stored->identity);
    out->kind = kind_of(record, listing);
    if (out->kind == LARDER_CACHE_FILE) {
        out->file_size = record->head.size;
        count_bytes(judge, record, out);
    }
    out->mtime_ns = record->head.mtime_ns;
    out->bytes_stored = stored->bytes;
    out->validator = record->validator;
    out->strong = record_is_strong(record);
    out->fetched_ns = record->head.answered_ns;
    out->fresh = hit_is_right(judge->lifetimes, stored->path, record, judge->terms);
    out->pinned = pin_covers(judge->store, &place, stored->path);
    say_lifetime(judge, stored->path, hit_fact(record), record->head.fresh_ms, out);
    return own_texts(out, stored->identity, stored->path);
}

/* ---- one ---- */

struct why {
    struct judge judge;
    const struct place *place;
    const char *path;
    bool listing;
    struct larder_cache_entry *out;
};

static int is_it(void *arg, const struct stored *stored)
{
    struct why *why = arg;
    if (strcmp(stored->path, why->path) != 0)
        return strlen(why->path) < KEY_HEAD_SIZE ? 2 : 0; /* it would have come first */
    if (kind_of(stored->record, why->listing) == LARDER_CACHE_NOTHING)
        return 2;
    int rc = make_entry(&why->judge, stored, why->listing, why->out);
    return rc < 0 ? rc : 1;
}

static int find(struct why *why, bool listing)
{
    why->listing = listing;
    int rc =
        scan_records(why->judge.store, listing ? KEY_LISTING : KEY_RECORD, why->place, why->path, is_it, why);
    return rc == 2 ? 0 : rc;
}

/* What is at the path; if that is a directory, or nothing is known of it, its listing. */
static int ask_store(void *arg)
{
    struct why *why = arg;
    struct larder_cache_entry record = *why->out, *out = why->out;
    why->out = &record;
    int rc = find(why, false);
    why->out = out;
    if (rc < 0)
        return rc;
    if (rc == 1 && record.kind != LARDER_CACHE_DIRECTORY) {
        *out = record;
        return 0;
    }
    rc = find(why, true);
    if (rc == 1 || record.kind == LARDER_CACHE_NOTHING) {
        larder_cache_entry_free(&record);
        return rc < 0 ? rc : 0;
    }
    *out = record;
    return rc;
}

static int explain(struct larder_fs *fs, const char *path, struct larder_cache_entry *out)
{
    struct view *view = view_of(fs);
    struct store *store = view ? view_store(view) : NULL;
    if (!view)
        return fail(-EINVAL, "not a filesystem through a cache");
    if (!store)
        return fail(-EROFS, "%s: the cache cannot be used", view->hold.dir);
    struct why why = {.judge = {store, &view->lifetimes, &fs->terms},
                      .place = &view->place,
                      .path = path,
                      .out = out};
    int rc = cache_blocking(ask_store, &why, path);
    if (rc < 0 || out->kind != LARDER_CACHE_NOTHING)
        return rc;
    out->file_size = LARDER_SIZE_UNKNOWN;
    out->pinned = pin_covers(store, &view->place, path);
    say_lifetime(&why.judge, path, FACT_FILE, -1, out);
    return own_texts(out, view->place.identity, path);
}

int larder_cache_why(struct larder_fs *fs, const char *path, struct larder_cache_entry *out)
{
    struct larder_cache_entry entry = {0};
    struct target target = {0};
    error_clear();
    bool whole = fs && out && out->size >= offsetof(struct larder_cache_entry, owner) + sizeof out->owner;
    int rc = whole ? target_begin(&target, fs, path, "larder_cache_why")
                   : fail(-EINVAL, "larder_cache_why: no filesystem, or an entry whose size is not set");
    if (rc == 0)
        rc = explain(fs, target.path, &entry);
    target_end(&target);
    if (rc == 0)
        tuning_give(out, &entry, sizeof entry);
    return error_finish(rc, path);
}

/* ---- all ---- */

struct listing_page {
    struct judge judge;
    struct scan scan;
    bool listing;
    struct larder_cache_entry entries[PAGE_COUNT];
    size_t count;
};

static int add_entry(void *arg, const struct stored *stored)
{
    struct listing_page *page = arg;
    struct larder_cache_entry *entry = &page->entries[page->count];
    if (kind_of(stored->record, page->listing) == LARDER_CACHE_NOTHING)
        return 0;
    *entry = (struct larder_cache_entry){.size = sizeof *entry};
    int rc = make_entry(&page->judge, stored, page->listing, entry);
    page->count += rc == 0;
    return rc;
}

static int fill_page(void *arg)
{
    struct listing_page *page = arg;
    page->count = 0;
    return scan_some(&page->scan, PAGE_COUNT, add_entry, page);
}

static int tell_page(struct listing_page *page, int rc, larder_cache_entry_fn *fn, void *arg)
{
    for (size_t i = 0; i < page->count; i++) {
        if (rc == 0)
            rc = fn(arg, &page->entries[i]);
        larder_cache_entry_free(&page->entries[i]);
    }
    return rc;
}

static int list_kind(struct larder_cache *cache, const struct target *target, struct listing_page *page,
                     larder_cache_entry_fn *fn, void *arg)
{
    int rc = 0;
    scan_begin(&page->scan, page->judge.store, page->listing ? KEY_LISTING : KEY_RECORD, target->place,
               target->path);
    while (rc == 0 && !page->scan.end)
        rc = tell_page(page, cache_blocking(fill_page, page, cache->dir), fn, arg);
    scan_fini(&page->scan);
    return rc;
}

int larder_cache_list(struct larder_cache *cache, struct larder_fs *fs, const char *path,
                      larder_cache_entry_fn *fn, void *arg)
{
    struct target target = {0};
    const struct terms terms = TERMS_NONE;
    struct store *store;
    error_clear();
    struct listing_page *page = mem_zero(sizeof *page);
    int rc = page ? cache_store(cache, false, &store) : fail_memory();
    if (rc == 0)
        rc = target_begin(&target, fs, path, cache->dir);
    if (rc == 0) {
        page->judge = (struct judge){store, &cache->lifetimes, &terms};
        rc = list_kind(cache, &target, page, fn, arg);
        page->listing = true;
    }
    if (rc == 0)
        rc = list_kind(cache, &target, page, fn, arg);
    target_end(&target);
    mem_free(page);
    return rc;
}
