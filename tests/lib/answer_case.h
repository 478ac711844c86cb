/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ANSWER_CASE_H
#define TESTS_ANSWER_CASE_H
/* What tests of odd answers have in common: a server with a file "f", a second one to be led to, and the ways to read. */
#include "larder.h"

#include "fault_server.h"
#include "read_content.h"

#define SIZE 100000 /* of "f", */
#define SEED 1      /* which is of this content */

extern struct fault_server *server, *other;
extern struct larder_fs *fs, *cached; /* of `server`; the second through a cache that asks each time */
extern char *scratch;                 /* a directory */

/* Of each test. */
int answer_case_setup(void **state);
int answer_case_teardown(void **state);

/* From now on this alone is what goes wrong, `count` times (0: always). Forgets what was asked. */
void fault_next(unsigned count, const char *method, struct fault fault);
/* All of "f", and what Python slices: `count` of its bytes from `first` on. 0: the right bytes; else the failure. */
int read_whole(struct larder_fs *from);
int read_slice(struct larder_fs *from, int64_t start, int64_t end, size_t first, size_t count);

/* So many requests have come, which are forgotten. */
void assert_asked(size_t count);

#endif
