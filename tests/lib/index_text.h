/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_INDEX_TEXT_H
#define TESTS_INDEX_TEXT_H
/* What a page lists, as text: "NAME|TYPE|SIZE|TIME" a line, with type f, d or o, size -1 and time - when unknown. */
#include <stddef.h>

/* The status of parsing `page`, which comes in pieces of `step` bytes; *text (freed with free) is what was listed. */
int index_text(const char *url, const char *type, const char *page, size_t step, char **text);
/* Lists exactly `expected`, in whatever pieces it comes. */
void assert_lists(const char *url, const char *type, const char *page, const char *expected);

#define HTML "text/html"
#define JSON "application/json"
#define XML  "text/xml; charset=utf-8"
#define PAGE "http://h/d/"

#endif
