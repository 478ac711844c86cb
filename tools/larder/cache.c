/* SPDX-License-Identifier: Apache-2.0 */
/* cache stat, cache clear. */
#include "cli.h"

#include <errno.h>

static void out_count(const struct cli *cli, json_t *object, const char *name, uint64_t count)
{
    if (cli->json)
        json_object_set_new(object, name, json_integer((json_int_t)count));
    else
        out_format("%-15s%llu\n", name, (unsigned long long)count);
}

static void out_stats(const struct cli *cli, const struct larder_cache_stats *stats)
{
    json_t *object = cli->json ? json_object() : NULL;
    if (cli->json)
        json_object_set_new(object, "dir", json_name(stats->dir));
    else
        out_format("%-15s%s\n", "dir", stats->dir);
    out_count(cli, object, "bytes", stats->bytes);
    out_count(cli, object, "max_bytes", stats->size_max);
    out_count(cli, object, "pinned_bytes", stats->pinned_bytes);
    out_count(cli, object, "files", stats->files);
    out_count(cli, object, "blocks", stats->blocks);
    out_count(cli, object, "listings", stats->listings);
    out_count(cli, object, "hits", stats->hits);
    out_count(cli, object, "misses", stats->misses);
    out_count(cli, object, "hit_bytes", stats->hit_bytes);
    out_count(cli, object, "miss_bytes", stats->miss_bytes);
    out_count(cli, object, "evictions", stats->evictions);
    out_count(cli, object, "evicted_bytes", stats->evicted_bytes);
    out_count(cli, object, "refused", stats->refused);
    out_count(cli, object, "stale", stats->stale);
    out_count(cli, object, "damaged", stats->damaged);
    if (cli->json)
        out_json(object);
}

int command_cache_stat(struct cli *cli)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    struct larder_cache *cache;
    int code = cli_open_cache(cli, &cache);
    if (code != DONE)
        return code;
    int rc = larder_cache_stats(cache, &stats);
    if (rc < 0)
        code = complain("cache", rc);
    else
        out_stats(cli, &stats);
    larder_cache_free(cache);
    return code;
}

int command_cache_clear(struct cli *cli)
{
    const char *url = cli->arg_count > 0 ? cli->args[0] : NULL;
    struct larder_cache *cache;
    struct larder_fs *fs = NULL;
    char *path = NULL;
    int code = url ? cli_open(cli, url, false, &fs, &path) : DONE;
    if (code != DONE)
        return code;
    code = cli_open_cache(cli, &cache);
    if (code == DONE) {
        int rc = larder_cache_clear(cache, fs, path ? path : "");
        if (rc < 0)
            code = complain(url ? url : "cache", rc);
        larder_cache_free(cache);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
