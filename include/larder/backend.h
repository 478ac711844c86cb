/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_BACKEND_H
#define LARDER_BACKEND_H
/*
 * Places that a program brings.
 *
 * A table of a few operations, made known by larder_register, is opened by PROTOCOL://… like every other place, and has
 * all of fs.h and map.h: batches, walks, globs, copies to and from elsewhere, cache::PROTOCOL://…, options with their
 * environment and configuration. examples/replica.c is one, of some 150 lines.
 *
 * What `open` makes is the place's state, which every operation is given. Paths are clean and decoded, "a/b", and "" is
 * the root. Operations of one state run at once, on several threads; they return 0, or a negative errno that larder_fail
 * has put into words. Which errno a situation is, fs.h and status.h say, and every caller relies on.
 *
 * Three kinds of table:
 *
 *     LARDER_INSTANT    never waits for anything: memory. Called where the caller is
 *     LARDER_BLOCKING   may wait for a disk, a lock, a program. Called on the calling thread, or for a task on one of few
 *                       worker threads. Must not call what is marked LARDER_WAITS
 *     LARDER_TASKS      its operations run in tasks of the loop that the filesystem was opened on, and may call what is
 *                       marked LARDER_WAITS of filesystems of that loop, and larder_event_wait: they suspend there.
 *                       They must not block in other ways, and have 256 KiB of stack
 *
 * A view, which stands in front of another filesystem, cannot be brought: what it has to promise about staleness to the
 * views around it is not settled enough to last.
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Put what went wrong into words, for larder_error, and return `status`, which is negative:
 *     return larder_fail(-ENOENT, "%s: no such file", path); */
LARDER_API int larder_fail(int status, const char *format, ...) LARDER_FORMAT(2, 3);

/* ---- what is known of a file or a directory ---- */

#define LARDER_FACTS_VERSION_SIZE 128
/* All zero but for the type is fine. It never grows: what else may be known one day will be told by calls of its own. */
struct larder_facts {
    enum larder_type type;
    int64_t size;                 /* bytes; LARDER_SIZE_UNKNOWN; of a directory 0 */
    int64_t mtime_ns, created_ns; /* since 1970; 0: unknown */
    int64_t fresh_ms;             /* a cache need not ask again for so long; 0: it asks each time */
    /* A strong validator: equal versions of a path are equal bytes. "": there is none. One that fills the array to its last
     * character counts as none, since it may be the beginning of a longer one. */
    char version[LARDER_FACTS_VERSION_SIZE];
};

/* What another filesystem knows; a version that is longer than this has room for is left out, and so is what an answer says
 * of being used when it is stale. What must not be kept is never fresh. */
LARDER_API LARDER_WAITS int larder_facts_from(struct larder_fs *fs, const char *path,
                                              struct larder_facts *out);

/* ---- opening ---- */

enum larder_option_type {
    LARDER_OPTION_TEXT,
    LARDER_OPTION_BOOL,
    LARDER_OPTION_COUNT,
    LARDER_OPTION_SIZE,
    LARDER_OPTION_DURATION
};
enum larder_option_flags {
    LARDER_OPTION_IDENTITY = 1, /* decides which bytes are read: caches tell places apart by it */
    LARDER_OPTION_SECRET = 2,   /* never in a text, a log, a URL */
};
/* An option of the layer PROTOCOL. "timeout", of the type LARDER_OPTION_DURATION, is what Larder itself keeps for each call of a
 * LARDER_TASKS table. */
struct larder_backend_option {
    const char *name;
    enum larder_option_type type;
    const char *fallback; /* NULL: unset */
    unsigned flags;
    const char *help; /* for `larder help options` */
};

/* What is being opened. Borrowed while `open` runs. */
struct larder_place;
/* What of the URL names the place: see `split`. "" where nothing does. */
LARDER_API const char *larder_place_name(const struct larder_place *place);
/* The value of an option of the table: as given, out of the environment or the configuration, else the fallback; NULL:
 * unset. A number is a count, bytes, or milliseconds; -1: unset. They were checked. */
LARDER_API const char *larder_place_text(const struct larder_place *place, const char *option);
LARDER_API int64_t larder_place_number(const struct larder_place *place, const char *option);
LARDER_API bool larder_place_bool(const struct larder_place *place, const char *option);
/* The loop of a LARDER_TASKS place: for what its operations are to use. */
LARDER_API struct larder_loop *larder_place_loop(const struct larder_place *place);

/* ---- reading ---- */

/* Where a read puts its bytes. Borrowed while it runs. */
struct larder_reading;
/*
 * Say what the file is, before its first byte. 1: no bytes are wanted; clean up and return 1. 0: *count bytes from
 * *start on are wanted, all of them; of a file whose size is unknown so many at most, and *count is -1 up to its end.
 * Else a failure, to be returned: -ESTALE, it is not the version that was asked for. A second call starts over.
 */
LARDER_API int larder_reading_begin(struct larder_reading *reading, const struct larder_facts *facts,
                                    int64_t *start, int64_t *count);
/* The next bytes; or room for them, at least 1 and not more than makes sense, and how many are there now. A failure is
 * to be returned. In a LARDER_TASKS table they may suspend. */
LARDER_API int larder_reading_put(struct larder_reading *reading, const void *data, size_t size);
LARDER_API int larder_reading_room(struct larder_reading *reading, void **room, size_t *size);
LARDER_API int larder_reading_filled(struct larder_reading *reading, size_t size);
/* All of it done by another filesystem, whose file at `path` this one is: its bytes, its version, as a range of it and under
 * the conditions that are asked for, beside what `fs` was opened with (max_age, ttl). The status is to be returned; after a failure another filesystem may be tried. */
LARDER_API LARDER_WAITS int larder_reading_from(struct larder_reading *reading, struct larder_fs *fs,
                                                const char *path);
/* What is asked for, for a place that can pass it on; larder_reading_begin sees to all of it. NULL: nothing. */
LARDER_API const struct larder_range *larder_reading_range(const struct larder_reading *reading);
LARDER_API const char *larder_reading_if_match(const struct larder_reading *reading);
LARDER_API const char *larder_reading_if_none_match(const struct larder_reading *reading);

/* ---- writing ---- */

/* Where a write takes its bytes. Borrowed while it runs. */
struct larder_writing;
/* All bytes, and how many. NULL only in a LARDER_TASKS table, of a large file: then larder_writing_read gives them piece
 * by piece (0: that was all), may suspend, and *size is -1 where nobody knows it yet. */
LARDER_API const void *larder_writing_data(const struct larder_writing *writing, int64_t *size);
LARDER_API int64_t larder_writing_read(struct larder_writing *writing, void *buffer, size_t size);
/* All bytes in memory, in whatever way they come: for a place that takes a file as one. Instead of the two above. Borrowed
 * while the write runs. -EFBIG: they are more than `size_max`. */
LARDER_API int larder_writing_whole(struct larder_writing *writing, size_t size_max, const void **data,
                                    size_t *size);
/* Begin again at the first byte. -ESPIPE: it cannot. */
LARDER_API int larder_writing_rewind(struct larder_writing *writing);

struct larder_how {
    unsigned flags;       /* LARDER_CREATE, LARDER_SYNC */
    const char *if_match; /* only in place of this version, else -ESTALE; NULL: whatever is there */
};

/* ---- listing ---- */

/* What a listing puts its entries into. Borrowed while it runs. */
struct larder_page;
/* `name` is one segment; -EBADMSG: it is not. Of `facts`, the type is needed, and the rest is welcome. */
LARDER_API int larder_page_add(struct larder_page *page, const char *name, const struct larder_facts *facts);
/* Those of another filesystem's directory, in place of what was added to the page before, and of where it was to go on; all
 * in one page. */
LARDER_API LARDER_WAITS int larder_page_from(struct larder_page *page, struct larder_fs *fs,
                                             const char *path);
/* Is the type all that is wanted of the facts? A place that would have to ask for the others need not; a size that it
 * does not know is LARDER_SIZE_UNKNOWN. A cache never asks so: what it keeps, it keeps whole. */
LARDER_API bool larder_page_names_only(const struct larder_page *page);
/* A large directory may come in pages: at a full one, put down where to go on, and return 0. The next call finds that
 * position, which `release` (may be NULL) frees when it is over, on any thread. NULL: from the start. */
LARDER_API bool larder_page_is_full(const struct larder_page *page);
LARDER_API void larder_page_go_on(struct larder_page *page, void *position, void (*release)(void *position));
LARDER_API void *larder_page_position(const struct larder_page *page);

/* ---- texts that an operation gives ---- */
struct larder_text;
LARDER_API int larder_text_set(struct larder_text *text, const char *value);

/* ---- the table ---- */

enum larder_kind { LARDER_INSTANT = 1, LARDER_BLOCKING = 2, LARDER_TASKS = 3 };

/* NULL: the place cannot (-ENOTSUP). Only open, info and read have to be there. */
struct larder_backend {
    size_t size; /* its sizeof */
    const char *
        protocol; /* of URLs, and the layer's name: lower-case letters, digits, "-", beginning with a letter */
    enum larder_kind kind;
    const struct larder_backend_option *options; /* ended by a NULL name; NULL: none */

    /* How much of what stands behind "PROTOCOL://" names the place; the rest is the path in it. NULL: it is all path.
     * "host/tree" could be split behind "host". */
    size_t (*split)(const char *rest);
    /*
     * Make the state. `can` is filled in as the table says, and to be corrected: create_only, if_match, real_directories,
     * parents_required, persistent (else no other process shares what a cache keeps of it). Must not wait for a network.
     * It may be called by two threads at once for one place; the state that comes later is closed again.
     * `close` is called on any thread, when no operation runs, and must not wait.
     */
    int (*open)(const struct larder_place *place, struct larder_capabilities *can, void **state);
    void (*close)(void *state);

    /* What is at `path`: -ENOENT, nothing; -ENOTDIR, and nothing either, below a file. */
    int (*info)(void *state, const char *path, struct larder_facts *out);
    /* The entries of a directory. -ENOTDIR: a file; -ENOENT: missing. Without it, `can->list` is false. */
    int (*list)(void *state, const char *path, struct larder_page *page);
    /* -EISDIR: a directory. 1 as larder_reading_begin says. */
    int (*read)(void *state, const char *path, struct larder_reading *reading);

    /* Replace a file, or make it, at one moment; `now` (never NULL) is what is there then, as far as known. -EISDIR: a
     * directory is there; -EEXIST: LARDER_CREATE; -ENOENT: no parent, where parents_required. */
    int (*write)(void *state, const char *path, struct larder_writing *writing, const struct larder_how *how,
                 struct larder_facts *now);
    int (*remove)(void *state, const char *path); /* a file. -EISDIR, -ENOENT */
    int (*mkdir)(void *state,
                 const char *path); /* -EEXIST; -ENOENT: no parent. 0 where directories are implied */
    int (*rmdir)(void *state, const char *path);                   /* -ENOTEMPTY, -ENOTDIR, -ENOENT */
    int (*touch)(void *state, const char *path, int64_t mtime_ns); /* its modification time is this; 0: now */

    /* Within the place, without the bytes passing through here: of a file; of a file, or a whole directory to a name that
     * is free (-EXDEV: not these two). */
    int (*copy)(void *state, const char *from, const char *to, const struct larder_how *how);
    int (*move)(void *state, const char *from, const char *to, const struct larder_how *how);
    /* A URL that works without credentials for so long. */
    int (*sign)(void *state, const char *path, uint32_t expires_s, struct larder_text *url);

    /*
     * Large files in parts; all four or none. Nothing shows before `publish`, which may be asked again after an answer
     * that was lost, and then everything does. Parts are numbered from 0, may come in any order, several at once and
     * repeatedly, and are of one size but for the last: `offset` is the number times that, within can->part_size_min and
     * part_size_max. `token` is a text of the backend's that may be written down. `discard` is also asked for what is
     * gone. Of that, `stage_part` and `publish` say -ESTALE, since -ENOENT of `publish` is a missing parent, after which it is
     * asked again.
     */
    int (*stage)(void *state, const char *path, struct larder_text *token);
    int (*stage_part)(void *state, const char *path, const char *token, uint32_t part, int64_t offset,
                      const void *data, size_t size);
    int (*publish)(void *state, const char *path, const char *token, int64_t size,
                   const struct larder_how *how, struct larder_facts *now);
    int (*discard)(void *state, const char *path, const char *token);
};

/*
 * Make a protocol known, for the life of the process; what was opened before goes on. The table and its texts are copied.
 * Any thread. In a fork's child the states are as the parent left them, and what of them a fork does not carry over is
 * the backend's to see to.
 *   -EEXIST   the protocol is known already
 *   -EINVAL   the table is wrong; the text says what
 * (fsspec: register_implementation)
 */
LARDER_API int larder_register(const struct larder_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
