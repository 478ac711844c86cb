/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

/*
 * May stand for itself in a path. Of what RFC 3986 §3.3 lets pass, "+" is left out since some servers read it
 * as a space, and ";" since some cut the path there.
 */
static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~/!$&'()*,:=@", c));
}

char *url_encode_path(const char *path)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 1;
    for (const char *at = path; *at; at++)
        size += is_plain((unsigned char)*at) ? 1 : 3;
    char *text = mem_alloc(size);
    if (!text)
        return NULL;
    char *end = text;
    for (const char *at = path; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (is_plain(c)) {
            *end++ = *at;
        } else {
            *end++ = '%';
            *end++ = digits[c >> 4];
            *end++ = digits[c & 15];
        }
    }
    *end = 0;
    return text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int url_decode_path(const char *text, size_t size, char **out)
{
    autofree char *path = mem_alloc(size + 1);
    if (!path)
        return fail_memory();
    char *end = path;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return fail(-EINVAL, "%.*s: broken percent-encoding", (int)size, text);
            c = (char)(high << 4 | low);
            if (c == '/')
                return fail(-EINVAL, "%.*s: an encoded slash in a name", (int)size, text);
            i += 2;
        }
        if (!c)
            return fail(-EINVAL, "%.*s: a NUL byte in a path", (int)size, text);
        *end++ = c;
    }
    *end = 0;
    *out = take(path);
    return 0;
}
