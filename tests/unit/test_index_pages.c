/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directory as every server that is known lists it: nginx 1.22, Apache 2.4, lighttpd 1.4.69, Caddy 2.6, Python 3.11
 * and rclone 1.60 (without styles, scripts and pictures). Their times are those of a server that lives in UTC.
 */
#include "test.h"

#include "index_text.h"

#define LONG_NAME "a_name_that_is_longer_than_the_fifty_characters_that_fit"
#define MINUTE    "|2024-02-29T12:34:00Z\n"
#define SECOND    "|2024-02-29T12:34:56Z\n"
#define NO_TIME   "|-\n"

static void html_of_nginx(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<html>\r\n<head><title>Index of /d/</title></head>\r\n<body>\r\n"
        "<h1>Index of /d/</h1><hr><pre><a href=\"../\">../</a>\r\n"
        "<a href=\"s%20p/\">s p/</a>                                               29-Feb-2024 12:34      "
        "-\r\n"
        "<a href=\"%22%3Cq%3E%22%23%3F%2541\">&quot;&lt;q&gt;&quot;#?%41</a>     29-Feb-2024 12:34      0\r\n"
        "<a href=\"a%20b%26c.txt\">a b&amp;c.txt</a>                               29-Feb-2024 12:34      "
        "6\r\n"
        "<a href=\"" LONG_NAME
        "\">a_name_that_is_longer_than_the_fifty_characters..&gt;</a> 29-Feb-2024 12:34 "
        "      9\r\n"
        "<a href=\"big\">big</a>                                                29-Feb-2024 12:34 "
        "123456789012\r\n"
        "<a href=\"n%0Al\">n\nl</a>                                                29-Feb-2024 12:34   "
        "972\r\n"
        "<a href=\"x%3Ay\">x:y</a>                                                29-Feb-2024 12:34  1024\r\n"
        "<a href=\"%C3%A9\">\xc3\xa9</a>                                         29-Feb-2024 12:34     8\r\n"
        "<a href=\"%FF\">\xff</a>                                                 29-Feb-2024 12:34     7\r\n"
        "</pre><hr></body>\r\n</html>\r\n",
        "s p|d|0" MINUTE "\"<q>\"#?%41|f|0" MINUTE "a b&c.txt|f|6" MINUTE LONG_NAME "|f|9" MINUTE
        "big|f|123456789012" MINUTE "n\nl|f|972" MINUTE "x:y|f|1024" MINUTE "\xc3\xa9|f|8" MINUTE
        "\xff|f|7" MINUTE);
}

/* autoindex_exact_size off */
static void html_of_nginx_with_rounded_sizes(void **state)
{
    assert_lists(PAGE, HTML,
                 "<pre><a href=\"../\">../</a>\r\n"
                 "<a href=\"sub/\">sub/</a>      29-Feb-2024 12:34       -\r\n"
                 "<a href=\"a\">a</a>            29-Feb-2024 12:34     972\r\n"
                 "<a href=\"b\">b</a>            29-Feb-2024 12:34      4K\r\n"
                 "<a href=\"c\">c</a>            29-Feb-2024 12:34      5M\r\n"
                 "</pre>",
                 "sub|d|0" MINUTE "a|f|972" MINUTE "b|f|-1" MINUTE "c|f|-1" MINUTE);
}

#define NGINX_TIME "\"mtime\":\"Thu, 29 Feb 2024 12:34:56 GMT\""
static void json_of_nginx(void **state)
{
    assert_lists(PAGE, JSON,
                 "[\r\n{ \"name\":\"s p\", \"type\":\"directory\", " NGINX_TIME " },\r\n"
                 "{ \"name\":\"\\\"<q>\\\"#?%41\", \"type\":\"file\", " NGINX_TIME ", \"size\":0 },\r\n"
                 "{ \"name\":\"big\", \"type\":\"file\", " NGINX_TIME ", \"size\":9007199254740993 },\r\n"
                 "{ \"name\":\"n\\nl\", \"type\":\"file\", " NGINX_TIME ", \"size\":972 },\r\n"
                 "{ \"name\":\"\\u0001back\\\\slash\", \"type\":\"file\", " NGINX_TIME ", \"size\":1 },\r\n"
                 "{ \"name\":\"pipe\", \"type\":\"other\", " NGINX_TIME " },\r\n"
                 "{ \"name\":\"\xc3\xa9\", \"type\":\"file\", " NGINX_TIME ", \"size\":8 },\r\n"
                 "{ \"name\":\"\xff\", \"type\":\"file\", " NGINX_TIME ", \"size\":7 }\r\n]",
                 "s p|d|0" SECOND "\"<q>\"#?%41|f|0" SECOND "big|f|9007199254740993" SECOND
                 "n\nl|f|972" SECOND "\1back\\slash|f|1" SECOND "pipe|o|-1" SECOND "\xc3\xa9|f|8" SECOND
                 "\xff|f|7" SECOND);
}

#define XML_TIME "mtime=\"2024-02-29T12:34:56Z\""
static void xml_of_nginx(void **state)
{
    assert_lists(PAGE, XML,
                 "<?xml version=\"1.0\"?>\r\n<list>\r\n<directory " XML_TIME ">s p</directory>\r\n"
                 "<file " XML_TIME " size=\"0\">&quot;&lt;q&gt;&quot;#?%41</file>\r\n"
                 "<file " XML_TIME " size=\"6\">a b&amp;c.txt</file>\r\n"
                 "<file " XML_TIME " size=\"123456789012\">big</file>\r\n"
                 "<file " XML_TIME " size=\"972\">n\nl</file>\r\n"
                 "<other " XML_TIME ">pipe</other>\r\n"
                 "<file " XML_TIME " size=\"1\">\1 control</file>\r\n"
                 "<file " XML_TIME " size=\"7\">\xff</file>\r\n</list>\r\n",
                 "s p|d|0" SECOND "\"<q>\"#?%41|f|0" SECOND "a b&c.txt|f|6" SECOND "big|f|123456789012" SECOND
                 "n\nl|f|972" SECOND "pipe|o|-1" SECOND "\1 control|f|1" SECOND "\xff|f|7" SECOND);
}

/* Sizes up to 972 are exact. */
#define APACHE_ROW(link, name, size)                                                                   \
    "<tr><td valign=\"top\">&nbsp;</td><td><a href=\"" link "\">" name "</a></td><td align=\"right\">" \
    "2024-02-29 12:34  </td><td align=\"right\">" size "</td><td>&nbsp;</td></tr>\n"
static void table_of_apache(void **state)
{
    assert_lists(
        PAGE, "text/html;charset=UTF-8",
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\n"
        "<html>\n <head>\n  <title>Index of /d</title>\n </head>\n <body>\n<h1>Index of /d</h1>\n  <table>\n"
        "   <tr><th valign=\"top\">&nbsp;</th><th><a href=\"?C=N;O=D\">Name</a></th><th>"
        "<a href=\"?C=M;O=A\">Last modified</a></th><th><a href=\"?C=S;O=A\">Size</a></th><th>"
        "<a href=\"?C=D;O=A\">Description</a></th></tr>\n   <tr><th colspan=\"5\"><hr></th></tr>\n"
        "<tr><td valign=\"top\">&nbsp;</td><td><a href=\"/\">Parent Directory</a></td><td>&nbsp;</td>"
        "<td align=\"right\">  - </td><td>&nbsp;</td></tr>\n" //
        APACHE_ROW("%22%3cq%3e%22%23%3f%2541", "&quot;&lt;q&gt;&quot;#?%41",
                   "  0 ") APACHE_ROW("a%20b&amp;c.txt", "a b&amp;c.txt", "  6 ")
            APACHE_ROW("big", "big", "4.8M") APACHE_ROW("n%0al", "n\nl", "972 ")
                APACHE_ROW("s%20p/", "s p/", "  - ") APACHE_ROW("./x:y", "x:y", "1.0K") APACHE_ROW(
                    "%ff", "\xff",
                    "  7 ") "   <tr><th colspan=\"5\"><hr></th></tr>\n</table>\n"
                            "<address>Apache/2.4 at h Port 80, 2024-02-29 12:34 5</address></body></html>\n",
        "\"<q>\"#?%41|f|0" MINUTE "a b&c.txt|f|6" MINUTE "big|f|-1" MINUTE "n\nl|f|972" MINUTE
        "s p|d|0" MINUTE "x:y|f|-1" MINUTE "\xff|f|7" MINUTE);
}

/* IndexOptions IconsAreLinks: two links a row, and descriptions, which may be numbers. */
static void table_of_apache_with_icons_and_descriptions(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<table><tr><td valign=\"top\"><a href=\"a\"><img src=\"/i.gif\" alt=\"[   ]\"></a></td><td>"
        "<a href=\"a\">a</a></td><td>2024-02-29 12:34  </td><td>4.8M</td><td>42</td></tr>\n"
        "<tr><td><a href=\"b\"><img src=\"/i.gif\" alt=\"[   ]\"></a></td><td>"
        "<a href=\"b\">b</a></td><td>2024-02-29 12:34  </td><td>  6 </td><td>of 2023</td></tr></table>",
        "a|f|-1" MINUTE "b|f|6" MINUTE);
}

static void lines_of_apache(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<h1>Index of /d</h1>\n<pre>      <a href=\"?C=N;O=D\">Name</a>     <a href=\"?C=M;O=A\">Last "
        "modified</a>      <a href=\"?C=S;O=A\">Size</a>  <a href=\"?C=D;O=A\">Description</a><hr>      "
        "<a href=\"/\">Parent Directory</a>                              -   \n"
        "      <a href=\"a%20b&amp;c.txt\">a b&amp;c.txt</a>        2024-02-29 12:34    6   \n"
        "      <a href=\"" LONG_NAME "\">a_name_that_is_longer_th..&gt;</a> 2024-02-29 12:34    9   \n"
        "      <a href=\"big\">big</a>                      2024-02-29 12:34  4.8M  \n"
        "      <a href=\"n%0al\">n\nl</a>                      2024-02-29 12:34  972   \n"
        "      <a href=\"s%20p/\">s p/</a>                     2024-02-29 12:34    -   \n"
        "      <a href=\"told\">told</a>                     2024-02-29 12:34    6  KB of what is told\n"
        "<hr></pre>\n</body></html>\n",
        "a b&c.txt|f|6" MINUTE LONG_NAME "|f|9" MINUTE "big|f|-1" MINUTE "n\nl|f|972" MINUTE "s p|d|0" MINUTE
        "told|f|-1" MINUTE);
}

/* IndexOptions -FancyIndexing; and Python's http.server, which has no sizes and times either. */
static void lists_of_apache_and_of_python(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<h1>Index of /d</h1>\n<ul><li><a href=\"/\"> Parent Directory</a></li>\n"
        "<li><a href=\"a%20b&amp;c.txt\"> a b&amp;c.txt</a></li>\n<li><a href=\"s%20p/\"> s p/</a></li>\n"
        "<li><a href=\"./x:y\"> x:y</a></li>\n<li><a href=\"%ff\"> \xff</a></li>\n</ul>\n",
        "a b&c.txt|f|-1" NO_TIME "s p|d|0" NO_TIME "x:y|f|-1" NO_TIME "\xff|f|-1" NO_TIME);
    assert_lists(
        PAGE, "text/html; charset=utf-8",
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Directory listing "
        "for /d/</title>\n</head>\n<body>\n<h1>Directory listing for /d/</h1>\n<hr>\n<ul>\n"
        "<li><a href=\"%22%3Cq%3E%22%23%3F%2541\">\"&lt;q&gt;\"#?%41</a></li>\n"
        "<li><a href=\"link\">link@</a></li>\n<li><a href=\"n%0Al\">n\nl</a></li>\n"
        "<li><a href=\"s%20p/\">s p/</a></li>\n<li><a href=\"x%3Ay\">x:y</a></li>\n</ul>\n<hr>\n",
        "\"<q>\"#?%41|f|-1" NO_TIME "link|f|-1" NO_TIME "n\nl|f|-1" NO_TIME "s p|d|0" NO_TIME
        "x:y|f|-1" NO_TIME);
}

/* Sizes are rounded also below 1K. */
#define LIGHTTPD_ROW(link, name, size, type)                                                     \
    "<tr><td class=\"n\"><a href=\"" link "\">" name "</td><td class=\"m\">2024-Feb-29 12:34:56" \
    "</td><td class=\"s\">" size "</td><td class=\"t\">" type "</td></tr>\n"
static void table_of_lighttpd(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<h2>Index of /d/</h2>\n<div class=\"list\">\n<table summary=\"Directory Listing\">\n"
        "<thead><tr><th class=\"n\">Name</th><th class=\"m\">Last Modified</th><th class=\"s\">Size</th>"
        "<th class=\"t\">Type</th></tr></thead>\n<tbody>\n"
        "<tr class=\"d\"><td class=\"n\"><a href=\"../\">..</a>/</td><td class=\"m\">&nbsp;</td>"
        "<td class=\"s\">- &nbsp;</td><td class=\"t\">Directory</td></tr>\n" //
        LIGHTTPD_ROW("s%20p/", "s p</a>/", "- &nbsp;", "Directory")
            LIGHTTPD_ROW("a%20b%26c.txt", "a b&#x26;c.txt</a>", "0.1K", "text/plain")
                LIGHTTPD_ROW("big", "big</a>", "4.7M", "application/octet-stream")
                    LIGHTTPD_ROW("n%0Al", "n&#x0A;l</a>", "0.9K", "application/octet-stream") LIGHTTPD_ROW(
                        "%FF", "\xff</a>", "0.1K",
                        "application/octet-stream") "</tbody>\n</table>\n</div>\n<div "
                                                    "class=\"foot\">lighttpd/1.4.69</div>\n"
                                                    "<script type=\"text/javascript\">\n// <!--\nvar x = "
                                                    "\"<a href='y'>y</a>\";\n// -->\n</script>",
        "s p|d|0" SECOND "a b&c.txt|f|-1" SECOND "big|f|-1" SECOND "n\nl|f|-1" SECOND "\xff|f|-1" SECOND);
}

static void html_of_caddy(void **state)
{
    assert_lists(
        PAGE, "text/html; charset=utf-8",
        "<header><h1><a href=\"..\">/</a><a "
        "href=\"\">d</a></h1></header><main><table><thead><tr><th></th><th>"
        "<a href=\"?sort=namedirfirst&order=desc\" class=\"icon\"><svg><use "
        "xlink:href=\"#up-arrow\"></use></svg>"
        "</a><a\n href=\"?sort=name&order=asc\">Name</a></th></tr></thead><tbody>\n"
        "<tr class=\"file\"><td></td><td>\n<a href=\"./s%20p/\"><svg><use "
        "xlink:href=\"#folder\"></use></svg>\n"
        "<span class=\"name\">s p/</span>\n</a></td>\n<td data-order=\"-1\">&mdash;</td>\n<td "
        "class=\"hideable\">"
        "<time datetime=\" 2024-02-29T12:34:56Z\">02/29/2024 12:34:56 PM +00:00</time></td><td></td></tr>\n"
        "<tr class=\"file\"><td></td><td>\n<a href=\"./a%20b&amp;c.txt\"><svg></svg>\n"
        "<span class=\"name\">a b&amp;c.txt</span>\n</a></td>\n<td data-order=\"6\">6 B</td>\n<td>"
        "<time datetime=\" 2024-02-29T12:34:56Z\">02/29/2024 12:34:56 PM +00:00</time></td><td></td></tr>\n"
        "<tr class=\"file\"><td></td><td>\n<a href=\"./x:y\"><span class=\"name\">x:y</span>\n</a></td>\n"
        "<td data-order=\"5000001\">4.8 MiB</td>\n<td><time datetime=\" 2024-02-29T12:34:56Z\">"
        "02/29/2024 12:34:56 PM +00:00</time></td><td></td></tr>\n"
        "<tr class=\"file\"><td></td><td>\n<a href=\"./%FF\"><span class=\"name\">\xff</span></a></td>\n"
        "<td data-order=\"7\">7 B</td>\n<td></td><td></td></tr>\n</tbody></table></main>",
        "s p|d|0" SECOND "a b&c.txt|f|6" SECOND "x:y|f|5000001" SECOND "\xff|f|7" NO_TIME);
}

static void json_of_caddy(void **state)
{
    assert_lists(
        PAGE, "application/json; charset=utf-8",
        "[{\"name\":\"s p/\",\"size\":4096,\"url\":\"./s%20p/\",\"mod_time\":\"2024-02-29T12:34:56Z\","
        "\"mode\":2147484141,\"is_dir\":true,\"is_symlink\":false},{\"name\":\"a "
        "b\\u0026\\u003cc\",\"size\":6,"
        "\"url\":\"./a%20b\\u0026%3Cc\",\"mod_time\":\"2024-02-29T12:34:56.123456789Z\",\"mode\":420,"
        "\"is_dir\":false,\"is_symlink\":false},{\"name\":\"x:y\",\"size\":7,\"url\":\"./x:y\","
        "\"mod_time\":\"2024-02-29T12:34:56Z\",\"mode\":420,\"is_dir\":false,\"is_symlink\":false},"
        "{\"name\":\"\\ufffd\",\"size\":8,\"url\":\"./"
        "%FF\",\"mod_time\":\"2024-02-29T12:34:56Z\",\"mode\":420,"
        "\"is_dir\":false,\"is_symlink\":false}]",
        "s p|d|0" SECOND "a b&<c|f|6|2024-02-29T12:34:56.123456789Z\n"
        "x:y|f|7" SECOND "\xff|f|8" SECOND);
}

static void html_of_rclone(void **state)
{
    assert_lists(
        PAGE, HTML,
        "<header><h1><a href=\"../\">/</a><a href=\"\">d</a></h1></header><table><tbody><tr><td></td><td>"
        "<a href=\"..\"><span class=\"goup\">Go up</span></a></td><td>&mdash;</td><td>&mdash;</td></tr>\n"
        "<tr class=\"file\"><td></td><td><svg><use xlink:href=\"#folder\"></use></svg>"
        "<span class=\"name\"><a href=\"s%20p/\">s p/</a></span></td><td data-order=\"-1\">&mdash;</td>"
        "<td><time datetime=\"2024-02-29 21:34:56 &#43;0900 JST\">2024-02-29 21:34:56 &#43;0900 "
        "JST</time></td>"
        "<td></td></tr>\n<tr class=\"file\"><td></td><td><svg></svg><span class=\"name\">"
        "<a href=\"a%20b&amp;c.txt\">a b&amp;c.txt</a></span></td><td data-order=\"6\"><size>6</size></td>"
        "<td><time datetime=\"2024-02-29 12:34:56.5 &#43;0000 UTC\">2024-02-29 12:34:56.5 &#43;0000 "
        "UTC</time>"
        "</td><td></td></tr>\n</tbody></table>",
        "s p|d|0" SECOND "a b&c.txt|f|6|2024-02-29T12:34:56.5Z\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html_of_nginx),     cmocka_unit_test(html_of_nginx_with_rounded_sizes),
        cmocka_unit_test(json_of_nginx),     cmocka_unit_test(xml_of_nginx),
        cmocka_unit_test(table_of_apache),   cmocka_unit_test(table_of_apache_with_icons_and_descriptions),
        cmocka_unit_test(lines_of_apache),   cmocka_unit_test(lists_of_apache_and_of_python),
        cmocka_unit_test(table_of_lighttpd), cmocka_unit_test(html_of_caddy),
        cmocka_unit_test(json_of_caddy),     cmocka_unit_test(html_of_rclone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
