/* SPDX-License-Identifier: Apache-2.0 */
#include "tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
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
