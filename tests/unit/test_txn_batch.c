/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of very many writes: in how much memory they are taken and published, and what is told meanwhile. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "larder.h"

#include "tmpdir.h"
#include "tree.h"

#define COUNT      10000
#define SIZE       ((size_t)16 << 10)
#define MEMORY_MAX ((size_t)96 << 20) /* of 160 MB; generous: sanitizers keep what was freed for a while */

static char *scratch, *tree, *journal;
static struct larder_fs *fs, *view;
static struct larder_txn *txn;

static int begin(void **state)
{
    char option[300];
    scratch = tmpdir_make();
    tree = tmpdir_path(scratch, "tree");
    journal = tmpdir_path(scratch, "journal");
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    return mkdir(tree, 0700) < 0 || larder_open(NULL, tree, NULL, &fs, NULL) < 0 ||
           larder_txn_begin(options, &txn) < 0 || larder_txn_fs(txn, fs, &view) < 0;
}

static int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_fs_free(fs);
    txn = NULL;
    free(journal);
    free(tree);
    tmpdir_remove(scratch);
    return 0;
}

/* Memory of the process that is no file's: the journal's pages are the kernel's to drop. */
static size_t memory_now(void)
{
    char line[200];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %zu", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib << 10;
}

struct told {
    unsigned calls;
    int64_t done, total;
    size_t memory;
    unsigned published;
};

static void watch(struct told *told)
{
    size_t now = memory_now();
    if (now > told->memory)
        told->memory = now;
}

static void progress(void *arg, int64_t done, int64_t total)
{
    struct told *told = arg;
    assert_true(done >= told->done && done <= total);
    told->calls++;
    told->done = done;
    told->total = total;
    watch(told);
}

static void published(void *arg, const struct larder_txn_result *result)
{
    ((struct told *)arg)->published++;
}

static int item_done(void *arg, struct larder_item *item)
{
    watch(arg);
    return 0;
}

static void ten_thousand_writes_need_little_memory(void **state)
{
    struct larder_item *items = calloc(COUNT, sizeof *items);
    char(*names)[16] = calloc(COUNT, sizeof *names), *data = content_make(SIZE, 1);
    struct told told = {0};
    struct larder_batch batch = {.size = sizeof batch, .completed = item_done, .arg = &told};
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "d%u/f%u", i % 7, i);
        items[i] = (struct larder_item){.path = names[i], .bytes = {.data = data, .size = SIZE}};
    }
    size_t before = memory_now();
    assert_true(before > 0);
    assert_ok(larder_pipe(view, items, COUNT, LARDER_PARENTS, &batch));
    const struct larder_txn_commit_options how = {.size = sizeof how,
                                                  .published = published,
                                                  .arg = &told,
                                                  .progress = progress};
    assert_ok(larder_txn_commit(txn, &how));
    txn = NULL;
    assert_int_equal(told.published, COUNT);
    assert_true(told.calls > 1 && told.done == told.total && told.total == (int64_t)(COUNT * SIZE));
    print_message("%zu MiB more at most\n", (told.memory - before) >> 20);
    if (!UNDER_ASAN && !UNDER_TSAN) /* they keep what was freed, and more beside each byte */
        assert_true(told.memory < before + MEMORY_MAX);
    for (unsigned i = 0; i < COUNT; i += 999) {
        size_t size;
        char *found = tree_read(tree, names[i], &size);
        assert_true(found && size == SIZE && content_matches(found, size, 1, 0));
        free(found);
    }
    free(data);
    free(names);
    free(items);
}

static void a_barrier_keeps_what_was_written_in_the_journal(void **state)
{
    struct larder_bytes bytes;
    assert_ok(larder_txn_barrier(txn)); /* nothing yet */
    assert_ok(larder_pipe_file(view, "a", "1", 1, 0));
    assert_ok(larder_txn_barrier(txn));
    assert_ok(larder_cat_file(view, "a", NULL, &bytes));
    assert_memory_equal(bytes.data, "1", 1);
    larder_bytes_free(&bytes);
    assert_ok(larder_pipe_file(view, "a", "2", 1, 0));
    assert_ok(larder_txn_commit(txn, NULL));
    txn = NULL;
    assert_ok(larder_cat_file(fs, "a", NULL, &bytes));
    assert_memory_equal(bytes.data, "2", 1);
    larder_bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_thousand_writes_need_little_memory, begin, end),
        cmocka_unit_test_setup_teardown(a_barrier_keeps_what_was_written_in_the_journal, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
