/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_BACKENDS_H
#define BACKENDS_BACKENDS_H
/* The tables of the places that are built in. */
#include "fs/backend.h"

extern const struct backend memory_backend; /* memory:// */
extern const struct backend local_backend;  /* file://, local://, plain paths */
extern const struct backend http_backend;   /* http://, https:// */
extern const struct backend s3_backend;     /* s3:// */
extern const struct backend webdav_backend; /* webdav://, webdavs:// */

#endif
