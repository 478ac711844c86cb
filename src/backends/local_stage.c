/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local files that are written in parts, into a temporary file in the target's directory or, while that is missing, in
 * the nearest one above it.
 *
 * A token is the temporary file's inode, when that was made, and its name; an older form left the time out. By the first two a
 * publish that is repeated knows that the target is already what it was to become. By the name, which is the caller's id,
 * a sweep finds what a killed process left.
 *
 * An inode's number is one file's only while that exists, and ext4 uses it again at once. So as long as the temporary file
 * has its name, the target is it if both are one file now. Later it is if it was also made at that time. Where that is not
 * known (NFS, an old tmpfs, a token of the older form), the number and the size decide, which suffices: nobody who still wants to
 * publish removes a temporary file but by publishing it, so it was published, and a file that has its number now replaced
 * it afterwards. Only where somebody else removes what begins with .larder-, and his next file of this very size becomes
 * the target, would that pass for ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

static bool is_directory(const char *name)
{
    struct stat st;
    return file_seam.stat(directory_name(name), &st) == 0 && S_ISDIR(st.st_mode);
}

/* The nearest directory that exists, of where a file of this name goes. What is in the file's way may be cleared before
 * the publish, which sees to it. */
static int find_dir(const char *path, char **out)
{
    autotarget struct target target = {0};
    if (target_find(path, 0, &target) < 0) {
        error_clear();
        mem_free(target.dir);
        size_t size = path_parent_size(path);
        target.dir = size ? mem_format("/%.*s", (int)size, path) : mem_dup("");
    }
    if (!target.dir)
        return fail_memory();
    while (*target.dir && !is_directory(target.dir))
        target.dir[path_parent_size(target.dir)] = 0;
    *out = take(target.dir);
    return 0;
}

/* Which file it is, for good. */
struct birth {
    unsigned long long inode, ns; /* ns 0: its file system does not keep when it was made */
};

/* `name` NULL: the file that `fd` is. */
static int find_birth(int fd, const char *name, struct birth *out)
{
    struct statx st;
    const int flags = name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    if (statx(fd, name ? name : "", flags, STATX_INO | STATX_BTIME, &st) < 0)
        return -errno;
    out->inode = st.stx_ino;
    out->ns = st.stx_mask & STATX_BTIME
                  ? (unsigned long long)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec
                  : 0;
    return 0;
}

int local_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                struct token *out)
{
    autofree char *dir = NULL, *temporary = NULL, *name = NULL;
    struct birth birth;
    int rc = local_name(path, &name);
    if (rc == 0)
        rc = find_dir(path, &dir);
    int fd = rc < 0 ? rc : temporary_open(dir, name, id, 0666, &temporary);
    if (fd < 0)
        return fd;
    rc = find_birth(fd, NULL, &birth);
    if (rc < 0)
        fail_errno(-rc, "%s", temporary);
    out->text = rc == 0 ? mem_format("%llx %llx %s", birth.inode, birth.ns, temporary) : NULL;
    if (rc == 0 && !out->text)
        rc = fail_memory();
    if (rc < 0)
        file_seam.unlink(temporary);
    file_seam.close(fd);
    CRASH_POINT("local.staged");
    return rc;
}

static int read_token(const struct token *token, struct birth *birth, const char **temporary)
{
    int inode_end = 0, end = 0;
    sscanf(token->text, "%llx %n%llx %n", &birth->inode, &inode_end, &birth->ns, &end);
    if (inode_end > 0 && token->text[inode_end] == '/') {
        birth->ns = 0;
        end = inode_end;
    }
    const char *name = token->text + end;
    if (end == 0 || *name != '/' || !path_is_temporary(path_name(name)))
        return fail(-EINVAL, "\"%s\" is no token of a local write", token->text);
    *temporary = name;
    return 0;
}

int local_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                     int64_t offset, const void *data, size_t size)
{
    autofree char *name = NULL;
    const char *temporary;
    struct birth birth;
    int rc = read_token(token, &birth, &temporary);
    if (rc == 0)
        rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    int fd = file_seam.open(temporary, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == ENOENT ? fail(-ESTALE, "%s: what was staged for it is gone", name)
                               : fail_errno(errno, "%s", temporary);
    rc = local_write_pieces(fd, data, size, offset, name);
    file_seam.close(fd);
    return rc;
}

/* Is the target what the temporary file was, or is by another name? */
static bool is_target(const struct target *target, const char *temporary, const struct birth *birth,
                      int64_t size)
{
    struct birth found;
    struct stat st;
    if (!target->exists || target->st.st_ino != birth->inode)
        return false;
    if (file_seam.lstat(temporary, &st) == 0)
        return st.st_ino == target->st.st_ino && st.st_dev == target->st.st_dev;
    if (!birth->ns)
        return target->st.st_size == size;
    return find_birth(AT_FDCWD, target->name, &found) == 0 && found.inode == birth->inode &&
           found.ns == birth->ns;
}

static int published_before(const struct target *target, struct answer *out)
{
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    local_describe(&target->st, version, &answer);
    return out ? answer_copy(out, &answer) : 0;
}

int local_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                  unsigned flags, const char *if_match, struct answer *out)
{
    autotarget struct target target = {0};
    const char *temporary;
    struct birth birth;
    int rc = read_token(token, &birth, &temporary);
    if (rc == 0)
        rc = target_find(path, flags & ~(unsigned)LARDER_CREATE, &target);
    if (rc < 0)
        return rc;
    /* Already, by a publish that was killed; after a link it has both names. */
    if (is_target(&target, temporary, &birth, size)) {
        file_seam.unlink(temporary);
        return published_before(&target, out);
    }
    if (target.exists && (flags & LARDER_CREATE))
        return fail(-EEXIST, "%s: it exists", target.name);
    int fd = file_seam.open(temporary, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == ENOENT ? fail(-ESTALE, "%s: what was staged for it is gone", target.name)
                               : fail_errno(errno, "%s", temporary);
    rc = ftruncate(fd, size) < 0 ? fail_errno(errno, "%s", target.name)
                                 : target_finish(instance, fd, temporary, &target, flags, if_match, out);
    file_seam.close(fd);
    return rc;
}

int local_discard(struct instance *instance, const char *path, const struct token *token)
{
    const char *temporary;
    struct birth birth;
    int rc = read_token(token, &birth, &temporary);
    if (rc < 0)
        return rc;
    return file_seam.unlink(temporary) == 0 || errno == ENOENT ? 0 : fail_errno(errno, "%s", temporary);
}

int local_read_staged(struct instance *instance, const char *path, const struct token *token,
                      const struct larder_range *range, struct sink *sink, struct answer *out)
{
    const char *temporary;
    struct birth birth;
    int rc = read_token(token, &birth, &temporary);
    return rc < 0 ? rc : local_read_file(temporary, range, &TERMS_NONE, sink, out);
}

/* ---- sweeping ---- */

/* The file of this id in `dir` and in every directory above. */
static int sweep_above(char *dir, uint64_t id)
{
    for (;;) {
        autofree char *name = temporary_in(dir, id);
        if (!name)
            return fail_memory();
        if (file_seam.unlink(name) < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES &&
            errno != EROFS)
            return fail_errno(errno, "%s", name);
        if (!*dir)
            return 0;
        dir[path_parent_size(dir)] = 0;
    }
}

/* In the directory of the name itself as well: where a link leads may have changed since. */
int local_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns)
{
    size_t size = path_parent_size(path);
    autofree char *named = size ? mem_format("/%.*s", (int)size, path) : mem_dup("");
    autofree char *dir = NULL;
    if (!named)
        return fail_memory();
    int rc = find_dir(path, &dir);
    if (rc == 0)
        rc = sweep_above(named, id);
    return rc < 0 ? rc : sweep_above(dir, id);
}

/* ---- on the disk ---- */

struct devices {
    dev_t *device; /* mem */
    size_t count;
};

static bool is_known(const struct devices *known, dev_t device)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->device[i] == device)
            return true;
    return false;
}

static int sync_device(const char *dir, dev_t device, struct devices *synced)
{
    dev_t *longer = mem_resize(synced->device, (synced->count + 1) * sizeof *longer);
    if (!longer)
        return fail_memory();
    synced->device = longer;
    longer[synced->count++] = device;
    int fd = file_seam.open(directory_name(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", directory_name(dir));
    int rc =
        file_seam.syncfs(fd) < 0 ? fail_errno(errno, "%s: syncing its file system", directory_name(dir)) : 0;
    file_seam.close(fd);
    return rc;
}

static int sync_path(const char *path, struct devices *synced)
{
    autofree char *dir = NULL;
    struct stat st;
    int rc = find_dir(path, &dir);
    if (rc < 0)
        return rc;
    if (file_seam.stat(directory_name(dir), &st) < 0)
        return fail_errno(errno, "%s", directory_name(dir));
    return is_known(synced, st.st_dev) ? 0 : sync_device(dir, st.st_dev, synced);
}

int local_sync(struct instance *instance, const char *const paths[], size_t count)
{
    struct devices synced = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = sync_path(paths[i], &synced);
    mem_free(synced.device);
    return rc;
}
