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
                                 .fresh_ms = answer.fresh_ms};
    if (answer.info.version && strlen(answer.info.version) < sizeof out->version)
        strcpy(out->version, answer.info.version);
    answer_free(&answer);
    return 0;
}

int larder_page_from(struct larder_page *page, struct larder_fs *fs, const char *path)
{
    struct terms terms = fs->terms;
    struct cursor cursor = {0};
    int rc = 0;
    terms.names_only = page->names_only;
    entries_discard(&page->builder);
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

/* Straight into the sink: whether all came is the other filesystem's to say. */
int larder_reading_from(struct larder_reading *reading, struct larder_fs *fs, const char *path)
{
    struct answer answer = {0};
    struct layer_call call = {LAYER_READ, .range = reading->range, .terms = reading->terms,
                              .sink = reading->sink, .out = &answer};
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

int larder_writing_whole(struct larder_writing *writing, const void **data, size_t *size)
{
    int64_t got;
    *data = larder_writing_data(writing, &got);
    *size = (size_t)got;
    if (*data)
        return 0;
    do {
        void *room = buffer_room(&writing->whole, WHOLE_PIECE);
        got = room ? larder_writing_read(writing, room, WHOLE_PIECE) : writing->whole.status;
        if (got > 0)
            buffer_grew(&writing->whole, (size_t)got);
    } while (got > 0);
    *data = writing->whole.data;
    *size = writing->whole.size;
    return (int)got;
}
