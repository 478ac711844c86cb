/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HTTP_STATUS_H
#define NET_HTTP_STATUS_H
/* What an answer's status means: the one table, which docs/http.md shows to users and tests/faults/test_statuses.c reads. */
#include <stdbool.h>

struct http_status {
    int answer;
    int rc;             /* what it is as a failure */
    const char *phrase; /* NULL: nobody knows it */
    bool passes;        /* another try may be answered otherwise … */
    bool undone;        /* … and nothing was done by this one, so not even a change is done twice */
};
/* Of any number, never NULL: by its hundred where it is not known (RFC 9110 §15). */
const struct http_status *http_status(int answer);

#endif
