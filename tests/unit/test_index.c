/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "net/index.h"

/* What a page lists, as text: "name type size minute" a line. */
struct listing {
    char *text;
    size_t size, count;
};

static int add(void *arg, const struct index_entry *entry)
{
    struct listing *listing = arg;
    FILE *out = fmemopen(listing->text + listing->size, (1 << 16) - listing->size, "w");
    char time[TEXT_TIME_SIZE] = "-";
    if (entry->mtime_ns)
        format_rfc3339(entry->mtime_ns, time);
    fprintf(out, "%s|%c|%lld|%s\n", entry->name, "?fdo"[entry->type], (long long)entry -> size, time);
    listing->size += (size_t)ftell(out);
    fclose(out);
    listing->count++;
    return 0;
}

static int parse(const char *url, const char *type, const char *page, size_t step, struct listing *listing)
{
    struct index *index = NULL;
    size_t size = strlen(page);
    int rc = index_new(url, type, add, listing, &index);
    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = index_feed(index, page + at, size - at < step ? size - at : step);
    if (rc == 0)
        rc = index_finish(index);
    index_free(index);
    return rc;
}

/* Whole, and byte by byte: the pieces in which a page comes must not matter. */
static void assert_lists(const char *url, const char *type, const char *page, const char *expected)
{
    static const size_t steps[] = {1 << 20, 1, 7};
    for (size_t i = 0; i < 3; i++) {
        struct listing listing = {.text = calloc(1, 1 << 16)};
        assert_ok(parse(url, type, page, steps[i], &listing));
        assert_string_equal(listing.text, expected);
        free(listing.text);
    }
}

#define HTML "text/html"
#define JSON "application/json"
#define PAGE "http://h/d/"

static void nginx_prints_names_dates_and_exact_sizes(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<html>\r\n<head><title>Index of /d/</title></head>\r\n<body>\r\n<h1>Index of /d/</h1><hr><pre>"
        "<a href=\"../\">../</a>\r\n"
        "<a href=\"sub/\">sub/</a>                                               22-Nov-2026 22:20"
        "                   -\r\n"
        "<a href=\"a%20b%23%3F%25%5B%C3%A9%5D.txt\">a b#?%[é].txt</a>          22-Nov-2026 22:21"
        "                   6\r\n"
        "<a href=\"a_name_that_is_longer_than_the_fifty_characters_that_fit.bin\">"
        "a_name_that_is_longer_than_the_fifty_characters..&gt;</a> 01-Jan-2026 00:00           "
        "123456789012\r\n"
        "<a href=\"x%26amp%3By\">x&amp;amp;y</a>    22-Nov-2026 22:20    0\r\n"
        "</pre><hr></body>\r\n</html>\r\n",
        "sub|d|0|2026-11-22T22:20:00Z\n"
        "a b#?%[é].txt|f|6|2026-11-22T22:21:00Z\n"
        "a_name_that_is_longer_than_the_fifty_characters_that_fit.bin|f|123456789012|2026-01-01T00:00:00Z\n"
        "x&amp;y|f|0|2026-11-22T22:20:00Z\n");
}

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

static void tables_list_links_are_told_from_icons_and_footers(void **state)
{
    assert_lists(
        PAGE, "text/html;charset=UTF-8",
        "<table><tr><th><a href=\"?C=N;O=D\">Name</a></th><th><a href=\"?C=M;O=A\">Last "
        "modified</a></th></tr>\n"
        "<tr><td><a href=\"/\"><img src=\"/icons/back.gif\"></a></td><td><a href=\"/\">Parent</a></td></tr>\n"
        "<tr><td valign=\"top\"><a href=\"f.txt\"><img src=\"/i.gif\" alt=\"[TXT]\"></a></td>\n"
        "<td><a href=\"f.txt\">f.txt</a></td>\n<td align=\"right\">2026-11-22 22:20  </td><td>  6 "
        "</td><td>&nbsp;</td></tr>"
        "<tr><td><a href=\"s/\">s/</a></td><td>2026-11-22 22:20</td><td>  - </td></tr>\n"
        "<tr><td><a href=\"last\">last</a></td></tr></table>\n"
        "<address>Apache/2.4 Server at h 2026-11-22 22:20 Port 8000</address>",
        "f.txt|f|-1|2026-11-22T22:20:00Z\ns|d|0|2026-11-22T22:20:00Z\nlast|f|-1|-\n");
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

static void json_of_nginx_is_listed_exactly(void **state)
{
    assert_lists(
        PAGE, JSON,
        "[\r\n{ \"name\":\"sub\", \"type\":\"directory\", \"mtime\":\"Sun, 22 Nov 2026 22:20:30 GMT\" },\n"
        "{ \"name\":\"a \\\"b\\\"#?é.txt\", \"type\":\"file\", \"mtime\":\"Sun, 22 Nov 2026 22:20:31 GMT\", "
        "\"size\":9007199254740993 },\n{ \"name\":\"pipe\", \"type\":\"other\", \"mtime\":\"x\" },\n"
        "{ \"name\":\"..\", \"type\":\"directory\" },{ \"name\":\"a/b\", \"type\":\"file\" },\n"
        "{ \"name\":\"\", \"type\":\"file\" },{ \"name\":\"n\", \"type\":\"file\", \"size\":-5 }]\n",
        "sub|d|0|2026-11-22T22:20:30Z\na \"b\"#?é.txt|f|9007199254740993|2026-11-22T22:20:31Z\n"
        "pipe|o|-1|-\nn|f|-1|-\n");
    assert_lists(PAGE, JSON, "[]", "");
}

static void json_of_caddy_is_listed_exactly(void **state)
{
    assert_lists(
        PAGE, "application/json; charset=utf-8",
        "[{\"name\":\"s/\",\"size\":4096,\"url\":\"./s/"
        "\",\"mod_time\":\"2026-11-22T22:20:30.5Z\",\"is_dir\":true},"
        "{\"name\":\"f\",\"size\":3,\"url\":\"./f\",\"mod_time\":\"2026-11-22T22:20:30Z\",\"is_dir\":false}]",
        "s|d|0|2026-11-22T22:20:30.5Z\nf|f|3|2026-11-22T22:20:30Z\n");
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
        {JSON, "", -EPROTO},
        {JSON, "{\"name\":\"x\"}", -ENOTSUP},
        {JSON, "[1]", -ENOTSUP},
        {JSON, "[{\"title\":\"x\"}]", -ENOTSUP},
        {JSON, "[{\"name\":\"cut\"", -EPROTO},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct listing listing = {.text = calloc(1, 1 << 16)};
        assert_status(pages[i].status, parse(PAGE, pages[i].type, pages[i].page, 3, &listing));
        assert_int_equal(listing.count, 0);
        assert_string_not_equal(error_text(), "");
        free(listing.text);
    }
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
    char *page = calloc(1, 1 << 16);
    for (int i = 0; i < 1000; i++)
        sprintf(page + strlen(page), "<ul><li><a href=\"f%d\">", i);
    struct listing listing = {.text = calloc(1, 1 << 16)};
    assert_ok(parse(PAGE, HTML, page, 1000, &listing));
    assert_int_equal(listing.count, 1000);
    free(listing.text);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_prints_names_dates_and_exact_sizes),
        cmocka_unit_test(a_rounded_size_is_unknown),
        cmocka_unit_test(tables_list_links_are_told_from_icons_and_footers),
        cmocka_unit_test(only_links_right_below_the_page_are_entries),
        cmocka_unit_test(own_links_may_be_written_in_many_ways),
        cmocka_unit_test(links_are_relative_to_the_base_that_the_page_names),
        cmocka_unit_test(what_is_hidden_in_scripts_and_comments_is_not_listed),
        cmocka_unit_test(a_page_without_own_links_is_an_empty_directory),
        cmocka_unit_test(json_of_nginx_is_listed_exactly),
        cmocka_unit_test(json_of_caddy_is_listed_exactly),
        cmocka_unit_test(what_is_no_index_is_refused),
        cmocka_unit_test(without_a_type_the_first_character_tells),
        cmocka_unit_test(a_hundred_thousand_entries_are_no_trouble),
        cmocka_unit_test(links_that_never_end_are_listed_too),
        cmocka_unit_test(the_first_refusal_stops_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
