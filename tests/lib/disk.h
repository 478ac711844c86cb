/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H
/* Disks of a test's own, in memory: small, full, or not to be written. */
#include <stddef.h>

/* One of so many bytes, as DIR/NAME: its path, given back to disk_unmount. The test is skipped where nothing may be mounted. */
char *disk_mount(const char *dir, const char *name, size_t size);
/* NULL is fine. */
void disk_unmount(char *disk);
/* From now on it can only be read. Waits for whoever has a file open to write. */
void disk_make_read_only(const char *disk);

#endif
