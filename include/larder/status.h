/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_STATUS_H
#define LARDER_STATUS_H
/*
 * What every call returns, what went wrong in words, and what the library would say if it printed.
 *
 * Every call returns 0, a count, or a negative errno. `larder_error()` says in words what the last failing call of
 * this task (outside a task: of this thread) met: what, on what, why. Inside a completion callback and in a `done`
 * callback it speaks of that item. Missing is never failed: -ENOENT says that the place was asked and has no such
 * thing; a place that could not be asked is any other error. What a call gives out is untouched when it fails, but where
 * its comment says otherwise (larder_mirror, larder_cache_import and others that count how far they came). A NULL path or key is -EINVAL; every _free, larder_file_close, larder_file_discard and
 * larder_txn_rollback takes NULL, which in place of another call's handle is a mistake that need not be noticed. Types are
 * written with `struct`, in C++ too, where some share their names with functions.
 *
 * A callback that stops a call with a value of its own should return a negative one: a positive one is returned as well,
 * but where the call counts (larder_cat_to, on_error = LARDER_RETURN), nobody can tell it from a count.
 *
 *   -ENOENT      missing                        -EACCES       refused by the place, or by its credentials
 *   -EEXIST      there already                  -ETIMEDOUT    no answer in time
 *   -EISDIR      a directory, not a file        -ECANCELED    stopped by larder_cancel or larder_loop_cancel
 *   -ENOTDIR     a file, not a directory        -ESTALE       it changed under you
 *   -EINVAL      wrong arguments                -EBADMSG      stored or received data is damaged
 *   -ENOTSUP     this place cannot              -ENONET       offline, and not in the cache
 *   -ENOMEM      out of memory                  -EDEADLK      called on a loop's thread outside a task (loop.h)
 *   -EPROTO      the server broke its protocol  -ECHILD       the object stayed with the parent of a fork
 *   -EIO         a disk or a server failed      -EROFS        it can only be read, or a cache cannot be used at all
 *   -ENOSPC      no room, also in a buffer      -EFBIG        larger than the place, or a number, allows
 *   -EBUSY       in use just now                -EBADF        closed, ended, or not opened for this
 *   -ENOTEMPTY   a directory with entries       -EXDEV        of two loops, or two places
 *   -ENODATA     nobody knows                   -ESPIPE       it has no such position
 *   -ENOTCONN    before larder_fs_connect       -EINPROGRESS  committed, and to be finished by a recovery (txn.h)
 *   -ELOOP       links, or directories, without end
 * Others are the system's own, such as -ECONNREFUSED or -EMFILE.
 */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * LARDER_API marks what the library exports. LARDER_WAITS says that a call may wait for disks, servers or tasks: it
 * blocks a thread, suspends a task, and refuses (-EDEADLK) on a loop's thread outside a task. A call without it never
 * waits, and may be made anywhere. (Inside the build LARDER_WAITS is also checked by clang: the library's own tasks
 * must not enter it by its public door.)
 */
#if defined(LARDER_BUILDING) && defined(__clang__)
struct __attribute__((capability("role"))) larder_task_role {
    char unused;
};
extern struct larder_task_role larder_in_task;
#define LARDER_WAITS __attribute__((locks_excluded(larder_in_task)))
#else
#define LARDER_WAITS
#endif

#if defined(__GNUC__)
#define LARDER_API                   __attribute__((visibility("default")))
#define LARDER_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define LARDER_API
#define LARDER_FORMAT(string, first)
#endif

/* The text of the last failure; "" if the last call did not fail. Valid until the next call of the same task or
 * thread. Never NULL. */
LARDER_API const char *larder_error(void);

/* The name of a status, such as "ENOENT" for -ENOENT; "OK" for 0 and more. Never NULL, static. */
LARDER_API const char *larder_status_name(int status);

/* The version of these headers; and of the library that runs, such as "0.1.0". */
#define LARDER_VERSION_MAJOR 0
#define LARDER_VERSION_MINOR 1
#define LARDER_VERSION_PATCH 0
#define LARDER_VERSION_AT_LEAST(major, minor, patch)                                       \
    ((LARDER_VERSION_MAJOR * 1000 + LARDER_VERSION_MINOR) * 1000 + LARDER_VERSION_PATCH >= \
     ((major) * 1000 + (minor)) * 1000 + (patch))
LARDER_API const char *larder_version(void);

/* Free what a call gave out as plain memory (a path, a URL). NULL is fine. */
LARDER_API void larder_free(void *memory);

enum larder_log_level { LARDER_LOG_WARNING = 1, LARDER_LOG_INFO = 2, LARDER_LOG_DEBUG = 3 };
typedef void larder_log_fn(void *arg, enum larder_log_level level, const char *message);
/*
 * Send the library's messages up to `level` to `log`; NULL stops them. The library itself never prints. WARNING: a
 * promise is kept with less comfort (the cache cannot be used, say); INFO: one line a request; DEBUG: decisions.
 * `log` is called on any thread, several at a time, must not call Larder, and never gets a secret. Process-wide.
 */
LARDER_API void larder_log_to(larder_log_fn *log, void *arg, enum larder_log_level level);

#ifdef __cplusplus
}
#endif
#endif
