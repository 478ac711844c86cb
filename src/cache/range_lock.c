/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/range_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/seams.h"
#include "task/process.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all}; /* open ones; under all_lock */

static void before_fork(void)
{
    pthread_mutex_lock(&all_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&all_lock);
}

/* The structs stay the parent's; only what the kernel knows of them ends here. */
static void after_fork_in_child(void)
{
    list_for_each (node, &all)
        close(container_of(node, struct range_lock, node)->fd);
    list_init(&all);
    pthread_mutex_unlock(&all_lock);
}

static void arm(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

__attribute__((constructor)) static void before_threads(void)
{
    process_before_threads(arm);
}

static struct flock range_of(short type, uint64_t start, uint64_t count)
{
    return (
        struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)count};
}

int range_lock_open(struct range_lock *lock, const char *path)
{
    pthread_mutex_lock(&all_lock);
    int fd = file_seam.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -errno : 0;
    if (rc == 0) {
        lock->fd = fd;
        list_push(&all, &lock->node);
    }
    pthread_mutex_unlock(&all_lock);
    return rc;
}

int range_lock_add(struct range_lock *lock, uint64_t start, uint64_t count)
{
    struct flock range = range_of(F_WRLCK, start, count);
    if (fcntl(lock->fd, F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

void range_lock_remove(struct range_lock *lock, uint64_t start, uint64_t count)
{
    struct flock range = range_of(F_UNLCK, start, count);
    fcntl(lock->fd, F_OFD_SETLK, &range);
}

/* Unlocked as well as closed: a child that is just being forked may still have its copy. */
void range_lock_close(struct range_lock *lock)
{
    struct flock everything = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    pthread_mutex_lock(&all_lock);
    fcntl(lock->fd, F_OFD_SETLK, &everything);
    list_remove(&lock->node);
    file_seam.close(lock->fd);
    pthread_mutex_unlock(&all_lock);
}

void range_lock_move(struct range_lock *to, struct range_lock *from)
{
    pthread_mutex_lock(&all_lock);
    to->fd = from->fd;
    list_remove(&from->node);
    list_push(&all, &to->node);
    pthread_mutex_unlock(&all_lock);
}

int range_is_free(const char *path, uint64_t start, uint64_t count)
{
    struct flock range = range_of(F_WRLCK, start, count);
    int fd = file_seam.open(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT ? 1 : -errno;
    int rc = fcntl(fd, F_OFD_GETLK, &range) < 0 ? -errno : range.l_type == F_UNLCK;
    file_seam.close(fd);
    return rc;
}

/* The kernel tells of any one in a range: then what is before it and what is behind are looked at. */
static int each_held(int fd, uint64_t start, uint64_t end, range_held_fn *fn, void *arg)
{
    int rc = 0;
    while (rc == 0 && start < end) {
        struct flock range = range_of(F_WRLCK, start, end - start);
        if (fcntl(fd, F_OFD_GETLK, &range) < 0)
            return -errno;
        if (range.l_type == F_UNLCK)
            return 0;
        uint64_t at = (uint64_t)range.l_start;
        rc = each_held(fd, start, at, fn, arg);
        if (rc == 0)
            rc = fn(arg, at);
        start = range.l_len > 0 ? at + (uint64_t)range.l_len : end;
    }
    return rc;
}

int range_each_held(const char *path, uint64_t start, uint64_t end, range_held_fn *fn, void *arg)
{
    int fd = file_seam.open(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int rc = each_held(fd, start, end, fn, arg);
    file_seam.close(fd);
    return rc;
}
