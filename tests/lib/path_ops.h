/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PATH_OPS_H
#define TESTS_PATH_OPS_H
/* Every operation on one path, called alike: for tables of what fails how, where. */
#include <stdbool.h>

#include "larder.h"

enum path_op_kind { PATH_READS, PATH_LISTS, PATH_WRITES, PATH_SIGNS };
struct path_op {
    const char *name;
    enum path_op_kind kind;
    /* 0, or the failure. `disk` is a local directory that has a file "given"; what is read may go there. */
    int (*call)(struct larder_fs *fs, const char *path, const char *disk);
};
/* Ended by a NULL name. */
extern const struct path_op path_ops[];
/* NULL: there is none. */
const struct path_op *path_op_find(const char *name);

#endif
