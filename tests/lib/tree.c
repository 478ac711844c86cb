/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tmpdir.h"

/* Eight bytes of a seed's content: splitmix64 of their number. */
static uint64_t content_word(uint64_t seed, uint64_t index)
{
    uint64_t word = (seed << 40) + index * UINT64_C(0x9e3779b97f4a7c15) + 1;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static unsigned char content_byte(uint64_t seed, uint64_t offset)
{
    return (unsigned char)(content_word(seed, offset / 8) >> (offset % 8 * 8));
}

void content_fill(void *out, size_t size, uint64_t seed, uint64_t offset)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < size; i++)
        bytes[i] = content_byte(seed, offset + i);
}

bool content_matches(const void *data, size_t size, uint64_t seed, uint64_t offset)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != content_byte(seed, offset + i))
            return false;
    return true;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    abort();
}

void *content_make(size_t size, uint64_t seed)
{
    void *data = malloc(size + 1);
    if (!data)
        give_up("content_make");
    content_fill(data, size, seed, 0);
    return data;
}

static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            give_up(path);
        *slash = '/';
    }
}

void tree_write(const char *dir, const char *path, const void *data, size_t size)
{
    char *full = tmpdir_path(dir, path);
    make_parents(full);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        give_up(full);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0)
            give_up(full);
        done += (size_t)n;
    }
    close(fd);
    free(full);
}

void tree_write_content(const char *dir, const char *path, size_t size, uint64_t seed)
{
    void *data = content_make(size, seed);
    tree_write(dir, path, data, size);
    free(data);
}

char *tree_read(const char *dir, const char *path, size_t *size)
{
    char *full = tmpdir_path(dir, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        free(full);
        return NULL;
    }
    if (fstat(fd, &st) < 0)
        give_up(full);
    char *data = malloc((size_t)st.st_size + 1);
    size_t done = 0;
    while (data && done < (size_t)st.st_size) {
        ssize_t n = read(fd, data + done, (size_t)st.st_size - done);
        if (n <= 0)
            give_up(full);
        done += (size_t)n;
    }
    if (!data)
        give_up(full);
    data[done] = '\0';
    *size = done;
    close(fd);
    free(full);
    return data;
}

bool tree_has(const char *dir, const char *path)
{
    char *full = tmpdir_path(dir, path);
    bool has = access(full, F_OK) == 0;
    free(full);
    return has;
}

static size_t make_level(const char *dir, unsigned depth, unsigned dirs, unsigned files, size_t size,
                         size_t made)
{
    char name[32];
    for (unsigned i = 0; i < files; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        tree_write_content(dir, name, size, ++made);
    }
    for (unsigned i = 0; depth > 1 && i < dirs; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        char *below = tmpdir_path(dir, name);
        if (mkdir(below, 0777) < 0 && errno != EEXIST)
            give_up(below);
        made = make_level(below, depth - 1, dirs, files, size, made);
        free(below);
    }
    return made;
}

size_t tree_make(const char *dir, unsigned depth, unsigned dirs, unsigned files, size_t size)
{
    return make_level(dir, depth, dirs, files, size, 0);
}
