/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_BACKEND_H
#define FS_BACKEND_H
/*
 * What a place must be able to do: a static const table of few operations over an instance. Everything else is written
 * once, above the table. Three kinds of table:
 *
 *   INSTANT   (memory)           never waits: called where the caller is, from many threads at once
 *   BLOCKING  (local)            may block on a disk: on the calling thread, from a task on a worker
 *   ASYNC     (http, every view) its operations are CO_FN: in a task of the instance's loop only
 *
 * In an ASYNC table the two looks are the exception: any thread, never suspend, and are not CO_FN, so that clang proves
 * that they cannot reach the loop. -EAGAIN from a look means "not without waiting", and nothing was done.
 *
 * A view's table has NULL for what it only hands to `next`; a leaf's NULL, or an opaque view's, is -ENOTSUP. Paths are clean (base/path.h) and
 * full: the handle's root is in front already. An operation sets an error text when it fails.
 */
#include <stdatomic.h>

#include "larder/facts.h"
#include "larder/fs.h"

#include "base/table.h"
#include "task/task.h"

struct instance;
struct labels;

/* ---- options, declared once a backend ---- */
enum option_type { OPTION_TEXT, OPTION_BOOL, OPTION_COUNT, OPTION_SIZE, OPTION_DURATION, OPTION_LIFETIME };
enum option_flags {
    OPTION_IDENTITY = 1, /* changes the bytes that are read: part of the cache's key (secrets only hashed) */
    OPTION_SECRET = 2,   /* never in a text, a log, a URL */
    OPTION_PER_HANDLE = 4, /* larder_fs_at may change it */
};
struct option {
    const char *name;
    enum option_type type;
    const char *fallback; /* NULL: unset */
    unsigned flags;
    const char *help;
};
/* Of the option `name`, which the backend's table declares (asserted): as given, else the environment's
 * LARDER_<LAYER>_<NAME>, else the fallback. Values were validated when the instance was opened. */
const char *option_text(const struct instance *instance, const char *name); /* NULL: unset */
bool option_bool(const struct instance *instance, const char *name);
int64_t option_number(const struct instance *instance, const char *name); /* count; bytes; ms; -1: unset */

/* ---- reading ---- */
/* What a reader asks for … */
struct terms {
    const char *if_match; /* this version, else -ESTALE */
    const char
        *if_none_match; /* this validator is known: if it still holds, answer UNCHANGED and send no bytes */
    int64_t ttl_ms;     /* an answer is fresh for so long, whatever it says; <0: as it says */
    int64_t age_max_ms; /* no answer older than this, come what may; 0: ask the origin; <0: any */
    int64_t since_ns;   /* nor one from before this, by the wall clock; 0: any */
    /* A slash stood behind the path. Where a directory may have the same path as a file, it is the directory that is meant:
     * by info. A read is refused for it by layer_call; an operation of the table does not see it. */
    bool directory;
    bool no_follow; /* info: of a link itself, which is LARDER_OTHER, not of what it leads to */
    bool
        names_only; /* list: only names and types are wanted; what else would cost something may be unknown */
    /* list: only names that begin so are wanted, others may be left out. Where none is, that the directory is missing, or
     * a file, need not be found out. NULL: all */
    const char *stem;
};
#define TERMS_NONE ((struct terms){.ttl_ms = -1, .age_max_ms = -1})
#define UNCHANGED  1

/* … and what comes with the bytes: what the file is, and how long that may be believed. The cache reads this, and
 * knows nothing of HTTP. */
enum answer_flags {
    ANSWER_NO_STORE = 1,        /* must not be kept */
    ANSWER_MUST_REVALIDATE = 2, /* never used when stale, not even on errors */
    ANSWER_WEAK = 4,            /* `validator` does not promise equal bytes: parts are never put together */
    ANSWER_UNRANGED = 8,        /* the place cannot send parts: a range was cut out of all of it */
    ANSWER_SHALLOW = 16, /* list_tree: a directory with nothing below it may not have been looked into */
    ANSWER_SLASH = 32,   /* info, by terms.directory: of the directory. The path itself may be a file's */
};
struct answer {
    struct larder_info info;
    const char
        *validator;   /* what if_none_match takes; NULL: cannot be revalidated. Strong: equals info.version */
    int64_t fresh_ms; /* from now; <0: not said */
    int64_t stale_if_error_ms; /* beyond fresh_ms; <0: not said */
    unsigned flags;
};
void answer_free(struct answer *answer);                        /* and zeroes it; NULL and zero are fine */
int answer_copy(struct answer *out, const struct answer *from); /* deep, in one piece of memory */
int info_copy(struct larder_info *out,
              const struct larder_info *from); /* the same; from->owner does not matter */

/*
 * Where a read puts its bytes. The reader calls
 *     begin(answer, size)   once what follows is known: `size` bytes of the range asked for (-1: unknown) of the file
 *                           that `answer` (borrowed) describes. Once more: start over, what was filled is void
 *     room(want)            for up to `want` bytes (at least 1): lends *size >= 1 bytes at *out
 *     fill(size)            so many of them are there now
 * Bytes count only when the read returns 0: until then they may be cut, and must not be believed.
 * An instant sink never suspends and may be used anywhere; others are used from ASYNC tasks only (layer.h bridges).
 * A steady one, once it was told a size, lends room for all that is still to come, which stays where it is: bytes may be
 * put there before it is their turn to be filled.
 */
struct sink {
    bool instant, steady;
    int (*begin)(struct sink *sink, const struct answer *answer, int64_t size);
    int (*room)(struct sink *sink, size_t want, void **out, size_t *size);
    int (*fill)(struct sink *sink, size_t size);
};
/* The marked way to use one: the only callers of the three pointers outside looks. */
int CO_FN sink_begin(struct sink *sink, const struct answer *answer, int64_t size);
int CO_FN sink_room(struct sink *sink, size_t want, void **out, size_t *size);
int CO_FN sink_fill(struct sink *sink, size_t size);
int CO_FN sink_pour(struct sink *sink, const void *data, size_t size); /* all of it, after begin */
/* Instant sinks (asserted): the same, on any thread. */
int sink_put(struct sink *sink, const void *data, size_t size);
int sink_begin_now(struct sink *sink, const struct answer *answer, int64_t size);

/* Into memory that is taken when the size is known … */
struct bytes_sink {
    struct sink sink;
    char *data;
    size_t size, capacity;
};
void bytes_sink_init(struct bytes_sink *sink);
struct larder_bytes bytes_sink_take(struct bytes_sink *sink);
void bytes_sink_fini(struct bytes_sink *sink);
/* … and into the caller's, -ENOSPC when it is too small. */
struct span_sink {
    struct sink sink;
    char *data;
    size_t size, capacity;
};
void span_sink_init(struct span_sink *sink, void *buffer, size_t capacity);

/*
 * The first byte and the count that `range` (NULL: all) means in a file of `size` bytes: Python's slices.
 */
void range_resolve(const struct larder_range *range, int64_t size, int64_t *start, int64_t *count);
/* Is it empty whatever the size is? Then nobody need be asked for bytes. */
bool range_is_empty(const struct larder_range *range);
/* A read that needs the file's size first: both bounds count from the end in a way that one request cannot say, such
 * as {-100, -20} or {5, -20}. {-n, LARDER_TO_END} and everything non-negative do not. */
bool range_needs_size(const struct larder_range *range);

/* ---- writing ---- */
/*
 * Where a write takes its bytes: all `size` of them are given by `data`; or, for ASYNC tables only, piece by piece by
 * `read`, which may suspend. `rewind` starts over, for a second try; NULL: there is none.
 */
struct source {
    int64_t size;     /* -1: not known before the end; ASYNC tables only */
    const void *data; /* NULL: read() gives them */
    int64_t (*read)(struct source *source, void *buffer, size_t size); /* 0 at the end */
    int (*rewind)(struct source *source);
    bool looks; /* set by who reads, and rewinds: what is read now is not what goes on its way */
    const struct labels *labels; /* what is said of the file (labels.h); NULL: nothing */
    uint64_t
        id; /* as a stage's, at a place that names_writes: what is temporary has it as its name. 0: any */
};
/* All of `data`; NULL is fine for no bytes. */
int source_of(struct source *source, const char *path, const void *data, size_t size);
/* The marked way to use one: the only callers of the two pointers. */
int64_t CO_FN source_read(struct source *source, void *buffer, size_t size);
int CO_FN source_rewind(struct source *source); /* -ESPIPE: it cannot */

/*
 * What a staged write is known by: a text, freed with mem_free, that may be written down and used by another process of
 * this machine or, where the place says so, of any.
 */
struct token {
    char *text;
};

/* ---- listing ---- */
/* A listing under way: owned by its walk, used by one call at a time. Zero to begin. */
struct cursor {
    void *state;
    void (*free_state)(void *state); /* does not wait */
    bool end;                        /* the page just given was the last */
};
void cursor_free(struct cursor *cursor);

/* Makes a page of entries. Zero is empty. */
struct entries_builder {
    struct larder_info *info;
    size_t count, capacity;
    struct entries_memory *memory;
};
int entries_add(struct entries_builder *builder, const struct larder_info *info); /* copies the strings */
/* The same with the name put together: dir/name, or either alone. */
int entries_add_below(struct entries_builder *builder, const char *dir, const struct larder_info *info);
void entries_finish(struct entries_builder *builder, struct larder_entries *out); /* empties the builder */
void entries_discard(struct entries_builder *builder);
void entries_sort(struct larder_entries *entries);
void entries_sort_by_path(struct larder_entries *entries); /* as path_compare */
/* How many entries of one page, when a backend may choose. */
#define PAGE_ENTRIES 1000

/* ---- properties ---- */
/* `out` is zero at first; when this fails, and at last, larder_properties_free. Both are copied. */
int properties_add(struct larder_properties *out, const char *name, size_t name_size, const char *value,
                   size_t value_size);

/* ---- many changes at one moment ---- */
enum change_kind {
    CHANGE_WRITE = 1,
    CHANGE_REMOVE,
    CHANGE_MKDIR,
    CHANGE_RMDIR,
    CHANGE_TOUCH, /* its time alone */
    CHANGE_CHECK, /* nothing: a condition */
};
struct apply_item {
    enum change_kind kind;
    bool clears; /* what is there is of the other kind, and goes first: an empty directory, or a file */
    const char *path;
    const void *data; /* of a write */
    size_t size;
    unsigned flags;       /* LARDER_CREATE: nothing is there */
    const char *if_match; /* of a write, a removal or a check; NULL: whatever is there */
    int64_t mtime_ns;     /* of a write or a touch: what its time is to be; 0: now, and nothing */
    struct answer answer; /* of a write, when all is done: to be freed */
};

/* ---- the table ---- */
enum kind { INSTANT, BLOCKING, ASYNC };

struct backend {
    const char *name;             /* the layer's name in options: "http" */
    const char *const *protocols; /* of URLs, NULL-ended: "http", "https". A view's: "cache" for cache:: */
    bool view;
    bool names_writes; /* a sweep finds what a write left, by its source's id */
    bool opaque; /* a view that shows other bytes than the place behind it: what it lacks is not handed on */
    enum kind kind;
    size_t size;                  /* of its own struct, whose first field is a struct instance */
    const struct option *options; /* ended by a NULL name */

    /*
     * Leaves. What `url` names, the whole URL ("https://host/tree"): *place is what an instance is of ("https://host"),
     * *path the clean full path in it; both mem, and without secrets. What else it says (a user, a query) becomes the
     * value of an option that was not given: `values` are as the table's options, mem or NULL. Where a slash behind it
     * makes a difference, *path has it.
     */
    int (*locate)(const struct backend *backend, const char *url, char **values, char **place, char **path);
    /* Fill in the values that nobody gave where what they are depends on the process (a directory below $HOME), so that
     * they are part of what makes the instance. Optional. */
    int (*complete)(char **values);
    /*
     * Set up an instance, whose place (leaves), next (views) and options are set, and whose own fields are zero. Fills
     * can and identity; a view has its next's. Must not wait for a network. `close` is called for what open returned 0
     * for, on any thread, and must not wait: an ASYNC one posts to its loop what must be done there.
     */
    int (*open)(struct instance *instance);
    void (*close)(struct instance *instance);
    /* The URL of a full path, without secrets. Leaves only. mem. */
    char *(*url)(struct instance *instance, const char *path);

    int (*look_info)(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out);
    int (*look_read)(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out);

    /* What is at path; out->info.name is left NULL. UNCHANGED is possible when terms say if_none_match. */
    int (*info)(struct instance *instance, const char *path, const struct terms *terms, struct answer *out);
    /* The next page of a directory. -ENOTDIR: a file. -ENOENT: missing. Names are single segments
     * (path_is_segment); the answer's info.version and validator are the listing's. */
    int (*list)(struct instance *instance, const char *path, const struct terms *terms, struct cursor *cursor,
                struct larder_entries *page, struct answer *out);
    /*
     * The next page of all that is below a directory, for a place that can tell it at once. As list, but names are clean
     * paths relative to `path`. Errors of something further down are the whole call's. Optional: walks whose depth has no
     * limit ask for it, and otherwise go from directory to directory.
     *
     * Order     What is below one directory comes in one run, over all pages, and the directory's own entry, where there is
     *           one, is the first of its run. Nothing else: not that names are sorted.
     * Implied   Directories that are seen from what is below them need no entries, but may have some.
     * Shallow   With ANSWER_SHALLOW the answer is of this page, and promises nothing of a directory without anything below
     *           it in the page: it is asked for in a call of its own. So a place that finds that it cannot go deeper, or not
     *           everywhere, or that all of it would be too much to hold, answers with as many levels as it has, one at least.
     *
     * A view that lists by itself (a cache, a transaction) and has no list_tree is not passed by: then there is none.
     */
    int (*list_tree)(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out);
    /* What is kept with a file, by properties_add. -EISDIR. */
    int (*properties)(struct instance *instance, const char *path, struct larder_properties *out);
    /* -EISDIR: a directory. `out` (may be NULL) as sink->begin was told, or as UNCHANGED. */
    int (*read)(struct instance *instance, const char *path, const struct larder_range *range,
                const struct terms *terms, struct sink *sink, struct answer *out);

    /*
     * What appears does so at one moment, whole. Of `flags`, LARDER_CREATE and LARDER_SYNC come here; LARDER_PARENTS is
     * done above. `if_match` (may be NULL): in place of this version only, else -ESTALE. `out` (may be NULL): what is
     * there now, as far as known.
     */
    int (*write)(struct instance *instance, const char *path, struct source *source, unsigned flags,
                 const char *if_match, struct answer *out);
    /* Files; one status each; the return value is for a failure of all. */
    int (*remove)(struct instance *instance, const char *const paths[], size_t count, int status[]);
    /* -EEXIST, -ENOENT: no parent. Of `flags` LARDER_SYNC: its name is on the disk then. */
    int (*mkdir)(struct instance *instance, const char *path, unsigned flags);
    int (*rmdir)(struct instance *instance, const char *path); /* -ENOTEMPTY, -ENOTDIR, -ENOENT */
    /* Where directories are only implied: what marks these as there though nothing is in them goes; that there is none is
     * no failure, nor that something is in them. Optional. */
    int (*unmark)(struct instance *instance, const char *const paths[], size_t count);
    /* The modification time of what is there becomes this, or 0: now. */
    int (*touch)(struct instance *instance, const char *path, int64_t mtime_ns);

    /*
     * Within the place, without the bytes passing through here. `copy` is of one file (-EISDIR); what `labels` (may be
     * NULL) do not say of it is as of the source. `move` is also of a
     * whole directory, to a name that is free; -EXDEV: not these two, copy and remove them. Flags as for write.
     */
    int (*copy)(struct instance *instance, const char *from, const char *to, unsigned flags,
                const struct labels *labels);
    int (*move)(struct instance *instance, const char *from, const char *to, unsigned flags);
    /* A URL that works without credentials for so long; mem. */
    int (*sign)(struct instance *instance, const char *path, uint32_t expires_s, char **url);

    /*
     * Large writes, in steps, each of which may be repeated:
     *
     *   stage ──▶ stage_part … ──▶ publish        nothing is visible before publish, and all of it after
     *                 └──────────▶ discard        also of what is gone already, or never came to be
     *
     * Parts are numbered from 0 and may come in any order, several at once. Each but the last has one size, from the
     * capabilities part_size_min to part_size_max, and `offset` is the number times that. `labels` may be NULL. `publish` may be asked again
     * after an answer that was lost, and after -ENOENT, which is a missing parent and nothing else; flags and if_match as for
     * write. `size`: of all. Of what is gone, since it was discarded or swept, or published before and replaced since,
     * `publish` and `stage_part` say -ESTALE: no later try will do better. What was published before and still is there: 0.
     * `id` names what is staged where the caller may choose; a stage that is repeated with it begins again. 0: any.
     */
    int (*stage)(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                 struct token *out);
    int (*stage_part)(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                      int64_t offset, const void *data, size_t size);
    int (*publish)(struct instance *instance, const char *path, const struct token *token, int64_t size,
                   unsigned flags, const char *if_match, struct answer *out);
    int (*discard)(struct instance *instance, const char *path, const struct token *token);
    /* All of it at once, in place of parts: of a place that takes none. */
    int (*stage_whole)(struct instance *instance, const char *path, const struct token *token,
                       struct source *source);
    /*
     * Discard what a stage of `path` left whose caller died before he could note its token; `id` is what he gave it, not
     * 0. Nothing there: 0. Where the place chooses the name (s3) it is what was begun for this path since `since_ns`
     * and has no part yet.
     */
    int (*sweep)(struct instance *instance, const char *path, uint64_t id, int64_t since_ns);
    /* Some of what is staged. `range` counts from the front and is not empty; the caller knows the size. */
    int (*read_staged)(struct instance *instance, const char *path, const struct token *token,
                       const struct larder_range *range, struct sink *sink, struct answer *out);

    /* What was changed at these paths is on the disk when it returns. NULL: it is as soon as a change is answered. */
    int (*sync)(struct instance *instance, const char *const paths[], size_t count);
    /*
     * All of them in their order, at one moment for every reader, or none: then *failed is the item that could not be.
     * Missing parents are made. What is removed may be gone already, what is made may be there.
     */
    int (*apply)(struct instance *instance, struct apply_item items[], size_t count, size_t *failed);

    /* Views: may a change, or a staged one, go on to `next`? 0, or why not. NULL: all may. */
    int (*may_change)(struct instance *instance, const char *path);
    /* Views: called after every change that went through this view to `next`, also one that may have failed half-way.
     * `tree`: everything below too. `now` (may be NULL): what is there now. */
    void (*changed)(struct instance *instance, const char *path, bool tree, const struct answer *now);
};

/* The first field of a backend's own struct. Const after open, but for what instance.c keeps. */
struct instance {
    const struct backend *backend;
    struct larder_capabilities can;
    struct larder_fs *next;   /* views: the filesystem behind, its root is "" */
    struct larder_loop *loop; /* ASYNC: a reference; NULL: the default one, which a fork's child has anew */
    char *place;              /* leaves: what locate said; mem */
    char *identity;       /* whose bytes these are: "https://host:443"; with a digest of what OPTION_IDENTITY
                                 options say, and of no secret itself. A view's is its next's. mem */
    char **option_values; /* as the table's options: what was given, or filled in; mem, or NULL */
    unsigned connections_max; /* leaves: requests at once, behind which others wait; 0: no limit */
    atomic_uint streams; /* transfers that read from it, and wait for other requests meanwhile (transfer.c) */
    struct gate *
        gate; /* of one that is opened later (gate.h): only then are can, identity and the rest set. NULL: none */

    /* instance.c */
    bool started; /* by it alone, or under the gate's lock */
    atomic_uint references;
    char *key; /* const; mem */
    size_t key_size;
    struct table_entry entry; /* in the registry, under its lock, as is what follows */
    bool listed;
    uint32_t generation;
    uint64_t asked; /* when it was asked for last */
};
struct instance *instance_ref(struct instance *instance);
void instance_unref(struct instance *instance);

/* For locate: the place is all that there is of its kind (""), and `rest` is the path in it. */
int place_is_all(const char *rest, char **place, char **path);

/* Make a protocol known, for good. -EEXIST: its name, or a protocol, is known already. Any thread. */
int backend_register(const struct backend *backend);
const struct backend *backend_find(const char *protocol,
                                   size_t size); /* of either case; NULL: nobody knows it */

#endif
