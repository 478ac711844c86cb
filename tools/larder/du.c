/* SPDX-License-Identifier: Apache-2.0 */
/* du: how large it is, all of it or file by file. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int out_size(const struct cli *cli, const char *name, int64_t size)
{
    char text[24] = "-";
    if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "name", json_name(name));
        if (size != LARDER_SIZE_UNKNOWN)
            json_object_set_new(object, "size", json_integer(size));
        return out_json(object);
    }
    if (size != LARDER_SIZE_UNKNOWN)
        snprintf(text, sizeof text, "%lld", (long long)size);
    out_format("%s\t", text);
    return out_name(cli, name, "");
}

/* What the listings did not tell is asked for, all at once. The paths are ours. */
static int ask_sizes(const struct cli *cli, struct larder_fs *fs, const char *path,
                     struct larder_entries *found)
{
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_OMIT, .jobs_max = cli->jobs};
    struct larder_item *items = calloc(found->count + 1, sizeof *items);
    struct larder_info **asked = calloc(found->count + 1, sizeof *asked);
    int64_t *sizes = calloc(found->count + 1, sizeof *sizes);
    size_t count = 0;
    int rc = items && asked && sizes ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < found->count; i++) {
        char *below;
        if (found->info[i].size != LARDER_SIZE_UNKNOWN)
            continue;
        const char *name = found->info[i].name;
        rc = asprintf(&below, "%s%s%s", path, *path && *name ? "/" : "", name) < 0 ? -ENOMEM : 0;
        asked[count] = &found->info[i];
        items[count].path = rc == 0 ? below : NULL;
        count += rc == 0;
    }
    if (rc == 0 && count > 0)
        rc = larder_sizes(fs, items, count, sizes, &batch);
    for (size_t i = 0; i < count; i++) {
        asked[i]->size = sizes[i];
        free((char *)items[i].path);
    }
    free(items);
    free(asked);
    free(sizes);
    return rc;
}

static int du_files(const struct cli *cli, struct larder_fs *fs, const char *path, const char *url)
{
    struct larder_find_options options = {.size = sizeof options, .jobs_max = cli->jobs};
    struct larder_entries found;
    int rc = larder_find(fs, path, &options, &found);
    if (rc < 0)
        return rc;
    rc = ask_sizes(cli, fs, path, &found);
    int stopped = 0; /* which out_finish tells */
    for (size_t i = 0; rc == 0 && stopped == 0 && i < found.count; i++) {
        const char *name = found.info[i].name;
        stopped = out_size(cli, *name ? name : url, found.info[i].size);
    }
    larder_entries_free(&found);
    return rc;
}

static int du_total(const struct cli *cli, struct larder_fs *fs, const char *path)
{
    struct larder_find_options options = {.size = sizeof options, .jobs_max = cli->jobs};
    int64_t total = larder_du(fs, path, &options);
    if (total < 0)
        return (int)total;
    if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "size", json_integer(total));
        out_json(object);
    } else {
        out_format("%lld\n", (long long)total);
    }
    return 0;
}

int command_du(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_exists(fs, path); /* nothing is below what is missing, and that would be 0 bytes */
    if (rc == 0)
        code = complain_of(url, -ENOENT, "no such file or directory");
    else if (rc > 0)
        rc = cli->all ? du_files(cli, fs, path, url) : du_total(cli, fs, path);
    if (rc < 0)
        code = complain(url, rc);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
