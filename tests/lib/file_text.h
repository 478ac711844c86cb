/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FILE_TEXT_H
#define TESTS_FILE_TEXT_H
/* Small files of text, put there and asserted. */
#include "larder.h"

void put(struct larder_fs *fs, const char *path, const char *text);         /* with its directories */
void assert_text(struct larder_fs *fs, const char *path, const char *text); /* NULL: there is no such file */

#endif
