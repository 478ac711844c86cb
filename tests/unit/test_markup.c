/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

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

static void assert_page(const char *page, size_t size, size_t step, const char *expected)
{
    static const struct markup_handler handler = {print_start, print_end, print_text};
    struct markup *markup;
    char *text;
    size_t text_size;
    FILE *out = open_memstream(&text, &text_size);
    assert_ok(markup_new(&handler, out, &markup));
    for (size_t at = 0; at < size; at += step)
        assert_ok(markup_feed(markup, page + at, size - at < step ? size - at : step));
    markup_free(markup);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

/* Whole, and in pieces. */
static void assert_reads(const char *page, const char *expected)
{
    for (size_t step = 1; step < 8; step++)
        assert_page(page, strlen(page), step, expected);
    assert_page(page, strlen(page), 1 << 20, expected);
}

static void tags_and_text_come_in_order(void **state)
{
    assert_reads("a<B>c</B >d<br/>e", "a<b>c</b>d<br>e");
    assert_reads("<a><b></b", "<a><b>");
    assert_reads("", "");
}

static void attributes_are_read_in_every_notation(void **state)
{
    assert_reads("<a HREF=x>", "<a href=[x]>");
    assert_reads("<a href = 'x y' id=\"z\">", "<a href=[x y] id=[z]>");
    assert_reads("<a href='x'id=y>", "<a href=[x] id=[y]>");
    assert_reads("<a b/c d = e>", "<a b=[] c=[] d=[e]>");
    assert_reads("<a href=/b/>", "<a href=[/b/]>");
    assert_reads("<a href=\"a>b\" x='<'>", "<a href=[a>b] x=[<]>");
    assert_reads("<a title=it's href=y>", "<a title=[it's] href=[y]>");
    assert_reads("<a href=>", "<a href=[]>");
    assert_reads("<a\thref\n=\n\"x\ny\">", "<a href=[x\ny]>");
    assert_reads("<a =b c>", "<a =b=[] c=[]>");
}

static void references_are_resolved(void **state)
{
    assert_reads("&lt;&gt;&amp;&quot;&apos;&#39;&#x26;&#X41;&eacute;&nbsp;|&euro;&#x1F600;",
                 "<>&\"''&A\xc3\xa9\xc2\xa0|\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_reads("&lt &ampx; &unknown; &; & &#; &#x; &#xg; &#12a;",
                 "< &ampx; &unknown; &; & &#; &#x; &#xg; &#12a;");
    assert_reads("&#0;&#xd800;&#x110000;&#99999999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_reads("<a href='?a=1&amp;b=2&copy=3&lt;&#37;'>", "<a href=[?a=1&b=2&copy=3<%]>");
    assert_reads("<a href=a&b&copy>", "<a href=[a&b\xc2\xa9]>");
    assert_reads("&&lt;<a>&lt", "&<<a>");
}

static void what_is_no_tag_is_text(void **state)
{
    assert_reads("1 < 2 <3 <<a>", "1 < 2 <3 <<a>");
    assert_reads("a > b", "a > b");
}

static void comments_and_declarations_are_skipped(void **state)
{
    assert_reads("a<!-- <b> -- > --->c", "ac");
    assert_reads("a<!-->b<!--->c<!---->d<!-- x --!>e", "abcde");
    assert_reads("<!DOCTYPE html><?xml version=\"1.0\"?>x<![CDATA[y]]>z", "xz");
    assert_reads("<!-x-><a>", "<a>");
    assert_reads("a<!-- <b>", "a");
}

static void scripts_are_no_markup(void **state)
{
    assert_reads("<script>if (a<b) '<a href=x>' + \"</scrip\" + '</scripts>'</SCRIPT >y",
                 "<script></script>y");
    assert_reads("<style>a</style><title><b></title><textarea></a></textarea>z",
                 "<style></style><title></title><textarea></textarea>z");
    assert_reads("<script><</script>z", "<script></script>z");
    assert_reads("<script></</script/>z", "<script></script>z");
    assert_reads("<script>never closed <a>", "<script>");
}

static void bytes_are_what_they_are(void **state)
{
    assert_reads("<a href=\"\xff\xc3\xa9\">\xfe</a>", "<a href=[\xff\xc3\xa9]>\xfe</a>");
    static const char nul[] = "<a href=\"x\0y\">z<b>";
    assert_page(nul, sizeof nul - 1, 1, "z<b>");
}

/* Of a tag that is longer than anybody needs, what fits is read. */
static void a_huge_attribute_is_left_out(void **state)
{
    size_t size = 200000;
    char *page = malloc(size + 100);
    static const char *const quotes[] = {"\"", "'", ""};
    for (size_t i = 0; i < 3; i++) {
        sprintf(page, "<img alt=x src=%s", quotes[i]);
        size_t at = strlen(page);
        memset(page + at, 'A', size);
        sprintf(page + at + size, "%s id=y><a href=z>", quotes[i]);
        assert_page(page, strlen(page), 1000, "<img alt=[x]><a href=[z]>");
    }
    free(page);
}

static int refuse(void *arg, const char *name, const struct markup_attribute *attributes, size_t count)
{
    return fail(-7, "enough");
}

static void what_the_handler_says_is_returned(void **state)
{
    static const struct markup_handler handler = {refuse, print_end, print_text};
    struct markup *markup;
    assert_ok(markup_new(&handler, stderr, &markup));
    assert_int_equal(markup_feed(markup, "<a></a>x", 8), -7);
    markup_free(markup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_text_come_in_order),
        cmocka_unit_test(attributes_are_read_in_every_notation),
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(what_is_no_tag_is_text),
        cmocka_unit_test(comments_and_declarations_are_skipped),
        cmocka_unit_test(scripts_are_no_markup),
        cmocka_unit_test(bytes_are_what_they_are),
        cmocka_unit_test(a_huge_attribute_is_left_out),
        cmocka_unit_test(what_the_handler_says_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
