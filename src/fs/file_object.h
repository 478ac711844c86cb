/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_FILE_OBJECT_H
#define FS_FILE_OBJECT_H
/*
 * An open file: include/larder/file.h.
 *
 *     open "r" ─────▶ READING ───────────────────────────────────────────────▶ close, discard
 *
 *     open "w", "x" ────────────────▶ WRITING ───────────────────────────────▶ close publishes, discard drops
 *     open "a", missing ─────────────▶   ▲  │ write, flush or close fails
 *                                        │  ▼
 *     open "a" ─▶ APPENDING ─────────────┘  FAILED ──────────────────────────▶ close and discard drop
 *                     │  first write, flush: the old bytes are taken  ▲
 *                     ├──────────────────────── that fails ───────────┘
 *                     └──────────────────────────────────────────────────────▶ close, discard: nothing was written
 *
 * file_set_state is the only one to move, and asserts the move. The struct is the caller's who is in: file_enter and
 * file_leave see to it that he is alone, or one of several preads.
 */
#include "larder/file.h"

#include "fs/file_read.h"
#include "fs/stager.h"

#define FILE_PREFETCH_MAX 16
#define FILE_BLOCKS_MAX   (1 << 20)

enum file_state { FILE_READING, FILE_APPENDING, FILE_WRITING, FILE_FAILED };

struct file_options {
    const struct strategy *strategy;
    size_t block_size, window_max, part_size;
    unsigned prefetch, blocks_max, parts_max;
    bool follow;
    unsigned flags;                        /* LARDER_PARENTS, LARDER_SYNC */
    const struct compression *compression; /* NULL: none */
    bool compression_auto;
    int level; /* -1: the compression's own */
};
/* Out of a NULL-ended list; -EINVAL. file_options.c */
int file_options_take(const char *const options[], struct file_options *out);

/* What a compressed reader has beside the raw one. file_inflate.c */
struct inflating;
/* What a writer has. file_write.c */
struct file_writer {
    struct stager stager;
    unsigned flags;          /* of the publish, but for LARDER_PARENTS and LARDER_SYNC */
    char *old;               /* "a": the version that it stands behind; mem; NULL: there is nothing */
    bool came;               /* "a": there was nothing, and what is there at the publish has come meanwhile */
    struct encoder *encoder; /* NULL: none */
    char *packed;            /* what comes out of it; mem */
    int status;              /* of the first failure */
    char *text;              /* its words; mem */
};

struct larder_file {
    /* const */
    struct larder_fs *fs; /* a reference */
    char *path, *full;    /* mem; as the user gave it, and from the root of the place */
    struct file_options options;
    bool writes;

    /* generation of the process << 32 | calls: how many preads are under way, or FILE_ALONE */
    _Atomic uint64_t entered;

    /* of who is in alone */
    enum file_state state;
    int64_t position; /* a writer's: how many bytes there are, the old ones of an "a" too */
    struct file_reader reader;
    struct inflating *inflating; /* NULL: plain */
    struct file_writer writer;
};
#define FILE_ALONE UINT32_MAX

void file_set_state(struct larder_file *file, enum file_state state);
/* 0, or -EBUSY, -ECHILD, -EDEADLK, -EBADF (`writes` is not what the file does) with text. `alone` false: a pread. */
int file_enter(struct larder_file *file, bool alone, bool writes);
void file_leave(struct larder_file *file, bool alone);

/* ---- file_inflate.c ---- */
int file_inflate_open(struct larder_file *file);
int64_t file_inflate_get(struct larder_file *file, void *buffer, size_t size, int64_t offset);
int64_t file_inflate_size(const struct larder_file *file); /* LARDER_SIZE_UNKNOWN before its end was seen */
/* What is known of it is void: a fork's child begins again. `torn`: not to be touched. */
void file_inflate_after_fork(struct larder_file *file, bool torn);
void file_inflate_free(struct larder_file *file);

/* ---- file_write.c ---- */
int file_write_open(struct larder_file *file, char mode);
int file_write_bytes(struct larder_file *file, const void *data, size_t size);
int file_write_flush(struct larder_file *file);
/* Publish, or drop, what was written, and free what the writer has. */
int file_write_close(struct larder_file *file);
void file_write_discard(struct larder_file *file);
/* The memory alone: in a fork's child. */
void file_write_forget(struct larder_file *file);

#endif
