/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

#include "alloc_fault.h"

static void bytes_are_appended_and_end_in_a_nul(void **state)
{
    struct buffer buffer = BUFFER(1 << 20);
    static char expected[3000];
    size_t expected_size = 0;
    for (int i = 0; i < 500; i++) {
        assert_ok(buffer_format(&buffer, "%d,", i));
        expected_size += (size_t)sprintf(expected + expected_size, "%d,", i);
        assert_string_equal(buffer.data, expected);
    }
    assert_ok(buffer_add(&buffer, "a\0b", 3));
    assert_ok(buffer_add(&buffer, NULL, 0));
    assert_int_equal(buffer.size, expected_size + 3);
    assert_memory_equal(buffer.data + buffer.size - 3, "a\0b", 4);
    buffer_free(&buffer);
    assert_null(buffer.data);
}

static void what_is_too_much_breaks_it_and_leaves_it_as_it_was(void **state)
{
    struct buffer buffer = BUFFER(5);
    assert_ok(buffer_add_text(&buffer, "abc"));
    assert_ok(buffer_add_text(&buffer, "de"));
    assert_ok(buffer_add_text(&buffer, ""));
    assert_status(-EFBIG, buffer_format(&buffer, "%c", 'f'));
    assert_string_equal(larder_error(), "more than 5 bytes");
    assert_status(-EFBIG, buffer_add_text(&buffer, ""));
    assert_null(buffer_room(&buffer, 0));
    assert_int_equal(buffer.size, 5);
    assert_string_equal(buffer.data, "abcde");
    assert_null(buffer_take_text(&buffer));
    assert_null(buffer.data);
}

static void a_huge_size_does_not_wrap_around(void **state)
{
    struct buffer buffer = BUFFER(SIZE_MAX);
    assert_ok(buffer_add_text(&buffer, "abc"));
    assert_null(buffer_room(&buffer, SIZE_MAX));
    assert_int_equal(buffer.status, -EFBIG);
    assert_string_equal(buffer.data, "abc");
    buffer_free(&buffer);
    struct buffer none = {0};
    assert_ok(buffer_add_text(&none, ""));
    assert_status(-EFBIG, buffer_add_text(&none, "a"));
    buffer_free(&none);
    buffer_free(NULL);
}

static void room_is_filled_by_the_caller(void **state)
{
    struct buffer buffer = BUFFER(4096);
    assert_ok(buffer_add_text(&buffer, "a"));
    char *room = buffer_room(&buffer, 4095);
    assert_non_null(room);
    memset(room, 'b', 4095);
    buffer_grew(&buffer, 2);
    assert_string_equal(buffer.data, "abb");
    buffer_free(&buffer);
}

static void bytes_that_are_taken_are_the_takers(void **state)
{
    struct buffer buffer = BUFFER(100);
    assert_ok(buffer_add_text(&buffer, "abc"));
    struct larder_bytes bytes = buffer_take_bytes(&buffer);
    assert_int_equal(bytes.size, 3);
    assert_string_equal(bytes.data, "abc");
    assert_null(buffer.data);
    assert_ok(buffer_add_text(&buffer, "de"));
    char *text = buffer_take_text(&buffer);
    assert_string_equal(text, "de");
    mem_free(text);
    larder_bytes_free(&bytes);
    assert_null(bytes.data);
    larder_bytes_free(&bytes);
    larder_bytes_free(NULL);
}

static void nothing_can_be_taken_too(void **state)
{
    struct buffer buffer = BUFFER(100);
    struct larder_bytes bytes = buffer_take_bytes(&buffer);
    assert_int_equal(bytes.size, 0);
    assert_string_equal(bytes.data, "");
    larder_bytes_free(&bytes);
    char *text = buffer_take_text(&buffer);
    assert_string_equal(text, "");
    mem_free(text);
}

static int fill(void *arg)
{
    struct buffer buffer = BUFFER(1 << 20);
    for (int i = 0; i < 1000; i++)
        buffer_format(&buffer, "%d ", i);
    buffer_add_text(&buffer, "end");
    autofree char *text = buffer_take_text(&buffer);
    struct larder_bytes bytes = bytes_own(mem_dup("abc"), 3);
    int rc = text && bytes.data ? 0 : -ENOMEM;
    larder_bytes_free(&bytes);
    if (rc == 0 && !strstr(text, "998 999 end"))
        return -EBADMSG;
    return rc;
}

static void a_lack_of_memory_is_told_at_the_end(void **state)
{
    assert_true(alloc_fault_run(fill, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_appended_and_end_in_a_nul),
        cmocka_unit_test(what_is_too_much_breaks_it_and_leaves_it_as_it_was),
        cmocka_unit_test(a_huge_size_does_not_wrap_around),
        cmocka_unit_test(room_is_filled_by_the_caller),
        cmocka_unit_test(bytes_that_are_taken_are_the_takers),
        cmocka_unit_test(nothing_can_be_taken_too),
        cmocka_unit_test(a_lack_of_memory_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
