/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/path.h"
#include "base/seams.h"

#define SHARED_FILE "cache-1.use"
#define SHARED_MARK 0x3165737572656401U

_Static_assert(sizeof(struct shared) == 64 + 16 * LOCK_SLOTS + 4 * USED_SLOTS, "the file has no holes");

static void *map(int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, flags, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* All of it is there before it is mapped: a page that the disk has no room for would kill who touches it. */
static struct shared *map_file(int fd)
{
    struct stat status;
    if (file_seam.fstat(fd, &status) < 0 || (status.st_size && status.st_size != sizeof(struct shared)))
        return NULL;
    if (file_allocate(fd, sizeof(struct shared)) < 0)
        return NULL;
    struct shared *shared = map(fd);
    if (shared && shared->mark == 0)
        shared->mark = SHARED_MARK;
    if (!shared || shared->mark == SHARED_MARK)
        return shared;
    shared_close(shared);
    return NULL;
}

struct shared *shared_open(const char *dir)
{
    autofree char *file = path_join(dir, SHARED_FILE);
    struct shared *shared = NULL;
    for (int tries = 0; file && !shared && tries < 2; tries++) {
        int fd = file_seam.open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            break;
        shared = map_file(fd);
        file_seam.close(fd);
        if (!shared) /* of another kind, or the disk is full: others that use it go on with what they have */
            file_seam.unlink(file);
    }
    return shared ? shared : map(-1);
}

void shared_close(struct shared *shared)
{
    if (shared)
        munmap(shared, sizeof *shared);
}

void shared_remove(const char *dir)
{
    autofree char *file = path_join(dir, SHARED_FILE);
    if (file)
        file_seam.unlink(file);
}
