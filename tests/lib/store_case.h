/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_STORE_CASE_H
#define TESTS_STORE_CASE_H
/*
 * A test of the store by itself: a store in a directory of its own, files of a place put into it, and what is there
 * again. Whatever is put, its bytes follow from its size and a seed.
 */
#include <stdatomic.h>

#include "cache/edit.h"
#include "cache/store.h"

extern char *case_scratch, *case_dir; /* the store's is below the other */
extern struct store *store;
extern struct place place;
extern atomic_llong clock_ahead_ns; /* of the wall clock */
extern atomic_uint warnings;        /* that were logged */

/* Before the first test. */
void case_init(void);
/* Around each. */
int case_begin(void **state);
int case_end(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_begin, case_end)

void reopen(void);
/* Until nothing has it open; `store` is NULL then. */
void close_for_good(void);
char *store_file(void); /* freed with free */

/* The whole file, to be changed before it is added. `version` NULL: none is known. */
struct put *make_put(const char *path, const char *version, size_t size, unsigned seed);
void put_done(struct op *op, int status);
void put(const char *path, const char *version, size_t size, unsigned seed);
/* So many blocks of a version that no record names. */
void stage(uint64_t version, int64_t start, size_t blocks);
void flush(void);
char *content(size_t size, unsigned seed);

/* -ENOENT, -EBADMSG, -ENODATA (something else is known), or 0: the bytes are there, and right. */
int check(const char *path, size_t size, unsigned seed);
int check_range(const char *path, size_t size, unsigned seed, size_t start, size_t count);
size_t count_keys(enum key_type type);

#endif
