/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_WATCHED_H
#define CACHE_WATCHED_H
/*
 * A reader's sink, whose failures are remembered: by its status alone nobody could tell whether a read failed because the
 * place did or because the reader wanted no more, and only the place's failures are a reason to try something else.
 */
#include "fs/backend.h"

struct watched {
    struct sink sink;
    struct sink *into;
    int status; /* 0: it has not failed since it last began */
    char *text; /* mem */
};
void watched_init(struct watched *watched, struct sink *into);
/* Has the sink failed? Then it is its status, and its words are the error text. */
int watched_failure(const struct watched *watched);
void watched_fini(struct watched *watched);

#endif
