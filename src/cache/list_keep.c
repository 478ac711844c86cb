/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/list_keep.h"

#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "cache/edit.h"

void coming_drop(struct coming *coming, struct store *store)
{
    listing_free(&coming->pages);
    if (coming->cost)
        writer_release(store, coming->cost);
    coming->cost = 0;
    lock_end(&coming->lock, false);
}

int coming_reserve(struct coming *coming, struct store *store, bool wait)
{
    size_t size = coming->pages.size, more = size > coming->cost ? size - coming->cost : 0;
    int rc = 0;
    if (more && wait)
        rc = writer_reserve_wait(store, more);
    else if (more && !writer_reserve(store, more))
        rc = -EAGAIN;
    if (rc == 0)
        coming->cost += more;
    return rc;
}

struct kept_listing {
    struct put put;
    struct coming coming; /* without its cost, which is the op's */
    struct store *store;
    char strings[];
};

static void kept_done(struct op *op, int status)
{
    struct kept_listing *kept = container_of(op, struct kept_listing, put.op);
    lock_end(&kept->coming.lock, status == 0);
    listing_free(&kept->coming.pages);
    answer_free(&kept->coming.answer);
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

void coming_keep(struct coming *coming, struct view *view, struct store *store, const char *path)
{
    struct kept_listing *kept = kept_new(view, path, RECORD_KNOWN);
    if (!kept) {
        coming_drop(coming, store);
        return;
    }
    kept->store = store;
    lock_move(&kept->coming.lock, &coming->lock);
    lock_last(&kept->coming.lock);
    kept->coming.pages = coming->pages;
    kept->coming.answer = coming->answer;
    struct put *put = &kept->put;
    record_from_answer(&put->record, &kept->coming.answer);
    put->record.head.state = RECORD_KNOWN;
    put->record.head.type = LARDER_DIRECTORY;
    put->record.head.size = (int64_t)coming->pages.size;
    put->record.head.answered_ns = coming->answered_ns;
    put->seen = coming->seen;
    put->data = kept->coming.pages.data;
    put->size = kept->coming.pages.size;
    put->whole = true;
    put->op.cost = coming->cost;
    *coming = (struct coming){0};
    if (writer_add(store, &put->op) < 0) {
        writer_release(store, put->op.cost);
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

void listing_keep_fresh(struct view *view, struct store *store, const char *path, uint64_t id,
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
