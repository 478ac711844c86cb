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
    bool undone;        /* … and by its meaning nothing was done, so that a change is sent again, too */
    bool doubtful;      /* yet who says so may have passed it on, or had all of it: perhaps it was done */
};
/* Of any number, never NULL: by its hundred where it is not known (RFC 9110 §15). */
const struct http_status *http_status(int answer);

#endif
