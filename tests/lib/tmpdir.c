/* SPDX-License-Identifier: Apache-2.0 */
#include "tmpdir.h"

#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FTW_DESCRIPTORS 16

char *tmpdir_make(void)
{
    const char *parent = getenv("TMPDIR");
    char *dir = tmpdir_path(parent ? parent : "/tmp", "larder-test-XXXXXX");
    if (!mkdtemp(dir)) {
        perror(dir);
        abort();
    }
    return dir;
}

typedef unsigned weigh_fn(const char *dir, const char *name);

static unsigned add_up(const char *dir, weigh_fn *weigh)
{
    DIR *all = opendir(dir);
    unsigned sum = 0;
    if (!all) {
        perror(dir);
        abort();
    }
    for (struct dirent *entry; (entry = readdir(all));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            sum += weigh(dir, entry->d_name);
    closedir(all);
    return sum;
}

static unsigned one_each(const char *dir, const char *name)
{
    return 1;
}

unsigned tmpdir_count(const char *dir)
{
    return add_up(dir, one_each);
}

static unsigned temporaries_at(const char *dir, const char *name)
{
    char *path = tmpdir_path(dir, name);
    struct stat st;
    bool directory = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    unsigned count = (strncmp(name, ".larder-", 8) == 0) + (directory ? tmpdir_count_temporaries(path) : 0);
    free(path);
    return count;
}

unsigned tmpdir_count_temporaries(const char *dir)
{
    return add_up(dir, temporaries_at);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

void tmpdir_remove(char *dir)
{
    if (!dir)
        return;
    nftw(dir, open_up, FTW_DESCRIPTORS, FTW_PHYS);
    if (nftw(dir, remove_entry, FTW_DESCRIPTORS, FTW_PHYS | FTW_DEPTH) < 0)
        perror(dir);
    free(dir);
}

char *tmpdir_path(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}
