/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "index_text.h"
#include "net/index.h"

static void a_rounded_size_is_unknown(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<pre><a href=\"a\">a</a>  22-Nov-2026 22:20    12K\n<a href=\"b\">b</a>  22-Nov-2026 22:20  1.5M\n"
        "<a href=\"c\">c</a>  22-Nov-2026 22:20  12 KiB\n<a href=\"d\">d</a>   -\n"
        "<a href=\"e\">e</a>  22-Nov-2026 22:20  99999999999999999999\n</pre>",
        "a|f|-1|2026-11-22T22:20:00Z\nb|f|-1|2026-11-22T22:20:00Z\nc|f|-1|2026-11-22T22:20:00Z\n"
        "d|f|-1|-\ne|f|-1|2026-11-22T22:20:00Z\n");
}

static void only_links_right_below_the_page_are_entries(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<a name=here>no link</a><a href>x</a><a href=\"\">x</a>"
        "<a href=\"..\">1</a><a href=\"../\">2</a><a href=\"/\">3</a><a href=\".\">4</a><a href=\"./\">5</a>"
        "<a href=\"?C=N\">6</a><a href=\"#top\">7</a><a href=\"mailto:a@b\">8</a>"
        "<a href=\"javascript:x()\">9</a><a href=\"http://other/d/x\">10</a><a href=\"//other/d/x\">11</a>"
        "<a href=\"https://h/d/x\">12</a><a href=\"http://h:81/d/x\">13</a><a href=\"deep/er\">14</a>"
        "<a href=\"/d\">15</a><a href=\"/dx/y\">16</a><a href=\"/e/x\">17</a><a href=\"x%2Fy\">18</a>"
        "<a href=\"bad%zz\">19</a><a href=\"nul%00\">20</a><a href=\"..%2f..%2fetc\">21</a>"
        "<a href=\"%2e%2e\">22</a><a href=\"%2E/\">23</a><a href=\"get?file=x\">24</a><a href=\"a//\">25</a>",
        "");
}

static void own_links_may_be_written_in_many_ways(void **state)
{
    assert_lists("http://H:80/d%20e/?sig=1", HTML,
                 "<a href=one>1</a><a href=\"./two\">2</a><a href='/d%20e/three'>3</a>"
                 "<a href=\"http://h/d%20e/four/\">4</a><a href=\"//h/%64%20e/five\">5</a>"
                 "<a href=\"../d%20e/six#x\">6</a><A HREF=\"se&#118;en\">7</A><a href=\" eight \n\">8</a>"
                 "<a href=\"./n:ine\">9</a><a href=\"ten?sig=1\">10</a><a href=\"é f\">11</a>"
                 "<a href=\"one\">again</a><a href=\"..%20x\">12</a><a href=\".hidden\">13</a>",
                 "one|f|-1|-\ntwo|f|-1|-\nthree|f|-1|-\nfour|d|0|-\nfive|f|-1|-\nsix|f|-1|-\nseven|f|-1|-\n"
                 "eight|f|-1|-\nn:ine|f|-1|-\nten|f|-1|-\né f|f|-1|-\n.. x|f|-1|-\n.hidden|f|-1|-\n");
}

static void links_are_relative_to_the_base_that_the_page_names(void **state)
{
    assert_lists(PAGE, HTML, "<base href=\"/\"><a href=\"d/x\">x</a><a href=\"y\">y</a>", "x|f|-1|-\n");
    assert_lists(PAGE, HTML, "<base href=\"http://other/\"><a href=\"x\">x</a><a href=\"http://h/d/y\">y</a>",
                 "y|f|-1|-\n");
}

static void what_is_hidden_in_scripts_and_comments_is_not_listed(void **state)
{
    assert_lists(PAGE, HTML,
                 "<script>document.write('<a href=\"s\">s</a>')</script><!-- <a href=\"c\">c</a> -->"
                 "<style>a{}</style><a href=\"x\">x</a>",
                 "x|f|-1|-\n");
}

static void a_page_without_own_links_is_an_empty_directory(void **state)
{
    assert_lists(PAGE, HTML, "<html><body><pre><a href=\"../\">../</a>\n</pre></body></html>", "");
}

static void what_is_no_index_is_refused(void **state)
{
    static const struct {
        const char *type, *page;
        int status;
    } pages[] = {
        {"image/png", "x", -ENOTSUP},
        {"text/plain", "a\nb\n", -ENOTSUP},
        {"", "x", -ENOTSUP},
        {NULL, "plain text", -ENOTSUP},
        {NULL, " \n", -ENOTSUP},
        {HTML, "", -ENOTSUP},
        {JSON, "", -ENOTSUP},
        {JSON, " ", -EPROTO},
        {JSON, "{\"name\":\"x\"}", -ENOTSUP},
        {JSON, "\"x\"", -ENOTSUP},
        {JSON, "[1]", -ENOTSUP},
        {JSON, "[{}]", -ENOTSUP},
        {JSON, "[{\"title\":\"x\"}]", -ENOTSUP},
        {JSON, "[{\"name\":7}]", -ENOTSUP},
        {XML, "", -ENOTSUP},
        {XML, "<rss><item/></rss>", -ENOTSUP},
        {XML, "no XML", -EPROTO},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char *text;
        assert_status(pages[i].status, index_text(PAGE, pages[i].type, pages[i].page, 3, &text));
        assert_string_equal(text, "");
        assert_string_not_equal(error_text(), "");
        free(text);
    }
}

/* A page that lacks its end must not pass for a smaller directory. */
static void a_broken_page_is_no_smaller_directory(void **state)
{
    static const char *const broken[][2] = {
        {JSON, "[{\"name\":\"x\"}"},
        {JSON, "[{\"name\":\"x\"},"},
        {JSON, "[{\"name\":\"x\"},]"},
        {JSON, "[{\"name\":\"x\"}]]"},
        {JSON, "[{\"name\":\"x\"}] x"},
        {JSON, "[{\"name\":\"x\"}] true"},
        {JSON, "[{\"name\":\"x\"} {\"name\":\"y\"}]"},
        {JSON, "[{\"name\":\"x\",}]"},
        {JSON, "[{\"name\" \"x\"}]"},
        {JSON, "[{\"name\":}]"},
        {JSON, "[{\"name\":x}]"},
        {JSON, "[{\"name\":\"x\" 1}]"},
        {JSON, "[{\"name\":\"\\x\"}]"},
        {JSON, "[{\"name\":\"\\u12g4\"}]"},
        {JSON, "[{\"name\":\"\\ud83d\"}]"},
        {JSON, "[{\"name\":\"x"},
        {XML, "<list><file>x</file>"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char *text;
        int rc = index_text(PAGE, broken[i][0], broken[i][1], 1, &text);
        if (rc != -ENOTSUP) /* "]" where an entry should be */
            assert_status(-EPROTO, rc);
        free(text);
    }
}

static void json_is_read_in_all_its_forms(void **state)
{
    assert_lists(PAGE, JSON,
                 "\t[ {\"more\":{\"name\":[1,{\"a\":\"]}\"}]},\"name\" :\"a\",\"size\":-5,\"type\":null} ,"
                 "{\"name\":\"\\u00e9\\ud83d\\ude00\\\\\\t\",\"size\":1.5},"
                 "{\"name\":\"b\",\"size\":1e3},{\"name\":\"c\",\"size\":\"7\"},{\"name\":\"d\\u0000\"},"
                 "{\"name\":\"e\",\"url\":\"sub/e\"},{\"name\":\"f\",\"url\":\"f%2Fg\"},"
                 "{\"name\":\"g\",\"url\":\"/d/%67%67\"},{\"name\":\"\"},{\"name\":\"..\"},"
                 "{\"name\":\"h/i\"},{\"name\":\"a\",\"size\":1}] \n",
                 "a|f|-1|-\né😀\\\t|f|-1|-\nb|f|-1|-\nc|f|-1|-\ne|f|-1|-\nf|f|-1|-\ngg|f|-1|-\n");
    assert_lists(PAGE, JSON, "[]", "");
}

static void without_a_type_the_first_character_tells(void **state)
{
    assert_lists(PAGE, NULL, " \n<a href=\"x\">x</a>", "x|f|-1|-\n");
    assert_lists(PAGE, NULL, "\n[{\"name\":\"x\"}]", "x|f|-1|-\n");
}

/* ---- big, and broken ---- */

static int count(void *arg, const struct index_entry *entry)
{
    ++*(size_t *)arg;
    return 0;
}

static int feed_copies(const char *type, const char *head, const char *line, const char *tail, size_t copies,
                       size_t *counted)
{
    struct index *index = NULL;
    char text[512];
    *counted = 0;
    int rc = index_new(PAGE, type, count, counted, &index);
    if (rc == 0)
        rc = index_feed(index, head, strlen(head));
    for (size_t i = 0; rc == 0 && i < copies; i++) {
        int size = snprintf(text, sizeof text, "%s{\"name\":\"f%zu\",\"size\":%zu}", i ? "," : "", i, i);
        if (line)
            size = snprintf(text, sizeof text, "<%s href=\"f%zu\">f%zu</a>  22-Nov-2026 22:20  %zu\n", line,
                            i, i, i);
        rc = index_feed(index, text, (size_t)size);
    }
    if (rc == 0)
        rc = index_feed(index, tail, strlen(tail));
    if (rc == 0)
        rc = index_finish(index);
    index_free(index);
    return rc;
}

static void a_hundred_thousand_entries_are_no_trouble(void **state)
{
    size_t counted;
    assert_ok(feed_copies(HTML, "<html><body><pre>", "a", "</pre></body></html>", 100000, &counted));
    assert_int_equal(counted, 100000);
    assert_ok(feed_copies(JSON, "[", NULL, "]", 100000, &counted));
    assert_int_equal(counted, 100000);
}

static void links_that_never_end_are_listed_too(void **state)
{
    char *page = calloc(1, 1 << 16), *text;
    size_t lines = 0;
    for (int i = 0; i < 500; i++)
        sprintf(page + strlen(page), "<ul><li><a href=\"f%d\">", i);
    assert_ok(index_text(PAGE, HTML, page, 1000, &text));
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 500);
    free(text);
    free(page);
}

static int refuse(void *arg, const struct index_entry *entry)
{
    return fail(-EFBIG, "enough");
}

static void the_first_refusal_stops_the_page(void **state)
{
    struct index *index = NULL;
    const char *page = "<a href=x>x</a><a href=y>y</a>";
    assert_ok(index_new(PAGE, HTML, refuse, NULL, &index));
    int rc = index_feed(index, page, strlen(page));
    assert_status(-EFBIG, rc < 0 ? rc : index_finish(index));
    index_free(index);
}

/* The status of reading an array of so many files. */
static int read_json(bool caddy, int count)
{
    size_t size = (size_t)count * 80 + 3, at = 1;
    char *page = malloc(size), *text = NULL;
    page[0] = '[';
    for (int i = 0; i < count; i++, page[at++] = ',')
        at +=
            (size_t)sprintf(page + at, "{\"name\":\"%d\",%s\"size\":1}", i, caddy ? "\"is_dir\":false," : "");
    strcpy(page + at - 1, "]");
    int rc = index_text(PAGE, JSON, page, size, &text);
    free(page);
    free(text);
    return rc;
}

/* Caddy reads 10,000 entries of a directory, leaves out those that it hides, and has no word of the others. */
static void what_caddy_may_have_cut_is_no_listing(void **state)
{
    assert_ok(read_json(true, 9899));
    assert_status(-E2BIG, read_json(true, 9900));
    assert_status(-E2BIG, read_json(true, 10000));
    assert_non_null(strstr(error_text(), "Caddy"));
    assert_ok(read_json(true, 10001));
    assert_ok(read_json(false, 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rounded_size_is_unknown),
        cmocka_unit_test(only_links_right_below_the_page_are_entries),
        cmocka_unit_test(own_links_may_be_written_in_many_ways),
        cmocka_unit_test(links_are_relative_to_the_base_that_the_page_names),
        cmocka_unit_test(what_is_hidden_in_scripts_and_comments_is_not_listed),
        cmocka_unit_test(a_page_without_own_links_is_an_empty_directory),
        cmocka_unit_test(what_is_no_index_is_refused),
        cmocka_unit_test(a_broken_page_is_no_smaller_directory),
        cmocka_unit_test(json_is_read_in_all_its_forms),
        cmocka_unit_test(what_caddy_may_have_cut_is_no_listing),
        cmocka_unit_test(without_a_type_the_first_character_tells),
        cmocka_unit_test(a_hundred_thousand_entries_are_no_trouble),
        cmocka_unit_test(links_that_never_end_are_listed_too),
        cmocka_unit_test(the_first_refusal_stops_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
