/* SPDX-License-Identifier: Apache-2.0 */
/* A batch: set COUNT keys of the map at URL, concurrently. */
#include <larder.h>
#include <stdio.h>
#include <stdlib.h>

static int upload(struct larder_map *map, size_t count)
{
    struct larder_item *items = calloc(count, sizeof *items);
    char(*keys)[64] = calloc(count, sizeof *keys);
    if (!items || !keys)
        abort();
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "part/%03zu/%06zu", i / 1000, i);
        items[i].path = keys[i];
        items[i].bytes = (struct larder_bytes){.data = keys[i], .size = 32}; /* borrowed */
    }
    int rc = larder_map_set_many(map, items, count, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", larder_error());
    free(items);
    free(keys);
    return rc;
}

int main(int argc, char **argv)
{
    struct larder_map *map;
    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: upload URL COUNT\n");
        return 2;
    }
    if (larder_get_mapper(NULL, argv[1], NULL, 0, &map) < 0) {
        fprintf(stderr, "%s\n", larder_error());
        return 1;
    }
    int rc = upload(map, (size_t)atoi(argv[2]));
    larder_map_free(map);
    return rc < 0;
}
