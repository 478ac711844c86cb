/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_COPY_PLACES_H
#define TESTS_COPY_PLACES_H
/* Places to copy between: in memory, on the disk, and one that takes what is in memory as streams alone (odd_place.h). */
#include "file_text.h"

extern char *scratch; /* the local one's directory */
extern struct larder_fs *memory, *local, *piped;

/* For cmocka: once, and around each test. */
int copy_places_register(void **state);
int copy_places_open(void **state);
int copy_places_close(void **state);

#endif
