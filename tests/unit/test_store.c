/* SPDX-License-Identifier: Apache-2.0 */
/* The store by itself: what is put is found, what is damaged or foreign is not, and nothing it meets is
 * fatal. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/edit.h"
#include "cache/pin.h"
#include "cache/scan.h"
#include "cache/store.h"
#include "store_case.h"
#include "tmpdir.h"

/* ---- putting and getting ---- */

static void what_is_put_is_found(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 32768, 32769, 65503, 65504, 65505, 131008, 1000000};
    char path[32];
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(path, sizeof path, "f%u", i);
        put(path, "v1", sizes[i], i);
    }
    flush();
    for (int again = 0; again < 2; again++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            snprintf(path, sizeof path, "f%u", i);
            assert_ok(check(path, sizes[i], i));
            if (sizes[i] > 70000)
                assert_ok(check_range(path, sizes[i], i, 65000, 3000));
        }
        reopen();
    }
    assert_int_equal(check("f", 0, 0), -ENOENT);
    assert_int_equal(check("f1/x", 0, 0), -ENOENT);
    place = place_of("fake://elsewhere");
    assert_int_equal(check("f1", 1, 1), -ENOENT);
}

static void what_shrinks_is_packed(void **state)
{
    size_t size = 20 * BLOCK_SIZE;
    struct put *op = make_put("zeros", "v1", size, 1);
    MDB_stat before, after;
    memset((void *)op->data, 'z', size);
    mdb_env_stat(store->env, &before);
    assert_ok(writer_add(store, &op->op));
    flush();
    mdb_env_stat(store->env, &after);
    assert_true(after.ms_overflow_pages < before.ms_overflow_pages + 20);
    struct reader *reader;
    struct record record;
    struct bytes_sink sink;
    bytes_sink_init(&sink);
    assert_ok(reader_find(store, KEY_RECORD, &place, "zeros", &reader, &record));
    assert_ok(reader_put(store, reader, &record, 5, (int64_t)size - 7, &sink.sink));
    reader_end(store, reader);
    assert_int_equal(sink.size, size - 7);
    for (size_t i = 0; i < sink.size; i++)
        assert_int_equal(sink.data[i], 'z');
    bytes_sink_fini(&sink);
}

static void paths_longer_than_a_key_are_told_apart(void **state)
{
    char a[900], b[900], dir_path[700];
    memset(a, 'x', sizeof a);
    for (size_t i = 100; i < sizeof a; i += 100)
        a[i] = '/';
    a[sizeof a - 1] = 0;
    strcpy(b, a);
    b[890] = 'y';
    put(a, "v1", 1000, 1);
    put(b, "v1", 1000, 2);
    put("short", "v1", 1000, 3);
    flush();
    assert_ok(check(a, 1000, 1));
    assert_ok(check(b, 1000, 2));
    memcpy(dir_path, a, 600);
    dir_path[600] = 0;
    assert_int_equal(check(dir_path, 0, 0), -ENOENT);
    store_changed(store, &place, dir_path, true, false);
    flush();
    assert_int_equal(check(a, 1000, 1), -ENOENT);
    assert_int_equal(check(b, 1000, 2), -ENOENT);
    assert_ok(check("short", 1000, 3));
}

static void a_new_version_replaces_the_old_with_its_blocks(void **state)
{
    put("f", "v1", 1000000, 1);
    flush();
    size_t blocks = count_keys(KEY_BLOCK);
    assert_int_equal(blocks, 16);
    put("f", "v2", 500000, 2);
    flush();
    assert_ok(check("f", 500000, 2));
    assert_int_equal(count_keys(KEY_BLOCK), 8);
    put("f", "v3", 100, 3);
    flush();
    assert_ok(check("f", 100, 3));
    assert_int_equal(count_keys(KEY_BLOCK), 0);
}

static void parts_of_a_version_join(void **state)
{
    size_t size = 5 * BLOCK_SIZE + 100;
    for (int64_t i = 5; i >= 0; i--) {
        struct put *op = make_put("f", "v1", size, 1);
        char *part = content(size, 1);
        int64_t start = i * BLOCK_SIZE;
        op->start = start;
        op->size = i == 5 ? 100 : BLOCK_SIZE;
        memmove(part, part + start, op->size);
        free((void *)op->data);
        op->data = part;
        op->whole = false;
        op->seen = (struct seen){0}; /* of the same version: it does not matter when it began */
        assert_ok(writer_add(store, &op->op));
        flush();
        assert_int_equal(check("f", size, 1), i ? -ENOENT : 0);
        assert_ok(check_range("f", size, 1, (size_t)start, 50));
    }
}

static void what_began_before_a_change_is_dropped(void **state)
{
    struct put *known, *unknown, *below;
    put("known", "v1", 100, 1);
    flush();
    known = make_put("known", "v2", 100, 2);
    unknown = make_put("unknown", "v2", 100, 2);
    below = make_put("tree/below", "v2", 100000, 2);
    store_changed(store, &place, "known", false, false);
    store_changed(store, &place, "unknown", false, false);
    store_changed(store, &place, "tree", true, false);
    assert_int_equal(check("known", 100, 1), -ENOENT); /* at once */
    assert_ok(writer_add(store, &known->op));
    assert_ok(writer_add(store, &unknown->op));
    assert_ok(writer_add(store, &below->op));
    flush();
    assert_int_equal(check("known", 100, 2), -ENODATA);
    assert_int_equal(check("unknown", 100, 2), -ENODATA);
    assert_int_equal(check("tree/below", 100000, 2), -ENOENT);
    assert_int_equal(count_keys(KEY_BLOCK), 0);
    put("known", "v2", 100, 2);
    put("tree/below", "v2", 100, 2);
    flush();
    assert_ok(check("known", 100, 2));
    assert_ok(check("tree/below", 100, 2));
}

static void a_read_begun_between_a_change_and_its_commit_is_kept(void **state)
{
    for (int i = 0; i < 50; i++) {
        store_changed(store, &place, "f", false, false);
        put("f", "v9", 100, (unsigned)i); /* begins with the id of the record to come */
        flush();
        assert_ok(check("f", 100, (unsigned)i));
    }
}

static void of_two_reads_of_different_versions_the_first_stays(void **state)
{
    struct put *first = make_put("f", "v1", 100, 1), *second = make_put("f", "v2", 100, 2);
    assert_ok(writer_add(store, &first->op));
    assert_ok(writer_add(store, &second->op));
    flush();
    assert_ok(check("f", 100, 1));
}

static void what_was_staged_and_forgotten_is_swept(void **state)
{
    stage(1, 0, 3);
    stage(2, 0, 4);
    flush();
    assert_int_equal(count_keys(KEY_BLOCK), 7);
    edit_drop(store, 1);
    flush();
    assert_int_equal(count_keys(KEY_BLOCK), 4);
    close_for_good(); /* as after a crash: who staged it is no more */
    assert_ok(store_open(case_dir, &store));
    stage(3, 0, 1); /* who stages this, is */
    for (int i = 0; i < 100 && count_keys(KEY_BLOCK) > 1; i++) {
        put("f", NULL, 10, 1);
        flush();
    }
    assert_int_equal(count_keys(KEY_BLOCK), 1);
    assert_int_equal(count_keys(KEY_STAGED), 1);
    /* And whoever comes too late with the record finds that out. */
    struct put *late = make_put("late", "v1", 4 * (size_t)BLOCK_SIZE + 5, 1);
    late->staged = 2;
    late->start = 4 * BLOCK_SIZE;
    late->size = 5;
    assert_ok(writer_add(store, &late->op));
    flush();
    assert_int_equal(check("late", 0, 0), -ENOENT);
}

/* ---- stores that are none ---- */

static void overwrite(const char *path, long at, const void *data, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, at), size);
    close(fd);
}

static void is_begun_anew(void)
{
    char *aside = tmpdir_path(case_dir, "cache-1.mdb.damaged");
    assert_ok(store_open(case_dir, &store));
    assert_int_equal(check("f", 1000, 1), -ENOENT);
    put("f", "v1", 1000, 1);
    flush();
    assert_ok(check("f", 1000, 1));
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(warnings, 1);
    free(aside);
}

static void a_foreign_file_is_set_aside(void **state)
{
    char *path = store_file(), zeros[70000];
    memset(zeros, 'x', sizeof zeros);
    put("f", "v1", 1000, 1);
    close_for_good();
    overwrite(path, 0, zeros, sizeof zeros);
    is_begun_anew();
    free(path);
}

static void another_format_is_set_aside(void **state)
{
    char *path = store_file();
    MDB_txn *txn;
    uint64_t mark = FORMAT_MARK + 1;
    struct key key;
    key_meta(&key, "format");
    MDB_val name = {key.size, key.data}, value = {sizeof mark, &mark};
    put("f", "v1", 1000, 1);
    flush();
    assert_int_equal(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, store->dbi, &name, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    close_for_good();
    is_begun_anew();
    free(path);
}

static void a_file_that_was_cut_is_set_aside(void **state)
{
    char *path = store_file();
    put("f", "v1", 1000000, 1);
    close_for_good();
    assert_int_equal(truncate(path, 65536), 0);
    is_begun_anew();
    free(path);
}

/* ---- a store that cannot be written ---- */

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* As if the time had come at which a writer that has failed tries again. */
static void let_writer_try(void)
{
    struct writer *writer = &store->writer;
    pthread_mutex_lock(&writer->lock);
    writer->retry_at_ns = 0;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
}

static void what_cannot_be_written_is_said_once_and_read_on(void **state)
{
    put("f", "v1", 1000, 1);
    flush();
    signal(SIGXFSZ, SIG_IGN);
    limit_files(2 << 20);
    for (int i = 0; i < 3; i++) {
        struct put *op = make_put("large", "v1", 8 << 20, 2);
        op->packing.level = 0;
        if (writer_add(store, &op->op) < 0)
            put_done(&op->op, -EIO);
        assert_true(writer_flush(store, -1) < 0); /* EFBIG, or what LMDB says of less than it wrote */
    }
    assert_int_equal(warnings, 1);
    assert_false(writer_reserve(store, 1));
    assert_ok(check("f", 1000, 1));
    store_changed(store, &place, "f", false, false); /* is not lost, though it cannot be written now */
    assert_int_equal(check("f", 1000, 1), -ENOENT);
    limit_files(RLIM_INFINITY);
    let_writer_try();
    while (writer_flush(store, -1) < 0) /* it is told of the last failure until then */
        usleep(10000);
    assert_int_equal(check("f", 1000, 1), -ENODATA);
    put("large", "v1", 8 << 20, 2);
    flush();
    assert_ok(check("large", 8 << 20, 2));
}

/* As where the address space is small: the cap is lower, and nothing fails. */
static void a_small_map_holds_what_fits(void **state)
{
    char path[16], *small = tmpdir_path(case_scratch, "small");
    store_unref(store);
    lmdb_map_size = 4 << 20;
    assert_ok(store_open(small, &store));
    lmdb_map_size = (size_t)1 << 40;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "f%u", i);
        struct put *op = make_put(path, "v1", 200000, i);
        op->packing.level = 0;
        assert_ok(writer_add(store, &op->op));
        flush();
    }
    assert_ok(check("f99", 200000, 99));
    assert_int_equal(check("f0", 200000, 0), -ENOENT);
    assert_int_equal(warnings, 0);
    free(small);
}

static int statfs_of_nfs(const char *path, struct statfs *out)
{
    *out = (struct statfs){.f_type = 0x6969};
    return 0;
}

static void over_a_network_there_is_no_store(void **state)
{
    struct store *none;
    char *elsewhere = tmpdir_path(case_scratch, "elsewhere");
    file_seam.statfs = statfs_of_nfs;
    int rc = store_open(elsewhere, &none);
    file_seam.statfs = statfs;
    assert_int_equal(rc, -ENOTSUP);
    assert_non_null(strstr(larder_error(), "NFS"));
    free(elsewhere);
}

static void the_budget_is_a_bound(void **state)
{
    assert_true(writer_reserve(store, BUDGET_SIZE - 10));
    assert_false(writer_reserve(store, 11));
    assert_true(writer_reserve(store, 10));
    writer_release(store, BUDGET_SIZE);
    assert_true(writer_reserve(store, BUDGET_SIZE + 1)); /* alone, so that nothing is too large for ever */
    writer_release(store, BUDGET_SIZE + 1);
}

/* ---- who uses it ---- */

static void a_directory_has_one_store_in_a_process(void **state)
{
    struct store *same, *linked, *other;
    char *link = tmpdir_path(case_scratch, "link"), *elsewhere = tmpdir_path(case_scratch, "elsewhere");
    assert_int_equal(symlink(case_dir, link), 0);
    assert_ok(store_open(case_dir, &same));
    assert_ok(store_open(link, &linked));
    assert_ok(store_open(elsewhere, &other));
    assert_ptr_equal(same, store);
    assert_ptr_equal(linked, store);
    assert_ptr_not_equal(other, store);
    store_unref(same);
    store_unref(linked);
    store_unref(other);
    store_unref(NULL);
    free(link);
    free(elsewhere);
}

static void more_readers_than_the_pool_holds(void **state)
{
    struct reader *readers[3 * READERS_POOLED];
    put("f", "v1", 1000, 1);
    flush();
    for (unsigned i = 0; i < 3 * READERS_POOLED; i++)
        assert_non_null(readers[i] = reader_begin(store));
    for (unsigned i = 0; i < 3 * READERS_POOLED; i++)
        reader_end(store, readers[i]);
    assert_ok(check("f", 1000, 1));
}

static atomic_bool over;
static atomic_uint have_read;

static void *read_on(void *arg)
{
    bool found = false;
    while (!over) {
        bool now = check("f", 3000, 1) == 0 || check("f", 200000, 2) == 0;
        have_read += now && !found;
        found = found || now;
    }
    return NULL;
}

static void readers_and_the_writer_do_not_meet(void **state)
{
    pthread_t threads[3];
    over = false;
    have_read = 0;
    put("f", "v0", 3000, 1);
    flush();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, NULL), 0);
    for (int i = 0; i < 60 || have_read < 3; i++) { /* on a busy machine they may come late */
        char version[16];
        snprintf(version, sizeof version, "w%d", i);
        put("f", version, i % 2 ? 3000 : 200000, i % 2 ? 1 : 2);
        flush();
    }
    over = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* ---- pins, scans ---- */

static void a_pin_covers_its_tree(void **state)
{
    struct place elsewhere = place_of("fake://elsewhere");
    put("a/b/c", "v1", 100, 1);
    assert_ok(pin_set(store, &place, "a/b", true));
    assert_ok(pin_set(store, &place, "a/b", true));
    flush();
    reopen();
    assert_true(pin_is_set(store, &place, "a/b"));
    assert_false(pin_is_set(store, &place, "a/b/c"));
    assert_true(pin_covers(store, &place, "a/b"));
    assert_true(pin_covers(store, &place, "a/b/c"));
    assert_false(pin_covers(store, &place, "a/bc"));
    assert_false(pin_covers(store, &place, "a"));
    assert_false(pin_covers(store, &elsewhere, "a/b"));
    store_changed(store, &place, "", true, false); /* clearing */
    flush();
    assert_true(pin_covers(store, &place, "a/b/c"));
    assert_ok(pin_set(store, &place, "a/b", false));
    assert_ok(pin_set(store, &place, "never/pinned", false));
    flush();
    assert_false(pin_covers(store, &place, "a/b/c"));
    assert_ok(pin_set(store, &place, "", true));
    flush();
    assert_true(pin_covers(store, &place, "a/b/c"));
    assert_true(pin_covers(store, &place, ""));
}

struct told {
    char text[256];
    uint64_t bytes;
    int stop_after;
};

static int tell(void *arg, const struct stored *stored)
{
    struct told *told = arg;
    strcat(strcat(told->text, stored->path), " ");
    told->bytes += stored->bytes;
    assert_non_null(strstr(stored->identity, "fake://"));
    return told->stop_after && --told->stop_after == 0 ? 7 : 0;
}

static void a_scan_tells_of_what_is_below(void **state)
{
    static const struct {
        const char *path, *expected;
    } scans[] = {
        {"", " a a-b a/x a/y/z "}, {"a", "a a/x a/y/z "}, {"a/y", "a/y/z "}, {"a/x", "a/x "}, {"b", ""}};
    struct told told = {.stop_after = 2};
    put("", "v1", 10, 1);
    put("a", "v1", 10, 1);
    put("a-b", "v1", 10, 1);
    put("a/x", "v1", 10, 1);
    put("a/y/z", "v1", 200000, 1);
    flush();
    for (size_t i = 0; i < sizeof scans / sizeof scans[0]; i++) {
        struct told all = {0};
        assert_ok(scan_records(store, KEY_RECORD, &place, scans[i].path, tell, &all));
        assert_string_equal(all.text, scans[i].expected);
        assert_int_equal(all.bytes > 2000, strstr(scans[i].expected, "z") != NULL);
    }
    assert_int_equal(scan_records(store, KEY_RECORD, NULL, NULL, tell, &told), 7);
    assert_string_equal(told.text, " a ");
    assert_ok(scan_records(store, KEY_LISTING, NULL, NULL, tell, &told));
}

static int count_one(void *arg, const struct stored *stored)
{
    ++*(size_t *)arg;
    return 0;
}

static void a_scan_survives_more_than_one_snapshot(void **state)
{
    char path[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "f%d", i);
        put(path, NULL, 10, 1);
    }
    flush();
    size_t count = 0;
    assert_ok(scan_records(store, KEY_RECORD, NULL, NULL, count_one, &count));
    assert_int_equal(count, 3000);
}

static void counters_outlive_the_process(void **state)
{
    struct key key;
    const void *data;
    size_t size;
    uint64_t sums[COUNTERS];
    store_count(store, COUNT_HITS, 3);
    store_count(store, COUNT_MISS_BYTES, 500);
    reopen();
    flush();
    struct reader *reader = reader_begin(store);
    key_meta(&key, "counters");
    assert_ok(reader_get(store, reader, &key, &data, &size));
    assert_int_equal(size, sizeof sums);
    memcpy(sums, data, sizeof sums);
    reader_end(store, reader);
    assert_int_equal(sums[COUNT_HITS], 3);
    assert_int_equal(sums[COUNT_MISS_BYTES], 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_put_is_found),
        CASE(what_shrinks_is_packed),
        CASE(paths_longer_than_a_key_are_told_apart),
        CASE(a_new_version_replaces_the_old_with_its_blocks),
        CASE(parts_of_a_version_join),
        CASE(what_began_before_a_change_is_dropped),
        CASE(a_read_begun_between_a_change_and_its_commit_is_kept),
        CASE(of_two_reads_of_different_versions_the_first_stays),
        CASE(what_was_staged_and_forgotten_is_swept),
        CASE(a_foreign_file_is_set_aside),
        CASE(another_format_is_set_aside),
        CASE(a_file_that_was_cut_is_set_aside),
        CASE(what_cannot_be_written_is_said_once_and_read_on),
        CASE(a_small_map_holds_what_fits),
        CASE(over_a_network_there_is_no_store),
        CASE(the_budget_is_a_bound),
        CASE(a_directory_has_one_store_in_a_process),
        CASE(more_readers_than_the_pool_holds),
        CASE(readers_and_the_writer_do_not_meet),
        CASE(a_pin_covers_its_tree),
        CASE(a_scan_tells_of_what_is_below),
        CASE(a_scan_survives_more_than_one_snapshot),
        CASE(counters_outlive_the_process),
    };
    case_init();
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
