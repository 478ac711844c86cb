/* SPDX-License-Identifier: Apache-2.0 */
/* A backend of the program's own in use: print PATH of the tree that lies both at FIRST and at SECOND. */
#include <larder.h>
#include <stdio.h>
#include <stdlib.h>

#include "replica.h"

static int print(void *arg, const void *data, size_t size)
{
    return fwrite(data, 1, size, stdout) == size ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct larder_fs *fs = NULL;
    static char first[4096], second[4096];
    const char *const options[] = {first, second, NULL};
    if (argc != 4) {
        fprintf(stderr, "usage: replica_cat FIRST SECOND PATH\n");
        return 2;
    }
    snprintf(first, sizeof first, "replica.first=%s", argv[1]);
    snprintf(second, sizeof second, "replica.second=%s", argv[2]);
    bool ok = larder_register(&replica) == 0 && larder_open(NULL, "replica://", options, &fs, NULL) == 0 &&
              larder_cat_to(fs, argv[3], NULL, print, NULL) >= 0;
    if (!ok)
        fprintf(stderr, "%s\n", larder_error());
    larder_fs_free(fs);
    return !ok;
}
