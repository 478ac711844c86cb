/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/seams.h"

/* ---- the file ---- */

/* Where O_TMPFILE is not known: a name that is taken away at once. */
static int open_and_unlink(const char *dir)
{
    autofree char *name = mem_format("%s/.larder-spool-%016llx", dir, (unsigned long long)random_u64());
    if (!name)
        return fail_memory();
    int fd = file_seam.open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(errno, "a temporary file in %s", dir);
    file_seam.unlink(name);
    return fd;
}

int spool_open(void)
{
    const char *dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int fd = file_seam.open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
        return open_and_unlink(dir);
    return fail_errno(errno, "a temporary file in %s", dir);
}

void spool_close(int fd)
{
    file_seam.close(fd);
}

/* ---- as a source ---- */

struct spool_read {
    int fd;
    void *buffer;
    size_t size;
    int64_t at, got;
};

static int read_on_worker(void *arg)
{
    struct spool_read *read = arg;
    read->got = file_read(read->fd, read->buffer, read->size, read->at);
    return read->got < 0 ? fail_errno((int)-read->got, "a temporary file") : 0;
}

static int64_t CO_FN spool_read(struct source *source, void *buffer, size_t size)
{
    struct spool_source *spool = (struct spool_source *)source;
    int64_t left = source->size - spool->at;
    struct spool_read read = {spool->fd, buffer, left < (int64_t)size ? (size_t)left : size, spool->at, 0};
    if (read.size == 0)
        return 0;
    int rc = offload(read_on_worker, &read);
    if (rc < 0)
        return rc;
    if (read.got == 0)
        return fail(-EIO, "a temporary file became shorter");
    spool->at += read.got;
    return read.got;
}

static int spool_rewind(struct source *source)
{
    ((struct spool_source *)source)->at = 0;
    return 0;
}

int spool_source_init(struct spool_source *source, int fd, int64_t size, bool map)
{
    *source = (struct spool_source){
        .source = {.size = size, .read = spool_read, .rewind = spool_rewind},
        .fd = fd,
    };
    if (!map)
        return 0;
    source->source.data = "";
    if (size == 0)
        return 0;
    void *mapped = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return fail_errno(errno, "a temporary file of %lld bytes", (long long)size);
    source->source.data = source->mapped = mapped;
    return 0;
}

void spool_source_fini(struct spool_source *source)
{
    if (source->mapped)
        munmap(source->mapped, (size_t)source->source.size);
}
