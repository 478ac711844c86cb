/* SPDX-License-Identifier: Apache-2.0 */
/* cache stat, verify, clear, pin, unpin, prune: the cache as a whole, and trees in it. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>

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
    out_count(cli, object, "damaged", stats->damaged);
    out_count(cli, object, "stale", stats->stale);
    out_count(cli, object, "disk_bytes", stats->disk_bytes);
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

/* Damage is a failure, though it is gone now: what it was is fetched again. */
int command_cache_verify(struct cli *cli)
{
    struct larder_cache_verified found = {.size = sizeof found};
    struct larder_cache *cache;
    int code = cli_open_cache(cli, &cache);
    if (code != DONE)
        return code;
    int rc = larder_cache_verify(cache, &found);
    larder_cache_free(cache);
    if (rc < 0)
        return complain("cache", rc);
    json_t *object = cli->json ? json_object() : NULL;
    out_count(cli, object, "records", found.records);
    out_count(cli, object, "blocks", found.blocks);
    out_count(cli, object, "damaged", found.damaged);
    out_count(cli, object, "repaired", found.repaired);
    out_count(cli, object, "set_aside", found.set_aside);
    if (cli->json)
        out_json(object);
    if (found.set_aside)
        return complain_of("cache", -EIO, "it was damaged: it is set aside, and begun anew");
    return found.damaged ? complain_of("cache", -EIO, "something was damaged, and is removed") : DONE;
}

/* ---- of a URL, or of everything ---- */

/* A status, or a count. `url` NULL: everything, with `fs` NULL. */
typedef int tend_fn(const struct cli *cli, struct larder_cache *cache, struct larder_fs *fs, const char *path,
                    const char *url);

static int tend_one(struct cli *cli, struct larder_cache *cache, const char *url, tend_fn *tend)
{
    struct larder_fs *fs = NULL;
    char *path = NULL;
    int code = url ? cli_open(cli, url, false, &fs, &path) : DONE;
    if (code != DONE)
        return code;
    int rc = tend(cli, cache, fs, path ? path : "", url);
    if (rc < 0)
        code = complain(url ? url : "cache", rc);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

/* Each of the arguments; without any, everything. */
static int tend_all(struct cli *cli, tend_fn *tend)
{
    struct outcome outcome = {0};
    struct larder_cache *cache;
    int code = cli_open_cache(cli, &cache);
    if (code != DONE)
        return code;
    if (cli->arg_count == 0)
        code = tend_one(cli, cache, NULL, tend);
    for (int i = 0; i < cli->arg_count && !interrupted(); i++)
        outcome_add(&outcome, tend_one(cli, cache, cli->args[i], tend));
    larder_cache_free(cache);
    return cli->arg_count == 0 ? code : outcome_code(&outcome);
}

static int clear(const struct cli *cli, struct larder_cache *cache, struct larder_fs *fs, const char *path,
                 const char *url)
{
    int rc = larder_cache_clear(cache, fs, path);
    if (rc == 0)
        rc = larder_cache_prune(cache, UINT64_MAX); /* who clears wants the disk's space */
    return rc == -EROFS ? 0 : rc;                   /* there is no cache */
}

int command_cache_clear(struct cli *cli)
{
    return tend_all(cli, clear);
}

static int pin(const struct cli *cli, struct larder_cache *cache, struct larder_fs *fs, const char *path,
               const char *url)
{
    return larder_cache_pin(cache, fs, path);
}

int command_cache_pin(struct cli *cli)
{
    return tend_all(cli, pin);
}

static void out_unpinned(const struct cli *cli, const char *url, int count)
{
    char *shown = public_url(url);
    if (cli->json)
        out_json(json_pack("{s:o,s:i}", "url", json_name(shown ? shown : ""), "pins", count));
    else
        out_format("%s: %d %s taken back\n", shown ? shown : "", count, count == 1 ? "pin" : "pins");
    free(shown);
}

static int unpin(const struct cli *cli, struct larder_cache *cache, struct larder_fs *fs, const char *path,
                 const char *url)
{
    int count = larder_cache_unpin(cache, fs, path);
    if (count >= 0)
        out_unpinned(cli, url, count);
    return count;
}

int command_cache_unpin(struct cli *cli)
{
    return tend_all(cli, unpin);
}

static int prune(const struct cli *cli, struct larder_cache *cache, struct larder_fs *fs, const char *path,
                 const char *url)
{
    struct larder_cache_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    int rc = larder_cache_stats(cache, &before);
    if (rc == 0)
        rc = larder_cache_prune(cache, cli->size < 0 ? UINT64_MAX : (uint64_t)cli->size);
    if (rc == 0)
        rc = larder_cache_stats(cache, &after);
    if (rc < 0)
        return rc;
    json_t *object = cli->json ? json_object() : NULL;
    out_count(cli, object, "bytes_before", before.bytes);
    out_count(cli, object, "bytes", after.bytes);
    out_count(cli, object, "pinned_bytes", after.pinned_bytes);
    out_count(cli, object, "disk_before", before.disk_bytes);
    out_count(cli, object, "disk_bytes", after.disk_bytes);
    if (cli->json)
        out_json(object);
    return 0;
}

int command_cache_prune(struct cli *cli)
{
    return tend_all(cli, prune);
}
