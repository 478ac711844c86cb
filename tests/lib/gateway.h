/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GATEWAY_H
#define TESTS_GATEWAY_H
/* Ceph's gateway for a group of tests, and a bucket of its own for each test. */
#include "larder.h"

#include "server.h"

extern struct server *gateway; /* NULL: it is not installed */
extern struct larder_fs *account;
extern struct larder_fs *fs; /* the test's bucket … */
extern char bucket[32];      /* … and its name */

/* For cmocka: of the group, of each test. */
int gateway_start(void **state);
int gateway_stop(void **state);
int gateway_bucket(void **state);
int gateway_no_bucket(void **state);
/* Skip the test where there is no gateway. */
void gateway_need(void);

/* A file of `fs` with this text. */
void put_text(const char *path, const char *text);
void assert_text(const char *path, const char *expected);
/* Another instance at the test's bucket, with these options. */
struct larder_fs *open_bucket(const char *const options[]);

#endif
