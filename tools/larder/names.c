/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names, and the files that they are read from. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- all of a file ---- */

/* With overcommit an allocation that cannot be filled succeeds: what the machine has is the limit. */
static size_t memory_size(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_size > 0 ? (size_t)pages * (size_t)page_size : SIZE_MAX / 2;
}

int read_input(int fd, const char *name, char **data, size_t *size)
{
    struct stat st;
    bool known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    size_t capacity = known ? (size_t)st.st_size + 1 : 65536, count = 0, limit = memory_size();
    char *buffer = capacity <= limit ? malloc(capacity + 1) : NULL;
    for (ssize_t got = 1; buffer && got != 0;) { /* stopped, it is not all, whatever its end looks like */
        if (count == capacity) {
            char *larger = capacity <= limit / 2 ? realloc(buffer, 2 * capacity + 1) : NULL;
            if (!larger)
                free(buffer);
            buffer = larger;
            capacity *= 2;
            continue;
        }
        got = read(fd, buffer + count, capacity - count);
        if (interrupted() || (got < 0 && errno != EINTR)) {
            int error = interrupted() ? ECANCELED : errno;
            free(buffer);
            return complain_of(name, -error, strerror(error));
        }
        count += got > 0 ? (size_t)got : 0;
    }
    if (!buffer)
        return complain_of(name, -ENOMEM, "more than fits into memory, where all of it has to be at once");
    buffer[count] = 0;
    *data = buffer;
    *size = count;
    return DONE;
}

/* ---- names ---- */

int names_add(struct names *names, const char *name, size_t size)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 256;
        char **larger = reallocarray(names->names, capacity, sizeof *larger);
        if (!larger)
            return -ENOMEM;
        names->names = larger;
        names->capacity = capacity;
    }
    char *copy = strndup(name, size);
    if (!copy)
        return -ENOMEM;
    names->names[names->count++] = copy;
    return 0;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
}

static int split(const struct cli *cli, const char *data, size_t size, struct names *names)
{
    char end = cli->zero ? 0 : '\n';
    int rc = 0;
    for (const char *at = data; rc == 0 && at < data + size;) {
        const char *stop = memchr(at, end, (size_t)(data + size - at));
        size_t name_size = (size_t)((stop ? stop : data + size) - at);
        rc = names_add(names, at, name_size);
        at += name_size + 1;
    }
    return rc;
}

int names_read(const struct cli *cli, const char *file, struct names *names)
{
    bool standard = strcmp(file, "-") == 0;
    const char *shown = standard ? "stdin" : file;
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    char *data;
    size_t size;
    if (fd < 0)
        return complain_of(file, interrupted() ? -ECANCELED : -EIO, strerror(errno));
    int code = read_input(fd, shown, &data, &size);
    if (!standard)
        close(fd);
    if (code != DONE)
        return code;
    int rc = split(cli, data, size, names);
    free(data);
    return rc < 0 ? complain_of(shown, rc, NULL) : DONE;
}
