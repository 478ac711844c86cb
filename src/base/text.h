/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
/*
 * Numbers and dates as people and protocols write them. Every parser takes all of `text` or fails with
 * -EINVAL (no text: the caller knows what it stood for), and none depends on the locale or the time zone;
 * letters are of either case. Times are ns since 1970, UTC; a date beyond what they can tell (1678 to 2261)
 * is the nearest that they can.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int parse_i64(const char *text, int64_t *out);   /* [+-]digits */
int parse_size(const char *text, uint64_t *out); /* bytes, with K M G T (1024) or KiB, MiB, … behind */
/* ms, rounded up: "1.5" is seconds; units ms s m h d. Never negative. */
int parse_duration(const char *text, int64_t *out);
int parse_lifetime(const char *text, int64_t *out);  /* the same, or "forever": INT64_MAX */
int parse_hex(const char *text, unsigned *out);      /* digits of base 16, up to 8 */
int parse_bool(const char *text, bool *out);         /* true false yes no on off 1 0 */
int parse_http_date(const char *text, int64_t *out); /* RFC 9110 §5.6.7, all three forms */
int parse_rfc3339(const char *text, int64_t *out);
/* As pages print it, "DAY TIME[ ZONE]", in UTC where no zone is named: "22-Nov-2026", "2026-Nov-22" or "2026-11-22",
 * "22:20[:30[.5]]", and "UTC", "GMT" or "+0200". */
int parse_index_date(const char *text, int64_t *out);

#define TEXT_TIME_SIZE 40
/* 2026-11-22T22:20:30Z, with a fraction if any */
void format_rfc3339(int64_t time_ns, char out[TEXT_TIME_SIZE]);
/* Sun, 22 Nov 2026 22:20:30 GMT */
void format_http_date(int64_t time_ns, char out[TEXT_TIME_SIZE]);

bool text_equal(const char *a, const char *b); /* but for the case of ASCII letters */
/* The bytes of a code point, and how many they are. What is none is U+FFFD. */
size_t utf8_put(uint32_t point, char out[4]);
/* The greatest size up to `size` at which no UTF-8 character of `text` is cut in two. */
size_t text_cut(const char *text, size_t size);

#endif
