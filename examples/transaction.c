/* SPDX-License-Identifier: Apache-2.0 */
/* Several keys of a map change together: transaction URL KEY=VALUE… KEY…; a KEY without a value is deleted. */
#include <larder.h>
#include <stdio.h>
#include <string.h>

static int change(struct larder_map *map, char *argument)
{
    char *value = strchr(argument, '=');
    if (!value)
        return larder_map_delete(map, argument);
    *value++ = 0;
    return larder_map_set(map, argument, value, strlen(value));
}

/* All of it or, when anything fails, nothing. */
static int change_together(struct larder_fs *fs, char **arguments, int count)
{
    struct larder_txn *txn = NULL;
    struct larder_fs *view = NULL;
    struct larder_map *map = NULL;
    int rc = larder_start_transaction(fs, &txn, &view);
    if (rc < 0)
        return rc;
    rc = larder_map_new(view, "", 0, &map);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = change(map, arguments[i]);
    if (rc < 0)
        fprintf(stderr, "transaction: %s\n", larder_error());
    int ended = larder_end_transaction(txn, rc == 0);
    if (rc == 0 && ended < 0)
        fprintf(stderr, "transaction: %s\n", larder_error());
    larder_map_free(map);
    larder_fs_free(view);
    return rc < 0 ? rc : ended;
}

int main(int argc, char **argv)
{
    struct larder_fs *fs;
    if (argc < 3 || larder_open(NULL, argv[1], NULL, &fs, NULL) < 0) {
        fprintf(stderr, "%s\n", argc < 3 ? "usage: transaction URL KEY=VALUE... KEY..." : larder_error());
        return 1;
    }
    int rc = change_together(fs, argv + 2, argc - 2);
    larder_fs_free(fs);
    return rc < 0;
}
