/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_LOCAL_SIDE_H
#define FS_LOCAL_SIDE_H
/* The local side of get and put: what is typed there is a path of this machine, whatever it looks like. */
#include "fs/fs.h"

/* The whole disk, and the full path that `typed` (relative to the working directory, or file://…) names on it; mem. */
int local_side_open(const char *typed, struct larder_fs **fs, char **path);

#endif
