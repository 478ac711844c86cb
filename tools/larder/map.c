/* SPDX-License-Identifier: Apache-2.0 */
/* map keys, get, set, del: the key/value view. Keys are literal. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- keys ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Streamed by the map in no order, and sorted here: scripts compare them. */
static int collect_keys(struct larder_map *map, const char *prefix, struct names *names)
{
    struct larder_keys *keys;
    const char *key;
    int rc = larder_map_keys(map, prefix, &keys);
    if (rc < 0)
        return rc;
    while ((rc = larder_keys_next(keys, &key, NULL)) > 0 && (rc = names_add(names, key, strlen(key))) == 0)
        progress_files(names->count);
    larder_keys_free(keys);
    if (names->count > 1)
        qsort(names->names, names->count, sizeof *names->names, compare);
    return rc;
}

int command_map_keys(struct cli *cli)
{
    const char *url = cli->args[cli->arg_count - 1];
    const char *prefix = cli->arg_count == 2 ? cli->args[0] : NULL;
    struct names names = {0};
    struct larder_map *map;
    int code = cli_open_map(cli, url, &map);
    if (code != DONE)
        return code;
    progress_begin(cli, url);
    int rc = collect_keys(map, prefix, &names);
    progress_end();
    if (rc < 0)
        code = complain(url, rc);
    for (size_t i = 0; code == DONE && i < names.count; i++) {
        if (cli->json)
            rc = out_json(json_pack("{s:o}", "key", json_name(names.names[i])));
        else
            rc = out_name(cli, names.names[i], "");
        if (rc < 0)
            break;
    }
    names_free(&names);
    larder_map_free(map);
    return code;
}

/* ---- get ---- */

static int get_keys(struct cli *cli, struct larder_map *map, char **keys, size_t count)
{
    struct outcome outcome = {0};
    struct values values = {.cli = cli,
                            .fs = larder_map_fs(map),
                            .map = map,
                            .names = (const char *const *)keys,
                            .labels = (const char *const *)keys,
                            .count = count,
                            .report = cli->json};
    progress_begin_output(cli, "map get");
    int rc = values_write(&values, &outcome);
    progress_end();
    return rc < 0 ? FAILED : outcome_code(&outcome);
}

int command_map_get(struct cli *cli)
{
    struct names names = {0};
    struct larder_map *map;
    int code = cli_open_map(cli, cli->args[0], &map);
    if (code != DONE)
        return code;
    bool listed = cli->arg_count == 2 && strcmp(cli->args[1], "-") == 0;
    if (listed)
        code = names_read(cli, "-", &names);
    if (code == DONE)
        code = listed ? get_keys(cli, map, names.names, names.count)
                      : get_keys(cli, map, cli->args + 1, (size_t)cli->arg_count - 1);
    names_free(&names);
    larder_map_free(map);
    return code;
}

/* ---- set, del ---- */

int command_map_set(struct cli *cli)
{
    const char *key = cli->args[1];
    struct larder_map *map;
    char *data;
    size_t size;
    int code = cli_open_map(cli, cli->args[0], &map);
    if (code != DONE)
        return code;
    code = read_input(STDIN_FILENO, "stdin", &data, &size);
    if (code == DONE) {
        int rc = cli->create ? larder_map_set_if_absent(map, key, data, size)
                             : larder_map_set(map, key, data, size);
        if (rc < 0)
            code = complain(key, rc);
        free(data);
    }
    larder_map_free(map);
    return code;
}

static int deleted(void *arg, struct larder_item *item)
{
    outcome_add(arg, item->status < 0 ? complain(item->path, item->status) : DONE);
    return 0;
}

int command_map_del(struct cli *cli)
{
    size_t count = (size_t)cli->arg_count - 1;
    struct outcome outcome = {0};
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .jobs_max = cli->jobs,
                                 .completed = deleted,
                                 .arg = &outcome};
    struct larder_item *items = calloc(count, sizeof *items);
    if (!items)
        return complain_of("map del", -ENOMEM, NULL);
    struct larder_map *map;
    int code = cli_open_map(cli, cli->args[0], &map);
    if (code == DONE) {
        for (size_t i = 0; i < count; i++)
            items[i].path = cli->args[i + 1];
        int rc = larder_map_delete_many(map, items, count, &batch);
        code = rc < 0 ? complain(cli->args[0], rc) : outcome_code(&outcome);
        larder_map_free(map);
    }
    free(items);
    return code;
}
