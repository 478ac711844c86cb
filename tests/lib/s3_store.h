/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_S3_STORE_H
#define TESTS_S3_STORE_H
/* S3 by the fault server, which plays what no real server does when it is asked to. No signature is looked at. */
#include "fault_server.h"
#include "test.h"

#include "larder.h"

extern struct fault_server *s3_server, *s3_other;
extern struct larder_fs *s3_fs; /* bucket "b" of s3_server */

int s3_setup(void **state);
int s3_teardown(void **state);
/* Before the first of the tests: nothing of the environment's, and a clock that jumps. */
void s3_prepare_tests(void);
/* The same bucket, with more options (NULL-ended). */
struct larder_fs *s3_open_store(const char *const more[]);

/* The next `count` (0: all) such requests are answered so. */
void s3_answer(const char *method, const char *path, unsigned count, int status, const char *headers,
               const char *body);
#define ERROR(code)     "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>because</Message></Error>"
#define XML(name, text) "<?xml version=\"1.0\"?><" name ">" text "</" name ">"

/* Of the index-th request that came; NULL: not sent. */
const char *s3_sent_header(size_t index, const char *name);
/* How many requests had this in their target. */
size_t s3_count_targets(const char *part);
int s3_put(const char *path, unsigned flags);

#endif
