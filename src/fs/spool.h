/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_SPOOL_H
#define FS_SPOOL_H
/*
 * Bytes on the way to a place that takes them only in one piece: an unnamed local file in $TMPDIR, of mode 0600, that
 * is gone with its descriptor, however the process ends. spool_open and spool_close may block on a disk.
 */
#include "fs/backend.h"

int spool_open(void); /* a descriptor */
void spool_close(int fd);

/* The first `size` bytes of it. Its reads go to workers; for tables that take data only, it is all mapped. */
struct spool_source {
    struct source source;
    int fd;
    int64_t at;
    void *mapped; /* NULL: it is read */
};
int spool_source_init(struct spool_source *source, int fd, int64_t size, bool map);
void spool_source_fini(struct spool_source *source);

#endif
