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
#include "base/error.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "task/task.h"
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
    return larder_get_file(fs, names[0], arg, 0, NULL, NULL);
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
    /* With next to no room the tasks cannot run ahead of a slow callback. */
    struct larder_batch batch = {
        .size = sizeof batch, .completed = take_item, .arg = &taken, .jobs_max = 2, .bytes_max = 1};
    int untried = 0;
    for (int i = 0; i < COUNT; i++)
        items[i].path = names[i];
    assert_int_equal(larder_cat(fs, items, COUNT, &batch), 1);
    assert_string_equal(larder_error(), "");
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

/* ---- bytes_max: who waits for room is told when there is some ---- */

static int cat_narrowly(void *arg)
{
    struct larder_item items[COUNT] = {0};
    struct taken taken = {0};
    struct larder_batch batch = {
        .size = sizeof batch, .jobs_max = 4, .bytes_max = 1500, .completed = take_item, .arg = &taken};
    for (int i = 0; i < COUNT; i++)
        items[i].path = names[i];
    int rc = larder_cat(fs, items, COUNT, &batch);
    return rc == 0 && (taken.calls != COUNT || taken.wrong) ? -EBADMSG : rc;
}

static void a_batch_goes_on_when_its_callback_gives_room(void **state)
{
    for (int i = 0; i < 20; i++) {
        assert_ok(cat_narrowly(NULL));
        assert_ok(larder_sync(NULL, cat_narrowly, NULL, 0));
    }
}

/* slow://: 60 bytes, announced long before they come; of "bad" they never do. */
static int CO_FN slow_bytes(const char *path, struct sink *sink)
{
    static const char bytes[60];
    struct answer answer = {.fresh_ms = -1, .stale_if_error_ms = -1};
    int rc = sink_begin(sink, &answer, sizeof bytes);
    if (rc == 0)
        rc = task_sleep(20);
    if (rc == 0 && strcmp(path, "bad") == 0)
        rc = fail(-EIO, "bad: cut");
    return rc < 0 ? rc : sink_pour(sink, bytes, sizeof bytes);
}

static int CO_EDGE slow_read(struct instance *instance, const char *path, const struct larder_range *range,
                             const struct terms *terms, struct sink *sink, struct answer *out)
{
    return slow_bytes(path, sink);
}

static int slow_locate(const struct backend *backend, const char *url, char **values, char **place,
                       char **path)
{
    return place_is_all("", place, path);
}

static int slow_open(struct instance *instance)
{
    instance->identity = mem_dup("slow:");
    return 0;
}

static const char *const slow_protocols[] = {"slow", NULL};
static const struct backend slow_backend = {.name = "slow",
                                            .protocols = slow_protocols,
                                            .kind = ASYNC,
                                            .size = sizeof(struct instance),
                                            .locate = slow_locate,
                                            .open = slow_open,
                                            .read = slow_read};

static int take_any(void *arg, struct larder_item *item)
{
    larder_bytes_free(&item->bytes);
    return 0;
}

static void a_batch_goes_on_when_a_failure_gives_room(void **state)
{
    struct larder_item items[] = {{.path = "bad"}, {.path = "good"}};
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .bytes_max = 100,
                                 .completed = take_any};
    struct larder_fs *slow;
    backend_register(&slow_backend);
    assert_ok(fs_open(NULL, "slow://x", NULL, &slow, NULL));
    assert_int_equal(larder_cat(slow, items, 2, &batch), 1);
    assert_status(-EIO, items[0].status);
    assert_ok(items[1].status);
    larder_fs_free(slow);
}

/* ---- at the cap of live tasks a batch has no task but its caller's ---- */

#define CROWD 5000

static struct waiters crowd;
static bool crowd_leaves;

static int CO_FN stand(void)
{
    while (!crowd_leaves)
        waiters_wait(&crowd);
    return 0;
}

static int CO_EDGE one_of_a_crowd(void *arg)
{
    return stand();
}

static int CO_EDGE cat_in_a_crowd(void *arg)
{
    struct larder_task **tasks = calloc(CROWD, sizeof(*tasks));
    waiters_init(&crowd);
    for (int i = 0; i < CROWD; i++)
        larder_spawn(NULL, one_of_a_crowd, NULL, NULL, NULL, &tasks[i]);
    task_sleep(100);
    int rc = cat_narrowly(NULL);
    crowd_leaves = true;
    waiters_wake(&crowd);
    for (int i = 0; i < CROWD; i++)
        larder_join(tasks[i]);
    free(tasks);
    return rc;
}

static void a_batch_at_the_cap_opens_its_own_letters(void **state)
{
    assert_ok(larder_sync(NULL, cat_in_a_crowd, NULL, 0));
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
    batch = (struct larder_batch){0}; /* without its size */
    assert_int_equal(larder_cat(fs, &item, 1, &batch), -EINVAL);
    item = (struct larder_item){.path = "x", .bytes.size = 5};
    assert_int_equal(larder_pipe(fs, &item, 1, 0, NULL), -EINVAL);
    assert_int_equal(larder_pipe_file(fs, "x", NULL, 5, 0), -EINVAL);
    assert_int_equal(larder_exists(fs, "x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_without_memory_fails_cleanly),
        cmocka_unit_test(a_find_without_memory_fails_cleanly),
        cmocka_unit_test(a_get_without_memory_fails_cleanly),
        cmocka_unit_test(a_callback_stops_its_batch),
        cmocka_unit_test(a_callback_may_call_larder),
        cmocka_unit_test(a_batch_goes_on_when_its_callback_gives_room),
        cmocka_unit_test(a_batch_goes_on_when_a_failure_gives_room),
        cmocka_unit_test(a_batch_at_the_cap_opens_its_own_letters),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
