/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_READ_CONTENT_H
#define TESTS_READ_CONTENT_H
/* What tests of reads through faults ask again and again. */
#include "larder.h"

/* Read "f", all of it where `range` is NULL. 0: it is `count` bytes of the seed's content (tree.h) from `first` on, which is
 * asserted; else the read's failure. */
int read_content(struct larder_fs *fs, const struct larder_range *range, uint64_t seed, size_t first,
                 size_t count);
/* The last failure's text has this part. */
void assert_text(const char *part);

#endif
