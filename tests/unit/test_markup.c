/* SPDX-License-Identifier: Apache-2.0 */
/* What is ours around libxml2: bytes stay what they are, pieces do not matter, and what has no end is no tag. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/markup.h"

/* What came, as text: <name a=[value]>, </name>, and text as it is. */
static int print_start(void *arg, const char *name, const struct markup_attribute *attributes, size_t count)
{
    fprintf(arg, "<%s", name);
    for (size_t i = 0; i < count; i++)
        fprintf(arg, " %s=[%s]", attributes[i].name, attributes[i].value);
    fputs(">", arg);
    return 0;
}

static int print_end(void *arg, const char *name)
{
    fprintf(arg, "</%s>", name);
    return 0;
}

static int print_text(void *arg, const char *text, size_t size)
{
    fwrite(text, 1, size, arg);
    return 0;
}

static int read_page(enum markup_language language, const char *page, size_t size, size_t step, char **text,
                     size_t *text_size)
{
    static const struct markup_handler handler = {print_start, print_end, print_text};
    struct markup *markup;
    FILE *out = open_memstream(text, text_size);
    assert_ok(markup_new(language, &handler, out, &markup));
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = markup_feed(markup, page + at, size - at < step ? size - at : step);
    if (rc == 0)
        rc = markup_finish(markup);
    markup_free(markup);
    fclose(out);
    return rc;
}

/* Whole, and in pieces. */
static void assert_reads_bytes(enum markup_language language, const char *page, size_t size,
                               const char *expected, size_t expected_size)
{
    static const size_t steps[] = {1, 2, 3, 7, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char *text;
        size_t text_size;
        assert_ok(read_page(language, page, size, steps[i], &text, &text_size));
        if (text_size == expected_size)
            assert_memory_equal(text, expected, text_size);
        else
            assert_string_equal(text, expected);
        free(text);
    }
}

static void assert_reads(enum markup_language language, const char *page, const char *expected)
{
    assert_reads_bytes(language, page, strlen(page), expected, strlen(expected));
}

static void tags_and_text_come_in_order(void **state)
{
    assert_reads(MARKUP_HTML, "<html><body>a<B id=1 HREF='x&amp;y'>c</B >d<br/>e</body></html>",
                 "<html><body>a<b id=[1] href=[x&y]>c</b>d<br></br>e</body></html>");
    assert_reads(MARKUP_HTML, "<table><tr><td>1<td>2<tr><td>3</table>",
                 "<html><body><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table></body></html>");
    assert_reads(
        MARKUP_XML,
        "<?xml version=\"1.0\"?>\r\n<D:list xmlns:D='DAV:'><a B='1&lt;'>&amp;x</a><!-- y --></D:list>\r\n",
        "<list><a B=[1<]>&x</a></list>");
    assert_reads(MARKUP_HTML, "", "");
}

static void what_is_no_markup_is_skipped(void **state)
{
    assert_reads(MARKUP_HTML,
                 "<!DOCTYPE html><head><script>'<a href=x>'</script><style><a href=y></style></head><!-- <a "
                 "href=z> -->",
                 "<html><head><script></script><style></style></head></html>");
    assert_reads(MARKUP_HTML, "<p>1 < 2 &unknown; & &#65;&eacute;&nbsp;|</p>",
                 "<html><body><p>1 < 2 &unknown; & A\xc3\xa9\xc2\xa0|</p></body></html>");
}

/* All of them, but what markup itself is made of. */
static void bytes_are_what_they_are(void **state)
{
    for (int xml = 0; xml < 2; xml++) {
        char name[512], page[2048], expected[2048];
        size_t size = 0;
        for (int c = 1; c < 256; c++)
            if (!strchr("<>&\"\n\t", c))
                name[size++] = (char)c;
        name[size] = 0;
        sprintf(page, "<a href=\"%s\">%s</a>", name, name);
        sprintf(expected, xml ? "<a href=[%s]>%s</a>" : "<html><body><a href=[%s]>%s</a></body></html>", name,
                name);
        assert_reads(xml ? MARKUP_XML : MARKUP_HTML, page, expected);
    }
    static const char nul[] = "<p><a href=\"x\0y\">z\0<b>",
                      expected[] = "<html><body><p>z\0<b></b></a></p></body></html>";
    assert_reads_bytes(MARKUP_HTML, nul, sizeof nul - 1, expected, sizeof expected - 1);
}

static void a_cut_tag_is_no_tag(void **state)
{
    static const char page[] = "<p><a href=\"x\">1</a><a href=\"yz\">2</a>";
    static const char without[] = "<html><body><p><a href=[x]>1</a></p></body></html>";
    size_t cut = (size_t)(strstr(page, "z") - page);
    for (; page[cut] != '>'; cut++)
        assert_reads_bytes(MARKUP_HTML, page, cut, without, sizeof without - 1);
}

/* Its pieces are not libxml2's. */
static void a_long_page_comes_alike_in_any_pieces(void **state)
{
    size_t room = 1 << 20, size = 0, first_size = 0;
    char *page = malloc(room), *first = NULL;
    while (size < room - 200)
        size += (size_t)sprintf(
            page + size, "<a href=\"%zu\xc3\xa9&amp;\">\xff &lt;%.*s</a>\n", size, (int)(size % 90),
            "-------------------------------------------------------------------------------------------");
    for (size_t step = 1; step < room * 2; step = step * 5 + 1) {
        char *text;
        size_t text_size;
        assert_ok(read_page(MARKUP_HTML, page, size, step, &text, &text_size));
        if (first) {
            assert_int_equal(text_size, first_size);
            assert_memory_equal(text, first, first_size);
            free(text);
        } else {
            first = text;
            first_size = text_size;
        }
    }
    assert_true(first_size > size / 2);
    free(first);
    free(page);
}

static void assert_endless(enum markup_language language, const char *begin)
{
    size_t size = 12 << 20, at = strlen(begin), text_size;
    char *page = malloc(size), *text;
    memset(page, 'A', size);
    memcpy(page, begin, at);
    assert_status(-EPROTO, read_page(language, page, size, 1 << 16, &text, &text_size));
    free(text);
    free(page);
}

static void what_has_no_end_is_refused(void **state)
{
    assert_endless(MARKUP_HTML, "<p><img src=\"");
    assert_endless(MARKUP_HTML, "<p><!-- ");
    assert_endless(MARKUP_XML, "<list><file name=\"");
}

/* So that a page does not take time that grows with the square of its size. */
static void what_is_too_deep_is_refused(void **state)
{
    size_t count = 200000, text_size;
    char *page = malloc(count * 9), *text;
    for (size_t i = 0; i < count; i++)
        memcpy(page + i * 9, "<div></p>", 9);
    assert_status(-EPROTO, read_page(MARKUP_HTML, page, count * 9, 1 << 16, &text, &text_size));
    free(text);
    free(page);
}

static void broken_xml_is_refused(void **state)
{
    static const char *const pages[] = {"",
                                        "no XML",
                                        "<list>",
                                        "<list></lost>",
                                        "<list/><list/>",
                                        "<list>&unknown;</list>",
                                        "<!DOCTYPE l [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><l>&b;</l>"};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char *text;
        size_t text_size;
        assert_status(-EPROTO, read_page(MARKUP_XML, pages[i], strlen(pages[i]), 3, &text, &text_size));
        free(text);
    }
}

static int refuse(void *arg, const char *name, const struct markup_attribute *attributes, size_t count)
{
    return fail(-7, "enough");
}

static void what_the_handler_says_is_returned(void **state)
{
    static const struct markup_handler handler = {refuse, print_end, print_text};
    for (int xml = 0; xml < 2; xml++) {
        struct markup *markup;
        assert_ok(markup_new(xml ? MARKUP_XML : MARKUP_HTML, &handler, stderr, &markup));
        int rc = markup_feed(markup, "<a></a>", 7);
        assert_status(-7, rc != 0 ? rc : markup_finish(markup));
        markup_free(markup);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_text_come_in_order),
        cmocka_unit_test(what_is_no_markup_is_skipped),
        cmocka_unit_test(bytes_are_what_they_are),
        cmocka_unit_test(a_cut_tag_is_no_tag),
        cmocka_unit_test(a_long_page_comes_alike_in_any_pieces),
        cmocka_unit_test(what_has_no_end_is_refused),
        cmocka_unit_test(what_is_too_deep_is_refused),
        cmocka_unit_test(broken_xml_is_refused),
        cmocka_unit_test(what_the_handler_says_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
