/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"

#include "alloc_fault.h"

static void what_means_something_in_a_url_is_encoded(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a/b.c-d_e~f", "a/b.c-d_e~f"},
        {"a b", "a%20b"},
        {"50%", "50%25"},
        {"a?b#c", "a%3Fb%23c"},
        {"a+b;c", "a%2Bb%3Bc"},
        {"x=1,y:2@z!$&'()*", "x=1,y:2@z!$&'()*"},
        {"\xc3\xa9\xff\x01", "%C3%A9%FF%01"},
        {"[a]\\\"<>^`{|}", "%5Ba%5D%5C%22%3C%3E%5E%60%7B%7C%7D"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        autofree char *text = url_encode_path(cases[i][0]);
        assert_string_equal(text, cases[i][1]);
    }
}

static void every_byte_comes_back(void **state)
{
    char path[256];
    size_t size = 0;
    for (int c = 1; c < 256; c++)
        path[size++] = (char)c;
    path[size] = 0;
    autofree char *text = url_encode_path(path);
    for (const char *at = text; *at; at++)
        assert_true(*at > ' ' && *at < 127);
    autofree char *back = NULL;
    assert_ok(url_decode_path(text, strlen(text), &back));
    assert_string_equal(back, path);
}

static void decoding_takes_either_case_and_leaves_a_plus_alone(void **state)
{
    autofree char *path = NULL;
    assert_ok(url_decode_path("a%2b%2B+%c3%A9/b%25%34%31 not this", 25, &path));
    assert_string_equal(path, "a+++\xc3\xa9/b%41");
    autofree char *nothing = NULL;
    assert_ok(url_decode_path("%", 0, &nothing));
    assert_string_equal(nothing, "");
}

static void what_cannot_be_a_path_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"%", 1},     {"a%", 2},      {"a%4", 3},   {"a%4g", 4},  {"%g4", 3},   {"%%41", 4},
        {"% 41", 4},  {"%+1", 3},     {"%0x41", 5}, {"%00", 3},   {"a%00b", 5}, {"a\0b", 3},
        {"a%2Fb", 5}, {"..%2f..", 7}, {"a%41b", 2}, {"a%41b", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *out = (char *)"untouched";
        assert_status(-EINVAL, url_decode_path(cases[i].text, cases[i].size, &out));
        assert_string_equal(out, "untouched");
        assert_true(*larder_error());
    }
}

static int there_and_back(void *arg)
{
    autofree char *text = url_encode_path("a b/c");
    if (!text)
        return -ENOMEM;
    autofree char *path = NULL;
    return url_decode_path(text, strlen(text), &path);
}

static void a_lack_of_memory_is_told(void **state)
{
    assert_int_equal(alloc_fault_run(there_and_back, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_something_in_a_url_is_encoded),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(decoding_takes_either_case_and_leaves_a_plus_alone),
        cmocka_unit_test(what_cannot_be_a_path_is_refused),
        cmocka_unit_test(a_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
