/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HIDDEN_H
#define NET_HIDDEN_H
/*
 * Names of any bytes through libraries that know characters only.
 *
 * Servers print names as they are in markup and JSON, also where they are no UTF-8 or hold control characters; libxml2 and
 * jansson refuse a whole page for one of them, or convert it. So each byte that is not plain ASCII goes through them as a
 * character of its own, U+100000 and the byte, of an area that nobody uses, and is that byte again behind them.
 */
#include "base/buffer.h"

/* `returns`: carriage returns too, which XML takes for newlines. */
int hidden_add(struct buffer *out, const char *data, size_t size, bool returns);
/* In place; returns the new size. */
size_t hidden_restore(char *text, size_t size);

#endif
