/* SPDX-License-Identifier: Apache-2.0 */
#include "store_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#include "base/seams.h"
#include "tmpdir.h"

char *case_scratch, *case_dir;
struct store *store;
struct place place;
atomic_llong clock_ahead_ns;
atomic_uint warnings;
static int64_t (*real_wall_ns)(void);

/* ---- life ---- */

static int64_t moved_wall_ns(void)
{
    return real_wall_ns() + clock_ahead_ns;
}

static void count_warning(void *arg, enum larder_log_level level, const char *message)
{
    warnings++;
}

void case_init(void)
{
    real_wall_ns = world_seam.wall_ns;
    world_seam.wall_ns = moved_wall_ns;
    larder_log_to(count_warning, NULL, LARDER_LOG_WARNING);
}

int case_begin(void **state)
{
    case_scratch = tmpdir_make();
    case_dir = tmpdir_path(case_scratch, "deep/er/cache");
    place = place_of("fake://here");
    clock_ahead_ns = 0;
    warnings = 0;
    assert_ok(store_open(case_dir, &store));
    return 0;
}

int case_end(void **state)
{
    store_unref(store);
    /* The writer may still be closing it; opening it again waits for that, or takes it back. */
    free(case_dir);
    tmpdir_remove(case_scratch);
    return 0;
}

void reopen(void)
{
    store_unref(store);
    assert_ok(store_open(case_dir, &store));
}

char *store_file(void)
{
    return tmpdir_path(case_dir, "cache-1.mdb");
}

void close_for_good(void)
{
    char *line = NULL;
    size_t size = 0;
    flush();
    store_unref(store);
    store = NULL;
    for (bool open = true; open; usleep(1000)) { /* the writer closes it, in its own time */
        FILE *maps = fopen("/proc/self/maps", "r");
        open = false;
        while (getline(&line, &size, maps) > 0)
            open = open || strstr(line, "cache-1.mdb\n");
        fclose(maps);
    }
    free(line);
}

/* ---- files ---- */

void put_done(struct op *op, int status)
{
    struct put *put = container_of(op, struct put, op);
    free((void *)put->data);
    free((char *)put->path);
    free((char *)put->record.version);
    free(put);
}

char *content(size_t size, unsigned seed)
{
    char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)((i * 2654435761U + seed * 40503U) >> 13);
    return data;
}

/* The whole file, or with `part` only its blocks from `start` on. */
struct put *make_put(const char *path, const char *version, size_t size, unsigned seed)
{
    struct put *put = calloc(1, sizeof *put);
    put->op = (struct op){.apply = edit_put, .done = put_done};
    put->type = KEY_RECORD;
    put->place = place;
    put->path = strdup(path);
    put->record.head = (struct record_head){.state = RECORD_KNOWN,
                                            .type = LARDER_FILE,
                                            .size = (int64_t)size,
                                            .answered_ns = wall_ns(),
                                            .fresh_ms = -1,
                                            .stale_if_error_ms = -1};
    put->record.version = put->record.validator = version ? strdup(version) : NULL;
    put->data = content(size, seed);
    put->size = size;
    put->whole = true;
    put->packing = (struct packing){.level = 3, .gain_percent = 12};
    int rc = store_seen(store, KEY_RECORD, &place, path, &put->seen);
    assert_true(rc == 0 || !store_is_ours(store)); /* it may just have been set aside */
    return put;
}

void put(const char *path, const char *version, size_t size, unsigned seed)
{
    assert_ok(writer_add(store, &make_put(path, version, size, seed)->op));
}

void flush(void)
{
    assert_ok(writer_flush(store, -1));
}

/* -ENOENT, -EBADMSG, or 0 and the bytes were right. */
int check_range(const char *path, size_t size, unsigned seed, size_t start, size_t count)
{
    struct reader *reader;
    struct record record;
    struct bytes_sink sink;
    struct answer answer;
    int rc = reader_find(store, KEY_RECORD, &place, path, &reader, &record);
    if (rc < 0)
        return rc;
    bytes_sink_init(&sink);
    record_answer(&record, &answer);
    if (record.head.state != RECORD_KNOWN || record.head.size != (int64_t)size)
        rc = -ENODATA;
    if (rc == 0)
        rc = reader_has(store, reader, &record, (int64_t)start, (int64_t)count);
    if (rc == 0)
        rc = sink_begin_now(&sink.sink, &answer, (int64_t)count);
    if (rc == 0)
        rc = reader_put(store, reader, &record, (int64_t)start, (int64_t)count, &sink.sink);
    reader_end(store, reader);
    if (rc == 0) {
        char *expected = content(size, seed);
        assert_int_equal(sink.size, count);
        if (count)
            assert_memory_equal(sink.data, expected + start, count);
        free(expected);
    }
    bytes_sink_fini(&sink);
    return rc;
}

int check(const char *path, size_t size, unsigned seed)
{
    return check_range(path, size, seed, 0, size);
}

size_t count_keys(enum key_type type)
{
    struct reader *reader = reader_begin(store);
    MDB_cursor *cursor;
    MDB_val name, value;
    size_t count = 0;
    assert_int_equal(mdb_cursor_open(reader->txn, store->dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0)
        count +=
            *(unsigned char *)name.mv_data == type && (type != KEY_BLOCK || name.mv_size == KEY_BLOCK_SIZE);
    mdb_cursor_close(cursor);
    reader_end(store, reader);
    return count;
}

static void stage_done(struct op *op, int status)
{
    struct stage *stage = container_of(op, struct stage, op);
    free((void *)stage->data);
    free(stage);
}

void stage(uint64_t version, int64_t start, size_t blocks)
{
    struct stage *op = calloc(1, sizeof *op);
    op->op = (struct op){.apply = edit_stage, .done = stage_done};
    op->version = version;
    op->start = start;
    op->size = blocks * (size_t)BLOCK_SIZE;
    op->data = content(op->size, 1);
    assert_ok(writer_add(store, &op->op));
}
