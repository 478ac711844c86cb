/* SPDX-License-Identifier: Apache-2.0 */
/* What a program's own backend has from the filesystems that it stands on. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "fs/enter.h"
#include "fs/foreign.h"

#define WHOLE_PIECE ((size_t)1 << 20)

int larder_facts_from(struct larder_fs *fs, const char *path, struct larder_facts *out)
{
    struct answer answer = {0};
    struct layer_call call = {LAYER_INFO, .out = &answer};
    int rc = enter_call(fs, path, &call);
    if (rc < 0)
        return rc;
    *out = (struct larder_facts){.type = answer.info.type,
                                 .size = answer.info.size,
                                 .mtime_ns = answer.info.mtime_ns,
                                 .created_ns = answer.info.created_ns,
                                 .fresh_ms = answer.flags & ANSWER_NO_STORE ? 0 : answer.fresh_ms};
    if (answer.info.version && strlen(answer.info.version) < sizeof out->version)
        strcpy(out->version, answer.info.version);
    answer_free(&answer);
    return 0;
}

/* What was put down where another place stopped. That of the page before is the cursor's. */
static void drop_position(struct larder_page *page)
{
    if (page->goes_on && page->release && page->position != page->cursor->state)
        page->release(page->position);
    page->goes_on = false;
}

int larder_page_from(struct larder_page *page, struct larder_fs *fs, const char *path)
{
    struct terms terms = fs->terms;
    struct cursor cursor = {0};
    int rc = 0;
    terms.names_only = page->names_only;
    entries_discard(&page->builder);
    drop_position(page);
    while (rc == 0 && !cursor.end) {
        struct larder_entries entries = {0};
        struct answer answer = {0};
        struct layer_call call = {LAYER_LIST, .terms = &terms, .cursor = &cursor, .page = &entries,
                                  .out = &answer};
        rc = enter_call(fs, path, &call);
        for (size_t i = 0; rc == 0 && i < entries.count; i++)
            rc = entries_add(&page->builder, &entries.info[i]);
        larder_entries_free(&entries);
        answer_free(&answer);
    }
    cursor_free(&cursor);
    return rc;
}

/* What is asked for, of a handle with terms of its own. */
static struct terms terms_through(const struct larder_fs *fs, const struct terms *outer)
{
    struct terms terms = fs->terms;
    terms.if_match = outer->if_match;
    terms.if_none_match = outer->if_none_match;
    terms.since_ns = outer->since_ns;
    if (terms.ttl_ms < 0)
        terms.ttl_ms = outer->ttl_ms;
    if (terms.age_max_ms < 0 || (outer->age_max_ms >= 0 && outer->age_max_ms < terms.age_max_ms))
        terms.age_max_ms = outer->age_max_ms;
    return terms;
}

/* Straight into the sink: whether all came is the other filesystem's to say. */
int larder_reading_from(struct larder_reading *reading, struct larder_fs *fs, const char *path)
{
    struct answer answer = {0};
    const struct terms terms = terms_through(fs, reading->terms);
    struct layer_call call = {LAYER_READ, .range = reading->range, .terms = &terms, .sink = reading->sink,
                              .out = &answer};
    int rc = enter_call(fs, path, &call);
    if (rc < 0)
        return rc;
    answer_free(&reading->passed);
    reading->passed = answer;
    reading->begun = reading->passes = true;
    reading->sized = false;
    reading->unchanged = rc == UNCHANGED;
    return rc;
}

/* One byte more than there may be room for, to see that it ends. */
static int read_whole(struct larder_writing *writing, size_t size_max)
{
    struct buffer *whole = &writing->whole;
    int64_t got = 1;
    whole->size_max = SIZE_MAX;
    while (got > 0 && whole->size <= size_max) {
        size_t left = size_max - whole->size, piece = left < WHOLE_PIECE ? left + 1 : WHOLE_PIECE;
        void *room = buffer_room(whole, piece);
        got = room ? larder_writing_read(writing, room, piece) : whole->status;
        if (got > 0)
            buffer_grew(whole, (size_t)got);
    }
    if (whole->size > size_max)
        got = fail(-EFBIG, "more than %zu bytes", size_max);
    if (got < 0)
        buffer_free(whole);
    return (int)got;
}

int larder_writing_whole(struct larder_writing *writing, size_t size_max, const void **data, size_t *size)
{
    int64_t told;
    const void *given = larder_writing_data(writing, &told);
    bool fits = told < 0 || (uint64_t)told <= size_max;
    int rc = !given && fits && !writing->whole.data ? read_whole(writing, size_max) : 0;
    if (rc == 0 && (!fits || writing->whole.size > size_max)) /* also where it was asked for before */
        rc = fail(-EFBIG, "more than %zu bytes", size_max);
    if (rc < 0)
        return rc;
    *data = given ? given : writing->whole.data;
    *size = given ? (size_t)told : writing->whole.size;
    return 0;
}
