/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_PIPE_H
#define FS_PIPE_H
/*
 * A read as the source of a write, for ASYNC places that take a file only as one request: no more of it than two pieces
 * is ever here. The write runs in a task of its own, the writer:
 *
 *     the reader     fills a piece ─▶ lends it, and waits until the other one is back ─▶ fills that …
 *     the writer     waits for a piece ─▶ takes its bytes ─▶ gives it back …
 *
 * What the writer has had cannot be taken back (fs/resume.h). But a write that is tried again, since its connection was
 * lost, rewinds its source: then room and finish fail, pipe_wants_again, and whoever reads begins again, maybe with
 * another version. The writer waits for that.
 */
#include "fs/resume.h"

#define PIPE_PIECE_SIZE ((size_t)1 << 20)

struct pipe_piece {
    char *data; /* mem; NULL before its first use */
    size_t size;
    bool lent;
};

struct pipe {
    struct sink sink;     /* what is poured in here … */
    struct source source; /* … comes out there */
    /* const */
    struct instance *to;
    const char *path; /* full */
    unsigned flags;

    struct pipe_piece pieces[2];
    unsigned filling, reading; /* the pieces that the reader and the writer are at … */
    size_t at;                 /* … and how far in it the writer is */
    int64_t sent;              /* what he took, but for what he only looked at */
    struct resume resume;
    struct group group; /* of the writer */
    struct waiters changed;
    bool open;  /* there is a writer … */
    bool whole; /* … to whom everything was lent */
    bool again; /* … who wants to begin again */
    bool ended; /* … who has returned */
};

/* `flags` as for a table's write. */
void pipe_init(struct pipe *pipe, struct instance *to, const char *path, unsigned flags);
/* All was poured in: the status of the write. */
int CO_FN pipe_finish(struct pipe *pipe);
bool pipe_wants_again(const struct pipe *pipe);
/* Stops the writer, if there still is one, and waits for his end. The error text stays as it is. */
void CO_FN pipe_fini(struct pipe *pipe);

#endif
