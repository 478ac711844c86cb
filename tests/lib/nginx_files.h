/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NGINX_FILES_H
#define TESTS_NGINX_FILES_H
/*
 * For groups of tests of the HTTP backend alone: an nginx (tests/servers/nginx-up.sh tells what each location does) with
 * a few files, and reads of them whose bytes must be right.
 *
 *     file.bin   SIZE bytes of SEED's content        dir/one, dir/sub/two
 *     empty                                          dir/odd/ with one odd name
 */
#include "test.h"

#include "larder.h"

#include "server.h"

#define SEED 7
#define SIZE 10000

extern struct server *nginx; /* NULL: not installed */
int nginx_files_setup(void **state);
int nginx_files_teardown(void **state);

struct larder_fs *open_url(const char *base, const char *path, const char *const options[]);
/* Below nginx's URL; the test is skipped where there is none. */
struct larder_fs *open_plain(const char *path);

/* The range is what Python would slice: `count` bytes of file.bin, from `first` on. */
void assert_range(struct larder_fs *fs, const char *path, int64_t start, int64_t end, size_t first,
                  size_t count);
/* All kinds of them. */
void assert_ranges(struct larder_fs *fs, const char *path);
void assert_whole(struct larder_fs *fs, const char *path);
/* A read fails with this status, and `text` is in its words. */
void assert_fails(int status, struct larder_fs *fs, const char *path, const char *text);

#endif
