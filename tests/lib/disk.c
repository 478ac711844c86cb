/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "tmpdir.h"

char *disk_mount(const char *dir, const char *name, size_t size)
{
    char options[64], *disk = tmpdir_path(dir, name);
    snprintf(options, sizeof options, "size=%zu,mode=700", size);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, options) == 0)
        return disk;
    print_message("skipped: no disk may be mounted here (%s)\n", strerror(errno));
    free(disk);
    skip();
    return NULL;
}

void disk_unmount(char *disk)
{
    if (disk)
        umount2(disk, MNT_DETACH);
    free(disk);
}

void disk_make_read_only(const char *disk)
{
    while (mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0) {
        assert_int_equal(errno, EBUSY);
        usleep(1000);
    }
}
