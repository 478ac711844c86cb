/* SPDX-License-Identifier: Apache-2.0 */
#include <larder.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct larder_map *map = NULL;
    struct larder_bytes value;
    if (argc != 3 || larder_get_mapper(NULL, argv[1], NULL, 0, &map) < 0 ||
        larder_map_get(map, argv[2], NULL, &value) < 0) {
        fprintf(stderr, "%s\n", argc == 3 ? larder_error() : "usage: map URL KEY");
        larder_map_free(map);
        return 1;
    }
    fwrite(value.data, 1, value.size, stdout);
    larder_bytes_free(&value);
    larder_map_free(map);
    return 0;
}
