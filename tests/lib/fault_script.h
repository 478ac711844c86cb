/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_SCRIPT_H
#define TESTS_FAULT_SCRIPT_H
/*
 * What a fault server is to do, as text: for tests in other languages, and for programs that want to see how they bear
 * what servers do (tests/servers/fault_server.c). A line each; # begins a comment, and words are quoted with " where
 * they have blanks in them ("\r\n" as such, \" for a quote).
 *
 *     file /a.bin size=100000 seed=3 etag=v1     content that is made up; or text="…", or from=LOCAL-FILE. etag=none: none
 *     writable                                   PUT and DELETE
 *     index json                                 or html, none: how directories are listed
 *     seed 7                                     what chance goes by
 *     refuse count=2 per_mille=10                connections that are reset at once
 *     on GET /a.bin skip=1 count=1 -> end=reset at=1000
 *
 * "on" is a rule (fault_on): a method and a path (* is any), for which requests, and behind the arrow what happens:
 *
 *     has=Range skip=N count=N per_mille=N
 *     status=503 header="Retry-After: 1" body="…" interim=103 extra=10 end=close|reset|stall at=1000 trickle=SIZE/MS
 *     no-answer no-ranges no-conditions chunked until-close http-1.0 gzip close-after unanswered unread
 */
#include <stdio.h>

#include "fault_server.h"

/* Do what it says. 0, or the number of the first line that is none of these; those before it are done. */
unsigned fault_script_run(struct fault_server *server, FILE *script);

#endif
