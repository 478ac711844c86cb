/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program, it writes down in order what the program does to the files below one directory, for
 * images.py, which makes of it the disks that a power cut may leave.
 *
 *   POWER_ROOT    the directory
 *   POWER_LOG     where the record goes, appended to
 *   POWER_MARKS   a file: what is written to it stands in the record as a mark
 *   POWER_INODES  lines of "inode number": files that were put there again, and the number that is told of each
 *   POWER_BIT     set in the numbers that are told of all others while there is a record: so these are no others'
 *
 * A call and its record are one step, so the record's order is the disk's. A file is known by its inode, which the
 * program is told with a bit set that no file system sets: no new file has the number of one that was put there again.
 * Of times it is told always the same.
 */
#undef _FILE_OFFSET_BITS /* both stat and stat64 are defined here */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define NEXT(name) ((__typeof__(&name))next_of(#name))

/* ---- the record ---- */

/* One step, in this machine's byte order; then the paths and the data. */
struct step {
    uint32_t size; /* of paths and data together */
    uint16_t path_size, to_size;
    char what; /* as images.py has it */
    char durable;
    char unused[6];
    uint64_t inode;
    int64_t offset; /* truncate: the new size */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_size;
static const char *marks;
static int log_fd = -1;
static struct {
    uint64_t real, told;
} *inodes;
static size_t inodes_count;
static uint64_t inode_bit;

static void *next_of(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void read_inodes(const char *name)
{
    unsigned long long real, told;
    FILE *file = name ? fopen(name, "re") : NULL;
    while (file && fscanf(file, "%llu %llu", &real, &told) == 2) {
        inodes = realloc(inodes, (inodes_count + 1) * sizeof *inodes);
        if (!inodes)
            abort();
        inodes[inodes_count].real = real;
        inodes[inodes_count++].told = told;
    }
    if (file)
        fclose(file);
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("POWER_ROOT"), *log = getenv("POWER_LOG"), *bit = getenv("POWER_BIT");
    if (!dir || !realpath(dir, root))
        return;
    root_size = strlen(root);
    marks = getenv("POWER_MARKS");
    read_inodes(getenv("POWER_INODES"));
    inode_bit = (uint64_t)1 << (bit ? atoi(bit) : 56);
    if (log)
        log_fd = NEXT(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
}

static void put(struct step step, const char *path, const char *to, const struct iovec *data, int count)
{
    struct iovec parts[IOV_MAX];
    size_t size = 0;
    step.path_size = path ? (uint16_t)strlen(path) : 0;
    step.to_size = to ? (uint16_t)strlen(to) : 0;
    parts[1] = (struct iovec){(char *)path, step.path_size};
    parts[2] = (struct iovec){(char *)to, step.to_size};
    for (int i = 0; i < count; i++)
        parts[3 + i] = data[i];
    for (int i = 1; i < 3 + count; i++)
        size += parts[i].iov_len;
    step.size = (uint32_t)size;
    parts[0] = (struct iovec){&step, sizeof step};
    if (NEXT(writev)(log_fd, parts, 3 + count) != (ssize_t)(sizeof step + size))
        abort();
}

/* ---- which file ---- */

static bool is_below(const char *path)
{
    return root_size && strncmp(path, root, root_size) == 0 && (path[root_size] == '/' || !path[root_size]);
}

/* The absolute path of a name, whose last segment is not followed. */
static bool path_of(int dir, const char *name, char out[PATH_MAX])
{
    char parent[PATH_MAX], link[64];
    ssize_t size = 0;
    if (*name != '/') {
        snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        size = readlink(link, parent, sizeof parent - 1);
        if (size < 0)
            return false;
    }
    parent[size] = 0;
    char whole[2 * PATH_MAX];
    snprintf(whole, sizeof whole, "%s/%s", parent, name);
    char *slash = strrchr(whole, '/');
    *slash = 0;
    if (!realpath(*whole ? whole : "/", parent))
        return false;
    if (snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1) >= PATH_MAX)
        return false;
    return is_below(out);
}

static bool fd_is_below(int fd, uint64_t *inode)
{
    char link[64], path[PATH_MAX];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (log_fd < 0 || size < 0)
        return false;
    path[size] = 0;
    if (!is_below(path) || NEXT(fstat)(fd, &st) < 0)
        return false;
    *inode = st.st_ino;
    return true;
}

static bool fd_is_marks(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = marks && log_fd >= 0 ? readlink(link, path, sizeof path - 1) : -1;
    return size > 0 && (size_t)size == strlen(marks) && memcmp(path, marks, (size_t)size) == 0;
}

static uint64_t inode_at(const char *path)
{
    struct stat st;
    return NEXT(lstat)(path, &st) == 0 ? st.st_ino : 0;
}

/* ---- data ---- */

static void wrote(int fd, const struct iovec *data, int count, int64_t offset, size_t done)
{
    struct iovec parts[IOV_MAX - 3];
    uint64_t inode;
    int used = 0;
    int flags = fcntl(fd, F_GETFL);
    for (; used < count && done > 0; used++) {
        parts[used] = data[used];
        if (parts[used].iov_len > done)
            parts[used].iov_len = done;
        done -= parts[used].iov_len;
    }
    if (fd_is_marks(fd))
        put((struct step){.what = 'A'}, NULL, NULL, parts, used);
    else if (fd_is_below(fd, &inode))
        put((struct step){.what = 'W',
                          .durable = (flags & (O_DSYNC | O_SYNC)) != 0,
                          .inode = inode,
                          .offset = offset},
            NULL, NULL, parts, used);
}

static ssize_t write_parts(int fd, const struct iovec *data, int count, int64_t offset)
{
    if (count > IOV_MAX - 3)
        count = IOV_MAX - 3;
    pthread_mutex_lock(&lock);
    ssize_t done = offset >= 0 ? NEXT(pwritev)(fd, data, count, offset) : NEXT(writev)(fd, data, count);
    int error = errno;
    if (done > 0)
        wrote(fd, data, count, offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR) - done, (size_t)done);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    if (log_fd < 0)
        return NEXT(write)(fd, data, size);
    struct iovec part = {(void *)data, size};
    return write_parts(fd, &part, 1, -1);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct iovec part = {(void *)data, size};
    return write_parts(fd, &part, 1, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite(fd, data, size, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *data, int count)
{
    return log_fd < 0 ? NEXT(writev)(fd, data, count) : write_parts(fd, data, count, -1);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset)
{
    return write_parts(fd, data, count, offset);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *data, int count, off_t offset)
{
    return write_parts(fd, data, count, offset);
}

/* By hand, so that the bytes pass through here. */
EXPORT ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags)
{
    static __thread char piece[1 << 16];
    (void)flags;
    size_t want = size < sizeof piece ? size : sizeof piece;
    ssize_t got = from_at ? pread(from, piece, want, *from_at) : read(from, piece, want);
    ssize_t done = got <= 0 ? got
                   : to_at  ? pwrite(to, piece, (size_t)got, *to_at)
                            : write(to, piece, (size_t)got);
    if (done > 0 && from_at)
        *from_at += done;
    if (done > 0 && to_at)
        *to_at += done;
    return done;
}

EXPORT int ftruncate(int fd, off_t size)
{
    uint64_t inode;
    pthread_mutex_lock(&lock);
    int rc = NEXT(ftruncate)(fd, size);
    if (rc == 0 && fd_is_below(fd, &inode))
        put((struct step){.what = 'T', .inode = inode, .offset = size}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
    struct stat st;
    uint64_t inode;
    pthread_mutex_lock(&lock);
    int rc = NEXT(fallocate)(fd, mode, offset, size);
    if (rc == 0 && fd_is_below(fd, &inode) && NEXT(fstat)(fd, &st) == 0)
        put((struct step){.what = 'T', .inode = inode, .offset = st.st_size}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int fallocate64(int fd, int mode, off_t offset, off_t size)
{
    return fallocate(fd, mode, offset, size);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
}

EXPORT int posix_fallocate64(int fd, off_t offset, off_t size)
{
    return posix_fallocate(fd, offset, size);
}

/* ---- syncs ---- */

static int synced(int fd, int rc, char what)
{
    uint64_t inode;
    if (rc == 0 && fd_is_below(fd, &inode))
        put((struct step){.what = what, .inode = inode}, NULL, NULL, NULL, 0);
    return rc;
}

#define SYNC(name, letter)                           \
    EXPORT int name(int fd)                          \
    {                                                \
        pthread_mutex_lock(&lock);                   \
        int rc = synced(fd, NEXT(name)(fd), letter); \
        pthread_mutex_unlock(&lock);                 \
        return rc;                                   \
    }
SYNC(fsync, 'S')
SYNC(fdatasync, 'S')
SYNC(syncfs, 'Y')

/* ---- names ---- */

static int open_at(int dir, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    bool changes = log_fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE &&
                   path_of(dir, name, path);
    uint64_t before = changes ? inode_at(path) : 0;
    int fd = NEXT(openat)(dir, name, flags, mode);
    int error = errno;
    if (changes && fd >= 0 && before == 0)
        put((struct step){.what = 'C', .inode = inode_at(path)}, path, NULL, NULL, 0);
    else if (changes && fd >= 0 && (flags & O_TRUNC))
        put((struct step){.what = 'T', .inode = before}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE_OF(flags)                              \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {          \
        va_list arguments;                          \
        va_start(arguments, flags);                 \
        mode = (mode_t)va_arg(arguments, unsigned); \
        va_end(arguments);                          \
    }

EXPORT int open(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, name, flags, mode);
}

EXPORT int open64(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, name, flags, mode);
}

EXPORT int openat(int dir, const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, name, flags, mode);
}

EXPORT int openat64(int dir, const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, name, flags, mode);
}

/* Runs `call` on one name, or two, and writes it down. */
#define NAMED(what_, dir, name, to_dir, to_name, call)                                                 \
    do {                                                                                               \
        char path_[PATH_MAX], to_[PATH_MAX];                                                           \
        const char *to_name_ = (to_name);                                                              \
        pthread_mutex_lock(&lock);                                                                     \
        bool below_ =                                                                                  \
            log_fd >= 0 && path_of(dir, name, path_) && (!to_name_ || path_of(to_dir, to_name_, to_)); \
        uint64_t inode_ = below_ ? inode_at(path_) : 0;                                                \
        int rc_ = (call);                                                                              \
        int error_ = errno;                                                                            \
        if (rc_ == 0 && below_)                                                                        \
            put((struct step){.what = (what_), .inode = inode_ ? inode_ : inode_at(path_)}, path_,     \
                to_name_ ? to_ : NULL, NULL, 0);                                                       \
        pthread_mutex_unlock(&lock);                                                                   \
        errno = error_;                                                                                \
        return rc_;                                                                                    \
    } while (0)

EXPORT int rename(const char *from, const char *to)
{
    NAMED('R', AT_FDCWD, from, AT_FDCWD, to, NEXT(rename)(from, to));
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    NAMED('R', from_dir, from, to_dir, to, NEXT(renameat)(from_dir, from, to_dir, to));
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (flags & ~(unsigned)RENAME_NOREPLACE)
        abort(); /* images.py does not know it */
    NAMED('R', from_dir, from, to_dir, to, NEXT(renameat2)(from_dir, from, to_dir, to, flags));
}

EXPORT int link(const char *from, const char *to)
{
    NAMED('L', AT_FDCWD, from, AT_FDCWD, to, NEXT(link)(from, to));
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    NAMED('L', from_dir, from, to_dir, to, NEXT(linkat)(from_dir, from, to_dir, to, flags));
}

EXPORT int unlink(const char *name)
{
    NAMED('U', AT_FDCWD, name, 0, NULL, NEXT(unlink)(name));
}

EXPORT int unlinkat(int dir, const char *name, int flags)
{
    NAMED(flags & AT_REMOVEDIR ? 'D' : 'U', dir, name, 0, NULL, NEXT(unlinkat)(dir, name, flags));
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    NAMED('M', AT_FDCWD, name, 0, NULL, NEXT(mkdir)(name, mode));
}

EXPORT int mkdirat(int dir, const char *name, mode_t mode)
{
    NAMED('M', dir, name, 0, NULL, NEXT(mkdirat)(dir, name, mode));
}

EXPORT int rmdir(const char *name)
{
    NAMED('D', AT_FDCWD, name, 0, NULL, NEXT(rmdir)(name));
}

/* ---- numbers ---- */

static uint64_t number_told(uint64_t real)
{
    for (size_t i = 0; i < inodes_count; i++)
        if (inodes[i].real == real)
            return inodes[i].told;
    return log_fd >= 0 ? real | inode_bit : real;
}

static int told(int rc, struct stat *st)
{
    if (rc < 0 || !root_size)
        return rc;
    st->st_mtim = st->st_ctim = (struct timespec){1, 0}; /* what was put there again is as old as it was */
    st->st_ino = number_told(st->st_ino);
    return rc;
}

/* When it was made is told of none: of what was put there again it would be just now. */
EXPORT int statx(int dir, const char *restrict name, int flags, unsigned mask, struct statx *restrict st)
{
    int rc = NEXT(statx)(dir, name, flags, mask, st);
    if (rc == 0 && root_size) {
        st->stx_ino = number_told(st->stx_ino);
        st->stx_mask &= ~(unsigned)STATX_BTIME;
    }
    return rc;
}

EXPORT int stat(const char *restrict name, struct stat *restrict st)
{
    return told(NEXT(stat)(name, st), st);
}

EXPORT int lstat(const char *restrict name, struct stat *restrict st)
{
    return told(NEXT(lstat)(name, st), st);
}

EXPORT int fstat(int fd, struct stat *st)
{
    return told(NEXT(fstat)(fd, st), st);
}

EXPORT int fstatat(int dir, const char *restrict name, struct stat *restrict st, int flags)
{
    return told(NEXT(fstatat)(dir, name, st, flags), st);
}

/* A program that is compiled for large files calls these. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one struct stat");
EXPORT int stat64(const char *restrict name, struct stat64 *restrict st)
{
    return stat(name, (struct stat *)st);
}

EXPORT int lstat64(const char *restrict name, struct stat64 *restrict st)
{
    return lstat(name, (struct stat *)st);
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
    return fstat(fd, (struct stat *)st);
}

EXPORT int fstatat64(int dir, const char *restrict name, struct stat64 *restrict st, int flags)
{
    return fstatat(dir, name, (struct stat *)st, flags);
}
