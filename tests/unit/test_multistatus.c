/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "net/multistatus.h"

#define URL "http://h/dav/ms/"

/* What is told, as text: "path type size mtime created etag status" a line. */
struct told {
    char *text;
    size_t size, count;
    int stop_at; /* the entry that the caller wants no more after; 0: none */
};

static void print_time(FILE *out, int64_t time_ns)
{
    char time[TEXT_TIME_SIZE] = "-";
    if (time_ns)
        format_rfc3339(time_ns, time);
    fprintf(out, "|%s", time);
}

static int tell(void *arg, const struct multistatus_entry *entry)
{
    struct told *told = arg;
    if (told->count++ >= 100) /* counted, but not told */
        return 0;
    FILE *out = fmemopen(told->text + told->size, (1 << 16) - told->size, "w");
    fprintf(out, "%s|%c|%lld", entry->path ? entry->path : "?", entry->collection ? 'd' : 'f',
            (long long)entry->size);
    print_time(out, entry->mtime_ns);
    print_time(out, entry->created_ns);
    fprintf(out, "|%s|%d\n", entry->etag ? entry->etag : "-", entry->status);
    told->size += (size_t)ftell(out);
    fclose(out);
    return (int)told->count == told->stop_at ? -ECANCELED : 0;
}

static int parse(const char *url, const char *xml, size_t size, size_t step, struct told *told)
{
    struct multistatus *parser;
    int rc = multistatus_new(url, tell, told, &parser);
    assert_ok(rc);
    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = multistatus_feed(parser, xml + at, size - at < step ? size - at : step);
    if (rc == 0)
        rc = multistatus_finish(parser);
    multistatus_free(parser);
    return rc;
}

/* Whole, and byte by byte: the pieces in which it comes must not matter. */
static void assert_tells_of(const char *url, const char *xml, const char *expected)
{
    static const size_t steps[] = {1 << 20, 1, 7};
    for (size_t i = 0; i < 3; i++) {
        struct told told = {.text = calloc(1, 1 << 16)};
        assert_ok(parse(url, xml, strlen(xml), steps[i], &told));
        assert_string_equal(told.text, expected);
        free(told.text);
    }
}

#define assert_tells(xml, expected) assert_tells_of(URL, xml, expected)

static void assert_refused(const char *xml, const char *why)
{
    static const size_t steps[] = {1 << 20, 1};
    for (size_t i = 0; i < 2; i++) {
        struct told told = {.text = calloc(1, 1 << 16)};
        assert_status(-EPROTO, parse(URL, xml, strlen(xml), steps[i], &told));
        if (!strstr(error_text(), why))
            fail_msg("\"%s\" does not speak of %s", error_text(), why);
        free(told.text);
    }
}

/* A response of `href` and what else it says. */
#define RESPONSE(href, rest) "<D:response><D:href>" href "</D:href>" rest "</D:response>"
#define FOUND(props)         "<D:propstat><D:prop>" props "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
#define LACKS(props) \
    "<D:propstat><D:prop>" props "</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"
#define ALL(responses)                                                                         \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n" responses \
    "</D:multistatus>\n"

/* ---- servers ---- */

static void nginx_tells_no_etag(void **state)
{
    assert_tells(
        ALL(RESPONSE("/dav/ms/",
                     "\n<D:propstat>\n<D:prop>\n<D:getlastmodified>Wed, 25 Nov 2026 01:27:21 "
                     "GMT</D:getlastmodified>\n<D:resourcetype><D:collection/></D:resourcetype>\n</D:prop>\n"
                     "<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n")
                RESPONSE("/dav/ms/a%20b&amp;c",
                         FOUND("<D:getcontentlength>3</D:getcontentlength>"
                               "<D:getlastmodified>Wed, 25 Nov 2026 01:27:21 GMT</D:getlastmodified>"
                               "<D:resourcetype></D:resourcetype>"))),
        "dav/ms|d|-1|2026-11-25T01:27:21Z|-|-|0\n"
        "dav/ms/a b&c|f|3|2026-11-25T01:27:21Z|-|-|0\n");
}

static void apache_has_one_namespace_under_many_names(void **state)
{
    assert_tells(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\" xmlns:ns0=\"DAV:\">\n"
        "<D:response xmlns:lp1=\"DAV:\" xmlns:lp2=\"http://apache.org/dav/props/\" xmlns:g0=\"DAV:\">\n"
        "<D:href>/dav/ms/</D:href>\n<D:propstat>\n<D:prop>\n"
        "<lp1:resourcetype><D:collection/></lp1:resourcetype>\n"
        "<lp1:getlastmodified>Wed, 25 Nov 2026 01:27:21 GMT</lp1:getlastmodified>\n"
        "<lp1:creationdate>2026-11-24T01:27:21Z</lp1:creationdate>\n"
        "<lp1:getetag>W/\"1000-6610fba7dc5c7\"</lp1:getetag>\n"
        "<lp2:getcontentlength>7</lp2:getcontentlength>\n</D:prop>\n"
        "<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n<D:propstat>\n<D:prop>\n"
        "<g0:getcontentlength/>\n</D:prop>\n<D:status>HTTP/1.1 404 Not Found</D:status>\n</D:propstat>\n"
        "</D:response>\n</D:multistatus>\n",
        "dav/ms|d|-1|2026-11-25T01:27:21Z|2026-11-24T01:27:21Z|W/\"1000-6610fba7dc5c7\"|0\n");
}

static void rclone_fills_in_what_it_lacks_with_nothing(void **state)
{
    assert_tells(ALL(RESPONSE("/ms/",
                              FOUND("<D:resourcetype><D:collection xmlns:D=\"DAV:\"/></D:resourcetype>")
                                  LACKS("<D:getcontentlength></D:getcontentlength><D:getetag></D:getetag>"))
                         RESPONSE("/ms/a", FOUND("<D:getetag>\"18eb\"</D:getetag>"
                                                 "<D:getcontentlength>12</D:getcontentlength>"
                                                 "<D:resourcetype/>"))),
                 "ms|d|-1|-|-|-|0\nms/a|f|12|-|-|\"18eb\"|0\n");
}

/* ---- elements ---- */

static void the_default_namespace_is_one(void **state)
{
    assert_tells("<multistatus xmlns=\"DAV:\"><response><href>/a</href><propstat><prop><resourcetype/>"
                 "<getcontentlength>5</getcontentlength></prop></propstat></response></multistatus>",
                 "a|f|5|-|-|-|0\n");
}

static void only_what_is_of_the_namespace_counts(void **state)
{
    assert_tells(
        "<x:multistatus xmlns:x=\"DAV:\" xmlns:y=\"other:\"><x:response><y:href>/no</y:href>"
        "<x:href>/a</x:href><x:propstat><x:prop><y:getcontentlength>5</y:getcontentlength>"
        "<x:resourcetype><y:collection/></x:resourcetype><undeclared:getetag>\"1\"</undeclared:getetag>"
        "</x:prop></x:propstat></x:response></x:multistatus>",
        "a|f|-1|-|-|-|0\n");
}

static void what_stands_elsewhere_does_not_count(void **state)
{
    assert_tells(
        ALL(RESPONSE(
            "/a",
            FOUND("<D:lockdiscovery><D:activelock><D:lockroot><D:href>/b</D:href></D:lockroot>"
                  "<D:getcontentlength>9</D:getcontentlength></D:activelock></D:lockdiscovery>"
                  "<D:getcontentlength>5</D:getcontentlength>"
                  "<D:owner><D:collection/></D:owner>")) "<D:responsedescription>/c</D:responsedescription>"),
        "a|f|5|-|-|-|0\n");
}

static void what_is_not_found_is_not_told(void **state)
{
    assert_tells(ALL(RESPONSE("/a",
                              LACKS("<D:getcontentlength>5</D:getcontentlength><D:getetag>\"1\"</D:getetag>"
                                    "<D:resourcetype><D:collection/></D:resourcetype>")
                                  FOUND("<D:getlastmodified>2026-11-25T01:27:21Z</D:getlastmodified>"))),
                 "a|f|-1|2026-11-25T01:27:21Z|-|-|0\n");
}

static void a_response_may_have_a_status_of_its_own(void **state)
{
    assert_tells(ALL(RESPONSE("/a/locked", "<D:status>HTTP/1.1 423 Locked</D:status>")
                         RESPONSE("/a/b", "<D:href>/a/c</D:href><D:status> HTTP/2 403</D:status>")),
                 "a/locked|f|-1|-|-|-|423\na/b|f|-1|-|-|-|403\n");
}

static void values_that_are_none_are_unknown(void **state)
{
    assert_tells(ALL(RESPONSE("/a",
                              FOUND("<D:getcontentlength>-5</D:getcontentlength><D:getetag>bare</D:getetag>"
                                    "<D:getlastmodified>yesterday</D:getlastmodified>"))
                         RESPONSE("/b", FOUND("<D:getcontentlength>99999999999999999999</D:getcontentlength>"
                                              "<D:getetag>W/</D:getetag>"))
                             RESPONSE("/c", FOUND("<D:getcontentlength>\n 7\t</D:getcontentlength>"
                                                  "<D:getetag> \"x&quot;y\" </D:getetag>"))),
                 "a|f|-1|-|-|-|0\nb|f|-1|-|-|-|0\nc|f|7|-|-|\"x\"y\"|0\n");
}

/* ---- hrefs ---- */

static void an_href_is_a_path_or_a_url(void **state)
{
    assert_tells(ALL(RESPONSE("\n  /a/b/\n", "") RESPONSE("https://inside.example:8443/a/c%2Bd?x#y", "")
                         RESPONSE("rel", "") RESPONSE("//other/a/e", "") RESPONSE("/", "")
                             RESPONSE("http://h", "")),
                 "a/b|f|-1|-|-|-|0\na/c+d|f|-1|-|-|-|0\ndav/ms/rel|f|-1|-|-|-|0\na/e|f|-1|-|-|-|0\n"
                 "|f|-1|-|-|-|0\n|f|-1|-|-|-|0\n");
}

static void an_href_is_decoded_once(void **state)
{
    assert_tells(ALL(RESPONSE("/%25%34%31", "") RESPONSE("/%c3%bc", "") RESPONSE("/\xc3\xbc", "")
                         RESPONSE("/&#x41;&amp;&lt;", "") RESPONSE("/100%", "")
                             RESPONSE("/<![CDATA[<a&b>]]>", "")),
                 "%41|f|-1|-|-|-|0\n\xc3\xbc|f|-1|-|-|-|0\n\xc3\xbc|f|-1|-|-|-|0\nA&<|f|-1|-|-|-|0\n"
                 "100%|f|-1|-|-|-|0\n<a&b>|f|-1|-|-|-|0\n");
}

/* They would lead out of the directory, or mean another; but something is there. */
static void what_no_path_can_say_is_told_without_a_name(void **state)
{
    assert_tells(ALL(RESPONSE("/a%2Fb", "") RESPONSE("/a/../../etc", "") RESPONSE("/a//b", "")
                         RESPONSE("/a/%2e%2e", "") RESPONSE("/a%00b", "") RESPONSE("/ok", "")),
                 "?|f|-1|-|-|-|0\n?|f|-1|-|-|-|0\n?|f|-1|-|-|-|0\n?|f|-1|-|-|-|0\n?|f|-1|-|-|-|0\n"
                 "ok|f|-1|-|-|-|0\n");
}

/* ---- what is none ---- */

static void broken_xml_is_refused(void **state)
{
    assert_refused("", "broken multistatus");
    assert_refused("<html><body>502</body></html>", "no multistatus");
    assert_refused("<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/a</D:href>",
                   "broken multistatus: line 1");
    assert_refused("<multistatus/>", "no multistatus");
    assert_refused("{\"error\": 1}", "broken multistatus");
    assert_refused(ALL(RESPONSE("/a&nbsp;b", "")), "broken multistatus");
}

static void entities_and_document_types_are_refused(void **state)
{
    assert_refused(
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"
        "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/&b;</D:href></D:response></D:multistatus>",
        "document type");
    assert_refused("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>", "document type");
}

static void a_text_without_end_is_refused(void **state)
{
    size_t size = 200 << 10;
    char *xml = malloc(size + 1);
    struct told told = {.text = calloc(1, 1 << 16)};
    memset(xml, 'a', size);
    memcpy(xml, "<m:multistatus xmlns:m='DAV:'><m:response><m:href>/", 51);
    assert_status(-EPROTO, parse(URL, xml, size, 4096, &told));
    assert_non_null(strstr(error_text(), "65536 bytes"));
    free(told.text);
    free(xml);
}

static void the_caller_may_stop(void **state)
{
    const char *xml = ALL(RESPONSE("/a", "") RESPONSE("/b", "") RESPONSE("/c", ""));
    struct told told = {.text = calloc(1, 1 << 16), .stop_at = 2};
    assert_status(-ECANCELED, parse(URL, xml, strlen(xml), 1 << 20, &told));
    assert_string_equal(told.text, "a|f|-1|-|-|-|0\nb|f|-1|-|-|-|0\n");
    free(told.text);
}

static void a_hundred_thousand_responses(void **state)
{
    struct told told = {.text = calloc(1, 1 << 16)};
    char *xml = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&xml, &size);
    fprintf(out, "<D:multistatus xmlns:D=\"DAV:\">");
    for (int i = 0; i < 100000; i++)
        fprintf(out, RESPONSE("/d/%d", FOUND("<D:getcontentlength>%d</D:getcontentlength>")), i, i);
    fprintf(out, "</D:multistatus>");
    fclose(out);
    assert_ok(parse(URL, xml, size, 1 << 16, &told));
    assert_int_equal(told.count, 100000);
    free(told.text);
    free(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_tells_no_etag),
        cmocka_unit_test(apache_has_one_namespace_under_many_names),
        cmocka_unit_test(rclone_fills_in_what_it_lacks_with_nothing),
        cmocka_unit_test(the_default_namespace_is_one),
        cmocka_unit_test(only_what_is_of_the_namespace_counts),
        cmocka_unit_test(what_stands_elsewhere_does_not_count),
        cmocka_unit_test(what_is_not_found_is_not_told),
        cmocka_unit_test(a_response_may_have_a_status_of_its_own),
        cmocka_unit_test(values_that_are_none_are_unknown),
        cmocka_unit_test(an_href_is_a_path_or_a_url),
        cmocka_unit_test(an_href_is_decoded_once),
        cmocka_unit_test(what_no_path_can_say_is_told_without_a_name),
        cmocka_unit_test(broken_xml_is_refused),
        cmocka_unit_test(entities_and_document_types_are_refused),
        cmocka_unit_test(a_text_without_end_is_refused),
        cmocka_unit_test(the_caller_may_stop),
        cmocka_unit_test(a_hundred_thousand_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
