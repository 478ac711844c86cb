/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <errno.h>
#include <stdint.h>
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

static char *put_byte(char *end, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_plain(c)) {
        *end++ = (char)c;
    } else {
        *end++ = '%';
        *end++ = digits[c >> 4];
        *end++ = digits[c & 15];
    }
    return end;
}

char *url_encode_path(const char *path)
{
    size_t size = 1;
    for (const char *at = path; *at; at++)
        size += is_plain((unsigned char)*at) ? 1 : 3;
    char *text = mem_alloc(size);
    if (!text)
        return NULL;
    char *end = text;
    for (const char *at = path; *at; at++)
        end = put_byte(end, (unsigned char)*at);
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

/* The byte that "%XX" at `text` is; -1: it is broken. */
static int decode_byte(const char *text, size_t size)
{
    int high = size > 2 ? hex_digit(text[1]) : -1, low = size > 2 ? hex_digit(text[2]) : -1;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

char *url_normal_path(const char *text, size_t size)
{
    char *normal = size < SIZE_MAX / 3 ? mem_alloc(3 * size + 1) : NULL;
    if (!normal)
        return NULL;
    char *end = normal;
    for (size_t i = 0; i < size; i++) {
        int byte = text[i] == '%' ? decode_byte(text + i, size - i) : -1;
        if (byte == '/') {
            memcpy(end, "%2F", 3);
            end += 3;
        } else {
            end = put_byte(end, byte < 0 ? (unsigned char)text[i] : (unsigned char)byte);
        }
        i += byte < 0 ? 0 : 2;
    }
    *end = 0;
    return normal;
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
            int byte = decode_byte(text + i, size - i);
            if (byte < 0)
                return fail(-EINVAL, "%.*s: broken percent-encoding", (int)size, text);
            c = (char)byte;
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
