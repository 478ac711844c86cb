/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store one of whose pages is damaged, in ordinary use: a process opens it, reads all that was in it, and writes. No
 * byte that it is given is wrong. It is not killed, and does not hang; and if it was, the next one finds the store out.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/batch.h"
#include "cache/cap.h"
#include "cache/shared.h"
#include "store_case.h"
#include "tmpdir.h"

#define PAGE_SIZE 4096 /* LMDB's, on machines whose pages are no larger */
#define HANG_S    20
#define FILES     300

enum { FINE, WRONG = 3 };

static char *file;

/* ---- what the processes do ---- */

static size_t size_of(unsigned i)
{
    return i % 10 == 0 ? i * 700 : i * 37 % 5000;
}

static void path_of(unsigned i, char path[32])
{
    snprintf(path, 32, "some/dir/f%03u", i);
}

static void say_nothing(void *arg, enum larder_log_level level, const char *message)
{
}

static void fill_store(void)
{
    char path[32];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = round; i < FILES; i += 1 + round) {
            path_of(i, path);
            put(path, round ? "v2" : "v1", size_of(i), i);
            if (i % 50 == 0)
                flush();
        }
        flush();
    }
}

static void put_gently(const char *path, unsigned i)
{
    struct put *op = make_put(path, "v1", size_of(i * 10), i);
    if (writer_add(store, &op->op) < 0)
        put_done(&op->op, -EROFS);
}

/* All that was there is read; some of it changes, some goes, more comes. */
static void use_store(void)
{
    char path[32];
    for (unsigned i = 0; i < FILES; i++) {
        path_of(i, path);
        int rc = check(path, size_of(i), i); /* asserts that the bytes are right */
        if (rc < 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EAGAIN)
            _exit(WRONG);
    }
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "some/new%03u", i);
        put_gently(path, i);
        path_of(i * 7, path);
        store_changed(store, &place, path, i % 5 == 0, false);
        if (i % 10 == 9)
            writer_flush(store, 3000);
    }
    cap_prune(store, 1 << 20);
    writer_flush(store, 3000);
}

static void only_open(void)
{
}

static void die_reading(void)
{
    struct reader *reader = reader_begin(store);
    kill(getpid(), reader ? SIGKILL : SIGTERM);
}

static void die_writing(void)
{
    atomic_store(&store->shared->writing, store->owner); /* as batch.c says it */
    kill(getpid(), SIGKILL);
}

/* ---- its file ---- */

static char *slurp(size_t *size)
{
    struct stat status;
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    char *data = malloc((size_t)status.st_size);
    assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
    close(fd);
    *size = (size_t)status.st_size;
    return data;
}

static unsigned flags_of(const char *data, size_t page)
{
    uint16_t flags;
    memcpy(&flags, data + page + 10, sizeof flags);
    return flags;
}

/* What the newer of the two first pages says `at` an offset. */
static uint64_t read_meta(const char *data, size_t at)
{
    uint64_t transactions[2], value;
    for (size_t i = 0; i < 2; i++)
        memcpy(&transactions[i], data + i * PAGE_SIZE + 144, sizeof *transactions);
    memcpy(&value, data + (transactions[1] > transactions[0] ? PAGE_SIZE : 0) + at, sizeof value);
    return value;
}

static int apply_put(struct op *op, struct batch *batch)
{
    struct key key;
    key_meta(&key, "test");
    return batch_put_number(batch, &key, 1);
}

static void put_ended(struct op *op, int status)
{
}

/* The root becomes a branch of one page, which LMDB asserts there is not; and nobody looks before. */
static void write_blindly(void)
{
    const uint16_t lower = 16 + 2;
    size_t size;
    file = store_file();
    char *data = slurp(&size);
    size_t root = read_meta(data, 128) * PAGE_SIZE;
    int fd = open(file, O_WRONLY);
    if (flags_of(data, root) != 1 || pwrite(fd, &lower, sizeof lower, (off_t)root + 12) != sizeof lower)
        _exit(WRONG);
    pages_close(&store->pages);
    struct op op = {.apply = apply_put, .done = put_ended};
    if (writer_add(store, &op) < 0 || writer_flush(store, 3000) == 0)
        _exit(WRONG);
    close(fd);
    free(data);
    free(file);
}

static const struct {
    const char *name;
    void (*run)(void);
} works[] = {{"fill", fill_store},         {"use", use_store},           {"only open", only_open},
             {"die reading", die_reading}, {"die writing", die_writing}, {"write blindly", write_blindly}};

/* In a process of its own, by main: outside cmocka, which would take its end for a test's. */
static int work(const char *name)
{
    larder_log_to(say_nothing, NULL, LARDER_LOG_WARNING);
    place = place_of("fake://here");
    if (store_open(case_dir, &store) < 0)
        return FINE; /* reads go on without */
    for (unsigned i = 0; i < sizeof works / sizeof works[0]; i++)
        if (strcmp(name, works[i].name) == 0)
            works[i].run();
    return FINE;
}

/* Its status, as of waitpid; -1: it hung. */
static int in_a_process(const char *name)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "damaged_pages", name, case_dir, NULL);
        _exit(WRONG);
    }
    for (unsigned tries = 0; tries < HANG_S * 100; tries++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return status;
        usleep(10000);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
}

/* ---- damage ---- */

static void spill(const char *data, size_t size)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void damage(char *page, unsigned how, const char *other)
{
    switch (how) {
    case 0:
        for (unsigned i = 0; i < PAGE_SIZE; i++)
            page[i] = (char)random();
        return;
    case 1:
        for (unsigned i = 16; i < PAGE_SIZE; i++)
            page[i] = (char)random();
        return;
    case 2:
        memset(page, 0, PAGE_SIZE);
        return;
    case 3:
        memset(page + PAGE_SIZE / 2, 0xa5, PAGE_SIZE / 2);
        return;
    case 4:
        memcpy(page, other, PAGE_SIZE);
        return;
    case 5:
        for (unsigned i = 0; i < 8; i++)
            page[random() % 64] = (char)random();
        return;
    default:
        page[random() % PAGE_SIZE] ^= (char)(1 << random() % 8);
    }
}
#define DAMAGES 7

/* ---- a store to be damaged, again and again ---- */

enum page_kind { META, BRANCH, LEAF, OVERFLOW, FREE_LIST, KINDS };

static char *whole;
static size_t whole_size, pages[KINDS][1000], page_count[KINDS];

static void note_page(enum page_kind kind, size_t page)
{
    if (page_count[kind] < sizeof pages[kind] / sizeof pages[kind][0])
        pages[kind][page_count[kind]++] = page;
}

/* Its list of free pages is one leaf, at most with pages of its own. */
static size_t free_list_root(void)
{
    uint64_t root = read_meta(whole, 80);
    return root < whole_size / PAGE_SIZE ? root : 0;
}

static int make_store(void **state)
{
    case_scratch = tmpdir_make();
    case_dir = tmpdir_path(case_scratch, "cache");
    file = store_file();
    assert_int_equal(in_a_process("fill"), 0);
    whole = slurp(&whole_size);
    for (size_t page = 0; page < whole_size / PAGE_SIZE; page++) {
        unsigned flags = flags_of(whole, page * PAGE_SIZE);
        uint64_t number;
        memcpy(&number, whole + page * PAGE_SIZE, sizeof number);
        if (number == page && (flags == 8 || flags == 1 || flags == 2 || flags == 4))
            note_page(flags == 8 ? META : flags == 1 ? BRANCH : flags == 2 ? LEAF : OVERFLOW, page);
    }
    if (free_list_root())
        note_page(FREE_LIST, free_list_root());
    return 0;
}

static int end(void **state)
{
    free(whole);
    free(file);
    free(case_dir);
    tmpdir_remove(case_scratch);
    return 0;
}

/* Everything as it was, but for what `copy` has; nobody has it open. */
static void put_back(const char *copy)
{
    char *lock = tmpdir_path(case_dir, "cache-1.mdb-lock"),
         *aside = tmpdir_path(case_dir, "cache-1.mdb.damaged");
    unlink(lock);
    unlink(aside);
    spill(copy, whole_size);
    free(lock);
    free(aside);
}

static bool was_set_aside(void)
{
    char *aside = tmpdir_path(case_dir, "cache-1.mdb.damaged");
    bool there = access(aside, F_OK) == 0;
    free(aside);
    return there;
}

/* Whoever is killed by it, or hangs, is the only one. */
static void use_damaged(enum page_kind kind, size_t page, unsigned how)
{
    char *copy = malloc(whole_size);
    memcpy(copy, whole, whole_size);
    damage(copy + page * PAGE_SIZE, how, whole + pages[LEAF][0] * PAGE_SIZE);
    put_back(copy);
    free(copy);
    int status = in_a_process("use");
    if (status != -1 && !WIFSIGNALED(status)) {
        assert_int_equal(WEXITSTATUS(status), FINE);
        return;
    }
    print_message("page %zu of kind %d, damaged in way %u: %s\n", page, kind, how,
                  status == -1 ? "it hung" : strsignal(WTERMSIG(status)));
    status = in_a_process("use");
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != FINE)
        fail_msg("page %zu of kind %d, damaged in way %u: and again, %#x", page, kind, how, (unsigned)status);
}

static void use_damaged_ones(enum page_kind kind, unsigned each)
{
    assert_true(page_count[kind] > 0);
    for (unsigned how = 0; how < DAMAGES; how++)
        for (unsigned i = 0; i < each; i++)
            use_damaged(kind, pages[kind][(size_t)random() % page_count[kind]], how);
}

static void a_damaged_meta_page_is_no_danger(void **state)
{
    use_damaged_ones(META, 1);
}

static void a_damaged_branch_is_no_danger(void **state)
{
    use_damaged_ones(BRANCH, 1);
}

static void a_damaged_leaf_is_no_danger(void **state)
{
    use_damaged_ones(LEAF, 2);
}

static void a_damaged_value_is_no_danger(void **state)
{
    use_damaged_ones(OVERFLOW, 1);
}

static void a_damaged_list_of_free_pages_is_no_danger(void **state)
{
    use_damaged_ones(FREE_LIST, 1);
}

static void an_assertion_ends_the_store_and_nothing_else(void **state)
{
    put_back(whole);
    assert_int_equal(in_a_process("write blindly"), 0);
    assert_true(was_set_aside());
}

/* ---- who dies of it is seen ---- */

/* Of the store itself, at which everybody looks who opens it. */
static bool has_mark(const char *page)
{
    uint16_t lower, node;
    bool found = false;
    memcpy(&lower, page + 12, sizeof lower);
    for (uint16_t at = 16; at < lower; at += 2) {
        memcpy(&node, page + at, sizeof node);
        found = found || page[node + 8] == KEY_META;
    }
    return found;
}

static void the_pages_are_looked_at_after(const char *die)
{
    put_back(whole);
    assert_int_equal(in_a_process(die), SIGKILL);
    assert_int_equal(in_a_process("only open"), 0);
    assert_false(was_set_aside()); /* they are sound */
    assert_int_equal(in_a_process(die), SIGKILL);
    char *copy = malloc(whole_size);
    memcpy(copy, whole, whole_size);
    for (size_t i = 0; i < page_count[LEAF]; i++) /* of all of them some are in use */
        if (!has_mark(whole + pages[LEAF][i] * PAGE_SIZE))
            memset(copy + pages[LEAF][i] * PAGE_SIZE + PAGE_SIZE / 2, 0xa5, PAGE_SIZE / 2);
    spill(copy, whole_size);
    free(copy);
    assert_int_equal(in_a_process("only open"), 0);
    assert_true(was_set_aside());
}

static void after_a_death_in_a_read_the_pages_are_looked_at(void **state)
{
    the_pages_are_looked_at_after("die reading");
}

static void after_a_death_in_a_write_the_pages_are_looked_at(void **state)
{
    the_pages_are_looked_at_after("die writing");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_meta_page_is_no_danger),
        cmocka_unit_test(a_damaged_branch_is_no_danger),
        cmocka_unit_test(a_damaged_leaf_is_no_danger),
        cmocka_unit_test(a_damaged_value_is_no_danger),
        cmocka_unit_test(a_damaged_list_of_free_pages_is_no_danger),
        cmocka_unit_test(an_assertion_ends_the_store_and_nothing_else),
        cmocka_unit_test(after_a_death_in_a_read_the_pages_are_looked_at),
        cmocka_unit_test(after_a_death_in_a_write_the_pages_are_looked_at),
    };
    const char *seed = getenv("LARDER_DAMAGE_SEED");
    srandom(seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    if (argc == 3) {
        case_dir = argv[2];
        return work(argv[1]);
    }
    return cmocka_run_group_tests_name("damaged_pages", tests, make_store, end);
}
