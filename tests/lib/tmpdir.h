/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TMPDIR_H
#define TESTS_TMPDIR_H
/* A temporary directory for a group of tests. Failures abort: a test without its disk says nothing. */

/* A new, empty directory (mode 0700) below $TMPDIR, else /tmp. Given back to tmpdir_remove. */
char *tmpdir_make(void);
/* Remove it with all that is in it, also what is not writable, and free `dir`. NULL is fine. */
void tmpdir_remove(char *dir);

/* "DIR/NAME", freed with free. */
char *tmpdir_path(const char *dir, const char *name);

/* How many entries it has; and how many temporary files of Larder's are in it and below. */
unsigned tmpdir_count(const char *dir);
unsigned tmpdir_count_temporaries(const char *dir);

#endif
