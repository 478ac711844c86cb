/* SPDX-License-Identifier: Apache-2.0 */
/* Many at once, when memory runs out, and when somebody stops it. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "fs/fs.h"
#include "tmpdir.h"
#include "tree.h"

#define COUNT 24

static char *scratch;
static struct larder_fs *fs;
static char names[COUNT][8];

static int setup(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    scratch = tmpdir_make();
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        tree_write_content(scratch, names[i], 1000, (uint64_t)i);
    }
    return fs_open(NULL, scratch, NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    tmpdir_remove(scratch);
    return 0;
}

struct taken {
    int calls, stop_at;
    bool wrong;
};

static int take_item(void *arg, struct larder_item *item)
{
    struct taken *taken = arg;
    uint64_t seed = (uint64_t)atoi(item->path + 1);
    taken->calls++;
    if (item->status == 0 && (item->bytes.size != 1000 || !content_matches(item->bytes.data, 1000, seed, 0)))
        taken->wrong = true;
    larder_bytes_free(&item->bytes);
    return taken->calls == taken->stop_at;
}

static int cat_all(void *arg)
{
    struct larder_item items[COUNT] = {0};
    struct taken taken = {0};
    struct larder_batch batch = {.size = sizeof batch, .completed = arg ? take_item : NULL, .arg = &taken};
    for (int i = 0; i < COUNT; i++)
        items[i].path = names[i];
    int rc = larder_cat(fs, items, COUNT, &batch);
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    if (taken.wrong || (rc == 0 && arg && taken.calls != COUNT))
        return -EBADMSG;
    return rc;
}

static void a_batch_without_memory_fails_cleanly(void **state)
{
    assert_true(alloc_fault_run(cat_all, NULL) > COUNT);
    assert_true(alloc_fault_run(cat_all, names) > 2 * COUNT);
}

static int find_all(void *arg)
{
    struct larder_entries entries = {0};
    int rc = larder_find(fs, "", NULL, &entries);
    if (rc == 0 && entries.count < COUNT)
        rc = -EBADMSG;
    larder_entries_free(&entries);
    return rc;
}

static void a_find_without_memory_fails_cleanly(void **state)
{
    assert_true(alloc_fault_run(find_all, NULL) > 10);
}

static int get_one(void *arg)
{
    int64_t size = larder_get_file(fs, names[0], arg, NULL, NULL);
    return size < 0 ? (int)size : size == 1000 ? 0 : -EBADMSG;
}

static void a_get_without_memory_fails_cleanly(void **state)
{
    char *local = tmpdir_path(scratch, "got");
    struct larder_entries entries;
    alloc_fault_run(get_one, local);
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, COUNT + 1); /* no temporary file is left */
    larder_entries_free(&entries);
    free(local);
}

static void a_callback_stops_its_batch(void **state)
{
    struct larder_item items[COUNT] = {0};
    struct taken taken = {.stop_at = 5};
    struct larder_batch batch = {.size = sizeof batch, .completed = take_item, .arg = &taken, .jobs_max = 2};
    int untried = 0;
    for (int i = 0; i < COUNT; i++)
        items[i].path = names[i];
    assert_int_equal(larder_cat(fs, items, COUNT, &batch), 1);
    assert_int_equal(taken.calls, 5);
    for (int i = 0; i < COUNT; i++) {
        untried += items[i].status == -ECANCELED;
        larder_bytes_free(&items[i].bytes);
    }
    assert_true(untried > 0);
}

static int read_again(void *arg, struct larder_item *item)
{
    struct larder_bytes bytes;
    int *count = arg;
    if (item->status == 0 && larder_cat_file(fs, item->path, NULL, &bytes) == 0) {
        *count += bytes.size == item->bytes.size;
        larder_bytes_free(&bytes);
    }
    larder_bytes_free(&item->bytes);
    return 0;
}

static int cat_and_read_again(void *arg)
{
    struct larder_item items[COUNT] = {0};
    struct larder_batch batch = {.size = sizeof batch, .completed = read_again, .arg = arg};
    for (int i = 0; i < COUNT; i++)
        items[i].path = names[i];
    return larder_cat(fs, items, COUNT, &batch);
}

static void a_callback_may_call_larder(void **state)
{
    int from_thread = 0, from_task = 0;
    assert_ok(cat_and_read_again(&from_thread));
    assert_ok(larder_sync(NULL, cat_and_read_again, &from_task, 0));
    assert_int_equal(from_thread, COUNT);
    assert_int_equal(from_task, COUNT);
}

static void wrong_arguments_are_refused(void **state)
{
    struct larder_item item = {.path = "../x"};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    assert_int_equal(larder_cat(fs, &item, 1, &batch), 1);
    assert_int_equal(item.status, -EINVAL);
    batch.on_error = (enum larder_on_error)9;
    assert_int_equal(larder_cat(fs, &item, 1, &batch), -EINVAL);
    assert_int_equal(larder_pipe(fs, &item, 1, 77, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_without_memory_fails_cleanly),
        cmocka_unit_test(a_find_without_memory_fails_cleanly),
        cmocka_unit_test(a_get_without_memory_fails_cleanly),
        cmocka_unit_test(a_callback_stops_its_batch),
        cmocka_unit_test(a_callback_may_call_larder),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
