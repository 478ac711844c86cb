/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_AHEAD_H
#define CACHE_AHEAD_H
/*
 * What lies behind the part that a reading waits for: asked for at the same time, some parts of it, so that a large
 * range is not one request after the other. They are runs as all others; the reading holds them until it has come by,
 * whether or not they are kept.
 */
#include "cache/fetch.h"

#define AHEAD_MAX 3 /* times run_size_max, in memory beside the run that is waited for */

/* The version is pinned. Begin what there is room for; does not wait for it. */
void CO_FN ahead_begin(struct reading *r);
/* The one that brings, or has brought, what is wanted next; a reference. NULL: none does. */
struct run *ahead_find(struct reading *r);
/* Cancels what is under way. Whatever became of the reading; nothing was begun: nothing. */
void CO_FN ahead_end(struct reading *r);

#endif
