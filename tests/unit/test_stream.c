/* SPDX-License-Identifier: Apache-2.0 */
/* A file piece by piece: larder_cat_to. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define SIZE ((size_t)(3 << 20) + 12345)

static char *tmp, *data;
static struct larder_fs *places[2];

struct taken {
    char *data;
    size_t size, pieces, stop_after;
    struct larder_fs *fs; /* asked in each call, if not NULL */
};

static int take_piece(void *arg, const void *piece, size_t size)
{
    struct taken *taken = arg;
    assert_in_range(size, 1, 1 << 20);
    memcpy(taken->data + taken->size, piece, size);
    taken->size += size;
    taken->pieces++;
    if (taken->fs)
        assert_status(1, larder_exists(taken->fs, "file"));
    return taken->pieces == taken->stop_after ? -EPIPE : 0;
}

static void assert_streams(struct larder_fs *fs, const struct larder_range *range, size_t start, size_t size)
{
    struct taken taken = {.data = malloc(SIZE), .fs = fs};
    assert_int_equal(larder_cat_to(fs, "file", range, take_piece, &taken), size);
    assert_int_equal(taken.size, size);
    assert_memory_equal(taken.data, data + start, size);
    free(taken.data);
}

static void the_pieces_are_the_file(void **state)
{
    struct larder_range inner = {1000, -1000}, last = {-100, LARDER_TO_END}, none = {5, 5};
    for (size_t i = 0; i < 2; i++) {
        assert_streams(places[i], NULL, 0, SIZE);
        assert_streams(places[i], &inner, 1000, SIZE - 2000);
        assert_streams(places[i], &last, SIZE - 100, 100);
        assert_streams(places[i], &none, 0, 0);
    }
}

static void the_reader_may_stop(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct taken taken = {.data = malloc(SIZE), .stop_after = 2};
        assert_int_equal(larder_cat_to(places[i], "file", NULL, take_piece, &taken), -EPIPE);
        assert_int_equal(taken.pieces, 2);
        free(taken.data);
    }
}

static void what_is_missing_is_said_and_nothing_is_taken(void **state)
{
    struct taken taken = {0};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(larder_cat_to(places[i], "none", NULL, take_piece, &taken), -ENOENT);
        assert_true(strlen(larder_error()) > 0);
        assert_int_equal(larder_cat_to(places[i], "", NULL, take_piece, &taken), -EISDIR);
        assert_int_equal(larder_cat_to(places[i], "../x", NULL, take_piece, &taken), -EINVAL);
    }
}

static int in_a_task(void *arg)
{
    the_pieces_are_the_file(NULL);
    the_reader_may_stop(NULL);
    return 0;
}

static void a_task_takes_its_own_pieces(void **state)
{
    assert_ok(larder_sync(NULL, in_a_task, NULL, 0));
}

static int setup(void **state)
{
    tmp = tmpdir_make();
    data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    backend_register(&memory_backend);
    backend_register(&local_backend);
    assert_ok(fs_open(NULL, "memory://test_stream", NULL, &places[0], NULL));
    assert_ok(fs_open(NULL, tmp, NULL, &places[1], NULL));
    for (size_t i = 0; i < 2; i++)
        assert_ok(larder_pipe_file(places[i], "file", data, SIZE, LARDER_PARENTS));
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < 2; i++)
        larder_fs_free(places[i]);
    tmpdir_remove(tmp);
    free(data);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pieces_are_the_file),
        cmocka_unit_test(the_reader_may_stop),
        cmocka_unit_test(what_is_missing_is_said_and_nothing_is_taken),
        cmocka_unit_test(a_task_takes_its_own_pieces),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
