/* SPDX-License-Identifier: Apache-2.0 */
/* mirror, cache stat, cache clear. */
#include "cli.h"

#include <errno.h>

/* ---- mirror ---- */

struct mirror {
    const char *url;
    struct outcome outcome;
};

static int mirrored(void *arg, struct larder_item *item)
{
    struct mirror *mirror = arg;
    const char *what = *item->path ? item->path : mirror->url;
    outcome_add(&mirror->outcome, item->status < 0 ? complain(what, item->status) : DONE);
    progress_files(mirror->outcome.done);
    return interrupted() ? -ECANCELED : 0;
}

static void out_mirror(const struct cli *cli, const struct larder_mirror_stats *stats)
{
    if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "files", json_integer((json_int_t)stats->files));
        json_object_set_new(object, "bytes_fetched", json_integer((json_int_t)stats->bytes_fetched));
        json_object_set_new(object, "bytes_present", json_integer((json_int_t)stats->bytes_present));
        json_object_set_new(object, "failed", json_integer((json_int_t)stats->failed));
        out_json(object);
        return;
    }
    out_format("%llu files, %llu bytes fetched, %llu bytes already there\n", (unsigned long long)stats->files,
               (unsigned long long)stats->bytes_fetched, (unsigned long long)stats->bytes_present);
}

int command_mirror(struct cli *cli)
{
    const char *url = cli->args[0];
    struct mirror mirror = {.url = url};
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_mirror_options options = {.size = sizeof options,
                                            .on_error = LARDER_RETURN,
                                            .jobs_max = cli->jobs,
                                            .completed = mirrored,
                                            .arg = &mirror};
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, true, &fs, &path);
    if (code != DONE)
        return code;
    progress_begin(cli, url);
    int rc = larder_mirror(fs, path, &options, &stats);
    progress_end();
    if (rc < 0)
        code = complain(url, rc);
    else
        code = outcome_code(&mirror.outcome);
    if (rc >= 0)
        out_mirror(cli, &stats);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

/* ---- the cache ---- */

static void out_count(const struct cli *cli, json_t *object, const char *name, uint64_t count)
{
    if (cli->json)
        json_object_set_new(object, name, json_integer((json_int_t)count));
    else
        out_format("%-12s%llu\n", name, (unsigned long long)count);
}

static void out_stats(const struct cli *cli, const struct larder_cache_stats *stats)
{
    json_t *object = cli->json ? json_object() : NULL;
    if (cli->json)
        json_object_set_new(object, "dir", json_name(stats->dir));
    else
        out_format("%-12s%s\n", "dir", stats->dir);
    out_count(cli, object, "bytes", stats->bytes);
    out_count(cli, object, "files", stats->files);
    out_count(cli, object, "blocks", stats->blocks);
    out_count(cli, object, "listings", stats->listings);
    out_count(cli, object, "hits", stats->hits);
    out_count(cli, object, "misses", stats->misses);
    out_count(cli, object, "hit_bytes", stats->hit_bytes);
    out_count(cli, object, "miss_bytes", stats->miss_bytes);
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
