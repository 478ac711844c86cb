/* SPDX-License-Identifier: Apache-2.0 */
/* The journal by itself: what is written is there, whoever dies; what is no journal is left alone. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/seams.h"
#include "disk.h"
#include "tmpdir.h"
#include "txn/journal.h"

#define TXN   0x8123456789abcdefULL
#define OTHER 0x8123456789abcdf0ULL /* the next one */

static char *scratch, *dir;
static struct journal *journal;

static int begin(void **state)
{
    scratch = tmpdir_make();
    dir = tmpdir_path(scratch, "state/journal");
    return journal_open(dir, &journal);
}

static int end(void **state)
{
    journal_unref(journal);
    journal = NULL;
    free(dir);
    tmpdir_remove(scratch);
    return 0;
}

static struct edit put(uint64_t txn, enum record_kind kind, uint64_t number, const void *data, size_t size)
{
    return (struct edit){EDIT_PUT, journal_key(txn, kind, number), data, size};
}

static void write_one(uint64_t txn, enum record_kind kind, uint64_t number, const char *text)
{
    struct edit edit = put(txn, kind, number, text, strlen(text));
    assert_ok(journal_write(journal, &edit, 1));
}

static void assert_there(uint64_t txn, enum record_kind kind, uint64_t number, const char *text)
{
    struct journal_key key = journal_key(txn, kind, number);
    struct larder_bytes bytes = {0};
    assert_ok(journal_get(journal, &key, &bytes));
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}

static void assert_missing(uint64_t txn, enum record_kind kind, uint64_t number)
{
    struct journal_key key = journal_key(txn, kind, number);
    struct larder_bytes bytes = {0};
    assert_int_equal(journal_get(journal, &key, &bytes), -ENOENT);
}

static void reopen(void)
{
    journal_unref(journal);
    assert_ok(journal_open(dir, &journal));
}

/* ---- records ---- */

static const struct change_record change = {.member = 7,
                                            .kind = 1,
                                            .payload = 2,
                                            .before = 3,
                                            .create = true,
                                            .mtime_ns = -5,
                                            .size = (int64_t)1 << 40,
                                            .digest = {1, 2, 255},
                                            .path = "a/\xff b",
                                            .if_match = "",
                                            .token = "t"};

static void a_record_comes_back_as_it_was(void **state)
{
    struct journal_key key = journal_key(TXN, RECORD_CHANGE, 9);
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    struct change_record read;
    char *texts;
    assert_ok(change_write(&key, &change, &buffer));
    assert_ok(change_read(&key, buffer.data, buffer.size, &read, &texts));
    assert_int_equal(read.member, 7);
    assert_true(read.create && read.kind == 1 && read.payload == 2 && read.before == 3);
    assert_true(read.mtime_ns == -5 && read.size == (int64_t)1 << 40);
    assert_memory_equal(read.digest, change.digest, sizeof read.digest);
    assert_string_equal(read.path, change.path);
    assert_string_equal(read.if_match, "");
    assert_string_equal(read.token, "t");
    assert_null(read.conflict);
    mem_free(texts);
    buffer_free(&buffer);
}

static void a_record_that_is_damaged_cut_or_of_another_key_does_not_read(void **state)
{
    struct journal_key key = journal_key(TXN, RECORD_CHANGE, 9),
                       elsewhere = journal_key(OTHER, RECORD_CHANGE, 9);
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    struct change_record read;
    char *texts;
    assert_ok(change_write(&key, &change, &buffer));
    for (size_t i = 0; i < buffer.size; i++) {
        buffer.data[i] ^= 0x20;
        assert_int_equal(change_read(&key, buffer.data, buffer.size, &read, &texts), -EBADMSG);
        buffer.data[i] ^= 0x20;
        assert_int_equal(change_read(&key, buffer.data, i, &read, &texts), -EBADMSG);
    }
    assert_int_equal(change_read(&elsewhere, buffer.data, buffer.size, &read, &texts), -EBADMSG);
    buffer_free(&buffer);
}

static void what_is_locked_comes_back_as_it_was(void **state)
{
    struct journal_key key = journal_key(TXN, RECORD_LOCKS, 0);
    const uint64_t held[] = {0, 1, 300, CONDITION_BYTES - 1};
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    uint64_t *read;
    size_t count;
    assert_ok(locks_write(&key, held, 4, &buffer));
    assert_ok(locks_read(&key, buffer.data, buffer.size, &read, &count));
    assert_int_equal(count, 4);
    assert_memory_equal(read, held, sizeof held);
    buffer.data[3] ^= 1;
    assert_int_equal(locks_read(&key, buffer.data, buffer.size, &read, &count), -EBADMSG);
    mem_free(read);
    buffer_free(&buffer);
}

/* ---- writing and reading ---- */

static int collect(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    char *out = arg;
    snprintf(out + strlen(out), 32, "%c%llu=%.*s ", journal_key_kind(key),
             (unsigned long long)journal_key_number(key), (int)size, (const char *)data);
    return 0;
}

static void what_was_written_is_there_for_another_process_and_after_reopening(void **state)
{
    write_one(TXN, RECORD_CHANGE, 3, "three");
    pid_t child = fork();
    if (child == 0) { /* what it inherited it must not use */
        struct journal *own = NULL;
        struct journal_key key = journal_key(TXN, RECORD_CHANGE, 3);
        struct larder_bytes bytes;
        bool refused = journal_get(journal, &key, &bytes) == -ECHILD;
        _exit(!refused || journal_open(dir, &own) < 0 || own == journal ||
              journal_get(own, &key, &bytes) < 0 || bytes.size != 5);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    reopen();
    assert_there(TXN, RECORD_CHANGE, 3, "three");
}

static void records_are_walked_by_kind_and_heads_across_transactions(void **state)
{
    char out[256] = "";
    const struct edit edits[] = {put(TXN, RECORD_HEAD, 0, "h", 1),       put(OTHER, RECORD_HEAD, 0, "i", 1),
                                 put(TXN, RECORD_PAYLOAD, 5, "p", 1),    put(TXN, RECORD_CHANGE, 1, "a", 1),
                                 put(TXN, RECORD_CHANGE, 2, "b", 1),     put(1, RECORD_HEAD, 0, "j", 1),
                                 put(UINT64_MAX, RECORD_HEAD, 0, "k", 1)};
    assert_ok(journal_write(journal, edits, sizeof edits / sizeof edits[0]));
    assert_ok(journal_each(journal, TXN, RECORD_CHANGE, collect, out));
    assert_string_equal(out, "C1=a C2=b ");
    out[0] = 0;
    assert_ok(journal_heads(journal, collect, out));
    assert_string_equal(out, "H0=j H0=h H0=i H0=k ");
    out[0] = 0;
    assert_ok(journal_each(journal, 77, RECORD_CHANGE, collect, out));
    assert_string_equal(out, "");
}

/* Of all sizes around those that fill pages, whose last bytes are elsewhere. */
static void a_payload_that_ends_beside_a_page_is_whole(void **state)
{
    static char data[3 * 4096];
    struct edit edits[600];
    size_t count = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31 + i / 251);
    for (size_t page = 4096; page <= 2 * 4096; page += 4096)
        for (size_t size = page - 30; size < page + 270; size++)
            edits[count++] = put(TXN, RECORD_PAYLOAD, size, data, size);
    assert_ok(journal_write(journal, edits, count));
    for (size_t i = 0; i < count; i++) {
        struct larder_bytes bytes;
        assert_ok(journal_get(journal, &edits[i].key, &bytes));
        assert_int_equal(bytes.size, edits[i].size);
        assert_memory_equal(bytes.data, data, bytes.size);
        larder_bytes_free(&bytes);
    }
    struct edit removal = {EDIT_DELETE, journal_key(TXN, RECORD_PAYLOAD, 4096), NULL, 0};
    assert_ok(journal_write(journal, &removal, 1));
    assert_missing(TXN, RECORD_PAYLOAD, 4096);
    assert_missing(TXN, RECORD_TAIL, 4096);
}

/* More than a page of records, between those of the transactions before and behind. */
static void a_transaction_is_forgotten_whole_and_alone(void **state)
{
    struct edit forget = {EDIT_FORGET, journal_key(TXN, 0, 0), NULL, 0};
    char out[64] = "";
    for (uint64_t i = 0; i < 300; i++) {
        char text[100];
        snprintf(text, sizeof text, "%090d", (int)i);
        write_one(TXN, i % 3 ? RECORD_CHANGE : RECORD_PAYLOAD, i, text);
    }
    write_one(TXN - 1, RECORD_PAYLOAD, UINT64_MAX, "before");
    write_one(OTHER, RECORD_CHANGE, 0, "behind");
    assert_ok(journal_write(journal, &forget, 1));
    assert_ok(journal_write(journal, &forget, 1));
    assert_missing(TXN, RECORD_PAYLOAD, 0);
    assert_ok(journal_each(journal, TXN, RECORD_CHANGE, collect, out));
    assert_ok(journal_each(journal, TXN, RECORD_PAYLOAD, collect, out));
    assert_string_equal(out, "");
    assert_there(TXN - 1, RECORD_PAYLOAD, UINT64_MAX, "before");
    assert_there(OTHER, RECORD_CHANGE, 0, "behind");
}

#define WRITERS 8
#define WRITES  40

static void *write_many(void *arg)
{
    for (uint64_t i = 0; i < WRITES; i++) {
        struct edit edits[] = {put((uintptr_t)arg, RECORD_CHANGE, i, "x", 1),
                               put((uintptr_t)arg, RECORD_PAYLOAD, i, "y", 1)};
        if (journal_write(journal, edits, 2) < 0)
            return arg;
    }
    return NULL;
}

static void what_many_write_at_once_is_all_there(void **state)
{
    pthread_t threads[WRITERS];
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)(i + 1)), 0);
    for (size_t i = 0; i < WRITERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    reopen();
    for (uint64_t i = 0; i < WRITERS * WRITES; i++) {
        assert_there(i / WRITES + 1, RECORD_CHANGE, i % WRITES, "x");
        assert_there(i / WRITES + 1, RECORD_PAYLOAD, i % WRITES, "y");
    }
}

/* One of several that share a commit cannot be written (a key that LMDB refuses would do; here it is too large). */
static void a_write_for_which_there_is_no_room_fails_alone(void **state)
{
    char *disk = disk_mount(scratch, "disk", 512 << 10), *text = mem_zero(1 << 20);
    struct journal *small = NULL;
    assert_ok(journal_open(disk, &small));
    struct edit fits = put(TXN, RECORD_CHANGE, 1, "fits", 4),
                edits[] = {put(TXN, RECORD_CHANGE, 2, "not", 3), put(TXN, RECORD_PAYLOAD, 2, text, 1 << 20)};
    assert_ok(journal_write(small, &fits, 1));
    assert_int_equal(journal_write(small, edits, 2), -ENOSPC);
    fits.key = journal_key(TXN, RECORD_CHANGE, 3);
    assert_ok(journal_write(small, &fits, 1));
    char out[64] = "";
    assert_ok(journal_each(small, TXN, RECORD_CHANGE, collect, out));
    assert_string_equal(out, "C1=fits C3=fits ");
    journal_unref(small);
    disk_unmount(disk);
    mem_free(text);
}

/* ---- owners and conditions ---- */

static pid_t fork_owner(uint64_t txn)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct journal *own;
        struct range_lock lock;
        alarm(60);
        bool taken = journal_open(dir, &own) == 0 && owner_take(own, txn, &lock) == 0;
        if (!taken || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void an_owner_lives_until_it_is_killed(void **state)
{
    struct range_lock lock;
    pid_t child = fork_owner(TXN);
    assert_true(owner_lives(journal, TXN));
    assert_false(owner_lives(journal, OTHER + 2));
    assert_int_equal(owner_take(journal, TXN, &lock), -EAGAIN);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(owner_lives(journal, TXN));
    assert_ok(owner_take(journal, TXN, &lock));
    struct range_lock again; /* in one process too */
    assert_int_equal(owner_take(journal, TXN, &again), -EAGAIN);
    pid_t innocent = fork(); /* has no share in it */
    if (innocent == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    range_lock_close(&lock);
    assert_false(owner_lives(journal, TXN));
    kill(innocent, SIGKILL);
    waitpid(innocent, NULL, 0);
}

static void conditions_on_one_path_are_taken_one_after_the_other(void **state)
{
    uint64_t mine[] = {CONDITION_BYTES + 9, 5, 9, 4000}, others[] = {4000, 7};
    struct range_lock one, other;
    size_t at = 0, other_at = 0, count = conditions_sort(mine, 4), other_count = conditions_sort(others, 2);
    assert_int_equal(count, 3); /* 9 twice */
    assert_true(mine[0] == 5 && mine[1] == 9 && mine[2] == 4000);
    assert_ok(conditions_open(journal, &one));
    assert_ok(conditions_open(journal, &other));
    assert_ok(conditions_take(&one, mine, count, &at));
    assert_int_equal(conditions_take(&other, others, other_count, &other_at), -EAGAIN);
    assert_int_equal(other_at, 1); /* it has 7 */
    range_lock_close(&one);
    assert_ok(conditions_take(&other, others, other_count, &other_at));
    range_lock_close(&other);
}

/* ---- payload files ---- */

static bool make_payload(uint64_t txn)
{
    char *path = journal_payload_path(journal, txn, 1);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    mem_free(path);
    return fd >= 0 && close(fd) == 0;
}

static bool has_payload(uint64_t txn)
{
    char *path = journal_payload_path(journal, txn, 1);
    bool there = access(path, F_OK) == 0;
    mem_free(path);
    return there;
}

static void payload_files_of_nobody_are_removed_when_it_is_opened(void **state)
{
    pid_t child = fork_owner(5);
    assert_true(make_payload(TXN) && make_payload(OTHER) && make_payload(5));
    write_one(OTHER, RECORD_HEAD, 0, "known");
    reopen();
    assert_false(has_payload(TXN));
    assert_true(has_payload(OTHER) && has_payload(5));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    reopen();
    assert_true(has_payload(OTHER) && !has_payload(5));
}

/* ---- what is no journal ---- */

static char *journal_file(void)
{
    return tmpdir_path(dir, JOURNAL_FILE);
}

static void assert_refused_and_left_alone(void)
{
    struct journal *none = NULL;
    struct stat before, after;
    char *file = journal_file();
    assert_int_equal(stat(file, &before), 0);
    assert_int_equal(journal_open(dir, &none), -EBADMSG);
    assert_non_null(strstr(larder_error(), JOURNAL_FILE));
    assert_int_equal(stat(file, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    free(file);
}

static void a_file_of_something_else_is_refused_and_left_alone(void **state)
{
    char *file = journal_file(), text[5000];
    memset(text, 'x', sizeof text);
    journal_unref(journal);
    journal = NULL;
    int fd = open(file, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    close(fd);
    assert_refused_and_left_alone();
    free(file);
}

static void a_journal_of_another_format_is_refused_and_left_alone(void **state)
{
    uint64_t mark = JOURNAL_MARK + 1;
    struct edit edit = put(0, RECORD_HEAD, 0, &mark, sizeof mark);
    assert_ok(journal_write(journal, &edit, 1));
    journal_unref(journal);
    journal = NULL;
    assert_refused_and_left_alone();
}

static void a_journal_that_was_cut_is_refused_and_left_alone(void **state)
{
    char *file = journal_file(), *text = mem_zero(1 << 18);
    struct edit edit = put(TXN, RECORD_PAYLOAD, 0, text, 1 << 18);
    assert_ok(journal_write(journal, &edit, 1));
    journal_unref(journal);
    journal = NULL;
    assert_int_equal(truncate(file, 5 * 4096), 0);
    assert_refused_and_left_alone();
    free(file);
    mem_free(text);
}

static void where_none_is_none_is_made(void **state)
{
    struct journal *none = NULL;
    char *elsewhere = tmpdir_path(scratch, "elsewhere");
    assert_int_equal(journal_find(elsewhere, &none), -ENOENT);
    assert_int_equal(access(elsewhere, F_OK), -1);
    free(elsewhere);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_record_comes_back_as_it_was),
        CASE(a_record_that_is_damaged_cut_or_of_another_key_does_not_read),
        CASE(what_is_locked_comes_back_as_it_was),
        CASE(what_was_written_is_there_for_another_process_and_after_reopening),
        CASE(records_are_walked_by_kind_and_heads_across_transactions),
        CASE(a_payload_that_ends_beside_a_page_is_whole),
        CASE(a_transaction_is_forgotten_whole_and_alone),
        CASE(what_many_write_at_once_is_all_there),
        CASE(a_write_for_which_there_is_no_room_fails_alone),
        CASE(an_owner_lives_until_it_is_killed),
        CASE(conditions_on_one_path_are_taken_one_after_the_other),
        CASE(payload_files_of_nobody_are_removed_when_it_is_opened),
        CASE(a_file_of_something_else_is_refused_and_left_alone),
        CASE(a_journal_of_another_format_is_refused_and_left_alone),
        CASE(a_journal_that_was_cut_is_refused_and_left_alone),
        CASE(where_none_is_none_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
