/* SPDX-License-Identifier: Apache-2.0 */
#include "net/hidden.h"

#include <string.h>

#define LEAD 0xf4 /* of all characters from U+100000 on, in UTF-8 */

static bool is_plain(char c, bool returns)
{
    return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\t' || (c == '\r' && !returns);
}

int hidden_add(struct buffer *out, const char *data, size_t size, bool returns)
{
    int rc = 0;
    for (size_t i = 0, plain; rc == 0 && i < size; i += plain) {
        for (plain = 0; i + plain < size && is_plain(data[i + plain], returns); plain++)
            ;
        rc = buffer_add(out, data + i, plain);
        if (rc != 0 || i + plain == size)
            break;
        unsigned char byte = (unsigned char)data[i + plain++];
        const unsigned char hidden[] = {LEAD, 0x80, (unsigned char)(0x80 | byte >> 6),
                                        (unsigned char)(0x80 | (byte & 0x3f))};
        rc = buffer_add(out, hidden, sizeof hidden);
    }
    return rc;
}

size_t hidden_restore(char *text, size_t size)
{
    char *at = memchr(text, LEAD, size), *out = at, *end = text + size;
    while (at && at < end) {
        const unsigned char *c = (const unsigned char *)at;
        if (end - at >= 4 && c[0] == LEAD && c[1] == 0x80 && c[2] >= 0x80 && c[2] <= 0x83) {
            *out++ = (char)((c[2] & 3) << 6 | (c[3] & 0x3f));
            at += 4;
        } else {
            *out++ = *at++;
        }
    }
    return out ? (size_t)(out - text) : size;
}
