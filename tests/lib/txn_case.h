/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TXN_CASE_H
#define TESTS_TXN_CASE_H
/* A local directory, a tree in memory, a journal, and a transaction of one of them. */
#include "larder.h"

#include "file_text.h"

extern char *scratch, *tree, *journal; /* directories: of all, of `local`, of the journal */
extern struct larder_fs *local, *memory, *view;
extern struct larder_txn *txn;

/* For cmocka. */
int begin(void **state);
int end(void **state);

/* A transaction of `fs`, and its view. */
void start(struct larder_fs *fs);
int commit(void);

int pipe_text(struct larder_fs *fs, const char *path, const char *text, unsigned flags);
/* How many transactions the journal has. */
int listed(void);
/* Nothing of it in the journal, nor beside it, nor a temporary file. */
void assert_clean(int files);

#endif
