/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "fs/labels.h"

static void a_handle_says_what_its_options_say(void **state)
{
    struct labels labels = {0}, copy = {0};
    assert_null(labels_content_type(&labels, "a.html"));
    assert_null(labels_content_type(NULL, "a.html"));
    assert_int_equal(labels_take(&labels, "timeout", "5"), 0);
    assert_int_equal(labels_take(&labels, "content_type", "text/html; charset=utf-8"), 1);
    assert_int_equal(labels_take(&labels, "cache_control", "no-cache"), 1);
    assert_int_equal(labels_take(&labels, "metadata", "a: b"), 1);
    assert_ok(labels_copy(&copy, &labels));
    assert_string_equal(labels_content_type(&copy, "a.png"), "text/html; charset=utf-8");
    assert_string_equal(copy.cache_control, "no-cache");
    assert_string_equal(copy.metadata, "a: b");
    assert_int_equal(labels_take(&copy, "cache_control", ""), 1); /* nothing is said any more */
    assert_null(copy.cache_control);
    assert_string_equal(labels.cache_control, "no-cache");
    labels_fini(&labels);
    labels_fini(&copy);
}

static void a_type_is_guessed_by_the_names_ending_alone(void **state)
{
    static const struct {
        const char *path, *type;
    } rows[] = {
        {"a/b.html", "text/html"},
        {"B.JPG", "image/jpeg"},
        {"x.tar.gz", "application/gzip"},
        {"a.html/b", "application/octet-stream"},
        {".html", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"", "application/octet-stream"},
        {"a.unheard-of", "application/octet-stream"},
    };
    struct labels labels = {0};
    assert_int_equal(labels_take(&labels, "content_type", "auto"), 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(labels_content_type(&labels, rows[i].path), rows[i].type);
    labels_fini(&labels);
}

static void what_would_begin_another_header_is_refused(void **state)
{
    struct labels labels = {0};
    assert_int_equal(labels_take(&labels, "content_type", "a\r\nx: y"), -EINVAL);
    assert_int_equal(labels_take(&labels, "cache_control", "a\nx: y"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", "a: b\001"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", "a: b\rx: y"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", "no colon"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", ": no name"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", "a b: c"), -EINVAL);
    assert_int_equal(labels_take(&labels, "metadata", "a: b\nbroken"), -EINVAL);
    assert_null(labels.metadata);
    assert_null(labels.content_type);
}

static void lines_are_names_and_values(void **state)
{
    const char *text = "\na: b\r\n\nLong-Name:\t x: y \nempty:\nlast:z";
    static const char *const expected[][2] = {{"a", "b"},
                                              {"Long-Name", "x: y"},
                                              {"empty", ""},
                                              {"last", "z"}};
    struct label_line line;
    for (size_t i = 0; i < 4; i++) {
        assert_true(label_line_next(&text, &line));
        assert_int_equal(line.name_size, strlen(expected[i][0]));
        assert_memory_equal(line.name, expected[i][0], line.name_size);
        assert_int_equal(line.value_size, strlen(expected[i][1]));
        assert_memory_equal(line.value, expected[i][1], line.value_size);
    }
    assert_false(label_line_next(&text, &line));
    assert_false(label_line_next(&text, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_says_what_its_options_say),
        cmocka_unit_test(a_type_is_guessed_by_the_names_ending_alone),
        cmocka_unit_test(what_would_begin_another_header_is_refused),
        cmocka_unit_test(lines_are_names_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
