/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/seams.h"

#define OPEN_WAIT_MS 2000 /* for another process that is opening the directory */
#define MAP_SIZE_MIN ((size_t)16 << 20)
#define MAPS         4 /* of it: LMDB's and our own (pages.h), and those of a child that verifies it */

size_t lmdb_map_size = sizeof(size_t) > 4 ? (size_t)(1ULL << 40) : (size_t)1 << 30;

int lmdb_make_directory(char *dir)
{
    struct stat status;
    if (file_seam.stat(dir, &status) == 0)
        return S_ISDIR(status.st_mode) ? 0 : fail(-ENOTDIR, "%s: not a directory", dir);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int rc = file_seam.mkdir(dir, 0700);
        int error = rc < 0 ? errno : 0;
        *slash = '/';
        if (rc < 0 && error != EEXIST)
            return fail_errno(error, "mkdir %s", dir);
    }
    if (file_seam.mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fail_errno(errno, "mkdir %s", dir);
    return 0;
}

int lmdb_check_directory(const char *dir, const char *what)
{
    static const struct {
        unsigned magic;
        const char *name;
    } remote[] = {{0x6969, "NFS"},      {0xff534d42, "CIFS"},   {0xfe534d42, "SMB"},   {0x517b, "SMB"},
                  {0x00c36400, "Ceph"}, {0x01021997, "9p"},     {0x5346414f, "AFS"},   {0x0bd00bd0, "Lustre"},
                  {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"}, {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"},
                  {0x73757245, "Coda"}, {0x65735546, "FUSE"},   {0x564c, "NCP"}};
    struct statfs status;
    if (file_seam.statfs(dir, &status) < 0)
        return fail_errno(errno, "statfs %s", dir);
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if ((unsigned)status.f_type == remote[i].magic)
            return fail(-ENOTSUP, "%s: %s cannot be shared over %s", dir, what, remote[i].name);
    return 0;
}

int lmdb_lock_directory(const char *dir, int *out)
{
    int fd = file_seam.open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "open %s", dir);
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += 10) {
        int error = errno;
        if ((error != EWOULDBLOCK && error != EINTR) || waited_ms >= OPEN_WAIT_MS) {
            file_seam.close(fd);
            return fail_errno(error, "lock %s", dir);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    *out = fd;
    return 0;
}

void lmdb_unlock_directory(int fd)
{
    flock(fd, LOCK_UN); /* a child forked meanwhile has a copy, whose lock this ends as well */
    file_seam.close(fd);
}

int lmdb_fill_lock_file(const char *file, unsigned readers_max)
{
    autofree char *path = mem_format("%s-lock", file);
    if (!path)
        return -ENOMEM;
    int fd = file_seam.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EACCES || errno == EROFS ? 0 : -errno;
    off_t size = ((off_t)readers_max + 16) * 64; /* a slot is a cache line, and the head some of them */
    int rc = file_allocate(fd, size);
    file_seam.close(fd);
    return rc;
}

static bool has_room(size_t size)
{
    size_t all = size > SIZE_MAX / MAPS ? SIZE_MAX : size * MAPS;
    void *room = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room != MAP_FAILED && munmap(room, all) == 0;
}

/* A smaller map when the address space is limited (EINVAL: by valgrind): then less can be stored, and that is
 * all. */
int lmdb_open(const char *file, unsigned readers_max, unsigned flags, MDB_env **out)
{
    MDB_env *env;
    for (size_t size = lmdb_map_size;; size /= 2) {
        if (size / 2 >= MAP_SIZE_MIN && !has_room(size))
            continue;
        int rc = mdb_env_create(&env);
        if (rc != 0)
            return rc;
        mdb_env_set_maxreaders(env, readers_max);
        mdb_env_set_mapsize(env, size);
        rc = mdb_env_open(env, file, MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
        if (rc == 0) {
            *out = env;
            return 0;
        }
        mdb_env_close(env);
        if ((rc != ENOMEM && rc != EINVAL) || size / 2 < MAP_SIZE_MIN)
            return rc;
    }
}

int lmdb_check_length(MDB_env *env, dev_t *device, ino_t *inode)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int fd;
    mdb_env_info(env, &info);
    mdb_env_stat(env, &stat);
    mdb_env_get_fd(env, &fd);
    if (file_seam.fstat(fd, &file) < 0)
        return -errno;
    *device = file.st_dev;
    *inode = file.st_ino;
    bool used = stat.ms_entries > 0;
    return used && (uint64_t)file.st_size < ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize ? -EBADMSG : 0;
}

static int put_mark(MDB_env *env, MDB_dbi dbi, MDB_val *key, MDB_val *mark)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_put(txn, dbi, key, mark, MDB_NOOVERWRITE);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

int lmdb_check_mark(MDB_env *env, MDB_val *key, MDB_val *mark, const char *make_in, MDB_dbi *dbi)
{
    MDB_txn *txn;
    MDB_stat stat;
    MDB_val value;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return lmdb_status(rc);
    rc = mdb_dbi_open(txn, NULL, 0, dbi);
    if (rc == 0)
        rc = mdb_stat(txn, *dbi, &stat);
    if (rc == 0)
        rc = mdb_get(txn, *dbi, key, &value);
    bool ours =
        rc == 0 && value.mv_size == mark->mv_size && memcmp(value.mv_data, mark->mv_data, mark->mv_size) == 0;
    bool empty = rc == MDB_NOTFOUND && stat.ms_entries == 0;
    mdb_txn_commit(txn); /* keeps the dbi */
    if (ours)
        return 0;
    if (!empty)
        return rc == 0 || rc == MDB_NOTFOUND ? -EBADMSG : lmdb_status(rc);
    if (!make_in)
        return 0;
    rc = put_mark(env, *dbi, key, mark);
    /* What is synced in it is not lost by name. */
    return rc != 0 ? lmdb_status(rc) : file_sync_directory(make_in);
}

int lmdb_status(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
    case MDB_MAP_RESIZED:
        return -EAGAIN;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_CURSOR_FULL:
    case MDB_BAD_TXN:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return -EBADMSG;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}
