/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_TRANSFER_H
#define FS_TRANSFER_H
/*
 * One file from a place to a place, the same or another. Within one place that copies by itself no byte passes through
 * here; else they are streamed, in memory of a few parts, and the target appears whole, or not at all. A file onto
 * itself stays as it is.
 *
 *     source ──▶ stager (fs/stager.h) ──▶ one write, or parts, or a spool
 *            ──▶ pipe (fs/pipe.h)     ──▶ one write, for ASYNC places without parts, where the size is known, from another
 *                                         place: on one whose connections are few a write cannot wait for a read
 */
#include "fs/fs.h"
#include "fs/pipe.h"
#include "fs/stager.h"

struct transfer {
    /* const */
    struct instance *from, *to;
    const char *path, *target; /* full */
    const struct terms *terms; /* of the reading */
    unsigned flags;            /* of larder_write_flags */
    const struct labels *labels;

    /* Told now and then of what came; may be NULL. */
    void (*moved)(struct transfer *transfer);
    /* Before memory is taken for as many bytes: may wait for its turn (CO_FN). May be NULL. */
    int (*hold)(struct transfer *transfer, uint64_t size);

    /* Bytes that came, and that there are; -1: not known (yet). What a listing said of the size goes in. */
    int64_t done, total;
    int64_t mtime_ns;           /* of what was read; 0: nobody said */
    struct larder_info *copied; /* becomes what it was, at the latest; the caller's to free. May be NULL */

    /* its own, while it streams */
    struct sink sink;
    struct sink *into; /* one of the two */
    struct stager stager;
    struct pipe pipe;
    int64_t told;
    bool begun;               /* the last reading was */
    bool spooled;             /* no request is made while the reading's is under way */
    struct instance *streams; /* where it counts as a stream; NULL: nowhere */
};
/* -ENOENT, -EISDIR: of `path`, or of the target as for a write. */
int CO_FN transfer_file(struct transfer *transfer);

#endif
