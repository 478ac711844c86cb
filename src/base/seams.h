/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SEAMS_H
#define BASE_SEAMS_H
/*
 * The seams at which a test can stand in for the world. Each is one table, const in a release's use of it: tests set
 * it before the first call and put it back. Nothing else in src/ calls malloc, clock_gettime, getrandom or open.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

/* ---- memory ---- */
struct memory_seam {
    void *(*resize)(void *memory, size_t size); /* realloc: NULL memory allocates; size is never 0 */
    void (*release)(void *memory);
};
extern struct memory_seam memory_seam;

/* All return NULL when memory is out; the caller returns fail_memory(). What they return is freed with mem_free. */
void *mem_alloc(size_t size);
void *mem_zero(size_t size);
void *mem_array(size_t count, size_t size); /* zeroed; NULL also when count * size overflows */
void *mem_resize(void *memory, size_t size);
char *mem_dup(const char *text);
char *mem_dup_n(const char *text, size_t size);
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *memory);
/* The same for libraries that are told where to get theirs. */
void *mem_library_alloc(void *unused, size_t size);
void mem_library_free(void *unused, void *memory);

/* Frees on leaving the scope: autofree char *text = NULL; … *out = take(text); */
static inline void mem_free_at(void *pointer)
{
    mem_free(*(void **)pointer);
}
#define autofree __attribute__((cleanup(mem_free_at)))
#define take(pointer)                           \
    __extension__({                             \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

/* ---- clock, randomness, process ---- */
struct world_seam {
    uint64_t (*monotonic_ns)(void); /* CLOCK_MONOTONIC */
    int64_t (*wall_ns)(void);       /* CLOCK_REALTIME, ns since 1970 */
    void (*random)(void *out, size_t size);
    /* How long a task that wants to sleep so long really does: a test's clock jumps instead, and it does not. */
    uint64_t (*sleep_ms)(uint64_t ms);
};
extern struct world_seam world_seam;

uint64_t now_ns(void);
int64_t wall_ns(void);
uint64_t random_u64(void);
/* How many forks this process is away from the one that loaded the library: a counter that pthread_atfork bumps in
 * the child (0.3 ns to read, where getpid() costs 138). What was made under another number must not be touched. */
uint32_t process_generation(void);

/* ---- files ---- */
struct file_seam { /* as the system calls of the same names (copy_range: copy_file_range); -1 and errno */
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
    ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
    ssize_t (*copy_range)(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags);
    int (*fsync)(int fd);
    int (*syncfs)(int fd);
    int (*fallocate)(int fd, int mode, off_t offset, off_t size);
    int (*stat)(const char *path, struct stat *out);
    int (*fstat)(int fd, struct stat *out);
    int (*lstat)(const char *path, struct stat *out);
    int (*fstatat)(int dir, const char *name, struct stat *out, int flags);
    int (*statfs)(const char *path, struct statfs *out);
    int (*rename)(const char *from, const char *to);
    int (*link)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *dir);
    int (*closedir)(DIR *dir);
};
extern struct file_seam file_seam;

/* Whole transfers over the seam: short counts and EINTR are repeated. 0 (file_read: the count, less than `size` only
 * at the end) or a negative errno; no error text is set. */
int64_t file_read(int fd, void *buffer, size_t size, int64_t offset);
int file_write(int fd, const void *data, size_t size, int64_t offset);
/*
 * The first `size` bytes of a file have their place on the disk. Unlike posix_fallocate's, what stands in for file systems
 * that cannot say so touches no byte that is there, which others may have mapped: it only makes the file longer. Likewise.
 */
int file_allocate(int fd, int64_t size);
/* The names in a directory are on the disk: those that were made, changed and removed. Likewise. */
int file_sync_directory(const char *dir);

/* ---- crash points ---- */
/*
 * CRASH_POINT("local.before_rename") names a place at which a test may kill the process: with LARDER_CRASH_AT set to
 * that name in the environment the process ends there by SIGKILL ("name:3": the third time it is reached).
 * Compiled in by -Dcrash_points=true only.
 */
#ifdef LARDER_CRASH_POINTS
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
