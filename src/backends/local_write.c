/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of local files. What is written goes into a temporary file in the target's own directory (or, while that is
 * missing, in the nearest one above it), which then gets the target's name:
 *
 *   settle   rename over what is there, or, for LARDER_CREATE, link beside nothing. A link is written through; the
 *            mode of the file that is replaced is kept, and its owner where that may be
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/local_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"

/* ---- the target ---- */

void target_fini(struct target *target)
{
    mem_free(target->name);
    mem_free(target->dir);
}

/* A link that leads nowhere stands for itself. */
static int follow_link(struct target *target)
{
    autofree char *real = mem_alloc(PATH_MAX);
    if (!real)
        return fail_memory();
    if (!realpath(target->name, real))
        return errno == ENOENT ? 0 : fail_errno(errno, "%s", target->name);
    mem_free(target->name);
    target->name = take(real);
    target->exists = file_seam.lstat(target->name, &target->st) == 0;
    return 0;
}

int target_find(const char *path, unsigned flags, struct target *out)
{
    if (!*path)
        return fail(-EISDIR, "/: a directory");
    int rc = local_name(path, &out->name);
    if (rc < 0)
        return rc;
    out->exists = file_seam.lstat(out->name, &out->st) == 0;
    if (out->exists && S_ISLNK(out->st.st_mode))
        rc = follow_link(out);
    if (rc < 0)
        return rc;
    if (out->exists && (flags & LARDER_CREATE))
        return fail(-EEXIST, "%s: it exists", out->name);
    if (out->exists && S_ISDIR(out->st.st_mode))
        return fail(-EISDIR, "%s: a directory", out->name);
    if (out->exists && !S_ISREG(out->st.st_mode) && !S_ISLNK(out->st.st_mode))
        return fail(-ENOTSUP, "%s: not a regular file, which could be replaced", out->name);
    out->dir = mem_dup_n(out->name, path_parent_size(out->name));
    return out->dir ? 0 : fail_memory();
}

/* ---- the temporary file ---- */

char *temporary_in(const char *dir, uint64_t id)
{
    return mem_format("%s/" TEMPORARY_PREFIX "%016llx", dir, (unsigned long long)id);
}

/* What is there by that name may be linked to a target already: it goes, and is not written to. */
int temporary_open(const char *dir, const char *of, uint64_t id, mode_t mode, char **name)
{
    const int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC;
    *name = temporary_in(dir, id ? id : random_u64());
    if (!*name)
        return fail_memory();
    int fd = file_seam.open(*name, flags, mode);
    if (fd < 0 && errno == EEXIST && id && file_seam.unlink(*name) == 0)
        fd = file_seam.open(*name, flags, mode);
    return fd < 0 ? fail_errno(errno, "%s", of) : fd;
}

static int sync_file(int fd, const char *name)
{
    return file_seam.fsync(fd) < 0 ? fail_errno(errno, "%s", name) : 0;
}

/* A rename is on the disk when its directory is. */
static int sync_directory(const char *dir)
{
    int rc = file_sync_directory(directory_name(dir));
    return rc < 0 ? fail_errno(-rc, "%s", directory_name(dir)) : 0;
}

/* ---- settling ---- */

static void keep_mode(int fd, const struct target *target)
{
    struct stat st;
    if (!target->exists || !S_ISREG(target->st.st_mode) || file_seam.fstat(fd, &st) < 0)
        return;
    bool owned = st.st_uid == target->st.st_uid && st.st_gid == target->st.st_gid;
    if (!owned && fchown(fd, target->st.st_uid, target->st.st_gid) < 0)
        return; /* a mode that was meant for another owner is not for this one */
    fchmod(fd, target->st.st_mode & 07777);
}

/* As late as can be: between this and the rename another may still write. */
static int check_match(const char *name, const char *if_match)
{
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    struct stat st;
    if (!if_match)
        return 0;
    if (file_seam.stat(name, &st) < 0)
        return errno == ENOENT ? fail(-ESTALE, "%s: it is gone", name) : fail_errno(errno, "%s", name);
    local_describe(&st, version, &answer);
    bool same = answer.info.version && strcmp(answer.info.version, if_match) == 0;
    return same ? 0 : fail(-ESTALE, "%s: it changed", name);
}

static int settle(const char *temporary, const char *name, unsigned flags, const char *if_match)
{
    struct stat st;
    int rc = check_match(name, if_match);
    if (rc < 0)
        return rc;
    CRASH_POINT("local.before_rename");
    if (flags & LARDER_CREATE) {
        if (file_seam.link(temporary, name) < 0)
            return fail_errno(errno, "%s", name);
        file_seam.unlink(temporary);
        return 0;
    }
    if (file_seam.rename(temporary, name) == 0)
        return 0;
    int error = errno;
    if (file_seam.stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        error = EISDIR;
    return fail_errno(error, "%s", name);
}

static bool wants_sync(const struct instance *instance, unsigned flags)
{
    return (flags & LARDER_SYNC) || option_bool(instance, "sync");
}

/* The file is whole: its name, and what is there then. */
int target_finish(struct instance *instance, int fd, const char *temporary, const struct target *target,
                  unsigned flags, const char *if_match, struct answer *out)
{
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    struct stat st;
    bool sync = wants_sync(instance, flags);
    keep_mode(fd, target);
    int rc = sync ? sync_file(fd, target->name) : 0;
    if (rc == 0)
        rc = settle(temporary, target->name, flags, if_match);
    if (rc == 0 && sync)
        rc = sync_directory(target->dir);
    if (rc < 0 || !out)
        return rc;
    if (file_seam.fstat(fd, &st) < 0)
        return fail_errno(errno, "%s", target->name);
    local_describe(&st, version, &answer);
    return answer_copy(out, &answer);
}

int local_write_pieces(int fd, const void *data, size_t size, int64_t offset, const char *name)
{
    int rc = 0;
    for (size_t at = 0, piece; rc == 0 && at < size; at += piece) {
        piece = size - at < LOCAL_PIECE ? size - at : LOCAL_PIECE;
        rc = file_write(fd, (const char *)data + at, piece, offset + (int64_t)at);
        rc = rc < 0 ? fail_errno(-rc, "%s", name) : local_go_on(name);
    }
    return rc;
}

int local_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                const char *if_match, struct answer *out)
{
    autotarget struct target target = {0};
    autofree char *temporary = NULL;
    int rc = target_find(path, flags, &target);
    int fd = rc < 0 ? rc : temporary_open(target.dir, target.name, source->id, 0666, &temporary);
    if (fd < 0)
        return fd;
    rc = local_write_pieces(fd, source->data, (size_t)source->size, 0, target.name);
    if (rc == 0)
        rc = target_finish(instance, fd, temporary, &target, flags, if_match, out);
    if (rc < 0)
        file_seam.unlink(temporary);
    file_seam.close(fd);
    return rc;
}

/* ---- copy and move ---- */

#define COPY_SIZE ((size_t)1 << 18)

static int copy_by_hand(int from, int to, int64_t at, const char *name)
{
    autofree char *buffer = mem_alloc(COPY_SIZE);
    if (!buffer)
        return fail_memory();
    for (;;) {
        int64_t got = file_read(from, buffer, COPY_SIZE, at);
        int rc = got > 0 ? file_write(to, buffer, (size_t)got, at) : (int)got;
        if (rc < 0)
            return fail_errno(-rc, "%s", name);
        if (got == 0)
            return 0;
        rc = local_go_on(name);
        if (rc < 0)
            return rc;
        at += got;
    }
}

/* By the kernel, which may share the blocks; where it cannot (another file system, an old kernel), by hand. `size` is what
 * fstat said, 0 where it may say anything (/proc). */
static int copy_bytes(int from, int to, int64_t size, const char *name)
{
    int64_t at = 0;
    for (;;) {
        off_t in = at, out = at;
        int rc = local_go_on(name);
        if (rc < 0)
            return rc;
        ssize_t count = file_seam.copy_range(from, &in, to, &out, LOCAL_PIECE, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 && at > 0)
            return 0;
        if (count <= 0) /* files of /proc say 0 at once */
            return copy_by_hand(from, to, at, name);
        at += count;
        if (at == size)
            return 0;
    }
}

static int copy_open(struct instance *instance, int from, const struct stat *st, const struct target *target,
                     unsigned flags)
{
    autofree char *temporary = NULL;
    int fd = temporary_open(target->dir, target->name, 0, st->st_mode & 0777,
                            &temporary); /* as cp: less the umask */
    if (fd < 0)
        return fd;
    int rc = copy_bytes(from, fd, st->st_size, target->name);
    if (rc == 0)
        rc = target_finish(instance, fd, temporary, target, flags, NULL, NULL);
    if (rc < 0)
        file_seam.unlink(temporary);
    file_seam.close(fd);
    return rc;
}

int local_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
               const struct labels *labels)
{
    autotarget struct target target = {0};
    autofree char *name = NULL;
    struct stat st;
    int rc = local_name(from, &name);
    if (rc < 0)
        return rc;
    int fd = file_seam.open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", name);
    if (file_seam.fstat(fd, &st) < 0)
        rc = fail_errno(errno, "%s", name);
    else if (!S_ISREG(st.st_mode))
        rc = S_ISDIR(st.st_mode) ? fail(-EISDIR, "%s: a directory", name)
                                 : fail(-ENOTSUP, "%s: not a regular file", name);
    if (rc == 0)
        rc = target_find(to, flags, &target);
    if (rc == 0 && target.exists && target.st.st_ino == st.st_ino && target.st.st_dev == st.st_dev)
        rc = 0; /* onto itself: there is nothing to do */
    else if (rc == 0)
        rc = copy_open(instance, fd, &st, &target, flags);
    file_seam.close(fd);
    return rc;
}

int local_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    autofree char *name = NULL, *target = NULL, *dir = NULL;
    struct stat st;
    int rc = local_name(from, &name);
    if (rc == 0)
        rc = local_name(to, &target);
    if (rc < 0)
        return rc;
    if (file_seam.lstat(name, &st) < 0)
        return fail_errno(errno, "%s", name);
    bool keep = (flags & LARDER_CREATE) || S_ISDIR(st.st_mode);
    rc =
        keep ? renameat2(AT_FDCWD, name, AT_FDCWD, target, RENAME_NOREPLACE) : file_seam.rename(name, target);
    if (rc < 0 && errno == EINVAL && path_within(name, target))
        return fail(-EINVAL, "%s: it cannot move into itself", name);
    if (rc < 0 && errno == EINVAL)
        return fail(-EXDEV, "%s: this file system cannot move it", name);
    if (rc < 0)
        return fail_errno(errno, "%s to %s", name, target);
    if (!wants_sync(instance, flags))
        return 0;
    dir = mem_dup_n(target, path_parent_size(target));
    return dir ? sync_directory(dir) : fail_memory();
}

int local_touch(struct instance *instance, const char *path, int64_t mtime_ns)
{
    const int64_t second = 1000000000;
    int64_t ns = (mtime_ns % second + second) % second; /* also of times before 1970 */
    struct timespec at = {(mtime_ns - ns) / second, ns}, times[2] = {at, at};
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    return utimensat(AT_FDCWD, name, mtime_ns ? times : NULL, 0) < 0 ? fail_errno(errno, "%s", name) : 0;
}

/* ---- removing, and directories ---- */

static int remove_one(const char *path)
{
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.unlink(name) == 0)
        return 0;
    struct stat st; /* POSIX allows EPERM for a directory, Linux says EISDIR */
    int error = errno;
    if (error == EPERM && file_seam.stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        error = EISDIR;
    return fail_errno(error, "%s", name);
}

int local_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    for (size_t i = 0; i < count; i++)
        status[i] = remove_one(paths[i]);
    return count == 1 ? status[0] : 0; /* with its words */
}

int local_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.mkdir(name, 0777) < 0)
        return fail_errno(errno, "%s", name);
    if (!wants_sync(instance, flags))
        return 0;
    name[path_parent_size(name)] = 0;
    return sync_directory(name);
}

/* Temporary files of writers that were killed must not keep a directory that looks empty from being removed. */
static void sweep(const char *dir)
{
    DIR *entries = file_seam.opendir(dir);
    struct dirent *entry;
    while (entries && (entry = file_seam.readdir(entries))) {
        if (!path_is_temporary(entry->d_name))
            continue;
        autofree char *name = mem_format("%s/%s", dir, entry->d_name);
        if (name)
            file_seam.unlink(name);
    }
    if (entries)
        file_seam.closedir(entries);
}

static bool only_temporaries(const char *dir)
{
    DIR *entries = file_seam.opendir(dir);
    struct dirent *entry;
    bool only = entries;
    while (only && (entry = file_seam.readdir(entries)))
        only = local_is_hidden(entry->d_name);
    if (entries)
        file_seam.closedir(entries);
    return only;
}

int local_rmdir(struct instance *instance, const char *path)
{
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.rmdir(name) == 0)
        return 0;
    if ((errno == ENOTEMPTY || errno == EEXIST) && only_temporaries(name)) {
        sweep(name);
        if (file_seam.rmdir(name) == 0)
            return 0;
    }
    return fail_errno(errno == EEXIST ? ENOTEMPTY : errno, "%s", name);
}
