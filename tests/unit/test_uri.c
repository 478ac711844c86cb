/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/uri.h"

/* RFC 3986 §5.4: all of its examples but those with another scheme's rules, and without fragments. */
static void references_resolve_as_in_the_rfc(void **state)
{
    static const char *const examples[][2] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g#s/../x", "http://a/b/c/g"},
        {"https://h:1/x/../y?z", "https://h:1/y?z"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        char *url = uri_resolve("http://a/b/c/d;p?q", examples[i][0]);
        assert_string_equal(url, examples[i][1]);
        mem_free(url);
    }
}

static void the_authority_of_the_page_is_kept_whole(void **state)
{
    char *url = uri_resolve("https://u:p@[::1]:8443", "x");
    assert_string_equal(url, "https://u:p@[::1]:8443/x");
    mem_free(url);
}

static void an_origin_is_in_lower_case_and_without_the_usual_port(void **state)
{
    static const char *const examples[][2] = {
        {"HTTP://EXAMPLE.org:80/X", "http://example.org"},
        {"https://example.org:443", "https://example.org"},
        {"https://example.org:80/", "https://example.org:80"},
        {"http://u:p@example.org:/", "http://example.org"},
        {"http://[::1]:8080/x", "http://[::1]:8080"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct uri uri;
        assert_ok(uri_split_http(examples[i][0], &uri));
        char *origin = uri_origin(&uri);
        assert_string_equal(origin, examples[i][1]);
        mem_free(origin);
    }
}

static void a_refused_url_is_shown_without_its_secrets(void **state)
{
    static const char *const wrong[] = {
        "ftp://me:hush@h/x?hush",
        "http:///x?hush#hush",
        "http://me:hush@h:12ab/?hush",
        "http://me:hush@h:65536/?x=hush",
        "https://me:hush@/?hush",
        "http://h/\n?hush",
        "mailto:me?hush",
        "http://me:hush@:80/?hush",
    };
    struct uri uri;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_status(-EINVAL, uri_split_http(wrong[i], &uri));
        assert_null(strstr(error_text(), "hush"));
    }
}

static void a_shown_url_keeps_host_port_and_path(void **state)
{
    char *shown = uri_redact("https://me:hush@h:1/a/b?token=hush#hush");
    assert_string_equal(shown, "https://h:1/a/b?…");
    mem_free(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_resolve_as_in_the_rfc),
        cmocka_unit_test(the_authority_of_the_page_is_kept_whole),
        cmocka_unit_test(an_origin_is_in_lower_case_and_without_the_usual_port),
        cmocka_unit_test(a_refused_url_is_shown_without_its_secrets),
        cmocka_unit_test(a_shown_url_keeps_host_port_and_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
