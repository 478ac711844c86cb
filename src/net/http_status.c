/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_status.h"

#include <errno.h>
#include <stddef.h>

/*
 * Only 404 and 410 say "missing". A conflict (409) is -ENOENT as the answer to a change: http_fail_change.
 *
 * 408 says that the request did not come whole in time (RFC 9110 §15.5.9), which a proxy in between may say of one that it
 * has passed on already. 503 is a server's "not now", but also what a gateway says whose connection was lost.
 */
static const struct http_status known[] = {
    {304, -EPROTO, "Not Modified"}, /* unasked, or to a change */
    {400, -EINVAL, "Bad Request"},
    {401, -EACCES, "Unauthorized"},
    {402, -EACCES, "Payment Required"},
    {403, -EACCES, "Forbidden"},
    {404, -ENOENT, "Not Found"},
    {405, -ENOTSUP, "Method Not Allowed"},
    {406, -ENOTSUP, "Not Acceptable"},
    {407, -EACCES, "Proxy Authentication Required"},
    {408, -ETIMEDOUT, "Request Timeout", .passes = true, .doubtful = true},
    {409, -EBUSY, "Conflict"},
    {410, -ENOENT, "Gone"},
    {411, -ENOTSUP, "Length Required"},
    {412, -ESTALE, "Precondition Failed"},
    {413, -EFBIG, "Content Too Large"},
    {414, -ENAMETOOLONG, "URI Too Long"},
    {415, -ENOTSUP, "Unsupported Media Type"},
    {416, -EIO, "Range Not Satisfiable"},
    {417, -EIO, "Expectation Failed"},
    {421, -EIO, "Misdirected Request", .passes = true, .undone = true}, /* on another connection */
    {422, -EINVAL, "Unprocessable Content"},
    {423, -EBUSY, "Locked", .passes = true,
     .undone = true}, /* some servers lock a name while they change it */
    {424, -EIO, "Failed Dependency"},
    {425, -EBUSY, "Too Early", .passes = true, .undone = true},
    {426, -EPROTO, "Upgrade Required"},
    {428, -EINVAL, "Precondition Required"},
    {429, -EBUSY, "Too Many Requests", .passes = true, .undone = true},
    {431, -EINVAL, "Request Header Fields Too Large"},
    {451, -EACCES, "Unavailable For Legal Reasons"},
    {500, -EIO, "Internal Server Error", .passes = true, .doubtful = true},
    {501, -ENOTSUP, "Not Implemented"},
    {502, -EIO, "Bad Gateway", .passes = true, .doubtful = true},
    {503, -EBUSY, "Service Unavailable", .passes = true, .undone = true, .doubtful = true},
    {504, -ETIMEDOUT, "Gateway Timeout", .passes = true, .doubtful = true},
    {505, -EPROTO, "HTTP Version Not Supported"},
    {507, -ENOSPC, "Insufficient Storage"},
    {508, -ELOOP, "Loop Detected"},
    {511, -EACCES, "Network Authentication Required"},
};

const struct http_status *http_status(int answer)
{
    static const struct http_status other = {.rc = -EPROTO}, client = {.rc = -EIO},
                                    server = {.rc = -EIO, .passes = true, .doubtful = true};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].answer == answer)
            return &known[i];
    return answer >= 500 && answer <= 599 ? &server : answer >= 400 && answer <= 499 ? &client : &other;
}
