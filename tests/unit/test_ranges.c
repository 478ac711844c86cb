/* SPDX-License-Identifier: Apache-2.0 */
/* Many ranges with few requests, over a place that counts them; blocks of records; sizes. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "alloc_fault.h"
#include "fake_place.h"
#include "fs/fs.h"

#define SIZE 1000000

static struct larder_fs *fs;

static int setup(void **state)
{
    fake_reset();
    fake_put("a", SIZE, 1);
    fake_put("b", SIZE, 2);
    return fs_open(NULL, "fake://", NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    return 0;
}

/* Its own bytes, whatever the request brought, with the NUL behind them. */
static bool is_right(const struct larder_item *item)
{
    int64_t start, count;
    const char *data = item->bytes.data;
    range_resolve(item->range, SIZE, &start, &count);
    return item->bytes.size == (size_t)count && data && data[count] == 0 &&
           fake_is(data, (size_t)count, *item->path == 'a' ? 1 : 2, (size_t)start);
}

/* All of `items` come right; how many requests it took. */
static unsigned requests_for(struct larder_item *items, size_t count, int64_t gap_max, int64_t block_max)
{
    struct larder_batch batch = {.size = sizeof batch, .gap_max = gap_max, .block_max = block_max};
    unsigned before = fake.reads;
    assert_ok(larder_cat_ranges(fs, items, count, &batch));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].status, 0);
        assert_true(is_right(&items[i]));
        larder_bytes_free(&items[i].bytes);
    }
    return fake.reads - before;
}

#define R(start, end) (&(struct larder_range){(start), (end)})

static void ranges_that_touch_or_overlap_are_one_request(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(50, 90)},  {.path = "a", .range = R(0, 20)},
                                  {.path = "a", .range = R(20, 30)},  {.path = "a", .range = R(10, 50)},
                                  {.path = "a", .range = R(60, 70)},  {.path = "a", .range = R(0, 20)},
                                  {.path = "a", .range = R(50, 50)},  {.path = "a", .range = R(80, 5)},
                                  {.path = "a", .range = R(200, 300)}};
    assert_int_equal(requests_for(items, 9, 0, 0), 2);
    assert_int_equal(requests_for(items, 9, 109, 0), 2);
    assert_int_equal(requests_for(items, 9, 110, 0), 1);
}

static void a_negative_gap_never_merges(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(0, 20)}, {.path = "a", .range = R(0, 20)}};
    assert_int_equal(requests_for(items, 2, -1, 0), 2);
    assert_int_equal(requests_for(items, 2, 0, 0), 1);
}

static void files_are_never_mixed(void **state)
{
    struct larder_item items[] = {{.path = "b", .range = R(0, 20)},
                                  {.path = "a", .range = R(0, 20)},
                                  {.path = "b", .range = R(20, 40)},
                                  {.path = "a", .range = R(20, 40)}};
    assert_int_equal(requests_for(items, 4, 1000, 0), 2);
}

static void what_needs_the_size_stays_alone(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(0, 20)},
                                  {.path = "a", .range = R(0, LARDER_TO_END)},
                                  {.path = "a", .range = R(-20, LARDER_TO_END)},
                                  {.path = "a", .range = R(5, -20)},
                                  {.path = "a"},
                                  {.path = "a", .range = R(10, 30)}};
    assert_int_equal(requests_for(items, 6, 1000, 0), 5);
}

static void a_request_ends_where_the_file_does(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(SIZE - 10, SIZE + 10)},
                                  {.path = "a", .range = R(SIZE + 10, SIZE + 20)},
                                  {.path = "a", .range = R(SIZE - 10, SIZE)},
                                  {.path = "a", .range = R(INT64_MAX - 2, INT64_MAX - 1)},
                                  {.path = "a", .range = R(INT64_MAX, 3)}};
    assert_int_equal(requests_for(items, 5, 0, 0), 3);
    assert_int_equal(requests_for(items, 5, 1, 0), 2);
    assert_int_equal(requests_for(items, 5, INT64_MAX, INT64_MAX), 1);
}

static void a_merged_request_is_bounded(void **state)
{
    struct larder_item items[100];
    struct larder_range ranges[100];
    for (int i = 0; i < 100; i++) {
        ranges[i] = (struct larder_range){i * 1000, i * 1000 + 1000};
        items[i] = (struct larder_item){.path = "a", .range = &ranges[i]};
    }
    assert_int_equal(requests_for(items, 100, 0, 10000), 10);
    assert_int_equal(requests_for(items, 100, 0, 10999), 10);
    assert_int_equal(requests_for(items, 100, 0, 1), 100);
    /* One that is larger by itself brings what lies in it. */
    ranges[7] = (struct larder_range){0, 50000};
    assert_int_equal(requests_for(items, 100, 0, 10000), 1 + 5);
}

/* What the rules say, by a way that is too slow to be built: a map of the bytes that are wanted, or in a gap. */
static unsigned implied_requests(const struct larder_range *ranges, size_t count, int64_t gap_max)
{
    static bool wanted[SIZE];
    unsigned requests = 0;
    int64_t last = -1;
    memset(wanted, 0, sizeof wanted);
    for (size_t i = 0; i < count; i++)
        memset(wanted + ranges[i].start, 1, (size_t)(ranges[i].end - ranges[i].start));
    for (int64_t at = 0; at < SIZE; at++) {
        if (!wanted[at])
            continue;
        requests += last < 0 || at - last - 1 > gap_max;
        last = at;
    }
    return requests;
}

static void ten_thousand_small_ranges_cost_what_the_gaps_imply(void **state)
{
    enum { COUNT = 10000 };
    static struct larder_item items[COUNT];
    static struct larder_range ranges[COUNT];
    static const int64_t gaps[] = {0, 10, 100, 1000};
    srandom(7);
    for (int i = 0; i < COUNT; i++) {
        int64_t start = random() % (SIZE - 200);
        ranges[i] = (struct larder_range){start, start + 1 + random() % 100};
        items[i] = (struct larder_item){.path = "a", .range = &ranges[i]};
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(requests_for(items, COUNT, gaps[i], SIZE), implied_requests(ranges, COUNT, gaps[i]));
}

/* ---- failures ---- */

static void a_missing_path_is_every_items_own(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(0, 20)},    {.path = "a", .range = R(10, 30)},
                                  {.path = "gone", .range = R(0, 20)}, {.path = "gone", .range = R(10, 30)},
                                  {.path = "b", .range = R(0, 20)},    {.path = "../x", .range = R(0, 20)}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    assert_int_equal(larder_cat_ranges(fs, items, 5, &batch), 2);
    assert_int_equal(items[2].status, -ENOENT);
    assert_int_equal(items[3].status, -ENOENT);
    for (size_t i = 0; i < 5; i++) {
        assert_true(i == 2 || i == 3 || is_right(&items[i]));
        larder_bytes_free(&items[i].bytes);
    }
    batch.on_error = LARDER_OMIT;
    assert_ok(larder_cat_ranges(fs, items, 5, &batch));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(items[i].status, i == 2 || i == 3 ? -ENOENT : 0);
        larder_bytes_free(&items[i].bytes);
    }
    assert_int_equal(larder_cat_ranges(fs, items, 6, &batch), -EINVAL);
    for (size_t i = 0; i < 6; i++)
        larder_bytes_free(&items[i].bytes);
    items[5].path = NULL;
    assert_int_equal(larder_cat_ranges(fs, items, 6, &batch), -EINVAL);
    for (size_t i = 0; i < 6; i++)
        larder_bytes_free(&items[i].bytes);
    assert_int_equal(larder_cat_ranges(fs, items, 5, NULL), -ENOENT);
    assert_non_null(strstr(larder_error(), "gone"));
    for (size_t i = 0; i < 5; i++)
        larder_bytes_free(&items[i].bytes);
}

struct taken {
    unsigned calls, failed, wrong, stop_at;
    uint64_t bytes;
};

static int take_item(void *arg, struct larder_item *item)
{
    struct taken *taken = arg;
    taken->calls++;
    if (item->status < 0) {
        taken->failed++;
        taken->wrong += !strstr(larder_error(), item->path);
    } else {
        taken->wrong += !is_right(item);
    }
    taken->bytes += item->bytes.size;
    larder_bytes_free(&item->bytes);
    return taken->calls == taken->stop_at ? 4711 : 0;
}

enum { TOLD = 600 };

/* Of 600 items in 6 blocks of each of two files, one told after the other. */
static int cat_told(struct taken *taken, struct larder_item *items, uint64_t bytes_max)
{
    static struct larder_range ranges[TOLD];
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .bytes_max = bytes_max,
                                 .block_max = 50000,
                                 .completed = take_item,
                                 .arg = taken};
    for (int i = 0; i < TOLD; i++) {
        int64_t start = i / 2 * 1000;
        ranges[i] = (struct larder_range){start, start + 1000};
        items[i] = (struct larder_item){.path = i % 2 ? "a" : "b", .range = &ranges[i]};
    }
    return larder_cat_ranges(fs, items, TOLD, &batch);
}

static void each_item_is_told_once_with_its_bytes(void **state)
{
    static const uint64_t bounds[] = {0, 1, 60000, 120000};
    struct larder_item items[TOLD];
    for (size_t i = 0; i < 4; i++) {
        struct taken taken = {0};
        unsigned before = fake.reads;
        assert_ok(cat_told(&taken, items, bounds[i]));
        assert_int_equal(taken.calls, TOLD);
        assert_int_equal(taken.wrong, 0);
        assert_int_equal(taken.bytes, TOLD * 1000);
        assert_int_equal(fake.reads - before, 12);
    }
}

static void a_failed_request_is_told_of_each_of_its_items(void **state)
{
    struct larder_item items[TOLD];
    struct taken taken = {0};
    fake.cut_at = 225000;
    assert_int_equal(cat_told(&taken, items, 60000), 2 * 2 * 50);
    fake.cut_at = -1;
    assert_int_equal(taken.calls, TOLD);
    assert_int_equal(taken.failed, 200);
}

static void a_callback_stops_in_the_middle_of_a_block(void **state)
{
    struct larder_item items[TOLD];
    struct taken taken = {.stop_at = 70};
    assert_int_equal(cat_told(&taken, items, 0), 4711);
    assert_int_equal(taken.calls, 70);
    assert_int_equal(taken.wrong, 0);
    for (int i = 0; i < TOLD; i++) { /* who was not told has no bytes, and does not say that he has */
        assert_true(items[i].status == 0 || items[i].status == -ECANCELED);
        assert_null(items[i].bytes.release);
    }
}

static int told_in_a_task(void *arg)
{
    struct larder_item *items = calloc(TOLD, sizeof *items);
    int rc = cat_told(arg, items, 60000);
    free(items);
    return rc;
}

static void a_task_gets_the_same(void **state)
{
    struct taken taken = {0};
    assert_ok(larder_sync(NULL, told_in_a_task, &taken, 0));
    assert_int_equal(taken.calls, TOLD);
    assert_int_equal(taken.wrong, 0);
}

static int cat_no_path(void *arg)
{
    struct larder_item items[2] = {{.range = R(0, 20)}, {.range = R(10, 30)}};
    return larder_cat_ranges(fs, items, 2, NULL);
}

static void a_path_that_is_null_is_refused_in_a_task_too(void **state)
{
    assert_int_equal(larder_sync(NULL, cat_no_path, NULL, 0), -EINVAL);
    assert_int_equal(cat_no_path(NULL), -EINVAL);
}

static int cat_without_memory(void *arg)
{
    struct larder_item items[3] = {{.path = "a", .range = R(0, 2000)},
                                   {.path = "a", .range = R(1000, 3000)},
                                   {.path = "b", .range = R(1000, 3000)}};
    struct taken taken = {0};
    struct larder_batch batch = {.size = sizeof batch, .completed = arg ? take_item : NULL, .arg = &taken};
    int rc = larder_cat_ranges(fs, items, 3, &batch);
    for (int i = 0; i < 3; i++)
        larder_bytes_free(&items[i].bytes);
    return rc == 0 && arg && (taken.calls != 3 || taken.wrong) ? -EBADMSG : rc;
}

static void ranges_without_memory_fail_cleanly(void **state)
{
    assert_true(alloc_fault_run(cat_without_memory, NULL) > 5);
    assert_true(alloc_fault_run(cat_without_memory, fs) > 5);
}

/* ---- an older caller ---- */

static void a_shorter_batch_has_defaults_for_the_rest(void **state)
{
    struct larder_item items[] = {{.path = "a", .range = R(0, 20)}, {.path = "a", .range = R(20, 40)}};
    struct larder_batch batch = {.size = offsetof(struct larder_batch, gap_max),
                                 .gap_max = -1,
                                 .block_max = 1};
    unsigned before = fake.reads;
    assert_ok(larder_cat_ranges(fs, items, 2, &batch));
    assert_int_equal(fake.reads - before, 1);
    for (size_t i = 0; i < 2; i++)
        larder_bytes_free(&items[i].bytes);
}

/* ---- sizes ---- */

static void sizes_are_asked_for_and_failures_have_none(void **state)
{
    struct larder_item items[] = {{.path = "a"}, {.path = "none"}, {.path = "b"}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_OMIT};
    int64_t sizes[3] = {7, 7, 7}, size = 7;
    fake_put("b", 77, 2);
    assert_ok(larder_sizes(fs, items, 3, sizes, &batch));
    assert_true(sizes[0] == SIZE && sizes[1] == LARDER_SIZE_UNKNOWN && sizes[2] == 77);
    assert_int_equal(items[1].status, -ENOENT);
    assert_ok(larder_size(fs, "b", &size));
    assert_int_equal(size, 77);
    assert_int_equal(larder_size(fs, "none", &size), -ENOENT);
    assert_int_equal(size, 77);
    fake_put("b", SIZE, 2);
}

static void a_size_that_nobody_knows_is_not_zero(void **state)
{
    assert_int_equal(larder_du(fs, "", NULL), 2 * SIZE);
    fake_put("dir/c", 50, 3)->size_unknown = true;
    assert_int_equal(larder_du(fs, "", NULL), -ENODATA);
    assert_non_null(strstr(larder_error(), "dir/c"));
    fake_remove("dir/c");
}

/* ---- blocks ---- */

#define RECORDS 3000

/* Records of 1 to 150 bytes, one of 200,000 in their middle; without a delimiter at the end. */
static char *make_records(size_t *size)
{
    char *data = malloc(RECORDS * 200 + 300000);
    size_t at = 0;
    srandom(3);
    for (int i = 0; i < RECORDS; i++) {
        size_t length = i == RECORDS / 2 ? 200000 : (size_t)(random() % 150);
        memset(data + at, 'a' + i % 26, length);
        at += length;
        memcpy(data + at, "\r\n", 2);
        at += 2;
    }
    *size = at - 2;
    return data;
}

static void assert_blocks_cover(const char *data, size_t size, int64_t length)
{
    size_t at = 0;
    for (int64_t offset = 0; offset < (int64_t)size; offset += length) {
        struct larder_bytes bytes;
        assert_ok(larder_read_block(fs, "records", offset, length, "\r\n", 2, &bytes));
        assert_true(bytes.size <= size - at);
        assert_memory_equal(bytes.data, data + at, bytes.size);
        at += bytes.size;
        assert_true(at == size || bytes.size == 0 || memcmp(data + at - 2, "\r\n", 2) == 0);
        larder_bytes_free(&bytes);
    }
    assert_int_equal(at, size);
}

static void blocks_have_each_record_once(void **state)
{
    size_t size;
    char *data = make_records(&size);
    struct fake_file *file = fake_put("records", size, 1);
    memcpy(file->data, data, size);
    static const int64_t lengths[] = {777, 10000, 65536, 150001, 1 << 30};
    for (size_t i = 0; i < 5; i++)
        assert_blocks_cover(data, size, lengths[i]);
    fake_remove("records");
    free(data);
}

static void one_request_is_enough_for_a_block(void **state)
{
    struct larder_bytes bytes;
    struct fake_file *file = fake_put("records", 500000, 1);
    for (size_t i = 0; i < 500000; i++)
        file->data[i] = i % 100 == 99 ? '\n' : 'x';
    unsigned before = fake.reads;
    assert_ok(larder_read_block(fs, "records", 1050, 2000, "\n", 1, &bytes));
    assert_int_equal(fake.reads - before, 1);
    assert_int_equal(bytes.size, 2000);
    larder_bytes_free(&bytes);
    fake.change_after = fake.reads + 1; /* a block is of one version */
    memset(file->data, 'x', 500000);
    assert_int_equal(larder_read_block(fs, "records", 1050, 2000, "\n", 1, &bytes), -ESTALE);
    fake.change_after = 0;
    fake_remove("records");
}

static void a_block_without_a_delimiter_is_a_range(void **state)
{
    struct larder_bytes bytes;
    assert_ok(larder_read_block(fs, "a", 100, 50, NULL, 0, &bytes));
    assert_true(bytes.size == 50 && fake_is(bytes.data, 50, 1, 100));
    larder_bytes_free(&bytes);
    assert_ok(larder_read_block(fs, "a", SIZE - 10, LARDER_TO_END, NULL, 0, &bytes));
    assert_int_equal(bytes.size, 10);
    larder_bytes_free(&bytes);
    assert_int_equal(larder_read_block(fs, "none", 0, 5, NULL, 0, &bytes), -ENOENT);
    assert_int_equal(larder_read_block(fs, "a", -1, 5, NULL, 0, &bytes), -EINVAL);
    assert_int_equal(larder_read_block(fs, "a", 0, 5, NULL, 1, &bytes), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_that_touch_or_overlap_are_one_request),
        cmocka_unit_test(a_negative_gap_never_merges),
        cmocka_unit_test(files_are_never_mixed),
        cmocka_unit_test(what_needs_the_size_stays_alone),
        cmocka_unit_test(a_request_ends_where_the_file_does),
        cmocka_unit_test(a_merged_request_is_bounded),
        cmocka_unit_test(ten_thousand_small_ranges_cost_what_the_gaps_imply),
        cmocka_unit_test(a_missing_path_is_every_items_own),
        cmocka_unit_test(each_item_is_told_once_with_its_bytes),
        cmocka_unit_test(a_failed_request_is_told_of_each_of_its_items),
        cmocka_unit_test(a_callback_stops_in_the_middle_of_a_block),
        cmocka_unit_test(a_task_gets_the_same),
        cmocka_unit_test(a_path_that_is_null_is_refused_in_a_task_too),
        cmocka_unit_test(ranges_without_memory_fail_cleanly),
        cmocka_unit_test(a_shorter_batch_has_defaults_for_the_rest),
        cmocka_unit_test(sizes_are_asked_for_and_failures_have_none),
        cmocka_unit_test(a_size_that_nobody_knows_is_not_zero),
        cmocka_unit_test(blocks_have_each_record_once),
        cmocka_unit_test(one_request_is_enough_for_a_block),
        cmocka_unit_test(a_block_without_a_delimiter_is_a_range),
    };
    backend_register(&fake_backend);
    return cmocka_run_group_tests(tests, setup, teardown);
}
