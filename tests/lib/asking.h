/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ASKING_H
#define TESTS_ASKING_H
/* For tests of who asks, and by which way: an nginx with two files ("here" in file, "deep" in dir/file), whose URLs are
 * read with some options each. No failure shows a secret: those are all called "hush". */
#include "test.h"

#include "larder.h"

#include "server.h"

extern struct server *nginx; /* NULL: not installed */
int asking_setup(void **state);
int asking_teardown(void **state);
/* Of the environment, what counts here: no proxy is named in it. The latter as a test's setup. */
void forget_environment(void);
int no_environment(void **state);

/* Its URLs; "" without it. */
const char *plain(void);
const char *tls(void);

/* Options as a list that ends with NULL. "FILE:option=name" is "option=" and a file of nginx's directory. */
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})
struct larder_fs *open_with(const char *base, const char *path, const char *const given[]);
/* All of a file, which is freed with free. The test is skipped without nginx. */
int cat(const char *base, const char *path, const char *const options[], char **text);
void assert_reads(const char *base, const char *path, const char *const options[], const char *expected);
/* `why` is in the error's text. */
void assert_fails(int status, const char *base, const char *path, const char *const options[],
                  const char *why);
/* -EINVAL when it is opened. */
void assert_refused(const char *url, const char *option);

/* How often it is in a text. */
size_t count_in(const char *text, const char *what);

#endif
